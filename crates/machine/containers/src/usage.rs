//! Measures what each of our running containers uses of the processors and of the
//! memory, from the kernel's files.

use crate::{
    Docker,
    cgroup::{Controller, GroupPath},
    create_request::{SLOT, TENANT},
    memory::unknown,
};
use bollard::models::ContainerSummary;
use domain::{ErrorCode, Message, Slot};
use provisioning::ports::{PortError, PortResult};
use std::{sync::Arc, time::Duration};

/// How many containers are read in one go. Each takes about a tenth of a millisecond of
/// a processor.
const BATCH: usize = 50;
/// The pause between two batches: a thousand containers take half a second, in which
/// the processors are free for others.
const PAUSE: Duration = Duration::from_millis(25);

/// What a running container of ours uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// The slot on its label.
    pub slot: Option<Slot>,
    /// The tenant on its label.
    pub tenant: String,
    /// The engine's id.
    pub id: String,
    /// Private memory, in bytes: no page cache.
    pub memory_bytes: u64,
    /// Processor time since it started; `None` where the kernel does not account it.
    pub cpu: Option<Duration>,
}

impl Docker {
    /// Measures each of our running containers. One that ends meanwhile is left out.
    ///
    /// # Errors
    /// `DockerUnavailable`; `MemoryUnknown` where the engine's processes are not
    /// visible to this process.
    pub async fn usage(&self) -> PortResult<Vec<ContainerUsage>> {
        let running = self.running().await?;
        if running.is_empty() {
            return Ok(Vec::new());
        }
        let (id, pid) = self.any_process(&running).await?.ok_or_else(unknown)?;
        let memory = GroupPath::find(&id, pid, Controller::Memory).ok_or_else(unknown)?;
        let paths = Arc::new((memory, GroupPath::find(&id, pid, Controller::Cpu)));
        let mut all = Vec::with_capacity(running.len());
        let mut rest = running.into_iter();
        loop {
            let batch: Vec<_> = rest.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let paths = paths.clone();
            let read = move || -> Vec<_> {
                let read = |summary| read(&paths.0, paths.1.as_ref(), summary);
                batch.into_iter().filter_map(read).collect()
            };
            let read = tokio::task::spawn_blocking(read).await.map_err(|e| {
                PortError::because(ErrorCode::Internal, Message::MemoryReadBrokeOff, e)
            })?;
            all.extend(read);
            if rest.len() > 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(all)
    }
}

fn read(
    memory: &GroupPath,
    cpu: Option<&GroupPath>,
    summary: ContainerSummary,
) -> Option<ContainerUsage> {
    let id = summary.id?;
    let memory_bytes = memory.memory(&id).ok()?;
    let labels = summary.labels.unwrap_or_default();
    Some(ContainerUsage {
        slot: labels
            .get(SLOT)
            .and_then(|s| s.parse().ok())
            .and_then(Slot::new),
        tenant: labels.get(TENANT).cloned().unwrap_or_default(),
        memory_bytes,
        cpu: cpu.and_then(|path| path.cpu(&id).ok()),
        id,
    })
}
