//! The single checks. Each ends by itself and mends nothing.

use super::Check;
use crate::{config::Config, machine::container_settings};
use adguard::Lists;
use containers::Docker;
use firewall::{FirewallSettings, Nft};
use provisioning::{Clock, Containers, Firewall, SystemClock};
use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, time::Duration};
use store::{DatabaseUrl, Sealer, Store};

/// `capabilities(7)`: making interfaces and rules needs CAP_NET_ADMIN.
const NET_ADMIN: u32 = 12;
/// A list older than this was not fetched for two days in a row.
const OLD_LIST_MILLIS: i64 = 3 * 86_400_000;

pub(super) fn rights() -> Check {
    const NAME: &str = "Rights";
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let (uid, capabilities) = identity(&status);
    match (uid, capabilities & (1 << NET_ADMIN) != 0) {
        (Some(0), true) => Check::ok(NAME, "runs as root"),
        (Some(0), false) => Check::bad(
            NAME,
            "runs as root, but may not change the network (no CAP_NET_ADMIN): a container without rights?",
            "start the container with --cap-add NET_ADMIN --device /dev/net/tun",
        ),
        (_, true) => Check::ok(NAME, "may change the network (CAP_NET_ADMIN)"),
        (_, false) => Check::bad(
            NAME,
            "does not run as root, so it may not make interfaces and rules",
            "sudo maliknode doctor",
        ),
    }
}

/// The user and the effective capabilities in `/proc/self/status`.
fn identity(status: &str) -> (Option<u32>, u64) {
    let line = |key: &str| status.lines().find_map(|l| l.strip_prefix(key));
    let uid = line("Uid:").and_then(|l| l.split_ascii_whitespace().nth(1)?.parse().ok());
    let capabilities = line("CapEff:").and_then(|l| u64::from_str_radix(l.trim(), 16).ok());
    (uid, capabilities.unwrap_or(0))
}

pub(super) fn folders(config: &Config) -> Check {
    const NAME: &str = "Folders";
    let root = config.root.display();
    match fs::metadata(&config.root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Check::ok(NAME, format!("{root} is made at the first start"))
        }
        Err(e) => Check::bad(
            NAME,
            format!("{root} cannot be looked at ({e})"),
            format!("ls -ld {root}"),
        ),
        Ok(m) if !m.is_dir() => Check::bad(
            NAME,
            format!("{root} is not a folder"),
            "choose another --root",
        ),
        Ok(_) => match open_to_others(&config.root) {
            None => Check::ok(NAME, format!("{root}, closed to others")),
            Some((path, mode)) => Check::bad(
                NAME,
                format!("{path} can be read by others (mode {mode:04o})"),
                format!("chmod go= {path}"),
            ),
        },
    }
}

/// The first of the folders and files with secrets that others may enter or read.
fn open_to_others(root: &Path) -> Option<(String, u32)> {
    let central = root.join("central_api");
    let inside =
        ["config.toml", "config.json", "seal.key", "database.sqlite"].map(|f| central.join(f));
    let all = [root.to_owned(), central, root.join("users")]
        .into_iter()
        .chain(inside);
    all.filter_map(|path| {
        let mode = fs::metadata(&path).ok()?.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then(|| (path.display().to_string(), mode))
    })
    .next()
}

pub(super) async fn wireguard(config: &Config) -> Check {
    const NAME: &str = "WireGuard";
    match wireguard::examine(config.wireguard).await {
        Ok(found) => Check::ok(NAME, format!("{}: {}", found.chosen, found.why)),
        Err(e) => Check::bad(
            NAME,
            e.sentence,
            "modprobe wireguard; modprobe tun (as root)",
        ),
    }
}

pub(super) fn tun() -> Check {
    const NAME: &str = "/dev/net/tun";
    let path = "/dev/net/tun";
    match fs::OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Check::ok(NAME, "there, for the userspace WireGuard"),
        Err(e) => Check::warn(
            NAME,
            format!("cannot be opened ({e}); only the userspace WireGuard needs it"),
            "modprobe tun",
        ),
    }
}

pub(super) async fn nft(config: &Config) -> Check {
    const NAME: &str = "nft";
    let settings = FirewallSettings {
        addresses: config.addresses,
        allowed_private: config.allowed_private.clone(),
        ..FirewallSettings::default()
    };
    let nft = match Nft::new(settings) {
        Ok(nft) => nft,
        Err(f) => return Check::bad(NAME, f.sentence, "mend config.toml"),
    };
    match Firewall::observe(&nft).await {
        Ok(seen) if seen.complete => Check::ok(
            NAME,
            format!(
                "our table is in force, {} tenants in it",
                seen.tenants.len()
            ),
        ),
        Ok(_) => Check::ok(NAME, "works; our table is made when the server starts"),
        Err(e) => Check::bad(NAME, e.sentence, "apt-get install -y nftables; run as root"),
    }
}

