//! A device's file, followed to the letter: downloaded, put where the page says, and
//! started by the real `wg-quick`. Its routing is changed and the file downloaded again;
//! the key stays the same.

use super::{exclusive_bed, internet};
use crate::{
    netns::{at, pings, run, tcp_reaches},
    stack::{Device, ECHO, ServerOptions, Stack, Tenant, run_here, wait_for},
};
use std::{
    fs, net::Ipv4Addr, os::unix::fs::PermissionsExt, path::PathBuf, process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// An address behind the router of the client's home, in no network of the client.
const AT_HOME: Ipv4Addr = Ipv4Addr::new(192, 168, 78, 2);
pub const CLIENT: &str = "c1";

/// The client's home: a network with a router that knows no internet.
struct Home;

impl Home {
    fn new() -> Self {
        let home = Self;
        home.remove();
        run_here(&["ip", "netns", "add", "home"]);
        let pair = "link add home0 type veth peer name lan0 netns home";
        let pair: Vec<_> = ["ip", "-n", CLIENT]
            .into_iter()
            .chain(pair.split(' '))
            .collect();
        run_here(&pair);
        for command in [
            "-n home addr add 192.168.77.1/24 dev lan0",
            "-n home addr add 192.168.78.2/32 dev lo",
            "-n home link set lo up",
            "-n home link set lan0 up",
            "-n c1 addr add 192.168.77.2/24 dev home0",
            "-n c1 link set home0 up",
            "-n c1 route add default via 192.168.77.1",
        ] {
            let command: Vec<_> = ["ip"].into_iter().chain(command.split(' ')).collect();
            run_here(&command);
        }
        home
    }

    fn remove(&self) {
        for command in [
            ["-n", CLIENT, "link", "del", "home0"],
            ["netns", "del", "home", "", ""],
        ] {
            let command = command.iter().filter(|word| !word.is_empty());
            let _ = Command::new("ip").args(command).output();
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A device that `wg-quick` connects.
pub struct WgQuick {
    folder: TempDir,
    file: PathBuf,
    stem: String,
}

impl WgQuick {
    pub fn new(stem: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // What it hands to resolvconf is all that a name server takes: the bed's clients
        // share one /etc/resolv.conf.
        let resolvconf = folder.path().join("resolvconf");
        let script = format!("#!/bin/sh\ncat >>{}/dns\n", folder.path().display());
        fs::write(&resolvconf, script).unwrap();
        fs::set_permissions(&resolvconf, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            file: folder.path().join(format!("{stem}.conf")),
            folder,
            stem: stem.to_owned(),
        }
    }

    pub fn call(&self, what: &str) {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("PATH={}:{path}", self.folder.path().display());
        let file = self.file.to_string_lossy();
        run(CLIENT, &["env", &path, "wg-quick", what, &file]);
    }

    /// Starts the tunnel from a file.
    pub fn up(&self, conf: &str) {
        fs::write(&self.file, conf).unwrap();
        fs::set_permissions(&self.file, fs::Permissions::from_mode(0o600)).unwrap();
        self.call("up");
    }

    pub fn dns(&self) -> String {
        fs::read_to_string(self.folder.path().join("dns")).unwrap_or_default()
    }

    fn mtu(&self) -> String {
        let link = run(CLIENT, &["ip", "-o", "link", "show", "dev", &self.stem]);
        let link = String::from_utf8_lossy(&link.stdout).into_owned();
        let mtu = link.split(" mtu ").nth(1).and_then(|l| l.split(' ').next());
        mtu.unwrap_or_default().to_owned()
    }
}

/// Settings to change, what the device reaches with them, and the MTU of its interface.
type Step<'a> = (&'a [(&'a str, &'a str)], Reach, &'a str);

/// What a device reaches.
#[derive(Debug, PartialEq, Eq)]
struct Reach {
    internet: bool,
    other_device: bool,
    gateway: bool,
    home: bool,
}

fn reach(gateway: Ipv4Addr, other: &Device) -> Reach {
    Reach {
        internet: tcp_reaches(CLIENT, at(internet(), ECHO)),
        other_device: pings(CLIENT, other.address),
        gateway: tcp_reaches(CLIENT, at(gateway, 53)),
        home: pings(CLIENT, AT_HOME),
    }
}

/// Changes a device and returns its file.
fn changed(t: &mut Tenant, id: &str, settings: &[(&str, &str)]) -> String {
    let mut form = vec![
        ("id", id),
        ("label", "هاتف المكتب الطويل"),
        ("policy", "standard"),
        ("mesh", "on"),
    ];
    form.extend_from_slice(settings);
    let page = t.post("/do/change_device", &form);
    assert!(
        page.body.contains("Download the file again"),
        "{} {}",
        page.url,
        page.body
    );
    file(t, id)
}

pub fn file(t: &mut Tenant, id: &str) -> String {
    let conf = t.get(&format!("/devices/{id}/config"));
    assert_eq!(conf.status, 200);
    conf.body
}

fn private_key(conf: &str) -> &str {
    let line = conf.lines().find_map(|l| l.strip_prefix("PrivateKey = "));
    line.expect("a key")
}

#[test]
fn each_kind_of_routing_works_by_wg_quick_with_the_same_key() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("files"));
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let other = stack.add_device(&mut alice, "c2", "Laptop", "network", true);
    let _home = Home::new();
    assert!(pings(CLIENT, AT_HOME) && !tcp_reaches(CLIENT, at(internet(), ECHO)));

    let form = [
        ("label", "هاتف المكتب الطويل"),
        ("routing", "everything"),
        ("policy", "standard"),
        ("mesh", "on"),
    ];
    let page = alice.post("/do/add_device", &form);
    let id = page.url.split("/devices/").nth(1).expect("a device");
    let id: String = id.chars().take_while(char::is_ascii_digit).collect();
    let first = file(&mut alice, &id);
    let download = alice.get(&format!("/devices/{id}/config"));
    let named = download
        .headers
        .iter()
        .find(|(k, _)| k == "content-disposition");
    let named = named.map(|(_, v)| v.clone()).expect("a file name");
    let stem = named
        .split('"')
        .nth(1)
        .and_then(|n| n.strip_suffix(".conf"));
    let stem = stem.expect("a name in quotes");
    assert!(stem.starts_with("device-") && stem.len() <= 15, "{stem}");
    let client = WgQuick::new(stem);

    let dns = [("routing", "dns")];
    let network = [("routing", "network"), ("small_packets", "on")];
    let (internet, everything) = ([("routing", "internet")], [("routing", "everything")]);
    let steps: [Step; 5] = [
        (
            &[],
            Reach {
                internet: true,
                other_device: true,
                gateway: true,
                home: false,
            },
            "1420",
        ),
        (
            &internet,
            Reach {
                internet: true,
                other_device: true,
                gateway: true,
                home: true,
            },
            "1420",
        ),
        (
            &network,
            Reach {
                internet: false,
                other_device: true,
                gateway: true,
                home: true,
            },
            "1280",
        ),
        (
            &dns,
            Reach {
                internet: false,
                other_device: false,
                gateway: true,
                home: true,
            },
            "1420",
        ),
        (
            &everything,
            Reach {
                internet: true,
                other_device: true,
                gateway: true,
                home: false,
            },
            "1420",
        ),
    ];
    for (settings, expected, mtu) in steps {
        let conf = match settings {
            [] => first.clone(),
            settings => changed(&mut alice, &id, settings),
        };
        assert_eq!(private_key(&conf), private_key(&first), "it keeps its key");
        client.up(&conf);
        wait_for("a handshake", Duration::from_secs(15), || {
            let shown = run(CLIENT, &["wg", "show", stem, "latest-handshakes"]);
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            (shown.trim_end().rsplit('\t').next() != Some("0")).then_some(())
        });
        assert_eq!(reach(alice.gateway, &other), expected, "{settings:?}");
        assert!(
            client
                .dns()
                .contains(&format!("nameserver {}", alice.gateway))
        );
        // Its own MTU where the file names none: 80 bytes below that of the link.
        assert_eq!(client.mtu(), mtu, "{settings:?}");
        client.call("down");
    }
}
