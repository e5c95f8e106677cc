//! A slot that is given again while Docker is down, so that the former tenant's
//! container still runs at the address of the slot.

use crate::{
    ALLOWED, converges, db_vs_machine,
    dns::{self, Answer},
    engine::{Engine, container_process},
    internet, netns,
    stack::{Device, ServerOptions, Stack, wait_for},
};
use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// A name on the starter list, which every container blocks and the fallback does not.
const LISTED: &str = "doubleclick.net";
const LIMIT: Duration = Duration::from_secs(60);

fn asks(device: &Device, gateway: Ipv4Addr, name: &str) -> Answer {
    dns::ask_once(&device.namespace, gateway, name, Duration::from_millis(700))
}

fn is_blocked(answer: Answer) -> bool {
    matches!(
        answer,
        Answer::Address(Ipv4Addr::UNSPECIFIED) | Answer::Empty(_)
    )
}

#[test]
fn a_new_tenants_dns_never_goes_to_the_slots_former_container() {
    let _bed = crate::exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("former"));
    stack.wait_for_answer();
    let engine = Engine::running();
    let mut bob = stack.sign_up("bobby");
    let former = stack.add_device(&mut bob, "c2", "Phone", "network", false);
    wait_for("the former tenant is filtered", LIMIT, || {
        is_blocked(asks(&former, bob.gateway, LISTED)).then_some(())
    });
    let (_, slot) = stack.id_and_slot("bobby");
    let process = container_process("bobby").expect("it runs");

    engine.kill();
    let page = bob.post("/do/delete_account", &[("name", "bobby")]);
    assert!(page.status < 500, "{}", page.body);
    former.disconnect();
    stack.execute(&format!("update nodes set last_slot = {}", slot - 1));
    let mut carol = stack.register("carol");
    carol.gateway = bob.gateway;
    assert_eq!(stack.id_and_slot("carol").1, slot, "the same slot");
    let device = stack.add_device(&mut carol, "c3", "Phone", "network", false);

    // The former container runs on, and is not asked.
    assert!(netns::pings(&device.namespace, carol.gateway), "the tunnel");
    let answer = Answer::Address(internet());
    let (mut asked, end) = (0, Instant::now() + Duration::from_secs(8));
    while Instant::now() < end {
        let answer = asks(&device, carol.gateway, LISTED);
        assert!(!is_blocked(answer), "a container answers: {answer:?}");
        asked += 1;
    }
    let runs = std::path::Path::new(&format!("/proc/{process}")).exists();
    assert!(runs, "the former container has not ended");
    println!("{asked} queries while the former container runs, none answered by it");

    let log = stack.log();
    let refused = log.matches("adguard-password-refused").count();
    assert_eq!(refused, 0, "its password is not for the former container");

    engine.start();
    let begun = Instant::now();
    wait_for("the new tenant has a filter of its own", LIMIT, || {
        let own = is_blocked(asks(&device, carol.gateway, LISTED));
        (own && asks(&device, carol.gateway, ALLOWED) == answer).then_some(())
    });
    println!(
        "its own filter answers {:.1} s after Docker's start",
        begun.elapsed().as_secs_f32()
    );
    let ended = !std::path::Path::new(&format!("/proc/{process}")).exists();
    assert!(ended, "the former container was removed first");
    converges("nothing is left", LIMIT, || db_vs_machine::matches(&stack));
}
