//! The connection to the engine. It is opened when first needed, with an API
//! version that both sides support (1.41 of Docker 20.10 or newer). After a
//! failure it is opened again, because the engine may have been upgraded.

use bollard::{API_DEFAULT_VERSION, errors::Error as BollardError};
use domain::{ErrorCode, Message};
use provisioning::ports::{PortError, PortResult};
use std::{future::Future, io, time::Duration};
use tokio::sync::Mutex;

/// The engine's default socket.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Timeout of the version negotiation.
const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(5);

/// bollard's own timeout, on a response's headers. Ours are shorter, but a pull
/// may take this long.
const BOLLARD_SECS: u64 = 330;

/// A call to the engine that failed.
#[derive(Debug)]
pub enum EngineError {
    /// The engine answered with an error.
    Response {
        /// The HTTP status (Docker Engine API).
        status: u16,
        /// The engine's own text.
        message: String,
    },
    /// The engine could not be reached, or did not answer in time.
    Unreachable(PortError),
}

/// The engine's error response, as the cause of a [`PortError`].
#[derive(Debug, thiserror::Error)]
#[error("the engine answered {status}: {message}")]
pub(crate) struct ErrorResponse {
    status: u16,
    message: String,
}

impl EngineError {
    /// Returns an error with this code and message, and the engine's response as
    /// the cause. If the engine was unreachable, returns that error instead.
    pub fn into_port_error(self, code: ErrorCode, text: Message) -> PortError {
        match self {
            EngineError::Unreachable(e) => e,
            EngineError::Response { status, message } => {
                PortError::because(code, text, ErrorResponse { status, message })
            }
        }
    }

    /// Returns whether the engine answered with this status.
    pub fn has_status(&self, wanted: u16) -> bool {
        matches!(self, EngineError::Response { status, .. } if *status == wanted)
    }

    /// Returns whether the engine's text contains `part`, which is lower case.
    /// The case of the text does not matter.
    pub fn message_contains(&self, part: &str) -> bool {
        match self {
            EngineError::Response { message, .. } => message.to_ascii_lowercase().contains(part),
            EngineError::Unreachable(_) => false,
        }
    }
}

/// An engine behind a socket.
#[derive(Debug)]
pub(crate) struct Engine {
    host: String,
    api: Mutex<Option<bollard::Docker>>,
}

impl Engine {
    /// Creates the handle from the setting, `DOCKER_HOST` or the default socket,
    /// in this order. Nothing is connected yet.
    pub(crate) fn new(host: Option<&str>) -> Self {
        let host = host
            .map(str::to_owned)
            .or_else(|| std::env::var("DOCKER_HOST").ok().filter(|h| !h.is_empty()))
            .unwrap_or_else(|| DEFAULT_SOCKET.to_owned());
        Self {
            host,
            api: Mutex::new(None),
        }
    }

    /// Returns the socket's path.
    fn socket(&self) -> PortResult<&str> {
        let path = self.host.strip_prefix("unix://").unwrap_or(&self.host);
        if path.starts_with('/') {
            return Ok(path);
        }
        Err(PortError::new(
            ErrorCode::DockerUnavailable,
            Message::DockerNotLocal {
                host: self.host.clone(),
                example: format!("unix://{DEFAULT_SOCKET}"),
            },
        ))
    }

    /// Returns the connection. Opens it if there is none.
    pub(crate) async fn api(&self) -> PortResult<bollard::Docker> {
        let mut cached = self.api.lock().await;
        if let Some(api) = cached.as_ref() {
            return Ok(api.clone());
        }
        let socket = self.socket()?;
        let api = bollard::Docker::connect_with_unix(socket, BOLLARD_SECS, API_DEFAULT_VERSION)
            .map_err(|e| unreachable(socket, e))?;
        let api = match tokio::time::timeout(NEGOTIATION_TIMEOUT, api.negotiate_version()).await {
            Ok(Ok(api)) => api,
            Ok(Err(e)) => return Err(unreachable(socket, e)),
            Err(_) => return Err(timed_out(NEGOTIATION_TIMEOUT)),
        };
        *cached = Some(api.clone());
        Ok(api)
    }

