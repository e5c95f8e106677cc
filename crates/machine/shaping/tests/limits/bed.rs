//! The bed: a host with the interfaces of two tenants, a device of each, and the
//! internet.
//!
//! ```text
//! alice 10.88.1.2 ── wg1 ┐
//!                        ├ host ── wan0 ── internet 198.51.100.2
//! bob   10.88.2.2 ── wg2 ┘
//! ```
//! Veths named `wg1` and `wg2` replace tunnels: they carry the packets that WireGuard
//! would have decrypted, with the large packets (GSO) that a forwarding host sees.

use domain::Slot;
use protocol::SpeedLimits;
use provisioning::{
    observed::ObservedSpeed,
    ports::{PortError, Shaping},
};
use shaping::Tc;
use std::{collections::BTreeMap, sync::Arc};
use testkit::namespace::Namespace;

/// The address of the internet.
pub const INTERNET: &str = "198.51.100.2";

pub struct Bed {
    pub host: Namespace,
    pub alice: Namespace,
    pub bob: Namespace,
    pub internet: Namespace,
    pub tc: Arc<Tc>,
}

impl Bed {
    pub fn new() -> Self {
        let bed = Self {
            host: Namespace::new(),
            alice: Namespace::new(),
            bob: Namespace::new(),
            internet: Namespace::new(),
            tc: Arc::new(Tc::new()),
        };
        let forward = || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1");
        bed.host.run(forward).unwrap();
        bed.host.connect("wan0", &bed.internet, "eth0");
        bed.host.tool("ip addr add 198.51.100.1/24 dev wan0");
        bed.internet.tool("ip addr add 198.51.100.2/24 dev eth0");
        bed.internet.tool("ip route add default via 198.51.100.1");
        bed.tunnel(1);
        bed.tunnel(2);
        bed
    }

    /// Creates a tenant's interface, with its device at the other end.
    pub fn tunnel(&self, n: u8) {
        let device = if n == 1 { &self.alice } else { &self.bob };
        self.host.connect(&format!("wg{n}"), device, "eth0");
        self.host
            .tool(&format!("ip addr add 10.88.{n}.1/24 dev wg{n}"));
        device.tool(&format!("ip addr add 10.88.{n}.2/24 dev eth0"));
        device.tool(&format!("ip route add default via 10.88.{n}.1"));
    }

    /// Runs calls of the port in the host's namespace.
    pub fn with<T: Send + 'static, F: Future<Output = T>>(
        &self,
        work: impl FnOnce(Arc<Tc>) -> F + Send + 'static,
    ) -> T {
        let tc = self.tc.clone();
        self.host.run(move || runtime().block_on(work(tc)))
    }

    pub fn observe(&self) -> BTreeMap<Slot, ObservedSpeed> {
        self.with(|tc| async move { tc.observe().await }).unwrap()
    }

    pub fn try_apply(&self, n: u16, limits: SpeedLimits) -> Result<(), PortError> {
        self.with(move |tc| async move { tc.apply(slot(n), &limits).await })
    }

    pub fn apply(&self, n: u16, limits: SpeedLimits) {
        self.try_apply(n, limits).unwrap();
    }

    /// Returns what there is of traffic control and of ifbs, as tc and ip print it.
    pub fn listing(&self) -> String {
        let filters = ["wg1", "wg2"].map(|name| {
            let show = format!("tc filter show dev {name} ingress");
            let shown = self.host.output(&show).join().unwrap();
            // The reference counts of an action are not of interest, nor is its number.
            let text = String::from_utf8_lossy(&shown.stdout).into_owned();
            let lines = text.lines().filter(|l| !l.trim().starts_with("index "));
            lines.collect::<Vec<_>>().join("\n")
        });
        self.host.tool("tc qdisc show") + &filters.concat() + &self.host.tool("ip -br link")
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

/// Creates limits from Mb/s; 0 is none.
pub fn mbps(down: u64, up: u64) -> SpeedLimits {
    let limit = |rate: u64| (rate > 0).then_some(rate * 1_000_000);
    SpeedLimits {
        down_bps: limit(down),
        up_bps: limit(up),
    }
}
