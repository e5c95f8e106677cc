//! The settings as the operator writes them: on the command line, in the
//! environment or in the file. All are optional. One struct serves all three: a
//! field is the flag, the variable, the file's key (the id of the flag), the line of
//! the help and, in `Default`, the value where it is not set.

use super::{
    limits::Limits,
    names::NamesSettings,
    secrets::{deserialize_secret, parse_secret},
};
use adguard::{AdGuardSettings, List, ListSource};
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};
use domain::{AddressPlan, Secret};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All settings; `deploy/config.example.toml` explains them.
#[derive(Args, Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Folder of configuration, database, keys and tenants' files [default: /etc/maliknode]
    #[arg(long, global = true, env = "MALIKNODE_ROOT", value_name = "DIR")]
    #[serde(skip)]
    pub root: String,

    /// Address on which HTTP is served [default: 127.0.0.1:8085]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: String,

    /// The installation's name on the web, with its port if people type one; tenants live below
    /// it [default: localhost:<port of --listen>]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_BASE",
        value_name = "HOST[:PORT]"
    )]
    pub base: Option<String>,

    /// http, or https where a reverse proxy in front terminates TLS [default: http]
    #[arg(long, global = true, env = "MALIKNODE_SCHEME", value_name = "SCHEME")]
    pub scheme: String,

    /// Host or address that devices connect to by WireGuard [default: the base's host; for
    /// localhost this machine's primary address]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_PUBLIC_HOST",
        value_name = "HOST"
    )]
    pub public_host: Option<String>,

    /// Reverse proxies whose X-Forwarded-For and -Proto are trusted, comma-separated
    /// addresses or ranges [default: none]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_TRUSTED_PROXIES",
        value_name = "RANGES",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<String>,

    /// Whether their X-Forwarded-Host, and not Host, says which host is meant: true or false
    /// [default: false]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_FORWARDED_HOST",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub forwarded_host: bool,

    /// Addresses or ranges, comma-separated, from which operators' pages and their part of the
    /// API are answered [default: all]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_OPERATOR_FROM",
        value_name = "RANGES",
        value_delimiter = ','
    )]
    pub operator_from: Vec<String>,

    /// Address of your own privacy notice, which the page Privacy links [default: none]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_PRIVACY_NOTICE",
        value_name = "URL"
    )]
    pub privacy_notice: Option<String>,

    /// sqlite:///path or postgres://user:password@host/database
    /// [default: sqlite:<root>/central_api/database.sqlite]
    #[arg(long, global = true, env = "MALIKNODE_DATABASE_URL", value_name = "URL", value_parser = parse_secret, hide_env_values = true)]
    #[serde(deserialize_with = "deserialize_secret")]
    pub database_url: Option<Secret>,

    /// File with the key of what is sealed in the database; `maliknode seal-key create` makes
    /// it [default: <root>/central_api/seal.key]
    #[arg(long, global = true, env = "MALIKNODE_SEAL_KEY", value_name = "FILE")]
    pub seal_key: Option<String>,

    /// Whether tenants' folders have their keys in files, for wg(8): true or false. Without,
    /// they are in the database alone, sealed [default: true]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_KEY_FILES",
        value_name = "BOOL",
        action = ArgAction::Set
    )]
    pub key_files: bool,

    /// auto, kernel or userspace [default: auto]
    #[arg(long, global = true, env = "MALIKNODE_WIREGUARD", value_name = "WHICH")]
    pub wireguard: String,

    /// Systemd unit that runs the userspace WireGuard, deploy/maliknode-wireguard.service
    /// [default: none; it is a child process]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_WIREGUARD_UNIT",
        value_name = "UNIT"
    )]
    pub wireguard_unit: Option<String>,

    /// Docker's socket [default: DOCKER_HOST, else unix:///var/run/docker.sock]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_DOCKER_HOST",
        value_name = "SOCKET"
    )]
    pub docker_host: Option<String>,

    /// Folder of sockets and logs that need not survive a reboot [default: /run/maliknode]
    #[arg(long, global = true, env = "MALIKNODE_RUNTIME_DIR", value_name = "DIR")]
    pub runtime_dir: String,

    /// Group whose members may administer the installation by the command line, as root may
    /// [default: none]
    #[arg(long, global = true, env = "MALIKNODE_CLI_GROUP", value_name = "GROUP")]
    pub cli_group: Option<String>,

    /// Folder of the pages' scripts and styles [default: "site" beside the program]
    #[arg(long, global = true, env = "MALIKNODE_SITE", value_name = "DIR")]
    pub site: Option<String>,

    /// Slots that no tenant gets, comma-separated [default: none]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_EXCLUDED_SLOTS",
        value_name = "SLOTS",
        value_delimiter = ','
    )]
    pub excluded_slots: Vec<u16>,

    /// Private ranges that tenants may reach, comma-separated [default: none]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_ALLOWED_PRIVATE",
        value_name = "RANGES",
        value_delimiter = ','
    )]
    pub allowed_private: Vec<String>,

    /// Who may sign up: open, invite or closed. An operator can change it in the panel, which
    /// counts more than this [default: open]
    #[arg(long, global = true, env = "MALIKNODE_SIGN_UP", value_name = "WHO")]
    pub sign_up: String,

    /// Sign-ups per hour from all addresses together, 0 for no limit [default: 200]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_SIGN_UPS_PER_HOUR_TOTAL",
        value_name = "N"
    )]
    pub sign_ups_per_hour_total: u32,

    /// How many hours after its sign-up a tenant's DNS filter is stopped if no device has
    /// connected, 0 to 8760, 0 for never; it starts when the tenant is used [default: 24]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_SLEEP_AFTER_HOURS",
        value_name = "HOURS"
    )]
    pub sleep_after_hours: u16,

    /// Sign-ups per hour from one address, 0 for no limit [default: 20]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_SIGN_UPS_PER_HOUR",
        value_name = "N"
    )]
    pub sign_ups_per_hour: u32,

    /// Memory of this machine that stays free, MiB; a sign-up for which the rest is too little is
    /// refused [default: a tenth, 256 at least]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_MEMORY_RESERVE_MB",
        value_name = "MIB"
    )]
    pub memory_reserve_mb: Option<u64>,

    /// Highest number of tenants, even if more would fit [default: as many as fit]
    #[arg(long, global = true, env = "MALIKNODE_MAX_TENANTS", value_name = "N")]
    pub max_tenants: Option<u16>,

    /// Time zone in which the months of new tenants begin, e.g. Europe/Berlin [default: UTC]
    #[arg(long, global = true, env = "MALIKNODE_TIME_ZONE", value_name = "ZONE")]
    pub time_zone: String,

    /// Whether it is a control plane alone, without tenants on this machine: true or false. Others may
    /// run beside it. Needs PostgreSQL and --nodes-listen [default: false]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_NO_NODE",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub no_node: bool,

    /// How the log is written: text, or json, a line for each entry [default: text]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    pub log_format: String,

    #[command(flatten)]
    // No doc comment: it would become the command's own help text.
    pub addresses: AddressSettings,

    #[command(flatten)]
    pub nodes: NodesSettings,

    #[command(flatten)]
    pub names: NamesSettings,

    #[command(flatten)]
    pub metrics: MetricsSettings,

    #[command(flatten)]
    pub api: ApiSettings,

    #[command(flatten)]
    pub mail: MailSettings,

    #[command(flatten)]
    pub dns: DnsSettings,

    #[command(flatten)]
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root: "/etc/maliknode".to_owned(),
            listen: "127.0.0.1:8085".to_owned(),
            base: None,
            scheme: "http".to_owned(),
            public_host: None,
            trusted_proxies: Vec::new(),
            operator_from: Vec::new(),
            privacy_notice: None,
            forwarded_host: false,
            database_url: None,
            wireguard: "auto".to_owned(),
            wireguard_unit: None,
            docker_host: None,
            runtime_dir: "/run/maliknode".to_owned(),
            cli_group: None,
            seal_key: None,
            key_files: true,
            site: None,
            excluded_slots: Vec::new(),
            allowed_private: Vec::new(),
            sign_up: "open".to_owned(),
            sign_ups_per_hour_total: 200,
            sleep_after_hours: 24,
            sign_ups_per_hour: 20,
            memory_reserve_mb: None,
            max_tenants: None,
            time_zone: "UTC".to_owned(),
            no_node: false,
            log_format: "text".to_owned(),
            addresses: AddressSettings::default(),
            nodes: NodesSettings::default(),
            names: NamesSettings::default(),
            metrics: MetricsSettings::default(),
            api: ApiSettings::default(),
            mail: MailSettings::default(),
            dns: DnsSettings::default(),
            limits: Limits::default(),
        }
    }
}

