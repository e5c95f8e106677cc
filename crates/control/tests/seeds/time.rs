//! Time that passes faster than real time. SQLite runs on threads of its own
//! that simulated time does not wait for: it jumps to the next timer as soon as
//! the runtime is idle, and a query that takes a millisecond would seem to take
//! minutes. So here time is driven by real time: one real millisecond is some
//! simulated ones while work is under way, many once the runtime has been idle
//! for a while, and none while the runtime does not run. A busy machine slows
//! it down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::JoinHandle,
    time::{advance, sleep},
};

/// How often the clock is advanced.
const BEAT: Duration = Duration::from_millis(1);

/// After this many beats without work nothing is under way: a query takes less.
const QUIET: u32 = 5;

/// Milliseconds per beat while work is under way.
const WORKING: u32 = 10;

/// Milliseconds per beat while every task waits for time.
const WAITING: u32 = 200;

/// Milliseconds per beat where nothing may seem slow.
const SLOWLY: u32 = 5;

/// The most milliseconds per beat.
#[derive(Clone)]
pub struct TimeLapse(Arc<AtomicU32>);

impl TimeLapse {
    /// Returns the speed for most of a history.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU32::new(WAITING)))
    }

    /// Lets time pass slowly until the guard is dropped, so that no timeout
    /// ends because other programs use the machine.
    pub fn slow_down(&self) -> SlowGuard {
        SlowGuard(self.clone(), self.0.swap(SLOWLY, Ordering::Relaxed))
    }

    /// Advances the clock of this runtime, which is paused. While the blocking
    /// task runs, tokio leaves the clock alone.
    pub fn start(&self) -> JoinHandle<()> {
        let time = self.clone();
        let (to, mut from) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            while to.blocking_send(()).is_ok() {
                thread::sleep(BEAT);
            }
        });
        tokio::spawn(async move {
            let metrics = Handle::current().metrics();
            let mut parked = 0;
            let mut quiet = 0;
            while from.recv().await.is_some() {
                // One wake-up is for this beat; more mean that a task had work.
                let now = metrics.worker_park_count(0);
                quiet = if now - parked > 1 { 0 } else { quiet + 1 };
                parked = now;
                let most = time.0.load(Ordering::Relaxed);
                let beats = if quiet < QUIET { WORKING } else { WAITING };
                advance(BEAT * beats.min(most)).await;
            }
        })
    }
}

/// The guard of [`TimeLapse::slow_down`].
pub struct SlowGuard(TimeLapse, u32);

impl Drop for SlowGuard {
    fn drop(&mut self) {
        self.0.0.store(self.1, Ordering::Relaxed);
    }
}

/// Waits for that many simulated milliseconds.
pub async fn pause(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}
