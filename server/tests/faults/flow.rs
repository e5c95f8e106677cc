//! Somebody who must not notice anything: a device that asks its filter ten
//! times a second through its tunnel, and counts.

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

/// What was seen since somebody looked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Answers that came, and were right.
    pub answered: u32,
    /// Questions without an answer, or with a wrong one.
    pub lost: u32,
    /// The longest an answer took.
    pub longest: Duration,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, more: Self) {
        self.answered += more.answered;
        self.lost += more.lost;
        self.longest = self.longest.max(more.longest);
    }
}

/// See the module. Ends when it is dropped.
pub struct Flow {
    seen: Arc<Mutex<Seen>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flow {
    /// Begins asking.
    pub fn start(device: &Device, gateway: Ipv4Addr) -> Self {
        let (seen, ended) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (mine, over, namespace) = (seen.clone(), ended.clone(), device.namespace.clone());
        let right = Answer::Address(internet());
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let answer = dns::ask_once(&namespace, gateway, ALLOWED, LOST);
                let took = begun.elapsed();
                {
                    let mut seen = mine.lock().unwrap();
                    if answer == right {
                        seen.answered += 1;
                    } else {
                        seen.lost += 1;
                    }
                    seen.longest = seen.longest.max(took);
                }
                thread::sleep(Duration::from_millis(100).saturating_sub(took));
            }
        });
        Self {
            seen,
            ended,
            thread: Some(thread),
        }
    }

    /// What was seen since the last call; a question under way counts next time.
    pub fn seen(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