/// `[addresses]`.
#[derive(Args, Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct AddressSettings {
    /// Range of all tunnels, a /14 or larger [default: 10.88.0.0/14]
    #[arg(
        id = "addresses.tunnels",
        long = "addresses-tunnels",
        global = true,
        env = "MALIKNODE_ADDRESSES_TUNNELS",
        value_name = "RANGE"
    )]
    pub tunnels: String,

    /// Range of the DNS containers, a /21 or larger [default: 10.92.0.0/21]
    #[arg(
        id = "addresses.containers",
        long = "addresses-containers",
        global = true,
        env = "MALIKNODE_ADDRESSES_CONTAINERS",
        value_name = "RANGE"
    )]
    pub containers: String,

    /// Prefix of IPv6 inside tunnels, a /48 of fd00::/8; only for a new installation [default: random]
    #[arg(
        id = "addresses.ipv6_prefix",
        long = "addresses-ipv6-prefix",
        global = true,
        env = "MALIKNODE_ADDRESSES_IPV6_PREFIX",
        value_name = "PREFIX"
    )]
    pub ipv6_prefix: Option<String>,
}

impl Default for AddressSettings {
    fn default() -> Self {
        let plan = AddressPlan::default();
        Self {
            tunnels: plan.tunnels.to_string(),
            containers: plan.containers.to_string(),
            ipv6_prefix: None,
        }
    }
}

