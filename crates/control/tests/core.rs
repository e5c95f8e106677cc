//! The core over a real store (SQLite in memory) and a machine that fails on
//! demand: what people ask for, and what bad input gets.
#![allow(clippy::unwrap_used)]

use control::{
    Audience, CapacitySettings, Control, ControlParts, ControlSettings, DeviceChange, Entropy,
    NewDevice, SignUp, StoreSpecs,
};
use domain::{
    AddressPlan, DeviceId, ErrorCode, Failure, FilterPolicy, Routing, Secret, Slot, TenantId,
    TenantName, TenantScope, Timestamp,
};
use futures_util::StreamExt;
use provisioning::{Node, NodePorts};
use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use store::{DatabaseUrl, LOCAL_NODE, Sealer, Store};
use testkit::{
    fakes::{FakeClock, FakeMachine},
    samples,
};

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse battery staple";

struct Bed {
    control: Control,
    store: Store,
    machine: FakeMachine,
    clock: FakeClock,
    _root: tempfile::TempDir,
}

async fn bed_without(excluded: BTreeSet<Slot>) -> Bed {
    bed_with(excluded, 0).await
}

async fn bed_with(excluded: BTreeSet<Slot>, sign_ups_per_hour: u32) -> Bed {
    bed_measured(excluded, sign_ups_per_hour, CapacitySettings::default()).await
}

async fn bed_measured(
    excluded: BTreeSet<Slot>,
    sign_ups_per_hour: u32,
    capacity: CapacitySettings,
) -> Bed {
    let store = Store::memory().await.unwrap();
    bed_over(
        store,
        Entropy::system(),
        excluded,
        sign_ups_per_hour,
        capacity,
    )
    .await
}

async fn bed_over(
    store: Store,
    entropy: Entropy,
    excluded: BTreeSet<Slot>,
    sign_ups_per_hour: u32,
    capacity: CapacitySettings,
) -> Bed {
    let root = tempfile::tempdir().unwrap();
    let machine = FakeMachine::new();
    let clock = FakeClock::at(Timestamp::from_secs(1_795_478_400));
    let all = Arc::new(machine.clone());
    let ports = NodePorts {
        wireguard: all.clone(),
        firewall: all.clone(),
        containers: all.clone(),
        dns: all.clone(),
        folders: all,
        specs: Arc::new(StoreSpecs::new(store.clone(), LOCAL_NODE)),
    };
    let (node, handle) = Node::new(ports, samples::settings(root.path()));
    tokio::spawn(node.run(std::future::pending()));
    let control = Control::new(ControlParts {
        store: store.clone(),
        node: handle,
        clock: Arc::new(clock.clone()),
        entropy,
        settings: ControlSettings {
            addresses: AddressPlan::default(),
            public_host: "vpn.example.org".to_owned(),
            node: LOCAL_NODE,
            excluded_slots: excluded,
            sign_ups_per_hour,
        },
        capacity,
    });
    Bed {
        control,
        store,
        machine,
        clock,
        _root: root,
    }
}

async fn bed() -> Bed {
    bed_without(BTreeSet::new()).await
}

fn form(name: &str) -> SignUp {
    SignUp {
        name: name.to_owned(),
        password: Secret::new(PASSWORD),
        plan: "personal".to_owned(),
    }
}

fn device(label: &str) -> NewDevice {
    NewDevice {
        label: label.to_owned(),
        routing: Routing::Everything,
        policy: FilterPolicy::Standard,
        mesh: true,
    }
}

fn code<T: std::fmt::Debug>(r: Result<T, Failure>) -> ErrorCode {
    r.unwrap_err().code
}

impl Bed {
    async fn tenant(&self, name: &str) -> TenantScope {
        let arrival = self.control.sign_up(form(name), FROM).await.unwrap();
        self.control
            .redeem_tenant(Audience::Dashboard, &arrival.name, arrival.ticket.expose())
            .await
            .unwrap()
            .scope
    }
}

