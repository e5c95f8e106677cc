//! Entries that are made by ctnetlink itself, as `conntrack -I` does: of any protocol,
//! and in any number.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::net::Ipv6Addr;
use testkit::namespace::Namespace;

/// How many entries are made at once.
const BATCH: usize = 64;

/// An entry of this protocol from `source` to `destination`, both with this port
/// where the protocol has ports.
#[derive(Clone, Copy)]
pub struct Made {
    pub protocol: u8,
    pub source: [u8; 4],
    pub destination: [u8; 4],
    pub port: u16,
}

fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
    let nla = DefaultNla::new(kind, value.to_vec());
    let mut bytes = vec![0; nla.buffer_len()];
    nla.emit(&mut bytes);
    bytes
}

impl Made {
    fn tuple(&self, kind: u16, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let addresses = [nla(1, &source), nla(2, &destination)].concat();
        let mut protocol = nla(1, &[self.protocol]);
        if matches!(self.protocol, 6 | 17) {
            protocol.extend(
                [
                    nla(2, &self.port.to_be_bytes()),
                    nla(3, &self.port.to_be_bytes()),
                ]
                .concat(),
            );
        }
        let tuple = [
            nla(1 | NLA_F_NESTED, &addresses),
            nla(2 | NLA_F_NESTED, &protocol),
        ]
        .concat();
        nla(kind | NLA_F_NESTED, &tuple)
    }

    /// Returns the body of a message about this entry, without the header of netlink.
    pub fn body(&self) -> Vec<u8> {
        [
            vec![2, 0, 0, 0],
            self.tuple(1, self.source, self.destination),
            self.tuple(2, self.destination, self.source),
        ]
        .concat()
    }

    fn request(&self) -> Vec<u8> {
        let mut body = [self.body(), nla(7, &600_u32.to_be_bytes())].concat();
        if self.protocol == 6 {
            // CTA_PROTOINFO, its TCP part, and the state "established".
            let state = nla(1 | NLA_F_NESTED, &nla(1, &[3]));
            body.extend(nla(4 | NLA_F_NESTED, &state));
        }
        request(&body)
    }
}

fn request(body: &[u8]) -> Vec<u8> {
    let mut request = ((body.len() + 16) as u32).to_ne_bytes().to_vec();
    // IPCTNL_MSG_CT_NEW; NLM_F_REQUEST, _ACK, _EXCL and _CREATE.
    request.extend([(1_u16 << 8).to_ne_bytes(), 0x605_u16.to_ne_bytes()].concat());
    request.extend([0; 8]);
    request.extend(body);
    request
}

/// Makes an entry of UDP over IPv6.
pub fn make_ipv6(ns: &Namespace, source: &str, destination: &str) {
    let [source, destination] = [source, destination].map(|a| a.parse::<Ipv6Addr>().unwrap());
    let tuple = |kind: u16, from: Ipv6Addr, to: Ipv6Addr| {
        let addresses = [nla(3, &from.octets()), nla(4, &to.octets())].concat();
        let protocol = [nla(1, &[17]), nla(2, &[0, 9]), nla(3, &[0, 9])].concat();
        let tuple = [
            nla(1 | NLA_F_NESTED, &addresses),
            nla(2 | NLA_F_NESTED, &protocol),
        ];
        nla(kind | NLA_F_NESTED, &tuple.concat())
    };
    let body = [
        vec![10, 0, 0, 0],
        tuple(1, source, destination),
        tuple(2, destination, source),
        nla(7, &600_u32.to_be_bytes()),
    ];
    send(ns, vec![request(&body.concat())]);
}

/// A body with an id that no entry has.
pub fn with_id(mut body: Vec<u8>, id: u32) -> Vec<u8> {
    body.extend(nla(12, &id.to_be_bytes()));
    body
}

/// Makes the entries in a namespace.
pub fn make(ns: &Namespace, entries: Vec<Made>) {
    send(ns, entries.iter().map(Made::request).collect());
}

fn send(ns: &Namespace, requests: Vec<Vec<u8>>) {
    ns.run(move || {
        let mut socket = Socket::new(NETLINK_NETFILTER).unwrap();
        socket.bind_auto().unwrap();
        socket.connect(&SocketAddr::new(0, 0)).unwrap();
        let mut answers = vec![0; 32 << 10];
        for batch in requests.chunks(BATCH) {
            socket.send(&batch.concat(), 0).unwrap();
            let mut waiting = batch.len();
            while waiting > 0 {
                let length = socket.recv(&mut &mut answers[..], 0).unwrap();
                let mut rest = &answers[..length];
                while let Some(head) = rest.first_chunk::<20>() {
                    let code = i32::from_ne_bytes(head[16..].try_into().unwrap());
                    assert_eq!(code, 0, "the kernel makes the entry");
                    let length = u32::from_ne_bytes(head[..4].try_into().unwrap()) as usize;
                    rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                    waiting -= 1;
                }
            }
        }
    });
}
