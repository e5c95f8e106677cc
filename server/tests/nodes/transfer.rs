//! Data through a tunnel, and how many bytes were counted of them.

use crate::{cluster::Cluster, machine::Machine, netns, stack::Device};
use std::{
    io::Read,
    net::TcpStream,
    sync::Once,
    thread,
    time::{Duration, Instant},
};

/// The port outside from which a device downloads.
pub const BULK: u16 = 7_400;

/// Serves data without end at [`BULK`], from the first call on.
pub fn serve() {
    static SERVED: Once = Once::new();
    SERVED.call_once(|| netns::serve_bulk(&netns::var("MALIKNODE_BED_WAN"), BULK));
}

/// Reads so many bytes of a stream, or until it ends, at some 3 MB a second, and returns
/// how many it read.
pub fn read_slowly(stream: TcpStream, bytes: u64) -> u64 {
    const PER_SECOND: u64 = 3_000_000;
    read(stream, bytes, |total| {
        Duration::from_millis(total * 1_000 / PER_SECOND)
    })
}

/// Reads so many bytes of a stream, or until it ends, and returns how many it read.
pub fn read_fast(stream: TcpStream, bytes: u64) -> u64 {
    read(stream, bytes, |_| Duration::ZERO)
}

fn read(mut stream: TcpStream, bytes: u64, earliest: impl Fn(u64) -> Duration) -> u64 {
    let begun = Instant::now();
    let (mut total, mut buffer) = (0, vec![0; 16_384]);
    while total < bytes
        && let Ok(n) = stream.read(&mut buffer)
        && n > 0
    {
        total += n as u64;
        thread::sleep(earliest(total).saturating_sub(begun.elapsed()));
    }
    total
}

/// Returns the bytes that a device's WireGuard has sent and received.
pub fn seen_by(device: &Device) -> u64 {
    let shown = netns::run(
        &device.namespace,
        &["wg", "show", &device.interface, "transfer"],
    );
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let numbers = text.split_whitespace().skip(1);
    numbers.map(|n| n.parse::<u64>().expect("a number")).sum()
}

/// Returns the fewest and the most bytes that WireGuard has sent and received at the
/// worker's end of a tenant's tunnel: those inside, and for each packet a header and a tag
/// of 32 bytes and up to 15 bytes of padding. What is lost on the way to a device counts.
pub fn passed(machine: &Machine, slot: u16) -> (u64, u64) {
    let counters = ["rx_bytes", "tx_bytes", "rx_packets", "tx_packets"];
    let path = |c: &str| format!("/sys/class/net/wg{slot}/statistics/{c}");
    let paths = counters.map(path);
    let cat: Vec<&str> = std::iter::once("cat")
        .chain(paths.iter().map(String::as_str))
        .collect();
    let text = machine.run(&cat);
    let numbers = text.split_whitespace().map(|n| n.parse::<u64>());
    let numbers: Vec<u64> = numbers.map(|n| n.expect("a number")).collect();
    let (bytes, packets) = (numbers[0] + numbers[1], numbers[2] + numbers[3]);
    (bytes + packets * 32, bytes + packets * 47)
}

/// Returns whether what is counted is what has passed, within 2 %: handshakes count, and
/// the two are not read at the same moment.
pub fn is_all_of(counted: u64, (least, most): (u64, u64)) -> bool {
    counted * 100 >= least * 98 && counted * 100 <= most * 102
}

/// Returns the bytes of the month that are counted of a tenant.
pub fn counted(cluster: &Cluster, tenant: &str) -> u64 {
    let sql = format!(
        "SELECT coalesce(sum(period_bytes), 0) FROM tenant_traffic \
         JOIN users ON users.id = user_id WHERE username = '{tenant}'"
    );
    cluster.query(&sql).trim().parse().expect("a number")
}