#[tokio::test]
async fn from_sign_up_to_a_device_with_a_configuration() {
    let bed = bed().await;
    let lina = bed.tenant("lina").await;
    let view = bed
        .control
        .add_device(&lina, device("My phone"))
        .await
        .unwrap();
    assert_eq!(view.address, "10.88.1.2");
    let config = bed.control.device_config(&lina, view.id).await.unwrap();
    assert_eq!(config.endpoint, "vpn.example.org:51821");
    assert_eq!(config.private_key.public().to_string(), view.public_key);
    let peers: Vec<_> = bed.machine.state().interfaces[&Slot::FIRST]
        .peers
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        peers,
        std::slice::from_ref(&view.public_key),
        "the answer came after the tunnel knew it"
    );
    assert_eq!(
        bed.machine.state().interfaces[&Slot::FIRST].public_key,
        Some(config.server_key)
    );
    let dashboard = bed.control.dashboard(&lina).await.unwrap();
    assert_eq!((dashboard.devices.len(), dashboard.plan.devices), (1, 5));
    bed.control.delete_device(&lina, view.id).await.unwrap();
    assert!(
        bed.machine.state().interfaces[&Slot::FIRST]
            .peers
            .is_empty(),
        "the answer came after it was cut off"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_up_is_said_at_its_field_and_nothing_is_made() {
    let bed = bed().await;
    bed.tenant("taken").await;
    let with = |name: &str, password: &str, plan: &str| SignUp {
        name: name.into(),
        password: Secret::new(password),
        plan: plan.into(),
    };
    for (form, expected) in [
        (with("Taken", PASSWORD, "home"), ErrorCode::NameTaken),
        (with("admin", PASSWORD, "home"), ErrorCode::NameReserved),
        (with("lina-dns", PASSWORD, "home"), ErrorCode::NameReserved),
        (with("a", PASSWORD, "home"), ErrorCode::NameMalformed),
        (
            with(&"x".repeat(10_000), PASSWORD, "home"),
            ErrorCode::NameMalformed,
        ),
        (with("fresh", "", "home"), ErrorCode::PasswordWeak),
        (
            with("fresh", "aaaaaaaaaaaa", "home"),
            ErrorCode::PasswordWeak,
        ),
        (
            with("fresh", &"y".repeat(100_000), "home"),
            ErrorCode::PasswordWeak,
        ),
        (
            with("fresh", PASSWORD, "free-for-ever"),
            ErrorCode::PlanUnknown,
        ),
    ] {
        let failure = bed.control.sign_up(form, FROM).await.unwrap_err();
        assert_eq!(failure.code, expected);
        assert!(failure.field.is_some() && !failure.sentence.is_empty());
    }
    assert!(
        bed.control.check_name("fresh").await.is_ok(),
        "the name is still to be had"
    );
}

#[tokio::test]
async fn a_full_node_says_so_and_makes_nothing() {
    let excluded = Slot::all().filter(|s| s.get() > 2).collect();
    let bed = bed_without(excluded).await;
    bed.tenant("one-1").await;
    bed.tenant("two-2").await;
    assert_eq!(
        code(bed.control.sign_up(form("three"), FROM).await),
        ErrorCode::NodeFull
    );
    assert!(bed.control.check_name("three").await.is_ok());
}

#[tokio::test]
async fn sign_ups_that_make_us_work_are_counted_whatever_comes_of_them() {
    let full = bed_with(Slot::all().collect(), 2).await;
    let codes = async |bed: &Bed, form: &dyn Fn(usize) -> SignUp| {
        let mut codes = Vec::new();
        for n in 0..3 {
            codes.push(code(bed.control.sign_up(form(n), FROM).await));
        }
        codes
    };
    let (node_full, weak) = (ErrorCode::NodeFull, ErrorCode::PasswordWeak);
    let many = ErrorCode::TooManyTries;
    let asked = codes(&full, &|n| form(&format!("name{n}"))).await;
    assert_eq!(asked, [node_full, node_full, many]);
    let guessed = |n: usize| SignUp {
        password: Secret::new("aaaaaaaaaaaa"),
        ..form(&format!("name{n}"))
    };
    let bed = bed_with(BTreeSet::new(), 2).await;
    assert_eq!(codes(&bed, &guessed).await, [weak, weak, many]);
    // What costs nothing is not counted.
    let short = |n: usize| SignUp {
        password: Secret::new("short"),
        ..form(&format!("name{n}"))
    };
    let bed = bed_with(BTreeSet::new(), 2).await;
    assert_eq!(codes(&bed, &short).await, [weak, weak, weak]);
}

#[tokio::test]
async fn a_database_that_is_away_is_no_wrong_password() {
    let bed = bed().await;
    bed.tenant("lina").await;
    bed.store.close().await;
    let (control, password) = (&bed.control, Secret::new(PASSWORD));
    for _ in 0..12 {
        let tenant = control.sign_in("lina", &password, FROM).await;
        assert_eq!(code(tenant), ErrorCode::DatabaseUnavailable);
        let operator = control.operator_sign_in("admin", &password, FROM).await;
        assert_eq!(code(operator), ErrorCode::DatabaseUnavailable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_made_is_told_of_though_nobody_could_be_let_in() {
    let root = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(root.path().join("d.sqlite"));
    let open = async || {
        let sealer = Sealer::from_key([7; 32]);
        Store::open(&url, sealer).await.unwrap()
    };
    let store = open().await;
    // The second token is the ticket's, and is drawn once the account is there.
    let (tokens, closes) = (AtomicUsize::new(0), store.clone());
    let entropy = Entropy::from_fn(move |into| {
        if into.len() == 24 && tokens.fetch_add(1, Ordering::SeqCst) == 1 {
            let close = || tokio::runtime::Handle::current().block_on(closes.close());
            tokio::task::block_in_place(close);
        }
        getrandom::fill(into).map_err(|e| e.to_string())
    });
    let capacity = CapacitySettings::default();
    let bed = bed_over(store, entropy, BTreeSet::new(), 0, capacity).await;
    let told = bed.control.sign_up(form("lina"), FROM).await.unwrap_err();
    assert_eq!(told.code, ErrorCode::DatabaseUnavailable);
    assert!(told.sentence.starts_with("“lina” is made"), "{told}");
    let name = TenantName::parse("lina").unwrap();
    assert!(open().await.name_taken(&name).await.unwrap());
}

#[tokio::test]
async fn sign_ups_at_once_share_nothing() {
    let bed = bed().await;
    let tasks: Vec<_> = (0..12)
        .map(|i| {
            let control = bed.control.clone();
            tokio::spawn(async move { control.sign_up(form(&format!("crowd{i}")), FROM).await })
        })
        .collect();
    let mut subnets = BTreeSet::new();
    for task in tasks {
        let arrival = task.await.unwrap().unwrap();
        let scope = bed
            .control
            .redeem_tenant(Audience::Dashboard, &arrival.name, arrival.ticket.expose())
            .await
            .unwrap()
            .scope;
        assert!(subnets.insert(bed.control.progress(&scope).await.unwrap().subnet));
    }
    // And the same name twelve times: one has it.
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let control = bed.control.clone();
            tokio::spawn(async move { control.sign_up(form("the-one"), FROM).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(f) => assert_eq!(f.code, ErrorCode::NameTaken),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn device_forms_are_checked_and_limits_hold_when_sent_at_once() {
    let bed = bed().await;
    let lina = bed.tenant("lina").await;
    assert_eq!(
        code(
            bed.control
                .add_device(&lina, device(&"x".repeat(10_240)))
                .await
        ),
        ErrorCode::LabelMalformed
    );
    assert_eq!(
        code(bed.control.add_device(&lina, device("a\u{7}b")).await),
        ErrorCode::LabelMalformed
    );
    let phone = bed
        .control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    assert_eq!(
        code(bed.control.add_device(&lina, device("phone")).await),
        ErrorCode::LabelTaken
    );
    let tasks: Vec<_> = (0..10)
        .map(|i| {
            let (control, lina) = (bed.control.clone(), lina.clone());
            tokio::spawn(async move { control.add_device(&lina, device(&format!("d{i}"))).await })
        })
        .collect();
    let mut codes = Vec::new();
    for task in tasks {
        codes.push(task.await.unwrap().map(|d| d.address).map_err(|f| f.code));
    }
    assert_eq!(
        codes.iter().filter(|c| c.is_ok()).count(),
        4,
        "the plan has room for five"
    );
    assert!(
        codes
            .iter()
            .all(|c| c.is_ok() || *c == Err(ErrorCode::DeviceLimit))
    );
    assert_eq!(
        codes
            .iter()
            .filter_map(|c| c.as_ref().ok())
            .collect::<BTreeSet<_>>()
            .len(),
        4
    );
    let renamed = DeviceChange {
        label: Some("d\u{202e}".into()),
        ..DeviceChange::default()
    };
    assert_eq!(
        code(bed.control.change_device(&lina, phone.id, renamed).await),
        ErrorCode::LabelMalformed
    );
}

#[tokio::test]
async fn another_tenants_things_are_not_there() {
    let bed = bed().await;
    let (lina, omar) = (bed.tenant("lina").await, bed.tenant("omar").await);
    let phone = bed
        .control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    for id in [phone.id, DeviceId(999_999), DeviceId(-1)] {
        let c = &bed.control;
        assert_eq!(code(c.device(&omar, id).await), ErrorCode::NotFound);
        assert_eq!(
            code(c.device_config(&omar, id).await.map(|_| ())),
            ErrorCode::NotFound
        );
        assert_eq!(
            code(
                c.change_device(
                    &omar,
                    id,
                    DeviceChange {
                        mesh: Some(false),
                        ..DeviceChange::default()
                    }
                )
                .await
            ),
            ErrorCode::NotFound
        );
        assert_eq!(code(c.delete_device(&omar, id).await), ErrorCode::NotFound);
    }
    let arrival = bed
        .control
        .sign_in("lina", &Secret::new(PASSWORD), FROM)
        .await
        .unwrap();
    let host = TenantName::parse("omar").unwrap();
    assert_eq!(
        code(
            bed.control
                .redeem_tenant(Audience::Dashboard, &host, arrival.ticket.expose())
                .await
        ),
        ErrorCode::TicketInvalid
    );
    let gone = TenantScope::issue(TenantId(4711), host, "omar");
    assert_eq!(
        code(bed.control.dashboard(&gone).await),
        ErrorCode::NotFound
    );
}

#[tokio::test]
async fn a_ticket_is_good_once_for_a_minute_and_for_one_audience() {
    let bed = bed().await;
    let arrive = |ticket: Secret, audience| {
        let control = bed.control.clone();
        async move {
            control
                .redeem_tenant(
                    audience,
                    &TenantName::parse("lina").unwrap(),
                    ticket.expose(),
                )
                .await
        }
    };
    let first = bed
        .control
        .sign_up(form("lina"), FROM)
        .await
        .unwrap()
        .ticket;
    assert!(arrive(first.clone(), Audience::Dashboard).await.is_ok());
    assert_eq!(
        code(arrive(first, Audience::Dashboard).await),
        ErrorCode::TicketInvalid,
        "used"
    );
    let second = bed
        .control
        .sign_in("lina", &Secret::new(PASSWORD), FROM)
        .await
        .unwrap()
        .ticket;
    assert_eq!(
        code(arrive(second, Audience::Dns).await),
        ErrorCode::TicketInvalid,
        "another audience"
    );
    let third = bed
        .control
        .sign_in("lina", &Secret::new(PASSWORD), FROM)
        .await
        .unwrap()
        .ticket;
    bed.clock.advance(61_000);
    assert_eq!(
        code(arrive(third, Audience::Dashboard).await),
        ErrorCode::TicketInvalid,
        "too old"
    );
    assert_eq!(
        code(arrive(Secret::new("x".repeat(100_000)), Audience::Dashboard).await),
        ErrorCode::TicketInvalid
    );
}

#[tokio::test]
async fn five_failures_a_minute_then_a_wait_and_the_right_password_counts_for_nothing_less() {
    let bed = bed().await;
    bed.tenant("lina").await;
    let wrong = Secret::new("wrong password");
    for _ in 0..5 {
        assert_eq!(
            code(bed.control.sign_in("lina", &wrong, FROM).await),
            ErrorCode::SignInRefused
        );
    }
    assert_eq!(
        code(
            bed.control
                .sign_in("lina", &Secret::new(PASSWORD), FROM)
                .await
        ),
        ErrorCode::TooManyTries
    );
    // The address waits too, whatever name it tries; another address may not try that account either.
    assert_eq!(
        code(bed.control.sign_in("nobody", &wrong, FROM).await),
        ErrorCode::TooManyTries
    );
    let other: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(
        code(
            bed.control
                .sign_in("lina", &Secret::new(PASSWORD), other)
                .await
        ),
        ErrorCode::TooManyTries
    );
    bed.clock.advance(61_000);
    assert!(
        bed.control
            .sign_in("lina", &Secret::new(PASSWORD), FROM)
            .await
            .is_ok()
    );
    assert_eq!(
        code(bed.control.sign_in("nobody", &wrong, other).await),
        ErrorCode::SignInRefused,
        "as for a wrong password"
    );
}

#[tokio::test]
async fn a_machine_in_trouble_loses_nothing_and_is_told_in_words() {
    let bed = bed().await;
    for call in ["wireguard.ensure", "containers.start", "firewall.apply"] {
        bed.machine.fail(call, true);
    }
    let lina = bed.tenant("lina").await;
    let phone = bed
        .control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    let status = bed.control.dashboard(&lina).await.unwrap().status;
    assert!(
        status
            .firewall
            .problem()
            .is_some_and(|p| !p.sentence.is_empty())
    );
    for call in ["wireguard.ensure", "containers.start", "firewall.apply"] {
        bed.machine.fail(call, false);
    }
    for _ in 0..600 {
        if bed
            .control
            .dashboard(&lina)
            .await
            .unwrap()
            .status
            .is_ready()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        bed.control
            .dashboard(&lina)
            .await
            .unwrap()
            .status
            .is_ready()
    );
    assert!(
        bed.machine.state().interfaces[&Slot::FIRST].peers.len() == 1
            && phone.address == "10.88.1.2"
    );
}

#[tokio::test]
async fn changes_are_told_at_once_and_when_something_changes() {
    let bed = bed().await;
    let lina = bed.tenant("lina").await;
    let mut changes = bed.control.changes(&lina);
    assert_eq!(changes.next().await, Some(()));
    bed.control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), changes.next()).await;
    assert_eq!(told, Ok(Some(())));
}

#[tokio::test]
async fn the_operator_is_made_once_and_may_stop_a_tenant() {
    let bed = bed().await;
    let (name, password) = bed.control.ensure_operator().await.unwrap().unwrap();
    assert!(bed.control.ensure_operator().await.unwrap().is_none());
    assert_eq!(
        code(
            bed.control
                .operator_sign_in(&name, &Secret::new("wrong"), FROM)
                .await
        ),
        ErrorCode::SignInRefused
    );
    let operator = bed
        .control
        .operator_sign_in(&name, &password, FROM)
        .await
        .unwrap();
    let (operator, proof) = (operator.scope, operator.proof);
    assert!(bed.control.operator_holds(&name, &proof).await.unwrap());
    let lina = bed.tenant("lina").await;
    let scope = bed
        .control
        .operator_tenant(&operator, lina.tenant())
        .await
        .unwrap();
    assert!(bed.control.set_suspended(&scope, true).await.unwrap());
    assert!(
        !bed.machine.state().interfaces.contains_key(&Slot::FIRST),
        "the answer came after the tunnel was gone"
    );
    let audit = bed.control.operator_view(&operator).await.unwrap().audit;
    assert!(
        audit
            .iter()
            .any(|a| a.action == "tenant.suspend" && a.actor == "operator:admin")
    );
    bed.control.delete_tenant(&scope).await.unwrap();
    assert!(
        !bed.control
            .tenant_exists(lina.tenant(), lina.name())
            .await
            .unwrap()
    );
    let fresh = bed.control.reset_operator(&name).await.unwrap();
    assert!(
        !bed.control.operator_holds(&name, &proof).await.unwrap(),
        "a session of the old password is over"
    );
    assert_eq!(
        code(bed.control.operator_sign_in(&name, &password, FROM).await),
        ErrorCode::SignInRefused
    );
    assert!(
        bed.control
            .operator_sign_in(&name, &fresh, FROM)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_tenant_who_is_deleted_is_cut_off_before_the_answer() {
    let bed = bed().await;
    let lina = bed.tenant("lina").await;
    bed.control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    bed.machine.fail("wireguard.delete", true);
    let heals = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!bed.machine.state().interfaces.is_empty());
        bed.machine.fail("wireguard.delete", false);
    };
    let (deleted, ()) = tokio::join!(bed.control.delete_tenant(&lina), heals);
    assert!(deleted.unwrap(), "nothing of theirs carries packets");
    assert!(bed.machine.state().interfaces.is_empty());
}

#[tokio::test]
async fn a_tenant_who_is_deleted_and_not_cut_off_yet_is_told_as_just_that() {
    let bed = bed().await;
    let lina = bed.tenant("lina").await;
    bed.control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    bed.machine.fail("wireguard.delete", true);
    assert!(!bed.control.delete_tenant(&lina).await.unwrap());
    assert!(!bed.machine.state().interfaces.is_empty());
}

/// What the audit log says was done to whom, oldest first.
async fn log(bed: &Bed) -> Vec<(String, String)> {
    let operator = domain::OperatorScope::issue("admin");
    let mut rows = bed.control.operator_view(&operator).await.unwrap().audit;
    rows.reverse();
    rows.into_iter().map(|r| (r.action, r.object)).collect()
}

#[tokio::test]
async fn who_came_in_and_who_was_kept_out_is_written_down() {
    let bed = bed().await;
    let lina = bed.tenant("lina").await;
    let phone = bed
        .control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    bed.control.download_config(&lina, phone.id).await.unwrap();
    let right = Secret::new(PASSWORD);
    bed.control.sign_in("lina", &right, FROM).await.unwrap();
    for _ in 0..9 {
        let wrong = Secret::new("wrong password");
        bed.control.sign_in("lina", &wrong, FROM).await.unwrap_err();
    }
    let expected = [
        ("tenant.create", "lina"),
        ("device.add", "lina/Phone"),
        ("device.config", "lina/Phone"),
        ("session.begin", "lina"),
        ("session.refused", "lina"),
    ];
    let expected = expected.map(|(a, o)| (a.to_owned(), o.to_owned()));
    assert_eq!(log(&bed).await, expected);
}

#[tokio::test]
async fn a_tenant_that_changes_things_all_the_time_is_told_to_wait() {
    let bed = bed().await;
    let (lina, omar) = (bed.tenant("lina").await, bed.tenant("omar").await);
    let nobody = DeviceId(999_999);
    for _ in 0..120 {
        let refused = bed.control.delete_device(&lina, nobody).await;
        assert_eq!(code(refused), ErrorCode::NotFound);
    }
    let refused = bed.control.add_device(&lina, device("Phone")).await;
    assert_eq!(code(refused), ErrorCode::TooManyTries);
    assert!(bed.control.add_device(&omar, device("Phone")).await.is_ok());
    bed.clock.advance(61_000);
    assert!(bed.control.add_device(&lina, device("Phone")).await.is_ok());
}

#[tokio::test]
async fn a_change_that_is_saved_and_not_yet_done_is_told_as_just_that() {
    let bed = bed().await;
    let lina = bed.tenant("lina").await;
    let phone = bed
        .control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    for call in [
        "firewall.apply",
        "firewall.change",
        "wireguard.change_peers",
    ] {
        bed.machine.fail(call, true);
    }
    let apart = DeviceChange {
        mesh: Some(false),
        ..DeviceChange::default()
    };
    let changed = bed.control.change_device(&lina, phone.id, apart).await;
    let changed = changed.unwrap();
    assert_eq!((changed.device.mesh, changed.in_force), (false, false));
    let deleted = bed.control.delete_device(&lina, phone.id).await;
    assert_eq!(code(deleted), ErrorCode::NotYetInForce);
    assert_eq!(
        code(bed.control.device(&lina, phone.id).await),
        ErrorCode::NotFound
    );
}
