//! The configuration: a flag goes before an environment variable, that before
//! the file, that before the default. What does not fit is refused with a
//! sentence that names the setting; nothing is guessed.

mod base;
mod error;
mod file;
mod settings;
mod shown;

pub use base::Base;
pub use error::ConfigError;
pub use settings::{AddressSettings, DnsSettings, ListSetting, Settings, defaults};

use domain::{AddressPlan, Slot};
use ipnet::{IpNet, Ipv4Net};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
};
use store::DatabaseUrl;
use wireguard::Choice;

/// Everything the operator can set, checked and complete.
#[derive(Clone, Debug)]
pub struct Config {
    /// The root of the disk layout.
    pub root: PathBuf,
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The installation's name on the web.
    pub base: Base,
    /// `http` or `https`, as browsers see it.
    pub scheme: &'static str,
    /// The host devices connect to by WireGuard; an IPv6 address in brackets.
    pub public_host: String,
    /// Reverse proxies whose `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// The database.
    pub database_url: DatabaseUrl,
    /// The address ranges.
    pub addresses: AddressPlan,
    /// Which WireGuard.
    pub wireguard: Choice,
    /// DNS.
    pub dns: DnsConfig,
    /// The engine's socket; `None` is Docker's own default.
    pub docker_host: Option<String>,
    /// Sockets and logs of helpers, gone at a reboot.
    pub runtime_dir: PathBuf,
    /// The pages' files (script, styles).
    pub site: PathBuf,
    /// Slots that are never given away.
    pub excluded_slots: BTreeSet<Slot>,
    /// Private ranges tenants may reach all the same.
    pub allowed_private: Vec<Ipv4Net>,
    /// Sign-ups an hour from one address; 0 is no limit.
    pub sign_ups_per_hour: u32,
    /// Memory that tenants leave free, MiB; `None` is a tenth of the machine's.
    pub memory_reserve_mb: Option<u64>,
    /// Tenants at most; `None` is as many as fit.
    pub max_tenants: Option<u16>,
}

/// The part about DNS.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    /// Resolvers for what is not blocked.
    pub upstreams: Vec<String>,
    /// Plain resolvers for the addresses of upstreams that are names.
    pub bootstrap: Vec<Ipv4Addr>,
    /// Resolvers asked where no upstream answers.
    pub fallback: Vec<String>,
    /// The AdGuard Home image, with its tag.
    pub image: String,
    /// A container's memory limit, MiB.
    pub memory_mb: u64,
    /// The shared block lists.
    pub lists: Vec<adguard::List>,
}

impl DnsConfig {
    /// The plain resolver that tunnels ask while the image is not there.
    pub fn plain_fallback(&self) -> Ipv4Addr {
        let plain = self.fallback.iter().find_map(|f| f.parse().ok());
        plain
            .or_else(|| self.bootstrap.first().copied())
            .unwrap_or(defaults::PLAIN_RESOLVER)
    }
}

impl Config {
    /// Reads the file below the root, if there is one, lays the flags over it
    /// and checks the whole.
    ///
    /// # Errors
    /// A sentence that names the setting or the file.
    pub fn load(flags: Settings) -> Result<Self, ConfigError> {
        let root = PathBuf::from(flags.root.as_deref().unwrap_or(defaults::ROOT));
        let root = std::path::absolute(&root).map_err(|source| ConfigError::Unreadable {
            path: root.clone(),
            source,
        })?;
        let file = file::read(&root.join("central_api"))?;
        Self::resolve(root, flags.over(file))
    }

    /// What a file's text alone makes, without flags. The file's name says
    /// whether it is TOML or JSON (`.json`), and stands in the errors.
    ///
    /// # Errors
    /// A sentence that names the setting or the file.
    pub fn of_text(root: PathBuf, file: PathBuf, text: &str) -> Result<Self, ConfigError> {
        Self::resolve(root, file::parse(file, text)?)
    }