    /// Runs one call within `timeout`.
    pub(crate) async fn call<T, F>(
        &self,
        timeout: Duration,
        call: impl FnOnce(bollard::Docker) -> F,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, BollardError>>,
    {
        let api = self.api().await.map_err(EngineError::Unreachable)?;
        let error = match tokio::time::timeout(timeout, call(api)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(BollardError::DockerResponseServerError {
                status_code,
                message,
            })) => {
                return Err(EngineError::Response {
                    status: status_code,
                    message,
                });
            }
            Ok(Err(BollardError::DockerStreamError { error })) => {
                // An error inside a stream has no HTTP status of its own: the
                // response began with 200.
                return Err(EngineError::Response {
                    status: 200,
                    message: error,
                });
            }
            Ok(Err(e)) => unreachable(&self.host, e),
            Err(_) => timed_out(timeout),
        };
        *self.api.lock().await = None;
        Err(EngineError::Unreachable(error))
    }
}

/// Returns the error for an engine that did not answer in time.
fn timed_out(timeout: Duration) -> PortError {
    PortError::new(
        ErrorCode::DockerUnavailable,
        Message::DockerTimedOut {
            seconds: timeout.as_secs(),
        },
    )
}

/// Returns the error for an engine that could not be reached.
fn unreachable(socket: &str, e: BollardError) -> PortError {
    let message = if is_permission_denied(&e) {
        Message::DockerNotPermitted {
            socket: socket.to_owned(),
        }
    } else {
        Message::DockerDown
    };
    PortError::because(ErrorCode::DockerUnavailable, message, e)
}

/// Returns whether the error, or any cause below it, is that the system denied
/// access.
fn is_permission_denied(e: &BollardError) -> bool {
    let denied = |io: &io::Error| io.kind() == io::ErrorKind::PermissionDenied;
    // bollard forwards this error transparently, so it is not among the sources.
    if let BollardError::IOError { err } = e {
        return denied(err);
    }
    let first: &(dyn std::error::Error + 'static) = e;
    std::iter::successors(Some(first), |e| e.source())
        .any(|e| e.downcast_ref::<io::Error>().is_some_and(denied))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_engine_is_reported_with_a_fix() {
        let engine = Engine::new(Some("unix:///nonexistent/docker.sock"));
        let e = engine.api().await.unwrap_err();
        assert_eq!(e.code, ErrorCode::DockerUnavailable);
        assert_eq!(e.message, Message::DockerDown);
        assert!(e.cause.is_some());
    }

    #[tokio::test]
    async fn an_engine_on_another_machine_is_refused() {
        let e = Engine::new(Some("tcp://10.0.0.1:2375"))
            .api()
            .await
            .unwrap_err();
        assert!(
            matches!(&e.message, Message::DockerNotLocal { host, .. } if host == "tcp://10.0.0.1:2375"),
            "{e}"
        );
    }

    #[tokio::test]
    async fn an_engine_that_hangs_counts_as_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hung.sock");
        // The listener accepts connections and never answers them.
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        let engine = Engine::new(Some(path.to_str().unwrap()));
        let started_at = std::time::Instant::now();
        let e = engine.api().await.unwrap_err();
        assert_eq!(e.code, ErrorCode::DockerUnavailable);
        assert!(started_at.elapsed() < NEGOTIATION_TIMEOUT + Duration::from_secs(2));
    }

    #[test]
    fn denied_access_is_found_below_other_errors() {
        let e = BollardError::IOError {
            err: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let socket = DEFAULT_SOCKET.to_owned();
        assert_eq!(
            unreachable(DEFAULT_SOCKET, e).message,
            Message::DockerNotPermitted { socket }
        );
    }
}
