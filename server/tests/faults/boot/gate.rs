//! A boot where Docker is up first, and one where the firewall cannot be set: no
//! container runs before the table is there.

use super::{LIMIT, power_cut};
use crate::{
    converges, db_vs_machine,
    engine::{Engine, docker},
    netns::var,
    resolves,
    stack::{ServerOptions, Stack, run_here, wait_for},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

fn running() -> usize {
    let format = ["ps", "-q", "--filter", "label=maliknode.name"];
    docker(&format).split_whitespace().count()
}

fn has_table(nft: &Path) -> bool {
    let list = Command::new(nft)
        .args(["list", "chain", "inet", "maliknode", "from_container"])
        .output();
    list.is_ok_and(|o| o.status.success())
}

/// The machine's nft replaced by a program that fails, until it is dropped.
struct BrokenNft {
    real: PathBuf,
    place: String,
}

impl BrokenNft {
    fn new() -> Self {
        let dir = PathBuf::from(var("MALIKNODE_BED_DIR"));
        let (real, broken) = (dir.join("nft-real"), dir.join("nft-broken"));
        let place = run_here(&["sh", "-c", "readlink -f \"$(command -v nft)\""]);
        let place = place.trim().to_owned();
        fs::copy(&place, &real).expect("a copy");
        fs::write(&broken, "#!/bin/sh\necho 'nft is broken' >&2\nexit 1\n").expect("a file");
        fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).expect("its mode");
        // Only this bed's mounts have it.
        run_here(&["mount", "--bind", &broken.to_string_lossy(), &place]);
        Self { real, place }
    }
}

impl Drop for BrokenNft {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.place).status();
    }
}

#[test]
fn no_container_runs_before_the_table_is_there() {
    let _bed = crate::exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("gate"));
    stack.wait_for_answer();
    let engine = Engine::running();
    let mut alice = stack.sign_up("alice");
    stack.sign_up("bobby");
    let device = stack.add_device(&mut alice, "c1", "Phone", "network", false);
    assert_eq!(running(), 2);

    // Docker starts first, as at a boot where our unit is late or fails.
    power_cut(&mut stack, &engine);
    engine.start();
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        assert_eq!(running(), 0, "Docker starts none by itself");
        thread::sleep(Duration::from_millis(200));
    }

    // The server starts, and cannot set the table.
    let broken = BrokenNft::new();
    let nft = broken.real.clone();
    assert!(!has_table(&nft));
    stack.spawn();
    let end = Instant::now() + Duration::from_secs(8);
    while Instant::now() < end {
        assert_eq!(running(), 0, "without the table");
        thread::sleep(Duration::from_millis(200));
    }
    assert!(!has_table(&nft));
    stack.wait_for_answer();
    assert!(stack.log().contains("nft"), "the log says why");

    // From now on nft works; whenever a container runs, the table is there.
    let ended = Arc::new(AtomicBool::new(false));
    let (stop, path) = (ended.clone(), nft.clone());
    let watcher = thread::spawn(move || {
        let mut seen = 0;
        while !stop.load(Ordering::Relaxed) {
            if running() > 0 {
                assert!(has_table(&path), "a container runs without the table");
                seen += 1;
            }
        }
        seen
    });
    let begun = Instant::now();
    drop(broken);
    converges("everything is as before", LIMIT, || {
        db_vs_machine::matches(&stack)
    });
    let took = begun.elapsed();
    ended.store(true, Ordering::Relaxed);
    let seen = watcher.join().expect("the table was always there");
    println!(
        "everything runs {:.1} s after nft works; {seen} looks at running containers, the table \
         there each time",
        took.as_secs_f32()
    );
    device.reconnect();
    wait_for("DNS answers through the tunnel", LIMIT, || {
        resolves(&device, alice.gateway).then_some(())
    });
}
