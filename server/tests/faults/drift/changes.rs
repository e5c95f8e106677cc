//! The external changes, and the checks that they are corrected.

use super::Scenario;
use crate::{
    ALLOWED, db_vs_machine,
    dns::{self, Answer},
    engine::{container, docker},
    internet, netns, resolves,
    stack::run_here,
};
use domain::{PrivateKey, PublicKey, Slot};
use ipnet::IpNet;
use provisioning::{
    observed::ObservedInterface,
    ports::{PeerChange, WireGuard},
    spec::{InterfaceSpec, PeerSpec},
};
use std::{collections::BTreeMap, fs, net::IpAddr, path::PathBuf, time::Duration};
use wireguard::Userspace;

/// Answers that another tenant may lose by a flush: the table contains the rules
/// of every tenant.
const FLUSHED: u32 = 20;

/// Checks whether a change is corrected, and returns what is not.
type Corrected<'w> = Box<dyn FnMut(&Scenario) -> Result<(), String> + 'w>;

/// An external change, and the check that it is corrected.
pub(super) struct ExternalChange<'w> {
    pub(super) what: &'static str,
    /// A text that the log must contain.
    pub(super) log: &'static str,
    pub(super) action: Box<dyn FnMut(&mut Scenario) + 'w>,
    pub(super) corrected: Corrected<'w>,
    /// Answers that Bobby may lose.
    pub(super) losses: u32,
}

/// Returns every external change.
pub(super) fn all() -> Vec<ExternalChange<'static>> {
    let mut all = interfaces();
    all.extend(containers());
    all.extend(firewall());
    all.extend(folders());
    all
}

fn up(_: &Scenario) -> Result<(), String> {
    let links = run_here(&["ip", "-o", "addr", "show"]) + &run_here(&["ip", "-o", "link", "show"]);
    let up = links
        .lines()
        .any(|l| l.contains(": wg1:") && l.contains(",UP"));
    let addressed = links
        .lines()
        .any(|l| l.contains(" wg1 ") && l.contains(" 10.88.1.1/24 "));
    (up && addressed).then_some(()).ok_or(links)
}

/// Connects to the userspace WireGuard process like the server: this is the only
/// access to its keys and peers.
fn with_userspace<T>(work: impl AsyncFnOnce(Userspace) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (exe, log) = (
            PathBuf::from(netns::var("MALIKNODE_BIN")),
            "/run/maliknode/test.log".into(),
        );
        let socket = wireguard::userspace::DEFAULT_SOCKET.into();
        work(Userspace::connect_or_spawn(exe, socket, log).await.unwrap()).await
    })
}

fn alices_interface() -> ObservedInterface {
    with_userspace(async |w| w.observe().await.unwrap()[&Slot::FIRST].clone())
}

fn is_unchanged(before: &ObservedInterface) -> Result<(), String> {
    let now = with_userspace(async |w| w.observe().await).map_err(|e| e.to_string())?;
    let now = now.get(&Slot::FIRST);
    (now == Some(before))
        .then_some(())
        .ok_or_else(|| format!("it is {now:?}"))
}

fn interfaces() -> Vec<ExternalChange<'static>> {
    let before = alices_interface();
    let (for_key, for_peer, for_unexpected) = (before.clone(), before.clone(), before.clone());
    let key = move |_: &mut Scenario| {
        let peers = for_key.peers.iter().map(|(k, p)| {
            let address = p.allowed_ips.iter().find_map(|n| match n.addr() {
                IpAddr::V4(a) => Some(a),
                IpAddr::V6(_) => None,
            });
            let address6 = p.allowed_ips.iter().find_map(|n| match n.addr() {
                IpAddr::V4(_) => None,
                IpAddr::V6(a) => Some(a),
            });
            let spec = PeerSpec {
                preshared_key: p.preshared_key.clone().unwrap(),
                address: address.unwrap(),
                address6,
            };
            (*k, spec)
        });
        let spec = InterfaceSpec {
            slot: Slot::FIRST,
            owner: for_key.owner.clone().unwrap(),
            private_key: PrivateKey::from_random([42; 32]),
            address: "10.88.1.1/24".parse().unwrap(),
            address6: for_key.addresses.iter().find_map(|n| match n {
                IpNet::V4(_) => None,
                IpNet::V6(net) => Some(*net),
            }),
            peers: peers.collect(),
        };
        with_userspace(async |w| w.ensure(&spec).await.unwrap());
    };
    let peer_gone = move |_: &mut Scenario| {
        let change = PeerChange {
            remove: for_peer.peers.keys().copied().collect(),
            set: BTreeMap::new(),
        };
        with_userspace(async |w| w.change_peers(Slot::FIRST, &change).await.unwrap());
    };
    let unexpected = move |_: &mut Scenario| {
        let (_, known) = for_unexpected.peers.first_key_value().unwrap();
        let spec = PeerSpec {
            preshared_key: known.preshared_key.clone().unwrap(),
            address: "10.88.1.66".parse().unwrap(),
            address6: None,
        };
        let key: PublicKey = PrivateKey::from_random([66; 32]).public();
        let change = PeerChange {
            remove: vec![],
            set: [(key, spec)].into(),
        };
        with_userspace(async |w| w.change_peers(Slot::FIRST, &change).await.unwrap());
    };
    let as_before = |before: &ObservedInterface| {
        let before = before.clone();
        Box::new(move |_: &Scenario| is_unchanged(&before))
    };
    let ip = |args: &'static [&'static str]| Box::new(move |_: &mut Scenario| drop(run_here(args)));
    let change = |what, log, action, corrected| ExternalChange {
        what,
        log,
        action,
        corrected,
        losses: 0,
    };
    vec![
        change(
            "deletes an interface",
            r#"drift-interface-gone name="alice" interface="wg1""#,
            ip(&["ip", "link", "del", "wg1"]),
            as_before(&before),
        ),
        change(
            "sets an interface down",
            r#"drift-interface-down name="alice" interface="wg1""#,
            ip(&["ip", "link", "set", "wg1", "down"]),
            Box::new(up),
        ),
        change(
            "removes its address",
            r#"drift-address-changed name="alice" interface="wg1""#,
            ip(&["ip", "addr", "flush", "dev", "wg1"]),
            Box::new(up),
        ),
        change(
            "changes its key",
            r#"drift-key-changed name="alice" interface="wg1""#,
            Box::new(key),
            as_before(&before),
        ),
        change(
            "removes its peers",
            r#"drift-peers-changed name="alice" interface="wg1" unexpected=0 missing=1"#,
            Box::new(peer_gone),
            as_before(&before),
        ),
        change(
            "adds an unexpected peer",
            r#"drift-peers-changed name="alice" interface="wg1" unexpected=1"#,
            Box::new(unexpected),
            as_before(&before),
        ),
    ]
}

