//! How many more tenants fit into the memory, computed as the server does.

use super::report::Check;
use crate::{backends::Backends, config::Config};
use domain::Slot;
use provisioning::capacity::{CapacityEstimate, Memory, estimate};
use texts::english;

const NAME: &str = "Memory";
const FIX: &str =
    "add memory, set a smaller memory_reserve_mb in config.toml, or delete unused tenants";

pub(super) async fn check(config: &Config) -> Check {
    let (total, available) = match memory::total_and_available() {
        Ok(free) => free,
        Err(e) => {
            return Check::warn(
                NAME,
                english().message(&e.message),
                "sign-ups are limited by free slots alone",
            );
        }
    };
    let free = format!("{} of {} free", gib(available), gib(total));
    let reading = match Backends::new(config) {
        Ok(backends) => backends.memory(config).read().await,
        Err(e) => Err(e),
    };
    let reading = match reading {
        Ok(reading) => reading,
        Err(e) => {
            return Check::warn(
                NAME,
                format!(
                    "{free}; what tenants cost cannot be measured: {}",
                    english().message(&e.message)
                ),
                "fix Docker first; until then sign-ups are limited by free slots alone",
            );
        }
    };
    // Every container of ours counts as a tenant: the database is not read here.
    let running = u32::try_from(reading.containers.len()).unwrap_or(u32::MAX);
    judge(
        &free,
        running,
        &estimate(&reading, config.memory_reserve(), |_| true),
    )
}

fn judge(free: &str, running: u32, capacity: &CapacityEstimate) -> Check {
    let more = capacity.max_tenants.saturating_sub(running);
    let each = match capacity.measured {
        0 => format!("{} per tenant, not measured yet", mib(capacity.per_tenant)),
        n => format!("{} per tenant, measured on {n}", mib(capacity.per_tenant)),
    };
    let reserve = mib(capacity.reserve);
    let message = format!("{free}, {reserve} of it reserved; {each}");
    if more == 0 {
        return Check::warn(
            NAME,
            format!("{message}; no more fit beside the {running} that run"),
            FIX,
        );
    }
    if capacity.max_tenants >= u32::from(Slot::LAST.get()) {
        return Check::ok(NAME, format!("{message}; enough for every slot"));
    }
    Check::ok(
        NAME,
        format!("{message}; {more} more fit beside the {running} that run"),
    )
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

    #[test]
    fn the_number_of_further_tenants_is_reported() {
        let some = judge("3.0 of 4.0 GiB free", 12, &capacity_for(90, 12));
        assert_eq!(
            (some.state, some.message.as_str()),
            (
                State::Ok,
                "3.0 of 4.0 GiB free, 512 MiB of it reserved; 33 MiB per tenant, measured on 12; \
                 78 more fit beside the 12 that run"
            )
        );
        let none = judge("0.1 of 4.0 GiB free", 12, &capacity_for(12, 12));
        assert_eq!(none.state, State::Warn);
        assert!(none.message.contains("no more fit") && none.fix.is_some());
        let all = judge("60.0 of 64.0 GiB free", 0, &capacity_for(1_800, 0));
        assert!(all.message.contains("not measured yet"), "{all:?}");
        assert!(all.message.ends_with("enough for every slot"), "{all:?}");
    }
}
