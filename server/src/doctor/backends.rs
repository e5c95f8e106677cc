//! WireGuard, nftables, Docker and the block lists.

use super::report::Check;
use crate::{backends::container_settings, config::Config};
use adguard::Lists;
use containers::Docker;
use firewall::{FirewallSettings, Nft};
use provisioning::{Clock, Containers, Firewall, SystemClock};
use std::fs;
use texts::english;

/// A list older than this was not fetched for two days in a row.
const OLD_LIST_MILLIS: i64 = 3 * 86_400_000;

pub(super) async fn wireguard(config: &Config) -> Check {
    const NAME: &str = "WireGuard";
    match wireguard::examine(config.wireguard).await {
        Ok(found) => Check::ok(
            NAME,
            format!("{}: {}", found.chosen, english().message(&found.why)),
        ),
        Err(e) => Check::bad(
            NAME,
            english().message(&e.message),
            "modprobe wireguard; modprobe tun (as root)",
        ),
    }
}

pub(super) fn tun() -> Check {
    const NAME: &str = "/dev/net/tun";
    let path = "/dev/net/tun";
    match fs::OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Check::ok(NAME, "exists, for the userspace WireGuard"),
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
        Err(f) => return Check::bad(NAME, english().message(&f.message), "fix config.toml"),
    };
    match Firewall::observe(&nft).await {
        Ok(observed) if observed.complete => Check::ok(
            NAME,
            format!(
                "our table is in force, {} tenants in it",
                observed.tenants.len()
            ),
        ),
        Ok(_) => Check::ok(NAME, "works; our table is created when the server starts"),
        Err(e) => Check::bad(
            NAME,
            english().message(&e.message),
            "apt-get install -y nftables; run as root",
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
                english().message(&e.message),
                "systemctl start docker, or install it: ./dev setup",
            )];
        }
    };
    let mut checks = vec![Check::ok(NAME, version)];
    let image = &config.dns.image;
    checks.push(match docker.observe().await {
        Ok(observed) if observed.image => Check::ok(
            "Image",
            format!("{image} is present, {} DNS filters", observed.ours.len()),
        ),
        Ok(_) => Check::bad(
            "Image",
            format!("{image} is missing; tunnels use a plain resolver meanwhile"),
            format!("./dev image, or docker pull {image}"),
        ),
        Err(e) => Check::bad("Image", english().message(&e.message), "docker ps"),
    });
    match docker.network_clash().await {
        Ok(None) => {}
        Ok(Some(clash)) => checks.push(Check::bad(
            "Docker networks",
            english().message(&clash),
            "docker network ls",
        )),
        Err(e) => checks.push(Check::bad(
            "Docker networks",
            english().message(&e.message),
            "docker network ls",
        )),
    }
    checks
}

pub(super) fn lists(config: &Config) -> Check {
    const NAME: &str = "Block lists";
    let lists = match Lists::new(config.root.join("lists"), config.dns.lists.clone()) {
        Ok(lists) => lists,
        Err(e) => return Check::bad(NAME, english().message(&e.message), "see the log"),
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
            "not fetched in the last days: {}; the last copy or a small built-in list is used",
            names.join(", ")
        ),
        "the server fetches them while it runs; its log says why one is missing",
    )
}
