//! A device that has IPv6 of its own, connected by the real `wg-quick`: nothing of it
//! reaches the internet past the tunnel, and a name with addresses of both families makes
//! no program wait, whether the server has IPv6 or not.

use super::{exclusive_bed, host, internet};
use crate::{
    dns::{DUAL, DUAL_ADDRESS},
    files::{CLIENT, WgQuick, file},
    netns::{self, run},
    stack::{ECHO, ServerOptions, Stack, Tenant, run_here, wait_for},
};
use std::{
    fs,
    io::Write,
    net::TcpListener,
    process::Command,
    sync::Once,
    time::{Duration, Instant},
};

/// The server's and the client's own addresses of IPv6 towards the internet.
const HOST6: &str = "2001:db8:0:0::1";
const CLIENT4: &str = "198.18.1.2";
const CLIENT6: &str = "2001:db8:1::2";

/// The client's own uplink, of both families: what leaks past the tunnel arrives in the
/// internet with the client's address.
struct Uplink;

const ROUTES: [&str; 4] = [
    "-n c1 route {} default via 198.18.1.1",
    "-n c1 -6 route {} default via 2001:db8:1::1",
    "-n wan route {} 198.18.1.0/24 via 198.18.0.1",
    "-n wan -6 route {} 2001:db8:1::/64 via 2001:db8:0::1",
];

impl Uplink {
    fn new() -> Self {
        static SERVER: Once = Once::new();
        SERVER.call_once(|| {
            netns::inside("wan", || {
                let tcp = TcpListener::bind((DUAL_ADDRESS, ECHO)).expect("the port is free");
                std::thread::spawn(move || {
                    for mut stream in tcp.incoming().flatten() {
                        let from = stream.peer_addr().map(|a| a.ip().to_string());
                        let _ = stream.write_all(from.unwrap_or_default().as_bytes());
                    }
                });
            });
        });
        let uplink = Self;
        for route in ROUTES {
            uplink.ip(&route.replace("{}", "replace"));
        }
        uplink
    }

    fn ip(&self, command: &str) {
        let command: Vec<_> = ["ip"].into_iter().chain(command.split(' ')).collect();
        run_here(&command);
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        for route in ROUTES {
            let route = route.replace("{}", "del");
            let _ = Command::new("ip").args(route.split(' ')).output();
        }
    }
}

/// Runs a Python program in the client's namespace, with only these resolvers, and returns
/// what it prints and how long it took.
fn python(resolvers: &str, program: &str) -> (String, Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let resolv = folder.path().join("resolv.conf");
    fs::write(&resolv, resolvers).expect("a file");
    let script = format!(
        "mount --bind {} /etc/resolv.conf && exec python3 -c \"$0\"",
        resolv.display()
    );
    let began = Instant::now();
    let out = run(
        CLIENT,
        &["unshare", "--mount", "sh", "-c", &script, program],
    );
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    (text, began.elapsed())
}

/// Connects as programs do: to each address of a name in turn, and prints which address the
/// internet saw.
fn connect(resolvers: &str, name: &str) -> (String, Duration) {
    let program = format!(
        "import socket\ns = socket.create_connection(('{name}', {ECHO}), 20)\nprint(s.recv(99).decode())"
    );
    python(resolvers, &program)
}

/// Prints which address the internet saw at its address of each family, or the error.
fn seen_at_each(resolvers: &str) -> (String, Duration) {
    let program = format!(
        "import socket\n\
         for a in ('{}', '{DUAL_ADDRESS}'):\n    \
         try: print(socket.create_connection((a, {ECHO}), 20).recv(99).decode(), end=' ')\n    \
         except OSError as e: print(type(e).__name__, end=' ')",
        internet()
    );
    python(resolvers, &program)
}

/// Prints every address of a name.
fn addresses(resolvers: &str, name: &str) -> (String, Duration) {
    let program = format!(
        "import socket\nprint(*sorted({{a[4][0] for a in socket.getaddrinfo('{name}', 1)}}))"
    );
    python(resolvers, &program)
}

/// Longer than any program in the bed takes, shorter than any wait for an answer that does
/// not come: the C library's resolver waits 5 s, TCP's first repetition is after 1 s.
const AT_ONCE: Duration = Duration::from_millis(900);

