//! Data of a month: counted once, announced once, and open again with the next month.

use crate::{
    plans::{home, limits, operator, record, speed, tenant_with_device},
    statistics::{DAY, sample},
    test_database::{NOW, TestDatabase},
};
use domain::{AtLimit, Plan, QuotaState, TenantId, TenantScope, Timestamp};
use std::sync::Arc;
use store::{DeviceRecord, LOCAL_NODE, PeriodUse, QuotaChange, Recorded, Store};

const GB: u64 = 1_000_000_000;
/// 2025-06-01 and 2025-07-01; the tests begin on 15 June.
const JUNE: Timestamp = Timestamp::from_secs(1_748_736_000);
const JULY: Timestamp = Timestamp::from_secs(1_751_328_000);

async fn used(store: &Store, s: &TenantScope, now: Timestamp) -> PeriodUse {
    store.overview(s, JUNE).await.unwrap().used(now)
}

/// Records counters at a time, and settles what is due.
async fn read(
    store: &Store,
    d: &DeviceRecord,
    rx: u64,
    tx: u64,
    at: Timestamp,
) -> Vec<QuotaChange> {
    let batch = [sample(d, rx, tx)];
    let quotas = store.record_statistics(LOCAL_NODE, &batch, None, at).await;
    let Recorded::Stored(quotas) = quotas.unwrap() else {
        unreachable!("without an order every reading is stored")
    };
    let due: Vec<TenantId> = quotas
        .iter()
        .filter(|q| q.is_due())
        .map(|q| q.tenant)
        .collect();
    store.settle_quotas(LOCAL_NODE, &due, at).await.unwrap()
}

async fn events(store: &Store, s: &TenantScope) -> Vec<String> {
    let events = store.tenant_events(s, 100).await.unwrap();
    events.into_iter().rev().map(|e| e.kind).collect()
}

pub async fn bytes_of_a_month_are_counted_once(db: &TestDatabase) {
    let store = db.store().await;
    let (s, phone) = tenant_with_device(&store, "abcd").await;
    let (other, tablet) = tenant_with_device(&store, "efgh").await;
    let bytes = async |now| used(&store, &s, now).await.bytes;
    assert_eq!(used(&store, &s, NOW).await.period.start, JUNE);
    assert_eq!(used(&store, &s, NOW).await.period.end, JULY);
    read(&store, &phone, 100, 1_000, NOW).await;
    read(&store, &tablet, 7, 0, NOW).await;
    assert_eq!(bytes(NOW).await, 1_100);
    read(&store, &phone, 100, 1_000, NOW).await;
    assert_eq!(bytes(NOW).await, 1_100, "the same reading again");
    // The interface was made again, and counts from zero.
    read(&store, &phone, 50, 20, NOW.plus_millis(DAY)).await;
    assert_eq!(bytes(NOW).await, 1_170);
    // The clock is set back by a month, and right again.
    let back = NOW.plus_millis(-31 * DAY);
    read(&store, &phone, 60, 20, back).await;
    assert_eq!(bytes(back).await, 1_180, "no earlier period begins");
    read(&store, &phone, 61, 20, NOW).await;
    assert_eq!(bytes(NOW).await, 1_181);
    // A device that is deleted does not give its bytes back.
    store.delete_device(&s, phone.id, NOW).await.unwrap();
    assert_eq!(bytes(NOW).await, 1_181);
    assert_eq!(bytes(JULY.plus_millis(-1)).await, 1_181);
    assert_eq!(bytes(JULY).await, 0, "a month without a reading");
    assert_eq!(used(&store, &other, NOW).await.bytes, 7);
    read(&store, &tablet, 10, 0, JULY).await;
    let july = used(&store, &other, JULY).await;
    assert_eq!((july.bytes, july.period.start), (3, JULY));
    // The clock is set back before the month's begin, and forth.
    read(&store, &tablet, 15, 0, NOW).await;
    read(&store, &tablet, 16, 0, JULY.plus_millis(DAY)).await;
    let july = used(&store, &other, JULY).await;
    assert_eq!((july.bytes, july.period.start), (9, JULY));
}

