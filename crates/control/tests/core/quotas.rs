//! Plans hold: what a tenant uses is counted, announced, and slower or stopped at the
//! limit, and its next month begins by itself.

use crate::rig::{Options, Rig, code, device};
use domain::{
    AtLimit, ErrorCode, OwnerScope, Plan, PublicKey, QuotaState, TenantHolderScope, TenantScope,
    Timestamp, view::DataView,
};
use protocol::TenantLimits;
use std::time::Duration;
use store::{LOCAL_NODE, Recorded, StatSample, Store};

const MB: u64 = 1_000_000;
const DAY: i64 = 86_400_000;
/// 2026-12-01 and 2027-01-01; the tests begin on 24 November.
const DECEMBER: Timestamp = Timestamp::from_secs(1_796_083_200);
const JANUARY: Timestamp = Timestamp::from_secs(1_798_761_600);

fn operator() -> OwnerScope {
    OwnerScope::issue("admin")
}

/// Gives the plan of the rig's tenants 10 MB, so that it is read several times a second.
async fn limit_plan(rig: &Rig, at_limit: AtLimit) -> Plan {
    let plans = rig.control.plans();
    let plan = Plan {
        monthly_bytes: Some(10 * MB),
        down_bps: Some(200 * MB),
        up_bps: Some(200 * MB),
        at_limit,
        ..plans.get(&operator(), "personal").await.unwrap()
    };
    plans.change(&operator(), plan.clone()).await.unwrap();
    plan
}

async fn running() -> Rig {
    let options = Options {
        runs_jobs: true,
        ..Options::default()
    };
    Rig::with(options).await
}

/// Creates a tenant with a device. Returns the device's key too.
async fn tenant(rig: &Rig, name: &str) -> (TenantHolderScope, PublicKey) {
    let scope = rig.tenant(name).await;
    let phone = rig.control.devices().add(&scope, device("Phone")).await;
    let key = PublicKey::parse(&phone.unwrap().public_key).unwrap();
    (scope, key)
}

fn count(rig: &Rig, key: PublicKey, bytes: u64) {
    let counters = (bytes / 2, bytes - bytes / 2);
    rig.machine.state().counters.insert(key, counters);
}

async fn data(rig: &Rig, scope: &TenantScope) -> DataView {
    let dashboard = rig.control.tenants().dashboard(scope).await.unwrap();
    assert_eq!(dashboard.usage.month_bytes, dashboard.usage.data.used_bytes);
    dashboard.usage.data
}

