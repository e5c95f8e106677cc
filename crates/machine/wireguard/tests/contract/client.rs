//! A real WireGuard client: gotatun without a TUN, in the server's own network
//! namespace. Instead of a TUN it has a pair of channels, so that a test can send any
//! packet through the tunnel, including one that an honest device would not send.

use async_trait::async_trait;
use gotatun::{
    device::{Device, DeviceBuilder, Peer},
    packet::{Ip, Packet, PacketBufPool},
    tun::{IpRecv, IpSend, MtuWatcher},
    udp::socket::UdpSocketFactory,
    x25519,
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};
use testkit::wireguard_contract::{Client, ClientSetup};
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, timeout},
};

pub struct TunnelClient {
    device: Device<(UdpSocketFactory, Received, Outgoing)>,
    inside: mpsc::Sender<Vec<u8>>,
    answers: Mutex<mpsc::Receiver<Vec<u8>>>,
}

/// The packets that arrived through the tunnel.
struct Received(mpsc::Sender<Vec<u8>>);

/// The packets to send through the tunnel.
struct Outgoing(mpsc::Receiver<Vec<u8>>);

impl IpSend for Received {
    async fn send(&mut self, packet: Packet<Ip>) -> io::Result<()> {
        let bytes = packet.into_bytes();
        // A packet that no test is waiting for is dropped.
        let _ = self.0.try_send(bytes.to_vec());
        Ok(())
    }
}

impl IpRecv for Outgoing {
    async fn recv<'a>(
        &'a mut self,
        _: &mut PacketBufPool,
    ) -> io::Result<impl Iterator<Item = Packet<Ip>> + Send + 'a> {
        let Some(bytes) = self.0.recv().await else {
            return std::future::pending().await;
        };
        let packet = Packet::copy_from(&bytes[..]).try_into_ip();
        Ok(packet.ok().into_iter())
    }

    fn mtu(&self) -> MtuWatcher {
        MtuWatcher::new(1420)
    }
}

/// The id of the next ping. Each has another, so that a late answer is not mistaken
/// for that to another ping.
static NEXT_PING: AtomicU16 = AtomicU16::new(1);

impl TunnelClient {
    pub async fn new(setup: ClientSetup) -> Self {
        let (received, answers) = mpsc::channel(256);
        let (inside, outgoing) = mpsc::channel(256);
        let server = Peer::new(x25519::PublicKey::from(*setup.server.as_bytes()))
            .with_preshared_key(*setup.preshared_key.as_bytes())
            .with_endpoint(setup.endpoint)
            .with_allowed_ip("0.0.0.0/0".parse().expect("a network"));
        let key = x25519::StaticSecret::from(*setup.private_key.as_bytes());
        let device = DeviceBuilder::new()
            .with_default_udp()
            .with_ip_pair(Received(received), Outgoing(outgoing))
            .with_private_key(key)
            .with_peer(server)
            .build()
            .await
            .expect("a client");
        Self {
            device,
            inside,
            answers: Mutex::new(answers),
        }
    }
}

#[async_trait]
impl Client for TunnelClient {
    async fn ping(&self, from: Ipv4Addr, to: Ipv4Addr, wait: Duration) -> bool {
        let id = NEXT_PING.fetch_add(1, Ordering::Relaxed);
        let end = Instant::now() + wait;
        let mut answers = self.answers.lock().await;
        while Instant::now() < end {
            let request = echo_request(from, to, id);
            self.inside.send(request).await.expect("the tunnel");
            let again = Instant::now() + Duration::from_millis(300);
            while let Ok(Some(packet)) =
                timeout(again.min(end) - Instant::now(), answers.recv()).await
            {
                if is_reply(&packet, from, to, id) {
                    return true;
                }
            }
        }
        false
    }

    async fn handshake_age(&self) -> Option<Duration> {
        let peers = self.device.peers().await;
        peers.first()?.stats.last_handshake
    }
}

/// Returns an ICMP echo request (RFC 792) in IPv4 (RFC 791).
fn echo_request(from: Ipv4Addr, to: Ipv4Addr, id: u16) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0];
    icmp.extend(id.to_be_bytes());
    icmp.extend([0, 1]);
    icmp.extend(*b"maliknode contract test.");
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());

    let length = 20 + icmp.len() as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 1, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(icmp);
    packet
}

fn is_reply(packet: &[u8], from: Ipv4Addr, to: Ipv4Addr, id: u16) -> bool {
    let address = |at: usize| {
        let octets: Option<[u8; 4]> = packet.get(at..at + 4).and_then(|b| b.try_into().ok());
        octets.map(|o| IpAddr::V4(o.into()))
    };
    packet.first() == Some(&0x45)
        && packet.get(9) == Some(&1)
        && address(12) == Some(to.into())
        && address(16) == Some(from.into())
        && packet.get(20) == Some(&0)
        && packet.get(24..26) == Some(&id.to_be_bytes()[..])
}

/// Computes the internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|c| {
        let low = c.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([c[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
