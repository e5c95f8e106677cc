//! The kernel's limit of inotify instances per user (inotify(7),
//! `/proc/sys/fs/inotify/max_user_instances`). Each AdGuard Home uses two, all of
//! them root's, and root's other programs need some too.

use super::report::{Check, run};
use crate::config::Config;
use domain::Message;
use std::fs;

const NAME: Message = Message::CheckWatches;
const PER_DNS_FILTER: usize = 2;

/// Reserved for Docker, systemd and other programs of root, and for the next few
/// tenants.
const RESERVED: usize = 48;

pub(super) fn check(config: &Config) -> Check {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances");
    let limit = limit.ok().and_then(|text| text.trim().parse().ok());
    // Each tenant has a folder; the parent does not exist before the first start.
    let tenants = fs::read_dir(config.root.join("users")).map_or(0, Iterator::count);
    match limit {
        Some(limit) => judge(limit, tenants),
        None => Check::ok(NAME, Message::WatchesUnlimited),
    }
}

fn judge(limit: usize, tenants: usize) -> Check {
    let enough = limit.saturating_sub(RESERVED) / PER_DNS_FILTER;
    let (limit, filters) = (limit as u64, enough as u64);
    if tenants <= enough {
        return Check::ok(NAME, Message::WatchesEnough { limit, filters });
    }
    Check::warn(
        NAME,
        Message::WatchesFew {
            limit,
            filters,
            tenants: tenants as u64,
        },
        run(
            "echo fs.inotify.max_user_instances=4096 >/etc/sysctl.d/60-maliknode.conf; sysctl --system",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    #[test]
    fn too_many_tenants_for_inotify_are_reported() {
        assert_eq!(judge(128, 0).state, State::Ok);
        assert_eq!(judge(128, 40).state, State::Ok);
        assert_eq!(judge(128, 41).state, State::Warn);
        assert_eq!(judge(4096, 1000).state, State::Ok);
        assert_eq!(judge(0, 1).state, State::Warn);
    }
}
