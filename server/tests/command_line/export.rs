//! The audit log as a file.

use crate::server::Installation;
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

#[test]
fn an_export_has_all_entries_and_overwrites_nothing() {
    let installation = Installation::new();
    let _server = installation.serve();
    let run = |args: &[&str]| installation.run(args);
    run(&["tenant", "create", "lina", "--plan", "home"]).output();
    run(&["tenant", "create", "nadia", "--plan", "home"]).output();
    // More than a page has where none says how large it is.
    for n in 0..60 {
        run(&["reserved", "add", &format!("taken-{n}")]).output();
    }
    let listed = run(&["audit", "--limit", "1000", "--json"]).json();
    let lines = run(&["audit", "--export", "jsonl"]).output();
    let entries: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let objects = |entries: &[Value]| -> Vec<(String, String)> {
        let pair = |e: &Value| (e["action"].to_string(), e["object"].to_string());
        entries.iter().map(pair).collect()
    };
    assert_eq!(objects(&entries), objects(listed.as_array().unwrap()));

    let file = installation.folder.path().join("audit.csv");
    let path = file.to_str().unwrap();
    let export = [
        "audit", "--export", "csv", "--tenant", "lina", "--out", path,
    ];
    assert!(run(&export).output().contains(path));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("lina") && !text.contains("nadia"), "{text}");
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(run(&export).refusal(2).contains("--force"));
    fs::write(&file, "old").unwrap();
    run(&[&export[..], &["--force"]].concat()).output();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    // What is refused leaves nothing.
    let refused = installation.folder.path().join("refused.csv");
    let path = refused.to_str().unwrap();
    let until = ["audit", "--export", "csv", "--since", "x", "--out", path];
    run(&until).refusal(1);
    let names = fs::read_dir(installation.folder.path()).unwrap();
    let left = names.map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|n| n != "audit.csv").collect();
    let parts = left.iter().filter(|n| n.to_string_lossy().contains("csv"));
    assert_eq!(parts.count(), 0, "{left:?}");
}
