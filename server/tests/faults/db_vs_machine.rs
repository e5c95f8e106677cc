//! Compares the machine with the database's rows: nothing may be missing, and
//! nothing orphaned.

use super::{engine, stack::Stack};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

/// A tenant's row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The tenant's number in the database.
    pub id: String,
    pub slot: u16,
    pub suspended: bool,
    /// The public keys of the tenant's devices, by label.
    pub devices: BTreeMap<String, String>,
}

/// Returns the tenants in the database, by name.
pub fn rows(stack: &Stack) -> BTreeMap<String, Row> {
    let mut all: BTreeMap<String, Row> = stack
        .query("select username, id, slot, state from users")
        .into_iter()
        .map(|r| {
            let row = Row {
                id: r[1].clone(),
                slot: r[2].parse().expect("a slot"),
                suspended: r[3] == "suspended",
                devices: BTreeMap::new(),
            };
            (r[0].clone(), row)
        })
        .collect();
    let devices =
        "select username, device_label, public_key from peers join users on users.id = user_id";
    for r in stack.query(devices) {
        // The devices are read a moment later: those of a tenant who signed up
        // meanwhile are read next time.
        if let Some(row) = all.get_mut(&r[0]) {
            row.devices.insert(r[1].clone(), r[2].clone());
        }
    }
    all
}

fn output(program: &str, args: &[&str]) -> Result<String, String> {
    let out = Command::new(program).args(args).output();
    let out = out.map_err(|e| format!("{program}: {e}"))?;
    if !out.status.success() {
        return Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&out.stderr)
        ));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn expect_equal<T: std::fmt::Debug + PartialEq>(
    what: &str,
    found: T,
    wanted: T,
) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, not {wanted:?}"))
}

/// Returns the names such as `wg7` that follow `before` in a text.
fn interfaces(text: &str, before: &str) -> BTreeSet<String> {
    let starts = text
        .match_indices(before)
        .map(|(i, _)| &text[i + before.len()..]);
    let names = starts.filter_map(|rest| {
        let digits: String = rest
            .strip_prefix("wg")?
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        (!digits.is_empty()).then(|| format!("wg{digits}"))
    });
    names.collect()
}

/// Checks that the machine is exactly what the rows say.
///
/// # Errors
/// The first difference.
pub fn matches(stack: &Stack) -> Result<(), String> {
    let rows = rows(stack);
    let active = || rows.iter().filter(|(_, r)| !r.suspended);
    let tunnels: BTreeSet<String> = active().map(|(_, r)| format!("wg{}", r.slot)).collect();

    let orphans = stack.query("pragma foreign_key_check");
    expect_equal("rows with dangling references", orphans.len(), 0)?;
    let links = output("ip", &["-o", "link"])?;
    expect_equal("interfaces", interfaces(&links, ": "), tunnels.clone())?;
    let table = output("nft", &["list", "table", "inet", "maliknode"])?;
    expect_equal(
        "elements in the firewall",
        interfaces(&table, "\""),
        tunnels,
    )?;

    let format = "{{.Label \"maliknode.name\"}} {{.State}}";
    let found = output(
        "docker",
        &[
            "ps",
            "-a",
            "--filter",
            "label=maliknode.name",
            "--format",
            format,
        ],
    )?;
    let found: BTreeSet<String> = found.lines().map(str::to_owned).collect();
    let wanted = active().map(|(name, _)| format!("adguard_user_{name} running"));
    expect_equal("containers", found, wanted.collect())?;

    let users = fs::read_dir(stack.root().join("users"));
    let users = users.map_err(|e| format!("the folders: {e}"))?.flatten();
    // Folders with other names are not ours.
    let ours = |name: &String| name.starts_with("user_") || name.starts_with('.');
    let names = users.filter_map(|e| e.file_name().into_string().ok());
    let found: BTreeSet<String> = names.filter(ours).collect();
    let wanted = rows.keys().map(|name| format!("user_{name}")).collect();
    expect_equal("folders", found, wanted)?;
    for (name, row) in &rows {
        let file = stack
            .root()
            .join(format!("users/user_{name}/wg{}.conf", row.slot));
        let conf = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let peers = conf.lines().filter_map(|l| l.strip_prefix("PublicKey = "));
        let peers: BTreeSet<&str> = peers.collect();
        let wanted = row.devices.values().map(String::as_str).collect();
        expect_equal(&format!("peers in {}", file.display()), peers, wanted)?;
    }

    expect_equal("servers", engine::processes_with_arg("serve").len(), 1)?;
    let wireguard = engine::processes_with_arg("wg-userspace").len();
    expect_equal("userspace WireGuard processes", wireguard, 1)
}
