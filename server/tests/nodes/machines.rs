//! Compares the workers' machines with the database's rows: nothing may be missing, and
//! nothing orphaned.

use crate::{cluster::Cluster, machine::Worker};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
};

/// A tenant's row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The tenant's number in the database.
    pub id: String,
    /// The name of its node.
    pub node: String,
    pub slot: u16,
    pub suspended: bool,
    /// The public keys of its devices, by label.
    pub devices: BTreeMap<String, String>,
}

/// Returns the tenants in the database, by name.
pub fn rows(cluster: &Cluster) -> BTreeMap<String, Row> {
    let sql = "SELECT username, users.id, nodes.name, slot, users.state FROM users \
               JOIN nodes ON nodes.id = node_id";
    let text = cluster.query(sql);
    let row = |line: &str| {
        let [name, id, node, slot, state] = columns(line);
        let row = Row {
            id,
            node,
            slot: slot.parse().expect("a slot"),
            suspended: state == "suspended",
            devices: BTreeMap::new(),
        };
        (name, row)
    };
    let mut all: BTreeMap<String, Row> = text.lines().map(row).collect();
    let sql =
        "SELECT username, device_label, public_key FROM peers JOIN users ON users.id = user_id";
    for line in cluster.query(sql).lines() {
        let [name, label, key] = columns(line);
        // The devices are read a moment later: those of a tenant who signed up meanwhile
        // are read next time.
        if let Some(row) = all.get_mut(&name) {
            row.devices.insert(label, key);
        }
    }
    all
}

fn columns<const N: usize>(line: &str) -> [String; N] {
    let all: Vec<String> = line.split('|').map(str::to_owned).collect();
    all.try_into()
        .unwrap_or_else(|all| panic!("{N} columns: {all:?}"))
}

fn expect_equal<T: Debug + PartialEq>(what: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, not {wanted:?}"))
}

/// Returns the names such as `wg7` that follow `before` in a text.
fn interfaces(text: &str, before: &str) -> BTreeSet<String> {
    let starts = text.match_indices(before);
    let starts = starts.map(|(i, _)| &text[i + before.len()..]);
    let names = starts.filter_map(|rest| {
        let digits = rest.strip_prefix("wg")?.chars();
        let digits: String = digits.take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then(|| format!("wg{digits}"))
    });
    names.collect()
}

/// Checks that each worker's machine is exactly what the rows say.
///
/// # Errors
/// The first difference.
pub fn match_database(cluster: &Cluster) -> Result<(), String> {
    let rows = rows(cluster);
    for worker in &cluster.workers {
        let node = &worker.machine.name;
        let own = rows.iter().filter(|(_, r)| r.node == *node).collect();
        matches(worker, &own).map_err(|e| format!("{node}: {e}"))?;
    }
    Ok(())
}

fn matches(worker: &Worker, rows: &BTreeMap<&String, &Row>) -> Result<(), String> {
    let machine = &worker.machine;
    let active = || rows.iter().filter(|(_, r)| !r.suspended);
    let tunnels: BTreeSet<String> = active().map(|(_, r)| format!("wg{}", r.slot)).collect();
    let links = machine.output(&["ip", "-o", "link"])?;
    expect_equal("interfaces", interfaces(&links, ": "), tunnels.clone())?;
    let table = machine.output(&["nft", "list", "table", "inet", "maliknode"])?;
    expect_equal("elements", interfaces(&table, "\""), tunnels)?;

    let format = "{{.Label \"maliknode.name\"}} {{.State}}";
    let ours = "label=maliknode.name";
    let found = machine.output(&["docker", "ps", "-a", "--filter", ours, "--format", format])?;
    let found: BTreeSet<String> = found.lines().map(str::to_owned).collect();
    let wanted = active().map(|(name, _)| format!("adguard_user_{name} running"));
    expect_equal("containers", found, wanted.collect())?;

    let users = worker.root().join("users");
    let folders = fs::read_dir(&users).into_iter().flatten().flatten();
    let names = folders.filter_map(|e| e.file_name().into_string().ok());
    let found: BTreeSet<String> = names.collect();
    let wanted = rows.keys().map(|name| format!("user_{name}")).collect();
    expect_equal("folders", found, wanted)?;
    for (name, row) in rows {
        let file = users.join(format!("user_{name}/wg{}.conf", row.slot));
        let conf = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let peers = conf.lines().filter_map(|l| l.strip_prefix("PublicKey = "));
        let peers: BTreeSet<&str> = peers.collect();
        let wanted = row.devices.values().map(String::as_str).collect();
        expect_equal(&format!("peers in {}", file.display()), peers, wanted)?;
    }
    Ok(())
}
