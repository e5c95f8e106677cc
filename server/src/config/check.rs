//! Checks the values of the settings that need more than a type. Each error names its
//! setting.

use super::{
    base::host_name,
    error::{ConfigError, bad},
    log_format::LogFormat,
    settings::{AddressSettings, ListSetting},
};
use domain::{AddressPlan, Ipv6Prefix, SignUpMode, Slot};
use ipnet::{IpNet, Ipv4Net};
use link::worker::ControlPlane;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
};
use store::DatabaseUrl;
use wireguard::Choice;

pub(super) fn listen(text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        bad(
            "listen",
            format!(
                "{text:?} is not an address with a port, such as 127.0.0.1:8085 or 0.0.0.0:80."
            ),
        )
    })
}

pub(super) fn nodes_listen(text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        bad(
            "nodes.listen",
            format!("{text:?} is not an address with a port, such as 0.0.0.0:8443."),
        )
    })
}

pub(super) fn metrics_listen(text: Option<&str>) -> Result<Option<SocketAddr>, ConfigError> {
    let parsed = text.map(|text| {
        let message = format!("{text:?} is not an address with a port, such as 127.0.0.1:9185.");
        text.parse().map_err(|_| bad("metrics.listen", message))
    });
    parsed.transpose()
}

/// Returns the address of a privacy notice: a link of a page, and nothing that a script could be.
pub(super) fn privacy_notice(text: Option<&str>) -> Result<Option<String>, ConfigError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let rest = ["https://", "http://"]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic())) {
        true => Ok(Some(text.to_owned())),
        false => {
            let message = format!("{text:?} is no address such as https://example.org/privacy.");
            Err(bad("privacy_notice", message))
        }
    }
}

/// Returns origins as browsers write them (RFC 6454, 6.2): a scheme, a host and a port that is
/// not the scheme's own.
pub(super) fn cors_origins(texts: &[String]) -> Result<Vec<String>, ConfigError> {
    let checked = |text: &String| {
        origin(text).ok_or_else(|| {
            let message = format!(
                "{text:?} is no origin such as https://status.example.org or http://localhost:3000: https, or http on \
                 this machine alone, a host, and a port unless it is the usual one."
            );
            bad("api.cors_origins", message)
        })
    };
    texts.iter().map(checked).collect()
}