/// `[nodes]`.
#[derive(Args, Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct NodesSettings {
    /// Address on which workers are answered, e.g. 0.0.0.0:8443; needs PostgreSQL [default: none]
    #[arg(
        id = "nodes.listen",
        long = "nodes-listen",
        global = true,
        env = "MALIKNODE_NODES_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: Option<String>,

    /// Where workers reach it [default: https://<public_host>:<port of nodes.listen>]
    #[arg(
        id = "nodes.address",
        long = "nodes-address",
        global = true,
        env = "MALIKNODE_NODES_ADDRESS",
        value_name = "https://HOST:PORT"
    )]
    pub address: Option<String>,

    /// Where workers reach this control plane and no other, if there are several
    /// [default: nodes.address]
    #[arg(
        id = "nodes.own_address",
        long = "nodes-own-address",
        global = true,
        env = "MALIKNODE_NODES_OWN_ADDRESS",
        value_name = "https://HOST:PORT"
    )]
    pub own_address: Option<String>,

    /// For how many hours the node that a tenant has left sends its packets on to the new
    /// one, 0 to 720 [default: 24]
    #[arg(
        id = "nodes.forward_hours",
        long = "nodes-forward-hours",
        global = true,
        env = "MALIKNODE_NODES_FORWARD_HOURS",
        value_name = "HOURS"
    )]
    pub forward_hours: u16,
}

impl Default for NodesSettings {
    fn default() -> Self {
        Self {
            listen: None,
            address: None,
            own_address: None,
            forward_hours: 24,
        }
    }
}

/// `[metrics]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MetricsSettings {
    /// Private address on which /metrics, /healthz and /readyz are answered without a token,
    /// e.g. 127.0.0.1:9185 [default: none]
    #[arg(
        id = "metrics.listen",
        long = "metrics-listen",
        global = true,
        env = "MALIKNODE_METRICS_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: Option<String>,
}

/// `[api]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ApiSettings {
    /// Origins whose pages may call the REST interface in a browser, comma-separated, e.g.
    /// https://status.example.org [default: none]
    #[arg(
        id = "api.cors_origins",
        long = "api-cors-origins",
        global = true,
        env = "MALIKNODE_API_CORS_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ','
    )]
    pub cors_origins: Vec<String>,
}

