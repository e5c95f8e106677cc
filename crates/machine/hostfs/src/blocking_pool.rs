//! Work that blocks a thread, a few calls at a time. A disk that hangs holds
//! the threads that wait for it forever, and a caller that gave up tries again.
//! Without a bound, such calls would use up the threads of the whole process,
//! and work that has nothing to do with that disk (mostly password hashing)
//! would stop too.

use domain::{ErrorCode, Message};
use provisioning::ports::{PortError, PortResult};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A bounded number of permits for blocking work. Clones share them.
#[derive(Clone, Debug)]
pub struct BlockingPool(Arc<Semaphore>);

impl BlockingPool {
    /// Creates a pool with this many permits.
    pub fn new(permits: usize) -> Self {
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Runs the work on a blocking thread as soon as there is a permit. A caller
    /// that stops waiting leaves the queue; work that has begun holds its permit
    /// until it ends.
    ///
    /// # Errors
    /// The work's own error; `Internal` where the work panicked or was cancelled.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let interrupted = |e: Box<dyn std::error::Error + Send + Sync>| {
            PortError::because(ErrorCode::Internal, Message::DiskWorkInterrupted, e)
        };
        let permit = self.0.clone().acquire_owned().await;
        let permit = permit.map_err(|e| interrupted(e.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|e| interrupted(e.into()))?
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
    async fn a_hanging_disk_holds_few_threads_and_recovers() {
        let (pool, begun) = (BlockingPool::new(3), Arc::new(AtomicUsize::new(0)));
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(std::sync::Mutex::new(blocked));
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let (pool, begun, blocked) = (pool.clone(), begun.clone(), blocked.clone());
                tokio::spawn(async move {
                    let work = pool.run(move || {
                        begun.fetch_add(1, Ordering::SeqCst);
                        // Blocks until the test drops the other end.
                        let _ = blocked.lock().unwrap().recv();
                        Ok(())
                    });
                    tokio::time::timeout(Duration::from_millis(200), work).await
                })
            })
            .collect();
        for call in calls {
            assert!(call.await.unwrap().is_err(), "the call did not time out");
        }
        assert_eq!(begun.load(Ordering::SeqCst), 3);
        // Other work still gets a thread.
        assert_eq!(tokio::task::spawn_blocking(|| 7).await.unwrap(), 7);
        drop(release);
        assert_eq!(pool.run(|| Ok(9)).await.unwrap(), 9);
        assert_eq!(
            begun.load(Ordering::SeqCst),
            3,
            "calls that timed out must leave the queue"
        );
    }

    #[tokio::test]
    async fn work_that_panics_fails_and_returns_its_permit() {
        let pool = BlockingPool::new(1);
        for _ in 0..3 {
            let panicked = pool.run(|| -> PortResult<()> { panic!("on purpose") });
            assert_eq!(panicked.await.unwrap_err().code, ErrorCode::Internal);
        }
    }
}
