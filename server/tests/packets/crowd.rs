//! Eight tenants who together take as much as they may, and a ninth who needs little: the
//! source ports towards one destination, the table of connections, and the source ports
//! with which AdGuard Homes ask the resolvers.

use crate::{
    dns::{self, Answer},
    exclusive_bed, internet,
    neighbours::{answered, connections, flood},
    netns::{self, inside},
    raw,
    stack::{Device, ECHO, ServerOptions, Stack, Tenant, eventually, run_here},
};
use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};

/// How many tenants take all they may.
const CROWD: u8 = 8;
/// Services outside beside [`ECHO`], which the tenants share.
const OTHERS: [u16; 3] = [7_401, 7_402, 7_403];
/// As many source ports as let each counter of a tenant reach its limit.
const PORTS: RangeInclusive<u16> = 10_000..=14_399;
/// The limits of the defaults: connections of a tenant, and those to one destination.
const PER_TENANT: usize = 16_000;
const PER_DESTINATION: usize = 4_000;
/// How often a tenant's missing connections are tried again.
const MAX_ROUNDS: u8 = 10;
/// The connections of a container to one resolver.
const PER_RESOLVER: usize = 1_000;

/// The table's own limits are those of the defaults. What is raised are the limits of
/// single devices and of how fast, so that one device is enough to reach a tenant's.
const SETTINGS: &str = "[limits]\nconnections_per_device = 16000\nnew_per_device = 100000\n\
                        new_per_tenant = 100000\ndns_per_second = 1000\ndns_burst = 1000\n";

/// A client's host, beside those of the bed.
struct Client(String);

impl Client {
    /// Links a namespace to the host under test, as tools/bed/topology.sh does.
    fn new(n: u8) -> Self {
        let (name, link) = (format!("crowd{n}"), format!("vcrowd{n}"));
        let subnet = format!("198.18.{}", 100 + n);
        let steps = [
            format!("netns add {name}"),
            format!("link add {link} type veth peer name eth0 netns {name}"),
            format!("addr add {subnet}.1/24 dev {link}"),
            format!("link set {link} up"),
            format!("-n {name} addr add {subnet}.2/24 dev eth0"),
            format!("-n {name} link set lo up"),
            format!("-n {name} link set eth0 up"),
            format!("-n {name} route add 198.18.0.0/24 via {subnet}.1"),
        ];
        for step in steps {
            let words: Vec<&str> = ["ip"].into_iter().chain(step.split(' ')).collect();
            run_here(&words);
        }
        Self(name)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Its tunnels' processes end with their interfaces.
        let links = run_here(&["ip", "-n", &self.0, "-o", "link"]);
        let names = links.lines().filter_map(|l| l.split(": ").nth(1));
        for name in names.filter(|n| n.starts_with("dev")) {
            run_here(&["ip", "-n", &self.0, "link", "del", name]);
        }
        run_here(&["ip", "link", "del", &format!("v{}", self.0)]);
        run_here(&["ip", "netns", "del", &self.0]);
    }
}

/// A tenant of the crowd with its only device.
struct Member {
    tenant: Tenant,
    device: Device,
    _client: Client,
}

#[test]
fn eight_tenants_at_their_limits_leave_room_for_a_ninth() {
    let _bed = exclusive_bed();
    let options = ServerOptions::with_root("crowd");
    let central = options.root.join("central_api");
    fs::create_dir_all(&central).unwrap();
    fs::write(central.join("config.toml"), SETTINGS).unwrap();
    let mut stack = Stack::launch(options);
    stack.wait_for_answer();
    for port in OTHERS {
        netns::serve(&netns::var("MALIKNODE_BED_WAN"), internet(), port);
    }
    let mut bob = stack.sign_up("bobby");
    let phone = stack.add_device(&mut bob, "c3", "Phone", "everything", true);
    let crowd: Vec<Member> = (1..=CROWD).map(|n| member(&mut stack, n)).collect();

    assert_eq!(answered(&phone, ECHO), 20, "before");
    assert_eq!(uncached(&phone, bob.gateway, "before", 40), 40, "before");
    connections_are_left(&crowd, &phone);
    resolvers_are_left(&crowd, &phone, bob.gateway);
    a_hostile_container_leaves_the_resolvers(&stack, &crowd, &phone, bob.gateway);
}

