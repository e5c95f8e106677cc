//! Reads the engine's list of containers: ours by their labels, and foreign
//! ones that have a name like ours.

use crate::{
    ContainerSettings,
    create_request::{NAME, REVISION, SLOT, is_ours},
};
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as EngineState};
use domain::{Slot, TenantName};
use provisioning::{
    observed::{ContainerState, ObservedContainer, ObservedContainers},
    spec::is_docker_name,
};

/// Converts the list of all containers. `image` says whether the engine has the
/// image.
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
        } else if name.starts_with(TenantName::CONTAINER_PREFIX) || is_docker_name(&name) {
            observed.foreign.insert(name);
        }
    }
    observed
}

fn name_of(summary: &ContainerSummary) -> Option<String> {
    let names = summary.names.as_deref()?;
    // Links give a container more names, which hold a second slash.
    let name = names
        .iter()
        .find_map(|n| n.strip_prefix('/').filter(|n| !n.contains('/')))?;
    Some(name.to_owned())
}

fn container_of(summary: ContainerSummary, name: String) -> ObservedContainer {
    let label = |key: &str| summary.labels.as_ref().and_then(|l| l.get(key));
    let slot = label(SLOT).and_then(|s| s.parse().ok()).and_then(Slot::new);
    let revision = label(REVISION).cloned().unwrap_or_default();
    // One without the label was created by an older version, under its published name.
    let is_ours = |name: &&String| {
        let tenant = name.strip_prefix(TenantName::CONTAINER_PREFIX);
        tenant.is_some_and(|tenant| TenantName::parse(tenant).is_ok())
    };
    let name = label(NAME).filter(is_ours).cloned().unwrap_or(name);
    ObservedContainer {
        slot,
        revision,
        state: state_of(summary.state),
        id: summary.id.unwrap_or_default(),
        name,
    }
}

fn state_of(state: Option<EngineState>) -> ContainerState {
    match state {
        Some(EngineState::RUNNING | EngineState::STOPPING) => ContainerState::Running,
        Some(EngineState::RESTARTING) => ContainerState::Restarting,
        Some(EngineState::PAUSED) => ContainerState::Paused,
        Some(EngineState::REMOVING) => ContainerState::Removing,
        Some(EngineState::DEAD) => ContainerState::Dead,
        Some(EngineState::CREATED | EngineState::EXITED | EngineState::EMPTY) | None => {
            ContainerState::Stopped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::create_request::owned;

    #[test]
    fn a_container_is_read_from_its_labels() {
        let summary = ContainerSummary {
            id: Some("abc".into()),
            names: Some(vec![
                "/web/linked".into(),
                "/adguard_00112233445566ff".into(),
            ]),
            labels: Some(
                [(SLOT, "7"), (REVISION, "r1"), (NAME, "adguard_user_abcd")]
                    .map(owned)
                    .into(),
            ),
            state: Some(EngineState::EXITED),
            ..Default::default()
        };
        let name = name_of(&summary).unwrap();
        let read = container_of(summary, name);
        assert_eq!(read.name, "adguard_user_abcd");
        assert_eq!(read.slot, Slot::new(7));
        assert_eq!(
            (read.revision.as_str(), read.state),
            ("r1", ContainerState::Stopped)
        );
    }

    #[test]
    fn a_name_like_ours_without_our_label_is_foreign() {
        let settings = ContainerSettings::new("image", domain::AddressPlan::default());
        let summary = |name: &str| ContainerSummary {
            names: Some(vec![format!("/{name}")]),
            ..Default::default()
        };
        let names = [
            "adguard_00112233445566ff",
            "adguard_user_abcd",
            "adguard_00112233445566fg",
            "adguard_1",
            "adguardhome",
        ];
        let list = names.map(summary).into();
        let foreign = observed(list, true, &settings).foreign;
        assert_eq!(
            foreign,
            names[..2].iter().map(|n| (*n).to_owned()).collect()
        );
    }
}
