//! Devices find each other by name: real devices ask the real AdGuard Home, as the C library
//! asks, for addresses of both families.

use super::{LISTED, exclusive_bed, internet};
use crate::{
    dns::{Answer, ask_udp},
    netns::{self, at, run, tcp_reaches},
    stack::{Device, ServerOptions, Stack, Tenant, eventually},
};
use std::{fs, net::Ipv4Addr};

/// Returns the addresses that the C library finds for a name, sorted, or the error's name.
fn addresses(device: &Device, gateway: Ipv4Addr, name: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let resolv = folder.path().join("resolv.conf");
    fs::write(&resolv, format!("nameserver {gateway}\n")).expect("a file");
    let program = format!(
        "import socket\n\
         try: print(*sorted({{a[4][0] for a in socket.getaddrinfo('{name}', 1)}}))\n\
         except OSError as e: print(type(e).__name__)"
    );
    let script = format!(
        "mount --bind {} /etc/resolv.conf && exec python3 -c \"$0\"",
        resolv.display()
    );
    let asked = ["unshare", "--mount", "sh", "-c", &script, &program];
    let out = run(&device.namespace, &asked);
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Returns both addresses of a device as its page shows them.
fn own_addresses(t: &mut Tenant, device: &Device) -> String {
    let page = t.get(&format!("/devices/{}", device.id)).body;
    let words = page.split(|c: char| !c.is_ascii_hexdigit() && c != ':');
    let ipv6 = words.filter(|w| w.parse::<std::net::Ipv6Addr>().is_ok());
    let ipv6 = ipv6.into_iter().find(|w| w.starts_with("fd"));
    let ipv6 = ipv6.unwrap_or_else(|| panic!("no IPv6 address on the page: {page}"));
    format!("{} {ipv6}", device.address)
}

fn shows(t: &mut Tenant, path: &str, name: &str) {
    let page = t.get(path);
    assert!(page.body.contains(name), "{path} does not show {name}");
}

#[test]
fn devices_reach_each_other_by_name() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("names"));
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let phone = stack.add_device(&mut alice, "c1", "My Phone", "everything", true);
    let laptop = stack.add_device(&mut alice, "c2", "لابتوب", "everything", true);
    let gateway = alice.gateway;
    let (phone_name, laptop_name) = ("my-phone.alice.internal", "xn--mgbcah1k1a.alice.internal");

    // Both ways, both families, and what is found can be reached.
    for (from, to, name) in [
        (&phone, &laptop, laptop_name),
        (&laptop, &phone, phone_name),
    ] {
        let expected = own_addresses(&mut alice, to);
        eventually("a device is found by its name", || {
            addresses(from, gateway, name) == expected
        });
        netns::serve(&to.namespace, to.address, 9011);
        let Answer::Address(found) = ask_udp(&from.namespace, gateway, name) else {
            panic!("{name} has no address");
        };
        assert!(tcp_reaches(&from.namespace, at(found, 9011)), "{name}");
        shows(&mut alice, "/devices", name);
        shows(&mut alice, &format!("/devices/{}", to.id), name);
    }

    // A device without a filter finds the others as well, and nothing is blocked for it; nor
    // do names depend on protection.
    alice.post("/do/set_device", &[("id", &phone.id), ("policy", "off")]);
    eventually("policy off blocks nothing", || {
        ask_udp(&phone.namespace, gateway, LISTED) == Answer::Address(internet())
    });
    let expected = own_addresses(&mut alice, &laptop);
    assert_eq!(addresses(&phone, gateway, laptop_name), expected);

    // A name follows its label.
    let renamed = [
        ("id", phone.id.as_str()),
        ("label", "Work (old)"),
        ("routing", "everything"),
        ("policy", "off"),
        ("mesh", "on"),
    ];
    let page = alice.post("/do/change_device", &renamed);
    assert_eq!(page.status, 200, "{}", page.body);
    let expected = own_addresses(&mut alice, &phone);
    eventually("the new name is found", || {
        addresses(&laptop, gateway, "work-old.alice.internal") == expected
    });
    // The bed's resolver has an address for every name, which real ones have for none that
    // ends in `internal`.
    let asked = |name: &str| ask_udp(&laptop.namespace, gateway, name);
    eventually("the former name is gone", || {
        asked(phone_name) == Answer::Address(internet())
    });

    alice.post("/do/delete_device", &[("id", &phone.id)]);
    eventually("a deleted device's name is gone", || {
        asked("work-old.alice.internal") == Answer::Address(internet())
    });
    assert_ne!(addresses(&laptop, gateway, laptop_name), "gaierror");
}
