//! Lines out of the body of an answer: bounded in length, and in the time each takes.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use std::{error::Error, time::Duration};
use tokio::time::Instant;

/// Why there is no further line.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// The other side ended the stream.
    #[error("the worker ended its state")]
    Ended,
    /// The line is longer than allowed.
    #[error("a line has more than {0} bytes")]
    TooLong(usize),
    /// There was no line in time.
    #[error("nothing was heard for {} s", .0.as_secs())]
    Silent(Duration),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// Reads lines.
pub(super) struct Lines<B> {
    body: B,
    /// What has been read and is in no line yet.
    rest: Vec<u8>,
    /// How much of it holds no end of a line.
    searched: usize,
    max: usize,
    silence: Duration,
}

impl<B> Lines<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    /// Reads lines of at most `max` bytes, each of which comes within `silence`.
    pub fn new(body: B, max: usize, silence: Duration) -> Self {
        Self {
            body,
            rest: Vec::new(),
            searched: 0,
            max,
            silence,
        }
    }

    /// Returns the next line, without its end.
    ///
    /// # Errors
    /// [`LineError`]. There are no further lines then.
    pub async fn next(&mut self) -> Result<Vec<u8>, LineError> {
        let deadline = Instant::now() + self.silence;
        loop {
            let unsearched = self.rest.get(self.searched..).unwrap_or_default();
            if let Some(found) = unsearched.iter().position(|b| *b == b'\n') {
                let end = self.searched + found;
                let rest = self.rest.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.rest, rest);
                line.truncate(end);
                self.searched = 0;
                return match end > self.max {
                    true => Err(LineError::TooLong(self.max)),
                    false => Ok(line),
                };
            }
            self.searched = self.rest.len();
            if self.rest.len() > self.max {
                return Err(LineError::TooLong(self.max));
            }
            let frame = tokio::time::timeout_at(deadline, self.body.frame()).await;
            let frame = frame.map_err(|_| LineError::Silent(self.silence))?;
            let frame = frame.ok_or(LineError::Ended)?;
            let frame = frame.map_err(|e| LineError::Broken(e.into()))?;
            if let Some(data) = frame.data_ref() {
                self.rest.extend_from_slice(data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use std::convert::Infallible;

    const SILENCE: Duration = Duration::from_secs(16);

    fn lines(
        parts: Vec<(u64, &'static str)>,
    ) -> Lines<impl Body<Data = Bytes, Error = Infallible> + Unpin> {
        let frames = stream::unfold(parts.into_iter(), async |mut parts| {
            let (seconds, part) = parts.next()?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let frame = Frame::data(Bytes::from_static(part.as_bytes()));
            Some((Ok(frame), parts))
        });
        Lines::new(StreamBody::new(Box::pin(frames)), 8, SILENCE)
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_found_wherever_they_are_cut() {
        let mut lines = lines(vec![
            (0, "one\nt"),
            (9, "wo\n\nth"),
            (9, "ree"),
            (1, "\nfour"),
        ]);
        for expected in ["one", "two", "", "three"] {
            assert_eq!(lines.next().await.unwrap(), expected.as_bytes());
        }
        assert!(matches!(lines.next().await, Err(LineError::Ended)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_without_an_end_is_not_collected() {
        let long = "123456789";
        for parts in [
            vec![(0, long)],
            vec![(0, "12345678"), (0, "9")],
            vec![(0, "123456789\n")],
        ] {
            let result = lines(parts).next().await;
            assert!(matches!(result, Err(LineError::TooLong(8))), "{result:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_the_lines_even_if_bytes_drip() {
        let mut silent = lines(vec![(17, "late\n")]);
        assert!(matches!(
            silent.next().await,
            Err(LineError::Silent(SILENCE))
        ));
        let mut dripping = lines(vec![(6, "a"), (6, "b"), (6, "c\n")]);
        assert!(matches!(
            dripping.next().await,
            Err(LineError::Silent(SILENCE))
        ));
    }
}