fn member(stack: &mut Stack, n: u8) -> Member {
    let client = Client::new(n);
    let mut tenant = stack.sign_up(&format!("tenant{n}"));
    let device = stack.add_device(&mut tenant, &client.0, "Phone", "everything", false);
    Member {
        tenant,
        device,
        _client: client,
    }
}

/// Runs something for all members, two at a time: more would only fill the queues.
fn together(crowd: &[Member], work: impl Fn(&Member) + Sync) {
    for pair in crowd.chunks(2) {
        thread::scope(|scope| {
            for member in pair {
                scope.spawn(|| work(member));
            }
        });
    }
}

/// Returns the number of the host's connections from an address to a port.
fn connections_to(from: Ipv4Addr, port: u16) -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/nf_conntrack").expect("the table");
    let (source, port) = (format!("src={from}"), format!("dport={port}"));
    let first = |line: &str, key: &str, value: &str| {
        line.split(' ').find(|w| w.starts_with(key)) == Some(value)
    };
    let of = |l: &&str| first(l, "src=", &source) && first(l, "dport=", &port);
    table.lines().filter(of).count()
}

fn kernel(setting: &str) -> usize {
    let path = format!("/proc/sys/net/netfilter/{setting}");
    let text = fs::read_to_string(&path).expect("the kernel tracks connections");
    text.trim().parse().expect("a number")
}

/// Opens as many connections to a destination as a tenant may have, or as many as there
/// are left for it in all.
fn fill(member: &Member, port: u16) {
    let from = member.device.address;
    // A tunnel's queue may drop some on their way.
    for _ in 0..MAX_ROUNDS {
        let is_full = connections_to(from, port) >= PER_DESTINATION * 97 / 100;
        if is_full || connections(from) >= PER_TENANT * 97 / 100 {
            return;
        }
        flood(&member.device, port, PORTS);
    }
}

/// Sends a packet on each connection to a destination, so that none of them is forgotten,
/// and opens again those that were.
fn renew(member: &Member, port: u16) {
    for _ in 0..MAX_ROUNDS {
        flood(&member.device, port, PORTS);
        if connections_to(member.device.address, port) >= PER_DESTINATION * 97 / 100 {
            return;
        }
    }
}

/// All of them open as many connections as they may, to what the ninth needs as well.
fn connections_are_left(crowd: &[Member], phone: &Device) {
    let begun = Instant::now();
    together(crowd, |member| {
        // Beyond the limit as well: what is dropped must cost the others nothing.
        flood(&member.device, ECHO, 10_000..=18_191);
        for port in [ECHO].into_iter().chain(OTHERS) {
            fill(member, port);
        }
        let all = connections(member.device.address);
        println!("{}: {all} connections", member.tenant.name);
        assert!((PER_TENANT / 2..=PER_TENANT + 100).contains(&all), "{all}");
    });
    // The kernel forgets a flow of one packet each way after 30 s, and a slow machine takes
    // longer than that to make all of them.
    together(crowd, |member| renew(member, ECHO));
    let took = begun.elapsed();
    let mut shared = 0;
    for member in crowd {
        let there = connections_to(member.device.address, ECHO);
        assert!(
            (PER_DESTINATION * 9 / 10..=PER_DESTINATION + 50).contains(&there),
            "{there}"
        );
        shared += there;
    }
    let flows = answered(phone, ECHO) + answered(phone, ECHO);
    let (count, most) = (kernel("nf_conntrack_count"), kernel("nf_conntrack_max"));
    println!(
        "eight tenants have {shared} connections to one destination, made in {:.1} s; {flows} of \
         40 new flows of a ninth there are answered; the table holds {count} of {most}",
        took.as_secs_f32()
    );
    assert_eq!(flows, 40);
    assert!(count <= most / 2 + 1_000, "half of the table is left");
}

