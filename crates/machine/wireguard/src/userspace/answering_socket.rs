//! A UDP socket that answers from the address at which it was asked, as the kernel's
//! WireGuard does. On a host with more than one address, the kernel otherwise chooses the
//! address of the route to the peer, and a NAT or a firewall in front of the peer drops
//! answers from an address that was not asked (`IP_PKTINFO` in ip(7), RFC 3542).

use gotatun::{
    packet::{Packet, PacketBufPool},
    udp::{UdpRecv, UdpSend, socket::UdpSocket},
};
use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage,
        recvmmsg, sendmmsg, setsockopt, sockopt,
    },
};
use std::{
    collections::HashMap,
    io::{self, IoSlice, IoSliceMut},
    mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::io::Interest;

/// The number of packets of one call, as gotatun's own socket has it.
const BATCH: usize = 100;
/// The longest datagram, in bytes.
const LONGEST: usize = 65_536;
/// The number of peers that are remembered, at least. A tenant has 253 devices; whatever
/// more there is was sent from forged addresses, and must not take memory without end.
const PEERS: usize = 1_024;

/// The socket. Clones share it.
#[derive(Clone)]
pub(super) struct AnsweringSocket {
    inner: UdpSocket,
    asked: Arc<Mutex<AskedAddresses>>,
}

/// The address of this host at which each peer has asked last. The peers of the present
/// are remembered, and those of the time in which as many had asked before.
#[derive(Debug, Default)]
struct AskedAddresses {
    recent: HashMap<SocketAddr, IpAddr>,
    before: HashMap<SocketAddr, IpAddr>,
}

impl AskedAddresses {
    fn note(&mut self, peer: SocketAddr, asked: IpAddr) {
        if self.recent.get(&peer) == Some(&asked) {
            return;
        }
        if self.recent.len() >= PEERS {
            self.before = mem::take(&mut self.recent);
        }
        self.recent.insert(peer, asked);
    }

    fn get(&self, peer: &SocketAddr) -> Option<IpAddr> {
        let found = self.recent.get(peer).or_else(|| self.before.get(peer));
        found.copied()
    }

    fn forget(&mut self, peer: &SocketAddr) {
        self.recent.remove(peer);
        self.before.remove(peer);
    }
}

impl AnsweringSocket {
    /// Makes a bound socket tell at which address each packet arrives.
    ///
    /// # Errors
    /// The kernel refuses the option.
    pub(super) fn new(inner: UdpSocket) -> io::Result<Self> {
        setsockopt(&inner, sockopt::Ipv4PacketInfo, &true)?;
        if inner.local_addr()?.is_ipv6() {
            setsockopt(&inner, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self {
            inner,
            asked: Arc::default(),
        })
    }

    fn asked(&self) -> MutexGuard<'_, AskedAddresses> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends packets from one address; returns how many were sent, one at least.
    async fn send_from(
        &self,
        source: Option<IpAddr>,
        packets: &[(Packet, SocketAddr)],
    ) -> io::Result<usize> {
        let targets: Vec<Option<SockaddrStorage>> = packets
            .iter()
            .map(|(_, target)| Some(SockaddrStorage::from(*target)))
            .collect();
        let slices: Vec<[IoSlice<'_>; 1]> = packets
            .iter()
            .map(|(packet, _)| [IoSlice::new(&packet[..])])
            .collect();
        let socket = self.inner.socket();
        let fd = socket.as_raw_fd();
        let send = || {
            let (v4, v6);
            let (control, space) = match source {
                None => (None, None),
                Some(IpAddr::V4(address)) => {
                    v4 = v4_source(address);
                    let space = cmsg_space!(libc::in_pktinfo);
                    (Some(ControlMessage::Ipv4PacketInfo(&v4)), Some(space))
                }
                Some(IpAddr::V6(address)) => {
                    v6 = v6_source(address);
                    let space = cmsg_space!(libc::in6_pktinfo);
                    (Some(ControlMessage::Ipv6PacketInfo(&v6)), Some(space))
                }
            };
            let mut headers = MultiHeaders::preallocate(slices.len(), space);
            let control = control.as_slice();
            let flags = MsgFlags::MSG_DONTWAIT;
            let sent = sendmmsg(fd, &mut headers, &slices, &targets, control, flags)?;
            Ok(sent.count())
        };
        socket.async_io(Interest::WRITABLE, send).await
    }

    /// Sends packets whose peers have asked at the same address. An address that this host
    /// no longer has is forgotten, and the kernel chooses.
    async fn answer(
        &self,
        source: Option<IpAddr>,
        mut packets: &[(Packet, SocketAddr)],
    ) -> io::Result<()> {
        let mut source = source;
        while let Some((_, peer)) = packets.first() {
            match self.send_from(source, packets).await {
                Ok(sent) => packets = packets.get(sent..).unwrap_or_default(),
                Err(_) if source.is_some() => {
                    self.asked().forget(peer);
                    source = None;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl AsFd for AnsweringSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl UdpSend for AnsweringSocket {
    type SendManyBuf = ();

    async fn send_to(&self, packet: Packet, target: SocketAddr) -> io::Result<()> {
        let source = self.asked().get(&target);
        self.answer(source, &[(packet, target)]).await
    }

    async fn send_many_to(
        &self,
        (): &mut (),
        packets: &mut Vec<(Packet, SocketAddr)>,
    ) -> io::Result<()> {
        let sources: Vec<Option<IpAddr>> = {
            let asked = self.asked();
            packets.iter().map(|(_, peer)| asked.get(peer)).collect()
        };
        let mut rest = &packets[..];
        for run in sources.chunk_by(|a, b| a == b) {
            let (now, later) = rest.split_at(run.len());
            self.answer(run.first().copied().flatten(), now).await?;
            rest = later;
        }
        packets.clear();
        Ok(())
    }

    fn max_number_of_packets_to_send(&self) -> usize {
        BATCH
    }

    fn local_addr(&self) -> io::Result<Option<SocketAddr>> {
        self.inner.local_addr().map(Some)
    }

    fn set_fwmark(&self, mark: u32) -> io::Result<()> {
        UdpSend::set_fwmark(&self.inner, mark)
    }
}

/// The memory for one call; the kernel gives pages of it once they are written.
pub(super) struct ReceiveBuffers(Box<[Vec<u8>]>);

impl Default for ReceiveBuffers {
    fn default() -> Self {
        Self((0..BATCH).map(|_| vec![0; LONGEST]).collect())
    }
}

impl UdpRecv for AnsweringSocket {
    type RecvManyBuf = ReceiveBuffers;

    async fn recv_from(&mut self, pool: &mut PacketBufPool) -> io::Result<(Packet, SocketAddr)> {
        let mut buffers = ReceiveBuffers(vec![vec![0; LONGEST]].into());
        let mut packets = Vec::new();
        loop {
            self.recv_many_from(&mut buffers, pool, &mut packets)
                .await?;
            if let Some(packet) = packets.pop() {
                return Ok(packet);
            }
        }
    }

    async fn recv_many_from(
        &mut self,
        buffers: &mut ReceiveBuffers,
        pool: &mut PacketBufPool,
        packets: &mut Vec<(Packet, SocketAddr)>,
    ) -> io::Result<()> {
        let socket = self.inner.socket();
        let fd = socket.as_raw_fd();
        let receive = || {
            let space = cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
            let mut headers =
                MultiHeaders::<SockaddrStorage>::preallocate(buffers.0.len(), Some(space));
            let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers
                .0
                .iter_mut()
                .map(|buffer| [IoSliceMut::new(buffer)])
                .collect();
            let flags = MsgFlags::MSG_DONTWAIT;
            let mut asked = self.asked();
            for message in recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None)? {
                let bytes = message.iovs().next().and_then(|b| b.get(..message.bytes));
                let (Some(peer), Some(bytes)) = (peer(&message), bytes) else {
                    continue;
                };
                if let Some(address) = asked_address(&message) {
                    asked.note(peer, address);
                }
                let mut packet = pool.get();
                packet.buf_mut().clear();
                packet.buf_mut().extend_from_slice(bytes);
                packets.push((packet, peer));
            }
            Ok(())
        };
        socket.async_io(Interest::READABLE, receive).await
    }
}

/// Returns who sent it. A socket for both families has IPv4 addresses mapped.
fn peer(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<SocketAddr> {
    let address = message.address.as_ref()?;
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from(*v4));
    }
    let mut peer = SocketAddr::from(*address.as_sockaddr_in6()?);
    peer.set_ip(peer.ip().to_canonical());
    Some(peer)
}

/// Returns the address of this host at which it arrived; `None` where answers cannot be
/// sent from it by its number alone.
fn asked_address(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    let mut control = message.cmsgs().ok()?;
    control.find_map(|c| match c {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let address = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
            (!address.is_unspecified()).then_some(IpAddr::V4(address))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            // A mapped one is told by the other message, too.
            let is_usable = address.to_ipv4_mapped().is_none()
                && !address.is_multicast()
                && !address.is_unicast_link_local();
            is_usable.then_some(IpAddr::V6(address))
        }
        _ => None,
    })
}

/// Returns what makes IPv4 packets leave from an address, by whatever link.
fn v4_source(address: Ipv4Addr) -> libc::in_pktinfo {
    let number = |address: Ipv4Addr| libc::in_addr {
        s_addr: u32::from_ne_bytes(address.octets()),
    };
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: number(address),
        ipi_addr: number(Ipv4Addr::UNSPECIFIED),
    }
}

/// Returns what makes IPv6 packets leave from an address, by whatever link.
fn v6_source(address: Ipv6Addr) -> libc::in6_pktinfo {
    libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: address.octets(),
        },
        ipi6_ifindex: 0,
    }
}

#[cfg(test)]
mod tests;
