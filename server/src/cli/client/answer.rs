//! What the API answered.

use super::failure::{CallError, Problem};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;

/// The longest answer that is quoted in an error, in characters.
const MAX_QUOTED: usize = 80;

/// An answer that is no refusal.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// The server, as the person calls it.
    server: String,
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// The API refused, or it is no answer of the API.
    pub fn read(
        server: String,
        status: StatusCode,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Self, CallError> {
        let answer = Self {
            status,
            headers,
            body,
            server,
        };
        if answer.status.is_success() {
            return Ok(answer);
        }
        let problem = serde_json::from_slice(&answer.body).ok();
        let problem = problem.and_then(|body| Problem::read(answer.status.as_u16(), &body));
        Err(match problem {
            Some(problem) => CallError::Refused(problem),
            None => answer.nonsense(&format!("its answer is {}", answer.status)),
        })
    }

    /// Returns whether what was asked for is saved and not yet in force.
    pub fn is_pending(&self) -> bool {
        self.status == StatusCode::ACCEPTED
    }

    /// Returns the ETag.
    pub fn etag(&self) -> Option<&str> {
        self.headers.get(header::ETAG)?.to_str().ok()
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value, CallError> {
        let parsed = serde_json::from_slice(&self.body);
        parsed.map_err(|_| self.nonsense("its answer is no JSON"))
    }

    /// Returns the body as an object of JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn object(&self) -> Result<Value, CallError> {
        let json = self.json()?;
        match json.is_object() {
            true => Ok(json),
            false => Err(self.nonsense("its answer is no object")),
        }
    }

    /// Returns the items of a list, and the cursor of its next page.
    ///
    /// # Errors
    /// It is no list.
    pub fn page(&self) -> Result<(Vec<Value>, Option<String>), CallError> {
        let mut json = self.json()?;
        let next = json["next"].as_str().map(str::to_owned);
        match json.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok((items, next)),
            _ => Err(self.nonsense("its answer is no list")),
        }
    }

    /// Returns the body as text.
    ///
    /// # Errors
    /// It is none.
    pub fn text(self) -> Result<String, CallError> {
        let is_text = self.headers.get(header::CONTENT_TYPE);
        let is_text = is_text.and_then(|v| v.to_str().ok());
        let is_text = is_text.is_some_and(|v| v.starts_with("text/plain"));
        match str::from_utf8(&self.body) {
            Ok(text) if is_text => Ok(text.to_owned()),
            _ => Err(self.nonsense("its answer is no text")),
        }
    }

    fn nonsense(&self, what: &str) -> CallError {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        let quoted: String = line.unwrap_or_default().chars().take(MAX_QUOTED).collect();
        CallError::Nonsense {
            server: self.server.clone(),
            reason: match quoted.is_empty() {
                true => what.to_owned(),
                false => format!("{what} ({quoted})"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::failure::Exit;
    use axum::http::HeaderValue;

    fn read(status: u16, kind: &'static str, body: &str) -> Result<Answer, CallError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let status = StatusCode::from_u16(status).unwrap();
        Answer::read("the server".to_owned(), status, headers, body.into())
    }

    #[test]
    fn what_is_no_answer_of_the_api_is_told_apart() {
        let html = read(502, "text/html", "<html>\nBad gateway").unwrap_err();
        assert_eq!(html.exit(), Exit::Unreachable);
        assert!(html.to_string().contains("502"), "{html}");
        let refused = r#"{"code":"not_found","detail":"There is none."}"#;
        let refused = read(404, "application/problem+json", refused).unwrap_err();
        assert_eq!(refused.exit(), Exit::NotFound);

        for body in ["", "{", "null", "[]", "7", "{\"items\":{}}", "\u{1b}[2J"] {
            let answer = read(200, "application/json", body).unwrap();
            let error = answer.page().unwrap_err();
            assert_eq!(error.exit(), Exit::Unreachable, "{body}");
        }
        let list = r#"{"items":[1],"next":"abc"}"#;
        let list = read(200, "application/json", list).unwrap();
        assert_eq!(list.page().unwrap(), (vec![1.into()], Some("abc".into())));
        assert!(read(200, "text/html", "<p>").unwrap().text().is_err());
        assert_eq!(read(200, "text/plain", "a").unwrap().text().unwrap(), "a");
        assert!(read(202, "text/plain", "").unwrap().is_pending());
    }
}