async fn until(rig: &Rig, scope: &TenantScope, holds: impl Fn(&DataView) -> bool) -> DataView {
    for _ in 0..1_500 {
        let data = data(rig, scope).await;
        if holds(&data) {
            return data;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it stays at {:?}", data(rig, scope).await);
}

async fn kinds(rig: &Rig, scope: &TenantScope) -> Vec<String> {
    let events = rig.store.tenant_events(scope, 100).await.unwrap();
    let kinds = events.into_iter().rev().map(|e| e.kind);
    kinds.filter(|k| k.starts_with("quota.")).collect()
}

async fn limits(store: &Store) -> TenantLimits {
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    spec.tenants.values().next().unwrap().limits
}

#[tokio::test]
async fn data_are_warned_of_and_then_slower() {
    let rig = running().await;
    limit_plan(&rig, AtLimit::Slow).await;
    let (lina, key) = tenant(&rig, "lina").await;
    rig.wait_until_ready(&lina).await;
    count(&rig, key, 8 * MB);
    let warned = until(&rig, &lina, |d| d.state == QuotaState::Warned).await;
    assert_eq!(
        (warned.used_bytes, warned.limit_bytes),
        (8 * MB, Some(10 * MB))
    );
    assert_eq!((warned.until, warned.period_end), (None, DECEMBER));
    let generation = rig.store.generation(LOCAL_NODE).await.unwrap();

    count(&rig, key, 10 * MB);
    let slowed = until(&rig, &lina, |d| d.state == QuotaState::Slowed).await;
    assert_eq!((slowed.used_bytes, slowed.until), (10 * MB, Some(DECEMBER)));
    let speed = limits(&rig.store).await.speed;
    assert_eq!((speed.down_bps, speed.up_bps), (Some(MB), Some(MB)));
    assert_eq!(
        rig.store.generation(LOCAL_NODE).await.unwrap(),
        generation + 1
    );
    assert_eq!(kinds(&rig, &lina).await, ["quota.warned", "quota.reached"]);
    // It is neither suspended nor has it a problem.
    let progress = rig.control.tenants().progress(&lina).await.unwrap();
    assert!(progress.status.is_ready());
    let row = rig.operator_view().await.tenants.remove(0);
    assert_eq!(
        (row.data.state, row.data.used_bytes),
        (QuotaState::Slowed, 10 * MB)
    );

    // The next month begins by itself.
    rig.clock.advance(DECEMBER.0 - 1_795_478_400_000);
    let open = until(&rig, &lina, |d| d.state == QuotaState::Open).await;
    assert_eq!((open.used_bytes, open.until), (0, None));
    assert_eq!((open.period_start, open.period_end), (DECEMBER, JANUARY));
    assert_eq!(limits(&rig.store).await.speed.down_bps, Some(200 * MB));
    let expected = ["quota.warned", "quota.reached", "quota.reset"];
    assert_eq!(kinds(&rig, &lina).await, expected);
    count(&rig, key, 11 * MB);
    until(&rig, &lina, |d| d.used_bytes == MB).await;
}

#[tokio::test]
async fn a_stopped_tenant_is_open_with_more_data() {
    let rig = running().await;
    let plan = limit_plan(&rig, AtLimit::Stop).await;
    let (lina, key) = tenant(&rig, "lina").await;
    count(&rig, key, 12 * MB);
    until(&rig, &lina, |d| d.state == QuotaState::Stopped).await;
    assert!(limits(&rig.store).await.stopped);
    // From nothing to all at once: the warning is left out.
    assert_eq!(kinds(&rig, &lina).await, ["quota.reached"]);
    let more = Plan {
        monthly_bytes: Some(100 * MB),
        ..plan.clone()
    };
    rig.control.plans().change(&operator(), more).await.unwrap();
    assert_eq!(data(&rig, &lina).await.state, QuotaState::Open, "at once");
    assert!(!limits(&rig.store).await.stopped);
    let less = Plan {
        monthly_bytes: Some(11 * MB),
        ..plan
    };
    rig.control.plans().change(&operator(), less).await.unwrap();
    assert_eq!(data(&rig, &lina).await.state, QuotaState::Stopped);
    let tenants = rig.control.tenants();
    assert!(tenants.set_plan(&operator(), &lina, "home").await.unwrap());
    assert_eq!(data(&rig, &lina).await.state, QuotaState::Open);
}

#[tokio::test]
async fn a_limit_reached_during_a_restart_is_found() {
    let store = Store::memory().await.unwrap();
    let before = Rig::with(Options {
        store: Some(store.clone()),
        ..Options::default()
    })
    .await;
    limit_plan(&before, AtLimit::Slow).await;
    let (lina, key) = tenant(&before, "lina").await;
    let sample = StatSample {
        public_key: key,
        rx_bytes: 10 * MB,
        tx_bytes: 0,
        last_handshake: None,
        endpoint: None,
    };
    let now = Timestamp::from_secs(1_795_478_400);
    let recorded = store
        .record_statistics(LOCAL_NODE, &[sample], None, now)
        .await;
    assert!(matches!(recorded.unwrap(), Recorded::Stored(quotas) if quotas[0].is_due()));
    // The process dies before it is settled.
    drop(before);
    let after = Rig::with(Options {
        store: Some(store),
        runs_jobs: true,
        ..Options::default()
    })
    .await;
    until(&after, &lina, |d| d.state == QuotaState::Slowed).await;
    assert_eq!(kinds(&after, &lina).await, ["quota.reached"]);
}

#[tokio::test]
async fn a_clock_that_jumps_back_announces_nothing_twice() {
    let rig = running().await;
    limit_plan(&rig, AtLimit::Slow).await;
    let (lina, key) = tenant(&rig, "lina").await;
    count(&rig, key, 8 * MB);
    until(&rig, &lina, |d| d.state == QuotaState::Warned).await;
    rig.clock.advance(-31 * DAY);
    count(&rig, key, 9 * MB);
    let back = until(&rig, &lina, |d| d.used_bytes == 9 * MB).await;
    assert_eq!(
        (back.state, back.period_end),
        (QuotaState::Warned, DECEMBER)
    );
    rig.clock.advance(31 * DAY);
    // A counter that restarts takes nothing back either.
    count(&rig, key, MB / 2);
    let data = until(&rig, &lina, |d| d.used_bytes != 9 * MB).await;
    assert_eq!(
        (data.used_bytes, data.state),
        (19 * MB / 2, QuotaState::Warned)
    );
    assert_eq!(kinds(&rig, &lina).await, ["quota.warned"]);
}

#[tokio::test]
async fn a_device_that_is_deleted_leaves_its_traffic() {
    let rig = Rig::new().await;
    limit_plan(&rig, AtLimit::Slow).await;
    let (lina, _) = tenant(&rig, "lina").await;
    for n in 1..=3 {
        let other = rig.control.devices().add(&lina, device("Burner")).await;
        let other = other.unwrap();
        count(&rig, PublicKey::parse(&other.public_key).unwrap(), 4 * MB);
        rig.control.devices().delete(&lina, other.id).await.unwrap();
        assert_eq!(data(&rig, &lina).await.used_bytes, n * 4 * MB);
    }
    assert_eq!(data(&rig, &lina).await.state, QuotaState::Slowed);
}

#[tokio::test]
async fn a_month_ends_at_the_tenants_midnight() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let tenants = rig.control.tenants();
    for unknown in ["", "Mars/Olympus", "../../etc/passwd"] {
        let refused = tenants.set_time_zone(&lina, unknown).await;
        assert_eq!(code(refused), ErrorCode::TimeZoneUnknown);
    }
    assert_eq!(data(&rig, &lina).await.time_zone, "UTC");
    tenants
        .set_time_zone(&lina, " europe/berlin")
        .await
        .unwrap();
    let data = data(&rig, &lina).await;
    assert_eq!(data.time_zone, "Europe/Berlin");
    assert_eq!(data.period_end, DECEMBER.plus_millis(-3_600_000));
    assert_eq!(data.end_offset_secs, 3_600);
    // October ended in winter time, one hour later than summer time has it.
    let start = Timestamp::from_secs(1_793_487_600);
    assert_eq!(data.period_start, start);
}