pub(super) fn forwarding() -> Check {
    const NAME: &str = "Forwarding";
    match fs::read_to_string("/proc/sys/net/ipv4/ip_forward") {
        Ok(on) if on.trim() == "1" => Check::ok(NAME, "IPv4 forwarding is on"),
        _ => Check::warn(
            NAME,
            "IPv4 forwarding is off; the server turns it on when it starts",
            "sysctl -w net.ipv4.ip_forward=1",
        ),
    }
}

pub(super) async fn docker(config: &Config) -> Vec<Check> {
    const NAME: &str = "Docker";
    let docker = Docker::new(container_settings(config));
    let version = match docker.ping().await {
        Ok(version) => version,
        Err(e) => {
            return vec![Check::bad(
                NAME,
                e.sentence,
                "systemctl start docker, or install it: ./dev setup",
            )];
        }
    };
    let mut checks = vec![Check::ok(NAME, version)];
    let image = &config.dns.image;
    checks.push(match docker.observe().await {
        Ok(seen) if seen.image => Check::ok(
            "Image",
            format!("{image} is there, {} DNS filters", seen.ours.len()),
        ),
        Ok(_) => Check::bad(
            "Image",
            format!("{image} is not there; tunnels use a plain resolver meanwhile"),
            format!("./dev image, or docker pull {image}"),
        ),
        Err(e) => Check::bad("Image", e.sentence, "docker ps"),
    });
    match docker.network_clash().await {
        Ok(None) => {}
        Ok(Some(clash)) => checks.push(Check::bad("Docker networks", clash, "docker network ls")),
        Err(e) => checks.push(Check::bad(
            "Docker networks",
            e.sentence,
            "docker network ls",
        )),
    }
    checks
}

pub(super) async fn listen(config: &Config) -> Check {
    const NAME: &str = "HTTP port";
    let address = config.listen;
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Check::ok(NAME, format!("{address} is free")),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            if is_ours(address).await {
                Check::ok(NAME, format!("MalikNode serves on {address}"))
            } else {
                let port = address.port();
                Check::bad(
                    NAME,
                    format!("{address} is taken by another program"),
                    format!("ss -ltnp 'sport = :{port}' shows it; or choose another --listen"),
                )
            }
        }
        Err(e) => Check::bad(
            NAME,
            format!("{address} cannot be listened on ({e})"),
            "choose another --listen",
        ),
    }
}

pub(super) fn proxies(config: &Config) -> Check {
    const NAME: &str = "Proxies";
    let trusted = &config.trusted_proxies;
    match config.proxy_problem() {
        Some(problem) => Check::warn(
            NAME,
            problem,
            "trusted_proxies = [\"127.0.0.1\"] in config.toml, if it is on this machine",
        ),
        None if trusted.is_empty() => Check::ok(NAME, "none; browsers reach the server itself"),
        None => {
            let all: Vec<String> = trusted.iter().map(ToString::to_string).collect();
            Check::ok(NAME, format!("{} trusted", all.join(", ")))
        }
    }
}

/// Whether a MalikNode answers there.
async fn is_ours(address: std::net::SocketAddr) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .ok()?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await.ok()?;
        Some(answer.ends_with(b"ok\n"))
    };
    tokio::time::timeout(Duration::from_secs(3), ask)
        .await
        .ok()
        .flatten()
        .unwrap_or(false)
}

pub(super) fn reserved_ports() -> Check {
    const NAME: &str = "Reserved ports";
    let list = fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    if covers(&list, 51_800, 52_800) {
        Check::ok(NAME, "no program is given a tunnel's port by chance")
    } else {
        Check::warn(
            NAME,
            "any program may be given a tunnel's port; the server reserves them when it starts",
            "sysctl -w net.ipv4.ip_local_reserved_ports=51800-52800",
        )
    }
}

/// Whether one range of the kernel's list has all these ports in it.
fn covers(list: &str, first: u16, last: u16) -> bool {
    list.trim().split(',').any(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        matches!((from.trim().parse::<u16>(), to.trim().parse::<u16>()), (Ok(from), Ok(to)) if from <= first && last <= to)
    })
}

