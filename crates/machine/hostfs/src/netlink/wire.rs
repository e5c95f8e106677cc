//! Reads messages and attributes where they lie in a datagram, and writes requests.

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLA_HEADER_SIZE, NLM_F_REQUEST, NetlinkBuffer,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlasIterator,
};

/// A message: its header's fields and its body.
pub type Message<'a> = NetlinkBuffer<&'a [u8]>;

/// The length of `struct nfgenmsg` in bytes, which precedes the attributes in each
/// message of netfilter: family, version and a number.
pub const NETFILTER_HEADER: usize = 4;

/// Iterates over the messages of a datagram. The first malformed one is the last item.
#[derive(Clone, Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let message = NetlinkBuffer::new_checked(self.0);
        let end = message
            .as_ref()
            .map_or(self.0.len(), |m| (m.length() as usize).next_multiple_of(4));
        self.0 = self.0.get(end..).unwrap_or_default();
        Some(message)
    }
}

/// Iterates over attributes: each one's type, without the flags, and its value. The first
/// malformed one is the last item.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), DecodeError>> {
    NlasIterator::new(bytes).map(|attribute| {
        let attribute = attribute?;
        // `NlaBuffer::value` has not the lifetime of the datagram.
        let value = NLA_HEADER_SIZE..usize::from(attribute.length());
        let value = attribute.into_inner().get(value).unwrap_or_default();
        Ok((attribute.kind(), value))
    })
}

/// Returns the value of the first attribute of a type, unless a malformed one precedes it.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut readable = attributes(bytes).map_while(Result::ok);
    readable.find(|(k, _)| *k == kind).map(|(_, value)| value)
}

/// Appends a request to a subsystem of netfilter. Its length is a multiple of four, as
/// the next one needs it.
pub fn write_netfilter_request(
    kind: u16,
    flags: u16,
    family: u8,
    attributes: Vec<DefaultNla>,
    buffer: &mut Vec<u8>,
) {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let payload = NetlinkPayload::InnerMessage(Request {
        kind,
        family,
        attributes,
    });
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let start = buffer.len();
    buffer.resize(start + message.buffer_len(), 0);
    if let Some(place) = buffer.get_mut(start..) {
        message.serialize(place);
    }
}

/// A request to netfilter, without the header of netlink.
struct Request {
    kind: u16,
    family: u8,
    attributes: Vec<DefaultNla>,
}

impl NetlinkSerializable for Request {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        NETFILTER_HEADER + self.attributes.as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let (header, attributes) = buffer.split_at_mut(NETFILTER_HEADER);
        header.copy_from_slice(&[self.family, 0, 0, 0]);
        self.attributes.as_slice().emit(attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(datagram: &[u8]) -> usize {
        Messages(datagram).filter(Result::is_ok).count()
    }

    #[test]
    fn truncated_messages_and_attributes_end_the_iteration() {
        let message = [
            20, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 6, 0, 3, 0x80,
        ];
        let all: Vec<_> = Messages(&message).map(Result::unwrap).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].message_type(), all[0].port_number()), (7, 9));
        for end in 0..message.len() {
            assert_eq!(readable(&message[..end]), 0);
        }
        assert_eq!(readable(&[0; 64]), 0);
        assert_eq!(readable(&[0xff; 64]), 0);
        let second = [&message[..], &[0xff; 64]].concat();
        let all: Vec<_> = Messages(&second).map(|m| m.is_ok()).collect();
        assert_eq!(all, [true, false]);

        let bytes = [6, 0, 3, 0x80, b'a', b'b', 0, 0, 4, 0, 1, 0];
        let all: Vec<_> = attributes(&bytes).map(Result::unwrap).collect();
        assert_eq!(all, [(3, &b"ab"[..]), (1, &b""[..])]);
        assert_eq!(attribute(&bytes, 1), Some(&b""[..]));
        assert_eq!(attribute(&bytes, 2), None);
        for malformed in [&bytes[..5], &[0; 64], &[0xff; 64]] {
            let all: Vec<_> = attributes(malformed).map(|a| a.is_ok()).collect();
            assert_eq!(all, [false]);
        }
    }

    #[test]
    fn a_request_has_family_and_attributes() {
        let mut buffer = Vec::new();
        let name = || vec![DefaultNla::new(1, b"abc".to_vec())];
        write_netfilter_request(0x0a0f, 0x300, 2, name(), &mut buffer);
        write_netfilter_request(0x0a10, 0, 1, vec![], &mut buffer);
        let all: Vec<_> = Messages(&buffer).map(Result::unwrap).collect();
        assert_eq!((all[0].message_type(), all[0].flags()), (0x0a0f, 0x301));
        assert_eq!(all[0].payload(), b"\x02\0\0\0\x07\0\x01\0abc\0");
        assert_eq!((all[1].message_type(), all[1].flags()), (0x0a10, 1));
        assert_eq!(all[1].payload(), [1, 0, 0, 0]);
    }
}
