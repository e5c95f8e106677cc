//! Writes the rows of many tenants with their devices as text for PostgreSQL's COPY, for
//! `./dev bench nodes`: loading them so takes seconds where creating them would take an
//! hour. Sealed columns are sealed with the installation's key, so they can be read.
//!
//!     fleet_rows KEY_FILE FOLDER FIRST_NODE NODES TENANTS DEVICES
//!
//! writes FOLDER/users.copy and FOLDER/peers.copy, in the order of [`USERS`] and
//! [`PEERS`]. Each of the nodes gets that many tenants, in its first slots, with so many
//! devices each. The counters of a device are those that `virtual_workers` of the crate
//! `link` reports, as if they had been stored before.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{AddressPlan, Slot};
use seal::{Purpose, Sealer};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

/// The first id of these tenants: ids below are for those who sign up.
const FIRST_TENANT: u64 = 1_000_000;
const FIRST_DEVICE: u64 = 10_000_000;
const MAX_DEVICES: u64 = 50;
/// 2026-11-25T12:00:07Z, in milliseconds.
const CREATED: u64 = 1_795_608_007_000;
/// Of the form that AdGuard Home stores. Nobody signs in with it.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuMq3z1p7Jc9eH4o2d8s6w5x3y1v0u2aW";

const USERS: &str = "id, username, password_hash, plan, subdomain, interface_name, listen_port, \
     subnet_cidr, created_at, node_id, slot, wg_private_key, wg_public_key, dns_password, \
     dns_password_hash, generation";
const PEERS: &str = "id, user_id, device_label, label_folded, vpn_ip, private_key, public_key, \
     preshared_key, adguard_client_id, created_at, last_rx, last_tx, rx_total, tx_total, \
     last_handshake, endpoint";

/// Returns bytes that are a key's as far as anything here looks: computing a million
/// public keys would take a minute.
fn key(kind: u8, n: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([kind]);
    hash.update(n.to_be_bytes());
    hash.finalize().into()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key_file, folder, numbers @ ..] = arguments.as_slice() else {
        panic!("fleet_rows KEY_FILE FOLDER FIRST_NODE NODES TENANTS DEVICES");
    };
    let numbers: Vec<u64> = numbers.iter().map(|n| n.parse().unwrap()).collect();
    let [first, nodes, tenants, devices] = numbers[..] else {
        panic!("four numbers are needed");
    };
    let sealer = Sealer::from_key_file(Path::new(key_file)).unwrap();
    let create = |name: &str| BufWriter::new(File::create(Path::new(folder).join(name)).unwrap());
    let (mut users, mut peers) = (create("users.copy"), create("peers.copy"));
    let plan = AddressPlan::default();
    for node in first..first + nodes {
        for slot in Slot::all().take(usize::try_from(tenants).unwrap()) {
            let tenant = (node - 1) * 1000 + u64::from(slot.get());
            let tenant_id = FIRST_TENANT + tenant;
            let name = format!("v{node}x{slot}");
            let public = STANDARD.encode(key(0, tenant_id));
            let private = key(1, tenant_id);
            let private = sealer.seal(Purpose::TunnelKey, &public, &private).unwrap();
            let password = STANDARD.encode(&key(2, tenant_id)[..24]);
            let password = sealer.seal(Purpose::DnsPassword, &name, password.as_bytes());
            writeln!(
                users,
                "{tenant_id}\t{name}\t-\tpersonal\t{name}\t{}\t{}\t{}\t{CREATED}\t{node}\t{slot}\t\
                 {private}\t{public}\t{}\t{BCRYPT}\t1",
                slot.interface(),
                slot.listen_port(),
                plan.subnet(slot),
                password.unwrap(),
            )
            .unwrap();
            for device in 0..devices {
                let device_id = FIRST_DEVICE + tenant * MAX_DEVICES + device;
                let host = u8::try_from(2 + device).unwrap();
                let public = STANDARD.encode(key(3, device_id));
                let psk = key(4, device_id);
                let psk = sealer.seal(Purpose::DevicePresharedKey, &public, &psk);
                writeln!(
                    peers,
                    "{device_id}\t{tenant_id}\tDevice {device}\tdevice {device}\t{}\t\t{public}\t{}\t\
                     mn-{device}\t{CREATED}\t1000\t2000\t1000\t2000\t{CREATED}\t198.51.100.7:40000",
                    plan.device(slot, host),
                    psk.unwrap(),
                )
                .unwrap();
            }
        }
    }
    users.flush().unwrap();
    peers.flush().unwrap();
    println!("users ({USERS})\npeers ({PEERS})");
}
