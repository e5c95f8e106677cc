//! Which control planes use the database: this one among them. One with a node of its own
//! is alone, because no other sees that node.

use crate::{config::Config, start_error::StartError};
use control::Entropy;
use domain::Message;
use std::{fs, io, path::Path};
use store::{ControlPlaneRecord, LOCAL_NODE, Store};

/// The longest file with the name of a control plane that is read, in bytes.
const MAX_NAME: usize = 64;

/// Returns the name of this control plane among those that use the database. One with a
/// node keeps its name over restarts: it would meet its former self otherwise. Without a
/// node several processes may use one root, so each has another name.
///
/// # Errors
/// The file with the name cannot be used, or there is no randomness.
pub(crate) fn name(config: &Config) -> Result<String, StartError> {
    let new = Entropy::system().process_name()?;
    if config.no_node {
        return Ok(new);
    }
    let path = config.central().join("control_plane");
    let unusable = |source| StartError::Folder {
        path: path.display().to_string(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(text) => match is_name(text.trim()) {
            true => Ok(text.trim().to_owned()),
            false => write(&path, new).map_err(unusable),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => write(&path, new).map_err(unusable),
        Err(source) => Err(unusable(source)),
    }
}

fn is_name(text: &str) -> bool {
    let is_plain = text.chars().all(|c| c.is_ascii_hexdigit());
    !text.is_empty() && text.len() <= MAX_NAME && is_plain
}

fn write(path: &Path, name: String) -> io::Result<String> {
    fs::write(path, format!("{name}\n"))?;
    Ok(name)
}

/// Notes that this control plane uses the database.
///
/// # Errors
/// Another one with a node is there, or this one has a node and another is there; the node
/// of this machine is a worker; the database does not answer.
pub(crate) async fn enter(config: &Config, store: &Store, name: &str) -> Result<(), StartError> {
    if store.is_sqlite() {
        return Ok(());
    }
    if !config.no_node && store.node(LOCAL_NODE).await?.is_worker() {
        return Err(StartError::from(&Message::LocalNodeIsWorker));
    }
    let address = config.nodes.own_address.as_deref();
    let all = store
        .note_control_plane(name, address, !config.no_node)
        .await?;
    let others = all.iter().filter(|other| other.id != name);
    let Some(refusal) = refusal(config.no_node, others) else {
        if let Some(message) = control::address_problem(&all) {
            let message = texts::english().message(&message);
            tracing::warn!("{message}");
        }
        return Ok(());
    };
    store.remove_control_plane(name).await?;
    Err(StartError::from(&refusal))
}

/// Returns why this control plane cannot be beside the others.
fn refusal<'a>(
    no_node: bool,
    others: impl Iterator<Item = &'a ControlPlaneRecord>,
) -> Option<Message> {
    let mut others = others.filter(|other| other.has_node || !no_node);
    let other = others.next()?;
    let address = other.address.clone().unwrap_or_else(|| other.id.clone());
    Some(match other.has_node {
        true => Message::ControlPlaneHasNode { address },
        false => Message::ControlPlanesBeside { address },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(has_node: bool) -> ControlPlaneRecord {
        ControlPlaneRecord {
            id: "0b".to_owned(),
            address: Some("https://10.0.0.2:8443".to_owned()),
            has_node,
            silent_millis: 0,
        }
    }

    #[test]
    fn only_control_planes_without_nodes_are_beside_each_other() {
        let address = || "https://10.0.0.2:8443".to_owned();
        let beside = |no_node, has_node| refusal(no_node, [other(has_node)].iter());
        assert_eq!(beside(true, false), None);
        let has_node = Message::ControlPlaneHasNode { address: address() };
        assert_eq!(beside(true, true), Some(has_node.clone()));
        assert_eq!(beside(false, true), Some(has_node));
        let beside_others = Message::ControlPlanesBeside { address: address() };
        assert_eq!(beside(false, false), Some(beside_others));
        assert_eq!(refusal(false, [].iter()), None);
    }

    #[test]
    fn one_with_a_node_keeps_its_name() {
        let root = tempfile::tempdir().unwrap();
        let config = |text: &str| {
            Config::from_text(root.path().to_owned(), "config.toml".into(), text).unwrap()
        };
        let with_node = config("");
        fs::create_dir_all(with_node.central()).unwrap();
        let first = name(&with_node).unwrap();
        assert_eq!(name(&with_node).unwrap(), first);
        fs::write(with_node.central().join("control_plane"), "../x\n").unwrap();
        let replaced = name(&with_node).unwrap();
        assert!(is_name(&replaced) && replaced != first);
        let alone = config(
            "no_node = true\ndatabase_url = \"postgres://u@h/d\"\n[nodes]\nlisten = \"0.0.0.0:1\"",
        );
        assert_ne!(name(&alone).unwrap(), name(&alone).unwrap());
    }
}
