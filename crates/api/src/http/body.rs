//! The body of a request: JSON of the expected members and no others, of bounded size. Its
//! depth is bounded by `serde_json` (128 levels).

use super::problem::Refusal;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use domain::{ErrorCode, Failure, Message};
use serde::de::DeserializeOwned;

/// The largest body, in bytes. The largest useful one is a sign-up's.
pub const MAX_BODY: usize = 64 * 1024;
/// The longest reason that is repeated to the client, in bytes.
const MAX_REASON: usize = 200;

/// A body of JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            let code = ErrorCode::MediaTypeWrong;
            return Err(Failure::new(code, Message::BodyNotJson).into());
        }
        let bytes = read(request).await?;
        parse(&bytes).map(Self).map_err(|mut reason| {
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            let message = Message::BodyUnreadable { reason };
            Failure::new(ErrorCode::BadRequest, message).into()
        })
    }
}

/// Parses an object, or says why it is none. What JSON Schema calls an integer is one, also
/// with a fraction of zero.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // serde would take the items of an array as the members, in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err("expected an object".to_owned());
    }
    serde_json::from_slice(bytes)
        .map_err(|e| e.to_string())
        .or_else(|reason| {
            let whole = with_whole_numbers(bytes).ok_or(reason)?;
            serde_json::from_slice(&whole).map_err(|e| e.to_string())
        })
}

/// Returns the same JSON with numbers as `7.0` and `7e0` written as `7`; `None` where it has
/// none.
fn with_whole_numbers(json: &[u8]) -> Option<Vec<u8>> {
    /// Above it, a floating-point number stands for several integers.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let mut out = Vec::with_capacity(json.len());
    let (mut rest, mut is_string, mut has_changed) = (json, false, false);
    while let Some((&byte, after)) = rest.split_first() {
        let mut taken = 1;
        if is_string {
            is_string = byte != b'"';
            taken += usize::from(byte == b'\\' && !after.is_empty());
        } else if byte == b'-' || byte.is_ascii_digit() {
            let is_part = |b: &u8| b.is_ascii_digit() || b".eE+-".contains(b);
            taken = rest.iter().take_while(|b| is_part(b)).count();
            let token = std::str::from_utf8(&rest[..taken]).unwrap_or_default();
            let number = token.parse().unwrap_or(f64::NAN);
            let is_float = token == "-0" || token.contains(['.', 'e', 'E']);
            if is_float && number.fract() == 0.0 && number.abs() <= MAX_EXACT {
                // -0 is 0.
                out.extend_from_slice(format!("{:.0}", number + 0.0).as_bytes());
                has_changed = true;
                rest = &rest[taken..];
                continue;
            }
        } else {
            is_string = byte == b'"';
        }
        out.extend_from_slice(&rest[..taken]);
        rest = &rest[taken..];
    }
    has_changed.then_some(out)
}

/// Reads a body of at most [`MAX_BODY`] bytes.
///
/// # Errors
/// `TooLarge`; `BadRequest` for one that broke off.
pub async fn read(request: Request) -> Result<Bytes, Refusal> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|n| n > MAX_BODY as u64) {
        return Err(too_large());
    }
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY);
    body.await.map_err(|_| too_large())
}

fn too_large() -> Refusal {
    let most = MAX_BODY as u64;
    Failure::new(ErrorCode::TooLarge, Message::BodyTooLarge { most }).into()
}

/// Returns whether a body is called JSON (RFC 8259, 11).
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        number: u64,
        text: Option<String>,
    }

    #[test]
    fn an_object_is_read_with_integers_as_json_schema_has_them() {
        let number = |json: &str| parse::<Shape>(json.as_bytes()).map(|shape| shape.number);
        for whole in ["7", "7.0", "7.000", "70e-1", "0.7E+1"] {
            assert_eq!(
                number(&format!(" {{\"number\":{whole}}}")),
                Ok(7),
                "{whole}"
            );
        }
        for zero in ["0.0", "-0", "-0.0", "0e9"] {
            assert_eq!(number(&format!("{{\"number\": {zero}}}")), Ok(0), "{zero}");
        }
        let json = r#"{"text": "1.0 \\\" 2.0", "number": 1.0}"#;
        let shape = parse::<Shape>(json.as_bytes()).unwrap();
        assert_eq!(shape.text.as_deref(), Some("1.0 \\\" 2.0"));
        for other in ["7.5", "1e400", "1e17", "-1.0", "\"7.0\"", "7.0.0", "7e"] {
            assert!(
                number(&format!("{{\"number\":{other}}}")).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in [
            "[7, null]",
            "[null]",
            "null",
            "7",
            "\"x\"",
            "",
            " ",
            "{",
            "{\"number\": 1.0",
        ] {
            assert!(parse::<Shape>(json.as_bytes()).is_err(), "{json}");
        }
        let twice = br#"{"number": 1.0, "number": 2.0}"#;
        assert!(parse::<Shape>(twice).unwrap_err().contains("duplicate"));
    }
}
