//! A year of readings in a few thousand steps: days, then hours, quarters of an
//! hour, minutes, and for the last hour every 10 s. Graphs are then as full as
//! after 3,153,600 readings. `examples/year.rs` uses this file too.

use domain::{PublicKey, Span, Timestamp};
use std::net::SocketAddr;
use store::StatSample;

/// Returns the times of the readings, oldest first; the last is `now`.
pub fn readings(now: Timestamp) -> Vec<Timestamp> {
    let mut at = Span::Year.begin(now);
    let mut all = Vec::new();
    while at < now {
        all.push(at);
        // The step is that of the finest graph that reaches so far back. Where
        // a finer graph begins, its step applies.
        let begins = |s: &Span| s.begin(now);
        let span = Span::ALL.into_iter().find(|s| begins(s) <= at);
        let span = span.unwrap_or(Span::Year);
        let next = span.step_of(at).plus_millis(span.step_millis());
        let finer = Span::ALL.iter().map(begins).filter(|b| *b > at).min();
        at = finer.map_or(next, |b| b.min(next));
    }
    all.push(now);
    all
}

/// The counters of devices that are in use all the time, at 1 kB/s to 1 MB/s.
pub struct Devices {
    keys: Vec<PublicKey>,
    counters: Vec<(u64, u64)>,
    previous: Option<Timestamp>,
    random: u64,
}

impl Devices {
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self {
            counters: vec![(0, 0); keys.len()],
            keys,
            previous: None,
            random: 4711,
        }
    }

    /// Returns the counters at a time.
    pub fn read(&mut self, at: Timestamp) -> Vec<StatSample> {
        let seconds = self
            .previous
            .map_or(10, |b| at.millis_since(b).max(1_000) / 1_000);
        self.previous = Some(at);
        for (rx, tx) in &mut self.counters {
            // A linear congruential generator with Knuth's constants.
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let rate = 1_000 << (self.random >> 60).min(10);
            *tx += rate * seconds.unsigned_abs() + (self.random >> 33) % 1_000;
            *rx += rate * seconds.unsigned_abs() / 10 + (self.random >> 43) % 100;
        }
        let endpoint: SocketAddr = ([192, 0, 2, 7], 51_820).into();
        self.keys
            .iter()
            .zip(&self.counters)
            .map(|(key, (rx, tx))| StatSample {
                public_key: *key,
                rx_bytes: *rx,
                tx_bytes: *tx,
                last_handshake: Some(at),
                endpoint: Some(endpoint),
            })
            .collect()
    }
}