fn origin(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let port_at = match authority.rfind(']') {
        Some(end) => end + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(port_at);
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let (host, is_loopback) = match bracketed {
        Some(address) => {
            let address: Ipv6Addr = address.parse().ok()?;
            (format!("[{address}]"), address.is_loopback())
        }
        None => match host.parse::<Ipv4Addr>() {
            Ok(address) => (address.to_string(), address.is_loopback()),
            Err(_) => {
                let name = host_name(host).filter(|name| name == host)?;
                let is_local = name == "localhost" || name.ends_with(".localhost");
                (name, is_local)
            }
        },
    };
    let usual = match scheme {
        "https" => 443,
        "http" if is_loopback => 80,
        _ => return None,
    };
    match port.strip_prefix(':').map(str::parse::<u16>) {
        None if port.is_empty() => Some(format!("{scheme}://{host}")),
        Some(Ok(port)) if port != usual && port != 0 => Some(format!("{scheme}://{host}:{port}")),
        _ => None,
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, ConfigError> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(bad(
            "log_format",
            format!("{other:?} is neither text nor json."),
        )),
    }
}

/// The most hours before an unused tenant is put to sleep: a year.
const MAX_SLEEP_AFTER_HOURS: u16 = 8_760;

pub(super) fn sleep_after_hours(hours: u16) -> Result<u16, ConfigError> {
    match hours {
        0..=MAX_SLEEP_AFTER_HOURS => Ok(hours),
        _ => Err(bad(
            "sleep_after_hours",
            format!("{hours} is not a number of hours from 0 to {MAX_SLEEP_AFTER_HOURS}."),
        )),
    }
}

pub(super) fn sign_up(text: &str) -> Result<SignUpMode, ConfigError> {
    SignUpMode::parse(text).ok_or_else(|| {
        bad(
            "sign_up",
            format!("{text:?} is neither open, invite nor closed."),
        )
    })
}

/// Checks the digest of an image, if it has one.
pub(super) fn image(image: String) -> Result<String, ConfigError> {
    let Some((name, digest)) = image.split_once('@') else {
        return Ok(image);
    };
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    let is_digest = hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    match is_digest && !name.is_empty() {
        true => Ok(image),
        false => Err(bad(
            "dns.image",
            format!("{digest:?} is no digest: sha256: and 64 hexadecimal digits."),
        )),
    }
}

/// The most hours for which the packets of a tenant that has moved are sent on.
const MAX_FORWARD_HOURS: u16 = 720;

pub(super) fn forward_hours(hours: u16) -> Result<u16, ConfigError> {
    match hours {
        0..=MAX_FORWARD_HOURS => Ok(hours),
        _ => Err(bad(
            "nodes.forward_hours",
            format!("{hours} is not a number of hours from 0 to {MAX_FORWARD_HOURS}."),
        )),
    }
}

/// Returns the address in the form in which `maliknode worker token` prints it.
pub(super) fn nodes_address(key: &'static str, text: &str) -> Result<String, ConfigError> {
    let parsed: Result<ControlPlane, _> = text.parse();
    parsed
        .map(|address| address.to_string())
        .map_err(|e| bad(key, format!("{text:?} is {e}.")))
}

/// Checks that a control plane without a node has workers, and what they need.
pub(super) fn no_node(
    no_node: bool,
    database: &DatabaseUrl,
    nodes_listen: Option<SocketAddr>,
) -> Result<(), ConfigError> {
    let missing = match (no_node, database, nodes_listen) {
        (true, DatabaseUrl::Sqlite(_), _) => {
            "needs PostgreSQL: `maliknode database move --to postgres://…` moves the data there."
        }
        (true, _, None) => "needs nodes.listen, the address on which workers are answered.",
        _ => return Ok(()),
    };
    Err(bad("no_node", missing.to_owned()))
}

pub(super) fn scheme(text: &str) -> Result<&'static str, ConfigError> {
    match text {
        "http" => Ok("http"),
        "https" => Ok("https"),
        other => Err(bad(
            "scheme",
            format!("{other:?} is neither http nor https."),
        )),
    }
}

pub(super) fn database_url(url: &str) -> Result<DatabaseUrl, ConfigError> {
    DatabaseUrl::parse(url).map_err(|f| ConfigError::Bad {
        key: "database_url",
        message: texts::english()
            .failure(&f)
            .trim_start_matches("database_url: ")
            .to_owned(),
    })
}

pub(super) fn wireguard(text: &str) -> Result<Choice, ConfigError> {
    text.parse::<Choice>()
        .map_err(|e| bad("wireguard", format!("{e}.")))
}

/// Checks the name of a systemd unit (systemd.unit(5)).
pub(super) fn unit(name: String) -> Result<String, ConfigError> {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b":-_.@".contains(&c);
    let stem = name.strip_suffix(".service").unwrap_or_default();
    match !stem.is_empty() && !stem.starts_with('-') && name.bytes().all(is_plain) {
        true => Ok(name),
        false => Err(bad(
            "wireguard_unit",
            format!("{name:?} is no name of a unit, such as maliknode-wireguard.service."),
        )),
    }
}

pub(super) fn slots(numbers: &[u16]) -> Result<BTreeSet<Slot>, ConfigError> {
    let slot = |n: &u16| {
        Slot::new(*n).ok_or_else(|| bad("excluded_slots", format!("{n} is not a slot: 1 to 1000.")))
    };
    numbers.iter().map(slot).collect()
}

pub(super) fn max_tenants(number: Option<u16>) -> Result<Option<u16>, ConfigError> {
    match number {
        Some(0) => Err(bad(
            "max_tenants",
            "0 would admit no tenant; leave it out for as many as fit.",
        )),
        number => Ok(number),
    }
}

