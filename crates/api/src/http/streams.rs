//! The open streams of each holder, and those of logs of all holders, which are limited.

use domain::{ErrorCode, Failure, Message};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most open streams of one holder.
const MAX_STREAMS: usize = 20;
/// The most open streams of logs: whatever is written, each reads the database.
const MAX_LOG_STREAMS: usize = 500;
/// How many of those are kept for the logs of the installation.
const KEPT_FOR_OPERATORS: usize = 50;

/// What a stream is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// The newest state of a topic.
    State,
    /// A log of a tenant.
    TenantLog,
    /// A log of the installation.
    InstallationLog,
}

impl StreamKind {
    /// Returns the most streams of logs that there may be with one of this kind; `None` for one
    /// that is no log's.
    const fn most_logs(self) -> Option<usize> {
        match self {
            Self::State => None,
            Self::TenantLog => Some(MAX_LOG_STREAMS - KEPT_FOR_OPERATORS),
            Self::InstallationLog => Some(MAX_LOG_STREAMS),
        }
    }
}

/// Counts open streams. It is cheap to clone.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    of_holders: HashMap<String, usize>,
    of_logs: usize,
}

/// An open stream; it is counted until this is dropped.
pub struct OpenStream {
    streams: Streams,
    holder: String,
    kind: StreamKind,
}

impl Streams {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a further stream of a holder.
    ///
    /// # Errors
    /// `Busy` where there are as many as there may be.
    pub fn open(&self, holder: String, kind: StreamKind) -> Result<OpenStream, Failure> {
        let mut counts = self.counts();
        let of_holder = counts.of_holders.get(&holder).copied().unwrap_or(0);
        allow(of_holder, MAX_STREAMS)?;
        if let Some(most) = kind.most_logs() {
            allow(counts.of_logs, most)?;
            counts.of_logs += 1;
        }
        counts.of_holders.insert(holder.clone(), of_holder + 1);
        drop(counts);
        Ok(OpenStream {
            streams: self.clone(),
            holder,
            kind,
        })
    }
}

/// Checks that there may be one more.
fn allow(open: usize, most: usize) -> Result<(), Failure> {
    if open < most {
        return Ok(());
    }
    let most = most as u64;
    Err(Failure::new(ErrorCode::Busy, Message::StreamsOpen { most }))
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut counts = self.streams.counts();
        if self.kind.most_logs().is_some() {
            counts.of_logs = counts.of_logs.saturating_sub(1);
        }
        if let Some(count) = counts.of_holders.get_mut(&self.holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.of_holders.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a stream, or returns why it was refused.
    fn open(streams: &Streams, holder: &str, kind: StreamKind) -> Result<OpenStream, ErrorCode> {
        streams.open(holder.to_owned(), kind).map_err(|f| f.code)
    }

    #[test]
    fn a_holder_has_a_bounded_number_of_streams() {
        let streams = Streams::default();
        let kinds = [StreamKind::State, StreamKind::TenantLog];
        let mut opened: Vec<_> = (0..MAX_STREAMS)
            .map(|n| open(&streams, "a", kinds[n % 2]).ok())
            .collect();
        assert!(opened.iter().all(Option::is_some));
        for kind in kinds {
            assert_eq!(open(&streams, "a", kind).err(), Some(ErrorCode::Busy));
            assert!(open(&streams, "b", kind).is_ok());
        }
        opened.pop();
        assert!(open(&streams, "a", StreamKind::State).is_ok());
        drop(opened);
        let counts = streams.counts();
        assert!(counts.of_holders.is_empty() && counts.of_logs == 0);
    }

    #[test]
    fn logs_have_a_bounded_number_of_streams() {
        let streams = Streams::default();
        let of = |n: usize, kind| open(&streams, &format!("holder {}", n / MAX_STREAMS), kind);
        let of_tenants = MAX_LOG_STREAMS - KEPT_FOR_OPERATORS;
        let mut opened: Vec<_> = (0..of_tenants)
            .map(|n| of(n, StreamKind::TenantLog).ok())
            .collect();
        assert!(opened.iter().all(Option::is_some));
        let refused = streams
            .open("other".to_owned(), StreamKind::TenantLog)
            .err();
        let most = of_tenants as u64;
        let message = refused.map(|f| (f.code, f.message));
        assert_eq!(
            message,
            Some((ErrorCode::Busy, Message::StreamsOpen { most }))
        );
        assert!(open(&streams, "other", StreamKind::State).is_ok(), "no log");
        for n in of_tenants..MAX_LOG_STREAMS {
            opened.push(of(n + MAX_STREAMS, StreamKind::InstallationLog).ok());
        }
        assert!(
            opened.iter().all(Option::is_some),
            "those kept for operators"
        );
        let refused = open(&streams, "other", StreamKind::InstallationLog).err();
        assert_eq!(refused, Some(ErrorCode::Busy));
        opened.pop();
        assert!(open(&streams, "other", StreamKind::InstallationLog).is_ok());
        drop(opened);
        assert!(open(&streams, "other", StreamKind::TenantLog).is_ok());
    }
}
