//! Messages as they are on the wire (RFC 1035, 4; RFC 2136, 2): what is asked is written,
//! and of an answer is read what is used. Names are written without compression.

use crate::{
    name::{CLASS_ANY, DnsName},
    record::{Record, Target},
    tsig::{Signature, TYPE_TSIG},
};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const CLASS_IN: u16 = 1;
pub(crate) const TYPE_A: u16 = 1;
pub(crate) const TYPE_CNAME: u16 = 5;
pub(crate) const TYPE_SOA: u16 = 6;
pub(crate) const TYPE_AAAA: u16 = 28;

/// The bits of a query without recursion, and of an update.
const QUERY: u16 = 0;
const UPDATE: u16 = 5 << 11;
const IS_ANSWER: u16 = 1 << 15;
const HEADER_BYTES: usize = 12;
/// How many compression pointers a name may have; longer chains are loops.
const MAX_POINTERS: usize = 16;

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    for n in [id, flags].into_iter().chain(counts) {
        out.extend_from_slice(&n.to_be_bytes());
    }
    out
}

fn question(out: &mut Vec<u8>, name: &DnsName, kind: u16) {
    name.write(out);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
}

fn resource(out: &mut Vec<u8>, name: &DnsName, kind: u16, class: u16, ttl: u32, data: &[u8]) {
    name.write(out);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    let length = u16::try_from(data.len()).unwrap_or(0);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(data);
}

/// Writes a question.
pub(crate) fn query(id: u16, name: &DnsName, kind: u16) -> Vec<u8> {
    let mut out = header(id, QUERY, [1, 0, 0, 0]);
    question(&mut out, name, kind);
    out
}

/// Writes an update that replaces the addresses of each name, or removes them. The server
/// does all of it or nothing.
pub(crate) fn update(id: u16, zone: &DnsName, records: &[Record], ttl: u32) -> Vec<u8> {
    let mut count = 0_u16;
    let mut changes = Vec::new();
    for Record { name, target } in records {
        // All records of these types (RFC 2136, 2.5.2). Others at the name stay.
        for kind in [TYPE_A, TYPE_AAAA, TYPE_CNAME] {
            resource(&mut changes, name, kind, CLASS_ANY, 0, &[]);
            count += 1;
        }
        let (kind, data) = match target {
            None => continue,
            Some(Target::V4(address)) => (TYPE_A, address.octets().to_vec()),
            Some(Target::V6(address)) => (TYPE_AAAA, address.octets().to_vec()),
            Some(Target::Host(host)) => {
                let mut data = Vec::new();
                host.write(&mut data);
                (TYPE_CNAME, data)
            }
        };
        resource(&mut changes, name, kind, CLASS_IN, ttl, &data);
        count += 1;
    }
    let mut out = header(id, UPDATE, [1, 0, count, 0]);
    question(&mut out, zone, TYPE_SOA);
    out.extend_from_slice(&changes);
    out
}

/// What is read of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub id: u16,
    /// The code, which is 0 for success.
    pub code: u16,
    pub records: Vec<Record>,
    pub signature: Option<SignatureRecord>,
}

/// The record that signs an answer.
#[derive(Debug)]
pub(crate) struct SignatureRecord {
    /// Where it begins.
    pub at: usize,
    key: DnsName,
    algorithm: DnsName,
    time: u64,
    fudge: u16,
    mac: Vec<u8>,
    pub error: u16,
    other: Vec<u8>,
}

impl SignatureRecord {
    pub fn signature(&self) -> Signature<'_> {
        Signature {
            key: &self.key,
            algorithm: &self.algorithm,
            time: self.time,
            fudge: self.fudge,
            mac: &self.mac,
            error: self.error,
            other: &self.other,
        }
    }
}

