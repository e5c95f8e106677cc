//! Traffic as bytes: numbers of seven bits a byte (LEB128), because most are
//! small, and what is sorted as differences.
//!
//! A bucket's *shares* say which device had how many bytes. Shares behind
//! shares are shares again, whose numbers add up: a bucket that is written
//! twice is joined by the database, and nothing has to be read for it.
//!
//! A tenant's *counters* are what a reading is compared with.

use std::net::{IpAddr, SocketAddr};

/// What the first byte of counters is: another is another version's.
const VERSION: u8 = 1;
/// Sums kept of each device: a minute, a quarter, an hour, a day, and what
/// `bandwidth_stats` does not have yet.
pub(crate) const SUMS: usize = 5;
/// The last of them.
pub(crate) const UNTOLD: usize = SUMS - 1;

/// Bytes of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub rx: u64,
    pub tx: u64,
}

impl Bytes {
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    pub fn add(&mut self, other: Self) {
        self.rx = self.rx.saturating_add(other.rx);
        self.tx = self.tx.saturating_add(other.tx);
    }
}

/// A device's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its id in `peers`.
    pub id: i64,
    /// The interface's counters as last read.
    pub last: Bytes,
    pub total: Bytes,
    /// Milliseconds since 1970, never 0.
    pub handshake: Option<i64>,
    pub endpoint: Option<SocketAddr>,
    pub sums: [Bytes; SUMS],
}

/// A tenant's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// When the buckets began that the first four sums are of.
    pub open: [i64; UNTOLD],
    /// When `bandwidth_stats` was told last.
    pub told: i64,
    /// In order of their ids.
    pub devices: Vec<Device>,
}

impl Counters {
    pub fn device(&self, id: i64) -> Option<&Device> {
        let at = self.devices.binary_search_by_key(&id, |d| d.id).ok()?;
        self.devices.get(at)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 64 * self.devices.len());
        out.push(VERSION);
        for n in self.open {
            put_signed(&mut out, n);
        }
        put_signed(&mut out, self.told);
        put(&mut out, self.devices.len() as u64);
        let mut before = 0;
        for d in &self.devices {
            put_signed(&mut out, d.id.wrapping_sub(before));
            before = d.id;
            for b in [d.last, d.total].iter().chain(&d.sums) {
                put(&mut out, b.rx);
                put(&mut out, b.tx);
            }
            put_signed(&mut out, d.handshake.unwrap_or(0));
            match d.endpoint {
                None => out.push(0),
                Some(e) => {
                    match e.ip() {
                        IpAddr::V4(a) => {
                            out.push(4);
                            out.extend(a.octets());
                        }
                        IpAddr::V6(a) => {
                            out.push(6);
                            out.extend(a.octets());
                        }
                    }
                    out.extend(e.port().to_be_bytes());
                }
            }
        }
        out
    }

    /// `None` where it is not what [`encode`](Self::encode) makes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        if from.byte()? != VERSION {
            return None;
        }
        let mut counters = Self::default();
        for n in &mut counters.open {
            *n = from.signed()?;
        }
        counters.told = from.signed()?;
        let count = from.number()?;
        let mut before = 0_i64;
        for _ in 0..count {
            let mut d = Device {
                id: before.wrapping_add(from.signed()?),
                last: from.pair()?,
                total: from.pair()?,
                ..Device::default()
            };
            before = d.id;
            for sum in &mut d.sums {
                *sum = from.pair()?;
            }
            d.handshake = Some(from.signed()?).filter(|n| *n != 0);
            let ip: Option<IpAddr> = match from.byte()? {
                0 => None,
                4 => Some(from.array::<4>()?.into()),
                6 => Some(from.array::<16>()?.into()),
                _ => return None,
            };
            if let Some(ip) = ip {
                d.endpoint = Some((ip, u16::from_be_bytes(from.array()?)).into());
            }
            counters.devices.push(d);
        }
        from.0.is_empty().then_some(counters)
    }
}

