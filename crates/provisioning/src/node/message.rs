//! The messages that the node's tasks send to it.

use crate::{
    observed::{
        ObservedContainers, ObservedDns, ObservedFirewall, ObservedFolder, ObservedInterface,
        ObservedSpeed,
    },
    plan::{Lane, Step},
    ports::PortResult,
};
use domain::Slot;
use protocol::NodeSpec;
use std::{collections::BTreeMap, future::Future, sync::Arc};
use tokio::sync::mpsc::UnboundedSender;

/// The result of a task that the node started, or an event of a port. The numbers
/// are the epochs at which readings began.
pub(super) enum Message {
    Spec(PortResult<NodeSpec>),
    Wireguard(u64, PortResult<BTreeMap<Slot, ObservedInterface>>),
    Firewall(u64, PortResult<ObservedFirewall>),
    Shaping(u64, PortResult<BTreeMap<Slot, ObservedSpeed>>),
    Containers(u64, PortResult<ObservedContainers>),
    Folders(u64, PortResult<BTreeMap<String, ObservedFolder>>),
    Dns(Slot, u64, PortResult<ObservedDns>),
    Event(Port),
    /// With the spec that the steps were executed with.
    Done(Lane, Vec<Step>, Arc<NodeSpec>, PortResult<()>),
}

/// A port that can be read as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Wireguard,
    Firewall,
    Shaping,
    Containers,
    Folders,
}

/// Spawns a task that sends the result of the work.
pub(super) fn spawn_and_send(
    out: &UnboundedSender<Message>,
    work: impl Future<Output = Message> + Send + 'static,
) {
    let out = out.clone();
    tokio::spawn(async move {
        let _ = out.send(work.await);
    });
}
