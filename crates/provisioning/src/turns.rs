//! Work that blocks a thread, a few at a time. A disk that hangs keeps the
//! threads that wait for it for ever, and whoever gave up asks again: without
//! a bound they would use up the threads of the whole program, and with them
//! what has nothing to do with that disk (passwords, mostly).

use crate::ports::{PortError, PortResult};
use domain::ErrorCode;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Turns at blocking work. Clones share them.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    /// So many at one time.
    pub fn of(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Does the work on a thread of its own once it is its turn. Whoever stops
    /// waiting leaves the line; work that has begun keeps its turn to its end.
    ///
    /// # Errors
    /// The work's own; `Internal` where it broke off.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let broke_off = |e: Box<dyn std::error::Error + Send + Sync>| {
            PortError::because(ErrorCode::Internal, "Work on the disk broke off.", e)
        };
        let turn = self.0.clone().acquire_owned().await;
        let turn = turn.map_err(|e| broke_off(e.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|e| broke_off(e.into()))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::Duration,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn a_disk_that_hangs_keeps_few_threads_and_comes_back() {
        let (turns, begun) = (Turns::of(3), Arc::new(AtomicUsize::new(0)));
        let (release, hung) = mpsc::channel::<()>();
        let hung = Arc::new(std::sync::Mutex::new(hung));
        let asked: Vec<_> = (0..100)
            .map(|_| {
                let (turns, begun, hung) = (turns.clone(), begun.clone(), hung.clone());
                tokio::spawn(async move {
                    let work = turns.run(move || {
                        begun.fetch_add(1, Ordering::SeqCst);
                        // Until the test lets go of the other end.
                        let _ = hung.lock().unwrap().recv();
                        Ok(())
                    });
                    tokio::time::timeout(Duration::from_millis(200), work).await
                })
            })
            .collect();
        for task in asked {
            assert!(task.await.unwrap().is_err(), "given up");
        }
        assert_eq!(begun.load(Ordering::SeqCst), 3);
        // Something else that needs a thread is not hindered.
        assert_eq!(tokio::task::spawn_blocking(|| 7).await.unwrap(), 7);
        drop(release);
        assert_eq!(turns.run(|| Ok(9)).await.unwrap(), 9);
        assert_eq!(begun.load(Ordering::SeqCst), 3, "who gave up is forgotten");
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_gives_its_turn_back() {
        let turns = Turns::of(1);
        for _ in 0..3 {
            let broken = turns.run(|| -> PortResult<()> { panic!("on purpose") });
            assert_eq!(broken.await.unwrap_err().code, ErrorCode::Internal);
        }
    }
}