    fn resolve(root: PathBuf, s: Settings) -> Result<Self, ConfigError> {
        use error::bad;
        let listen = s.listen.as_deref().unwrap_or(defaults::LISTEN);
        let listen: SocketAddr = listen.parse().map_err(|_| {
            bad("listen", format!("{listen:?} is not an address with a port, such as 127.0.0.1:8085 or 0.0.0.0:80."))
        })?;
        let base = match &s.base {
            Some(text) => Base::parse(text)?,
            None => Base::localhost(listen.port()),
        };
        let scheme = match s.scheme.as_deref() {
            None | Some("http") => "http",
            Some("https") => "https",
            Some(other) => {
                return Err(bad(
                    "scheme",
                    format!("{other:?} is neither http nor https."),
                ));
            }
        };
        let public_host = match &s.public_host {
            Some(text) => host(text)?,
            None if base.is_local() => primary_address().to_string(),
            None => base.host().to_owned(),
        };
        let database_url = match &s.database_url {
            Some(url) => DatabaseUrl::parse(url.expose()).map_err(|f| ConfigError::Bad {
                key: "database_url",
                sentence: f.sentence.trim_start_matches("database_url: ").to_owned(),
            })?,
            None => DatabaseUrl::Sqlite(root.join("central_api/database.sqlite")),
        };
        let addresses = addresses(&s.addresses)?;
        let wireguard = s.wireguard.as_deref().unwrap_or(defaults::WIREGUARD);
        let wireguard = wireguard
            .parse::<Choice>()
            .map_err(|e| bad("wireguard", format!("{e}.")))?;
        let mut excluded_slots = BTreeSet::new();
        for n in s.excluded_slots.iter().flatten() {
            let slot = Slot::new(*n)
                .ok_or_else(|| bad("excluded_slots", format!("{n} is not a slot: 1 to 1000.")))?;
            excluded_slots.insert(slot);
        }
        if s.max_tenants == Some(0) {
            return Err(bad(
                "max_tenants",
                "0 would let nobody in; leave it out for as many as fit.".to_owned(),
            ));
        }
        Ok(Self {
            listen,
            base,
            scheme,
            public_host,
            trusted_proxies: networks(s.trusted_proxies)?,
            database_url,
            addresses,
            wireguard,
            dns: dns(s.dns)?,
            docker_host: s.docker_host,
            runtime_dir: absolute(s.runtime_dir.as_deref().unwrap_or(defaults::RUNTIME_DIR))?,
            site: s.site.map_or_else(site_beside_the_program, PathBuf::from),
            excluded_slots,
            allowed_private: ipv4_networks(s.allowed_private)?,
            sign_ups_per_hour: s.sign_ups_per_hour.unwrap_or(defaults::SIGN_UPS_PER_HOUR),
            memory_reserve_mb: s.memory_reserve_mb,
            max_tenants: s.max_tenants,
            root,
        })
    }

    /// `http://<base>`, or of a subdomain.
    pub fn url(&self, sub: &str) -> String {
        let dot = if sub.is_empty() { "" } else { "." };
        format!("{}://{sub}{dot}{}", self.scheme, self.base)
    }

    /// What is wrong with `scheme` and `trusted_proxies` together, with what to
    /// do: behind a proxy nobody named, all visitors have its address.
    pub fn proxy_problem(&self) -> Option<&'static str> {
        (self.scheme == "https" && self.trusted_proxies.is_empty()).then_some(
            "scheme is https, but no proxy is trusted: all visitors seem to come from the proxy, so a few wrong passwords lock everybody out; set trusted_proxies to the proxy's address, e.g. 127.0.0.1",
        )
    }

    /// Memory that tenants leave free, bytes.
    pub fn memory_reserve(&self) -> Option<u64> {
        self.memory_reserve_mb.map(|mb| mb.saturating_mul(1 << 20))
    }

    /// The folder of database, key and configuration.
    pub fn central(&self) -> PathBuf {
        self.root.join("central_api")
    }
}

fn absolute(path: &str) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path).map_err(|source| ConfigError::Unreadable {
        path: path.into(),
        source,
    })
}

/// A host name or an address, as it stands before `:port` in an endpoint.
fn host(text: &str) -> Result<String, ConfigError> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(a)) => return Ok(a.to_string()),
        Ok(IpAddr::V6(a)) => return Ok(format!("[{a}]")),
        Err(_) => {}
    }
    base::host_name(bare).ok_or_else(|| {
        error::bad(
            "public_host",
            format!(
                "{text:?} is neither a host name nor an address; it stands alone, without a port."
            ),
        )
    })
}

/// The address this machine has towards the internet. Connecting a UDP socket
/// only asks the routing table; nothing is sent.
fn primary_address() -> Ipv4Addr {
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
        match socket.local_addr().ok()?.ip() {
            IpAddr::V4(a) if !a.is_unspecified() => Some(a),
            _ => None,
        }
    };
    ask().unwrap_or(Ipv4Addr::LOCALHOST)
}

