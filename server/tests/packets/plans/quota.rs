//! Data of a month, used up by real traffic.

use crate::{
    ALLOWED,
    browser::Page,
    dns::{Answer, ask_udp},
    exclusive_bed, internet,
    iperf::{Direction, measure},
    netns::{self, at, flows, open_stream, pings, tcp_reaches},
    stack::{
        Device, ECHO, STREAM, ServerOptions, Stack, Tenant, TestPlan, change_plan, operator,
        wait_for,
    },
};
use std::time::{Duration, Instant};

/// 200 MB at 40 Mb/s are used up in 40 s.
const METERED: TestPlan = TestPlan {
    down: "40",
    up: "40",
    data: "200",
    at_limit: "stop",
    slow: "2",
};
const LIMIT_BYTES: u64 = 200_000_000;

/// The port outside from which a device downloads.
const BULK: u16 = 7_300;

/// Returns the bytes of the month that are counted.
pub(super) fn counted(stack: &Stack) -> u64 {
    let sql = "select period_bytes from tenant_traffic join users on users.id = user_id \
               where username = 'alice'";
    let rows = stack.query(sql);
    rows.first().map_or(0, |r| r[0].parse().expect("a number"))
}

pub(super) fn state(stack: &Stack) -> String {
    let rows = stack.query("select quota_state from users where username = 'alice'");
    rows[0][0].clone()
}

fn reaches_internet(device: &Device) -> bool {
    tcp_reaches(&device.namespace, at(internet(), ECHO))
}

#[test]
fn used_up_data_stop_a_device_but_not_its_dns() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("quota"));
    stack.wait_for_answer();
    let mut panel = operator(&stack);
    change_plan(&mut panel, "personal", METERED);
    let mut alice = stack.sign_up_with_plan("alice", "personal");
    let phone = stack.add_device(&mut alice, "c1", "Phone", "everything", true);
    let laptop = stack.add_device(&mut alice, "c2", "Laptop", "everything", true);
    netns::serve(&laptop.namespace, laptop.address, 9000);
    let mut stream =
        open_stream(&phone.namespace, at(internet(), STREAM)).expect("the internet is reached");

    // A download without end, which is cut off on its way.
    netns::serve_bulk(&netns::var("MALIKNODE_BED_WAN"), BULK);
    let begun = Instant::now();
    let download = open_stream(&phone.namespace, at(internet(), BULK)).expect("it begins");
    let download = std::thread::spawn(|| netns::read_all(download));
    wait_for("the data are used up", Duration::from_secs(70), || {
        (state(&stack) == "stopped").then_some(())
    });
    wait_for("the device is stopped", Duration::from_secs(10), || {
        (!reaches_internet(&phone)).then_some(())
    });
    let took = begun.elapsed();
    assert!(!flows(&mut stream), "an open connection is cut off");
    let received = download.join().expect("it was cut off");
    // The regular reading has what passed last.
    std::thread::sleep(Duration::from_secs(11));
    let used = counted(&stack);
    let over = used.saturating_sub(LIMIT_BYTES);
    #[expect(clippy::cast_precision_loss, reason = "some MB")]
    let percent = over as f64 * 100.0 / LIMIT_BYTES as f64;
    println!(
        "stopped after {:.1} s: {used} of {LIMIT_BYTES} bytes, {percent:.2} % above; \
         a download got {received} bytes",
        took.as_secs_f32()
    );
    assert!(used >= LIMIT_BYTES && percent < 2.0, "{percent:.2} %");

    what_still_works(&phone, &laptop, &mut alice);
    let page = alice.get("/");
    says(&page, "used up: stopped until ");
    says(&alice.get("/events"), "has used up this month");

    // A restart of the server opens nothing.
    stack.kill_and_restart();
    assert!(!reaches_internet(&phone), "after a restart");

    let more = TestPlan {
        data: "400",
        ..METERED
    };
    let begun = Instant::now();
    change_plan(&mut panel, "personal", more);
    wait_for("more data open it", Duration::from_secs(5), || {
        reaches_internet(&phone).then_some(())
    });
    println!(
        "opened {:.2} s after the plan was raised",
        begun.elapsed().as_secs_f32()
    );
    assert_eq!(state(&stack), "open");
    assert!(!alice.get("/").body.contains("used up"));

    slower_instead(&mut stack, &mut panel, &phone, &mut alice);
}

fn what_still_works(phone: &Device, laptop: &Device, alice: &mut Tenant) {
    let from = &phone.namespace;
    assert_eq!(
        ask_udp(from, alice.gateway, ALLOWED),
        Answer::Address(internet()),
        "DNS at the gateway"
    );
    assert!(pings(from, alice.gateway), "the gateway");
    assert!(pings(from, laptop.address), "the mesh, ping");
    assert!(tcp_reaches(from, at(laptop.address, 9000)), "the mesh, TCP");
    assert!(!pings(from, internet()), "the internet, ping");
}

/// Lowers a plan below what is used, where it is to be slower then.
fn slower_instead(
    stack: &mut Stack,
    panel: &mut crate::browser::Browser,
    phone: &Device,
    alice: &mut Tenant,
) {
    let slower = TestPlan {
        at_limit: "slow",
        ..METERED
    };
    change_plan(panel, "personal", slower);
    assert_eq!(state(stack), "slowed");
    wait_for("the lower speed", Duration::from_secs(5), || {
        let queue = crate::stack::run_here(&["tc", "qdisc", "show", "dev", "wg1"]);
        queue.contains("rate 2Mbit").then_some(())
    });
    for direction in [Direction::Down, Direction::Up] {
        let measured = measure(&phone.namespace, 5201, direction, 1, 5).mbps();
        println!("slower, {direction:?}: {measured:.2} of 2 Mb/s");
        assert!((1.8..=2.2).contains(&measured), "{measured}");
    }
    says(&alice.get("/"), "used up: slower until ");
}

fn says(page: &Page, text: &str) {
    assert!(page.body.contains(text), "no {text:?}: {}", page.body);
}
