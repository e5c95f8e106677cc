//! The checked configuration: what it consists of, and how it is made of the settings.
//! It serialises as the file that would mean the same, for `maliknode config`, with
//! passwords redacted.

use super::{
    base::Base,
    check,
    error::ConfigError,
    file,
    limits::Limits,
    log_format::LogFormat,
    mail::MailConfig,
    names::NamesConfig,
    redacted, resolvers,
    settings::{DnsSettings, Flags, NodesSettings, Settings},
};
use domain::{AddressPlan, Ipv6Prefix, Message, Secret, SignUpMode, Slot};
use ipnet::{IpNet, Ipv4Net};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};
use store::DatabaseUrl;
use wireguard::Choice;

/// The plain resolver where neither a fallback nor a bootstrap resolver is set:
/// Quad9 without filtering.
const PLAIN_RESOLVER: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 10);

/// Everything the operator can set, checked and with all defaults.
#[derive(Clone, Debug, Serialize)]
pub struct Config {
    /// The folder of configuration, database, keys and tenants' files.
    #[serde(serialize_with = "redacted::path")]
    pub root: PathBuf,
    /// The address on which HTTP is served.
    pub listen: SocketAddr,
    /// The installation's name on the web.
    #[serde(serialize_with = "redacted::text")]
    pub base: Base,
    /// `http` or `https`, as browsers see it.
    pub scheme: &'static str,
    /// The host devices connect to by WireGuard; an IPv6 address in brackets.
    pub public_host: String,
    /// The reverse proxies whose `X-Forwarded-*` headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether their `X-Forwarded-Host` says which host is meant.
    pub forwarded_host: bool,
    /// Where operators' pages and their part of the API are answered from; empty for all.
    pub operator_from: Vec<IpNet>,
    /// The address of the operator's own privacy notice.
    pub privacy_notice: Option<String>,
    #[serde(serialize_with = "redacted::database_url")]
    pub database_url: DatabaseUrl,
    /// The file with the key of what is sealed in the database.
    #[serde(serialize_with = "redacted::path")]
    pub seal_key: PathBuf,
    /// Whether tenants' folders have their keys in files.
    pub key_files: bool,
    pub addresses: AddressesConfig,
    #[serde(serialize_with = "redacted::choice")]
    pub wireguard: Choice,
    /// The systemd unit that runs the userspace WireGuard; `None` means a child process.
    pub wireguard_unit: Option<String>,
    /// Where workers are answered.
    pub nodes: NodesConfig,
    pub dns: DnsConfig,
    /// How much of what all share one tenant may take.
    pub limits: Limits,
    /// Docker's socket; `None` means Docker's own default.
    pub docker_host: Option<String>,
    /// The folder of the helper processes' sockets and logs, empty after a reboot.
    #[serde(serialize_with = "redacted::path")]
    pub runtime_dir: PathBuf,
    /// The group whose members may use the command line as root does.
    pub cli_group: Option<String>,
    /// The folder of the pages' scripts and styles.
    #[serde(serialize_with = "redacted::path")]
    pub site: PathBuf,
    /// Slots that no tenant gets.
    pub excluded_slots: BTreeSet<Slot>,
    /// Private ranges that tenants may reach although they are private.
    pub allowed_private: Vec<Ipv4Net>,
    /// Who may sign up, where no operator has set it.
    pub sign_up: SignUpMode,
    /// Sign-ups per hour from all addresses; 0 means no limit.
    pub sign_ups_per_hour_total: u32,
    /// How many hours after its sign-up an unused tenant is put to sleep; 0 means never.
    pub sleep_after_hours: u16,
    /// Sign-ups per hour from one address; 0 means no limit.
    pub sign_ups_per_hour: u32,
    /// Memory that stays free, in MiB; `None` means a tenth of the machine's.
    pub memory_reserve_mb: Option<u64>,
    /// The highest number of tenants; `None` means as many as fit.
    pub max_tenants: Option<u16>,
    /// The time zone in which the months of new tenants begin.
    pub time_zone: String,
    /// Whether it is a control plane without a node of its own.
    pub no_node: bool,
    /// How the log is written.
    pub log_format: LogFormat,
    /// The name server of tenants' endpoints.
    pub names: NamesConfig,
    /// Where metrics are answered.
    pub metrics: MetricsConfig,
    /// The REST interface.
    pub api: ApiConfig,
    /// How mail is sent.
    pub mail: MailConfig,
}

