//! The time that clients wait: a device added and deleted, a change of the
//! firewall.

use crate::{
    measure::{Cpu, Figures, Outcome},
    rig::Rig,
};
use control::NewDevice;
use domain::{DeviceId, FilterPolicy, PublicKey, Routing, Slot};
use provisioning::{
    Firewall, WireGuard, observed::ObservedFirewallTenant, ports::FirewallChange,
    spec::FirewallTenant,
};
use std::{
    collections::BTreeMap,
    io::Write,
    net::Ipv4Addr,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Of this many devices, the last one is verified in the tunnel itself.
const VERIFY_EVERY: usize = 25;
/// Firewall changes measured.
const REPETITIONS: usize = 50;

/// Adds devices, from the request until the answer, at which the tunnel has the
/// peer; then deletes them. First without the mesh, then in it, where the
/// firewall is changed too.
pub async fn devices(rig: &Rig, when: &str, times: usize, figures: &mut Figures) -> Outcome<()> {
    let tenants = rig.tenants().await?;
    for (mesh, how) in [(false, ""), (true, " in the mesh")] {
        let mut added: Vec<(usize, DeviceId)> = Vec::new();
        let cpu = Cpu::now(rig).await?;
        let mut verifying = Cpu::default();
        for n in 0..times {
            // Spread over the slots; 7 and 1,000 have no common factor.
            let index = n * 7 % tenants.len();
            let new = NewDevice {
                label: format!("change {n}"),
                routing: Routing::Everything,
                options: domain::TunnelOptions::default(),
                policy: FilterPolicy::Standard,
                mesh,
            };
            let held = &tenants[index];
            let begun = Instant::now();
            let device = rig.control.devices().add(&held.scope, new).await?;
            figures.note(&format!("device added{how} {when}"), begun.elapsed());
            added.push((index, device.id));
            if added.len().is_multiple_of(VERIFY_EVERY) {
                let key = PublicKey::parse(&device.public_key)?;
                let before = Cpu::now(rig).await?;
                has_peer(rig, held.slot, key).await?;
                verifying = verifying.plus(&Cpu::now(rig).await?.since(&before));
            }
        }
        let used = Cpu::now(rig).await?.since(&cpu).since(&verifying);
        figures.cpu(&format!("{times} devices added{how} {when}"), used);
        for (index, id) in added {
            let begun = Instant::now();
            rig.control
                .devices()
                .delete(&tenants[index].scope, id)
                .await?;
            figures.note(&format!("device deleted{how} {when}"), begun.elapsed());
        }
    }
    Ok(())
}

async fn has_peer(rig: &Rig, slot: Slot, key: PublicKey) -> Outcome<()> {
    let interfaces = rig.wireguard.observe().await?;
    let peers = interfaces.get(&slot).map(|i| &i.peers);
    if peers.is_some_and(|p| p.contains_key(&key)) {
        return Ok(());
    }
    Err(format!("a device was confirmed, but the tunnel of slot {slot} does not have it").into())
}

/// Changes the firewall through the port, and for comparison with a bare `nft`
/// and the same text. No node runs meanwhile: it would undo the changes.
pub async fn firewall(rig: &Rig, figures: &mut Figures) -> Outcome<()> {
    let present = rig.firewall.observe().await?.tenants;
    let tenants = rig.tenants().await?;
    let plan = rig.settings.addresses;
    let held = &tenants[tenants.len() / 2];
    let slot = held.slot;
    let now = present.get(&slot).ok_or("no elements to change")?;
    let guest = plan.device(slot, 250);
    let without = tenant(slot, now, &rig.settings)?;
    let mut with = without.clone();
    with.mesh.insert(guest);
    for _ in 0..REPETITIONS {
        for (what, from, to, verb) in [
            ("firewall element added", &without, &with, "add"),
            ("firewall element deleted", &with, &without, "delete"),
        ] {
            let begun = Instant::now();
            rig.firewall.apply(&change(from, to)).await?;
            figures.note(what, begun.elapsed());
            let other = plan.device(slot, 251);
            figures.note(
                &format!("{what}, nft"),
                run_nft(&element(verb, slot, other))?,
            );
        }
    }
    for _ in 0..REPETITIONS / 5 {
        let gone = FirewallChange {
            remove: BTreeMap::from([(slot, now.clone())]),
            ..FirewallChange::default()
        };
        let begun = Instant::now();
        rig.firewall.apply(&gone).await?;
        figures.note("firewall tenant removed", begun.elapsed());
        let back = FirewallChange {
            set: vec![(ObservedFirewallTenant::default(), without.clone())],
            ..FirewallChange::default()
        };
        let begun = Instant::now();
        rig.firewall.apply(&back).await?;
        figures.note("firewall tenant made", begun.elapsed());
    }
    let all = present.iter().map(|(slot, now)| {
        let t = tenant(*slot, now, &rig.settings)?;
        Ok((now.clone(), t))
    });
    let everything = FirewallChange {
        rebuild: true,
        set: all.collect::<Outcome<_>>()?,
        ..FirewallChange::default()
    };
    for _ in 0..3 {
        let begun = Instant::now();
        rig.firewall.apply(&everything).await?;
        figures.note("firewall rebuilt", begun.elapsed());
    }
    Ok(())
}

fn change(from: &FirewallTenant, to: &FirewallTenant) -> FirewallChange {
    FirewallChange {
        set: vec![(ObservedFirewallTenant::from_spec(from), to.clone())],
        ..FirewallChange::default()
    }
}

/// Returns a tenant's elements as the node would set them.
fn tenant(
    slot: Slot,
    now: &ObservedFirewallTenant,
    settings: &provisioning::NodeSettings,
) -> Outcome<FirewallTenant> {
    Ok(FirewallTenant {
        slot,
        subnet: settings.addresses.subnet(slot),
        gateway: settings.addresses.gateway(slot),
        dns: Some(now.dns.ok_or("a tenant without DNS in the firewall")?),
        mesh: now.mesh.clone(),
        locked: now.locked.clone(),
        subnet6: now.subnets6.first().copied(),
        mesh6: now.mesh6.clone(),
        locked6: now.locked6.clone(),
        stopped: now.stopped,
        tunnel_packets: now
            .tunnel_packets
            .ok_or("a tenant without a limit on packets")?,
    })
}

fn element(verb: &str, slot: Slot, address: Ipv4Addr) -> String {
    format!("{verb} element inet maliknode mesh {{ \"wg{slot}\" . {address} }}\n")
}

/// Removes the firewall's tables, as if there had never been any.
pub fn remove_tables() -> Outcome<()> {
    let tables = [
        "inet maliknode",
        "inet maliknode_limits",
        "bridge maliknode",
    ];
    // An added table exists, so that its deletion does not fail.
    let text = tables.map(|t| format!("add table {t}\ndelete table {t}\n"));
    run_nft(&text.concat()).map(drop)
}

/// Runs `nft` as a script would.
fn run_nft(text: &str) -> Outcome<Duration> {
    let begun = Instant::now();
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = nft.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    if !nft.wait()?.success() {
        return Err(format!("nft refused {text:?}").into());
    }
    Ok(begun.elapsed())
}
