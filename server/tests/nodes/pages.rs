//! A browser with JavaScript and a tenant on a worker: the tests of `end2end/nodes`, on the
//! cluster of the other tests.

use crate::{
    cluster::{LOCAL, shared_cluster},
    stack::{OPERATOR_PASSWORD, PORT, note_used_codes, operator, operator_key},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn a_browser_uses_a_tenant_on_a_worker() {
    let cluster = shared_cluster();
    // Another test may have used the link that makes it.
    operator(&cluster.stack);
    // The control plane's own node takes none, as where it has none.
    cluster.open_only(&["w1"]);
    let local = format!("SELECT tenants FROM nodes WHERE name = '{LOCAL}'");
    let before = cluster.query(&local);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../end2end");
    let status = Command::new(folder.join("node_modules/.bin/playwright"))
        .args(["test", "--config", "nodes.config.ts"])
        .current_dir(&folder)
        .env("BASE", format!("http://localhost:{PORT}"))
        .env("MALIKNODE_SERVER_LOG", cluster.stack.options().log())
        .env("MALIKNODE_OPERATOR_PASSWORD", OPERATOR_PASSWORD)
        .env("MALIKNODE_OPERATOR_KEY", operator_key(&cluster.stack))
        .env("CI", "1")
        .stdin(Stdio::null())
        .status();
    note_used_codes(&cluster.stack);
    // The bed runs as root. The files that the tests left get the owner of the checkout.
    let owner = fs::metadata(folder.join("package.json")).expect("the file");
    give(&folder.join("test-results"), owner.uid(), owner.gid());
    let status = status.expect("./dev setup --tests installs Playwright");
    assert!(status.success(), "{status}");
    assert_eq!(cluster.query(&local), before, "all are on the worker");
}

/// Gives a folder and all that is in it to a user.
fn give(path: &Path, user: u32, group: u32) {
    if !path.exists() {
        return;
    }
    chown(path, Some(user), Some(group)).expect("root may do that");
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        give(&entry.path(), user, group);
    }
}
