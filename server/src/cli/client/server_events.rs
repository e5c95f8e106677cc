//! Server-sent events (WHATWG HTML, 9.2), as the API sends them.

use super::{failure::CallError, stream::Stream};
use std::collections::VecDeque;

/// The longest event, in bytes: a tenant has at most some thousand devices.
const MAX_EVENT: usize = 16 << 20;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    pub name: String,
    /// By which the server goes on behind it; empty where it has none.
    pub id: String,
    pub data: String,
}

/// A stream of events.
pub(crate) struct ServerEvents {
    stream: Stream,
    parser: Parser,
}

impl ServerEvents {
    /// The type of its content.
    pub const KIND: &'static str = "text/event-stream";

    /// Reads the events of an answer.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            parser: Parser::default(),
        }
    }

    /// Waits for the next event. Returns `None` where the server has ended the stream.
    ///
    /// # Errors
    /// The stream breaks off, or it is none of the API's.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>, CallError> {
        loop {
            if let Some(event) = self.parser.events.pop_front() {
                return Ok(Some(event));
            }
            let Some(part) = self.stream.next().await? else {
                return Ok(None);
            };
            if self.parser.read(&part).is_err() {
                return Err(self.stream.nonsense("an event of its stream does not end"));
            }
        }
    }

    /// Says that the stream has broken off.
    pub fn broken(&self, reason: &str) -> CallError {
        self.stream.broken(reason)
    }

    /// Says that what comes is not the API's.
    pub fn nonsense(&self, reason: &str) -> CallError {
        self.stream.nonsense(reason)
    }
}

/// An event is longer than it may be.
#[derive(Debug)]
struct TooLong;

#[derive(Default)]
struct Parser {
    /// The line that has not ended.
    line: Vec<u8>,
    name: String,
    id: String,
    data: String,
    events: VecDeque<ServerEvent>,
}

impl Parser {
    fn read(&mut self, part: &[u8]) -> Result<(), TooLong> {
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() + self.data.len() > MAX_EVENT {
                return Err(TooLong);
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.end_line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &str) {
        if line.is_empty() {
            let (name, id, mut data) = (
                std::mem::take(&mut self.name),
                std::mem::take(&mut self.id),
                std::mem::take(&mut self.data),
            );
            // Without data it is none.
            if data.pop().is_some() {
                self.events.push_back(ServerEvent { name, id, data });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" => value.clone_into(&mut self.id),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            // A comment, or a field that the API does not send.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> Vec<[String; 3]> {
        let mut parser = Parser::default();
        for part in parts {
            parser.read(part).unwrap();
        }
        let events = parser.events.into_iter();
        events.map(|e| [e.name, e.id, e.data]).collect()
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = "event: devices\nid: x7\ndata: [\"B\u{fc}ro\"]\n\n:\n\nid: 7\n\n\
                    event:ended\r\ndata:signed_out\r\n\r\ndata: a\ndata: b\n\ndata: unfinished\n";
        let expected = [
            ["devices", "x7", "[\"B\u{fc}ro\"]"],
            ["ended", "", "signed_out"],
            ["", "", "a\nb"],
        ]
        .map(|event| event.map(str::to_owned));
        assert_eq!(read(&[text.as_bytes()]), expected);
        for at in 0..text.len() {
            let (before, after) = text.as_bytes().split_at(at);
            assert_eq!(read(&[before, after]), expected, "cut at {at}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_not_kept() {
        let mut parser = Parser::default();
        let part = vec![b'x'; MAX_EVENT];
        parser.read(&part).unwrap();
        assert!(parser.read(b"xx").is_err());
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "x".repeat(1 << 20));
        let mut reads = 0;
        while parser.read(line.as_bytes()).is_ok() {
            reads += 1;
            assert!(reads < 20, "it is bounded");
        }
    }
}
