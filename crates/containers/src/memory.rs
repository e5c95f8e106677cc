//! What our running containers take, for the node's capacity. A list and one
//! look of the engine's, then the kernel's files: the engine's own statistics
//! cost it a request and milliseconds a container.

use crate::{
    Docker,
    body::{INSTALLATION, MANAGED, SLOT, TENANT},
    cgroup::{self, Place},
};
use bollard::{
    models::ContainerSummary,
    query_parameters::{InspectContainerOptions, ListContainersOptions},
};
use domain::{ErrorCode, Slot};
use provisioning::{
    capacity::ContainerMemory,
    ports::{PortError, PortResult},
};
use std::{collections::HashMap, time::Duration};

/// Longest wait for the list, and for the look at one.
const LOOK: Duration = Duration::from_secs(15);
/// Containers looked at until one is there still.
const LOOKS: usize = 3;
/// Shims that are measured: they are all alike.
const SHIMS: usize = 16;

/// What our running containers take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainersMemory {
    /// Each of them.
    pub containers: Vec<ContainerMemory>,
    /// What its shim takes beside each, bytes, on average.
    pub aside_each: u64,
}

impl Docker {
    /// Reads what every running container of ours takes.
    ///
    /// # Errors
    /// `DockerUnavailable`; `MemoryUnknown` where the engine's processes are
    /// not to be seen from here.
    pub async fn memory(&self) -> PortResult<ContainersMemory> {
        let running = self.running().await?;
        if running.is_empty() {
            return Ok(ContainersMemory::default());
        }
        let mut first = None;
        for summary in running.iter().take(LOOKS) {
            first = self.first_process(summary).await?;
            if first.is_some() {
                break;
            }
        }
        let (id, pid) = first.ok_or_else(unknown)?;
        // Files of the kernel: quick, but a thousand of them are not nothing.
        let read = tokio::task::spawn_blocking(move || {
            Place::find(&id, pid).map(|place| read(&place, &running))
        });
        match read.await {
            Ok(Some(read)) if !read.containers.is_empty() => Ok(read),
            Ok(_) => Err(unknown()),
            Err(e) => Err(PortError::because(
                ErrorCode::Internal,
                "A part of MalikNode broke off; it is tried again.",
                e,
            )),
        }
    }

    async fn running(&self) -> PortResult<Vec<ContainerSummary>> {
        let labels = vec![
            format!("{MANAGED}=1"),
            format!("{INSTALLATION}={}", self.settings.installation),
        ];
        let filters = HashMap::from([
            ("label".to_owned(), labels),
            ("status".to_owned(), vec!["running".to_owned()]),
        ]);
        let options = ListContainersOptions {
            filters: Some(filters),
            ..Default::default()
        };
        let list = self.engine.call(LOOK, |api| async move {
            api.list_containers(Some(options)).await
        });
        list.await.map_err(|t| {
            t.with(
                ErrorCode::DockerUnavailable,
                "Docker does not list its containers.",
            )
        })
    }

    /// A container's id and first process; `None` where it has just ended.
    async fn first_process(&self, summary: &ContainerSummary) -> PortResult<Option<(String, u32)>> {
        let Some(id) = summary.id.clone() else {
            return Ok(None);
        };
        let looked = self
            .engine
            .call(LOOK, |api| {
                let id = id.clone();
                async move {
                    api.inspect_container(&id, None::<InspectContainerOptions>)
                        .await
                }
            })
            .await;
        match looked {
            Ok(found) => {
                let pid = found.state.and_then(|s| u32::try_from(s.pid?).ok());
                Ok(pid.filter(|p| *p > 0).map(|pid| (id, pid)))
            }
            Err(t) if t.is(404) => Ok(None),
            Err(t) => Err(t.with(
                ErrorCode::DockerUnavailable,
                "Docker cannot look at a DNS container.",
            )),
        }
    }
}

fn unknown() -> PortError {
    PortError::new(
        ErrorCode::MemoryUnknown,
        "The memory of the DNS containers cannot be read: MalikNode has to run on the machine \
         itself, beside Docker.",
    )
}

fn read(place: &Place, running: &[ContainerSummary]) -> ContainersMemory {
    let mut all = ContainersMemory::default();
    let mut shims = Vec::new();
    for summary in running {
        let label = |key: &str| summary.labels.as_ref().and_then(|l| l.get(key));
        // One that has ended since has no group any more.
        let Some(group) = summary.id.as_deref().and_then(|id| place.read(id).ok()) else {
            continue;
        };
        let life = cgroup::life(group.pid);
        if let Some((parent, _)) = life
            && shims.len() < SHIMS
            && cgroup::is_shim(parent)
        {
            shims.extend(cgroup::private_bytes(parent));
        }
        all.containers.push(ContainerMemory {
            slot: label(SLOT).and_then(|s| s.parse().ok()).and_then(Slot::new),
            tenant: label(TENANT).cloned().unwrap_or_default(),
            bytes: group.bytes,
            age: life.map_or(Duration::ZERO, |(_, age)| age),
        });
    }
    all.aside_each = shims
        .iter()
        .sum::<u64>()
        .checked_div(shims.len() as u64)
        .unwrap_or(0);
    all
}