/// The settings in `[metrics]`.
#[derive(Clone, Debug, Serialize)]
pub struct MetricsConfig {
    /// The address on which metrics and health are answered; `None` means nowhere.
    pub listen: Option<SocketAddr>,
}

/// The settings in `[api]`.
#[derive(Clone, Debug, Serialize)]
pub struct ApiConfig {
    /// The origins whose pages may call the REST interface, as browsers write them.
    pub cors_origins: Vec<String>,
}

/// The settings in `[addresses]`.
#[derive(Clone, Debug, Serialize)]
pub struct AddressesConfig {
    /// The ranges of IPv4.
    #[serde(flatten)]
    pub plan: AddressPlan,
    /// The prefix of IPv6 inside tunnels of a new installation; `None` means a random one.
    pub ipv6_prefix: Option<Ipv6Prefix>,
}

/// The settings in `[nodes]`.
#[derive(Clone, Debug, Serialize)]
pub struct NodesConfig {
    /// The address on which workers are answered; `None` means nowhere.
    pub listen: Option<SocketAddr>,
    /// Where workers reach it; `None` where there are none.
    pub address: Option<String>,
    /// Where workers reach this control plane among several; `None` where there are none.
    pub own_address: Option<String>,
    /// For how many hours a node sends the packets of a tenant on that has left it.
    pub forward_hours: u16,
}

impl NodesConfig {
    fn resolve(s: &NodesSettings, public_host: &str) -> Result<Self, ConfigError> {
        let listen = s.listen.as_deref().map(check::nodes_listen).transpose()?;
        let reached = listen.map(|listen| format!("https://{public_host}:{}", listen.port()));
        let address = |key, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| check::nodes_address(key, text)).transpose()
        };
        let own_address = address("nodes.own_address", &s.own_address)?;
        let address = address("nodes.address", &s.address)?.or(reached);
        Ok(Self {
            listen,
            own_address: own_address.or_else(|| address.clone()),
            address,
            forward_hours: check::forward_hours(s.forward_hours)?,
        })
    }
}

/// The settings in `[dns]`.
#[derive(Clone, Debug, Serialize)]
pub struct DnsConfig {
    /// Resolvers for names that are not blocked.
    pub upstreams: Vec<String>,
    /// Plain resolvers for the host names of upstreams.
    pub bootstrap: Vec<Ipv4Addr>,
    /// Resolvers that are used while no upstream answers.
    pub fallback: Vec<String>,
    /// The AdGuard Home image, with its tag, and the digest by which it is pulled.
    pub image: String,
    /// The memory limit of a container, in MiB.
    pub memory_mb: u64,
    /// The shared block lists.
    #[serde(serialize_with = "redacted::lists")]
    pub lists: Vec<adguard::List>,
}

impl DnsConfig {
    fn resolve(s: DnsSettings) -> Result<Self, ConfigError> {
        Ok(Self {
            upstreams: check::upstreams(s.upstreams)?,
            bootstrap: check::bootstrap(&s.bootstrap)?,
            fallback: s.fallback,
            image: check::image(s.image)?,
            memory_mb: check::memory_mb(s.memory_mb)?,
            lists: check::lists(&s.lists)?,
        })
    }

    /// Returns the image under the name that the engine has it.
    pub fn local_image(&self) -> &str {
        containers::image::split_digest(&self.image).0
    }

    /// Returns the addresses of all resolvers that are named by one.
    pub fn resolver_addresses(&self) -> BTreeSet<Ipv4Addr> {
        let named = self.upstreams.iter().chain(&self.fallback);
        let mut all = resolvers::addresses(named.map(String::as_str));
        all.extend(&self.bootstrap);
        all.insert(self.plain_fallback());
        all
    }

