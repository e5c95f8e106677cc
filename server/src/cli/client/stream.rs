//! An answer that is read as it comes: an export, which may be larger than what is kept in
//! memory, and a stream of events, which has no end.

use super::{answer::Answer, failure::CallError};
use axum::{
    body::{BodyDataStream, Bytes},
    http::{HeaderMap, StatusCode, header},
};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::timeout;

/// The longest silence. The API sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest refusal that is read, in bytes.
const MAX_REFUSAL: usize = 1 << 20;

/// An answer whose body is still to be read.
pub(super) enum Body {
    Server(reqwest::Response),
    Database(axum::response::Response),
}

/// The rest of an answer's body.
enum Source {
    Server(reqwest::Response),
    Database(BodyDataStream),
}

/// An answer that is read as it comes.
pub(crate) struct Stream {
    source: Source,
    /// The server, as the person calls it.
    server: String,
}

impl Stream {
    /// Reads the head of an answer, and of a refusal the whole.
    ///
    /// # Errors
    /// The API refused, or its answer has another type of content than these.
    pub(super) async fn read(
        server: String,
        body: Body,
        kinds: &[&str],
    ) -> Result<Self, CallError> {
        let (status, headers, source) = match body {
            Body::Server(answer) => {
                let head = (answer.status(), answer.headers().clone());
                (head.0, head.1, Source::Server(answer))
            }
            Body::Database(answer) => {
                let (parts, body) = answer.into_parts();
                let source = Source::Database(body.into_data_stream());
                (parts.status, parts.headers, source)
            }
        };
        let stream = Self { source, server };
        match status == StatusCode::OK && has_kind(&headers, kinds) {
            true => Ok(stream),
            false => Err(stream.refusal(status, headers).await),
        }
    }

    /// Returns the next part of the body, or `None` at its end.
    ///
    /// # Errors
    /// It breaks off, or nothing comes any more.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let part = async {
            match &mut self.source {
                Source::Server(answer) => answer.chunk().await.map_err(|e| e.to_string()),
                Source::Database(body) => {
                    let part = body.next().await.transpose();
                    part.map_err(|e| e.to_string())
                }
            }
        };
        let part = timeout(SILENCE, part).await;
        match part {
            Ok(Ok(part)) => Ok(part),
            Ok(Err(reason)) => Err(self.broken(&reason)),
            Err(_) => Err(self.broken("nothing comes any more")),
        }
    }

    /// Says that the stream has broken off.
    pub fn broken(&self, reason: &str) -> CallError {
        CallError::Unreachable {
            server: self.server.clone(),
            reason: format!("the answer broke off ({reason})"),
        }
    }

    /// Says that what comes is not the API's.
    pub fn nonsense(&self, reason: &str) -> CallError {
        CallError::Nonsense {
            server: self.server.clone(),
            reason: reason.to_owned(),
        }
    }

    async fn refusal(mut self, status: StatusCode, headers: HeaderMap) -> CallError {
        let mut text = Vec::new();
        while !status.is_success() && text.len() < MAX_REFUSAL {
            match self.next().await {
                Ok(Some(part)) => text.extend_from_slice(&part),
                Ok(None) => break,
                Err(e) => return e,
            }
        }
        match Answer::read(self.server.clone(), status, headers, text) {
            Err(e) => e,
            Ok(_) => self.nonsense("its answer has another type of content"),
        }
    }
}

fn has_kind(headers: &HeaderMap, kinds: &[&str]) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kinds.contains(&kind)
}
