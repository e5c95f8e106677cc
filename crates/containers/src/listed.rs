//! The engine's list of containers, read: ours by their labels, and who else
//! has a name like ours.

use crate::{
    ContainerSettings,
    body::{REVISION, SLOT, is_ours},
};
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State};
use domain::Slot;
use provisioning::observed::{ContainerState, ObservedContainer, ObservedContainers};

/// What our containers' names begin with.
const PREFIX: &str = "adguard_user_";

/// What a list of all containers says; `image` is whether the image is there.
pub fn observed(
    list: Vec<ContainerSummary>,
    image: bool,
    settings: &ContainerSettings,
) -> ObservedContainers {
    let mut observed = ObservedContainers {
        image,
        ..Default::default()
    };
    for summary in list {
        let Some(name) = name_of(&summary) else {
            continue;
        };
        if is_ours(summary.labels.as_ref(), settings) {
            observed.ours.push(container_of(summary, name));
        } else if name.starts_with(PREFIX) {
            observed.foreign.insert(name);
        }
    }
    observed
}

fn name_of(summary: &ContainerSummary) -> Option<String> {
    let names = summary.names.as_deref()?;
    // Links give a container further names, with a second slash in them.
    let name = names
        .iter()
        .find_map(|n| n.strip_prefix('/').filter(|n| !n.contains('/')))?;
    Some(name.to_owned())
}

fn container_of(summary: ContainerSummary, name: String) -> ObservedContainer {
    let label = |key: &str| summary.labels.as_ref().and_then(|l| l.get(key));
    let slot = label(SLOT).and_then(|s| s.parse().ok()).and_then(Slot::new);
    let revision = label(REVISION).cloned().unwrap_or_default();
    ObservedContainer {
        slot,
        revision,
        state: state_of(summary.state),
        id: summary.id.unwrap_or_default(),
        name,
    }
}

fn state_of(state: Option<State>) -> ContainerState {
    match state {
        Some(State::RUNNING | State::STOPPING) => ContainerState::Running,
        Some(State::RESTARTING) => ContainerState::Restarting,
        Some(State::PAUSED) => ContainerState::Paused,
        Some(State::REMOVING) => ContainerState::Removing,
        Some(State::DEAD) => ContainerState::Dead,
        Some(State::CREATED | State::EXITED | State::EMPTY) | None => ContainerState::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;

    #[test]
    fn a_container_is_read_from_its_labels() {
        let summary = ContainerSummary {
            id: Some("abc".into()),
            names: Some(vec!["/web/linked".into(), "/adguard_user_abcd".into()]),
            labels: Some([(SLOT, "7"), (REVISION, "r1")].map(body::owned).into()),
            state: Some(State::EXITED),
            ..Default::default()
        };
        let name = name_of(&summary).unwrap();
        let got = container_of(summary, name);
        assert_eq!(got.name, "adguard_user_abcd");
        assert_eq!(got.slot, Slot::new(7));
        assert_eq!(
            (got.revision.as_str(), got.state),
            ("r1", ContainerState::Stopped)
        );
    }
}