fn addresses(s: &AddressSettings) -> Result<AddressPlan, ConfigError> {
    let mut plan = AddressPlan::default();
    let range = |key: &'static str, text: &str| {
        text.parse::<Ipv4Net>().map(|n| n.trunc()).map_err(|_| {
            error::bad(
                key,
                format!("{text:?} is not a range such as 10.88.0.0/14."),
            )
        })
    };
    if let Some(text) = &s.tunnels {
        plan.tunnels = range("addresses.tunnels", text)?;
    }
    if let Some(text) = &s.containers {
        plan.containers = range("addresses.containers", text)?;
    }
    plan.check().map_err(|f| ConfigError::Bad {
        key: "addresses",
        sentence: f.sentence,
    })?;
    Ok(plan)
}

fn networks(list: Option<Vec<String>>) -> Result<Vec<IpNet>, ConfigError> {
    let parse = |text: String| {
        let one = text.parse::<IpAddr>().map(IpNet::from);
        let range = one.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
            error::bad(
                "trusted_proxies",
                format!("{text:?} is neither an address nor a range."),
            )
        })?;
        if range.prefix_len() == 0 {
            return Err(error::bad(
                "trusted_proxies",
                format!(
                    "{text:?} is everybody, who could then write any address and host into a request; name the proxies' own addresses."
                ),
            ));
        }
        Ok(range)
    };
    list.unwrap_or_default().into_iter().map(parse).collect()
}

fn ipv4_networks(list: Option<Vec<String>>) -> Result<Vec<Ipv4Net>, ConfigError> {
    let parse = |text: String| {
        let one = text.parse::<Ipv4Addr>().map(Ipv4Net::from);
        one.or_else(|_| text.parse::<Ipv4Net>()).map_err(|_| {
            error::bad(
                "allowed_private",
                format!("{text:?} is neither an IPv4 address nor an IPv4 range."),
            )
        })
    };
    list.unwrap_or_default().into_iter().map(parse).collect()
}

fn dns(s: DnsSettings) -> Result<DnsConfig, ConfigError> {
    let usual = adguard::AdGuardSettings::default();
    let upstreams = s.upstreams.unwrap_or(usual.upstreams);
    if upstreams.is_empty() {
        return Err(error::bad(
            "dns.upstreams",
            "name at least one resolver.".to_owned(),
        ));
    }
    let bootstrap = match s.bootstrap {
        None => usual.bootstrap,
        Some(list) => list
            .iter()
            .map(|text| {
                text.parse().map_err(|_| {
                    error::bad("dns.bootstrap", format!("{text:?} is not an IPv4 address."))
                })
            })
            .collect::<Result<_, _>>()?,
    };
    let memory_mb = s.memory_mb.unwrap_or(defaults::MEMORY_MB);
    // Below it the engine kills AdGuard Home while it reads its lists (FACTS).
    if memory_mb < 128 {
        return Err(error::bad(
            "dns.memory_mb",
            format!("{memory_mb} MiB is too little; 128 at least."),
        ));
    }
    Ok(DnsConfig {
        upstreams,
        bootstrap,
        fallback: s.fallback.unwrap_or(usual.fallback),
        image: s.image.unwrap_or_else(|| defaults::IMAGE.to_owned()),
        memory_mb,
        lists: lists(s.lists.unwrap_or_else(settings::usual_lists))?,
    })
}

fn lists(settings: Vec<ListSetting>) -> Result<Vec<adguard::List>, ConfigError> {
    let mut ids = BTreeSet::new();
    let mut lists = Vec::with_capacity(settings.len());
    for s in settings {
        let name = &s.name;
        let list = s.list().ok_or_else(|| {
            error::bad(
                "dns.lists",
                format!("{name:?} needs either a url or a path."),
            )
        })?;
        if list.id == 0 || !ids.insert(list.id) {
            return Err(error::bad(
                "dns.lists",
                format!(
                    "{name:?} needs a number of its own, from 1; {} is not.",
                    list.id
                ),
            ));
        }
        lists.push(list);
    }
    Ok(lists)
}

/// The pages' files: beside the program, where `./dev` builds them, or where
/// cargo-leptos left them in the folder we were started in.
fn site_beside_the_program() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let beside = |up: usize| exe.ancestors().nth(up).map(|p| p.join("site"));
    let built = option_env!("LEPTOS_SITE_ROOT").map(PathBuf::from);
    [
        beside(1),
        beside(3),
        built,
        Some("/usr/share/maliknode/site".into()),
    ]
    .into_iter()
    .flatten()
    .find(|p| p.join("pkg").is_dir())
    .unwrap_or_else(|| Path::new("target/site").to_owned())
}

#[cfg(test)]
mod tests;
