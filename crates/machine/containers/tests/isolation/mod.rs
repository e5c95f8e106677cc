//! What a container may and may not: user, capabilities, CPU time, names, and when it
//! runs.

use crate::{Installation, docker_cli, image, inspect, port_answers};
use provisioning::{observed::ContainerState, ports::Containers};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::Command,
    time::Duration,
};

/// Returns the line of `/proc/<pid>/status` that begins with a key.
fn status_line(pid: &str, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(key));
    line.unwrap_or_else(|| panic!("no {key} in {status}"))
        .trim()
        .to_owned()
}

/// Asks Docker's resolver in a container's network which name an address has. Returns
/// the response.
fn reverse_lookup(pid: &str, address: Ipv4Addr) -> Vec<u8> {
    let network = fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let ask = move || {
        nix::sched::setns(&network, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        // RFC 1035, 4.1: one question, recursion desired, type PTR, class IN.
        let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let octets = address.octets().into_iter().rev().map(|n| n.to_string());
        for label in octets.chain(["in-addr".to_owned(), "arpa".to_owned()]) {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, 12, 0, 1]);
        socket.send_to(&query, "127.0.0.11:53").unwrap();
        let mut response = vec![0; 512];
        let n = socket
            .recv(&mut response)
            .expect("Docker's resolver answers");
        response.truncate(n);
        response
    };
    std::thread::spawn(ask).join().unwrap()
}

/// Returns the CPU time that the kernel gives a process's control group, in thousandths
/// of a CPU.
fn cpu_limit(pid: &str) -> u64 {
    let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = |controller: &str| {
        own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            let path = parts.next()?;
            controllers
                .split(',')
                .any(|c| c == controller)
                .then(|| path.to_owned())
        })
    };
    let number = |text: &str| text.trim().parse::<u64>().unwrap();
    match path("cpu") {
        Some(path) => {
            let read = |file: &str| {
                let file = Path::new("/sys/fs/cgroup/cpu").join(&path[1..]).join(file);
                number(&fs::read_to_string(file).unwrap())
            };
            read("cpu.cfs_quota_us") * 1000 / read("cpu.cfs_period_us")
        }
        None => {
            let path = path("").unwrap();
            let file = Path::new("/sys/fs/cgroup").join(&path[1..]).join("cpu.max");
            let text = fs::read_to_string(file).unwrap();
            let (quota, period) = text.trim().split_once(' ').unwrap();
            number(quota) * 1000 / number(period)
        }
    }
}

#[tokio::test]
async fn a_container_runs_as_its_own_user_without_capabilities() {
    let installation = Installation::new(7).await;
    let image_with_marked_program = format!("mn-test-marked:{}", installation.tag);
    import_with_file_capability(installation.dir.path(), &image_with_marked_program);
    for (n, image) in [(9, image()), (10, image_with_marked_program.clone())] {
        let mut spec = installation.spec(n);
        spec.image = image;
        installation.docker.start(&spec).await.unwrap();
        assert!(
            port_answers(SocketAddr::from((spec.address, 53))).await,
            "port 53 without a capability: {}",
            spec.image
        );
        let name = spec.docker_name();
        let pid = inspect(&name, "{{.State.Pid}}");
        let user = domain::marks::container_user(spec.slot).to_string();
        for key in ["Uid:", "Gid:"] {
            let ids = status_line(&pid, key);
            assert!(ids.split_whitespace().all(|id| id == user), "{key} {ids}");
        }
        for key in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(status_line(&pid, key), "0".repeat(16), "{key}");
        }
        assert_eq!(status_line(&pid, "NoNewPrivs:"), "1");
        assert_eq!(cpu_limit(&pid), 500);
        assert_eq!(
            inspect(
                &name,
                "{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}"
            ),
            spec.mac_address()
        );
        assert_eq!(inspect(&name, "{{.Config.Hostname}}"), "adguard");
    }
    for c in installation.ours().await {
        installation.docker.remove(&c.id).await.unwrap();
    }
    assert!(docker_cli(&["rmi", "-f", &image_with_marked_program]));
    installation.remove().await;
}

