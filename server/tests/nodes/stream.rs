//! The event streams of pages, as a browser reads them.

use crate::stack::Tenant;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    time::{Duration, Instant},
};

/// An open stream.
pub struct EventStream(BufReader<TcpStream>);

impl EventStream {
    /// Opens a stream of a tenant's page.
    pub fn open(tenant: &Tenant, path: &str) -> Self {
        let stream = tenant.browser.open(&tenant.url(path));
        let stream = stream.expect("the server listens");
        let patience = Duration::from_secs(20);
        stream.set_read_timeout(Some(patience)).expect("a time-out");
        Self(BufReader::new(stream))
    }

    /// Returns the content of the next event. `None` is the end of the stream.
    pub fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).expect("an event in time") == 0 {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data.trim()).expect("JSON"));
            }
        }
    }

    /// Returns what `wanted` returns of the first event of which it returns something.
    ///
    /// # Panics
    /// None comes within `limit`.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let end = Instant::now() + limit;
        loop {
            let event = self
                .next()
                .unwrap_or_else(|| panic!("the stream ends: {what}"));
            if let Some(found) = wanted(&event) {
                return found;
            }
            assert!(
                Instant::now() < end,
                "waited {limit:?} for: {what}: {event}"
            );
        }
    }
}
