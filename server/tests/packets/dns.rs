//! A minimal DNS client and server (RFC 1035): one A question, and an upstream
//! that answers each of them with the same address.

use super::netns::{self, PATIENCE};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

/// The answer to an A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Address(Ipv4Addr),
    /// An answer without an address, with its response code.
    Empty(u8),
    /// No answer.
    Timeout,
}

fn question(name: &str) -> Vec<u8> {
    let mut q = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        q.push(u8::try_from(label.len()).expect("a label is short"));
        q.extend(label.as_bytes());
    }
    q.extend([0, 0, 1, 0, 1]);
    q
}

fn read_answer(a: &[u8]) -> Answer {
    if a.len() < 12 {
        return Answer::Timeout;
    }
    let code = a[3] & 0x0f;
    // The first A record: type 1, class 1, any TTL, length 4.
    let found = a[12..]
        .windows(14)
        .find(|w| w[..4] == [0, 1, 0, 1] && w[8..10] == [0, 4]);
    found.map_or(Answer::Empty(code), |w| {
        Answer::Address(Ipv4Addr::new(w[10], w[11], w[12], w[13]))
    })
}

/// Asks over UDP from a namespace, up to three times.
pub fn ask_udp(namespace: &str, server: Ipv4Addr, name: &str) -> Answer {
    let attempts = (0..3).map(|_| ask_once(namespace, server, name, PATIENCE));
    let mut answers = attempts.skip_while(|a| *a == Answer::Timeout);
    answers.next().unwrap_or(Answer::Timeout)
}

/// Asks over UDP from a namespace once, with a new source port.
pub fn ask_once(namespace: &str, server: Ipv4Addr, name: &str, patience: Duration) -> Answer {
    let name = name.to_owned();
    netns::inside(namespace, move || {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket
            .set_read_timeout(Some(patience))
            .expect("a time-out can be set");
        let mut buffer = [0; 1500];
        if socket.send_to(&question(&name), (server, 53)).is_ok()
            && let Ok((n, _)) = socket.recv_from(&mut buffer)
        {
            return read_answer(&buffer[..n]);
        }
        Answer::Timeout
    })
}

/// Sends a question and does not wait for its answer.
pub fn send_question(socket: &UdpSocket, server: Ipv4Addr, name: &str) {
    let sent = socket.send_to(&question(name), (server, 53));
    sent.expect("it is sent");
}

/// Asks over TCP from a namespace.
pub fn ask_tcp(namespace: &str, server: Ipv4Addr, name: &str) -> Answer {
    let name = name.to_owned();
    netns::inside(namespace, move || {
        let to = SocketAddr::from((server, 53));
        let Ok(mut stream) = TcpStream::connect_timeout(&to, PATIENCE) else {
            return Answer::Timeout;
        };
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
        let q = question(&name);
        let mut framed = u16::try_from(q.len())
            .expect("a question is short")
            .to_be_bytes()
            .to_vec();
        framed.extend(q);
        let mut length = [0; 2];
        if stream.write_all(&framed).is_err() || stream.read_exact(&mut length).is_err() {
            return Answer::Timeout;
        }
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream
            .read_exact(&mut answer)
            .map_or(Answer::Timeout, |()| read_answer(&answer))
    })
}

/// Names that begin so have an address of IPv6 too, [`DUAL_ADDRESS`].
pub const DUAL: &str = "dual";
/// That address, the bed's `MALIKNODE_BED_INTERNET6`.
pub const DUAL_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x80);

fn respond(q: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    // The question ends with the root label, the type and the class.
    let end = 12 + q.get(12..)?.iter().position(|b| *b == 0)? + 5;
    let mut a = q.get(..end)?.to_vec();
    let is_a = a[end - 4..end] == [0, 1, 0, 1];
    let is_aaaa = a[end - 4..end] == [0, 28, 0, 1] && a[13..].starts_with(DUAL.as_bytes());
    (a[2], a[3]) = (0x81, 0x80);
    (a[6], a[7]) = (0, u8::from(is_a || is_aaaa));
    a[8..12].fill(0);
    if is_a {
        a.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        a.extend(address.octets());
    }
    if is_aaaa {
        a.extend([0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16]);
        a.extend(DUAL_ADDRESS.octets());
    }
    Some(a)
}

/// Serves DNS in a namespace over UDP and TCP until the process ends.
pub fn upstream(namespace: &str, at: Ipv4Addr, answer: Ipv4Addr) {
    netns::inside(namespace, move || {
        let udp = UdpSocket::bind((at, 53)).expect("port 53 is free in the namespace");
        let tcp = TcpListener::bind((at, 53)).expect("port 53 is free in the namespace");
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((n, from)) = udp.recv_from(&mut buffer) {
                if let Some(a) = respond(&buffer[..n], answer) {
                    let _ = udp.send_to(&a, from);
                }
            }
        });
        thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    continue;
                }
                let mut q = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut q).is_ok()
                    && let Some(a) = respond(&q, answer)
                {
                    let mut framed = u16::try_from(a.len()).unwrap_or(0).to_be_bytes().to_vec();
                    framed.extend(a);
                    let _ = stream.write_all(&framed);
                }
            }
        });
    });
}
