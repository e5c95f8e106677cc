//! Reads and writes lines of JSON with a limit on their length, and wipes the
//! bytes afterwards, because they contain keys.

use serde::{Serialize, de::DeserializeOwned};
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The reason a message could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The other side closed the connection within a line.
    #[error("the connection ended within a message")]
    Truncated,
    /// The line is longer than the limit in bytes.
    #[error("a message is longer than {0} bytes")]
    TooLong(usize),
    /// The line is not the expected JSON. An error of serde may quote the message
    /// with its keys, so only the column is reported.
    #[error("a message is not understood (column {0})")]
    Malformed(usize),
}

/// Reads the next message; `None` if the other side has closed the connection.
///
/// # Errors
/// [`CodecError`] for a message that is truncated, too long or malformed.
pub async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
    max: usize,
) -> Result<Option<T>, CodecError> {
    // Growing a `Vec` would leave copies of the bytes behind; see `append`.
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    loop {
        let available = from.fill_buf().await?;
        if available.is_empty() {
            if line.is_empty() {
                return Ok(None);
            }
            return Err(CodecError::Truncated);
        }
        let end = available.iter().position(|b| *b == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        if line.len() + part.len() > max {
            return Err(CodecError::TooLong(max));
        }
        append(&mut line, part);
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            let message = serde_json::from_slice(&line);
            return message
                .map(Some)
                .map_err(|e| CodecError::Malformed(e.column()));
        }
    }
}

/// Appends bytes. If that needs a larger buffer, the old one is wiped.
fn append(line: &mut Zeroizing<Vec<u8>>, part: &[u8]) {
    if line.capacity() - line.len() < part.len() {
        let room = (line.len() + part.len()).next_power_of_two();
        let mut larger = Zeroizing::new(Vec::with_capacity(room));
        larger.extend_from_slice(line);
        *line = larger;
    }
    line.extend_from_slice(part);
}

/// Writes a message.
///
/// # Errors
/// [`CodecError`] for a message that is too long, or a failed connection.
pub async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
    max: usize,
) -> Result<(), CodecError> {
    let encoded = serde_json::to_vec(message).map_err(io::Error::other)?;
    let mut line = Zeroizing::new(encoded);
    if line.len() > max {
        return Err(CodecError::TooLong(max));
    }
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{MAX_REQUEST, Request};
    use super::*;
    use proptest::prelude::*;
    use tokio::io::BufReader;

    async fn parse(bytes: &[u8], max: usize) -> Result<Option<Request>, CodecError> {
        // The buffer is small, so that lines arrive in pieces.
        read(&mut BufReader::with_capacity(7, bytes), max).await
    }

    #[tokio::test]
    async fn a_written_message_is_read_back() {
        let mut wire = Vec::new();
        write(&mut wire, &Request::Stop, MAX_REQUEST).await.unwrap();
        let back = parse(&wire, MAX_REQUEST).await.unwrap();
        assert!(matches!(back, Some(Request::Stop)));
    }

    #[tokio::test]
    async fn half_a_line_is_truncated() {
        assert!(parse(b"", 100).await.unwrap().is_none());
        let half = parse(b"{\"op\":\"st", 100).await;
        assert!(matches!(half, Err(CodecError::Truncated)));
    }

    #[tokio::test]
    async fn a_huge_line_is_rejected() {
        let huge = vec![b'x'; 3 * MAX_REQUEST];
        let refused = parse(&huge, MAX_REQUEST).await;
        assert!(matches!(refused, Err(CodecError::TooLong(MAX_REQUEST))));
    }

    #[tokio::test]
    async fn malformed_lines_are_rejected_without_quotes() {
        for bad in [
            &b"\n"[..],
            b"{}\n",
            b"[1,2]\n",
            b"{\"op\":\"explode\"}\n",
            b"\xff\xfe\n",
            b"{\"op\":\"change\",\"slot\":1,\"remove\":[\"geheim\"],\"set\":[]}\n",
        ] {
            let e = parse(bad, 1000).await.unwrap_err();
            assert!(matches!(e, CodecError::Malformed(_)), "{e:?}");
            assert!(!format!("{e} {e:?}").contains("geheim"));
        }
        let deep = [b"[".repeat(100_000), b"\n".to_vec()].concat();
        assert!(parse(&deep, MAX_REQUEST).await.is_err());
    }

    proptest! {
        #[test]
        fn the_codec_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(parse(&bytes, 200));
        }
    }
}
