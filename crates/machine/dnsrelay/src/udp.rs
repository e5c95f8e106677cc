//! Questions by UDP: each is asked once more from a socket of its own, so that an answer can
//! only be its own.

use crate::{
    answer,
    device::{DNS, DeviceOf},
    places::TenantPlaces,
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::UdpSocket, time::timeout};

/// The longest message by UDP that is passed on, in bytes: what AdGuard Home answers at most
/// (RFC 6891, 6.2.5, recommends 4,096).
const LONGEST: usize = 4096;
/// How long an answer is waited for. AdGuard Home gives up a resolver after 5 s and asks a
/// second one.
const ANSWER: Duration = Duration::from_secs(11);

/// Passes questions on until the socket fails.
pub(crate) async fn serve(
    socket: UdpSocket,
    device: &DeviceOf,
    places: TenantPlaces,
) -> io::Result<()> {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; LONGEST];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // A device that an answer did not reach.
            Err(e) if is_of_a_device(&e) => continue,
            Err(e) => return Err(e),
        };
        let IpAddr::V6(address) = from.ip() else {
            continue;
        };
        let Some(to) = device(address) else {
            continue;
        };
        let question = buffer[..length].to_vec();
        match places.take(to) {
            None => reply(&socket, answer::refusal(&question), from).await,
            Some(place) => {
                let socket = socket.clone();
                tokio::spawn(async move {
                    let answer = match timeout(ANSWER, ask(&question, to)).await {
                        Ok(Ok(answer)) => Some(answer),
                        _ => answer::refusal(&question),
                    };
                    reply(&socket, answer, from).await;
                    drop(place);
                });
            }
        }
    }
}

/// Returns whether an error is about a datagram sent before (`ip(7)`, `IPV6_RECVERR`) and not
/// about the socket.
fn is_of_a_device(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, PermissionDenied};
    matches!(
        error.kind(),
        ConnectionRefused | HostUnreachable | NetworkUnreachable | PermissionDenied
    )
}

async fn ask(question: &[u8], to: Ipv4Addr) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect((to, DNS)).await?;
    socket.send(question).await?;
    let mut answer = vec![0; LONGEST];
    let length = socket.recv(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

/// Answers a device. One that has gone away asks again.
async fn reply(socket: &UdpSocket, answer: Option<Vec<u8>>, to: SocketAddr) {
    if let Some(answer) = answer {
        let _ = socket.send_to(&answer, to).await;
    }
}
