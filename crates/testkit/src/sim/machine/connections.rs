//! The table of tracked connections: devices on interfaces of ours always have some,
//! and they stay until they are ended.

use super::{Extent, Machine};
use domain::Slot;
use ipnet::{IpNet, Ipv4Net};
use provisioning::{plan::is_ours, ports::PortResult};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

impl Machine {
    pub(in crate::sim) fn end_connections(
        &mut self,
        networks: &BTreeSet<Ipv4Net>,
        mut extent: Extent,
    ) -> PortResult<u64> {
        let is_meant = |at: &std::net::Ipv4Addr| networks.iter().any(|net| net.contains(at));
        let meant: Vec<_> = self.connections.keys().copied().filter(is_meant).collect();
        extent.apply(meant, |at| {
            self.connections.remove(&at);
        });
        extent.result().map(|()| 0)
    }

    pub(in crate::sim) fn redirect_connections(
        &mut self,
        ports: &BTreeMap<u16, Option<Ipv4Addr>>,
        mut extent: Extent,
    ) -> PortResult<u64> {
        extent.apply(ports.iter().collect(), |(port, to)| {
            if let Some(slot) = Slot::of_port(*port) {
                match to {
                    Some(to) => drop(self.redirected.insert(slot, *to)),
                    None => drop(self.redirected.remove(&slot)),
                }
            }
        });
        extent.result().map(|()| 0)
    }

    /// Lets every device that can send begin a connection, where it has none.
    pub(in crate::sim) fn exchange_packets(&mut self) {
        for i in self.interfaces.values().filter(|i| is_ours(i) && i.up) {
            let Some(tunnel) = i.public_key else {
                continue;
            };
            for (device, peer) in &i.peers {
                let addresses = peer.allowed_ips.iter().filter_map(|net| match net {
                    IpNet::V4(net) => Some(net.addr()),
                    IpNet::V6(_) => None,
                });
                for at in addresses {
                    self.connections.entry(at).or_insert((tunnel, *device));
                }
            }
        }
    }
}
