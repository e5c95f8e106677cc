//! Answers the control plane's calls about the folders of tenants that move: it reads one as
//! an archive, writes one, or ends a copy.

use super::responses::{Body, empty, json, problem, tenant, value};
use bytes::Bytes;
use domain::{ErrorCode, Message, NodeId, Problem, PublicKey};
use futures_util::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use protocol::{CopyId, FolderCopy, FolderStream, Location, Nodes, wire::OWNER};
use std::{io, sync::Arc};

fn not_understood() -> Problem {
    Problem {
        code: ErrorCode::BadRequest,
        message: Message::CopyDamaged,
    }
}

/// Reads the pass that a query is about. Nothing of it needs escapes.
fn copy(node: NodeId, uri: &Uri) -> Option<FolderCopy> {
    let (slot, name) = tenant(uri)?;
    Some(FolderCopy {
        at: Location { node, slot },
        name,
        id: CopyId::parse(value(uri, "copy")?)?,
        is_last: value(uri, "last")? == "true",
    })
}

/// Answers a call.
pub(super) async fn answer(
    node: NodeId,
    nodes: &Arc<dyn Nodes>,
    request: Request<Incoming>,
) -> Response<Body> {
    match *request.method() {
        Method::GET => match copy(node, request.uri()) {
            Some(copy) => read(nodes, &copy).await,
            None => problem(&not_understood()),
        },
        Method::POST => match copy(node, request.uri()) {
            Some(copy) => write(nodes, &copy, request).await,
            None => problem(&not_understood()),
        },
        Method::DELETE => match tenant(request.uri()) {
            Some((slot, name)) => match nodes.end_copy(Location { node, slot }, &name).await {
                Ok(()) => empty(StatusCode::NO_CONTENT),
                Err(e) => problem(&e),
            },
            None => problem(&not_understood()),
        },
        _ => empty(StatusCode::METHOD_NOT_ALLOWED),
    }
}

async fn read(nodes: &Arc<dyn Nodes>, copy: &FolderCopy) -> Response<Body> {
    match nodes.read_folder(copy).await {
        Ok(archive) => {
            // The cause is in the log here; the other side sees that the archive is cut short.
            let frames = archive.map(|piece| {
                let failed = |e: Problem| io::Error::other(e.code.to_string());
                piece.map(Frame::data).map_err(failed)
            });
            Response::new(StreamBody::new(frames).boxed_unsync())
        }
        Err(e) => problem(&e),
    }
}

async fn write(
    nodes: &Arc<dyn Nodes>,
    copy: &FolderCopy,
    request: Request<Incoming>,
) -> Response<Body> {
    let owner = request.headers().get(OWNER);
    let owner = owner.and_then(|owner| owner.to_str().ok());
    let Some(owner) = owner.and_then(|owner| PublicKey::parse(owner).ok()) else {
        return problem(&not_understood());
    };
    let archive = archive_of(request.into_body());
    json(nodes.write_folder(copy, &owner, archive).await)
}

/// Returns the archive that a message carries.
fn archive_of(body: Incoming) -> FolderStream {
    let pieces = stream::unfold(Some(body), |body| async {
        let mut body = body?;
        loop {
            match body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(piece) => return Some((Ok::<Bytes, Problem>(piece), Some(body))),
                    // Trailers mean nothing.
                    Err(_) => continue,
                },
                Err(error) => {
                    tracing::info!(%error, "an archive of a folder broke off");
                    let broken = Problem {
                        code: ErrorCode::NodeUnreachable,
                        message: Message::CopyBroken,
                    };
                    return Some((Err(broken), None));
                }
            }
        }
    });
    pieces.boxed()
}
