//! Reads the settings, fills in the defaults, and checks the result.

use super::{
    base::{Base, host_name},
    error::{ConfigError, bad},
    file,
    model::{Config, DnsConfig},
    settings::{AddressSettings, DnsSettings, ListSetting, Settings, default_lists, defaults},
};
use domain::{AddressPlan, Slot};
use ipnet::{IpNet, Ipv4Net};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
};
use store::DatabaseUrl;
use wireguard::Choice;

impl Config {
    /// Reads the file below the root, if there is one, applies the flags to it and
    /// checks the result.
    ///
    /// # Errors
    /// A message that names the setting or the file.
    pub fn load(flags: Settings) -> Result<Self, ConfigError> {
        let root = PathBuf::from(flags.root.as_deref().unwrap_or(defaults::ROOT));
        let root = std::path::absolute(&root).map_err(|source| ConfigError::Unreadable {
            path: root.clone(),
            source,
        })?;
        let file = file::read(&root.join("central_api"))?;
        Self::resolve(root, flags.or(file))
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
            Some(text) => public_host(text)?,
            None if base.is_local() => primary_address().to_string(),
            None => base.host().to_owned(),
        };
        let database_url = match &s.database_url {
            Some(url) => DatabaseUrl::parse(url.expose()).map_err(|f| ConfigError::Bad {
                key: "database_url",
                message: texts::english()
                    .failure(&f)
                    .trim_start_matches("database_url: ")
                    .to_owned(),
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
                "0 would admit no tenant; leave it out for as many as fit.".to_owned(),
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
            site: s.site.map_or_else(find_site, PathBuf::from),
            excluded_slots,
            allowed_private: ipv4_networks(s.allowed_private)?,
            sign_ups_per_hour: s.sign_ups_per_hour.unwrap_or(defaults::SIGN_UPS_PER_HOUR),
            memory_reserve_mb: s.memory_reserve_mb,
            max_tenants: s.max_tenants,
            root,
        })
    }
}

fn absolute(path: &str) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path).map_err(|source| ConfigError::Unreadable {
        path: path.into(),
        source,
    })
}

/// Parses a host name or an address, and returns it in the form that it has
/// before `:port` in an endpoint.
fn public_host(text: &str) -> Result<String, ConfigError> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(a)) => return Ok(a.to_string()),
        Ok(IpAddr::V6(a)) => return Ok(format!("[{a}]")),
        Err(_) => {}
    }
    host_name(bare).ok_or_else(|| {
        bad(
            "public_host",
            format!(
                "{text:?} is neither a host name nor an address; write it alone, without a port."
            ),
        )
    })
}

/// Returns the address that this machine uses towards the internet. Connecting a
/// UDP socket only reads the routing table; nothing is sent.
fn primary_address() -> Ipv4Addr {
    let route = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
        match socket.local_addr().ok()?.ip() {
            IpAddr::V4(a) if !a.is_unspecified() => Some(a),
            _ => None,
        }
    };
    route().unwrap_or(Ipv4Addr::LOCALHOST)
}

fn addresses(s: &AddressSettings) -> Result<AddressPlan, ConfigError> {
    let mut plan = AddressPlan::default();
    let range = |key: &'static str, text: &str| {
        text.parse::<Ipv4Net>().map(|n| n.trunc()).map_err(|_| {
            bad(
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
        message: texts::english().failure(&f),
    })?;
    Ok(plan)
}

fn networks(list: Option<Vec<String>>) -> Result<Vec<IpNet>, ConfigError> {
    let parse = |text: String| {
        let one = text.parse::<IpAddr>().map(IpNet::from);
        let range = one.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
            bad(
                "trusted_proxies",
                format!("{text:?} is neither an address nor a range."),
            )
        })?;
        if range.prefix_len() == 0 {
            return Err(bad(
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
            bad(
                "allowed_private",
                format!("{text:?} is neither an IPv4 address nor an IPv4 range."),
            )
        })
    };
    list.unwrap_or_default().into_iter().map(parse).collect()
}

fn dns(s: DnsSettings) -> Result<DnsConfig, ConfigError> {
    let default = adguard::AdGuardSettings::default();
    let upstreams = s.upstreams.unwrap_or(default.upstreams);
    if upstreams.is_empty() {
        return Err(bad(
            "dns.upstreams",
            "name at least one resolver.".to_owned(),
        ));
    }
    let bootstrap = match s.bootstrap {
        None => default.bootstrap,
        Some(list) => list
            .iter()
            .map(|text| {
                text.parse()
                    .map_err(|_| bad("dns.bootstrap", format!("{text:?} is not an IPv4 address.")))
            })
            .collect::<Result<_, _>>()?,
    };
    let memory_mb = s.memory_mb.unwrap_or(defaults::MEMORY_MB);
    // With less, Docker kills AdGuard Home while it reads its lists.
    if memory_mb < 128 {
        return Err(bad(
            "dns.memory_mb",
            format!("{memory_mb} MiB is too little; 128 at least."),
        ));
    }
    Ok(DnsConfig {
        upstreams,
        bootstrap,
        fallback: s.fallback.unwrap_or(default.fallback),
        image: s.image.unwrap_or_else(|| defaults::IMAGE.to_owned()),
        memory_mb,
        lists: lists(s.lists.unwrap_or_else(default_lists))?,
    })
}

fn lists(settings: Vec<ListSetting>) -> Result<Vec<adguard::List>, ConfigError> {
    let mut ids = BTreeSet::new();
    let mut lists = Vec::with_capacity(settings.len());
    for s in settings {
        let name = &s.name;
        let list = s.list().ok_or_else(|| {
            bad(
                "dns.lists",
                format!("{name:?} needs either a url or a path."),
            )
        })?;
        if list.id == 0 || !ids.insert(list.id) {
            return Err(bad(
                "dns.lists",
                format!(
                    "{name:?} needs a unique number, from 1; {} is not.",
                    list.id
                ),
            ));
        }
        lists.push(list);
    }
    Ok(lists)
}

/// Finds the pages' files: beside the program, where `./dev` builds them, where
/// cargo-leptos left them in the working directory, or where a package has them.
fn find_site() -> PathBuf {
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
