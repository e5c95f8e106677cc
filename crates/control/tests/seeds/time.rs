//! Time that goes by faster than the world's. SQLite runs on threads of its own
//! that simulated time does not wait for: it jumps to the next timer as soon as
//! the runtime is idle, and a query that takes a millisecond would seem to take
//! minutes. So here it goes on with real time: some milliseconds in one while
//! anything is done, many once nothing was done for a while, and none while
//! the runtime has no turn. A busy machine slows it down.

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

/// How often time goes on.
const BEAT: Duration = Duration::from_millis(1);

/// So many beats without anything done, and nothing is under way: a query takes
/// less.
const QUIET: u32 = 5;

/// What goes by with a beat while something is done.
const WORKING: u32 = 10;

/// What goes by with a beat while all that is waited for is time.
const WAITING: u32 = 200;

/// What goes by with a beat where nothing may seem slow.
const SLOWLY: u32 = 5;

/// How much goes by with a beat at most, in beats.
#[derive(Clone)]
pub struct Pace(Arc<AtomicU32>);

impl Pace {
    /// Time that goes by as it should for most of a history.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU32::new(WAITING)))
    }

    /// Time goes slowly until this is dropped: nobody's patience ends because
    /// other programs want the machine.
    pub fn slowly(&self) -> Slowly {
        Slowly(self.clone(), self.0.swap(SLOWLY, Ordering::Relaxed))
    }

    /// Has time go on in this runtime, whose clock is paused. While the blocking
    /// task runs, tokio leaves the clock alone.
    pub fn start(&self) -> JoinHandle<()> {
        let pace = self.clone();
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
                // Once for this beat; more often, and somebody had an answer.
                let now = metrics.worker_park_count(0);
                quiet = if now - parked > 1 { 0 } else { quiet + 1 };
                parked = now;
                let most = pace.0.load(Ordering::Relaxed);
                let beats = if quiet < QUIET { WORKING } else { WAITING };
                advance(BEAT * beats.min(most)).await;
            }
        })
    }
}

/// See [`Pace::slowly`].
pub struct Slowly(Pace, u32);

impl Drop for Slowly {
    fn drop(&mut self) {
        self.0.0.store(self.1, Ordering::Relaxed);
    }
}

/// Waits that many milliseconds of the history's.
pub async fn pause(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}
