//! Cases about the child process of the userspace implementation: how it starts,
//! which clients it accepts, and what happens when it dies.

use crate::{bed::TestBed, case};
use domain::{Message, PrivateKey, Slot};
use futures_util::StreamExt;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, getsid},
};
use provisioning::{ports::WireGuard, spec::InterfaceSpec};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};
use testkit::{expected, wireguard_contract::Tally};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use wireguard::Userspace;

pub async fn run(bed: &TestBed, filter: &str, tally: &mut Tally) {
    let name = "concurrent_starts_leave_one_child";
    case(tally, filter, name, race(bed)).await;
    let name = "the_child_outlives_its_client";
    case(tally, filter, name, outlives(bed)).await;
    let name = "a_dead_child_is_reported_and_restarted";
    case(tally, filter, name, death(bed)).await;
    let name = "a_child_of_another_version_is_replaced";
    case(tally, filter, name, version(bed)).await;
    let name = "the_socket_is_private";
    case(tally, filter, name, private(bed)).await;
    let name = "garbage_on_the_socket_is_harmless";
    case(tally, filter, name, garbage(bed)).await;
    let name = "a_child_that_cannot_start_is_explained";
    case(tally, filter, name, cannot_start(bed)).await;
}

fn spec() -> InterfaceSpec {
    let slot = Slot::new(1).expect("a slot");
    InterfaceSpec {
        slot,
        owner: "maliknode child".to_owned(),
        private_key: PrivateKey::from_random([1; 32]),
        address: "10.88.1.1/24".parse().expect("an address"),
        address6: None,
        peers: Default::default(),
    }
}

fn process(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().expect("a process id"))
}

async fn race(bed: &TestBed) {
    bed.end().await;
    // These are six servers that start the child independently.
    let starts = (0..6).map(|_| async { bed.userspace().await.pid().await.expect("pid") });
    let pids = futures_util::future::join_all(starts).await;
    assert!(pids.windows(2).all(|p| p[0] == p[1]), "{pids:?}");
}

async fn outlives(bed: &TestBed) {
    let first = bed.userspace().await;
    first.ensure(&spec()).await.expect("ensure");
    let pid = first.pid().await.expect("pid");
    drop(first);
    let second = bed.userspace().await;
    assert_eq!(second.pid().await.expect("pid"), pid);
    let found = second.observe().await.expect("observe");
    assert_eq!(found[&spec().slot], expected::interface(&spec()));
    // A signal to this process group or terminal does not reach it.
    let session = getsid(Some(process(pid))).expect("its session");
    assert_eq!(session, process(pid));
    // It inherits only the environment variables that it needs.
    let environment = fs::read(format!("/proc/{pid}/environ")).expect("environ");
    assert!(!String::from_utf8_lossy(&environment).contains("CARGO"));
    second.delete(spec().slot).await.expect("delete");
}

async fn death(bed: &TestBed) {
    let userspace = bed.userspace().await;
    userspace.ensure(&spec()).await.expect("ensure");
    let mut events = userspace.events();
    while let Ok(Some(())) = tokio::time::timeout(Duration::from_secs(1), events.next()).await {}
    let pid = userspace.pid().await.expect("pid");
    kill(process(pid), Signal::SIGKILL).expect("kill");
    let event = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
    assert_eq!(event, Ok(Some(())), "no event for its death");
    assert!(userspace.observe().await.expect("observe").is_empty());
    assert_ne!(userspace.pid().await.expect("pid"), pid);
    userspace.ensure(&spec()).await.expect("ensure");
    let found = userspace.observe().await.expect("observe");
    assert_eq!(found[&spec().slot], expected::interface(&spec()));
    userspace.delete(spec().slot).await.expect("delete");
}

async fn version(bed: &TestBed) {
    bed.end().await;
    let path = bed.socket();
    let _ = fs::remove_file(&path);
    let old = UnixListener::bind(&path).expect("an old child's socket");
    let old = tokio::spawn(async move {
        loop {
            let (stream, _) = old.accept().await.expect("a caller");
            let (read, mut write) = stream.into_split();
            let hello =
                b"{\"service\":\"maliknode wg-userspace\",\"version\":999,\"pid\":1,\"new\":[]}\n";
            write.write_all(hello).await.expect("greet");
            let mut line = String::new();
            let mut read = BufReader::new(read);
            if read.read_line(&mut line).await.is_ok() && line == "{\"op\":\"stop\"}\n" {
                return;
            }
        }
    });
    let userspace = bed.userspace().await;
    assert!(old.is_finished(), "it was not asked to stop");
    assert_ne!(userspace.pid().await.expect("pid"), 1);
}

async fn private(bed: &TestBed) {
    bed.userspace().await;
    let mode = |p: &std::path::Path| fs::metadata(p).expect("metadata").permissions().mode();
    let path = bed.socket();
    assert_eq!(mode(&path) & 0o077, 0);
    assert_eq!(mode(path.parent().expect("its folder")) & 0o777, 0o700);
    assert_eq!(mode(&bed.log()) & 0o777, 0o600);
}

async fn garbage(bed: &TestBed) {
    let userspace = bed.userspace().await;
    let pid = userspace.pid().await.expect("pid");
    let huge = vec![b'{'; 4 << 20];
    for bytes in [
        &b"\n"[..],
        b"\xff\xff\n",
        b"{\"op\":\"ensure\"}\n",
        b"{\"op\"",
        &huge,
    ] {
        let mut stream = UnixStream::connect(bed.socket()).await.expect("connect");
        // It may close the connection before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
    }
    // Silent clients do not block the others.
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(UnixStream::connect(bed.socket()).await.expect("connect"));
    }
    assert!(userspace.observe().await.is_ok());
    assert_eq!(userspace.pid().await.expect("pid"), pid);
}

async fn cannot_start(bed: &TestBed) {
    let folder = bed.socket().with_file_name("other");
    let start = Userspace::connect_or_spawn("/bin/false".into(), folder.join("s"), bed.log());
    let e = start.await.err().expect("it cannot start");
    assert!(matches!(e.message, Message::HelperNotStarted { .. }), "{e}");
    let nothing = "/nowhere/maliknode".into();
    let start = Userspace::connect_or_spawn(nothing, folder.join("s"), bed.log());
    assert!(start.await.is_err());
}
