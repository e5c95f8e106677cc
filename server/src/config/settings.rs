//! The settings as the operator writes them: on the command line, in the
//! environment or in the file. All are optional. One struct serves all three, so
//! that they cannot drift apart.

use adguard::{List, ListSource};
use clap::Args;
use domain::Secret;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// The values of settings that are not set.
pub mod defaults {
    use std::net::Ipv4Addr;

    pub const ROOT: &str = "/etc/maliknode";
    pub const LISTEN: &str = "127.0.0.1:8085";
    pub const WIREGUARD: &str = "auto";
    pub const RUNTIME_DIR: &str = "/run/maliknode";
    /// The pinned AdGuard Home image (`tools/dev/env.sh` builds the same).
    pub const IMAGE: &str = "adguard/adguardhome:v0.107.79";
    pub const MEMORY_MB: u64 = 256;
    pub const SIGN_UPS_PER_HOUR: u32 = 20;
    /// The plain resolver where neither a fallback nor a bootstrap resolver is set:
    /// Quad9 without filtering.
    pub const PLAIN_RESOLVER: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 10);
}

/// All settings; `deploy/config.example.toml` explains them.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Folder of configuration, database, keys and tenants' files [default: /etc/maliknode]
    #[arg(long, global = true, env = "MALIKNODE_ROOT", value_name = "DIR")]
    #[serde(skip)]
    pub root: Option<String>,

    /// Address on which HTTP is served [default: 127.0.0.1:8085]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: Option<String>,

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
    pub scheme: Option<String>,

    /// Host or address that devices connect to by WireGuard [default: the base's host; for
    /// localhost this machine's primary address]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_PUBLIC_HOST",
        value_name = "HOST"
    )]
    pub public_host: Option<String>,

    /// Reverse proxies whose X-Forwarded-For, -Proto and -Host are trusted, comma-separated
    /// addresses or ranges [default: none]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_TRUSTED_PROXIES",
        value_name = "RANGES",
        value_delimiter = ','
    )]
    pub trusted_proxies: Option<Vec<String>>,

    /// sqlite:///path or postgres://user:password@host/database
    /// [default: sqlite:<root>/central_api/database.sqlite]
    #[arg(long, global = true, env = "MALIKNODE_DATABASE_URL", value_name = "URL", value_parser = parse_secret, hide_env_values = true)]
    #[serde(deserialize_with = "deserialize_secret")]
    pub database_url: Option<Secret>,

    /// auto, kernel or userspace [default: auto]
    #[arg(long, global = true, env = "MALIKNODE_WIREGUARD", value_name = "WHICH")]
    pub wireguard: Option<String>,

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
    pub runtime_dir: Option<String>,

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
    pub excluded_slots: Option<Vec<u16>>,

    /// Private ranges that tenants may reach, comma-separated [default: none]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_ALLOWED_PRIVATE",
        value_name = "RANGES",
        value_delimiter = ','
    )]
    pub allowed_private: Option<Vec<String>>,

    /// Sign-ups per hour from one address, 0 for no limit [default: 20]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_SIGN_UPS_PER_HOUR",
        value_name = "N"
    )]
    pub sign_ups_per_hour: Option<u32>,

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

    #[command(flatten)]
    // No doc comment: it would become the command's own help text.
    pub addresses: AddressSettings,

    #[command(flatten)]
    pub dns: DnsSettings,
}

/// `[addresses]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AddressSettings {
    /// Range of all tunnels, a /14 or larger [default: 10.88.0.0/14]
    #[arg(
        id = "addresses_tunnels",
        long = "addresses-tunnels",
        global = true,
        env = "MALIKNODE_ADDRESSES_TUNNELS",
        value_name = "RANGE"
    )]
    pub tunnels: Option<String>,

    /// Range of the DNS containers, a /21 or larger [default: 10.92.0.0/21]
    #[arg(
        id = "addresses_containers",
        long = "addresses-containers",
        global = true,
        env = "MALIKNODE_ADDRESSES_CONTAINERS",
        value_name = "RANGE"
    )]
    pub containers: Option<String>,
}

