//! The open streams of each holder, which are limited.

use domain::{ErrorCode, Failure, Message};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most open streams of one holder.
const MAX_STREAMS: usize = 20;

/// Counts open streams. It is cheap to clone.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<String, usize>>>);

/// An open stream; it is counted until this is dropped.
pub struct OpenStream {
    streams: Streams,
    holder: String,
}

impl Streams {
    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a further stream of a holder.
    ///
    /// # Errors
    /// `Busy` where there are as many as there may be.
    pub fn open(&self, holder: String) -> Result<OpenStream, Failure> {
        let mut counts = self.counts();
        let count = counts.entry(holder.clone()).or_default();
        if *count >= MAX_STREAMS {
            let most = MAX_STREAMS as u64;
            return Err(Failure::new(ErrorCode::Busy, Message::StreamsOpen { most }));
        }
        *count += 1;
        drop(counts);
        Ok(OpenStream {
            streams: self.clone(),
            holder,
        })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut counts = self.streams.counts();
        if let Some(count) = counts.get_mut(&self.holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_has_a_bounded_number_of_streams() {
        let streams = Streams::default();
        let mut open: Vec<_> = (0..MAX_STREAMS)
            .map(|_| streams.open("a".to_owned()).ok())
            .collect();
        assert!(open.iter().all(Option::is_some));
        let refused = streams.open("a".to_owned()).err();
        assert_eq!(refused.map(|f| f.code), Some(ErrorCode::Busy));
        assert!(streams.open("b".to_owned()).is_ok());
        open.pop();
        assert!(streams.open("a".to_owned()).is_ok());
        drop(open);
        assert!(streams.counts().is_empty());
    }
}
