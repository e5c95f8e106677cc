//! The REST interface with tools that other people use: Schemathesis, which makes up requests
//! from the description, and a client whose types are generated from it. The suite `api` of
//! `./dev test` runs these.

mod nul;
mod outside;
mod schemathesis;
mod typescript;

use crate::stack::{Services, Stack};
use domain::{Clock, Secret, SystemClock, Timestamp};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use store::{DatabaseUrl, Store};
use tokio::{net::TcpListener, task::JoinHandle};

/// A clock that runs faster than the machine's, so that limits for a minute are over within
/// seconds and tools need not wait for them.
struct FastClock {
    begun: Timestamp,
    skipped: AtomicI64,
}

impl FastClock {
    const TIMES: i64 = 20;

    fn new() -> Self {
        Self {
            begun: SystemClock.now(),
            skipped: AtomicI64::new(0),
        }
    }

    /// Puts the clock forward.
    fn skip(&self, seconds: i64) {
        self.skipped.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let elapsed = SystemClock.now().millis_since(self.begun);
        let skipped = self.skipped.load(Ordering::Relaxed);
        self.begun.plus_millis(elapsed * Self::TIMES + skipped)
    }
}

/// The installation on a socket.
struct Served {
    stack: Stack,
    port: u16,
    server: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Served {
    /// Serves an installation on this database, with this clock and these servers of the
    /// operator's.
    async fn start(store: Store, clock: Arc<dyn Clock>, services: Services) -> Self {
        let stack = Stack::with_services(store, clock, services).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = stack.web.router.clone();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self {
            stack,
            port,
            server,
        }
    }
}

/// Opens PostgreSQL where the suite started one, otherwise SQLite. PostgreSQL refuses what SQLite
/// stores, e.g. NUL in a text. One test only: there is one database.
async fn store() -> Store {
    match std::env::var("MALIKNODE_TEST_POSTGRES") {
        Ok(url) if !url.is_empty() => {
            let url = DatabaseUrl::Postgres(Secret::new(url));
            let sealer = seal::Sealer::from_key([7; 32]);
            Store::open(&url, sealer).await.unwrap()
        }
        _ => Store::memory().await.unwrap(),
    }
}

/// Returns a file of the checkout.
fn checkout(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap().join(path)
}