pub(super) fn absolute(path: &str) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path).map_err(|source| ConfigError::Unreadable {
        path: path.into(),
        source,
    })
}

/// Parses a host name or an address, and returns it in the form that it has
/// before `:port` in an endpoint.
pub(super) fn public_host(text: &str) -> Result<String, ConfigError> {
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
pub(super) fn primary_address() -> Ipv4Addr {
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

pub(super) fn ipv6_prefix(text: Option<&str>) -> Result<Option<Ipv6Prefix>, ConfigError> {
    let Some(text) = text else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        bad(
            "addresses.ipv6_prefix",
            format!("{text:?} is not a /48 of fd00::/8 such as fd12:3456:789a::/48."),
        )
    })
}

pub(super) fn addresses(s: &AddressSettings) -> Result<AddressPlan, ConfigError> {
    let range = |key: &'static str, text: &str| {
        text.parse::<Ipv4Net>().map(|n| n.trunc()).map_err(|_| {
            bad(
                key,
                format!("{text:?} is not a range such as 10.88.0.0/14."),
            )
        })
    };
    let plan = AddressPlan {
        tunnels: range("addresses.tunnels", &s.tunnels)?,
        containers: range("addresses.containers", &s.containers)?,
    };
    plan.check().map_err(|f| ConfigError::Bad {
        key: "addresses",
        message: texts::english().failure(&f),
    })?;
    Ok(plan)
}

pub(super) fn time_zone(text: &str) -> Result<String, ConfigError> {
    domain::period::time_zone_name(text).ok_or_else(|| {
        bad(
            "time_zone",
            format!("{text:?} is no time zone such as Europe/Berlin or UTC."),
        )
    })
}

pub(super) fn networks(list: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let parse = |text: &String| {
        let range = network("trusted_proxies", text)?;
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
    list.iter().map(parse).collect()
}

/// Checks the ranges from which operators are answered.
pub(super) fn operator_networks(list: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let parse = |text: &String| network("operator_from", text);
    list.iter().map(parse).collect()
}

fn network(setting: &'static str, text: &str) -> Result<IpNet, ConfigError> {
    let one = text.parse::<IpAddr>().map(IpNet::from);
    one.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
        let message = format!("{text:?} is neither an address nor a range.");
        bad(setting, message)
    })
}

pub(super) fn ipv4_networks(list: &[String]) -> Result<Vec<Ipv4Net>, ConfigError> {
    let parse = |text: &String| {
        let one = text.parse::<Ipv4Addr>().map(Ipv4Net::from);
        one.or_else(|_| text.parse::<Ipv4Net>()).map_err(|_| {
            bad(
                "allowed_private",
                format!("{text:?} is neither an IPv4 address nor an IPv4 range."),
            )
        })
    };
    list.iter().map(parse).collect()
}

pub(super) fn upstreams(list: Vec<String>) -> Result<Vec<String>, ConfigError> {
    match list.is_empty() {
        true => Err(bad("dns.upstreams", "name at least one resolver.")),
        false => Ok(list),
    }
}

pub(super) fn bootstrap(list: &[String]) -> Result<Vec<Ipv4Addr>, ConfigError> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|_| bad("dns.bootstrap", format!("{text:?} is not an IPv4 address.")))
    };
    list.iter().map(parse).collect()
}

/// Checks a container's memory limit, in MiB. With less, Docker kills AdGuard Home
/// while it reads its lists.
pub(super) fn memory_mb(number: u64) -> Result<u64, ConfigError> {
    match number < 128 {
        true => Err(bad(
            "dns.memory_mb",
            format!("{number} MiB is too little; 128 at least."),
        )),
        false => Ok(number),
    }
}

pub(super) fn lists(settings: &[ListSetting]) -> Result<Vec<adguard::List>, ConfigError> {
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
pub(super) fn find_site() -> PathBuf {
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
