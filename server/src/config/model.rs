//! The checked configuration.

use super::{base::Base, settings::defaults};
use domain::{AddressPlan, Slot};
use ipnet::{IpNet, Ipv4Net};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};
use store::DatabaseUrl;
use wireguard::Choice;

/// Everything the operator can set, checked and with all defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of configuration, database, keys and tenants' files.
    pub root: PathBuf,
    /// The address on which HTTP is served.
    pub listen: SocketAddr,
    /// The installation's name on the web.
    pub base: Base,
    /// `http` or `https`, as browsers see it.
    pub scheme: &'static str,
    /// The host devices connect to by WireGuard; an IPv6 address in brackets.
    pub public_host: String,
    /// The reverse proxies whose `X-Forwarded-*` headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    pub database_url: DatabaseUrl,
    pub addresses: AddressPlan,
    pub wireguard: Choice,
    pub dns: DnsConfig,
    /// Docker's socket; `None` means Docker's own default.
    pub docker_host: Option<String>,
    /// The folder of the helper processes' sockets and logs, empty after a reboot.
    pub runtime_dir: PathBuf,
    /// The folder of the pages' scripts and styles.
    pub site: PathBuf,
    /// Slots that no tenant gets.
    pub excluded_slots: BTreeSet<Slot>,
    /// Private ranges that tenants may reach although they are private.
    pub allowed_private: Vec<Ipv4Net>,
    /// Sign-ups per hour from one address; 0 means no limit.
    pub sign_ups_per_hour: u32,
    /// Memory that stays free, in MiB; `None` means a tenth of the machine's.
    pub memory_reserve_mb: Option<u64>,
    /// The highest number of tenants; `None` means as many as fit.
    pub max_tenants: Option<u16>,
}

/// The settings in `[dns]`.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    /// Resolvers for names that are not blocked.
    pub upstreams: Vec<String>,
    /// Plain resolvers for the host names of upstreams.
    pub bootstrap: Vec<Ipv4Addr>,
    /// Resolvers that are used while no upstream answers.
    pub fallback: Vec<String>,
    /// The AdGuard Home image, with its tag.
    pub image: String,
    /// The memory limit of a container, in MiB.
    pub memory_mb: u64,
    /// The shared block lists.
    pub lists: Vec<adguard::List>,
}

impl DnsConfig {
    /// Returns the plain resolver that tunnels use while the image is missing.
    pub fn plain_fallback(&self) -> Ipv4Addr {
        let plain = self.fallback.iter().find_map(|f| f.parse().ok());
        plain
            .or_else(|| self.bootstrap.first().copied())
            .unwrap_or(defaults::PLAIN_RESOLVER)
    }
}

impl Config {
    /// Returns `http://<base>`, or `http://<sub>.<base>` for a subdomain.
    pub fn url(&self, sub: &str) -> String {
        let dot = if sub.is_empty() { "" } else { "." };
        format!("{}://{sub}{dot}{}", self.scheme, self.base)
    }

    /// Returns what is wrong with `scheme` and `trusted_proxies` together, and what
    /// to do: behind a proxy that is not trusted, all visitors have its address.
    pub fn proxy_problem(&self) -> Option<&'static str> {
        (self.scheme == "https" && self.trusted_proxies.is_empty()).then_some(
            "scheme is https, but no proxy is trusted: all visitors seem to come from the proxy, so a few wrong passwords lock everybody out; set trusted_proxies to the proxy's address, e.g. 127.0.0.1",
        )
    }

    /// Returns the memory that stays free, in bytes.
    pub fn memory_reserve(&self) -> Option<u64> {
        self.memory_reserve_mb.map(|mb| mb.saturating_mul(1 << 20))
    }

    /// Returns the folder of database, key and configuration.
    pub fn central(&self) -> PathBuf {
        self.root.join("central_api")
    }

    /// Returns the control socket of the userspace WireGuard.
    pub fn userspace_socket(&self) -> PathBuf {
        self.runtime_dir.join("wg-userspace.sock")
    }
}
