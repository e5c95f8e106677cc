//! The settings as somebody writes them: on the command line, in the
//! environment or in the file. All optional; one struct for the three, so that
//! they cannot drift apart.

use adguard::{List, Source};
use clap::Args;
use domain::Secret;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// What holds where nothing is set.
pub mod defaults {
    use std::net::Ipv4Addr;

    /// The root of the disk layout.
    pub const ROOT: &str = "/etc/maliknode";
    /// Where HTTP is served.
    pub const LISTEN: &str = "127.0.0.1:8085";
    /// Which WireGuard.
    pub const WIREGUARD: &str = "auto";
    /// Sockets and logs.
    pub const RUNTIME_DIR: &str = "/run/maliknode";
    /// The pinned AdGuard Home image (`deploy/dev/env.sh` builds the same).
    pub const IMAGE: &str = "adguard/adguardhome:v0.107.79";
    /// A container's memory limit, MiB.
    pub const MEMORY_MB: u64 = 256;
    /// Sign-ups an hour from one address.
    pub const SIGN_UPS_PER_HOUR: u32 = 20;
    /// The last resort for plain DNS: Quad9 without filtering.
    pub const PLAIN_RESOLVER: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 10);
}

/// What can be set. See `deploy/config.example.toml`.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Folder of configuration, database, keys and tenants' files [default: /etc/maliknode]
    #[arg(long, global = true, env = "MALIKNODE_ROOT", value_name = "DIR")]
    #[serde(skip)]
    pub root: Option<String>,

    /// Where HTTP is served [default: 127.0.0.1:8085]
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

    /// Reverse proxies whose X-Forwarded-For, -Proto and -Host count, comma-separated addresses
    /// or ranges [default: none]
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
    #[arg(long, global = true, env = "MALIKNODE_DATABASE_URL", value_name = "URL", value_parser = secret, hide_env_values = true)]
    #[serde(deserialize_with = "secret_text")]
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

    /// Slots never given away, comma-separated [default: none]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_EXCLUDED_SLOTS",
        value_name = "SLOTS",
        value_delimiter = ','
    )]
    pub excluded_slots: Option<Vec<u16>>,

    /// Private ranges tenants may reach all the same, comma-separated [default: none]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_ALLOWED_PRIVATE",
        value_name = "RANGES",
        value_delimiter = ','
    )]
    pub allowed_private: Option<Vec<String>>,

    /// Sign-ups an hour from one address, 0 for no limit [default: 20]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_SIGN_UPS_PER_HOUR",
        value_name = "N"
    )]
    pub sign_ups_per_hour: Option<u32>,

    /// Memory of this machine that tenants are to leave free, MiB; who does not fit beside it is
    /// refused at sign-up [default: a tenth, 256 at least]
    #[arg(
        long,
        global = true,
        env = "MALIKNODE_MEMORY_RESERVE_MB",
        value_name = "MIB"
    )]
    pub memory_reserve_mb: Option<u64>,

    /// Tenants at most, whatever else would fit [default: as many as fit]
    #[arg(long, global = true, env = "MALIKNODE_MAX_TENANTS", value_name = "N")]
    pub max_tenants: Option<u16>,

    #[command(flatten)]
    #[allow(missing_docs)] // a comment here would become the command's own help text
    pub addresses: AddressSettings,

    #[command(flatten)]
    #[allow(missing_docs)]
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

    /// Plain resolvers that tell the addresses of upstreams which are names
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

    /// Resolvers asked where no upstream answers [default: 9.9.9.10,149.112.112.10]
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

    /// The shared block lists; in the file only.
    #[arg(skip)]
    pub lists: Option<Vec<ListSetting>>,
}

/// `[[dns.lists]]`: a block list every tenant starts with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListSetting {
    /// Its fixed number, from 1.
    pub id: u32,
    /// What tenants read in AdGuard Home.
    pub name: String,
    /// `https://…`, …
    #[serde(default)]
    pub url: Option<String>,
    /// … or a file of this machine.
    #[serde(default)]
    pub path: Option<PathBuf>,
}

impl ListSetting {
    /// As the DNS filter takes it; `None` without exactly one source.
    pub fn list(&self) -> Option<List> {
        let source = match (&self.url, &self.path) {
            (Some(url), None) => Source::Url(url.clone()),
            (None, Some(path)) => Source::Path(path.clone()),
            _ => return None,
        };
        Some(List {
            id: self.id,
            name: self.name.clone(),
            source,
        })
    }
}

/// The lists of an installation that names none.
pub(super) fn usual_lists() -> Vec<ListSetting> {
    let setting = |l: List| {
        let (url, path) = match l.source {
            Source::Url(url) => (Some(url), None),
            Source::Path(path) => (None, Some(path)),
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

/// Every setting's name in the file.
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
    /// These, and where one is not set, the other's.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            root: self.root.or(below.root),
            listen: self.listen.or(below.listen),
            base: self.base.or(below.base),
            scheme: self.scheme.or(below.scheme),
            public_host: self.public_host.or(below.public_host),
            trusted_proxies: self.trusted_proxies.or(below.trusted_proxies),
            database_url: self.database_url.or(below.database_url),
            wireguard: self.wireguard.or(below.wireguard),
            docker_host: self.docker_host.or(below.docker_host),
            runtime_dir: self.runtime_dir.or(below.runtime_dir),
            site: self.site.or(below.site),
            excluded_slots: self.excluded_slots.or(below.excluded_slots),
            allowed_private: self.allowed_private.or(below.allowed_private),
            sign_ups_per_hour: self.sign_ups_per_hour.or(below.sign_ups_per_hour),
            memory_reserve_mb: self.memory_reserve_mb.or(below.memory_reserve_mb),
            max_tenants: self.max_tenants.or(below.max_tenants),
            addresses: AddressSettings {
                tunnels: self.addresses.tunnels.or(below.addresses.tunnels),
                containers: self.addresses.containers.or(below.addresses.containers),
            },
            dns: DnsSettings {
                upstreams: self.dns.upstreams.or(below.dns.upstreams),
                bootstrap: self.dns.bootstrap.or(below.dns.bootstrap),
                fallback: self.dns.fallback.or(below.dns.fallback),
                image: self.dns.image.or(below.dns.image),
                memory_mb: self.dns.memory_mb.or(below.dns.memory_mb),
                lists: self.dns.lists.or(below.dns.lists),
            },
        }
    }
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

fn secret_text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.map(Secret::new))
}