fn containers() -> Vec<ExternalChange<'static>> {
    // Stands for the id of Alice's container.
    const CONTAINER: &str = "CONTAINER";
    let running = |w: &Scenario| -> Result<(), String> {
        let format = "{{.Label \"maliknode.name\"}} {{.State}}";
        let state = docker(&["ps", "--format", format]);
        let runs = state.lines().any(|l| l == "adguard_user_alice running");
        let answers = dns::ask_once(
            &w.phone.namespace,
            w.alice.gateway,
            ALLOWED,
            Duration::from_millis(300),
        );
        let right = answers == Answer::Address(internet());
        (runs && right)
            .then_some(())
            .ok_or(format!("{state}, {answers:?}"))
    };
    let change = |what, log, args: &'static [&'static str]| ExternalChange {
        what,
        log,
        action: Box::new(move |_: &mut Scenario| {
            let id = container("alice").expect("Alice has a container");
            let id_or = |arg: &&'static str| if *arg == CONTAINER { id.as_str() } else { arg };
            docker(&args.iter().map(id_or).collect::<Vec<_>>());
        }),
        corrected: Box::new(running),
        losses: 0,
    };
    vec![
        change(
            "removes a container",
            r#"drift-container-gone name="alice""#,
            &["rm", "-f", CONTAINER],
        ),
        change(
            "stops a container",
            r#"drift-container-stopped name="alice""#,
            &["stop", "-t", "1", CONTAINER],
        ),
        change(
            "pauses a container",
            r#"drift-container-paused name="alice""#,
            &["pause", CONTAINER],
        ),
    ]
}

fn firewall() -> Vec<ExternalChange<'static>> {
    let restored = |w: &Scenario| -> Result<(), String> {
        db_vs_machine::matches(&w.stack)?;
        resolves(&w.phone, w.alice.gateway)
            .then_some(())
            .ok_or("Alice has no DNS".to_owned())
    };
    let change = |what, log, args: &'static [&'static str], losses| ExternalChange {
        what,
        log,
        action: Box::new(move |_: &mut Scenario| drop(run_here(args))),
        corrected: Box::new(restored),
        losses,
    };
    let own = &["nft", "delete", "table", "inet", "maliknode"];
    let element = &[
        "nft",
        "delete",
        "element",
        "inet",
        "maliknode",
        "dns",
        "{ \"wg1\" }",
    ];
    vec![
        change("deletes our table", "drift-rules-gone", own, FLUSHED),
        change(
            "deletes a tenant's DNS element",
            r#"drift-elements-changed name="alice""#,
            element,
            0,
        ),
    ]
}

fn folders() -> Vec<ExternalChange<'static>> {
    let conf = |w: &Scenario| w.folder().join("wg1.conf");
    let same = move |w: &Scenario| -> Result<(), String> {
        let text = fs::read_to_string(conf(w)).map_err(|e| e.to_string())?;
        (!text.contains("edited"))
            .then_some(())
            .ok_or("it is still edited".to_owned())?;
        db_vs_machine::matches(&w.stack)
    };
    let edit = move |w: &mut Scenario| {
        let text = fs::read_to_string(conf(w)).unwrap();
        fs::write(conf(w), text + "# edited\n").unwrap();
    };
    let key = |w: &Scenario| w.folder().join("keys/private.key");
    let restored = move |w: &Scenario| -> Result<(), String> {
        let text = fs::read_to_string(key(w)).map_err(|e| e.to_string())?;
        (text.len() > 40)
            .then_some(())
            .ok_or("the key is truncated".to_owned())
    };
    let change = |what,
                  log,
                  action: Box<dyn FnMut(&mut Scenario)>,
                  corrected: Corrected<'static>| ExternalChange {
        what,
        log,
        action,
        corrected,
        losses: 0,
    };
    vec![
        change(
            "edits wg1.conf",
            r#"drift-conf-changed name="alice" interface="wg1""#,
            Box::new(edit),
            Box::new(same),
        ),
        change(
            "removes wg1.conf",
            r#"drift-conf-changed name="alice" interface="wg1""#,
            Box::new(move |w: &mut Scenario| fs::remove_file(conf(w)).unwrap()),
            Box::new(same),
        ),
        change(
            "truncates a key file",
            r#"drift-keys-damaged name="alice""#,
            Box::new(move |w: &mut Scenario| fs::write(key(w), "x").unwrap()),
            Box::new(restored),
        ),
    ]
}
