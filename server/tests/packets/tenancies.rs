//! Slots and addresses that are given again: what a server outside sends to their
//! former user does not reach the next one.

use crate::{
    exclusive_bed, host, internet,
    netns::{self, at, inside},
    raw,
    stack::{Device, ServerOptions, Stack, eventually},
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

/// The port of the server outside.
const OUTSIDE: u16 = 7_200;

/// A server outside that a device has spoken to.
struct Outside {
    socket: UdpSocket,
    device: SocketAddr,
}

impl Outside {
    /// Lets a device send a datagram from a port, which the server answers for good.
    fn met_by(device: &Device, port: u16) -> Self {
        let socket = inside(&netns::var("MALIKNODE_BED_WAN"), move || {
            UdpSocket::bind((internet(), OUTSIDE)).expect("the port is free")
        });
        let patience = Duration::from_secs(2);
        socket.set_read_timeout(Some(patience)).expect("a time-out");
        inside(&device.namespace, move || {
            let socket = UdpSocket::bind(("0.0.0.0", port)).expect("the port is free");
            let to = at(internet(), OUTSIDE);
            socket.send_to(b"hello", to).expect("it is sent");
        });
        let (_, device) = socket.recv_from(&mut [0; 16]).expect("it arrives");
        assert_eq!(device.ip(), host());
        Self { socket, device }
    }

    /// Returns how many of ten datagrams reach this device.
    fn reaches(&self, device: &Device) -> u64 {
        raw::forget_counters(&device.namespace);
        let packets = format!("udp sport {OUTSIDE}");
        raw::count(&device.namespace, "outside", &packets);
        for _ in 0..10 {
            let sent = self.socket.send_to(b"for the former", self.device);
            sent.expect("it is sent");
        }
        std::thread::sleep(Duration::from_millis(300));
        let arrived = raw::counted(&device.namespace, "outside");
        raw::forget_counters(&device.namespace);
        arrived
    }
}

/// Returns whether the host remembers a connection of an address.
fn is_remembered(address: Ipv4Addr) -> bool {
    let table = fs::read_to_string("/proc/thread-self/net/nf_conntrack").expect("the table");
    let source = format!("src={address} ");
    table.lines().any(|l| l.contains(&source))
}

#[test]
fn nobody_gets_the_packets_of_a_former_tenant_or_device() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("tenancies"));
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let keeps = stack.add_device(&mut alice, "c1", "Phone", "everything", false);
    let stays = Outside::met_by(&keeps, 41_000);
    assert_eq!(stays.reaches(&keeps), 10);
    drop(stays);

    // A device of the same tenant, with the address of one that was removed.
    let removed = stack.add_device(&mut alice, "c2", "Laptop", "everything", false);
    let outside = Outside::met_by(&removed, 40_000);
    assert_eq!(outside.reaches(&removed), 10, "while it is there");
    let page = alice.post("/do/delete_device", &[("id", &removed.id)]);
    assert_eq!(page.status, 200, "{}", page.body);
    removed.disconnect();
    let last = u32::from(removed.address) & 0xff;
    stack.execute(&format!(
        "update users set last_host = {} where username = 'alice'",
        last - 1
    ));
    let next = stack.add_device(&mut alice, "c2", "Tablet", "everything", false);
    assert_eq!(next.address, removed.address, "the same address");
    assert_eq!(outside.reaches(&next), 0, "a removed device's packets");
    drop(outside);

    // A tenant with the slot of one that was deleted.
    let mut bob = stack.sign_up("bobby");
    let former = stack.add_device(&mut bob, "c3", "Phone", "everything", false);
    let outside = Outside::met_by(&former, 40_000);
    assert_eq!(outside.reaches(&former), 10, "while the tenant is there");
    let (_, slot) = stack.id_and_slot("bobby");
    let page = bob.post("/do/delete_account", &[("name", "bobby")]);
    assert!(page.status < 500, "{}", page.body);
    former.disconnect();
    stack.execute(&format!("update nodes set last_slot = {}", slot - 1));
    let mut carol = stack.sign_up("carol");
    assert_eq!(stack.id_and_slot("carol").1, slot, "the same slot");
    let next = stack.add_device(&mut carol, "c3", "Phone", "everything", false);
    assert_eq!(next.address, former.address, "the same address");
    assert_eq!(outside.reaches(&next), 0, "a deleted tenant's packets");
    // The new tenant's own connections work, and another one's were not touched.
    drop(outside);
    let own = Outside::met_by(&next, 40_000);
    assert_eq!(own.reaches(&next), 10);
    drop(own);
    assert!(is_remembered(keeps.address), "a neighbour's connections");

    // Suspending ends them as well.
    let (id, _) = stack.id_and_slot("carol");
    let mut panel = crate::stack::operator(&stack);
    let url = "http://admin.localhost:8085/do/suspend_tenant";
    let page = panel.post(url, &[("id", &id), ("suspended", "true")]);
    assert_eq!(page.status, 200, "{}", page.body);
    eventually("a suspended tenant's connections are ended", || {
        !is_remembered(next.address)
    });
}
