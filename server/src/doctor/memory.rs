//! How many more tenants fit, by the memory, as the server reckons it.

use super::Check;
use crate::{
    config::Config,
    machine::Machine,
    memory::{self, MachineMemory},
};
use domain::Slot;
use provisioning::capacity::{Memory, Room, room};

const NAME: &str = "Memory";
const MORE: &str =
    "add memory, set a smaller memory_reserve_mb in config.toml, or delete tenants nobody uses";

pub(super) async fn check(config: &Config) -> Check {
    let (total, available) = match memory::free() {
        Ok(free) => free,
        Err(e) => return Check::warn(NAME, e.sentence, "sign-ups go by free slots alone"),
    };
    let free = format!("{} of {} free", gib(available), gib(total));
    let reading = match Machine::new(config) {
        Ok(machine) => {
            let memory: MachineMemory = machine.memory(config);
            memory.read().await
        }
        Err(e) => Err(e),
    };
    let reading = match reading {
        Ok(reading) => reading,
        Err(e) => {
            return Check::warn(
                NAME,
                format!(
                    "{free}; what tenants cost cannot be measured: {}",
                    e.sentence
                ),
                "mend what is said of Docker; until then sign-ups go by free slots alone",
            );
        }
    };
    // Every container of ours is a tenant's here: nobody is asked whose.
    let running = u32::try_from(reading.containers.len()).unwrap_or(u32::MAX);
    told(
        &free,
        running,
        &room(&reading, config.memory_reserve(), |_| true),
    )
}

fn told(free: &str, running: u32, room: &Room) -> Check {
    let more = room.most.saturating_sub(running);
    let each = match room.measured {
        0 => format!("{} a tenant, not measured yet", mib(room.each)),
        n => format!("{} a tenant, measured of {n}", mib(room.each)),
    };
    let reserve = mib(room.reserve);
    let sentence = format!("{free}, {reserve} of it to stay so; {each}");
    if more == 0 {
        return Check::warn(
            NAME,
            format!("{sentence}; no more fit beside the {running} that run"),
            MORE,
        );
    }
    if room.most >= u32::from(Slot::LAST.get()) {
        return Check::ok(NAME, format!("{sentence}; enough for every slot"));
    }
    Check::ok(
        NAME,
        format!("{sentence}; {more} more fit beside the {running} that run"),
    )
}

/// For people, in the units tools for memory show.
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    fn room_for(most: u32, measured: u32) -> Room {
        Room {
            most,
            each: 33 << 20,
            measured,
            reserve: 512 << 20,
            total: 4 << 30,
            available: 3 << 30,
        }
    }

    #[test]
    fn it_says_how_many_more_fit_and_what_helps_when_none_do() {
        let some = told("3.0 of 4.0 GiB free", 12, &room_for(90, 12));
        assert_eq!(
            (some.state, some.sentence.as_str()),
            (
                State::Ok,
                "3.0 of 4.0 GiB free, 512 MiB of it to stay so; 33 MiB a tenant, measured of 12; \
                 78 more fit beside the 12 that run"
            )
        );
        let none = told("0.1 of 4.0 GiB free", 12, &room_for(12, 12));
        assert_eq!(none.state, State::Warn);
        assert!(none.sentence.contains("no more fit") && none.mend.is_some());
        let all = told("60.0 of 64.0 GiB free", 0, &room_for(1_800, 0));
        assert!(all.sentence.contains("not measured yet"), "{all:?}");
        assert!(all.sentence.ends_with("enough for every slot"), "{all:?}");
    }
}
