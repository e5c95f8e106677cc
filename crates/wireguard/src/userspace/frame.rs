//! Lines of JSON with a bound on their length, read and written so that the
//! bytes, which hold keys, are wiped afterwards.

use serde::{Serialize, de::DeserializeOwned};
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// A message that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The other side closed before the line's end.
    #[error("the connection ended within a message")]
    Truncated,
    /// The line is longer than allowed.
    #[error("a message is longer than {0} bytes")]
    TooLong(usize),
    /// The line is not the JSON that was expected. What serde says may quote
    /// the message, keys included, so only the place is kept.
    #[error("a message is not understood (column {0})")]
    Malformed(usize),
}

/// The next message, or `None` where the other side has closed.
pub async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
    max: usize,
) -> Result<Option<T>, FrameError> {
    // Room for all of it at once: growing would leave copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    loop {
        let available = from.fill_buf().await?;
        if available.is_empty() {
            if line.is_empty() {
                return Ok(None);
            }
            return Err(FrameError::Truncated);
        }
        let end = available.iter().position(|b| *b == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        if line.len() + part.len() > max {
            return Err(FrameError::TooLong(max));
        }
        append(&mut line, part);
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            let message = serde_json::from_slice(&line);
            return message
                .map(Some)
                .map_err(|e| FrameError::Malformed(e.column()));
        }
    }
}

/// Appends; where that needs a larger buffer, the old one is wiped.
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
pub async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
    max: usize,
) -> Result<(), FrameError> {
    let encoded = serde_json::to_vec(message).map_err(io::Error::other)?;
    let mut line = Zeroizing::new(encoded);
    if line.len() > max {
        return Err(FrameError::TooLong(max));
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

    async fn parse(bytes: &[u8], max: usize) -> Result<Option<Request>, FrameError> {
        // A small buffer, so that lines arrive in pieces.
        read(&mut BufReader::with_capacity(7, bytes), max).await
    }

    #[tokio::test]
    async fn what_was_written_is_read() {
        let mut wire = Vec::new();
        write(&mut wire, &Request::Stop, MAX_REQUEST).await.unwrap();
        let back = parse(&wire, MAX_REQUEST).await.unwrap();
        assert!(matches!(back, Some(Request::Stop)));
    }

    #[tokio::test]
    async fn nothing_is_an_end_and_half_a_line_is_not() {
        assert!(parse(b"", 100).await.unwrap().is_none());
        let half = parse(b"{\"op\":\"st", 100).await;
        assert!(matches!(half, Err(FrameError::Truncated)));
    }

    #[tokio::test]
    async fn a_huge_line_is_refused_before_it_is_held() {
        let huge = vec![b'x'; 3 * MAX_REQUEST];
        let refused = parse(&huge, MAX_REQUEST).await;
        assert!(matches!(refused, Err(FrameError::TooLong(MAX_REQUEST))));
    }

    #[tokio::test]
    async fn garbage_is_refused_without_being_quoted() {
        for bad in [
            &b"\n"[..],
            b"{}\n",
            b"[1,2]\n",
            b"{\"op\":\"explode\"}\n",
            b"\xff\xfe\n",
            b"{\"op\":\"change\",\"slot\":1,\"remove\":[\"geheim\"],\"set\":[]}\n",
        ] {
            let e = parse(bad, 1000).await.unwrap_err();
            assert!(matches!(e, FrameError::Malformed(_)), "{e:?}");
            assert!(!format!("{e} {e:?}").contains("geheim"));
        }
        let deep = [b"[".repeat(100_000), b"\n".to_vec()].concat();
        assert!(parse(&deep, MAX_REQUEST).await.is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(parse(&bytes, 200));
        }
    }
}
