//! `maliknode firewall`, as systemd runs it before Docker: the real binary, in a
//! network namespace of its own.

use crate::netns;
use std::process::Command;

/// Runs a shell script in a new network namespace, with the program as `$0` and a
/// root folder as `$1`, and returns its output.
fn in_new_network(script: &str) -> String {
    netns::require();
    let root = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--net", "sh", "-euc", script])
        .arg(netns::var("MALIKNODE_BIN"))
        .arg(root.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_table_is_made_once_and_then_left_alone() {
    let out = in_new_network(
        "$0 firewall --root $1
         nft -a list ruleset >$1/first
         grep -q 'chain from_container' $1/first
         $0 firewall --root $1
         nft -a list ruleset | cmp - $1/first
         nft flush ruleset
         $0 firewall --root $1
         nft add element inet maliknode ours '{ wg7 }'
         nft delete table bridge maliknode
         nft -a list ruleset >$1/changed
         $0 firewall --root $1
         nft -a list ruleset | cmp - $1/changed",
    );
    let lines: Vec<&str> = out.lines().collect();
    let [made, present, again, left] = lines[..] else {
        panic!("{out}");
    };
    assert!(made.contains("is in force, without tenants"), "{made}");
    assert!(present.contains("nothing was changed"), "{present}");
    assert_eq!(again, made);
    assert!(left.contains("left to the server"), "{left}");
}
