//! The nodes: the list, a node's own page, the join command for a new machine, and what
//! the forms do.

mod facts;
mod join;
mod leave;
mod list;
mod moves;
mod node;

pub use join::JoinPage;
pub use list::NodesPage;
pub use node::NodePage;

use super::{refused, refused_with};
use crate::{
    context, cookies,
    forms::{self, AppError},
};
use domain::{Failure, NodeId, OperatorPermission};
use leptos::prelude::*;

/// Makes a join token: for a new machine, or for that of the node `id`. The next page
/// shows it once.
///
/// # Errors
/// Signed out, or the failures of `NodesHandle::create_token`.
#[server(prefix = "/do", endpoint = "create_join_token")]
pub async fn create_join_token(#[server(default)] id: Option<i64>) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        let node = id.map(NodeId);
        control.nodes().create_token(operator.owner()?, node).await
    }
    .await;
    let made = done.map_err(|f| refused(f, "/nodes/join"))?;
    cookies::JOIN_TOKEN.set(made.token.expose());
    forms::redirect("/nodes/join");
    Ok(())
}

/// Opens a node for new tenants or closes it.
///
/// # Errors
/// Signed out, or the failures of `NodesHandle::set_open`.
#[server(prefix = "/do", endpoint = "open_node")]
pub async fn open_node(id: i64, open: bool) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control
            .nodes()
            .set_open(operator.owner()?, NodeId(id), open)
            .await
    }
    .await;
    done.map_err(|f| refused(f, "/nodes"))?;
    forms::redirect("/nodes");
    Ok(())
}

/// Gives a worker another host, and tells how many devices must be configured again.
///
/// # Errors
/// Signed out, or the failures of `NodesHandle::set_host`.
#[server(prefix = "/do", endpoint = "set_node_host")]
pub async fn set_node_host(id: i64, #[server(default)] host: String) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control
            .nodes()
            .set_host(operator.owner()?, NodeId(id), &host)
            .await
    }
    .await;
    let devices = done.map_err(|f| refused_with(f, &path(id), &[("host", &host)]))?;
    let devices = devices.to_string();
    forms::redirect(&forms::url_with(&path(id), &[("devices", &devices)]));
    Ok(())
}

/// Refuses a worker's certificate from now on.
///
/// # Errors
/// Signed out, or the failures of `NodesHandle::revoke`.
#[server(prefix = "/do", endpoint = "revoke_node")]
pub async fn revoke_node(id: i64) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control.nodes().revoke(operator.owner()?, NodeId(id)).await
    }
    .await;
    done.map_err(|f| refused(f, &path(id)))?;
    forms::redirect(&path(id));
    Ok(())
}

/// Lets all tenants of a node be moved to others.
///
/// # Errors
/// Signed out, or the failures of `NodesHandle::drain`.
#[server(prefix = "/do", endpoint = "drain_node")]
pub async fn drain_node(id: i64, #[server(default)] without_data: bool) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        let nodes = control.nodes();
        nodes
            .drain(operator.owner()?, NodeId(id), without_data)
            .await
    }
    .await;
    done.map_err(|f| refused(f, &path(id)))?;
    forms::redirect("/nodes");
    Ok(())
}

/// Places the tenants of a silent or revoked worker on other nodes.
///
/// # Errors
/// Signed out, or the failures of `NodesHandle::lose`.
#[server(prefix = "/do", endpoint = "lose_node")]
pub async fn lose_node(id: i64) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control.nodes().lose(operator.owner()?, NodeId(id)).await
    }
    .await;
    done.map_err(|f| refused(f, &path(id)))?;
    forms::redirect("/nodes");
    Ok(())
}

/// Removes a worker, whose name is typed to confirm it.
///
/// # Errors
/// Signed out, or the failures of `NodesHandle::remove`.
#[server(prefix = "/do", endpoint = "remove_node")]
pub async fn remove_node(id: i64, #[server(default)] name: String) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control
            .nodes()
            .remove(operator.owner()?, NodeId(id), &name)
            .await
    }
    .await;
    done.map_err(|f| refused_with(f, &path(id), &[("name", &name)]))?;
    forms::redirect("/nodes");
    Ok(())
}

/// Returns `control` and the operator's permission. It is called before anything is
/// awaited.
fn ready() -> Result<(control::Control, OperatorPermission), Failure> {
    Ok((context::control()?, context::operator()?))
}

/// Returns the address of a node's page.
fn path(id: impl std::fmt::Display) -> String {
    format!("/nodes/{id}")
}