pub async fn each_crossing_is_announced_once(db: &TestDatabase) {
    let store = db.store().await;
    let (s, phone) = tenant_with_device(&store, "abcd").await;
    let limit = 500 * GB;
    let generation = async || store.generation(LOCAL_NODE).await.unwrap();
    let before = generation().await;
    assert_eq!(read(&store, &phone, limit / 10 * 8 - 1, 0, NOW).await, []);
    let warned = read(&store, &phone, limit / 10 * 8, 0, NOW).await;
    assert_eq!(
        (warned[0].before, warned[0].after),
        (QuotaState::Open, QuotaState::Warned)
    );
    assert_eq!(generation().await, before, "nothing for the node");
    assert_eq!(read(&store, &phone, limit - 1, 0, NOW).await, []);
    assert_eq!(limits(&store).await, [speed(200_000_000)]);
    let reached = read(&store, &phone, limit, 0, NOW).await;
    assert_eq!(reached[0].after, QuotaState::Slowed);
    assert_eq!(generation().await, before + 1);
    assert_eq!(limits(&store).await, [speed(1_000_000)]);
    for (n, back) in [0, -31 * DAY, -62 * DAY, DAY].into_iter().enumerate() {
        let at = NOW.plus_millis(back);
        let again = read(&store, &phone, limit + n as u64, 0, at).await;
        assert_eq!(again, [], "{back}");
    }
    assert_eq!(events(&store, &s).await, ["quota.warned", "quota.reached"]);
    let detail = &store.tenant_events(&s, 1).await.unwrap()[0].detail;
    assert!(detail.contains(r#""until":"2025-07-01""#), "{detail}");
    assert!(detail.contains(r#""stopped":false"#), "{detail}");
    let audit = store.audit_recent(1).await.unwrap();
    assert_eq!(
        (audit[0].actor.as_str(), audit[0].action.as_str()),
        ("system", "quota.reached")
    );
    let tenant = store.tenant(&s).await.unwrap();
    assert_eq!(tenant.quota, QuotaState::Slowed);
    assert_eq!(tenant.state, store::TenantState::Active);
}

pub async fn a_new_month_opens_what_was_closed(db: &TestDatabase) {
    let store = db.store().await;
    let (s, phone) = tenant_with_device(&store, "abcd").await;
    let (warned, tablet) = tenant_with_device(&store, "efgh").await;
    let stop = Plan {
        at_limit: AtLimit::Stop,
        ..home(&store).await
    };
    store.change_plan(&operator(), &stop, NOW).await.unwrap();
    read(&store, &phone, 600 * GB, 0, NOW).await;
    read(&store, &tablet, 450 * GB, 0, NOW).await;
    assert!(limits(&store).await[0].stopped);
    let due = async |now| {
        let quotas = store.quotas(LOCAL_NODE, now).await.unwrap();
        let due = quotas.iter().filter(|q| q.is_due());
        due.map(|q| q.tenant).collect::<Vec<_>>()
    };
    assert_eq!(due(JULY.plus_millis(-1)).await, []);
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    let tenants = due(JULY).await;
    assert_eq!(tenants, [s.tenant(), warned.tenant()]);
    let changes = store.settle_quotas(LOCAL_NODE, &tenants, JULY).await;
    assert_eq!(changes.unwrap().len(), 2);
    assert_eq!(limits(&store).await, [speed(200_000_000); 2]);
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation + 1);
    assert_eq!(used(&store, &s, JULY).await.bytes, 0);
    // A clock that is set back brings nothing back.
    assert_eq!(due(NOW).await, []);
    assert_eq!(used(&store, &s, NOW).await.bytes, 0);
    assert_eq!(events(&store, &s).await, ["quota.reached", "quota.reset"]);
    assert_eq!(events(&store, &warned).await, ["quota.warned"]);
    assert_eq!(read(&store, &phone, 601 * GB, 0, JULY).await, []);
    assert_eq!(used(&store, &s, JULY).await.bytes, GB);
}

pub async fn quotas_far_from_their_limit_are_not_read(db: &TestDatabase) {
    let store = db.store().await;
    let (far, a) = tenant_with_device(&store, "abcd").await;
    let (near, b) = tenant_with_device(&store, "efgh").await;
    let (closed, c) = tenant_with_device(&store, "ijkl").await;
    let read_now = async |seconds| {
        let found = store.quotas_near_limit(LOCAL_NODE, seconds, NOW).await;
        let found = found.unwrap().into_iter();
        found.map(|q| q.tenant).collect::<Vec<_>>()
    };
    assert_eq!(read_now(120).await, [], "nothing is used");
    read(&store, &c, 600 * GB, 0, NOW).await;
    assert_eq!(read_now(120).await, [closed.tenant()], "it is slowed");
    record(&store, &a, 390 * GB).await;
    record(&store, &b, 410 * GB).await;
    assert_eq!(read_now(120).await, [near.tenant(), closed.tenant()]);
    let due = store.quotas_near_limit(LOCAL_NODE, 120, NOW).await.unwrap();
    assert!(due[0].is_due(), "{:?}", due[0]);
    let all = [far.tenant(), near.tenant(), closed.tenant()];
    assert_eq!(read_now(3_600).await, all, "at its speed, in an hour");
    // Numbers as large as the database has them.
    let huge = Plan {
        monthly_bytes: Some(i64::MAX.unsigned_abs()),
        down_bps: Some(i64::MAX.unsigned_abs()),
        up_bps: Some(i64::MAX.unsigned_abs()),
        ..home(&store).await
    };
    store.change_plan(&operator(), &huge, NOW).await.unwrap();
    let _ = read_now(120).await;
}

pub async fn a_crossing_that_was_not_settled_is_found(db: &TestDatabase) {
    let store = db.store().await;
    let (s, phone) = tenant_with_device(&store, "abcd").await;
    record(&store, &phone, 500 * GB).await;
    // The process died here.
    let quotas = store.quotas(LOCAL_NODE, NOW).await.unwrap();
    assert_eq!(quotas.len(), 1);
    assert_eq!(
        (quotas[0].state, quotas[0].due),
        (QuotaState::Open, QuotaState::Slowed)
    );
    let changes = store.settle_quotas(LOCAL_NODE, &[s.tenant()], NOW).await;
    assert_eq!(changes.unwrap().len(), 1);
    assert_eq!(events(&store, &s).await, ["quota.reached"]);
    let unknown = store.settle_quotas(LOCAL_NODE, &[TenantId(99)], NOW).await;
    assert_eq!(unknown.unwrap(), []);
}

pub async fn a_changed_day_ends_the_month_sooner(db: &TestDatabase) {
    let store = db.store().await;
    let (s, phone) = tenant_with_device(&store, "abcd").await;
    read(&store, &phone, 500 * GB, 0, NOW).await;
    let day = Plan {
        month_day: 20,
        ..home(&store).await
    };
    let changed = store.change_plan(&operator(), &day, NOW).await.unwrap();
    assert_eq!(changed.quotas, [], "the month goes on");
    let end = used(&store, &s, NOW).await.period.end;
    assert_eq!(end, JUNE.plus_millis(19 * DAY));
    let changes = store.settle_quotas(LOCAL_NODE, &[s.tenant()], end).await;
    assert_eq!(changes.unwrap()[0].after, QuotaState::Open);
    let next = used(&store, &s, end).await.period;
    assert_eq!(next.end, JULY.plus_millis(19 * DAY));
}

pub async fn a_move_ends_the_month_on_the_same_date(db: &TestDatabase) {
    let store = db.store().await;
    let (s, phone) = tenant_with_device(&store, "abcd").await;
    read(&store, &phone, 5, 0, NOW).await;
    let end = async |now| used(&store, &s, now).await.period.end;
    let move_to = async |zone, now| {
        let moved = store.set_time_zone(&s, zone, now).await;
        moved.unwrap();
    };
    let hour = 3_600_000;
    move_to("Pacific/Kiritimati", NOW).await;
    assert_eq!(end(NOW).await, JULY.plus_millis(-14 * hour));
    let early = JULY.plus_millis(-13 * hour);
    assert_eq!(
        used(&store, &s, early).await.bytes,
        0,
        "July has begun there"
    );
    read(&store, &phone, 8, 0, early).await;
    move_to("Pacific/Pago_Pago", early).await;
    assert_eq!(used(&store, &s, early).await.bytes, 3);
    let august = JULY.plus_millis(31 * DAY + 11 * hour);
    assert_eq!(
        end(JULY.plus_millis(DAY)).await,
        august,
        "and does not begin again"
    );
    assert_eq!(
        store.tenant(&s).await.unwrap().time_zone,
        "Pacific/Pago_Pago"
    );
    let audit = store.audit_recent(1).await.unwrap();
    assert_eq!(audit[0].action, "tenant.time_zone");
}

pub async fn concurrent_callers_settle_once(db: &TestDatabase) {
    let store = Arc::new(db.store().await);
    let (s, phone) = tenant_with_device(&store, "abcd").await;
    record(&store, &phone, 500 * GB).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, tenant) = (store.clone(), s.tenant());
            tokio::spawn(async move {
                let settled = store.settle_quotas(LOCAL_NODE, &[tenant], NOW).await;
                settled.unwrap().len()
            })
        })
        .collect();
    let mut settled = 0;
    for task in tasks {
        settled += task.await.unwrap();
    }
    assert_eq!(settled, 1);
    assert_eq!(events(&store, &s).await, ["quota.reached"]);
}
