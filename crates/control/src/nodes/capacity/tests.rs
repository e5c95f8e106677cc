//! Tests of what follows from a node's report.

use super::*;
use protocol::{CapacityEstimate, DiskSpace};

const GIB: u64 = 1 << 30;

/// A machine whose memory suffices for that many tenants.
fn machine(max_tenants: u32) -> MachineState {
    MachineState {
        capacity: Some(CapacityEstimate {
            max_tenants,
            per_tenant: 40 << 20,
            measured: 5,
            reserve: GIB,
            total: 8 * GIB,
            available: 4 * GIB,
        }),
        ..MachineState::default()
    }
}

/// A machine whose memory cannot be read.
fn unreadable() -> MachineState {
    let path = "/proc/meminfo".to_owned();
    MachineState {
        problem: Some(Problem {
            code: ErrorCode::MemoryUnknown,
            message: Message::MeminfoUnreadable { path },
        }),
        ..MachineState::default()
    }
}

fn view(capacity: &Capacity, held: u32) -> CapacityView {
    capacity.view(held, 0)
}

fn problems(capacity: &Capacity, held: u32) -> Vec<(ErrorCode, Message)> {
    let problems = capacity.problems(&view(capacity, held));
    problems.into_iter().map(|p| (p.code, p.message)).collect()
}

#[test]
fn an_admitted_tenant_counts_before_it_runs() {
    let capacity = Capacity::new(Some(machine(10)), None);
    let view = view(&capacity, 4);
    assert_eq!((view.more, capacity.max_tenants()), (6, Some(10)));
    assert_eq!((view.slots_free, view.memory.unwrap().measured), (996, 5));
    assert_eq!(problems(&capacity, 4), []);
}

#[test]
fn a_full_node_says_what_is_taken() {
    let full = |capacity: &Capacity, held| match &problems(capacity, held)[..] {
        [(ErrorCode::NodeFull, message)] => message.clone(),
        other => panic!("{other:?}"),
    };
    let by_memory = Capacity::new(Some(machine(5)), Some(9));
    assert_eq!(full(&by_memory, 5), Message::NodeFullMemory);
    let by_limit = Capacity::new(Some(machine(9)), Some(5));
    assert_eq!(full(&by_limit, 5), Message::NodeFullLimit);
    assert_eq!(view(&by_limit, 5).limit, Some(5));
    let by_slots = Capacity::new(Some(machine(5_000)), None);
    assert_eq!(full(&by_slots, 1_000), Message::NodeFullSlots);
    assert_eq!(view(&by_slots, 1_000).more, 0);
}

#[test]
fn slots_decide_while_the_memory_is_unknown() {
    for machine in [None, Some(MachineState::default())] {
        let capacity = Capacity::new(machine, None);
        assert_eq!(
            (view(&capacity, 0).more, capacity.max_tenants()),
            (1_000, None)
        );
        assert_eq!(problems(&capacity, 0), []);
    }
    let capacity = Capacity::new(Some(unreadable()), None);
    assert_eq!(view(&capacity, 0).memory, None);
    let path = "/proc/meminfo".to_owned();
    let reason = Box::new(Message::MeminfoUnreadable { path });
    let unknown = (
        ErrorCode::MemoryUnknown,
        Message::MemoryUnmeasured { reason },
    );
    assert_eq!(problems(&capacity, 0), [unknown]);
    let limited = Capacity::new(Some(unreadable()), Some(3));
    assert_eq!(view(&limited, 1).more, 2);
}

#[test]
fn a_node_reports_its_own_limit() {
    let limited = MachineState {
        max_tenants: Some(4),
        ..machine(10)
    };
    let own = Capacity::new(Some(limited.clone()), None);
    assert_eq!(own.max_tenants(), Some(4));
    assert_eq!((view(&own, 3).more, view(&own, 5).more), (1, 0));
    assert_eq!(problems(&own, 4)[0].1, Message::NodeFullLimit);
    let both = Capacity::new(Some(limited), Some(3));
    assert_eq!(both.max_tenants(), Some(3));
}

#[test]
fn a_reading_that_failed_once_is_no_problem() {
    let last = MachineState {
        problem: unreadable().problem,
        ..machine(10)
    };
    assert_eq!(problems(&Capacity::new(Some(last), None), 1), []);
}

#[test]
fn slots_that_are_not_assigned_are_not_free() {
    let capacity = Capacity::new(Some(machine(2_000)), None);
    let view = capacity.view(3, 7);
    assert_eq!((view.slots_free, view.more), (990, 990));
    assert_eq!(capacity.view(998, 7).more, 0);
}

#[test]
fn a_nearly_full_disk_has_room_for_nobody() {
    let mut state = machine(10);
    let mut disk = DiskSpace {
        total: 100 * GIB,
        available: 4 * GIB,
        low: true,
    };
    state.disk = Some(disk);
    let low = Capacity::new(Some(state.clone()), Some(20));
    let now = view(&low, 5);
    assert_eq!((low.max_tenants(), now.more), (Some(0), 0));
    let [problem] = &low.problems(&now)[..] else {
        panic!("one problem");
    };
    assert_eq!(problem.message, Message::NodeFullDisk);
    disk.low = false;
    state.disk = Some(disk);
    let enough = Capacity::new(Some(state), Some(20));
    assert_eq!(view(&enough, 5).more, 5);
}
