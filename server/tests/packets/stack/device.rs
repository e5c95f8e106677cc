//! Devices: tunnels in client namespaces, made from downloaded configurations.

use super::{Stack, Tenant, run_here, wait_for};
use crate::netns::{self, run};
use std::{fs, net::Ipv4Addr, path::PathBuf, process::Command, time::Duration};

/// A device: a namespace with a tunnel of wireguard-go.
pub struct Device {
    /// Its namespace.
    pub namespace: String,
    /// Its interface in that namespace.
    pub interface: String,
    /// Its address inside the tunnel.
    pub address: Ipv4Addr,
    /// Its id in the product.
    pub id: String,
}

impl Device {
    /// Returns the time of the last handshake in seconds since the epoch, if
    /// there was one.
    pub fn handshake(&self) -> Option<u64> {
        let out = run(
            &self.namespace,
            &["wg", "show", &self.interface, "latest-handshakes"],
        );
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.split_whitespace()
            .nth(1)?
            .parse()
            .ok()
            .filter(|t| *t > 0)
    }

    /// Removes the tunnel, like a phone that is switched off.
    pub fn disconnect(&self) {
        run(&self.namespace, &["ip", "link", "del", &self.interface]);
    }

    /// Starts a new session at once, like a phone that changes from Wi-Fi to
    /// mobile. By itself a client notices after 15 s that its peer is new
    /// (WireGuard's REKEY_TIMEOUT and KEEPALIVE_TIMEOUT).
    pub fn reconnect(&self) {
        let shown = run(&self.namespace, &["wg", "show", &self.interface, "peers"]);
        let peer = String::from_utf8_lossy(&shown.stdout).trim().to_owned();
        run(
            &self.namespace,
            &["wg", "set", &self.interface, "peer", &peer, "remove"],
        );
        let file = conf_file(&self.interface);
        run(
            &self.namespace,
            &["wg", "addconf", &self.interface, &file.to_string_lossy()],
        );
    }
}

impl Stack {
    /// Adds a device over HTTP and makes a tunnel from the downloaded
    /// configuration.
    pub fn add_device(
        &mut self,
        t: &mut Tenant,
        client: &str,
        label: &str,
        routing: &str,
        mesh: bool,
    ) -> Device {
        let mut form = vec![
            ("label", label),
            ("routing", routing),
            ("policy", "standard"),
        ];
        if mesh {
            form.push(("mesh", "on"));
        }
        let page = t.post("/do/add_device", &form);
        assert_eq!(page.status, 200, "{}", page.body);
        let path = page
            .url
            .split("/devices/")
            .nth(1)
            .unwrap_or_else(|| panic!("no device at {}", page.url));
        let id: String = path.chars().take_while(char::is_ascii_digit).collect();
        let conf = t.get(&format!("/devices/{id}/config"));
        assert_eq!(conf.status, 200);
        self.connect(client, id, &conf.body)
    }

    /// Makes a tunnel from a configuration, and waits for its handshake.
    pub fn connect(&mut self, namespace: &str, id: String, conf: &str) -> Device {
        self.clients += 1;
        let interface = format!("dev{}", self.clients);
        let value = |key: &str| {
            let line = conf
                .lines()
                .find_map(|l| l.strip_prefix(key)?.trim().strip_prefix('='));
            line.unwrap_or_else(|| panic!("{key} in {conf}"))
                .trim()
                .to_owned()
        };
        let address: Ipv4Addr = value("Address")
            .split('/')
            .next()
            .unwrap_or_default()
            .parse()
            .expect("an address");
        // `wg setconf` accepts what `wg-quick strip` leaves.
        let stripped: String = conf
            .lines()
            .filter(|l| {
                !["Address", "DNS", "MTU"]
                    .iter()
                    .any(|key| l.starts_with(key))
            })
            .fold(String::new(), |s, l| s + l + "\n");
        let file = conf_file(&interface);
        fs::write(&file, stripped).expect("a file");
        run(namespace, &["wireguard-go", &interface]);
        // Its control socket exists shortly before the background process
        // serves it.
        wait_for(
            "wireguard-go takes its configuration",
            Duration::from_secs(5),
            || {
                let mut wg = Command::new("nsenter");
                wg.arg(format!("--net=/run/netns/{namespace}"));
                wg.args(["wg", "setconf", &interface]).arg(&file);
                wg.output().is_ok_and(|o| o.status.success()).then_some(())
            },
        );
        run(
            namespace,
            &[
                "ip",
                "addr",
                "add",
                &format!("{address}/32"),
                "dev",
                &interface,
            ],
        );
        run(
            namespace,
            &["ip", "link", "set", &interface, "mtu", "1420", "up"],
        );
        for route in value("AllowedIPs").split(", ").filter(|r| r.contains('.')) {
            run(
                namespace,
                &["ip", "route", "replace", route, "dev", &interface],
            );
        }
        let device = Device {
            namespace: namespace.to_owned(),
            interface,
            address,
            id,
        };
        wait_for("a handshake", Duration::from_secs(15), || {
            device.handshake()
        });
        device
    }
}

/// Removes the tunnels that an earlier stack's devices left.
pub(super) fn forget_devices() {
    for client in netns::var("MALIKNODE_BED_CLIENTS").split(' ') {
        let links = run_here(&["ip", "-n", client, "-o", "link"]);
        let names = links.lines().filter_map(|l| l.split(": ").nth(1));
        for name in names.filter(|n| n.starts_with("dev")) {
            run_here(&["ip", "-n", client, "link", "del", name]);
        }
    }
}

fn conf_file(interface: &str) -> PathBuf {
    PathBuf::from(netns::var("MALIKNODE_BED_DIR")).join(format!("{interface}.conf"))
}
