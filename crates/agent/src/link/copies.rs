//! Copies of tenants' folders, as the control plane asks for them. AdGuard Home is stopped
//! for the last pass by a hold that ends by itself, so that a control plane that dies leaves
//! no tenant without its filter.

use domain::{ErrorCode, Message, NodeId, Problem, Slot, TenantName};
use folders::{DiskFolders, Reception};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use protocol::{DiskSpace, FolderCopy, FolderOwner, FolderReceipt, FolderStream};
use provisioning::NodeHandle;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

/// How long AdGuard Home may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);
/// How long it stays stopped after the last pass: until the tenant is another node's.
const HOLD_TIME: Duration = Duration::from_secs(60);

/// How often it is looked whether the tenant is another node's by then.
const LEFT_INTERVAL: Duration = Duration::from_millis(500);

/// The folders of this machine, and the instances that are stopped for a copy.
#[derive(Clone)]
pub(crate) struct FolderCopies {
    node: NodeId,
    folders: DiskFolders,
    engine: NodeHandle,
    /// The most bytes of a tenant's files.
    max_bytes: u64,
    /// The part of the disk that stays free, in percent.
    min_free_percent: u8,
    /// The number of the newest hold of each slot.
    holds: Arc<Mutex<BTreeMap<Slot, u64>>>,
}

impl FolderCopies {
    pub fn new(
        node: NodeId,
        folders: DiskFolders,
        engine: NodeHandle,
        max_bytes: u64,
        min_free_percent: u8,
    ) -> Self {
        Self {
            node,
            folders,
            engine,
            max_bytes,
            min_free_percent,
            holds: Arc::default(),
        }
    }

    fn holds(&self) -> MutexGuard<'_, BTreeMap<Slot, u64>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Nodes::read_folder`](protocol::Nodes::read_folder).
    pub async fn read(&self, copy: &FolderCopy) -> Result<FolderStream, Problem> {
        let slot = copy.at.slot;
        let is_own = copy.at.node == self.node;
        if !is_own || self.engine.tenant_spec(slot, &copy.name).is_none() {
            return Err(refused(Message::CopyTenantAbsent));
        }
        if !copy.is_last {
            return self.folders.send(&copy.name, &copy.id, false);
        }
        let hold = self.stop(slot, &copy.name).await?;
        let archive = self.folders.send(&copy.name, &copy.id, true)?;
        Ok(HeldStream {
            archive,
            hold: Some(hold),
        }
        .boxed())
    }

    /// See [`Nodes::write_folder`](protocol::Nodes::write_folder).
    pub async fn write(
        &self,
        copy: &FolderCopy,
        owner: &FolderOwner,
        archive: FolderStream,
        disk: Option<DiskSpace>,
    ) -> Result<FolderReceipt, Problem> {
        let slot = copy.at.slot;
        let is_own = copy.at.node == self.node;
        if !is_own || self.engine.has_slot_or_name(slot, &copy.name) {
            return Err(refused(Message::CopyTenantPresent));
        }
        let room = disk.map_or(u64::MAX, |disk| {
            let kept = disk.total / 100 * u64::from(self.min_free_percent);
            disk.available.saturating_sub(kept)
        });
        let reception = Reception {
            name: copy.name.clone(),
            slot,
            owner: *owner,
            id: copy.id.clone(),
            is_last: copy.is_last,
            max_bytes: self.max_bytes.min(room),
        };
        self.folders.receive(reception, archive).await
    }

    /// See [`Nodes::end_copy`](protocol::Nodes::end_copy).
    pub async fn end(&self, slot: Slot, name: &TenantName) -> Result<(), Problem> {
        self.release(slot, None);
        let forgotten = self.folders.forget_copy(name).await;
        forgotten.map_err(|e| e.problem())
    }

    /// Stops a slot's AdGuard Home, and waits until it is stopped.
    async fn stop(&self, slot: Slot, name: &TenantName) -> Result<Hold, Problem> {
        let number = {
            let mut holds = self.holds();
            let number = holds.entry(slot).or_default();
            *number = number.wrapping_add(1);
            *number
        };
        let hold = Hold {
            copies: self.clone(),
            slot,
            name: name.clone(),
            number,
        };
        self.engine.set_copied(slot, true);
        let mut stopped = self.engine.stopped();
        let is_stopped = stopped.wait_for(|slots| slots.contains(&slot));
        match tokio::time::timeout(STOP_TIMEOUT, is_stopped).await {
            Ok(Ok(_)) => Ok(hold),
            _ => Err(refused(Message::CopyNotStopped)),
        }
    }

    /// Lets a slot's AdGuard Home run again, unless there is a newer hold than that number.
    fn release(&self, slot: Slot, number: Option<u64>) {
        let newest = self.holds().get(&slot).copied();
        if newest.is_some() && number.is_none_or(|number| newest == Some(number)) {
            self.engine.set_copied(slot, false);
        }
    }
}

fn refused(message: Message) -> Problem {
    Problem {
        code: ErrorCode::MoveRefused,
        message,
    }
}

/// Keeps a slot's AdGuard Home stopped.
struct Hold {
    copies: FolderCopies,
    slot: Slot,
    name: TenantName,
    number: u64,
}

impl Hold {
    /// Waits until the tenant is another node's, at most as long as it may take.
    async fn linger(self) {
        let has_left = async {
            while self
                .copies
                .engine
                .tenant_spec(self.slot, &self.name)
                .is_some()
            {
                tokio::time::sleep(LEFT_INTERVAL).await;
            }
        };
        if tokio::time::timeout(HOLD_TIME, has_left).await.is_err() {
            tracing::info!(tenant = %self.name, "the tenant has not moved; its AdGuard Home runs again");
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.copies.release(self.slot, Some(self.number));
    }
}

/// The archive of the last pass.
struct HeldStream {
    archive: FolderStream,
    hold: Option<Hold>,
}

impl Stream for HeldStream {
    type Item = <BoxStream<'static, Result<bytes::Bytes, Problem>> as Stream>::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.archive.poll_next_unpin(cx);
        match &next {
            // It was sent whole: the tenant is about to be another node's.
            Poll::Ready(None) => {
                if let Some(hold) = self.hold.take() {
                    tokio::spawn(hold.linger());
                }
            }
            Poll::Ready(Some(Err(_))) => self.hold = None,
            _ => {}
        }
        next
    }
}
