//! AdGuard's look-up service: safe browsing and parental control ask it about every new name.
//! AdGuard Home v0.107.79 does not answer where it gets no answer from there
//! (`filtering/hashprefix`), so no new name would be resolved for a device whose policy is a
//! lock. Whether the service can be reached is therefore probed, for the whole node, and
//! only while there is such a device.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};

/// The addresses of `family.adguard-dns.com` that AdGuard Home has compiled in
/// (`internal/home/dns.go`), at the port of DNS over HTTPS.
const ADDRESSES: [([u8; 4], u16); 2] = [([94, 140, 14, 15], 443), ([94, 140, 15, 16], 443)];

/// The longest wait for a connection.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often a service that answers is probed, and one that does not.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5));
/// How many probes in a row fail before the service counts as away.
const FAILURES: u32 = 2;

/// Knows whether the service can be reached.
#[derive(Debug)]
pub(crate) struct Lookups {
    addresses: Vec<SocketAddr>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    probed_at: Option<Instant>,
}

impl Default for Lookups {
    fn default() -> Self {
        Self::new(ADDRESSES.map(SocketAddr::from).to_vec())
    }
}

impl Lookups {
    /// Creates it for a service that has these addresses.
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        let state = Mutex::default();
        Self { addresses, state }
    }

    /// Returns whether the service can be reached, as far as is known.
    pub(crate) fn can_be_reached(&self) -> bool {
        self.state().failures < FAILURES
    }

    /// Probes the service in the background, if that is due.
    pub(crate) fn probe_if_due(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = self.state();
        let interval = match state.failures {
            0 => INTERVALS.0,
            _ => INTERVALS.1,
        };
        if state.probed_at.is_some_and(|at| now - at < interval) {
            return;
        }
        // An interval is longer than a probe, so there is one at a time.
        state.probed_at = Some(now);
        drop(state);
        let lookups = Arc::clone(self);
        tokio::spawn(async move { lookups.probe().await });
    }

    /// Connects to each address until one answers.
    async fn probe(&self) {
        let share = TIMEOUT / u32::try_from(self.addresses.len().max(1)).unwrap_or(1);
        let mut answers = false;
        for address in &self.addresses {
            answers =
                answers || matches!(timeout(share, TcpStream::connect(address)).await, Ok(Ok(_)));
        }
        let mut state = self.state();
        let was_away = state.failures >= FAILURES;
        state.failures = match answers {
            true => 0,
            false => state.failures.saturating_add(1),
        };
        let is_away = state.failures >= FAILURES;
        drop(state);
        match (was_away, is_away) {
            (false, true) => tracing::warn!(
                "AdGuard's look-up service cannot be reached: lists alone decide what is blocked"
            ),
            (true, false) => tracing::info!("AdGuard's look-up service can be reached again"),
            _ => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain data: a panic of another task cannot have left it half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
