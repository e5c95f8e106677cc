//! `maliknode worker join`: checks what can be checked before the token is used, joins,
//! and stores what the machine is now.

use super::files::{self, Membership};
use crate::{config::Config, console::print_line, start_error::StartError};
use domain::{Clock, Message, Secret, SystemClock};
use link::worker::{ControlPlane, JoinParts, Joined, LinkError, join_with_key};
use pki::{JoinToken, NodeKey};
use std::{fs, os::unix::fs::MetadataExt};
use store::DatabaseUrl;

/// What the operator says of a machine that joins.
#[derive(Debug)]
pub struct JoinArguments {
    pub token: Secret,
    /// The addresses of control planes, at least one.
    pub to: Vec<String>,
    /// `None` for the machine's own name.
    pub name: Option<String>,
    /// `None` for the setting `public_host`.
    pub host: Option<String>,
}

/// Joins the installation that the token is from.
///
/// # Errors
/// Why it did not work, and what to do.
pub async fn join(config: &Config, arguments: JoinArguments) -> Result<(), StartError> {
    if !is_root() {
        return Err(StartError::from(&Message::WorkerNeedsRoot));
    }
    refuse_a_second_time(config)?;
    let control_planes = parse_addresses(&arguments.to)?;
    let token: JoinToken = arguments.token.expose().parse().map_err(LinkError::from)?;
    let name = arguments.name.unwrap_or_else(host_name);
    let parts = JoinParts {
        token,
        name: name.clone(),
        host: arguments.host.unwrap_or_else(|| config.public_host.clone()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let is_first_attempt = !files::has_joining_key(config);
    let key = files::joining_key(config)?;
    let joined = match first_that_answers(&control_planes, &parts, &key).await {
        Ok(joined) => joined,
        Err(e) => {
            use LinkError::{Identity, Protocol, Refused};
            // A refusal is no lost answer. The key of an attempt before may still serve.
            let is_refusal = matches!(e, Refused { .. } | Identity { .. } | Protocol { .. });
            if is_first_attempt && is_refusal {
                files::remove_joining_key(config);
            }
            return Err(e.into());
        }
    };
    let membership = Membership {
        node: joined.node,
        name,
        control_planes: control_planes.iter().map(ToString::to_string).collect(),
        addresses: joined.addresses,
    };
    files::store(config, &membership, &joined)?;
    files::remove_joining_key(config);
    print_line(&format!(
        "This machine is node {} now, called {}. Start it: systemctl enable --now maliknode-worker (or maliknode worker run)",
        membership.node, membership.name
    ));
    Ok(())
}

async fn first_that_answers(
    control_planes: &[ControlPlane],
    parts: &JoinParts,
    key: &NodeKey,
) -> Result<Joined, LinkError> {
    let mut last = None;
    for to in control_planes {
        match join_with_key(to, parts.clone(), key, SystemClock.now()).await {
            Ok(joined) => return Ok(joined),
            // The answer may have been lost: with the same key the token still works.
            Err(
                e @ (LinkError::Unreachable { .. }
                | LinkError::Silent { .. }
                | LinkError::Broken { .. }),
            ) => last = Some(e),
            Err(e) => return Err(e),
        }
    }
    Err(last.unwrap_or_else(|| LinkError::Identity {
        message: Box::new(Message::ControlPlaneNotHeard),
    }))
}

fn refuse_a_second_time(config: &Config) -> Result<(), StartError> {
    if let Some(membership) = Membership::load(config)? {
        return Err(StartError::from(&Message::WorkerAlreadyJoined {
            node: membership.node.0.unsigned_abs(),
            path: config.worker().display().to_string(),
        }));
    }
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && path.exists()
    {
        return Err(StartError::from(&Message::WorkerRootServes {
            path: path.display().to_string(),
        }));
    }
    Ok(())
}

fn parse_addresses(to: &[String]) -> Result<Vec<ControlPlane>, StartError> {
    let parse = |text: &String| {
        let address = text.clone();
        let refused = |_| StartError::from(&Message::ControlPlaneAddress { address });
        text.parse().map_err(refused)
    };
    to.iter().map(parse).collect()
}

/// Returns whether this process runs as root: `/proc/self` belongs to its user.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
