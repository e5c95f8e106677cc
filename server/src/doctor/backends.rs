//! WireGuard, nftables, Docker and the block lists.

use super::{
    docker_kind,
    report::{Check, run},
};
use crate::{
    config::Config,
    wiring::{container_settings, firewall_settings},
};
use adguard::Lists;
use containers::Docker;
use domain::{Clock, Message, SystemClock};
use firewall::Nft;
use provisioning::{Containers, Firewall};
use std::fs;

/// A list older than this was not fetched for two days in a row.
const OLD_LIST_MILLIS: i64 = 3 * 86_400_000;

pub(super) async fn wireguard(config: &Config) -> Check {
    const NAME: Message = Message::CheckWireguard;
    match wireguard::examine(config.wireguard).await {
        Ok(found) => Check::ok(
            NAME,
            Message::WireguardChosen {
                implementation: found.chosen.to_string(),
                reason: Box::new(found.why),
            },
        ),
        Err(e) => Check::bad(NAME, e.message, Message::FixWireguard),
    }
}

pub(super) fn tun() -> Check {
    const NAME: Message = Message::CheckTun;
    let path = "/dev/net/tun";
    match fs::OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Check::ok(NAME, Message::TunExists),
        Err(e) => Check::warn(
            NAME,
            Message::TunClosed {
                reason: e.to_string(),
            },
            run("modprobe tun"),
        ),
    }
}

pub(super) async fn nft(config: &Config) -> Check {
    const NAME: Message = Message::CheckNft;
    let nft = match Nft::new(firewall_settings(config)) {
        Ok(nft) => nft,
        Err(f) => return Check::bad(NAME, f.message, Message::FixConfiguration),
    };
    match Firewall::observe(&nft).await {
        Ok(observed) if observed.complete => Check::ok(
            NAME,
            Message::NftInForce {
                tenants: observed.tenants.len() as u64,
            },
        ),
        Ok(_) => Check::ok(NAME, Message::NftReady),
        Err(e) => Check::bad(NAME, e.message, Message::FixNft),
    }
}

pub(super) async fn docker(config: &Config) -> Vec<Check> {
    const NAME: Message = Message::CheckDocker;
    const IMAGE: Message = Message::CheckImage;
    const NETWORKS: Message = Message::CheckDockerNetworks;
    let docker = Docker::new(container_settings(config));
    let version = match docker.ping().await {
        Ok(version) => version,
        Err(e) => {
            return vec![Check::bad(NAME, e.message, Message::FixDocker)];
        }
    };
    let mut checks = vec![Check::ok(NAME, Message::Verbatim { text: version })];
    let image = config.dns.local_image().to_owned();
    checks.push(match docker.observe().await {
        Ok(observed) if observed.image => Check::ok(
            IMAGE,
            Message::ImagePresent {
                image,
                filters: observed.ours.len() as u64,
            },
        ),
        Ok(_) => Check::bad(
            IMAGE,
            Message::ImageAbsent {
                image: image.clone(),
            },
            Message::FixImage { image },
        ),
        Err(e) => Check::bad(IMAGE, e.message, run("docker ps")),
    });
    match docker.facts().await {
        Ok(facts) => checks.extend(docker_kind::check(&facts).await),
        Err(e) => checks.push(Check::bad(NAME, e.message, run("docker info"))),
    }
    match docker.network_clash().await {
        Ok(None) => {}
        Ok(Some(clash)) => checks.push(Check::bad(NETWORKS, clash, run("docker network ls"))),
        Err(e) => checks.push(Check::bad(NETWORKS, e.message, run("docker network ls"))),
    }
    checks
}

pub(super) fn lists(config: &Config) -> Check {
    const NAME: Message = Message::CheckBlockLists;
    let lists = match Lists::new(config.root.join("lists"), config.dns.lists.clone()) {
        Ok(lists) => lists,
        Err(e) => return Check::bad(NAME, e.message, Message::FixSeeLog),
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
        return Check::ok(
            NAME,
            Message::ListsFetched {
                lists: fetched as u64,
                rules,
            },
        );
    }
    let names: Vec<&str> = status
        .iter()
        .filter(|l| !l.fetched_at.is_some_and(fresh))
        .map(|l| l.list.name.as_str())
        .collect();
    Check::warn(
        NAME,
        Message::ListsOld {
            lists: names.join(", "),
        },
        Message::FixLists,
    )
}
