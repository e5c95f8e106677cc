//! What should stand by the database's rows, and whether just that stands:
//! nothing missing, nothing orphaned.

use super::{engine, stack::Stack};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

/// A tenant's row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number in the database.
    pub id: String,
    /// The slot.
    pub slot: u16,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Its devices' public keys, by label.
    pub devices: BTreeMap<String, String>,
}

/// The tenants the database has, by name.
pub fn rows(stack: &Stack) -> BTreeMap<String, Row> {
    let mut all: BTreeMap<String, Row> = sql(stack, "select username, id, slot, state from users")
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
    for r in sql(stack, devices) {
        // Read a moment later: whoever signed up meanwhile is looked at next time.
        if let Some(row) = all.get_mut(&r[0]) {
            row.devices.insert(r[1].clone(), r[2].clone());
        }
    }
    all
}

/// What a query finds, a word a column. Another program reads the file than
/// the one under test.
pub fn sql(stack: &Stack, query: &str) -> Vec<Vec<String>> {
    const READ: &str = "import sqlite3, sys
c = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, timeout=10)
for r in c.execute(sys.argv[2]): print('\\t'.join(str(v) for v in r))";
    let file = stack.root().join("central_api/database.sqlite");
    let out = Command::new("python3")
        .args(["-c", READ])
        .arg(file)
        .arg(query)
        .output()
        .expect("python3 runs");
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{query}: {err}");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = |l: &str| l.split('\t').map(str::to_owned).collect();
    text.lines().map(line).collect()
}

fn output(program: &str, words: &[&str]) -> Result<String, String> {
    let out = Command::new(program).args(words).output();
    let out = out.map_err(|e| format!("{program}: {e}"))?;
    if !out.status.success() {
        return Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&out.stderr)
        ));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn same<T: std::fmt::Debug + PartialEq>(what: &str, stands: T, wanted: T) -> Result<(), String> {
    if stands == wanted {
        return Ok(());
    }
    Err(format!("{what}: {stands:?} stand, {wanted:?} are wanted"))
}

/// Names such as `wg7` that follow `before` in a text.
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

/// Whether what stands is what the rows say, whole.
pub fn stands_as_the_rows_say(stack: &Stack) -> Result<(), String> {
    let rows = rows(stack);
    let active = || rows.iter().filter(|(_, r)| !r.suspended);
    let tunnels: BTreeSet<String> = active().map(|(_, r)| format!("wg{}", r.slot)).collect();

    let orphans = sql(stack, "pragma foreign_key_check");
    same("rows without what they refer to", orphans.len(), 0)?;
    let links = output("ip", &["-o", "link"])?;
    same("interfaces", interfaces(&links, ": "), tunnels.clone())?;
    let table = output("nft", &["list", "table", "inet", "maliknode"])?;
    same(
        "elements in the firewall",
        interfaces(&table, "\""),
        tunnels,
    )?;

    let format = "{{.Names}} {{.State}}";
    let found = output(
        "docker",
        &[
            "ps",
            "-a",
            "--filter",
            "name=adguard_user_",
            "--format",
            format,
        ],
    )?;
    let found: BTreeSet<String> = found.lines().map(str::to_owned).collect();
    let wanted = active().map(|(name, _)| format!("adguard_user_{name} running"));
    same("containers", found, wanted.collect())?;

    let users = fs::read_dir(stack.root().join("users"));
    let users = users.map_err(|e| format!("the folders: {e}"))?.flatten();
    // Folders of other names are other people's.
    let ours = |name: &String| name.starts_with("user_") || name.starts_with('.');
    let names = users.filter_map(|e| e.file_name().into_string().ok());
    let found: BTreeSet<String> = names.filter(ours).collect();
    let wanted = rows.keys().map(|name| format!("user_{name}")).collect();
    same("folders", found, wanted)?;
    for (name, row) in &rows {
        let file = stack
            .root()
            .join(format!("users/user_{name}/wg{}.conf", row.slot));
        let conf = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let peers = conf.lines().filter_map(|l| l.strip_prefix("PublicKey = "));
        let peers: BTreeSet<&str> = peers.collect();
        let wanted = row.devices.values().map(String::as_str).collect();
        same(&format!("peers in {}", file.display()), peers, wanted)?;
    }

    same("servers", engine::processes("serve").len(), 1)?;
    let children = engine::processes("wg-userspace").len();
    same("userspace WireGuards", children, 1)
}
