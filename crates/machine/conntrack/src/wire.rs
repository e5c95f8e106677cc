//! The messages of ctnetlink: reads entries from a dump, and writes requests.

use crate::ipv6::DeviceEnds;
use hostfs::netlink::{
    DecodeError, DefaultNla, NETFILTER_HEADER, NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP, attributes,
    write_netfilter_request,
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// `NFNL_SUBSYS_CTNETLINK << 8`.
const SUBSYSTEM: u16 = 1 << 8;
/// `IPCTNL_MSG_CT_NEW`, the type of an entry in a dump.
pub const NEW: u16 = SUBSYSTEM;
/// `IPCTNL_MSG_CT_GET`.
const GET: u16 = SUBSYSTEM | 1;
/// `IPCTNL_MSG_CT_DELETE`.
const DELETE: u16 = SUBSYSTEM | 2;
/// `IPCTNL_MSG_CT_GET_STATS`.
const GET_STATISTICS: u16 = SUBSYSTEM | 5;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// `enum ctattr_type`.
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
/// `enum ctattr_tuple`.
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
/// `enum ctattr_l4proto`.
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const IPPROTO_UDP: u8 = 17;
/// `enum ctattr_ip`.
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;

/// The two ends of one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// The sender of its packets.
    pub source: Ipv4Addr,
    /// Their receiver.
    pub destination: Ipv4Addr,
    /// The port that they go to, if their protocol is UDP.
    pub udp_port: Option<u16>,
}

/// A tracked connection, as it lies in a dump.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The packets of the end that began, as that end sent them.
    pub original: Direction,
    /// The packets of the other end, as that end sends them: after address
    /// translation its destination is not the first sender.
    pub reply: Direction,
    /// The attribute `CTA_TUPLE_ORIG`.
    tuple: &'a [u8],
    id: &'a [u8],
    zone: Option<&'a [u8]>,
    family: u8,
}

impl<'a> Entry<'a> {
    /// Reads the body of a message of the type [`NEW`].
    ///
    /// # Errors
    /// If a part is missing or malformed: an entry that cannot be read could not be
    /// removed either.
    pub fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        Self::parse_of(body, None)
    }

    /// Reads the same of IPv6, with the ends that `ipv6` says.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse).
    pub fn parse_ipv6(body: &'a [u8], ipv6: &DeviceEnds) -> Result<Self, DecodeError> {
        Self::parse_of(body, Some(ipv6))
    }

    fn parse_of(body: &'a [u8], ipv6: Option<&DeviceEnds>) -> Result<Self, DecodeError> {
        let (mut original, mut reply, mut id, mut zone) = (None, None, None, None);
        for attribute in attributes(body.get(NETFILTER_HEADER..).unwrap_or_default()) {
            match attribute? {
                (CTA_TUPLE_ORIG, value) => original = Some(value),
                (CTA_TUPLE_REPLY, value) => reply = Some(value),
                (CTA_ID, value) => id = Some(value),
                (CTA_ZONE, value) => zone = Some(value),
                _ => {}
            }
        }
        let missing = || DecodeError::from("an entry lacks a tuple or its id");
        let (tuple, reply) = (original.ok_or_else(missing)?, reply.ok_or_else(missing)?);
        Ok(Self {
            original: direction(tuple, ipv6)?,
            reply: direction(reply, ipv6)?,
            tuple,
            id: id.ok_or_else(missing)?,
            zone,
            family: if ipv6.is_some() { AF_INET6 } else { AF_INET },
        })
    }

    /// Returns the addresses of all ends. After address translation the two
    /// directions name different ones.
    pub fn ends(&self) -> [Ipv4Addr; 4] {
        let (original, reply) = (self.original, self.reply);
        [
            original.source,
            original.destination,
            reply.source,
            reply.destination,
        ]
    }

    /// Appends the request to delete this entry and no other one. The kernel deletes
    /// the whole table for a request without a tuple, so it is always named.
    pub fn write_deletion(&self, buffer: &mut Vec<u8>) {
        let mut attributes = vec![
            DefaultNla::new(CTA_TUPLE_ORIG | NLA_F_NESTED, self.tuple.to_vec()),
            DefaultNla::new(CTA_ID, self.id.to_vec()),
        ];
        let zone = self.zone.map(|z| DefaultNla::new(CTA_ZONE, z.to_vec()));
        attributes.extend(zone);
        write(DELETE, NLM_F_ACK, self.family, attributes, buffer);
    }
}

/// Appends the request for all entries of IPv4, or of IPv6.
pub fn write_dump(is_ipv6: bool, buffer: &mut Vec<u8>) {
    let family = if is_ipv6 { AF_INET6 } else { AF_INET };
    write(GET, NLM_F_DUMP, family, vec![], buffer);
}

/// Appends the request for the table's statistics.
pub(crate) fn write_statistics(buffer: &mut Vec<u8>) {
    write(GET_STATISTICS, NLM_F_ACK, AF_INET, vec![], buffer);
}

