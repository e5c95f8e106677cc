//! The connection on which the worker asks: HTTP/1.1, one request after another.

use super::{address::ControlPlane, dial::dial, error::LinkError};
use bytes::Bytes;
use domain::Problem;
use http::{HeaderMap, Method, Request, StatusCode, header, request::Builder, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use protocol::wire::{CONTROL_PLANES, ControlPlaneList};
use rustls::ClientConfig;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

/// The longest pause within an answer.
const PAUSE: Duration = Duration::from_secs(15);
/// How long a whole answer may take. The longest spec takes this long with 200 kB/s.
const ANSWER_TIME: Duration = Duration::from_secs(600);
/// The longest refusal that is read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// A connection. It ends when it is dropped.
pub(super) struct Connection {
    to: ControlPlane,
    sender: http1::SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer with a status of success.
pub(super) struct Answer {
    pub status: StatusCode,
    /// All control planes, if it lists them.
    pub control_planes: ControlPlaneList,
    /// May hold every private key.
    pub body: Zeroizing<Vec<u8>>,
}

fn listed(headers: &HeaderMap) -> ControlPlaneList {
    let value = headers.get(CONTROL_PLANES).and_then(|v| v.to_str().ok());
    value.map(ControlPlaneList::from_header).unwrap_or_default()
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn open(to: &ControlPlane, tls: Arc<ClientConfig>) -> Result<Self, LinkError> {
        let stream = dial(to, tls).await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|source| LinkError::Broken {
            address: to.to_string(),
            source,
        })?;
        // Its error is that of the request that is under way.
        let driver = tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "the connection to the control plane ended");
            }
        });
        Ok(Self {
            to: to.clone(),
            sender,
            driver: driver.abort_handle(),
        })
    }

    /// Begins a request.
    pub fn request(method: Method, path: &str) -> Builder {
        Request::builder().method(method).uri(path)
    }

    /// Sends a request, and reads an answer of at most `max` bytes. It may begin after
    /// `wait`.
    ///
    /// # Errors
    /// Why there is no answer. The connection is of no use afterwards.
    pub async fn ask(
        &mut self,
        request: Builder,
        body: Vec<u8>,
        wait: Duration,
        max: usize,
    ) -> Result<Answer, LinkError> {
        let (head, body) = self.begin(request, body, wait).await?;
        self.finish(&head, body, max).await
    }

    /// Does as [`ask`](Self::ask), unless `give_up` completes before the answer begins; its
    /// value is the error then, and the connection is of no more use.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask_unless<T>(
        &mut self,
        request: Builder,
        wait: Duration,
        max: usize,
        give_up: impl Future<Output = T>,
    ) -> Result<Result<Answer, T>, LinkError> {
        let begun = tokio::select! {
            biased;
            begun = self.begin(request, Vec::new(), wait) => begun,
            reason = give_up => return Ok(Err(reason)),
        };
        let (head, body) = begun?;
        self.finish(&head, body, max).await.map(Ok)
    }

    async fn finish(&self, head: &Parts, body: Incoming, max: usize) -> Result<Answer, LinkError> {
        let reading = tokio::time::timeout(ANSWER_TIME, self.read(body, max));
        let body = reading.await.map_err(|_| self.silent())??;
        Ok(Answer {
            status: head.status,
            control_planes: listed(&head.headers),
            body,
        })
    }

    /// Sends a GET, and returns when the answer was sent, by the control plane's clock
    /// (RFC 9110, 6.6.1). The rest of the answer is not read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn probe(mut self, path: &str) -> Result<Option<String>, LinkError> {
        let get = Self::request(Method::GET, path);
        let (head, _) = self.begin(get, Vec::new(), Duration::ZERO).await?;
        let date = head.headers.get(header::DATE);
        Ok(date.and_then(|d| d.to_str().ok()).map(str::to_owned))
    }

    /// Sends a request, and reads the answer's head.
    async fn begin(
        &mut self,
        request: Builder,
        body: Vec<u8>,
        wait: Duration,
    ) -> Result<(Parts, Incoming), LinkError> {
        let request = request
            .header(header::HOST, self.to.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(|e| self.unusable(e.to_string()))?;
        let asking = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let Ok(answer) = tokio::time::timeout(wait + PAUSE, asking).await else {
            return Err(self.silent());
        };
        let (head, body) = answer.map_err(|e| self.broken(e))?.into_parts();
        if head.status.is_success() {
            return Ok((head, body));
        }
        let reading = tokio::time::timeout(PAUSE, self.read(body, MAX_REFUSAL_BYTES));
        let body = reading.await.map_err(|_| self.silent())??;
        Err(self.refusal(head.status, &body))
    }

    async fn read(&self, mut body: Incoming, max: usize) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        use hyper::body::Body;
        let too_long = || self.unusable(format!("more than {max} bytes"));
        // Counted first where that is possible: a vector that grows leaves copies of
        // keys behind.
        let announced = body.size_hint().lower();
        if announced > max as u64 {
            return Err(too_long());
        }
        let capacity = usize::try_from(announced).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        loop {
            let frame = tokio::time::timeout(PAUSE, body.frame()).await;
            let Some(frame) = frame.map_err(|_| self.silent())? else {
                return Ok(bytes);
            };
            let frame = frame.map_err(|e| self.broken(e))?;
            if let Some(data) = frame.data_ref() {
                if bytes.len() + data.len() > max {
                    return Err(too_long());
                }
                bytes.extend_from_slice(data);
            }
        }
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> LinkError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => LinkError::Refused {
                address: self.to.to_string(),
                status,
                problem: Box::new(problem),
            },
            Err(_) => self.unusable(format!("status {status} without a reason")),
        }
    }

    fn silent(&self) -> LinkError {
        LinkError::Silent {
            address: self.to.to_string(),
        }
    }

    fn broken(&self, source: hyper::Error) -> LinkError {
        LinkError::Broken {
            address: self.to.to_string(),
            source,
        }
    }

    fn unusable(&self, reason: String) -> LinkError {
        LinkError::Answer {
            address: self.to.to_string(),
            reason,
        }
    }
}