/// Shares, of devices in order of their ids; those without bytes are left out.
/// Empty where there is nothing to say.
pub(crate) fn shares(devices: impl Iterator<Item = (i64, Bytes)>) -> Vec<u8> {
    let (mut out, mut count, mut before) = (Vec::new(), 0_u64, 0);
    for (id, bytes) in devices.filter(|(_, b)| !b.is_zero()) {
        put_signed(&mut out, id.wrapping_sub(before));
        put(&mut out, bytes.rx);
        put(&mut out, bytes.tx);
        before = id;
        count += 1;
    }
    if count > 0 {
        let mut head = Vec::with_capacity(out.len() + 2);
        put(&mut head, count);
        head.append(&mut out);
        return head;
    }
    out
}

/// What shares say of one device, or of all. `None` where they are unreadable.
pub(crate) fn share_of(bytes: &[u8], device: Option<i64>) -> Option<Bytes> {
    let (mut from, mut sum) = (Reader(bytes), Bytes::default());
    while !from.0.is_empty() {
        let mut id = 0_i64;
        for _ in 0..from.number()? {
            id = id.wrapping_add(from.signed()?);
            let share = from.pair()?;
            if device.is_none_or(|d| d == id) {
                sum.add(share);
            }
        }
    }
    Some(sum)
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Small numbers of either sign are short ("zigzag").
fn put_signed(out: &mut Vec<u8>, n: i64) {
    put(out, ((n << 1) ^ (n >> 63)) as u64);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            n |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Some(n);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let n = self.number()?;
        Some((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn pair(&mut self) -> Option<Bytes> {
        Some(Bytes {
            rx: self.number()?,
            tx: self.number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(rx: u64, tx: u64) -> Bytes {
        Bytes { rx, tx }
    }

    fn counters() -> Counters {
        let device = |id, endpoint: Option<&str>, n: u64| Device {
            id,
            last: bytes(n, u64::MAX),
            total: bytes(u64::MAX, n),
            handshake: (n > 1).then_some(n as i64 - 3),
            endpoint: endpoint.map(|e| e.parse().unwrap()),
            sums: [
                bytes(0, n),
                bytes(n, 0),
                bytes(1, 2),
                bytes(127, 128),
                bytes(n, n),
            ],
        };
        Counters {
            open: [0, -1, i64::MIN, i64::MAX],
            told: 5,
            devices: vec![
                device(3, None, 0),
                device(4, Some("192.0.2.7:51820"), 300),
                device(i64::MAX, Some("[2001:db8::1]:1"), 1 << 53),
            ],
        }
    }

    #[test]
    fn counters_read_back() {
        for c in [Counters::default(), counters()] {
            assert_eq!(Counters::decode(&c.encode()), Some(c));
        }
        assert_eq!(counters().device(4).map(|d| d.last.rx), Some(300));
        assert_eq!(counters().device(5), None);
    }

    #[test]
    fn shares_behind_shares_add_up_and_what_is_nothing_takes_no_room() {
        let some = [
            (3, bytes(10, 20)),
            (4, bytes(0, 0)),
            (900, bytes(1 << 40, 1)),
        ];
        let mut joined = shares(some.into_iter());
        assert_eq!(share_of(&joined, Some(900)), Some(bytes(1 << 40, 1)));
        joined.extend(shares([(3, bytes(1, 1))].into_iter()));
        assert_eq!(share_of(&joined, Some(3)), Some(bytes(11, 21)));
        assert_eq!(share_of(&joined, Some(4)), Some(bytes(0, 0)));
        assert_eq!(share_of(&joined, None), Some(bytes((1 << 40) + 11, 22)));
        assert!(shares([(3, bytes(0, 0))].into_iter()).is_empty());
        assert_eq!(share_of(&[], None), Some(bytes(0, 0)));
    }

    #[test]
    fn what_is_cut_off_or_changed_is_unreadable_and_never_a_panic() {
        let whole = counters().encode();
        for n in 0..whole.len() {
            assert_eq!(Counters::decode(&whole[..n]), None, "{n}");
            let mut changed = whole.clone();
            changed[n] ^= 0xff;
            let _ = Counters::decode(&changed);
        }
        let whole = shares([(3, bytes(10, 20)), (900, bytes(1, 1))].into_iter());
        for n in 1..whole.len() {
            assert_eq!(share_of(&whole[..n], None), None, "{n}");
        }
        assert_eq!(share_of(&[0xff; 40], None), None);
    }
}