/// `[dns]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DnsSettings {
    /// Resolvers that answer what is not blocked, comma-separated: 9.9.9.10, tls://…, https://…
    /// [default: https://dns10.quad9.net/dns-query]
    #[arg(
        id = "dns_upstreams",
        long = "dns-upstreams",
        global = true,
        env = "MALIKNODE_DNS_UPSTREAMS",
        value_name = "RESOLVERS",
        value_delimiter = ','
    )]
    pub upstreams: Option<Vec<String>>,

    /// Plain resolvers for the host names of upstreams, comma-separated
    /// [default: 9.9.9.10,149.112.112.10]
    #[arg(
        id = "dns_bootstrap",
        long = "dns-bootstrap",
        global = true,
        env = "MALIKNODE_DNS_BOOTSTRAP",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    pub bootstrap: Option<Vec<String>>,

    /// Resolvers that are used while no upstream answers, comma-separated [default: 9.9.9.10,149.112.112.10]
    #[arg(
        id = "dns_fallback",
        long = "dns-fallback",
        global = true,
        env = "MALIKNODE_DNS_FALLBACK",
        value_name = "RESOLVERS",
        value_delimiter = ','
    )]
    pub fallback: Option<Vec<String>>,

    /// AdGuard Home's image with its tag [default: adguard/adguardhome:v0.107.79]
    #[arg(
        id = "dns_image",
        long = "dns-image",
        global = true,
        env = "MALIKNODE_DNS_IMAGE",
        value_name = "IMAGE"
    )]
    pub image: Option<String>,

    /// Memory limit of a tenant's DNS container, MiB [default: 256]
    #[arg(
        id = "dns_memory_mb",
        long = "dns-memory-mb",
        global = true,
        env = "MALIKNODE_DNS_MEMORY_MB",
        value_name = "MIB"
    )]
    pub memory_mb: Option<u64>,

    /// The shared block lists; only the file can set them.
    #[arg(skip)]
    pub lists: Option<Vec<ListSetting>>,
}

/// An entry of `[[dns.lists]]`: a block list that every tenant starts with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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

/// Returns the lists of an installation that sets none.
pub(super) fn default_lists() -> Vec<ListSetting> {
    let setting = |l: List| {
        let (url, path) = match l.source {
            ListSource::Url(url) => (Some(url), None),
            ListSource::Path(path) => (None, Some(path)),
        };
        ListSetting {
            id: l.id,
            name: l.name,
            url,
            path,
        }
    };
    List::defaults().into_iter().map(setting).collect()
}

/// The names of all settings in the file.
pub(super) const KNOWN: &[&str] = &[
    "listen",
    "base",
    "scheme",
    "public_host",
    "trusted_proxies",
    "database_url",
    "wireguard",
    "docker_host",
    "runtime_dir",
    "site",
    "excluded_slots",
    "allowed_private",
    "sign_ups_per_hour",
    "memory_reserve_mb",
    "max_tenants",
    "addresses.tunnels",
    "addresses.containers",
    "dns.upstreams",
    "dns.bootstrap",
    "dns.fallback",
    "dns.image",
    "dns.memory_mb",
    "dns.lists.id",
    "dns.lists.name",
    "dns.lists.url",
    "dns.lists.path",
];

impl Settings {
    /// Fills the settings that are not set from `fallback`.
    pub(super) fn or(self, fallback: Self) -> Self {
        Self {
            root: self.root.or(fallback.root),
            listen: self.listen.or(fallback.listen),
            base: self.base.or(fallback.base),
            scheme: self.scheme.or(fallback.scheme),
            public_host: self.public_host.or(fallback.public_host),
            trusted_proxies: self.trusted_proxies.or(fallback.trusted_proxies),
            database_url: self.database_url.or(fallback.database_url),
            wireguard: self.wireguard.or(fallback.wireguard),
            docker_host: self.docker_host.or(fallback.docker_host),
            runtime_dir: self.runtime_dir.or(fallback.runtime_dir),
            site: self.site.or(fallback.site),
            excluded_slots: self.excluded_slots.or(fallback.excluded_slots),
            allowed_private: self.allowed_private.or(fallback.allowed_private),
            sign_ups_per_hour: self.sign_ups_per_hour.or(fallback.sign_ups_per_hour),
            memory_reserve_mb: self.memory_reserve_mb.or(fallback.memory_reserve_mb),
            max_tenants: self.max_tenants.or(fallback.max_tenants),
            addresses: AddressSettings {
                tunnels: self.addresses.tunnels.or(fallback.addresses.tunnels),
                containers: self.addresses.containers.or(fallback.addresses.containers),
            },
            dns: DnsSettings {
                upstreams: self.dns.upstreams.or(fallback.dns.upstreams),
                bootstrap: self.dns.bootstrap.or(fallback.dns.bootstrap),
                fallback: self.dns.fallback.or(fallback.dns.fallback),
                image: self.dns.image.or(fallback.dns.image),
                memory_mb: self.dns.memory_mb.or(fallback.dns.memory_mb),
                lists: self.dns.lists.or(fallback.dns.lists),
            },
        }
    }
}

fn parse_secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

fn deserialize_secret<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.map(Secret::new))
}
