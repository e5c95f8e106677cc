//! DNS at the tunnels' gateways by IPv6. AdGuard Homes have IPv4 alone, and know a device by
//! its IPv4 address; so a question that comes by IPv6 is asked once more by IPv4, as the
//! device's own.
//!
//! The firewall does what needs the kernel (`firewall`, `chains.rs` and `chains6.rs`):
//! - what a device sends to port 53 of its gateway by IPv6, or a locked device to any
//!   address, is redirected to [`DNS_RELAY_PORT`](domain::marks::DNS_RELAY_PORT) of this host;
//! - what this host sends from a gateway to port 53 of a device's IPv4 address goes to the
//!   tenant's resolver instead (its AdGuard Home, or the fallback), with the device's address
//!   as its source.
//!
//! So the relay knows neither tenants nor containers: it asks the device's own address. While
//! it does not run, the kernel refuses such questions at once, and devices use IPv4.

mod answer;
mod device;
mod places;
mod sockets;
mod tcp;
mod udp;

use device::DeviceOf;
use places::TenantPlaces;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

/// The least time between two attempts to listen.
const RETRY: Duration = Duration::from_secs(10);
/// How many questions by UDP may wait for their answers, of one tenant and of all.
const QUESTIONS: (usize, usize) = (64, 1024);
/// How many connections there may be, of one tenant and of all.
const CONNECTIONS: (usize, usize) = (16, 256);

/// Answers until the future is dropped. `device` returns the IPv4 address of the device with
/// this IPv6 address, if there is one; other senders get no answer. Where the port is taken,
/// it is tried again.
pub async fn run(device: impl Fn(Ipv6Addr) -> Option<Ipv4Addr> + Send + Sync + 'static) {
    let device: DeviceOf = Arc::new(device);
    let mut is_reported = false;
    loop {
        if let Err(error) = serve(&device).await
            && !std::mem::replace(&mut is_reported, true)
        {
            tracing::warn!(%error, "DNS does not answer by IPv6 at the tunnels' gateways; devices use IPv4");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Answers until a socket fails.
async fn serve(device: &DeviceOf) -> io::Result<()> {
    let (udp, tcp) = (sockets::udp()?, sockets::tcp()?);
    tokio::select! {
        ended = udp::serve(udp, device, TenantPlaces::new(QUESTIONS)) => ended,
        ended = tcp::serve(tcp, device, TenantPlaces::new(CONNECTIONS)) => ended,
    }
}
