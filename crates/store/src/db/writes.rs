//! How often this process has written. What was read before a write may be old after it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The number of writes that have ended, whatever became of them.
#[derive(Debug, Default)]
pub(crate) struct WriteCount(AtomicU64);

impl WriteCount {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
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
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}