/// Opens it as the server would, which also brings its schema up to date; but
/// makes none.
pub(super) async fn database(config: &Config) -> Check {
    const NAME: &str = "Database";
    let key = config.central().join("seal.key");
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        return Check::ok(
            NAME,
            format!("{} is made at the first start", path.display()),
        );
    }
    if !key.exists() {
        return Check::warn(
            NAME,
            format!(
                "{} is not there: a new installation, or a lost key",
                key.display()
            ),
            "restore it from the backup; without it no tunnel's key can be read",
        );
    }
    let opened = async {
        let sealer = Sealer::from_key_file(&key).map_err(|e| e.to_string())?;
        let store = Store::open(&config.database_url, sealer)
            .await
            .map_err(|e| e.failure().sentence)?;
        store.health().await.map_err(|e| e.failure().sentence)?;
        let kind = store.kind();
        let rows = store.counts().await.map_err(|e| e.failure().sentence)?;
        store.close().await;
        Ok::<_, String>(format!(
            "{kind} answers: {} tenants, {} devices, {} sessions, {} audit entries",
            rows.tenants, rows.devices, rows.sessions, rows.audit
        ))
    };
    match tokio::time::timeout(Duration::from_secs(15), opened).await {
        Ok(Ok(sentence)) => Check::ok(NAME, sentence),
        Ok(Err(sentence)) => Check::bad(
            NAME,
            sentence,
            "maliknode config shows which database is meant",
        ),
        Err(_) => Check::bad(
            NAME,
            "does not answer within 15 seconds",
            "maliknode config shows which database is meant",
        ),
    }
}

pub(super) fn lists(config: &Config) -> Check {
    const NAME: &str = "Block lists";
    let lists = match Lists::new(config.root.join("lists"), config.dns.lists.clone()) {
        Ok(lists) => lists,
        Err(e) => return Check::bad(NAME, e.sentence, "see the log"),
    };
    let status = lists.status();
    let now = SystemClock.now();
    let fresh = |at: domain::Timestamp| now.millis_since(at) < OLD_LIST_MILLIS;
    let fetched = status
        .iter()
        .filter(|l| l.fetched_at.is_some_and(fresh))
        .count();
    let rules: u64 = status.iter().filter_map(|l| l.rules).sum();
    if fetched == status.len() {
        return Check::ok(NAME, format!("{fetched} fetched, {rules} rules"));
    }
    let names: Vec<&str> = status
        .iter()
        .filter(|l| !l.fetched_at.is_some_and(fresh))
        .map(|l| l.list.name.as_str())
        .collect();
    Check::warn(
        NAME,
        format!(
            "not fetched in the last days: {}; the last copy or a small list of our own serves",
            names.join(", ")
        ),
        "the server fetches them while it runs; its log says why one does not come",
    )
}

pub(super) fn pages(config: &Config) -> Check {
    const NAME: &str = "Pages";
    let site = config.site.display();
    if config.site.join("pkg").is_dir() {
        Check::ok(NAME, format!("scripts and styles in {site}"))
    } else {
        Check::bad(
            NAME,
            format!("scripts and styles are not in {site}"),
            "./dev build, or set --site",
        )
    }
}

/// Tunnels refuse a handshake that is older than the last one they saw, so a
/// clock that jumps back cuts devices off (WireGuard's TAI64N timestamps).
pub(super) fn time() -> Check {
    const NAME: &str = "Time";
    /// 2025-01-01: before this program was written.
    const WRITTEN: i64 = 1_735_689_600;
    if SystemClock.now().secs() < WRITTEN {
        return Check::bad(
            NAME,
            "the clock is years behind, so tunnels would refuse devices",
            "timedatectl set-ntp true",
        );
    }
    Check::ok(NAME, "the clock is plausible")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_own_rights_are_understood() {
        let status = "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000001000\n";
        assert_eq!(identity(status), (Some(1000), 0x1000));
        assert_eq!(identity(""), (None, 0));
    }

    #[test]
    fn reserved_ports_are_all_of_them_or_none() {
        assert!(covers("51800-52800\n", 51_800, 52_800));
        assert!(covers("1,40000-60000", 51_800, 52_800));
        assert!(!covers("51800-52799", 51_800, 52_800));
        assert!(!covers("\n", 51_800, 52_800));
    }

    #[test]
    fn a_file_others_can_read_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(open_to_others(dir.path()), None);
        let central = dir.path().join("central_api");
        fs::create_dir(&central).unwrap();
        fs::set_permissions(&central, fs::Permissions::from_mode(0o700)).unwrap();
        let key = central.join("seal.key");
        fs::write(&key, "x").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            open_to_others(dir.path()),
            Some((key.display().to_string(), 0o644))
        );
    }
}
