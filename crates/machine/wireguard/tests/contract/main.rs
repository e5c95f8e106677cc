//! Tests that both implementations fulfil the contract of the WireGuard port.
//!
//! The program does not use libtest: it enters a network namespace of its own before
//! it starts a thread, so that it does not touch the machine's network, and it also
//! serves as its own `maliknode wg-userspace`.
//!
//! `contract [FILTER]` tests the userspace implementation, `contract --kernel
//! [FILTER]` the kernel's (tools/dev/kernel-vm.sh, where the machine's has none).

#![allow(
    clippy::expect_used,
    reason = "a test without libtest, which clippy does not recognise as one"
)]

mod bed;
mod child;
mod client;
mod machine;

use bed::{Side, TestBed};
use nix::{
    sched::{CloneFlags, unshare},
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::{Gid, Uid},
};
use std::{fs, path::Path, process::ExitCode};
use testkit::wireguard_contract::{self, Tally};
use wireguard::userspace::host;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [command, flag, socket] = &args[..]
        && (command.as_str(), flag.as_str()) == ("wg-userspace", "--socket")
    {
        return serve(Path::new(socket));
    }
    let side = match args.iter().any(|a| a == "--kernel") {
        true => Side::Kernel,
        false => Side::Userspace,
    };
    // Arguments that `cargo test` passes on to libtest are ignored.
    let filter = args.iter().find(|a| !a.starts_with('-'));
    let filter = filter.map_or("", String::as_str);
    if args.iter().any(|a| a == "--list") {
        for (name, _) in wireguard_contract::cases() {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    isolate();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let tally = runtime.block_on(run(side, filter));
    for (name, why) in &tally.failed {
        println!("\n---- {name} ----\n{why}");
    }
    let verdict = if tally.failed.is_empty() {
        "ok"
    } else {
        "FAILED"
    };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; {} ignored",
        tally.passed,
        tally.failed.len(),
        tally.skipped
    );
    // Real implementations have clients, so a skipped case counts as a failure.
    ExitCode::from(u8::from(!tally.failed.is_empty() || tally.skipped > 0))
}

async fn run(side: Side, filter: &str) -> Tally {
    let bed = TestBed::new(side).await;
    let mut tally = wireguard_contract::run_all(&bed, filter).await;
    machine::run(&bed, filter, &mut tally).await;
    if side == Side::Userspace {
        child::run(&bed, filter, &mut tally).await;
    }
    if !tally.failed.is_empty() {
        let log = fs::read_to_string(bed.log()).unwrap_or_default();
        println!("---- the child's log ----\n{log}");
    }
    bed.end().await;
    tally
}

/// Runs `maliknode wg-userspace --socket PATH`. The kernel kills it when the test
/// ends, in whatever way.
fn serve(socket: &Path) -> ExitCode {
    set_pdeathsig(Signal::SIGKILL).expect("PR_SET_PDEATHSIG");
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| host::LOG_FILTER.to_owned());
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter(filter)
        .init();
    match host::run(socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:?}");
            ExitCode::FAILURE
        }
    }
}

/// Enters a network namespace. A user other than root becomes root in a user
/// namespace first.
fn isolate() {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (CAP_SYS_ADMIN)");
        return;
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .expect("a user namespace; where the machine forbids them, run this as root");
    fs::write("/proc/self/setgroups", "deny").expect("setgroups");
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).expect("uid_map");
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).expect("gid_map");
}

/// Runs a case that is not part of the contract and counts it.
async fn case(tally: &mut Tally, filter: &str, name: &'static str, body: impl Future<Output = ()>) {
    use futures_util::FutureExt;
    if !name.contains(filter) {
        return;
    }
    let limit = std::time::Duration::from_secs(60);
    let run = tokio::time::timeout(limit, body);
    let verdict = match std::panic::AssertUnwindSafe(run).catch_unwind().await {
        Ok(Ok(())) => {
            tally.passed += 1;
            "ok"
        }
        Ok(Err(_)) => {
            tally
                .failed
                .push((name, "it did not end in time".to_owned()));
            "FAILED (time)"
        }
        Err(_) => {
            tally
                .failed
                .push((name, "it panicked, see above".to_owned()));
            "FAILED"
        }
    };
    println!("test {name} ... {verdict}");
}
