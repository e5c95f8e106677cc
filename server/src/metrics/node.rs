//! The node in this process: what it changes on its machine.

use super::samples::Samples;
use provisioning::NodeHandle;

/// Adds the engine's figures.
pub(super) fn add_to(samples: &mut Samples, engine: &NodeHandle) {
    let lanes = engine.lane_figures();
    samples.durations(
        (
            "maliknode_reconcile_duration",
            "Time from the decision to change something on the machine until it is done or has failed, by what is changed",
        ),
        lanes.iter().map(|lane| {
            let labels = vec![("kind", lane.kind.to_owned())];
            (labels, lane.durations.clone())
        }),
    );
    samples.counters(
        (
            "maliknode_reconcile_failures",
            "Changes of the machine that failed and are tried again, by what is changed",
        ),
        lanes
            .iter()
            .map(|lane| (vec![("kind", lane.kind.to_owned())], lane.failures)),
    );
    let state = engine.node().borrow().clone();
    samples.gauge(
        (
            "maliknode_node_generation",
            "The generation of the spec that this node works with",
        ),
        None,
        state.generation as f64,
    );
    samples.gauge(
        (
            "maliknode_node_problems",
            "Problems of this machine as a whole",
        ),
        None,
        state.problems.len() as f64,
    );
}
