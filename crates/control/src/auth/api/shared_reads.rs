//! Reads that requests share. Of requests that ask for the same at the same time, one reads; the
//! others get what a read found that began after they had asked, so none gets what is old.

use domain::Failure;
use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use store::CredentialRecord;
use tokio::sync::oneshot;

/// The reads of credentials.
pub(crate) type CredentialReads = SharedReads<Result<Option<Arc<CredentialRecord>>, Failure>>;

/// Who waits, by what is read. An entry is there while a read goes on.
type Waiting<V> = HashMap<String, Vec<oneshot::Sender<Turn<V>>>>;

/// The reads that go on. It is cheap to clone.
pub(crate) struct SharedReads<V>(Arc<Mutex<Waiting<V>>>);

/// What ends the wait.
enum Turn<V> {
    /// What was read.
    Done(V),
    /// It is the waiting request's turn to read, for all that wait with it.
    Read(Reading<V>),
}

/// A read that goes on. Once it ends, or is given up with its request, the next one's turn comes.
struct Reading<V> {
    reads: SharedReads<V>,
    key: String,
    /// Those who asked before it began.
    followers: Vec<oneshot::Sender<Turn<V>>>,
}

impl<V> Clone for SharedReads<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Default for SharedReads<V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<V> SharedReads<V> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a read, or waits where one goes on.
    fn begin(&self, key: &str) -> Result<Reading<V>, oneshot::Receiver<Turn<V>>> {
        let mut waiting = self.waiting();
        if let Some(waiting) = waiting.get_mut(key) {
            let (sender, receiver) = oneshot::channel();
            waiting.push(sender);
            return Err(receiver);
        }
        waiting.insert(key.to_owned(), Vec::new());
        Ok(Reading {
            reads: self.clone(),
            key: key.to_owned(),
            followers: Vec::new(),
        })
    }
}

impl<V: Clone> SharedReads<V> {
    /// Returns what `read` finds, or what another request's read of the same found that began
    /// after this call.
    pub async fn read(&self, key: &str, read: impl Future<Output = V>) -> V {
        let mut reading = match self.begin(key) {
            Ok(reading) => reading,
            Err(turn) => match turn.await {
                Ok(Turn::Done(value)) => return value,
                Ok(Turn::Read(reading)) => reading,
                Err(_) => return read.await,
            },
        };
        let value = read.await;
        for follower in mem::take(&mut reading.followers) {
            // One that is gone needs no answer.
            let _ = follower.send(Turn::Done(value.clone()));
        }
        value
    }
}

impl<V> Drop for Reading<V> {
    fn drop(&mut self) {
        let mut next = mem::take(&mut self.followers);
        let mut waiting = self.reads.waiting();
        next.append(waiting.get_mut(&self.key).unwrap_or(&mut Vec::new()));
        // Left out here: each would else be dropped inside the drop of the one before it, and a
        // client can give up any number of requests at once.
        next.retain(|follower| !follower.is_closed());
        if next.is_empty() {
            waiting.remove(&self.key);
            return;
        }
        drop(waiting);
        let first = next.swap_remove(0);
        let reading = Self {
            reads: self.reads.clone(),
            key: mem::take(&mut self.key),
            followers: next,
        };
        // If it is gone, this is dropped here, and the turn is the next one's.
        drop(first.send(Turn::Read(reading)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    #[tokio::test(start_paused = true)]
    async fn each_request_gets_what_was_read_after_it_asked() {
        let reads = SharedReads::default();
        let (begun, now) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let ask = |delay: u64| {
            let (reads, begun, now) = (reads.clone(), begun.clone(), now.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                let asked = now.fetch_add(1, Ordering::SeqCst);
                let read = async {
                    begun.fetch_add(1, Ordering::SeqCst);
                    let found = now.load(Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    found
                };
                let found = reads.read("a", read).await;
                assert!(found > asked, "{found} was read before {asked} asked");
            })
        };
        let all: Vec<_> = (0..50).map(ask).collect();
        for asked in all {
            asked.await.unwrap();
        }
        assert_eq!(
            begun.load(Ordering::SeqCst),
            2,
            "one, and one for the others"
        );
        assert!(reads.waiting().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn any_number_of_requests_may_be_given_up_at_once() {
        let reads = SharedReads::default();
        let mut first = Some(reads.begin("a").map_err(drop).unwrap());
        for _ in 0..200_000 {
            drop(reads.begin("a"));
        }
        first.take();
        assert!(reads.waiting().is_empty());
        assert!(reads.read("a", async { true }).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_is_given_up_is_the_next_ones() {
        let reads = SharedReads::default();
        let slow = || tokio::time::sleep(Duration::from_secs(1));
        let ask = || {
            let reads = reads.clone();
            tokio::spawn(async move { reads.read("a", async { slow().await }).await })
        };
        let asked: Vec<_> = (0..5).map(|_| ask()).collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        for gone in &asked[..3] {
            gone.abort();
        }
        for asked in asked.into_iter().skip(3) {
            asked.await.unwrap();
        }
        assert!(reads.waiting().is_empty());
        tokio::time::timeout(Duration::from_secs(2), reads.read("a", slow()))
            .await
            .unwrap();
    }
}