    /// Returns the plain resolver that tunnels use while the image is missing.
    pub fn plain_fallback(&self) -> Ipv4Addr {
        let plain = self.fallback.iter().find_map(|f| f.parse().ok());
        plain
            .or_else(|| self.bootstrap.first().copied())
            .unwrap_or(PLAIN_RESOLVER)
    }
}

impl Config {
    /// Reads the file below the root, if there is one, applies the flags to it and
    /// checks the result.
    ///
    /// # Errors
    /// A message that names the setting or the file.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let root = check::absolute(&flags.apply(Settings::default())?.root)?;
        let file = file::read(&root.join("central_api"))?;
        Self::resolve(root, flags.apply(file)?)
    }

    /// Checks the flags alone, for a user who cannot read the file.
    ///
    /// # Errors
    /// A message that names the setting.
    pub fn of_flags(flags: &Flags) -> Result<Self, ConfigError> {
        let settings = flags.apply(Settings::default())?;
        let root = check::absolute(&settings.root)?;
        Self::resolve(root, settings)
    }

    /// Returns whether a flag or a variable of the environment sets `database_url`, which
    /// overrides the file.
    pub fn is_database_url_overridden(flags: &Flags) -> bool {
        let in_file = Settings {
            database_url: Some(Secret::new("the file's")),
            ..Settings::default()
        };
        let expected = in_file.database_url.clone();
        let applied = flags.apply(in_file);
        applied.is_ok_and(|settings| settings.database_url != expected)
    }

    /// Returns the configuration of a file's text alone, without flags. The file's
    /// name says whether it is TOML or JSON (`.json`), and appears in the errors.
    ///
    /// # Errors
    /// A message that names the setting or the file.
    pub fn from_text(root: PathBuf, file: PathBuf, text: &str) -> Result<Self, ConfigError> {
        Self::resolve(root, file::parse(file, text)?)
    }

    pub(super) fn resolve(root: PathBuf, s: Settings) -> Result<Self, ConfigError> {
        let listen = check::listen(&s.listen)?;
        let base = match &s.base {
            Some(text) => Base::parse(text)?,
            None => Base::localhost(listen.port()),
        };
        let public_host = match &s.public_host {
            Some(text) => check::public_host(text)?,
            None if base.is_local() => check::primary_address().to_string(),
            None => base.host().to_owned(),
        };
        let database_url = match &s.database_url {
            Some(url) => check::database_url(url.expose())?,
            None => DatabaseUrl::Sqlite(root.join("central_api/database.sqlite")),
        };
        let nodes = NodesConfig::resolve(&s.nodes, &public_host)?;
        let names = NamesConfig::resolve(&s.names, &base)?;
        check::no_node(s.no_node, &database_url, nodes.listen)?;
        let seal_key = match &s.seal_key {
            Some(path) => check::absolute(path)?,
            None => root.join("central_api/seal.key"),
        };
        Ok(Self {
            root,
            seal_key,
            key_files: s.key_files,
            listen,
            base,
            scheme: check::scheme(&s.scheme)?,
            public_host,
            trusted_proxies: check::networks(&s.trusted_proxies)?,
            forwarded_host: s.forwarded_host,
            operator_from: check::operator_networks(&s.operator_from)?,
            privacy_notice: check::privacy_notice(s.privacy_notice.as_deref())?,
            database_url,
            addresses: AddressesConfig {
                plan: check::addresses(&s.addresses)?,
                ipv6_prefix: check::ipv6_prefix(s.addresses.ipv6_prefix.as_deref())?,
            },
            wireguard: check::wireguard(&s.wireguard)?,
            wireguard_unit: s.wireguard_unit.map(check::unit).transpose()?,
            nodes,
            names,
            dns: DnsConfig::resolve(s.dns)?,
            limits: s.limits.check()?,
            docker_host: s.docker_host,
            runtime_dir: check::absolute(&s.runtime_dir)?,
            cli_group: s.cli_group,
            site: s.site.map_or_else(check::find_site, PathBuf::from),
            excluded_slots: check::slots(&s.excluded_slots)?,
            allowed_private: check::ipv4_networks(&s.allowed_private)?,
            sign_up: check::sign_up(&s.sign_up)?,
            sign_ups_per_hour_total: s.sign_ups_per_hour_total,
            sleep_after_hours: check::sleep_after_hours(s.sleep_after_hours)?,
            sign_ups_per_hour: s.sign_ups_per_hour,
            memory_reserve_mb: s.memory_reserve_mb,
            max_tenants: check::max_tenants(s.max_tenants)?,
            time_zone: check::time_zone(&s.time_zone)?,
            no_node: s.no_node,
            log_format: check::log_format(&s.log_format)?,
            metrics: MetricsConfig {
                listen: check::metrics_listen(s.metrics.listen.as_deref())?,
            },
            api: ApiConfig {
                cors_origins: check::cors_origins(&s.api.cors_origins)?,
            },
            mail: MailConfig::resolve(s.mail)?,
        })
    }

    /// Returns all settings as TOML, with passwords redacted.
    pub fn to_toml(&self) -> String {
        redacted::to_toml(&self.values())
    }

    /// Returns the values by their keys in the file. Serialising them cannot fail: all
    /// keys are texts, and paths are written as they are displayed.
    pub(super) fn values(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Returns `http://<base>`, or `http://<sub>.<base>` for a subdomain.
    pub fn url(&self, sub: &str) -> String {
        let dot = if sub.is_empty() { "" } else { "." };
        format!("{}://{sub}{dot}{}", self.scheme, self.base)
    }

    /// Returns what is wrong with `scheme` and `trusted_proxies` together, and what
    /// to do: behind a proxy that is not trusted, all visitors have its address.
    pub fn proxy_problem(&self) -> Option<Message> {
        (self.scheme == "https" && self.trusted_proxies.is_empty())
            .then_some(Message::ProxyUntrusted)
    }

    /// Returns what is wrong with `scheme` and `base` together: names that others reach are
    /// served without TLS, or `scheme` does not say that a proxy adds it.
    pub fn scheme_problem(&self) -> Option<Message> {
        let is_public = self.scheme == "http" && !self.base.is_local();
        is_public.then(|| Message::SchemeWithoutTls {
            base: self.base.to_string(),
        })
    }

    /// Returns the memory that stays free, in bytes.
    pub fn memory_reserve(&self) -> Option<u64> {
        self.memory_reserve_mb.map(|mb| mb.saturating_mul(1 << 20))
    }

    /// Returns the ports of the pages as devices reach them on this machine: what people
    /// type, what a reverse proxy redirects from, and ours unless it is only for a proxy.
    pub fn web_ports(&self) -> BTreeSet<u16> {
        let is_tls = self.scheme == "https";
        let typed = self.base.port().unwrap_or(if is_tls { 443 } else { 80 });
        let mut ports = BTreeSet::new();
        if !self.base.is_local() {
            ports.insert(typed);
            ports.extend(is_tls.then_some(80));
        }
        if !self.listen.ip().is_loopback() {
            ports.insert(self.listen.port());
        }
        ports
    }

    /// Returns this host's address on its way to the internet; `None` without one.
    pub fn primary_address() -> Option<Ipv4Addr> {
        Some(check::primary_address()).filter(|address| !address.is_loopback())
    }

    /// Returns the folder of database, key and configuration.
    pub fn central(&self) -> PathBuf {
        self.root.join("central_api")
    }

    /// Returns the folder of what a worker stores of itself. Only a worker has it.
    pub fn worker(&self) -> PathBuf {
        self.root.join("worker")
    }

    /// Returns the control socket of the userspace WireGuard.
    pub fn userspace_socket(&self) -> PathBuf {
        self.runtime_dir.join("wg-userspace.sock")
    }
}
