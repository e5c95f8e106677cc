//! The way to the engine: connected when first needed, with the API version
//! both sides speak (1.41 of Docker 20.10 up to today's), made anew after a
//! failure so that an engine that was upgraded meanwhile is asked again.

use bollard::{API_DEFAULT_VERSION, errors::Error as Bollard};
use domain::ErrorCode;
use provisioning::ports::{PortError, PortResult};
use std::{future::Future, io, path::Path, time::Duration};
use tokio::sync::Mutex;

/// The engine's usual socket.
const SOCKET: &str = "/var/run/docker.sock";

/// Longest wait for the version both sides speak.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// bollard's own limit, on an answer's headers. Ours are shorter, but a pull
/// may take this long.
const BOLLARD_SECS: u64 = 330;

/// A call that failed.
#[derive(Debug)]
pub enum Trouble {
    /// The engine said no.
    Answer {
        /// The HTTP status (Docker Engine API).
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// The engine was not reached, or did not answer in time.
    Down(PortError),
}

/// The engine's words, as a cause.
#[derive(Debug, thiserror::Error)]
#[error("Docker answered {status}: {message}")]
pub(crate) struct Answer {
    status: u16,
    message: String,
}

impl Trouble {
    /// The engine's words as the cause of `sentence`; an engine that is down
    /// keeps its own.
    pub fn with(self, code: ErrorCode, sentence: impl Into<String>) -> PortError {
        match self {
            Trouble::Down(e) => e,
            Trouble::Answer { status, message } => {
                PortError::because(code, sentence, Answer { status, message })
            }
        }
    }

    /// Whether the engine answered with this status.
    pub fn is(&self, wanted: u16) -> bool {
        matches!(self, Trouble::Answer { status, .. } if *status == wanted)
    }

    /// Whether the engine's words hold `part`, whatever the case.
    pub fn says(&self, part: &str) -> bool {
        match self {
            Trouble::Answer { message, .. } => message.to_ascii_lowercase().contains(part),
            Trouble::Down(_) => false,
        }
    }
}

/// The engine behind a socket.
#[derive(Debug)]
pub(crate) struct Engine {
    host: String,
    api: Mutex<Option<bollard::Docker>>,
}

impl Engine {
    /// An engine by the setting, `DOCKER_HOST` or the usual socket. Nothing is
    /// connected yet.
    pub(crate) fn new(host: Option<&str>) -> Self {
        let host = host
            .map(str::to_owned)
            .or_else(|| std::env::var("DOCKER_HOST").ok().filter(|h| !h.is_empty()))
            .unwrap_or_else(|| SOCKET.to_owned());
        Self {
            host,
            api: Mutex::new(None),
        }
    }

    /// The socket's path.
    fn socket(&self) -> PortResult<&str> {
        let path = self.host.strip_prefix("unix://").unwrap_or(&self.host);
        if path.starts_with('/') {
            return Ok(path);
        }
        Err(PortError::new(
            ErrorCode::DockerUnavailable,
            format!(
                "Docker's address “{}” is no unix socket: MalikNode needs the engine of this \
                 machine, e.g. DOCKER_HOST=unix://{SOCKET}",
                self.host
            ),
        ))
    }

    /// The connected engine.
    pub(crate) async fn api(&self) -> PortResult<bollard::Docker> {
        let mut held = self.api.lock().await;
        if let Some(api) = held.as_ref() {
            return Ok(api.clone());
        }
        let socket = self.socket()?;
        let api = bollard::Docker::connect_with_unix(socket, BOLLARD_SECS, API_DEFAULT_VERSION)
            .map_err(|e| down(socket, e))?;
        let api = match tokio::time::timeout(HANDSHAKE, api.negotiate_version()).await {
            Ok(Ok(api)) => api,
            Ok(Err(e)) => return Err(down(socket, e)),
            Err(_) => return Err(silent(HANDSHAKE)),
        };
        *held = Some(api.clone());
        Ok(api)
    }

    /// Runs one call within `budget`.
    pub(crate) async fn call<T, F>(
        &self,
        budget: Duration,
        call: impl FnOnce(bollard::Docker) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Bollard>>,
    {
        let api = self.api().await.map_err(Trouble::Down)?;
        let error = match tokio::time::timeout(budget, call(api)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(Bollard::DockerResponseServerError {
                status_code,
                message,
            })) => {
                return Err(Trouble::Answer {
                    status: status_code,
                    message,
                });
            }
            Ok(Err(Bollard::DockerStreamError { error })) => {
                // A stream that began well has no status of its own.
                return Err(Trouble::Answer {
                    status: 200,
                    message: error,
                });
            }
            Ok(Err(e)) => down(&self.host, e),
            Err(_) => silent(budget),
        };
        *self.api.lock().await = None;
        Err(Trouble::Down(error))
    }
}

/// Docker did not answer in time.
fn silent(budget: Duration) -> PortError {
    PortError::new(
        ErrorCode::DockerUnavailable,
        format!(
            "Docker has not answered for {} s: systemctl restart docker",
            budget.as_secs()
        ),
    )
}

/// Docker was not reached.
fn down(socket: &str, e: Bollard) -> PortError {
    let sentence = if forbidden(&e) {
        format!(
            "MalikNode may not use Docker's socket {}: run it as root.",
            Path::new(socket).display()
        )
    } else {
        "Docker does not answer: systemctl start docker".to_owned()
    };
    PortError::because(ErrorCode::DockerUnavailable, sentence, e)
}

/// Whether somewhere below the error the system refused access.
fn forbidden(e: &Bollard) -> bool {
    let refused = |io: &io::Error| io.kind() == io::ErrorKind::PermissionDenied;
    // bollard shows this one transparently: it is not among its own sources.
    if let Bollard::IOError { err } = e {
        return refused(err);
    }
    let first: &(dyn std::error::Error + 'static) = e;
    std::iter::successors(Some(first), |e| e.source())
        .any(|e| e.downcast_ref::<io::Error>().is_some_and(refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_engine_is_told_with_what_mends_it() {
        let engine = Engine::new(Some("unix:///nonexistent/docker.sock"));
        let e = engine.api().await.unwrap_err();
        assert_eq!(e.code, ErrorCode::DockerUnavailable);
        assert_eq!(e.sentence, "Docker does not answer: systemctl start docker");
        assert!(e.cause.is_some());
    }

    #[tokio::test]
    async fn an_engine_elsewhere_is_refused_by_name() {
        let e = Engine::new(Some("tcp://10.0.0.1:2375"))
            .api()
            .await
            .unwrap_err();
        assert!(e.sentence.contains("tcp://10.0.0.1:2375"), "{}", e.sentence);
    }

    #[tokio::test]
    async fn an_engine_that_hangs_counts_as_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hung.sock");
        // It takes connections and never answers them.
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        let engine = Engine::new(Some(path.to_str().unwrap()));
        let begun = std::time::Instant::now();
        let e = engine.api().await.unwrap_err();
        assert_eq!(e.code, ErrorCode::DockerUnavailable);
        assert!(begun.elapsed() < HANDSHAKE + Duration::from_secs(2));
    }

    #[test]
    fn refused_access_is_found_below_other_errors() {
        let e = Bollard::IOError {
            err: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        assert!(down(SOCKET, e).sentence.contains("run it as root"));
    }
}
