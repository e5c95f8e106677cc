//! What a container is to the host and to its neighbours: a user of its own, without
//! capabilities, under a name that says nothing.

use crate::{
    exclusive_bed,
    stack::{ServerOptions, Stack, run_here},
};
use std::{collections::BTreeSet, fs};

/// The first slot's user is the one after it (`containers`, issue 11).
const FIRST_UID: u32 = 300_000;

/// Returns a field of `docker inspect`.
fn inspect(id: &str, format: &str) -> String {
    let text = run_here(&["docker", "inspect", "-f", format, id]);
    text.trim().to_owned()
}

/// Returns the values of a line of a process's status.
fn status(pid: &str, key: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|l| l.strip_prefix(key));
    let values = line.expect("the line").split_whitespace();
    values.map(str::to_owned).collect()
}

#[test]
fn containers_have_a_user_of_their_own_and_say_no_name() {
    let _bed = exclusive_bed();
    let mut stack = Stack::launch(ServerOptions::with_root("containers"));
    stack.wait_for_answer();
    let names = ["alice", "bobby"];
    let mut users = BTreeSet::new();
    for name in names {
        stack.sign_up(name);
        let (_, slot) = stack.id_and_slot(name);
        let label = format!("label=maliknode.name=adguard_user_{name}");
        let found = run_here(&["docker", "ps", "-q", "--no-trunc", "--filter", &label]);
        let id = found.trim();
        let pid = inspect(id, "{{.State.Pid}}");
        let uid = (FIRST_UID + u32::from(slot)).to_string();
        for key in ["Uid:", "Gid:"] {
            assert_eq!(status(&pid, key), vec![uid.clone(); 4], "{name}, {key}");
        }
        for key in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(status(&pid, key), ["0000000000000000"], "{name}, {key}");
        }
        // The kernel starts the vendor's image, whose file has a capability, only with
        // that one in the bounding set. Nothing can be gained from it.
        let bounding = status(&pid, "CapBnd:");
        assert_eq!(bounding, ["0000000000000400"], "NET_BIND_SERVICE alone");
        assert_eq!(status(&pid, "NoNewPrivs:"), ["1"], "{name}");
        users.insert(uid);

        // Its files belong to it alone.
        let data = stack.root().join(format!("users/user_{name}/adguard_data"));
        for part in ["conf", "work"] {
            use std::os::unix::fs::MetadataExt;
            let meta = fs::metadata(data.join(part)).expect("the folder");
            let owner = meta.uid().to_string();
            assert!(users.contains(&owner), "{part} belongs to {owner}");
            assert_eq!(meta.mode() & 0o077, 0, "{part}");
        }

        // What Docker's resolver, /etc/hosts and the environment tell inside.
        let outward = [
            inspect(id, "{{.Name}} {{.Config.Hostname}} {{.Config.Domainname}}"),
            inspect(
                id,
                "{{json .Config.Env}} {{json .NetworkSettings.Networks}}",
            ),
            read_inside(&pid, "/etc/hosts"),
            read_inside(&pid, "/etc/hostname"),
            read_inside(&pid, "/etc/resolv.conf"),
        ];
        for text in &outward {
            for other in names {
                assert!(!text.contains(other), "{text} names {other}");
            }
        }
        println!(
            "slot {slot}: uid {users:?}, no capability, named {}",
            outward[0]
        );
        let inner = [&inspect(id, "{{.HostConfig.RestartPolicy.Name}}")];
        assert_eq!(inner, ["no"], "started by the server only");
    }
    assert_eq!(users.len(), names.len(), "a user for each");
    nobody_resolves_a_neighbour(&stack);
}

/// Reads a file as a process sees it.
fn read_inside(pid: &str, path: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/root{path}")).unwrap_or_default()
}

/// Asks Docker's resolver from one container for the reverse names of all.
fn nobody_resolves_a_neighbour(stack: &Stack) {
    const ASK: &str = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
name = b''.join(bytes([len(l)]) + l.encode() for l in sys.argv[1].split('.'))
try:
    s.sendto(bytes.fromhex('12340100000100000000000000') [:12] + name + b'\\0\\0\\x0c\\0\\1', ('127.0.0.11', 53))
    print(s.recv(1500))
except OSError as e:
    print(type(e).__name__)";
    let found = run_here(&["docker", "ps", "-q", "--filter", "label=maliknode.name"]);
    let asking = found.split_whitespace().next().expect("a container");
    let pid = inspect(asking, "{{.State.Pid}}");
    for name in ["alice", "bobby"] {
        let (_, slot) = stack.id_and_slot(name);
        let reverse = format!("{}.{}.92.10.in-addr.arpa", slot % 256, 1 + slot / 256);
        let answer = run_here(&["nsenter", "-t", &pid, "-n", "python3", "-c", ASK, &reverse]);
        println!("127.0.0.11 about {reverse}: {}", answer.trim());
        assert!(!answer.contains(name), "{answer}");
    }
}
