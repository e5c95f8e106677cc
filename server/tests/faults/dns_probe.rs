//! A device of a tenant who must not be affected: it asks its filter ten times
//! a second through its tunnel, and counts the answers.

use super::{ALLOWED, dns, dns::Answer, internet, stack::Device};
use std::{
    net::Ipv4Addr,
    ops::AddAssign,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long an answer may take before it counts as lost.
const LOST: Duration = Duration::from_millis(1500);

/// The counts since the last call of [`DnsProbe::take_counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeCounts {
    /// Questions with the right answer.
    pub answered: u32,
    /// Questions without an answer, or with a wrong one.
    pub lost: u32,
    /// The longest time until an answer.
    pub longest: Duration,
}

impl AddAssign for ProbeCounts {
    fn add_assign(&mut self, more: Self) {
        self.answered += more.answered;
        self.lost += more.lost;
        self.longest = self.longest.max(more.longest);
    }
}

/// See the module. It ends when it is dropped.
pub struct DnsProbe {
    counts: Arc<Mutex<ProbeCounts>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DnsProbe {
    /// Starts the probe.
    pub fn start(device: &Device, gateway: Ipv4Addr) -> Self {
        let (counts, ended) = (
            Arc::<Mutex<ProbeCounts>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (shared, stop, namespace) = (counts.clone(), ended.clone(), device.namespace.clone());
        let right = Answer::Address(internet());
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let answer = dns::ask_once(&namespace, gateway, ALLOWED, LOST);
                let took = begun.elapsed();
                {
                    let mut counts = shared.lock().unwrap();
                    if answer == right {
                        counts.answered += 1;
                    } else {
                        counts.lost += 1;
                    }
                    counts.longest = counts.longest.max(took);
                }
                thread::sleep(Duration::from_millis(100).saturating_sub(took));
            }
        });
        Self {
            counts,
            ended,
            thread: Some(thread),
        }
    }

    /// Returns the counts since the last call. A question in flight is counted
    /// in the next one.
    pub fn take_counts(&self) -> ProbeCounts {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }
}

impl Drop for DnsProbe {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
