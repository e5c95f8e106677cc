//! Plans as the operator edits them: bad input changes nothing, and a change is told
//! before.

use crate::rig::{FROM, Rig, code, device, form};
use domain::{AtLimit, ErrorCode, Failure, Field, OwnerScope, Plan};
use store::LOCAL_NODE;

fn operator() -> OwnerScope {
    OwnerScope::issue("admin")
}

/// Returns the plan of the rig's tenants.
async fn personal(rig: &Rig) -> Plan {
    let plan = rig.control.plans().get(&operator(), "personal").await;
    plan.unwrap()
}

fn field(failure: &Failure) -> (ErrorCode, Option<Field>) {
    (failure.code, failure.field)
}

#[tokio::test]
async fn a_plan_with_a_bad_value_changes_nothing() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let before = rig.control.plans().all(&operator()).await.unwrap();
    let generation = rig.store.generation(LOCAL_NODE).await.unwrap();
    let audit = rig.store.audit_recent(100).await.unwrap();
    let plan = personal(&rig).await;
    type Change = fn(&mut Plan);
    let bad: [(Field, Change); 8] = [
        (Field::Name, |p| p.name = String::new()),
        (Field::Devices, |p| p.devices = 0),
        (Field::Devices, |p| p.devices = 254),
        (Field::Data, |p| p.monthly_bytes = Some(0)),
        (Field::Down, |p| p.down_bps = Some(0)),
        (Field::Up, |p| p.up_bps = Some(10_000_000_000_001)),
        (Field::Slow, |p| p.slow_bps = 50_000_001),
        (Field::MonthDay, |p| p.month_day = 32),
    ];
    for (expected, change) in bad {
        let mut changed = plan.clone();
        change(&mut changed);
        let expected = (ErrorCode::PlanMalformed, Some(expected));
        let plans = rig.control.plans();
        let previewed = plans.preview(&operator(), &changed).await.unwrap_err();
        assert_eq!(field(&previewed), expected);
        let refused = plans.change(&operator(), changed.clone()).await;
        assert_eq!(field(&refused.unwrap_err()), expected);
        changed.id = "new".to_owned();
        let refused = plans.create(&operator(), changed).await.unwrap_err();
        assert_eq!(field(&refused), expected);
    }
    let taken = rig.control.plans().create(&operator(), plan.clone()).await;
    assert_eq!(
        field(&taken.unwrap_err()),
        (ErrorCode::PlanTaken, Some(Field::PlanId))
    );
    let unknown = Plan {
        id: "gold".to_owned(),
        ..plan
    };
    let changed = rig
        .control
        .plans()
        .change(&operator(), unknown.clone())
        .await;
    assert_eq!(code(changed), ErrorCode::NotFound);
    let previewed = rig.control.plans().preview(&operator(), &unknown).await;
    assert_eq!(code(previewed), ErrorCode::NotFound);
    let deleted = rig.control.plans().delete(&operator(), "gold").await;
    assert_eq!(code(deleted), ErrorCode::NotFound);
    let in_use = rig.control.plans().delete(&operator(), "personal").await;
    assert_eq!(code(in_use), ErrorCode::PlanInUse);

    assert_eq!(rig.control.plans().all(&operator()).await.unwrap(), before);
    assert_eq!(rig.store.generation(LOCAL_NODE).await.unwrap(), generation);
    assert_eq!(rig.store.audit_recent(100).await.unwrap(), audit);
}

#[tokio::test]
async fn a_hidden_plan_is_the_operators_to_give() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let hidden = Plan {
        id: "guest".to_owned(),
        visible: false,
        ..personal(&rig).await
    };
    rig.control
        .plans()
        .create(&operator(), hidden)
        .await
        .unwrap();
    let listed = rig.control.plans().list().await.unwrap();
    assert!(listed.iter().all(|p| p.id != "guest"));
    let mut guest = form("omar");
    guest.plan = "guest".to_owned();
    let refused = rig.control.tenants().sign_up(guest, FROM).await;
    assert_eq!(code(refused.map(|_| ())), ErrorCode::PlanUnknown);
    let tenants = rig.control.tenants();
    assert!(tenants.set_plan(&operator(), &lina, "guest").await.unwrap());
    let row = rig.operator_view().await.tenants.remove(0);
    assert_eq!(row.plan_id, "guest");
    let unknown = tenants.set_plan(&operator(), &lina, "gold").await;
    assert_eq!(code(unknown), ErrorCode::PlanUnknown);
    let all = rig.control.plans().all(&operator()).await.unwrap();
    let guest = all.iter().find(|p| p.plan.id == "guest").unwrap();
    assert_eq!(guest.tenants, 1);
}

#[tokio::test]
async fn a_plan_below_what_is_used_keeps_devices() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    for label in ["Phone", "Tablet"] {
        rig.control
            .devices()
            .add(&lina, device(label))
            .await
            .unwrap();
    }
    let smaller = Plan {
        devices: 1,
        at_limit: AtLimit::Stop,
        ..personal(&rig).await
    };
    let impact = rig.control.plans().preview(&operator(), &smaller).await;
    let impact = impact.unwrap();
    assert_eq!(
        (impact.tenants, impact.over_devices.first),
        (1, vec!["lina".to_owned()])
    );
    rig.control
        .plans()
        .change(&operator(), smaller)
        .await
        .unwrap();
    let network = rig.control.tenants().network(&lina).await.unwrap();
    assert_eq!((network.devices.len(), network.plan.devices), (2, 1));
    let more = rig.control.devices().add(&lina, device("Third")).await;
    assert_eq!(code(more), ErrorCode::DeviceLimit);
}