/// `[mail]`.
#[derive(Args, Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct MailSettings {
    /// Mail server that takes the installation's mail: smtps://HOST:PORT with TLS, or
    /// smtp://HOST:PORT with STARTTLS, and with neither for an address such as 127.0.0.1
    /// [default: none; no mail is sent]
    #[arg(
        id = "mail.server",
        long = "mail-server",
        global = true,
        env = "MALIKNODE_MAIL_SERVER",
        value_name = "URL"
    )]
    pub server: Option<String>,

    /// Whom mail comes from, e.g. MalikNode <vpn@example.org>; needed with mail.server
    /// [default: none]
    #[arg(
        id = "mail.from",
        long = "mail-from",
        global = true,
        env = "MALIKNODE_MAIL_FROM",
        value_name = "SENDER"
    )]
    pub from: Option<String>,

    /// User that signs in to the mail server [default: none; it asks for no sign-in]
    #[arg(
        id = "mail.user",
        long = "mail-user",
        global = true,
        env = "MALIKNODE_MAIL_USER",
        value_name = "USER"
    )]
    pub user: Option<String>,

    /// Password of that user [default: none]
    #[arg(id = "mail.password", long = "mail-password", global = true, env = "MALIKNODE_MAIL_PASSWORD", value_name = "PASSWORD", value_parser = parse_secret, hide_env_values = true)]
    #[serde(deserialize_with = "deserialize_secret")]
    pub password: Option<Secret>,

    /// File with that password, instead of mail.password [default: none]
    #[arg(
        id = "mail.password_file",
        long = "mail-password-file",
        global = true,
        env = "MALIKNODE_MAIL_PASSWORD_FILE",
        value_name = "FILE"
    )]
    pub password_file: Option<String>,

    /// File with certificates (PEM) of authorities that the mail server's may be of, beside the
    /// system's [default: none]
    #[arg(
        id = "mail.ca_file",
        long = "mail-ca-file",
        global = true,
        env = "MALIKNODE_MAIL_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<String>,

    /// Mails that are sent in an hour, 1 to 1000000; more wait [default: 500]
    #[arg(
        id = "mail.per_hour",
        long = "mail-per-hour",
        global = true,
        env = "MALIKNODE_MAIL_PER_HOUR",
        value_name = "N"
    )]
    pub per_hour: u32,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            server: None,
            from: None,
            user: None,
            password: None,
            password_file: None,
            ca_file: None,
            per_hour: 500,
        }
    }
}

/// `[dns]`.
#[derive(Args, Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct DnsSettings {
    /// Resolvers that answer what is not blocked, comma-separated: 9.9.9.10, tls://…, https://…
    /// [default: https://dns10.quad9.net/dns-query]
    #[arg(
        id = "dns.upstreams",
        long = "dns-upstreams",
        global = true,
        env = "MALIKNODE_DNS_UPSTREAMS",
        value_name = "RESOLVERS",
        value_delimiter = ','
    )]
    pub upstreams: Vec<String>,

    /// Plain resolvers for the host names of upstreams, comma-separated
    /// [default: 9.9.9.10,149.112.112.10]
    #[arg(
        id = "dns.bootstrap",
        long = "dns-bootstrap",
        global = true,
        env = "MALIKNODE_DNS_BOOTSTRAP",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    pub bootstrap: Vec<String>,

    /// Resolvers that are used while no upstream answers, comma-separated [default: 9.9.9.10,149.112.112.10]
    #[arg(
        id = "dns.fallback",
        long = "dns-fallback",
        global = true,
        env = "MALIKNODE_DNS_FALLBACK",
        value_name = "RESOLVERS",
        value_delimiter = ','
    )]
    pub fallback: Vec<String>,

    /// AdGuard Home's image with its tag, and the digest by which it is pulled
    /// [default: adguard/adguardhome:v0.107.79@sha256:aba9e3bf0613be3ba3755e1fc311b126e2c24bec25e18b6483894a88283074f0]
    #[arg(
        id = "dns.image",
        long = "dns-image",
        global = true,
        env = "MALIKNODE_DNS_IMAGE",
        value_name = "IMAGE"
    )]
    pub image: String,

    /// Memory limit of a tenant's DNS container, MiB [default: 256]
    #[arg(
        id = "dns.memory_mb",
        long = "dns-memory-mb",
        global = true,
        env = "MALIKNODE_DNS_MEMORY_MB",
        value_name = "MIB"
    )]
    pub memory_mb: u64,

    /// The shared block lists; only the file can set them.
    #[arg(skip)]
    pub lists: Vec<ListSetting>,
}

