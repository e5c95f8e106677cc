//! Copies what AdGuard Home has stored for a tenant to another node: here as an archive
//! ([`pack`]), there into a folder of its own beside those of tenants ([`staging`]), which
//! becomes the tenant's when it arrives. Nothing is held in memory but a few pieces.

mod copies;
mod format;
mod pack;
mod reception;
mod staging;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use copies::Copies;
pub use reception::Reception;
pub(crate) use staging::{adopt, sweep};

use crate::DiskFolders;
use bytes::Bytes;
use copies::{lock, remember, take};
use domain::{ErrorCode, Message, Problem, TenantName};
use futures_util::{StreamExt, stream};
use hostfs::{DiskAction, HeldDir, disk_error};
use pack::Sent;
use protocol::{CopyId, FolderReceipt, FolderStream, wire::FOLDER_SILENCE};
use provisioning::ports::{PortError, PortResult};
use staging::Staging;
use std::{io, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use unpack::UnpackError;

/// How many pieces wait for a slow reader.
const BUFFERED_PIECES: usize = 4;

fn busy() -> Problem {
    Problem {
        code: ErrorCode::Busy,
        message: Message::CopyBusy,
    }
}

fn refused(message: Message) -> Problem {
    Problem {
        code: ErrorCode::MoveRefused,
        message,
    }
}

fn problem(e: &PortError) -> Problem {
    tracing::warn!(code = %e.code, error = %e, cause = ?e.cause, "a folder cannot be copied");
    e.problem()
}

fn permit(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    of.clone().try_acquire_owned().map_err(|_| busy())
}

impl DiskFolders {
    /// Reads what AdGuard Home has stored for a tenant, as an archive. A second pass with the
    /// same id leaves out what has not changed since.
    ///
    /// # Errors
    /// `Busy` where too many copies are made.
    pub fn send(
        &self,
        name: &TenantName,
        id: &CopyId,
        is_last: bool,
    ) -> Result<FolderStream, Problem> {
        let permit = permit(&self.copies.sending)?;
        let before = take(&self.copies.sent, name, id);
        let (pieces, received) = mpsc::channel::<Result<Bytes, Problem>>(BUFFERED_PIECES);
        let folder = self.settings.tenant_dir(name).join("adguard_data");
        let (copies, name, id) = (self.copies.clone(), name.clone(), id.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let sink = pieces.clone();
            let work = move || -> PortResult<Option<Sent>> {
                let failed = || disk_error(DiskAction::Read, &folder);
                let opened = match HeldDir::open(&folder) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {
                        return pack::pack_nothing(&mut |piece| send(&sink, piece))
                            .map(|()| None)
                            .map_err(failed());
                    }
                    opened => opened.map_err(failed())?,
                };
                let sent = pack::pack(&opened, &before, is_last, &mut |piece| send(&sink, piece));
                match sent {
                    Ok(sent) => Ok(Some(sent)),
                    // The reader has left.
                    Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(None),
                    Err(e) => Err(failed()(e)),
                }
            };
            match copies.pool.run(work).await {
                Ok(Some(sent)) => remember(&copies.sent, name, id, sent),
                Ok(None) => {}
                // Where the reader has left, there is none to tell.
                Err(e) => drop(pieces.send(Err(problem(&e))).await),
            }
        });
        let stream = stream::unfold(received, |mut received| async {
            received.recv().await.map(|piece| (piece, received))
        });
        Ok(stream.boxed())
    }

    /// Stores an archive beside the tenants' folders. Nothing stays of one that is not whole.
    ///
    /// # Errors
    /// `MoveRefused` where it is damaged or too large, `Busy`, the stream's problem, and
    /// `DiskUnavailable`.
    pub async fn receive(
        &self,
        reception: Reception,
        mut archive: FolderStream,
    ) -> Result<FolderReceipt, Problem> {
        let _permit = permit(&self.copies.receiving)?;
        let staging = Staging::new(&self.settings, &reception.name);
        let begun = staging.claim().ok_or_else(busy)?;
        let before = take(&self.copies.received, &reception.name, &reception.id);
        let (pieces, mut received) = mpsc::channel::<Bytes>(BUFFERED_PIECES);
        let (reception, copies) = (Arc::new(reception), self.copies.clone());
        let writing = {
            let (reception, staging) = (reception.clone(), staging.clone());
            copies.pool.run(move || {
                let _begun = begun;
                Ok(staging.write(&reception, before, || received.blocking_recv()))
            })
        };
        let feeding = async move {
            loop {
                match tokio::time::timeout(FOLDER_SILENCE, archive.next()).await {
                    // It has failed, and says why.
                    Ok(Some(Ok(piece))) => match pieces.send(piece).await {
                        Ok(()) => {}
                        Err(_) => return Ok(()),
                    },
                    Ok(Some(Err(e))) => return Err(e),
                    Ok(None) => return Ok(()),
                    Err(_) => return Err(refused(Message::CopyBroken)),
                }
            }
        };
        // Where feeding fails, the archive is cut short, and what was written is removed.
        let (written, fed) = tokio::join!(writing, feeding);
        let written = written.map_err(|e| problem(&e))?;
        fed?;
        let (files, bytes) = written.map_err(|e| unpack_problem(e, &reception))?;
        let receipt = FolderReceipt {
            bytes,
            files: files.len() as u64,
        };
        let (name, id) = (reception.name.clone(), reception.id.clone());
        if !reception.is_last {
            remember(&copies.received, name, id, files);
        }
        Ok(receipt)
    }

    /// Removes what was stored for a tenant that did not arrive, and forgets its copies.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub async fn forget_copy(&self, name: &TenantName) -> PortResult<()> {
        lock(&self.copies.sent).remove(name);
        lock(&self.copies.received).remove(name);
        let name = name.clone();
        self.blocking(move |s| staging::remove(s, &name)).await
    }
}

fn send(to: &mpsc::Sender<Result<Bytes, Problem>>, piece: Bytes) -> io::Result<()> {
    let sent = to.blocking_send(Ok(piece));
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

fn unpack_problem(e: UnpackError, reception: &Reception) -> Problem {
    let tenant = &reception.name;
    match e {
        UnpackError::Damaged(why) => {
            tracing::warn!(%tenant, why, "an archive of a folder is refused");
            refused(Message::CopyDamaged)
        }
        UnpackError::TooLarge => refused(Message::CopyTooLarge {
            mebibytes: reception.max_bytes >> 20,
        }),
        UnpackError::Port(e) => problem(&e),
    }
}
