//! `maliknode device list [--follow]`, `… show DEVICE [--follow]`, `… add LABEL`,
//! `… rename DEVICE LABEL`, `… policy DEVICE POLICY`, `… mesh DEVICE BOOL`, `… set DEVICE`,
//! `… config DEVICE`, `… qr DEVICE`, `… new-keys DEVICE` and `… remove DEVICE`, each of the tenant
//! `--tenant NAME`.

use super::{
    api_command::ApiCommand,
    client::{Answer, CallError, Client},
    config_file::{self, Target},
    device_text::{device_line, devices_text, now, print_device, print_table},
    follow,
    output::{Output, id, print, text},
};
use clap::{ArgAction, Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub(super) struct DeviceCommands {
    #[command(subcommand)]
    command: DeviceCommand,
    /// Whose devices; needless with a tenant's own token
    #[arg(
        id = "device.tenant",
        long = "tenant",
        global = true,
        value_name = "NAME"
    )]
    tenant: Option<String>,
}

#[derive(Debug, Subcommand)]
enum DeviceCommand {
    /// Print the devices
    List {
        #[command(flatten)]
        follow: FollowOption,
    },
    /// Print a device
    Show {
        #[command(flatten)]
        device: Named,
        #[command(flatten)]
        follow: FollowOption,
    },
    /// Add a device, and print its configuration as a QR code for the camera of a phone
    Add {
        /// What it is called
        label: String,
        /// Which traffic it sends through the tunnel
        #[arg(long, alias = "routing", default_value = "everything")]
        route: Routing,
        /// What its DNS filter blocks
        #[arg(long, default_value = "standard")]
        policy: Policy,
        /// Let it and the other devices of the mesh reach each other
        #[arg(long)]
        mesh: bool,
        /// Ask for packets of at most 1280 bytes: for a way that loses larger ones
        #[arg(long)]
        small_packets: bool,
        /// Write no IPv6 into its configuration: for a system without
        #[arg(long)]
        ipv4_only: bool,
        /// Print no QR code
        #[arg(long)]
        no_qr: bool,
        #[command(flatten)]
        to: Target,
    },
    /// Give a device another name
    Rename {
        #[command(flatten)]
        device: Named,
        /// What it is called from now on
        label: String,
    },
    /// Set what the DNS filter blocks for a device
    Policy {
        #[command(flatten)]
        device: Named,
        policy: Policy,
    },
    /// Set whether a device and the others of the mesh may reach each other
    Mesh {
        #[command(flatten)]
        device: Named,
        #[arg(value_name = "BOOL", action = ArgAction::Set)]
        mesh: bool,
    },
    /// Set what a device's configuration says: it keeps its key, and needs the configuration again
    #[command(group = clap::ArgGroup::new("settings").required(true).multiple(true))]
    Set {
        #[command(flatten)]
        device: Named,
        /// Which traffic it sends through the tunnel
        #[arg(long, alias = "routing", group = "settings")]
        route: Option<Routing>,
        /// Whether it asks for packets of at most 1280 bytes: for a way that loses larger ones
        #[arg(long, value_name = "BOOL", group = "settings")]
        small_packets: Option<bool>,
        /// Whether there is no IPv6 in it: for a system without
        #[arg(long, value_name = "BOOL", group = "settings")]
        ipv4_only: Option<bool>,
    },
    /// Print a device's configuration for WireGuard's programs, with its private key
    Config {
        #[command(flatten)]
        device: Named,
        #[command(flatten)]
        to: Target,
    },
    /// Print a device's configuration as a QR code
    Qr(Named),
    /// Make new keys for a device: its former configuration is refused from then on
    NewKeys {
        #[command(flatten)]
        device: Named,
        /// Print no QR code
        #[arg(long)]
        no_qr: bool,
        #[command(flatten)]
        to: Target,
    },
    /// Remove a device: its key is refused from then on
    Remove(Named),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The device's label, or its id in `maliknode device list`
    device: String,
}