/// Creates an image whose program is marked with a capability, as the official image's
/// is (`setcap cap_net_bind_service=+eip`); the one built from source is not.
fn import_with_file_capability(dir: &Path, name: &str) {
    let root = dir.join("root");
    let bin = root.join("opt/adguardhome");
    for folder in ["conf", "work"] {
        fs::create_dir_all(bin.join(folder)).unwrap();
    }
    fs::create_dir(root.join("tmp")).unwrap();
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).status();
        assert!(
            status.is_ok_and(|s| s.success()),
            "this test needs {program}: apt install libcap2-bin tar"
        );
    };
    let template = format!("mn-copy-{}", std::process::id());
    run("docker", &["create", "--name", &template, &image()]);
    let program = bin.join("AdGuardHome");
    let program = program.to_str().unwrap();
    let from = format!("{template}:/opt/adguardhome/AdGuardHome");
    run("docker", &["cp", &from, program]);
    run("docker", &["rm", &template]);
    run("setcap", &["cap_net_bind_service=+eip", program]);
    let tar = dir.join("root.tar");
    let tar = tar.to_str().unwrap();
    let attributes = ["--xattrs", "--xattrs-include=security.capability"];
    let (root, what) = (root.to_str().unwrap(), ["-cf", tar, "."]);
    run("tar", &[&attributes[..], &["-C", root], &what].concat());
    let changes = [
        "--change",
        "ENTRYPOINT [\"/opt/adguardhome/AdGuardHome\"]",
        "--change",
        "CMD [\"--no-check-update\",\"-c\",\"/opt/adguardhome/conf/AdGuardHome.yaml\",\"-w\",\"/opt/adguardhome/work\"]",
    ];
    run(
        "docker",
        &[&["import"], &changes[..], &[tar, name]].concat(),
    );
}

#[tokio::test]
async fn a_container_learns_no_tenants_name() {
    let installation = Installation::new(8).await;
    let (first, second) = (installation.spec(11), installation.spec(12));
    for spec in [&first, &second] {
        installation.docker.start(spec).await.unwrap();
    }
    let pid = inspect(&first.docker_name(), "{{.State.Pid}}");
    let response = reverse_lookup(&pid, second.address);
    let text = String::from_utf8_lossy(&response);
    // Docker's resolver does answer; what it tells is the engine's name.
    assert!(text.contains(&second.docker_name()), "{text:?}");
    assert!(!text.contains(second.tenant.as_str()), "{text:?}");
    assert!(!text.contains("user"), "{text:?}");
    let names: Vec<_> = installation
        .ours()
        .await
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert!(names.contains(&second.tenant.container()), "{names:?}");
    installation.remove().await;
}

#[tokio::test]
async fn the_engine_never_starts_a_container_by_itself() {
    let installation = Installation::new(9).await;
    let spec = installation.spec(13);
    installation.docker.start(&spec).await.unwrap();
    let name = spec.docker_name();
    assert_eq!(inspect(&name, "{{.HostConfig.RestartPolicy.Name}}"), "no");
    assert!(docker_cli(&["kill", &name]));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(installation.ours().await[0].state, ContainerState::Stopped);
    installation.docker.start(&spec).await.unwrap();
    assert!(port_answers(SocketAddr::from((spec.address, 53))).await);
    assert_eq!(installation.ours().await.len(), 1);
    installation.remove().await;
}

#[tokio::test]
async fn an_older_versions_container_is_reported_by_its_name() {
    let installation = Installation::new(10).await;
    let spec = installation.spec(14);
    let label = format!(
        "maliknode.installation={}",
        installation.settings.installation
    );
    let name = spec.tenant.container();
    let labels = ["maliknode.managed=1", &label, "maliknode.slot=14"];
    let mut args = vec!["create", "--name", &name];
    labels.iter().for_each(|l| args.extend(["--label", l]));
    let image = image();
    args.push(&image);
    assert!(docker_cli(&args));
    let old = installation.ours().await.remove(0);
    assert_eq!(
        (old.name.as_str(), old.slot),
        (name.as_str(), Some(spec.slot))
    );
    assert!(!spec.is_fitting(&old.revision, true));
    installation.docker.remove(&old.id).await.unwrap();
    installation.docker.ensure_network().await.unwrap();
    installation.remove().await;
}
