//! How many more tenants fit into the memory, computed as the server does.

use super::report::Check;
use crate::{config::Config, wiring::agent_settings};
use agent::Backends;
use domain::{Message, Slot};
use protocol::CapacityEstimate;
use provisioning::capacity::{Memory, estimate};
use store::LOCAL_NODE;

const NAME: Message = Message::CheckMemory;

pub(super) async fn check(config: &Config) -> Check {
    let (total, available) = match memory::total_and_available() {
        Ok(free) => free,
        Err(e) => {
            return Check::warn(NAME, e.message, Message::FixMemoryUnread);
        }
    };
    let reading = match Backends::new(agent_settings(config, LOCAL_NODE)) {
        Ok(backends) => backends.memory().read().await,
        Err(e) => Err(e),
    };
    let reading = match reading {
        Ok(reading) => reading,
        Err(e) => {
            return Check::warn(
                NAME,
                Message::MemoryUnreadable {
                    available: gib(available),
                    total: gib(total),
                    reason: Box::new(e.message),
                },
                Message::FixMemoryUnmeasured,
            );
        }
    };
    // Every container of ours counts as a tenant: the database is not read here.
    let running = u32::try_from(reading.containers.len()).unwrap_or(u32::MAX);
    judge(
        available,
        total,
        running,
        &estimate(&reading, config.memory_reserve(), |_| true),
    )
}

fn judge(available: u64, total: u64, running: u32, capacity: &CapacityEstimate) -> Check {
    let more = capacity.max_tenants.saturating_sub(running);
    let each = mib(capacity.per_tenant);
    let each = match capacity.measured {
        0 => Message::MemoryEachEstimated { each },
        tenants => Message::MemoryEachMeasured {
            each,
            tenants: tenants.into(),
        },
    };
    let running = running.into();
    let fits = match more {
        0 => Message::MemoryFitsNone { running },
        _ if capacity.max_tenants >= u32::from(Slot::LAST.get()) => Message::MemoryFitsAll,
        _ => Message::MemoryFitsMore {
            more: more.into(),
            running,
        },
    };
    let message = Message::MemoryTenants {
        available: gib(available),
        total: gib(total),
        reserve: mib(capacity.reserve),
        each: Box::new(each),
        fits: Box::new(fits),
    };
    if more == 0 {
        return Check::warn(NAME, message, Message::FixMemory);
    }
    Check::ok(NAME, message)
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    fn capacity_for(max_tenants: u32, measured: u32) -> CapacityEstimate {
        CapacityEstimate {
            max_tenants,
            per_tenant: 33 << 20,
            measured,
            reserve: 512 << 20,
            total: 4 << 30,
            available: 3 << 30,
        }
    }

    fn text(check: &Check) -> String {
        texts::english().message(&check.message)
    }

    #[test]
    fn the_number_of_further_tenants_is_reported() {
        let some = judge(3 << 30, 4 << 30, 12, &capacity_for(90, 12));
        assert_eq!(
            (some.state, text(&some).as_str()),
            (
                State::Ok,
                "3.0 GiB of 4.0 GiB free, 512 MiB of it reserved; 33 MiB per tenant, measured on \
                 12; 78 more fit beside the 12 that run"
            )
        );
        let none = judge(1 << 27, 4 << 30, 12, &capacity_for(12, 12));
        assert_eq!(none.state, State::Warn);
        assert!(text(&none).contains("no more fit") && none.fix.is_some());
        let all = judge(60 << 30, 64 << 30, 0, &capacity_for(1_800, 0));
        assert!(text(&all).contains("not measured yet"), "{all:?}");
        assert!(text(&all).ends_with("enough for every slot"), "{all:?}");
    }
}
