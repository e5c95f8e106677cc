//! The sockets of the embedded WireGuard.

use super::answering_socket::AnsweringSocket;
use gotatun::udp::{UdpTransportFactory, UdpTransportFactoryParams, socket::UdpSocketFactory};
use nix::sys::socket::{setsockopt, sockopt::UdpGroSegment};
use std::io;

/// Binds gotatun's sockets and switches `UDP_GRO` off, which gotatun switches on: Linux
/// then merges up to 64 packets of a sender into one before the firewall counts them
/// (udp(7), `linux/net/ipv4/udp_offload.c`), and a limit on packets would not hold.
/// `recvmmsg` still reads many at once. Answers leave from the address that was asked.
#[derive(Debug, Default)]
pub(super) struct Sockets(UdpSocketFactory);

impl UdpTransportFactory for Sockets {
    type Send = AnsweringSocket;
    type Recv = AnsweringSocket;

    async fn bind(
        &mut self,
        params: &UdpTransportFactoryParams,
    ) -> io::Result<(AnsweringSocket, AnsweringSocket)> {
        let (_, socket) = self.0.bind(params).await?;
        setsockopt(&socket, UdpGroSegment, &false)?;
        let socket = AnsweringSocket::new(socket)?;
        Ok((socket.clone(), socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;

    #[tokio::test]
    async fn packets_are_not_merged_before_they_are_counted() {
        let params = UdpTransportFactoryParams {
            addr: None,
            port: 0,
            fwmark: None,
        };
        let (_, gotatuns) = UdpSocketFactory::default().bind(&params).await.unwrap();
        assert!(getsockopt(&gotatuns, UdpGroSegment).unwrap());
        let (_, ours) = Sockets::default().bind(&params).await.unwrap();
        assert!(!getsockopt(&ours, UdpGroSegment).unwrap());
    }
}
