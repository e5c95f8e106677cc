//! A call of the API that is being put together.

use super::{Client, answer::Answer, failure::CallError, request::Request, stream::Stream};
use axum::http::{HeaderName, HeaderValue, Method, header};
use serde_json::Value;

/// The most items of a page of the API.
const PAGE: usize = 200;
/// Names the tenant for whom an operator acts.
const TENANT: HeaderName = HeaderName::from_static("maliknode-tenant");
/// Names the last event of a stream that a client has (WHATWG HTML, 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A call of the API. It is made by [`Client::get`] and its siblings.
#[must_use]
pub(crate) struct Call<'a> {
    client: &'a Client,
    request: Result<Request, CallError>,
    is_begun: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(client: &'a Client, method: Method, segments: &[&str]) -> Self {
        let request = path(segments).map(|path| Request {
            method,
            path,
            query: String::new(),
            headers: Vec::new(),
            body: None,
        });
        Self {
            client,
            request,
            is_begun: false,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Request) -> Result<(), CallError>) -> Self {
        self.request = self.request.and_then(|mut request| {
            change(&mut request)?;
            Ok(request)
        });
        self
    }

    /// Adds a parameter of the query.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.with(|request| {
            if !request.query.is_empty() {
                request.query.push('&');
            }
            request.query.push_str(name);
            request.query.push('=');
            encode(value, &mut request.query);
            Ok(())
        })
    }

    /// Adds a parameter of the query, if there is a value.
    pub fn query_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Sends JSON.
    pub fn json(self, body: Value) -> Self {
        self.with(|request| {
            request.body = Some(body.to_string().into_bytes());
            Ok(())
        })
    }

    /// Acts for a tenant, where it is named; otherwise as whose token it is.
    pub fn tenant(self, name: Option<&str>) -> Self {
        match name {
            Some(name) => self.header(TENANT, name, "a tenant's name"),
            None => self,
        }
    }

    /// Says that 202 is what is expected, e.g. of a move, whose end the command waits for by
    /// itself.
    pub fn begins(mut self) -> Self {
        self.is_begun = true;
        self
    }

    /// Changes only the state with this ETag; `*` is any.
    pub fn if_match(self, etag: &str) -> Self {
        self.header(header::IF_MATCH, etag, "an ETag")
    }

    /// Asks for what came behind this event of a stream, if there is one.
    pub fn last_event(self, id: Option<&str>) -> Self {
        match id {
            Some(id) => self.header(LAST_EVENT_ID, id, "an event's id"),
            None => self,
        }
    }

    fn header(self, name: HeaderName, value: &str, what: &str) -> Self {
        self.with(|request| {
            // A name of other characters than a header field may have is not in use.
            let value = HeaderValue::from_str(value)
                .ok()
                .filter(|v| v.to_str().is_ok());
            let value = value.ok_or_else(|| CallError::NotFound(format!("that is not {what}")))?;
            request.headers.push((name, value));
            Ok(())
        })
    }

    /// Makes the call.
    ///
    /// # Errors
    /// The API refuses, or it does not answer.
    pub async fn send(self) -> Result<Answer, CallError> {
        let answer = self.client.send(self.request?).await?;
        if answer.is_pending() && !self.is_begun {
            self.client.note_pending();
        }
        Ok(answer)
    }

    /// Makes the call and returns its answer as it comes, of one of these types of content.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn stream(self, kinds: &[&str]) -> Result<Stream, CallError> {
        let request = self.request?;
        let transport = &self.client.transport;
        let body = transport.begin(request).await?;
        Stream::read(transport.name(), body, kinds).await
    }

    /// Makes the call and returns its answer, an object.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn object(self) -> Result<Value, CallError> {
        self.send().await?.object()
    }

    /// Makes the call and returns the items of its answer, a list that has no pages.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn list(self) -> Result<Vec<Value>, CallError> {
        Ok(self.send().await?.page()?.0)
    }

    /// Makes the call for each page of a list and returns at most `most` items.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn items(self, most: usize) -> Result<Vec<Value>, CallError> {
        let (client, request) = (self.client, self.request?);
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < most {
            let limit = (most - items.len()).min(PAGE).to_string();
            let page = Call {
                client,
                request: Ok(request.clone()),
                is_begun: false,
            };
            let page = page.query("limit", &limit);
            let page = page.query_if("cursor", cursor.as_deref()).send().await?;
            let (found, next) = page.page()?;
            let is_empty = found.is_empty();
            items.extend(found);
            // A page without items has no next one, whatever a server says.
            match next {
                Some(next) if !is_empty => cursor = Some(next),
                _ => break,
            }
        }
        items.truncate(most);
        Ok(items)
    }
}

/// Returns the path below `/v1` that these segments name.
fn path(segments: &[&str]) -> Result<String, CallError> {
    let mut path = "/v1".to_owned();
    for segment in segments {
        // Such a segment would name another path.
        if matches!(*segment, "" | "." | "..") {
            let shown = segment.escape_debug();
            return Err(CallError::NotFound(format!(
                "nothing is called \"{shown}\""
            )));
        }
        path.push('/');
        encode(segment, &mut path);
    }
    Ok(path)
}

/// Appends a text, with everything but the unreserved characters encoded (RFC 3986, 2.3).
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                to.push(char::from(byte));
            }
            _ => {
                to.push('%');
                to.extend([byte >> 4, byte & 15].map(hex_digit));
            }
        }
    }
}

fn hex_digit(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value & 15)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::failure::Exit;

    #[test]
    fn a_path_names_one_object_whatever_it_is_called() {
        let named = |name| path(&["operator", "plans", name]);
        assert_eq!(named("home").unwrap(), "/v1/operator/plans/home");
        assert_eq!(
            named("a/../b?c#d e%é").unwrap(),
            "/v1/operator/plans/a%2F..%2Fb%3Fc%23d%20e%25%C3%A9"
        );
        for other in ["", ".", ".."] {
            assert_eq!(named(other).unwrap_err().exit(), Exit::NotFound);
        }
    }
}
