//! The sockets on which the relay is asked: of IPv6 alone, so that the port stays closed to
//! IPv4 whatever the host's default is (`net.ipv6.bindv6only`).

use domain::marks::DNS_RELAY_PORT;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn6, bind, listen, setsockopt, socket,
    sockopt,
};
use std::{
    io,
    net::{Ipv6Addr, SocketAddrV6},
    os::fd::{AsRawFd, OwnedFd},
};
use tokio::net::{TcpListener, UdpSocket};

/// How many connections may wait until they are accepted.
const BACKLOG: i32 = 256;

/// Opens the socket of UDP.
pub(crate) fn udp() -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::from(bound(SockType::Datagram)?);
    UdpSocket::from_std(socket)
}

/// Opens the socket of TCP.
pub(crate) fn tcp() -> io::Result<TcpListener> {
    let socket = bound(SockType::Stream)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    TcpListener::from_std(std::net::TcpListener::from(socket))
}

fn bound(kind: SockType) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet6, kind, flags, None)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    // The next process of an upgrade listens at once. Of UDP, it would share the questions.
    if kind == SockType::Stream {
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    }
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, DNS_RELAY_PORT, 0, 0);
    bind(socket.as_raw_fd(), &SockaddrIn6::from(any))?;
    Ok(socket)
}
