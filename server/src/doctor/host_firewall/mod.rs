//! Whether the host's own firewall lets the tunnels' UDP ports in. A packet must pass every
//! table: what one drops, ours cannot accept. So all of them are read (nftables, and the
//! iptables that keeps its rules elsewhere), and the first packet of a device, which has no
//! connection yet, is followed through their chains.
//!
//! A rule whose condition is not understood raises no alarm: where one such rule might
//! accept the packet, nothing is reported.

mod iptables;
mod nft;
mod packet;
mod walk;

use super::report::Check;
use domain::{Message, Slot};
use hostfs::OwnPids;
use packet::Packet;
use std::fs;
use walk::{Hooked, Verdict};

const NAME: Message = Message::CheckHostFirewall;

/// The firewall's own tables of ours (`crates/machine/firewall/src/model.rs`).
const OURS: [&str; 2] = ["maliknode", "maliknode_limits"];

/// The ports by which the whole range is judged: both ends, and where the first tenants are.
const PORTS: [u16; 8] = [
    51_821, 51_822, 51_823, 51_800, 51_830, 51_900, 52_300, 52_800,
];

/// Examines the host's firewall.
pub(super) async fn check() -> Option<Check> {
    let own = OwnPids::default();
    let nft = hostfs::run("nft", &["-j", "list", "ruleset"], "", &own).await;
    let version = hostfs::run("iptables", &["--version"], "", &own).await;
    let iptables = hostfs::run("iptables", &["-S"], "", &own).await.ok();
    let is_nft = version.is_ok_and(|v| String::from_utf8_lossy(&v).contains("nf_tables"));
    // Asking for it would create it.
    let legacy = fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    let legacy = match is_nft && legacy.lines().any(|table| table == "filter") {
        true => hostfs::run("iptables-legacy", &["-S"], "", &own).await.ok(),
        false => None,
    };
    if nft.is_err() && iptables.is_none() {
        // The check of nft says what is missing.
        return None;
    }
    let of_host = |port| Packet::to_port(port);
    let dumps = Dumps {
        nft: nft.ok().and_then(|json| serde_json::from_slice(&json).ok()),
        // nft lists the same rules, but not what its own program cannot translate.
        shows_iptables: is_nft && iptables.is_some(),
        iptables: [iptables, legacy]
            .into_iter()
            .flatten()
            .map(|dump| String::from_utf8_lossy(&dump).into_owned())
            .collect(),
    };
    Some(judge(|port| dumps.hooked(&of_host(port)), &PORTS))
}

/// What the programs said.
struct Dumps {
    nft: Option<serde_json::Value>,
    shows_iptables: bool,
    iptables: Vec<String>,
}

impl Dumps {
    /// Returns the chains as a packet meets them.
    fn hooked(&self, packet: &Packet) -> Vec<Hooked> {
        let of_iptables = |place: &str| self.shows_iptables && place == "ip filter INPUT";
        let nft = self.nft.iter().flat_map(|json| nft::input(json, packet));
        let nft = nft.filter(|hooked| {
            let mut words = hooked.place.split(' ');
            !words.nth(1).is_some_and(|table| OURS.contains(&table)) && !of_iptables(&hooked.place)
        });
        let dumps = self.iptables.iter();
        let iptables = dumps.filter_map(|dump| iptables::input(dump, packet));
        nft.chain(iptables).collect()
    }
}

fn judge(hooked: impl Fn(u16) -> Vec<Hooked>, ports: &[u16]) -> Check {
    for port in ports {
        for chain in hooked(*port) {
            if chain.chains.verdict(&chain.first) == Verdict::Drop {
                return shut(&chain, *port);
            }
        }
    }
    Check::ok(NAME, Message::HostFirewallOpen)
}

/// Returns the report of a chain that drops what devices send, with the command of the
/// program whose chain it is.
fn shut(chain: &Hooked, port: u16) -> Check {
    let has = |start: &str| chain.chains.names().any(|name| name.starts_with(start));
    let table = chain.place.split(' ').nth(1).unwrap_or_default();
    let (by, command) = match (chain.place.as_str(), table) {
        (iptables::PLACE, _) if has("ufw-") || has("ufw6-") => {
            ("ufw", "ufw allow 51800:52800/udp".to_owned())
        }
        (_, "firewalld") => (
            "firewalld",
            "firewall-cmd --permanent --add-port=51800-52800/udp && firewall-cmd --reload"
                .to_owned(),
        ),
        (iptables::PLACE, _) => (
            "iptables",
            "iptables -I INPUT 1 -p udp --dport 51800:52800 -j ACCEPT && netfilter-persistent save"
                .to_owned(),
        ),
        (place, _) => (
            "nftables",
            format!("nft insert rule {place} udp dport 51800-52800 accept"),
        ),
    };
    let slot = Slot::of_port(port).map_or(1, Slot::get);
    Check::bad(
        NAME,
        Message::HostFirewallShut {
            by: by.to_owned(),
            place: chain.place.clone(),
            port: port.into(),
            slot: slot.into(),
        },
        Message::FixHostFirewall { command },
    )
}

#[cfg(test)]
mod tests;
