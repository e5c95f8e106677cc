//! Starts on a disk that is full or read-only.

use super::{LIMIT, failed_command, failed_start, status};
use crate::{
    converges, db_vs_machine, resolves,
    stack::{ServerOptions, Stack, run_here, wait_for},
};
use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

#[test]
fn a_full_disk_stops_only_changes() {
    let _bed = crate::exclusive_bed();
    let options = ServerOptions::with_root("full");
    let _disk = Disk::mount(&options.root);
    let mut stack = Stack::launch(options.clone());
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    fill(&options.root.join("ballast"));
    // A change that needs the disk is refused with a message.
    let form = [
        ("label", "Laptop"),
        ("routing", "network"),
        ("policy", "standard"),
    ];
    let page = wait_for("a change is refused", LIMIT, || {
        let n = fs::metadata(options.root.join("central_api/database.sqlite-wal"))
            .map_or(0, |m| m.len());
        let page = alice.post("/do/add_device", &form);
        (!is_a_device(&page.url)).then_some(page).or_else(|| {
            println!("added with a write-ahead log of {n} bytes");
            None
        })
    });
    assert!(page.body.contains("full"), "{}: {}", page.url, page.body);
    // What is in force stays, also over a restart.
    assert!(resolves(&device, alice.gateway));
    stack.kill();
    stack.spawn();
    let end = Instant::now() + Duration::from_secs(12);
    let mut served = false;
    while Instant::now() < end && stack.exit_status().is_none() && !served {
        served = status("/healthz").is_some_and(|(code, _)| code == 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = stack.log();
    assert!(
        served || log.contains("full"),
        "neither service nor a message: {log}"
    );
    assert!(resolves(&device, alice.gateway), "after a restart");
    let (_, report) = failed_command(&options, &["doctor"]);
    assert!(report.contains("the disk is full"), "{report}");

    fs::remove_file(options.root.join("ballast")).unwrap();
    if stack.exit_status().is_some() {
        stack.restart();
    }
    stack.wait_for_answer();
    let mut alice = stack.sign_in("alice");
    let page = alice.post("/do/add_device", &form);
    assert!(is_a_device(&page.url), "{}: {}", page.url, page.body);
    converges("everything is restored", LIMIT, || {
        db_vs_machine::matches(&stack)
    });
}

#[test]
fn a_read_only_disk_leaves_tunnels_running() {
    let _bed = crate::exclusive_bed();
    let options = ServerOptions::with_root("readonly");
    let disk = Disk::mount(&options.root);
    let mut stack = Stack::launch(options.clone());
    stack.wait_for_answer();
    let mut alice = stack.sign_up("alice");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    stack.stop();
    disk.remount("ro");
    stack.spawn();
    let output = failed_start(&mut stack);
    assert!(
        output.contains("read-only") || output.contains("cannot be used"),
        "{output}"
    );
    assert!(resolves(&device, alice.gateway), "what is in force stays");
    let (code, report) = failed_command(&options, &["doctor"]);
    assert!(
        code == 1 && report.contains("is on a read-only disk"),
        "{report}"
    );
    disk.remount("rw");
    stack.restart();
    converges("everything is restored", LIMIT, || {
        db_vs_machine::matches(&stack)
    });
}

/// A small disk mounted at a root.
struct Disk(String);

impl Disk {
    fn mount(root: &Path) -> Self {
        fs::create_dir_all(root).unwrap();
        let at = root.to_string_lossy().into_owned();
        run_here(&[
            "mount",
            "-t",
            "tmpfs",
            "-o",
            "size=24m,mode=0700",
            "maliknode-small",
            &at,
        ]);
        Self(at)
    }

    /// Remounts it for accesses through this path: containers use their own
    /// mounts, which stay writable.
    fn remount(&self, mode: &str) {
        run_here(&["mount", "-o", &format!("remount,bind,{mode}"), &self.0]);
    }
}

/// Returns whether a URL is that of a device's page, not of a form.
fn is_a_device(url: &str) -> bool {
    url.split("/devices/")
        .nth(1)
        .is_some_and(|id| id.starts_with(|c: char| c.is_ascii_digit()))
}

/// Fills the disk to the last byte.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    let mut chunk = vec![0; 1 << 16];
    while !chunk.is_empty() {
        if file.write_all(&chunk).is_err() {
            let half = chunk.len() / 2;
            chunk.truncate(half);
        }
    }
}
