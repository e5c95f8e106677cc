//! A node in words: its state, its room, its memory.

use crate::ui::{Tone, format};
use domain::{
    ErrorCode, NodeStanding,
    view::{DiskView, NodeRow},
};

/// Returns tone and text of the chip for a node's state.
pub fn state(node: &NodeRow) -> (Tone, &'static str) {
    let has = |code| node.problems.iter().any(|p| p.code == code);
    match node.standing {
        NodeStanding::Revoked => (Tone::Bad, "Revoked"),
        _ if has(ErrorCode::NodeUnreachable) => (Tone::Warn, "Silent"),
        NodeStanding::Closed => (Tone::Plain, "Closed"),
        NodeStanding::Open => (Tone::Live, "Open"),
    }
}

/// Returns whether a worker's tenants cannot leave it in order.
pub fn is_lost(node: &NodeRow) -> bool {
    let is_silent = node
        .problems
        .iter()
        .any(|p| p.code == ErrorCode::NodeUnreachable);
    !node.is_local && (is_silent || node.standing == NodeStanding::Revoked)
}

/// Returns "12, room for 30 more".
pub fn tenants(node: &NodeRow) -> String {
    let held = format::thousands(node.tenants.into());
    match node.capacity.more {
        0 => format!("{held}, no room"),
        more => format!("{held}, room for {} more", format::thousands(more.into())),
    }
}

/// Returns how much of the memory is free, and what a tenant takes.
pub fn memory(node: &NodeRow) -> String {
    match &node.capacity.memory {
        Some(m) => format!(
            "{} of {} free, {} a tenant",
            format::bytes(m.free_bytes),
            format::bytes(m.total_bytes),
            format::bytes(m.each_bytes)
        ),
        None => "not measured".to_owned(),
    }
}

/// Returns how much of the disk is free.
pub fn disk(disk: Option<&DiskView>) -> String {
    match disk {
        Some(d) => format!(
            "{} of {} free",
            format::bytes(d.free_bytes),
            format::bytes(d.total_bytes)
        ),
        None => "not measured".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Message, NodeId, Problem, view::CapacityView};

    fn node() -> NodeRow {
        NodeRow {
            id: NodeId(2),
            name: "fra1".to_owned(),
            host: None,
            is_local: false,
            standing: NodeStanding::Open,
            tenants: 12,
            capacity: CapacityView {
                more: 1_030,
                ..CapacityView::default()
            },
            disk: None,
            wireguard: String::new(),
            version: None,
            last_heard: None,
            certificate_expires: None,
            problems: Vec::new(),
        }
    }

    #[test]
    fn a_silent_node_is_not_called_open() {
        let mut node = node();
        assert_eq!(state(&node), (Tone::Live, "Open"));
        node.problems = vec![Problem {
            code: ErrorCode::NodeUnreachable,
            message: Message::NodeNeverHeard,
        }];
        assert_eq!(state(&node), (Tone::Warn, "Silent"));
        node.standing = NodeStanding::Revoked;
        assert_eq!(state(&node), (Tone::Bad, "Revoked"));
        node.problems.clear();
        node.standing = NodeStanding::Closed;
        assert_eq!(state(&node), (Tone::Plain, "Closed"));
    }

    #[test]
    fn room_and_memory_are_told_in_words() {
        let mut node = node();
        assert_eq!(tenants(&node), "12, room for 1,030 more");
        node.capacity.more = 0;
        assert_eq!(tenants(&node), "12, no room");
        assert_eq!(memory(&node), "not measured");
        let half = DiskView {
            total_bytes: 100_000_000_000,
            free_bytes: 50_000_000_000,
            low: false,
        };
        assert_eq!(disk(Some(&half)), "50.0 GB of 100 GB free");
    }
}