#[derive(Debug, clap::Args)]
struct FollowOption {
    /// Go on with each change of connections, handshakes and traffic, until Ctrl-C; --json
    /// prints one state in each line
    #[arg(long)]
    follow: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Routing {
    /// All its traffic
    Everything,
    /// All but that to private and local addresses: the home network stays in reach
    Internet,
    /// That to the tenant's own network
    Network,
    /// DNS queries alone
    Dns,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    Standard,
    Strict,
    Family,
    Off,
}

/// Returns a choice as the API writes it.
fn value(choice: impl ValueEnum) -> Value {
    let value = choice.to_possible_value();
    value.map_or(Value::Null, |value| json!(value.get_name()))
}

/// The topic of live events that has them.
const TOPIC: &str = "devices";

/// The devices of a tenant.
struct Devices<'a> {
    client: &'a Client,
    tenant: Option<&'a str>,
}

impl ApiCommand for DeviceCommands {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let devices = Devices {
            client,
            tenant: self.tenant.as_deref(),
        };
        match &self.command {
            DeviceCommand::List { follow } if follow.follow => devices.follow_all(out).await,
            DeviceCommand::Show { device, follow } if follow.follow => {
                devices.follow(device, out).await
            }
            DeviceCommand::List { .. } => {
                print_table(&devices.all().await?, out);
                Ok(())
            }
            DeviceCommand::Show { device, .. } => {
                print_device(&devices.find(device).await?, out);
                Ok(())
            }
            DeviceCommand::Add {
                label,
                route,
                policy,
                mesh,
                small_packets,
                ipv4_only,
                no_qr,
                to,
            } => {
                to.check()?;
                let new = json!({
                    "label": label,
                    "routing": value(*route),
                    "policy": value(*policy),
                    "mesh": mesh,
                    "small_packets": small_packets,
                    "ipv4_only": ipv4_only,
                });
                devices.add(out, new, !no_qr, to).await
            }
            DeviceCommand::Rename { device, label } => {
                let change = json!({ "label": label });
                devices
                    .change(out, device, change, "has its new name")
                    .await
            }
            DeviceCommand::Policy { device, policy } => {
                let change = json!({ "policy": value(*policy) });
                devices.change(out, device, change, "is filtered so").await
            }
            DeviceCommand::Mesh { device, mesh } => {
                let said = match mesh {
                    true => "is part of the mesh",
                    false => "is not part of the mesh",
                };
                devices
                    .change(out, device, json!({ "mesh": mesh }), said)
                    .await
            }
            DeviceCommand::Set {
                device,
                route,
                small_packets,
                ipv4_only,
            } => {
                let named = [
                    ("routing", route.map(value)),
                    ("small_packets", small_packets.map(Value::from)),
                    ("ipv4_only", ipv4_only.map(Value::from)),
                ];
                let named = named
                    .into_iter()
                    .filter_map(|(k, v)| Some((k.to_owned(), v?)));
                let said = "is saved: load its configuration again, on the device";
                let change = Value::Object(named.collect());
                devices.change(out, device, change, said).await
            }
            DeviceCommand::Config { device, to } => {
                to.check()?;
                let device = devices.find(device).await?;
                let config = devices.read(&device, "config").await?.text()?;
                match to.write(&config)? {
                    Some(path) => out.done(&format!("The configuration is in {path}.")),
                    None => config_file::print(&config),
                }
                Ok(())
            }
            DeviceCommand::Qr(named) => {
                let device = devices.find(named).await?;
                print_qr(&devices.read(&device, "qr").await?.text()?);
                Ok(())
            }
            DeviceCommand::NewKeys { device, no_qr, to } => {
                to.check()?;
                devices.make_keys(out, device, !no_qr, to).await
            }
            DeviceCommand::Remove(named) => {
                let device = devices.find(named).await?;
                let call = client.delete(&["devices", &id(&device)]);
                call.tenant(devices.tenant).send().await?;
                let said = "is removed: its key is refused from now on.";
                out.done(&format!("{} {said}", text(&device["label"])));
                Ok(())
            }
        }
    }
}