/// Reads an answer; `None` if it is cut short or malformed, or is none.
pub(crate) fn answer(message: &[u8]) -> Option<Answer> {
    let mut reader = Reader { message, at: 0 };
    let id = reader.number()?;
    let flags = reader.number()?;
    if flags & IS_ANSWER == 0 {
        return None;
    }
    let mut counts = [0; 4];
    for count in &mut counts {
        *count = reader.number()?;
    }
    let [questions, answers, authorities, additional] = counts;
    for _ in 0..questions {
        reader.name()?;
        reader.take(4)?;
    }
    let mut read = Answer {
        id,
        code: flags & 0x0f,
        records: Vec::new(),
        signature: None,
    };
    let all = u32::from(answers) + u32::from(authorities) + u32::from(additional);
    for n in 0..all {
        if read.signature.is_some() {
            // It has to be the last one.
            return None;
        }
        let at = reader.at;
        let name = reader.name()?;
        let (kind, _class) = (reader.number()?, reader.number()?);
        reader.take(4)?;
        let end = usize::from(reader.number()?).checked_add(reader.at)?;
        if end > message.len() {
            return None;
        }
        if kind == TYPE_TSIG {
            read.signature = Some(reader.signature(at, name?)?);
        } else if n < u32::from(answers)
            && let Some(name) = name
            && let Some(target) = reader.target(kind, end)
        {
            let target = Some(target);
            read.records.push(Record { name, target });
        }
        reader.at = end;
    }
    Some(read)
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Reads a name. The inner `None` is a name that is none of a host, e.g. the root.
    #[expect(clippy::option_option, reason = "malformed, and of no use")]
    fn name(&mut self) -> Option<Option<DnsName>> {
        let mut text = String::new();
        let mut is_plain = true;
        let mut pointers = 0;
        let mut after = None;
        loop {
            let length = *self.take(1)?.first()?;
            match length {
                0 => break,
                0xc0.. => {
                    let low = *self.take(1)?.first()?;
                    after.get_or_insert(self.at);
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return None;
                    }
                    self.at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if self.at < HEADER_BYTES {
                        return None;
                    }
                }
                1..=63 => {
                    let label = self.take(usize::from(length))?;
                    if text.len() > 255 {
                        return None;
                    }
                    match std::str::from_utf8(label) {
                        Ok(label) => text.push_str(label),
                        Err(_) => is_plain = false,
                    }
                    text.push('.');
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(self.at);
        let name = is_plain.then(|| DnsName::parse(&text)).flatten();
        Some(name)
    }

    fn target(&mut self, kind: u16, end: usize) -> Option<Target> {
        let data = self.message.get(self.at..end)?;
        match kind {
            TYPE_A => {
                let octets: [u8; 4] = data.try_into().ok()?;
                Some(Target::V4(Ipv4Addr::from(octets)))
            }
            TYPE_AAAA => {
                let octets: [u8; 16] = data.try_into().ok()?;
                Some(Target::V6(Ipv6Addr::from(octets)))
            }
            TYPE_CNAME => self.name()?.map(Target::Host),
            _ => None,
        }
    }

    fn signature(&mut self, at: usize, key: DnsName) -> Option<SignatureRecord> {
        let algorithm = self.name()??;
        let time = self.take(6)?.iter();
        let time = time.fold(0, |time, byte| time << 8 | u64::from(*byte));
        let fudge = self.number()?;
        let length = self.number()?.into();
        let mac = self.take(length)?.to_vec();
        let _id = self.number()?;
        let error = self.number()?;
        let length = self.number()?.into();
        let other = self.take(length)?.to_vec();
        Some(SignatureRecord {
            at,
            key,
            algorithm,
            time,
            fudge,
            mac,
            error,
            other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TsigKey;
    use domain::Secret;
    use proptest::prelude::*;

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).unwrap()
    }

    /// An answer with a compressed name, a CNAME to the zone, and an address.
    fn answered() -> Vec<u8> {
        let mut out = header(7, IS_ANSWER, [1, 2, 0, 0]);
        question(&mut out, &name("a.example.org"), TYPE_A);
        let pointer = [0xc0, 12];
        out.extend_from_slice(&pointer);
        out.extend_from_slice(&[0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 14]);
        out.extend_from_slice(&[0xc0, 14]);
        out.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        out
    }

    #[test]
    fn compressed_names_are_read() {
        let read = answer(&answered()).unwrap();
        assert_eq!((read.id, read.code), (7, 0));
        let record = |owner, target| Record {
            name: name(owner),
            target: Some(target),
        };
        let expected = [
            record("a.example.org", Target::Host(name("example.org"))),
            record("example.org", Target::V4(Ipv4Addr::new(192, 0, 2, 1))),
        ];
        assert_eq!(read.records, expected);
    }

    #[test]
    fn loops_of_pointers_and_cut_messages_are_refused() {
        let whole = answered();
        for cut in 0..whole.len() {
            assert!(answer(&whole[..cut]).is_none(), "{cut}");
        }
        let mut looped = header(7, IS_ANSWER, [1, 0, 0, 0]);
        looped.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
        assert!(answer(&looped).is_none());
        assert!(
            answer(&query(7, &name("a.b"), TYPE_A)).is_none(),
            "no answer"
        );
    }

    #[test]
    fn an_answer_is_accepted_with_the_right_signature_alone() {
        let key = |text: &str| TsigKey::parse(&Secret::new(text)).unwrap();
        let own = key("maliknode:c2VjcmV0");
        let request = own.sign(&mut query(7, &name("a.b"), TYPE_A), 1_000_000);
        let answered = |by: &TsigKey, at: u64| {
            // What a server signs begins with the request's code.
            let mut message = answered();
            by.sign_answer(&mut message, &request, at);
            message
        };
        let accepts = |message: &[u8], now: u64| {
            let read = answer(message).unwrap();
            let found = read.signature.unwrap();
            own.is_answer(&message[..found.at], &found.signature(), &request, now)
        };
        let good = answered(&own, 1_000_010);
        assert!(accepts(&good, 1_000_020));
        assert!(!accepts(&good, 1_001_000), "too late");
        assert!(!accepts(
            &answered(&key("maliknode:b3RoZXI="), 1_000_010),
            1_000_010
        ));
        assert!(!accepts(
            &answered(&key("another:c2VjcmV0"), 1_000_010),
            1_000_010
        ));
        for at in [2, 3, 40, 60] {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(
                answer(&changed).is_none() || !accepts(&changed, 1_000_010),
                "{at}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = answer(&bytes);
            let mut message = header(1, IS_ANSWER, [1, 1, 0, 1]);
            message.extend_from_slice(&bytes);
            let _ = answer(&message);
        }
    }
}
