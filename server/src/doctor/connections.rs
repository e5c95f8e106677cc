//! The kernel's table of tracked connections: whether it suffices for what tenants may
//! have. The server makes the settings when it starts, where it is permitted.

use super::report::{Check, run};
use crate::{config::Config, wiring::kernel_limits};
use conntrack::Reading;
use domain::Message;

const NAME: Message = Message::CheckConnections;

pub(super) fn check(config: &Config) -> Check {
    match kernel_limits(config).read() {
        Some(reading) => judge(&reading),
        None => Check::warn(
            NAME,
            Message::ConnectionsUnsupported,
            run("modprobe nf_conntrack_netlink"),
        ),
    }
}

fn judge(reading: &Reading) -> Check {
    let (entries, max, wanted) = (reading.entries, reading.max, reading.needed_max);
    let long = reading.long_timeouts.iter();
    let timeouts: Vec<String> = long
        .map(|(name, wanted)| format!("net.netfilter.{name}={wanted}"))
        .collect();
    let command = |settings: &[String]| run(format!("sysctl -w {}", settings.join(" ")));
    match (max < wanted, timeouts.is_empty()) {
        (true, _) => {
            let max_setting = format!("net.netfilter.nf_conntrack_max={wanted}");
            let fix = command(&[&[max_setting], &timeouts[..]].concat());
            Check::warn(NAME, Message::ConnectionsFew { max, wanted }, fix)
        }
        (false, false) => {
            let settings = timeouts.len() as u64;
            let found = Message::ConnectionsLong { settings };
            Check::warn(NAME, found, command(&timeouts))
        }
        (false, true) => Check::ok(NAME, Message::ConnectionsEnough { entries, max }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    #[test]
    fn a_small_table_and_long_timeouts_are_reported() {
        let reading = |max, long_timeouts| Reading {
            entries: 7,
            max,
            needed_max: 262_144,
            wanted_max: 700_000,
            long_timeouts,
        };
        assert_eq!(judge(&reading(262_144, vec![])).state, State::Ok);
        let tcp = ("nf_conntrack_tcp_timeout_established", 7440);
        let long = judge(&reading(300_000, vec![tcp]));
        assert_eq!(long.message, Message::ConnectionsLong { settings: 1 });
        let fix = |check: Check| texts::english().message(&check.fix.unwrap());
        assert_eq!(
            fix(long),
            "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=7440"
        );
        let small = judge(&reading(65_536, vec![tcp]));
        assert_eq!(small.state, State::Warn);
        assert_eq!(
            fix(small),
            "sysctl -w net.netfilter.nf_conntrack_max=262144 net.netfilter.nf_conntrack_tcp_timeout_established=7440"
        );
    }
}
