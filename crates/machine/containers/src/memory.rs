//! Measures the memory of our running containers, for the node's capacity. Asks
//! the engine for a list and one container's process, then reads the kernel's
//! files. The engine's own statistics would cost a request and some milliseconds
//! for each container.

use crate::{
    Docker,
    cgroup::{self, Controller, GroupPath},
    create_request::{INSTALLATION, MANAGED, SLOT, TENANT},
};
use bollard::{
    models::ContainerSummary,
    query_parameters::{InspectContainerOptions, ListContainersOptions},
};
use domain::{ErrorCode, Message, Slot};
use provisioning::{
    capacity::ContainerMemory,
    ports::{PortError, PortResult},
};
use std::{collections::HashMap, time::Duration};

/// Timeout of the list, and of inspecting one container.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many containers are inspected until one is found that still runs.
const MAX_INSPECTED: usize = 3;
/// How many shims are measured. They all use about the same.
const MAX_SHIMS: usize = 16;

/// The memory of our running containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainersMemory {
    /// The containers.
    pub containers: Vec<ContainerMemory>,
    /// The memory of a container's shim in bytes, on average.
    pub shim_bytes: u64,
}

impl Docker {
    /// Measures the memory of each of our running containers.
    ///
    /// # Errors
    /// `DockerUnavailable`; `MemoryUnknown` where the engine's processes are not
    /// visible to this process.
    pub async fn memory(&self) -> PortResult<ContainersMemory> {
        let running = self.running().await?;
        if running.is_empty() {
            return Ok(ContainersMemory::default());
        }
        let (id, pid) = self.any_process(&running).await?.ok_or_else(unknown)?;
        // Reading a kernel file is quick, but there may be a thousand of them.
        let read = tokio::task::spawn_blocking(move || {
            GroupPath::find(&id, pid, Controller::Memory).map(|path| read(&path, &running))
        });
        match read.await {
            Ok(Some(read)) if !read.containers.is_empty() => Ok(read),
            Ok(_) => Err(unknown()),
            Err(e) => Err(PortError::because(
                ErrorCode::Internal,
                Message::MemoryReadBrokeOff,
                e,
            )),
        }
    }

    /// Lists our running containers.
    pub(crate) async fn running(&self) -> PortResult<Vec<ContainerSummary>> {
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
        let list = self.engine.call(TIMEOUT, |api| async move {
            api.list_containers(Some(options)).await
        });
        list.await.map_err(|e| {
            e.into_port_error(
                ErrorCode::DockerUnavailable,
                Message::DockerContainersUnlisted,
            )
        })
    }

    /// Returns the id and the first process of one of these containers, or `None` if
    /// those that were inspected have just ended.
    pub(crate) async fn any_process(
        &self,
        running: &[ContainerSummary],
    ) -> PortResult<Option<(String, u32)>> {
        for summary in running.iter().take(MAX_INSPECTED) {
            let found = self.first_process(summary).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Returns a container's id and first process, or `None` if it has just ended.
    async fn first_process(&self, summary: &ContainerSummary) -> PortResult<Option<(String, u32)>> {
        let Some(id) = summary.id.clone() else {
            return Ok(None);
        };
        let inspected = self
            .engine
            .call(TIMEOUT, |api| {
                let id = id.clone();
                async move {
                    api.inspect_container(&id, None::<InspectContainerOptions>)
                        .await
                }
            })
            .await;
        match inspected {
            Ok(found) => {
                let pid = found.state.and_then(|s| u32::try_from(s.pid?).ok());
                Ok(pid.filter(|p| *p > 0).map(|pid| (id, pid)))
            }
            Err(e) if e.has_status(404) => Ok(None),
            Err(e) => Err(e.into_port_error(
                ErrorCode::DockerUnavailable,
                Message::DockerDnsContainerUninspected,
            )),
        }
    }
}

pub(crate) fn unknown() -> PortError {
    PortError::new(ErrorCode::MemoryUnknown, Message::ContainerMemoryUnknown)
}

fn read(path: &GroupPath, running: &[ContainerSummary]) -> ContainersMemory {
    let mut all = ContainersMemory::default();
    let mut shims = Vec::new();
    for summary in running {
        let label = |key: &str| summary.labels.as_ref().and_then(|l| l.get(key));
        // A container that has ended since the list has no group.
        let Some(usage) = summary.id.as_deref().and_then(|id| path.read(id).ok()) else {
            continue;
        };
        let process = cgroup::parent_and_age(usage.pid);
        if let Some((parent, _)) = process
            && shims.len() < MAX_SHIMS
            && cgroup::is_shim(parent)
        {
            shims.extend(cgroup::private_bytes(parent));
        }
        all.containers.push(ContainerMemory {
            slot: label(SLOT).and_then(|s| s.parse().ok()).and_then(Slot::new),
            tenant: label(TENANT).cloned().unwrap_or_default(),
            bytes: usage.bytes,
            age: process.map_or(Duration::ZERO, |(_, age)| age),
        });
    }
    all.shim_bytes = shims
        .iter()
        .sum::<u64>()
        .checked_div(shims.len() as u64)
        .unwrap_or(0);
    all
}