/// Appends a request.
fn write(kind: u16, flags: u16, family: u8, attributes: Vec<DefaultNla>, buffer: &mut Vec<u8>) {
    write_netfilter_request(kind, flags, family, attributes, buffer);
}

/// Reads the addresses of a tuple, and the port of UDP.
fn direction(tuple: &[u8], ipv6: Option<&DeviceEnds>) -> Result<Direction, DecodeError> {
    let of_ipv6 = |value: &[u8]| ipv6.and_then(|ends| Some(ends.ipv4(address6(value)?)));
    let (mut source, mut destination) = (None, None);
    let mut udp_port = None;
    for part in attributes(tuple) {
        let addresses = match part? {
            (CTA_TUPLE_IP, addresses) => addresses,
            (CTA_TUPLE_PROTO, protocol) => {
                udp_port = port_of_udp(protocol)?;
                continue;
            }
            _ => continue,
        };
        for address in attributes(addresses) {
            match address? {
                (CTA_IP_V4_SRC, value) => source = ipv4(value),
                (CTA_IP_V6_SRC, value) => source = of_ipv6(value),
                (CTA_IP_V6_DST, value) => destination = of_ipv6(value),
                (CTA_IP_V4_DST, value) => destination = ipv4(value),
                _ => {}
            }
        }
    }
    match (source, destination) {
        (Some(source), Some(destination)) => Ok(Direction {
            source,
            destination,
            udp_port,
        }),
        _ => Err(DecodeError::from("a tuple lacks an address")),
    }
}

/// Reads the port that packets go to; `None` for other protocols than UDP.
fn port_of_udp(protocol: &[u8]) -> Result<Option<u16>, DecodeError> {
    let (mut is_udp, mut port) = (false, None);
    for attribute in attributes(protocol) {
        match attribute? {
            (CTA_PROTO_NUM, value) => is_udp = value == [IPPROTO_UDP],
            (CTA_PROTO_DST_PORT, value) => {
                port = <[u8; 2]>::try_from(value).ok().map(u16::from_be_bytes);
            }
            _ => {}
        }
    }
    Ok(port.filter(|_| is_udp))
}

fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

fn address6(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::Emitable;
    use proptest::prelude::*;

    fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
        let nla = DefaultNla::new(kind, value.to_vec());
        let mut bytes = vec![0; nla.buffer_len()];
        nla.emit(&mut bytes);
        bytes
    }

    fn tuple(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let addresses = [nla(1, &source), nla(2, &destination)].concat();
        let protocol = [nla(1, &[17]), nla(2, &[0, 53]), nla(3, &[1, 2])].concat();
        [
            nla(1 | NLA_F_NESTED, &addresses),
            nla(2 | NLA_F_NESTED, &protocol),
        ]
        .concat()
    }

    fn entry() -> Vec<u8> {
        [
            vec![AF_INET, 0, 0, 0],
            nla(1 | NLA_F_NESTED, &tuple([10, 88, 1, 2], [203, 0, 113, 80])),
            nla(
                2 | NLA_F_NESTED,
                &tuple([203, 0, 113, 80], [198, 51, 100, 1]),
            ),
            nla(7, &[0, 0, 0, 30]),
            nla(12, &[1, 2, 3, 4]),
        ]
        .concat()
    }

    #[test]
    fn an_entry_has_both_directions() {
        let bytes = entry();
        let entry = Entry::parse(&bytes).unwrap();
        let ends = entry.ends().map(|a| a.to_string());
        let [a, b, c, d] = ["10.88.1.2", "203.0.113.80", "203.0.113.80", "198.51.100.1"];
        assert_eq!(ends, [a, b, c, d]);
        // 0x0102, as the tuple of the test has it.
        assert_eq!(entry.original.udp_port, Some(258));
    }

    #[test]
    fn a_deletion_names_tuple_and_id() {
        let bytes = entry();
        let mut request = Vec::new();
        Entry::parse(&bytes).unwrap().write_deletion(&mut request);
        assert_eq!(request.len() % 4, 0);
        assert_eq!(request[4..6], DELETE.to_ne_bytes());
        let tuple = &bytes[4..4 + usize::from(u16::from_ne_bytes([bytes[4], bytes[5]]))];
        assert!(request.windows(tuple.len()).any(|w| w == tuple));
        assert!(request.ends_with(&nla(12, &[1, 2, 3, 4])));
    }

    #[test]
    fn an_entry_without_a_part_is_refused() {
        let bytes = entry();
        for end in (0..bytes.len()).step_by(4) {
            assert!(Entry::parse(&bytes[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(entry) = Entry::parse(&bytes) {
                entry.write_deletion(&mut Vec::new());
            }
        }

        #[test]
        fn no_changed_byte_makes_it_panic(at in 0..entry().len(), byte in any::<u8>()) {
            let mut bytes = entry();
            bytes[at] = byte;
            if let Ok(entry) = Entry::parse(&bytes) {
                entry.write_deletion(&mut Vec::new());
            }
        }
    }
}