impl Devices<'_> {
    async fn all(&self) -> Result<Vec<Value>, CallError> {
        let call = self.client.get(&["devices"]).tenant(self.tenant);
        call.items(usize::MAX).await
    }

    /// Finds a device by its label, or by its id where no label is that number.
    async fn find(&self, named: &Named) -> Result<Value, CallError> {
        let mut all = self.all().await?;
        let wanted = named.device.trim();
        let by_label = all.iter().position(|d| d["label"] == wanted);
        let found = by_label.or_else(|| all.iter().position(|d| id(d) == wanted));
        match found {
            Some(at) => Ok(all.swap_remove(at)),
            None => Err(CallError::NotFound(format!(
                "no device is called {wanted}: maliknode device list shows all"
            ))),
        }
    }

    async fn add(
        &self,
        out: Output,
        new: Value,
        with_qr: bool,
        to: &Target,
    ) -> Result<(), CallError> {
        let call = self.client.post(&["devices"]).tenant(self.tenant);
        let device = call.json(new).object().await?;
        let (label, address) = (text(&device["label"]), text(&device["address"]));
        let said = format!("{label} is added, with the address {address}.");
        out.say(&device, &said);
        self.hand_out(out, &device, with_qr, to).await
    }

    async fn make_keys(
        &self,
        out: Output,
        named: &Named,
        with_qr: bool,
        to: &Target,
    ) -> Result<(), CallError> {
        let device = self.find(named).await?;
        let call = self.client.post(&["devices", &id(&device), "keys"]);
        let device = call.tenant(self.tenant).object().await?;
        let said = "has new keys: load its new configuration, on the device.";
        out.say(&device, &format!("{} {said}", text(&device["label"])));
        self.hand_out(out, &device, with_qr, to).await
    }

    /// Writes a device's configuration, and draws it.
    async fn hand_out(
        &self,
        out: Output,
        device: &Value,
        with_qr: bool,
        to: &Target,
    ) -> Result<(), CallError> {
        if to.is_set() {
            let config = self.read(device, "config").await?.text()?;
            if let Some(path) = to.write(&config)? {
                out.done(&format!("Its configuration is in {path}."));
            }
        }
        if with_qr && !out.is_json() {
            print_qr(&self.read(device, "qr").await?.text()?);
        }
        Ok(())
    }

    /// Prints the devices, and again whenever one of them changes.
    async fn follow_all(&self, out: Output) -> Result<(), CallError> {
        let shown = |state: Value| {
            let devices = state.as_array().cloned().unwrap_or_default();
            let lines = format!("{}\n{}\n", now(), devices_text(&devices));
            Ok((state, lines))
        };
        follow::topic(self.client, self.tenant, TOPIC, out, shown).await
    }

    /// Prints a line about a device, and another whenever it changes.
    async fn follow(&self, named: &Named, out: Output) -> Result<(), CallError> {
        let device = self.find(named).await?;
        let (wanted, label) = (id(&device), text(&device["label"]));
        let shown = |state: Value| {
            let mut all = state.as_array().into_iter().flatten();
            let found = all.find(|d| id(d) == wanted).cloned();
            let found = found.ok_or_else(|| CallError::NotFound(format!("{label} is removed")))?;
            let line = device_line(&found);
            Ok((found, line))
        };
        follow::topic(self.client, self.tenant, TOPIC, out, shown).await
    }

    async fn read(&self, device: &Value, what: &str) -> Result<Answer, CallError> {
        let call = self.client.get(&["devices", &id(device), what]);
        call.tenant(self.tenant).send().await
    }

    async fn change(
        &self,
        out: Output,
        named: &Named,
        change: Value,
        said: &str,
    ) -> Result<(), CallError> {
        let device = self.find(named).await?;
        let call = self.client.patch(&["devices", &id(&device)]);
        let changed = call.tenant(self.tenant).json(change).object().await?;
        out.say(&changed, &format!("{} {said}.", text(&changed["label"])));
        Ok(())
    }
}

fn print_qr(drawn: &str) {
    print(drawn.trim_end_matches('\n'));
}
