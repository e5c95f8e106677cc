use super::*;
use domain::{Part, TenantStatus};
use futures_util::FutureExt;

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

fn tenant(applied: u64) -> Option<TenantState> {
    Some(TenantState {
        name: TenantName::parse("lina").unwrap(),
        applied,
        status: TenantStatus {
            tunnel: Part::Working,
            ..TenantStatus::default()
        },
    })
}

fn tenants(states: impl IntoIterator<Item = (u16, Option<TenantState>)>) -> NodeUpdate {
    NodeUpdate {
        tenants: states.into_iter().map(|(n, s)| (slot(n), s)).collect(),
        ..NodeUpdate::default()
    }
}

#[tokio::test]
async fn a_change_wakes_the_watchers_of_its_slot_alone() {
    let state = ReportedState::default();
    let (mut first, mut second) = (state.tenant_changes(slot(1)), state.tenant_changes(slot(2)));
    state.apply(tenants([(1, tenant(4))]));
    assert!(first.next().now_or_never().is_some());
    assert!(second.next().now_or_never().is_none());
    state.apply(tenants([(1, tenant(4))]));
    assert!(first.next().now_or_never().is_none(), "nothing has changed");
    state.apply(tenants([(1, None)]));
    assert!(first.next().now_or_never().is_some());
    assert_eq!(state.tenant(slot(1)), None);
}

#[tokio::test]
async fn a_whole_update_forgets_what_it_does_not_name() {
    let state = ReportedState::default();
    let mut update = tenants([(1, tenant(4)), (2, tenant(5))]);
    update.node = Some(NodeState::default());
    update.holders = Some(BTreeMap::new());
    state.apply(update);
    let (mut first, mut second) = (state.tenant_changes(slot(1)), state.tenant_changes(slot(2)));
    state.apply(NodeUpdate {
        whole: true,
        ..tenants([(2, tenant(5))])
    });
    assert!(first.next().now_or_never().is_some());
    assert!(second.next().now_or_never().is_none(), "it is the same");
    assert_eq!(
        (state.tenant(slot(1)), state.node(), state.holders()),
        (None, None, None)
    );
    assert_eq!(state.tenant(slot(2)), tenant(5));
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_has_a_problem_and_its_last_state() {
    let state = ReportedState::default();
    let mut update = tenants([(1, tenant(4))]);
    update.node = Some(NodeState {
        generation: 4,
        ..NodeState::default()
    });
    state.apply(update);
    let mut changes = state.node_changes();
    tokio::time::advance(SILENCE / 2).await;
    state.report_silence();
    assert!(changes.next().now_or_never().is_none());
    tokio::time::advance(SILENCE).await;
    state.report_silence();
    assert!(changes.next().now_or_never().is_some());
    let node = state.node().unwrap();
    let silent = Message::WorkerSilent { seconds: 24 };
    assert_eq!(node.problems.first().map(|p| &p.message), Some(&silent));
    assert_eq!((node.generation, state.tenant(slot(1))), (4, tenant(4)));
    state.apply(NodeUpdate::default());
    assert!(changes.next().now_or_never().is_some(), "it is back");
    assert_eq!(state.node().unwrap().problems, []);
}

#[tokio::test]
async fn a_raised_generation_is_that_of_all_that_were_at_the_former() {
    let state = ReportedState::default();
    let ready = TenantState {
        status: TenantStatus {
            firewall: Part::Ready { took_ms: 1 },
            tunnel: Part::Ready { took_ms: 2 },
            dns: Part::Ready { took_ms: 3 },
        },
        ..tenant(4).unwrap()
    };
    state.apply(tenants([
        (1, tenant(4)),
        (2, Some(ready)),
        (3, tenant(3)),
        (5, tenant(4)),
    ]));
    let mut second = state.tenant_changes(slot(2));
    let mut third = state.tenant_changes(slot(3));
    let mut update = tenants([(5, tenant(4))]);
    update.raised = Some(Raised { from: 4, to: 9 });
    state.apply(update);
    let applied = |n| state.tenant(slot(n)).map(|t| t.applied);
    assert_eq!([1, 2, 3, 5].map(applied), [9, 9, 3, 4].map(Some));
    assert!(second.next().now_or_never().is_some());
    assert!(third.next().now_or_never().is_none());
}