fn add_device(t: &mut Tenant, routing: &str) -> String {
    let form = [
        ("label", routing),
        ("routing", routing),
        ("policy", "standard"),
    ];
    let page = t.post("/do/add_device", &form);
    let id = page.url.split("/devices/").nth(1).expect("a device");
    id.chars().take_while(char::is_ascii_digit).collect()
}

#[test]
fn a_dual_stack_device_neither_leaks_nor_waits() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("dual"));
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let uplink = Uplink::new();
    let both = |v4: &str, v6: &str| format!("{v4} {v6}");
    let name = format!("{DUAL}.example.test");
    let own = format!("nameserver {}\n", internet());
    // Without the tunnel the internet sees the device itself.
    wait_for("the device's own uplink", Duration::from_secs(10), || {
        let (seen, _) = seen_at_each(&own);
        (seen == both(CLIENT4, CLIENT6)).then_some(())
    });
    let host6 = HOST6.parse::<std::net::Ipv6Addr>().expect("an address");
    let host6 = host6.to_string();

    for routing in ["everything", "internet"] {
        let id = add_device(&mut alice, routing);
        let conf = file(&mut alice, &id);
        let line = conf.lines().find_map(|l| l.strip_prefix("DNS = "));
        let resolvers: Vec<_> = line.expect("a line of DNS").split(", ").collect();
        assert_eq!(resolvers.len(), 2, "{resolvers:?}");
        let client = WgQuick::new("dual");
        client.up(&conf);
        wait_for("DNS answers", Duration::from_secs(60), || {
            let asked = format!("nameserver {}\n", resolvers[0]);
            let (found, _) = addresses(&asked, &name);
            found.contains("203.0.113.80").then_some(())
        });
        // Both addresses of the gateway resolve both kinds of addresses.
        let expected = both(&internet().to_string(), &DUAL_ADDRESS.to_string());
        let mut sorted: Vec<_> = expected.split(' ').collect();
        sorted.sort_unstable();
        for resolver in &resolvers {
            let asked = format!("nameserver {resolver}\n");
            let (found, took) = addresses(&asked, &name);
            assert_eq!(found, sorted.join(" "), "{routing}: {resolver}");
            assert!(took < AT_ONCE, "{routing}: {resolver}: {took:?}");
        }
        // As wg-quick hands them over: through the tunnel, by both families.
        let handed = client.dns();
        assert!(resolvers.iter().all(|r| handed.contains(r)), "{handed}");
        let (seen, took) = seen_at_each(&handed);
        assert_eq!(seen, both(&host().to_string(), &host6), "{routing}");
        assert!(took < AT_ONCE, "{routing}: {took:?}");
        let (seen, took) = connect(&handed, &name);
        assert!(
            [host().to_string(), host6.clone()].contains(&seen),
            "{seen}"
        );
        assert!(took < AT_ONCE, "{routing}: {took:?}");

        // A server without IPv6: refused at once, and not sent past the tunnel.
        uplink.ip("-6 route del default");
        let (seen, took) = seen_at_each(&handed);
        let refused = both(&host().to_string(), "ConnectionRefusedError");
        assert_eq!(seen, refused, "{routing}");
        assert!(took < AT_ONCE, "{routing}: {took:?}");
        let (seen, took) = connect(&handed, &name);
        assert_eq!(seen, host().to_string(), "{routing}");
        assert!(took < AT_ONCE, "{routing}: {took:?}");
        uplink.ip("-6 route add default via 2001:db8:0::2");

        // While our process is away, the kernel answers for the relay: the other resolver
        // is asked at once, whichever is first in the device's list.
        stack.kill();
        let reversed = format!("nameserver {}\nnameserver {}\n", resolvers[1], resolvers[0]);
        for asked in [handed.as_str(), reversed.as_str()] {
            let (found, took) = addresses(asked, &name);
            assert_eq!(found, sorted.join(" "), "{routing}: {asked}");
            assert!(took < AT_ONCE, "{routing}: {asked}: {took:?}");
        }
        stack.restart();
        client.call("down");
    }
}
