//! The binary format of traffic in the database. Numbers have seven bits per byte
//! (LEB128), because most are small; sorted ids are stored as differences.
//!
//! The *shares* of a bucket are the bytes of each device. Two encoded shares that
//! are concatenated are valid shares again, with the sum of both. So a bucket can
//! be written twice without reading it: the database concatenates.
//!
//! The *counters* of a tenant are the state with which a reading is compared.

use std::net::{IpAddr, SocketAddr};

/// The first byte of counters. Another value belongs to another version.
const VERSION: u8 = 1;
/// The number of sums per device: a minute, a quarter of an hour, an hour, a day,
/// and the traffic not yet in `bandwidth_stats`.
pub(crate) const SUM_COUNT: usize = 5;
/// The index of the last of them.
pub(crate) const UNREPORTED: usize = SUM_COUNT - 1;

/// Bytes received from a device and sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub rx: u64,
    pub tx: u64,
}

impl Traffic {
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    pub fn add(&mut self, other: Self) {
        self.rx = self.rx.saturating_add(other.rx);
        self.tx = self.tx.saturating_add(other.tx);
    }
}

/// The counters of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceCounters {
    /// The id in `peers`.
    pub id: i64,
    /// The latest reading of the interface's counters.
    pub last: Traffic,
    pub total: Traffic,
    /// The latest handshake in milliseconds since 1970; never 0.
    pub handshake: Option<i64>,
    pub endpoint: Option<SocketAddr>,
    pub sums: [Traffic; SUM_COUNT],
}

/// The counters of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TenantCounters {
    /// When the buckets of the first four sums began.
    pub open: [i64; UNREPORTED],
    /// When `bandwidth_stats` last got rows of this tenant.
    pub reported_at: i64,
    /// The devices, ordered by id.
    pub devices: Vec<DeviceCounters>,
}

impl TenantCounters {
    pub fn device(&self, id: i64) -> Option<&DeviceCounters> {
        let index = self.devices.binary_search_by_key(&id, |d| d.id).ok()?;
        self.devices.get(index)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 64 * self.devices.len());
        out.push(VERSION);
        for n in self.open {
            put_signed(&mut out, n);
        }
        put_signed(&mut out, self.reported_at);
        put_number(&mut out, self.devices.len() as u64);
        let mut previous = 0;
        for d in &self.devices {
            put_signed(&mut out, d.id.wrapping_sub(previous));
            previous = d.id;
            for b in [d.last, d.total].iter().chain(&d.sums) {
                put_number(&mut out, b.rx);
                put_number(&mut out, b.tx);
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

    /// Returns `None` for bytes that [`encode`](Self::encode) does not produce.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        if from.byte()? != VERSION {
            return None;
        }
        let mut counters = Self::default();
        for n in &mut counters.open {
            *n = from.signed()?;
        }
        counters.reported_at = from.signed()?;
        let count = from.number()?;
        let mut previous = 0_i64;
        for _ in 0..count {
            let mut d = DeviceCounters {
                id: previous.wrapping_add(from.signed()?),
                last: from.pair()?,
                total: from.pair()?,
                ..DeviceCounters::default()
            };
            previous = d.id;
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

/// Encodes the shares of devices, which are ordered by id. Devices without
/// traffic are omitted; without any traffic the result is empty.
pub(crate) fn encode_shares(devices: impl Iterator<Item = (i64, Traffic)>) -> Vec<u8> {
    let (mut out, mut count, mut previous) = (Vec::new(), 0_u64, 0);
    for (id, traffic) in devices.filter(|(_, b)| !b.is_zero()) {
        put_signed(&mut out, id.wrapping_sub(previous));
        put_number(&mut out, traffic.rx);
        put_number(&mut out, traffic.tx);
        previous = id;
        count += 1;
    }
    if count > 0 {
        let mut head = Vec::with_capacity(out.len() + 2);
        put_number(&mut head, count);
        head.append(&mut out);
        return head;
    }
    out
}

/// Sums the shares of one device or of all. Returns `None` if they are
/// unreadable.
pub(crate) fn sum_shares(bytes: &[u8], device: Option<i64>) -> Option<Traffic> {
    let (mut from, mut sum) = (Reader(bytes), Traffic::default());
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

fn put_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Encodes small numbers of either sign in few bytes (zigzag).
fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_number(out, ((n << 1) ^ (n >> 63)) as u64);
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

    fn pair(&mut self) -> Option<Traffic> {
        Some(Traffic {
            rx: self.number()?,
            tx: self.number()?,
        })
    }
}

#[cfg(test)]
mod tests;
