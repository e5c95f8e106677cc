//! Calls of a worker about the folders of tenants that move.

use super::connection::{CallConnection, call_body, problem_of, unreachable, uri};
use domain::{ErrorCode, Message, Problem, Slot, TenantName};
use futures_util::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use protocol::{
    FolderCopy, FolderOwner, FolderReceipt, FolderStream, cannot_copy,
    wire::{FOLDER, FOLDER_SILENCE, OWNER},
};
use std::io;
use tokio::{sync::oneshot, time::timeout};

/// The longest receipt that is read, in bytes.
const MAX_RECEIPT_BYTES: usize = 4 << 10;

fn broken() -> Problem {
    Problem {
        code: ErrorCode::NodeUnreachable,
        message: Message::CopyBroken,
    }
}

fn path(copy: &FolderCopy) -> String {
    let FolderCopy {
        at,
        name,
        id,
        is_last,
    } = copy;
    uri(&format!(
        "{FOLDER}?slot={}&name={name}&copy={id}&last={is_last}",
        at.slot
    ))
}

/// Returns an answer, if it is a success.
async fn successful(answer: Response<Incoming>) -> Result<Response<Incoming>, Problem> {
    match answer.status() {
        status if status.is_success() => Ok(answer),
        // The version before.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Err(cannot_copy()),
        _ => Err(problem_of(answer).await),
    }
}

impl CallConnection {
    /// Reads a tenant's folder as an archive.
    ///
    /// # Errors
    /// The worker's problem; `NodeUnreachable`; `MoveRefused` from a worker of the version
    /// before.
    pub async fn read_folder(&self, copy: &FolderCopy) -> Result<FolderStream, Problem> {
        let asking = timeout(FOLDER_SILENCE, self.send(Method::GET, path(copy)));
        let answer = asking.await.unwrap_or_else(|_| Err(unreachable()))?;
        let body = successful(answer).await?.into_body();
        let pieces = stream::unfold(Some(body), |body| async {
            let mut body = body?;
            loop {
                match timeout(FOLDER_SILENCE, body.frame()).await {
                    Ok(None) => return None,
                    Ok(Some(Ok(frame))) => match frame.into_data() {
                        Ok(piece) => return Some((Ok(piece), Some(body))),
                        // Trailers mean nothing.
                        Err(_) => continue,
                    },
                    Ok(Some(Err(error))) => {
                        tracing::info!(%error, "a worker's archive of a folder broke off");
                        return Some((Err(broken()), None));
                    }
                    Err(_) => return Some((Err(broken()), None)),
                }
            }
        });
        Ok(pieces.boxed())
    }

    /// Writes an archive. Dropping the future cuts it short, so that the worker removes it.
    ///
    /// # Errors
    /// As [`read_folder`](Self::read_folder).
    pub async fn write_folder(
        &self,
        copy: &FolderCopy,
        owner: &FolderOwner,
        archive: FolderStream,
    ) -> Result<FolderReceipt, Problem> {
        let (_waiting, left) = oneshot::channel::<()>();
        let frames = archive.take_until(left).map(|piece| {
            let failed = |e: Problem| io::Error::other(e.code.to_string());
            piece.map(Frame::data).map_err(failed)
        });
        let request = Request::builder().method(Method::POST).uri(path(copy));
        let request = request.header(OWNER, owner.to_string());
        let request = request.body(call_body(StreamBody::new(frames)));
        let answer = self.send_request(request).await.map_err(|_| broken())?;
        let body = successful(answer).await?.into_body();
        let body = Limited::new(body, MAX_RECEIPT_BYTES).collect().await;
        let body = body.map_err(|_| broken())?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| broken())
    }

    /// Ends a copy.
    ///
    /// # Errors
    /// As [`read_folder`](Self::read_folder).
    pub async fn end_copy(&self, slot: Slot, name: &TenantName) -> Result<(), Problem> {
        let path = uri(&format!("{FOLDER}?slot={slot}&name={name}"));
        let asking = timeout(FOLDER_SILENCE, self.send(Method::DELETE, path));
        let answer = asking.await.unwrap_or_else(|_| Err(unreachable()))?;
        successful(answer).await.map(drop)
    }
}