/// Asks for so many names that no cache has, each once, and returns how many are answered.
fn uncached(device: &Device, gateway: Ipv4Addr, prefix: &str, names: u16) -> u16 {
    let patience = Duration::from_secs(1);
    let asks = |n: u16| {
        let name = format!("{prefix}-{n}.example.test");
        dns::ask_once(&device.namespace, gateway, &name, patience) == Answer::Address(internet())
    };
    (1..=names).map(|n| u16::from(asks(n))).sum()
}

/// Asks for names that no cache has, 1,000 a second, for so long.
fn asks_much(member: &Member, time: Duration) {
    let gateway = member.tenant.gateway;
    inside(&member.device.namespace, move || {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.set_nonblocking(true).expect("it can be set");
        let begun = Instant::now();
        let mut n = 0_u32;
        while begun.elapsed() < time {
            for _ in 0..20 {
                n += 1;
                dns::send_question(&socket, gateway, &format!("much-{n}.example.test"));
            }
            while socket.recv(&mut [0; 1500]).is_ok() {}
            thread::sleep(Duration::from_millis(20));
        }
    });
}

/// Each of their AdGuard Homes asks the resolvers as much as it can.
fn resolvers_are_left(crowd: &[Member], phone: &Device, gateway: Ipv4Addr) {
    let time = Duration::from_secs(15);
    let (answers, asked) = thread::scope(|scope| {
        let all = crowd
            .iter()
            .map(|member| scope.spawn(move || asks_much(member, time)));
        let all: Vec<_> = all.collect();
        thread::sleep(Duration::from_secs(8));
        let asked: Vec<usize> = crowd.iter().map(|m| connections(container(m))).collect();
        let answers = uncached(phone, gateway, "beside", 40);
        all.into_iter().for_each(|t| t.join().expect("it asks"));
        (answers, asked)
    });
    println!(
        "eight AdGuard Homes have {asked:?} connections to the resolvers; {answers} of 40 uncached \
         names of a ninth tenant are answered"
    );
    assert!(
        asked
            .iter()
            .all(|n| (50..=2 * PER_RESOLVER + 100).contains(n)),
        "{asked:?}"
    );
    assert_eq!(answers, 40);
}

/// Returns the address of a member's container, by its gateway's slot.
fn container(member: &Member) -> Ipv4Addr {
    let [_, _, slot, _] = member.tenant.gateway.octets();
    Ipv4Addr::new(10, 92, 1, slot)
}

/// The worst AdGuard Home that there could be: it sends from every source port it has.
fn a_hostile_container_leaves_the_resolvers(
    stack: &Stack,
    crowd: &[Member],
    phone: &Device,
    gateway: Ipv4Addr,
) {
    let hostile = &crowd[0];
    let label = format!("label=maliknode.name=adguard_user_{}", hostile.tenant.name);
    let id = run_here(&["docker", "ps", "-q", "--filter", &label]);
    let pid = run_here(&["docker", "inspect", "-f", "{{.State.Pid}}", id.trim()]);
    run_here(&["ip", "netns", "attach", "hostile", pid.trim()]);
    let datagram = |from: u16| {
        let mut d = from.to_be_bytes().to_vec();
        d.extend([0, 53, 0, 8, 0, 0]);
        d
    };
    let all: Vec<Vec<u8>> = (1..=u16::MAX).map(datagram).collect();
    let from = container(hostile);
    raw::send("hostile", from, internet(), 17, all);
    let open = connections(from);
    let answers = uncached(phone, gateway, "hostile", 40);
    run_here(&["ip", "netns", "del", "hostile"]);
    println!(
        "a container that sends from every port has {open} connections; {answers} of 40 uncached \
         names of another tenant are answered"
    );
    assert!(
        (PER_RESOLVER / 2..=2 * PER_RESOLVER).contains(&open),
        "{open}"
    );
    assert_eq!(answers, 40);
    eventually("its own names are answered again", || {
        uncached(&hostile.device, hostile.tenant.gateway, "own", 1) == 1
    });
    assert!(!stack.log().contains("panicked"));
}
