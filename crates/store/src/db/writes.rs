//! How often this process has written. What was read before a write may be old after it, and
//! what waits for something new looks for it after one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;

/// The number of writes that have ended, whatever became of them.
#[derive(Debug, Default)]
pub(crate) struct WriteCount {
    ended: AtomicU64,
    bell: Notify,
}

impl WriteCount {
    pub fn get(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until another number of writes has ended than `known`.
    pub async fn other_than(&self, known: u64) {
        loop {
            // It hears of every write from here on, and so of one between the next two lines.
            let rung = self.bell.notified();
            if self.get() != known {
                return;
            }
            rung.await;
        }
    }
}

/// A write that goes on. It is counted when this is dropped: after it was committed or
/// refused, before its caller goes on. A commit whose caller gave it up may end later.
pub(crate) struct Written(Arc<WriteCount>);

impl Written {
    pub fn new(count: &Arc<WriteCount>) -> Self {
        Self(count.clone())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
        self.0.bell.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn who_waits_hears_of_each_write() {
        let count = Arc::<WriteCount>::default();
        let mut first = std::pin::pin!(count.other_than(0));
        let mut second = std::pin::pin!(count.other_than(0));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(Written::new(&count));
        assert!(first.now_or_never().is_some());
        assert!(second.now_or_never().is_some());
        assert!(
            count.other_than(0).now_or_never().is_some(),
            "it was before"
        );
        assert!(count.other_than(1).now_or_never().is_none());
    }
}
