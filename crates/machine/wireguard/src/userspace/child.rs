//! The client's side of the child process: starts it where it does not run,
//! replaces one of another version, and calls it.

use super::{
    connection::{ConnectError, Connection, POLL_INTERVAL, unavailable},
    protocol::{Reply, Request, VERSION},
    spawn::{self, Host},
};
use crate::failure::refused;
use domain::Message;
use provisioning::ports::{PortError, PortResult};
use std::{io, path::PathBuf, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

/// The longest time a call may take. The longest call waits for a TUN to be removed
/// (3 s) and for a port (1 s).
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time from the start to the greeting.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval at which a child that does not run is looked for.
pub(super) const ABSENT_INTERVAL: Duration = Duration::from_secs(1);

/// The child process behind a socket.
pub(super) struct ChildProcess {
    host: Host,
    socket: PathBuf,
    log: PathBuf,
    /// Serialises starts.
    starting: Mutex<()>,
}

impl ChildProcess {
    /// Creates the client. It does not start the child yet.
    pub fn new(host: Host, socket: PathBuf, log: PathBuf) -> Self {
        Self {
            host,
            socket,
            log,
            starting: Mutex::new(()),
        }
    }

    /// Connects to the child and starts it first if it does not run.
    pub async fn open(&self) -> PortResult<Connection> {
        match Connection::open(&self.socket).await {
            Ok(c) if c.hello.version == VERSION => return Ok(c),
            Ok(_) | Err(ConnectError::NotListening(_)) => {}
            // It runs and is busy, or is not ours: a second one would not help.
            Err(e) => return Err(unavailable(Message::HelperSilent, e)),
        }
        let _starting = self.starting.lock().await;
        match Connection::open(&self.socket).await {
            // Another task started it while this one waited.
            Ok(c) if c.hello.version == VERSION => return Ok(c),
            Ok(other) => {
                tracing::warn!(
                    version = other.hello.version,
                    wanted = VERSION,
                    "replacing a userspace WireGuard of another version"
                );
                other.stop_child(&self.socket).await?;
            }
            Err(_) => {}
        }
        self.start().await
    }

    async fn start(&self) -> PortResult<Connection> {
        let fail = |e| refused(&Message::ActionStartHelper, e);
        let deadline = Instant::now() + START_TIMEOUT;
        let mut child = Some(spawn::start(&self.host, &self.socket, &self.log).map_err(fail)?);
        tracing::info!(log = %self.log.display(), "started the userspace WireGuard");
        loop {
            match Connection::open(&self.socket).await {
                Ok(c) if c.hello.version == VERSION => {
                    child.into_iter().for_each(spawn::reap);
                    return Ok(c);
                }
                Err(ConnectError::NotListening(_)) => {}
                Ok(_) => {
                    return Err(unavailable(
                        Message::HelperOtherVersion,
                        ConnectError::NotOurs,
                    ));
                }
                Err(e) => return Err(unavailable(Message::HelperSilent, e)),
            }
            let ended = child.as_mut().map(|c| c.try_wait()).transpose();
            match ended.map_err(fail)?.flatten() {
                // Another child had the lock; it may have been about to end.
                Some(status) if status.success() => {
                    sleep(POLL_INTERVAL * 5).await;
                    let restarted = spawn::start(&self.host, &self.socket, &self.log);
                    child = Some(restarted.map_err(fail)?);
                }
                Some(status) => {
                    return Err(self.start_failed(io::Error::other(status.to_string())));
                }
                None => {}
            }
            if Instant::now() > deadline {
                child.into_iter().for_each(spawn::reap);
                return Err(self.start_failed(io::ErrorKind::TimedOut.into()));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn start_failed(&self, e: io::Error) -> PortError {
        let message = Message::HelperNotStarted {
            reason: e.to_string(),
            log: self.log.display().to_string(),
        };
        unavailable(message, e)
    }

    /// Sends a request and returns the reply; a refusal is an error.
    pub async fn call(&self, request: &Request) -> PortResult<Reply> {
        let connection = self.open().await?;
        match timeout(CALL_TIMEOUT, connection.request(request)).await {
            Ok(Ok(Reply::Refused {
                code,
                message,
                cause,
                ..
            })) => Err(PortError {
                code,
                message,
                cause: cause.map(Into::into),
            }),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(e)) => Err(unavailable(Message::HelperFailed, e)),
            Err(elapsed) => Err(unavailable(Message::HelperSlow, elapsed)),
        }
    }

    /// Returns when a running child has died. Waits for one to run first.
    pub async fn wait_for_death(&self) {
        loop {
            if let Ok(connection) = Connection::open(&self.socket).await
                && connection.wait_for_end().await
            {
                return;
            }
            sleep(ABSENT_INTERVAL).await;
        }
    }
}