/// The image by default. The digest is that of the list of images for all processors.
const DEFAULT_IMAGE: &str = "adguard/adguardhome:v0.107.79@sha256:aba9e3bf0613be3ba3755e1fc311b126e2c24bec25e18b6483894a88283074f0";

impl Default for DnsSettings {
    fn default() -> Self {
        let settings = AdGuardSettings::default();
        let bootstrap = settings.bootstrap.iter();
        Self {
            upstreams: settings.upstreams,
            bootstrap: bootstrap.map(ToString::to_string).collect(),
            fallback: settings.fallback,
            // Pinned; `tools/dev/env.sh` builds the same.
            image: DEFAULT_IMAGE.to_owned(),
            memory_mb: 256,
            lists: List::defaults().iter().map(ListSetting::from).collect(),
        }
    }
}

/// An entry of `[[dns.lists]]`: a block list that every tenant starts with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ListSetting {
    /// A unique number, from 1, that never changes.
    pub id: u32,
    /// The name that tenants see in AdGuard Home.
    pub name: String,
    /// An `https://…` address. Exactly one of `url` and `path` is set.
    #[serde(default)]
    pub url: Option<String>,
    /// A file on this machine.
    #[serde(default)]
    pub path: Option<PathBuf>,
}

impl ListSetting {
    /// The keys of an entry, as they are printed.
    pub(super) const KEYS: [&str; 4] = ["id", "name", "url", "path"];

    /// Converts it for the DNS filter. Returns `None` unless it has exactly one
    /// source.
    pub fn list(&self) -> Option<List> {
        let source = match (&self.url, &self.path) {
            (Some(url), None) => ListSource::Url(url.clone()),
            (None, Some(path)) => ListSource::Path(path.clone()),
            _ => return None,
        };
        Some(List {
            id: self.id,
            name: self.name.clone(),
            source,
        })
    }
}

impl From<&List> for ListSetting {
    fn from(list: &List) -> Self {
        let (url, path) = match &list.source {
            ListSource::Url(url) => (Some(url.clone()), None),
            ListSource::Path(path) => (None, Some(path.clone())),
        };
        Self {
            id: list.id,
            name: list.name.clone(),
            url,
            path,
        }
    }
}

/// The flags and the environment variables of a call. They override the file, so
/// they are applied after it was read. It has no `Debug`: a variable may hold a
/// password.
pub struct Flags(ArgMatches);

impl Flags {
    /// Returns the settings with those that a flag or a variable sets.
    ///
    /// # Errors
    /// None today: clap has checked the values already.
    pub(super) fn apply(&self, mut settings: Settings) -> Result<Settings, clap::Error> {
        settings.update_from_arg_matches(&self.0)?;
        Ok(settings)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

// The arguments "for update" are the same, with none required.
impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        Settings::augment_args_for_update(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Settings::augment_args_for_update(command)
    }
}

/// A setting as its help describes it.
pub(super) struct Described {
    /// Its key in the file, such as `dns.image`.
    pub key: String,
    /// What applies where it is not set, in words.
    pub default: String,
}

/// Returns every setting in the order of the help, but not `dns.lists`, which only
/// the file can set.
pub(super) fn described() -> Vec<Described> {
    let command = Flags::augment_args(Command::new(""));
    let describe = |arg: &clap::Arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default = help.rsplit_once("[default: ").map(|(_, d)| d);
        Described {
            key: arg.get_id().to_string(),
            default: default.unwrap_or_default().trim_end_matches(']').to_owned(),
        }
    };
    command.get_arguments().map(describe).collect()
}

/// Returns every key of the file. The root is not one: the file is below it.
pub(super) fn file_keys() -> Vec<String> {
    let keys = described().into_iter().map(|d| d.key);
    let lists = ListSetting::KEYS.map(|key| format!("dns.lists.{key}"));
    keys.filter(|key| key != "root").chain(lists).collect()
}
