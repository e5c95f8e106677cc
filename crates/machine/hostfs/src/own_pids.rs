//! The process ids of our own commands, so that their changes of the machine
//! are not reported as external changes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// How many process ids are remembered.
const CAPACITY: usize = 32;

/// The process ids of the last commands. A netlink notification names the port
/// of the socket that made the change, which for `nft`, `iptables` and `tc` is their
/// process id. Where it is not (another process id namespace, a port that was in
/// use), our own change is reported too, which costs one read that finds nothing
/// to do.
#[derive(Clone, Debug, Default)]
pub struct OwnPids(Arc<Mutex<VecDeque<u32>>>);

impl OwnPids {
    /// Remembers a command of ours.
    pub fn add(&self, pid: u32) {
        let mut pids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pids.len() == CAPACITY {
            pids.pop_front();
        }
        pids.push_back(pid);
    }

    /// Returns whether a netlink port is the process id of a command of ours.
    pub fn contains(&self, port: u32) -> bool {
        let pids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pids.contains(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_commands_are_remembered() {
        let own = OwnPids::default();
        (0..100).for_each(|pid| own.add(pid));
        assert!(own.contains(99) && own.contains(68) && !own.contains(67));
    }
}
