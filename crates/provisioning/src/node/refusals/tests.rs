use super::*;
use crate::{
    observed::{ObservedContainer, ObservedDns},
    ports::PortError,
};
use domain::{ErrorCode, PrivateKey, Secret, TenantName};
use protocol::{TenantLimits, TenantSpec};
use std::sync::Arc;

const SLOT: Slot = Slot::FIRST;

fn spec(key: u8) -> NodeSpec {
    let tenant = TenantSpec {
        name: TenantName::parse("lina").unwrap(),
        slot: SLOT,
        private_key: PrivateKey::from_random([key; 32]),
        suspended: false,
        asleep: false,
        dns_password: Secret::new("secret"),
        dns_password_hash: "hash".to_owned(),
        limits: TenantLimits::default(),
        ipv6: None,
        devices: BTreeMap::new(),
    };
    NodeSpec {
        tenants: [(SLOT, Arc::new(tenant))].into(),
        ..NodeSpec::default()
    }
}

fn containers(id: &str) -> ObservedContainers {
    let container = ObservedContainer {
        id: id.to_owned(),
        name: "adguard_user_lina".to_owned(),
        slot: Some(SLOT),
        revision: String::new(),
        state: ContainerState::Running,
    };
    ObservedContainers {
        ours: vec![container],
        ..ObservedContainers::default()
    }
}

fn observed(id: &str, dns: Result<ObservedDns, Message>) -> Observed {
    fn unread<T>() -> Observation<T> {
        let e = PortError::new(ErrorCode::Busy, Message::NotReadYet);
        Observation::Unreadable(Arc::new(e))
    }
    let dns = dns.map_err(|message| PortError::new(ErrorCode::DnsUnavailable, message));
    Observed {
        wireguard: unread(),
        firewall: unread(),
        shaping: unread(),
        containers: Observation::Read(containers(id)),
        dns: [(SLOT, dns.into())].into(),
        folders: unread(),
    }
}

fn refused() -> Result<ObservedDns, Message> {
    let path = "AdGuardHome.yaml".to_owned();
    Err(Message::AdguardPasswordRefused { path })
}

/// Reads until a container is to be replaced. Returns how long that took.
async fn until_replaced(refusals: &mut Refusals, spec: &NodeSpec, id: &str) -> Duration {
    let begun = Instant::now();
    while !refusals.dns_read(SLOT, spec, &observed(id, refused())) {
        assert!(begun.elapsed() < Duration::from_secs(24 * 3600), "never");
        tokio::time::sleep(Duration::from_secs(7)).await;
    }
    assert_eq!(refusals.containers()[&SLOT], id);
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_container_that_refuses_us_is_replaced_once() {
    let (mut refusals, spec) = (Refusals::default(), spec(1));
    let mut read = |dns| refusals.dns_read(SLOT, &spec, &observed("c1", dns));
    assert!(!read(refused()), "one answer may be a mistake");
    assert!(!read(Ok(ObservedDns::default())));
    assert!(!read(refused()));
    assert!(
        !read(Err(Message::AdguardNotYet)),
        "it is silent for a moment"
    );
    assert!(read(refused()));
    assert!(!read(refused()), "it is being replaced already");
    assert_eq!(refusals.containers()[&SLOT], "c1");
    refusals.started(SLOT);
    assert!(refusals.containers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_refuses_again_is_replaced_ever_less_often() {
    let (mut refusals, spec) = (Refusals::default(), spec(1));
    let mut waits = Vec::new();
    for n in 0..9 {
        let id = format!("c{n}");
        let waited = until_replaced(&mut refusals, &spec, &id).await;
        waits.push(waited.as_secs() / 60);
        refusals.started(SLOT);
        // A container that answers in between does not make it more often.
        refusals.dns_read(SLOT, &spec, &observed(&id, Ok(ObservedDns::default())));
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn the_next_tenant_of_the_slot_is_not_the_earlier_one() {
    let (mut refusals, earlier, next) = (Refusals::default(), spec(1), spec(2));
    until_replaced(&mut refusals, &earlier, "c1").await;
    assert!(until_replaced(&mut refusals, &next, "c2").await < Duration::from_secs(30));
    let owner = next.tenants[&SLOT].private_key.public();
    let is_owner = |_: &Slot, key: PublicKey| key == owner;
    refusals.containers_read(is_owner, &containers("c2"));
    assert_eq!(refusals.containers()[&SLOT], "c2");
    // It was removed by another program.
    refusals.containers_read(is_owner, &containers("c3"));
    assert!(refusals.containers().is_empty());
    refusals.containers_read(|_, _| false, &containers("c3"));
    assert!(refusals.0.is_empty());
}
