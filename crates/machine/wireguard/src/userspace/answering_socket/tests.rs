//! Loopback has all of 127.0.0.0/8, so a host with several addresses needs no root.

use super::*;
use gotatun::udp::{UdpTransportFactory, UdpTransportFactoryParams, socket::UdpSocketFactory};
use std::time::Duration;
use tokio::{net::UdpSocket as Client, time::timeout};

async fn server() -> (AnsweringSocket, u16) {
    let params = UdpTransportFactoryParams {
        addr: None,
        port: 0,
        fwmark: None,
    };
    let (_, socket) = UdpSocketFactory::default().bind(&params).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    (AnsweringSocket::new(socket).unwrap(), port)
}

fn packet(text: &[u8]) -> Packet {
    let mut packet = Packet::default();
    packet.buf_mut().clear();
    packet.buf_mut().extend_from_slice(text);
    packet
}

/// Asks at an address and returns from which one the answer came.
async fn answered_from(server: &mut AnsweringSocket, asked: SocketAddr) -> IpAddr {
    let local = match asked {
        SocketAddr::V4(_) => "127.0.0.1:0",
        SocketAddr::V6(_) => "[::1]:0",
    };
    let client = Client::bind(local).await.unwrap();
    client.send_to(b"asked", asked).await.unwrap();
    let mut pool = PacketBufPool::new(1);
    let mut packets = Vec::new();
    server
        .recv_many_from(&mut ReceiveBuffers::default(), &mut pool, &mut packets)
        .await
        .unwrap();
    let (received, peer) = packets.pop().unwrap();
    assert_eq!(&received[..], b"asked");
    assert_eq!(peer, client.local_addr().unwrap());
    let mut answers = vec![(packet(b"1"), peer), (packet(b"2"), peer)];
    server.send_many_to(&mut (), &mut answers).await.unwrap();
    server.send_to(packet(b"3"), peer).await.unwrap();
    let mut from = None;
    for expected in [b"1", b"2", b"3"] {
        let mut buffer = [0; 16];
        let answer = timeout(Duration::from_secs(5), client.recv_from(&mut buffer));
        let (length, sender) = answer.await.unwrap().unwrap();
        assert_eq!(&buffer[..length], expected);
        assert_eq!(sender.port(), asked.port());
        assert!(from.is_none_or(|from| from == sender.ip()));
        from = Some(sender.ip());
    }
    from.unwrap()
}

#[tokio::test]
async fn an_answer_comes_from_the_address_that_was_asked() {
    let (mut server, port) = server().await;
    for asked in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        let asked: IpAddr = asked.parse().unwrap();
        let from = answered_from(&mut server, (asked, port).into()).await;
        assert_eq!(from, asked);
    }
    if Client::bind("[::1]:0").await.is_ok() && server.inner.local_addr().unwrap().is_ipv6() {
        let asked: IpAddr = "::1".parse().unwrap();
        assert_eq!(
            answered_from(&mut server, (asked, port).into()).await,
            asked
        );
    }
}

#[tokio::test]
async fn an_address_that_the_host_has_lost_is_not_used() {
    let (server, port) = server().await;
    let client = Client::bind("127.0.0.1:0").await.unwrap();
    let peer = client.local_addr().unwrap();
    // An address of no host (RFC 5737), as after another one was assigned.
    server.asked().note(peer, "192.0.2.77".parse().unwrap());
    server.send_to(packet(b"x"), peer).await.unwrap();
    let mut buffer = [0; 16];
    let answer = timeout(Duration::from_secs(5), client.recv_from(&mut buffer));
    let (_, sender) = answer.await.unwrap().unwrap();
    assert_eq!(sender, SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(server.asked().get(&peer), None);
}

#[test]
fn forged_senders_take_no_memory_without_end() {
    let mut asked = AskedAddresses::default();
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let peer = |n: u32| SocketAddr::from((Ipv4Addr::from(n), 1));
    let device = peer(0);
    for n in 1..10_000 {
        asked.note(peer(n), address);
        if n % 500 == 0 {
            asked.note(device, address);
        }
    }
    assert_eq!(asked.get(&device), Some(address), "a device that sends");
    assert_eq!(asked.get(&peer(1)), None);
    assert!(asked.recent.len() + asked.before.len() <= 2 * PEERS);
}
