//! Tests the port with a real engine and the real AdGuard Home image. Nothing is
//! skipped: without an engine these tests fail and say how to start one
//! (`./dev test` does). Each run has its own names, network and label, so
//! parallel runs do not interfere. Everything is removed at the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod isolation;
mod registry;

use adguard::{AdGuard, AdGuardSettings, List, ListSource, Lists};
use containers::{ContainerSettings, Docker};
use domain::{AddressPlan, ErrorCode, FilterPolicy, Message, Secret, Slot, TenantName};
use futures_util::StreamExt;
use provisioning::{
    observed::{ContainerState, ObservedContainer},
    ports::{Containers, DnsFilter},
    spec::{ContainerSpec, DnsClient, DnsInstance},
};
use registry::Registry;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::chown,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// Returns the image that `./dev image` builds, or `MALIKNODE_IMAGE`.
fn image() -> String {
    std::env::var("MALIKNODE_IMAGE").unwrap_or_else(|_| "adguard/adguardhome:v0.107.79".to_owned())
}

/// Runs `docker` with arguments, for what the port cannot do. Returns whether it
/// succeeded.
fn docker_cli(args: &[&str]) -> bool {
    let out = Command::new("docker").args(args).output().unwrap();
    out.status.success()
}

/// Returns what `docker inspect` prints of a container.
fn inspect(name: &str, format: &str) -> String {
    let out = Command::new("docker")
        .args(["inspect", "--format", format, name])
        .output()
        .unwrap();
    assert!(out.status.success(), "docker inspect {name}");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// An installation that belongs to one test.
struct Installation {
    docker: Docker,
    settings: ContainerSettings,
    dir: tempfile::TempDir,
    tag: String,
}

impl Installation {
    /// `n` is different for each test of this file.
    async fn new(n: u32) -> Self {
        let tag = format!("{}t{n}", std::process::id());
        let range = std::process::id() * 8 + n;
        let containers = format!("10.{}.{}.0/21", 200 + range / 32 % 32, range % 32 * 8);
        let settings = ContainerSettings {
            network: format!("mn-test-{tag}"),
            bridge: format!("mn{tag}"),
            installation: format!("test-{tag}"),
            ..ContainerSettings::new(
                image(),
                AddressPlan {
                    containers: containers.parse().unwrap(),
                    ..AddressPlan::default()
                },
            )
        };
        let docker = Docker::new(settings.clone());
        if let Err(e) = docker.ping().await {
            panic!("this test needs a Docker engine, which `./dev test` starts: {e}");
        }
        let dir = tempfile::tempdir().unwrap();
        Self {
            docker,
            settings,
            dir,
            tag,
        }
    }

    fn spec(&self, n: u16) -> ContainerSpec {
        let slot = Slot::new(n).unwrap();
        let folder = |name: &str| {
            let path = self.dir.path().join(format!("{n}/{name}"));
            fs::create_dir_all(&path).unwrap();
            path
        };
        let conf_dir = folder("conf");
        // Without a configuration, AdGuard Home would serve its setup wizard.
        let config = r#"{"schema_version": 34, "http": {"address": "0.0.0.0:3000"},
            "users": [{"name": "tenant", "password": "$2b$04$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"}],
            "dns": {"upstream_dns": ["127.0.0.1:9"], "bootstrap_dns": ["127.0.0.1:9"]}, "filters": []}"#;
        let config_file = conf_dir.join("AdGuardHome.yaml");
        fs::write(&config_file, config).unwrap();
        let user = Some(domain::marks::container_user(slot));
        for path in [&conf_dir, &config_file, &folder("work")] {
            chown(path, user, user).unwrap();
        }
        ContainerSpec {
            slot,
            tenant: TenantName::parse(&format!("c{}x{n}", self.tag)).unwrap(),
            image: self.settings.image.clone(),
            address: self.settings.addresses.container(slot),
            conf_dir,
            work_dir: folder("work"),
            lists_dir: folder("lists"),
            memory_bytes: 256 << 20,
            cpu_thousandths: 500,
            owner: domain::PublicKey::from_bytes([u8::try_from(n).unwrap(); 32]),
        }
    }

    async fn ours(&self) -> Vec<ObservedContainer> {
        self.docker.observe().await.unwrap().ours
    }

    async fn remove(self) {
        for c in self.ours().await {
            self.docker.remove(&c.id).await.unwrap();
        }
        assert!(self.ours().await.is_empty());
        assert!(docker_cli(&["network", "rm", &self.settings.network]));
    }
}

impl Drop for Installation {
    /// Removes what a failed test left.
    fn drop(&mut self) {
        let label = format!(
            "label=maliknode.installation={}",
            self.settings.installation
        );
        let list = ["ps", "-aq", "--filter", &label];
        let left = Command::new("docker").args(list).output();
        let left = left.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        for id in left.unwrap_or_default().split_whitespace() {
            docker_cli(&["rm", "-f", "-v", id]);
        }
        docker_cli(&["network", "rm", &self.settings.network]);
    }
}

/// Returns whether a port accepts a connection within 10 s.
async fn port_answers(to: SocketAddr) -> bool {
    let started_at = Instant::now();
    while started_at.elapsed() < Duration::from_secs(10) {
        let connected = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(to)).await;
        if matches!(connected, Ok(Ok(_))) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn a_container_is_created_once_and_removed_completely() {
    let installation = Installation::new(0).await;
    assert!(
        installation.docker.observe().await.unwrap().image,
        "this test needs the image {}: ./dev image",
        image()
    );
    let spec = installation.spec(3);
    // Two starts at once: one loses the race for the name, and both succeed.
    let (a, b) = tokio::join!(
        installation.docker.start(&spec),
        installation.docker.start(&spec)
    );
    a.unwrap();
    b.unwrap();
    installation.docker.start(&spec).await.unwrap();

    let ours = installation.ours().await;
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0].name, spec.tenant.container());
    assert_eq!(ours[0].slot, Some(spec.slot));
    assert_eq!(ours[0].revision, spec.revision());
    assert!(
        port_answers(SocketAddr::from((spec.address, 3000))).await,
        "the UI"
    );
    assert!(
        port_answers(SocketAddr::from((spec.address, 53))).await,
        "DNS over TCP"
    );
    assert_eq!(installation.ours().await[0].state, ContainerState::Running);

    // AdGuard Home creates it without any capability, on a read-only root.
    assert!(spec.work_dir.join("data").is_dir());

    // A second installation on the same engine sees the container as foreign.
    let other = Docker::new(ContainerSettings {
        installation: "another".into(),
        ..installation.settings.clone()
    });
    assert!(
        other
            .observe()
            .await
            .unwrap()
            .foreign
            .contains(&spec.docker_name())
    );
    let e = other.remove(&ours[0].id).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::NameForeign);

    assert!(docker_cli(&["pause", &ours[0].id]));
    assert_eq!(installation.ours().await[0].state, ContainerState::Paused);
    installation.docker.start(&spec).await.unwrap();
    assert_eq!(installation.ours().await[0].state, ContainerState::Running);

    // One that was created from another spec is not started.
    assert!(docker_cli(&["stop", &ours[0].id]));
    let mut another = spec.clone();
    another.memory_bytes += 4096;
    let e = installation.docker.start(&another).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::Busy);
    assert_eq!(installation.ours().await[0].state, ContainerState::Stopped);

    installation.docker.remove(&ours[0].id).await.unwrap();
    installation.docker.remove(&ours[0].id).await.unwrap();
    installation.remove().await;
}

#[tokio::test]
async fn a_container_serves_the_prepared_configuration() {
    let installation = Installation::new(5).await;
    let spec = installation.spec(6);
    fs::remove_file(spec.conf_dir.join("AdGuardHome.yaml")).unwrap();
    let source = installation.dir.path().join("list.txt");
    fs::write(&source, "||ads.example^\n").unwrap();
    let list = List {
        id: 1,
        name: "Test".into(),
        source: ListSource::Path(source.clone()),
    };
    let lists = Arc::new(Lists::new(&spec.lists_dir, vec![list]).unwrap());
    let settings = AdGuardSettings {
        upstreams: vec!["127.0.0.1:9".into()],
        ..Default::default()
    };
    let adguard = AdGuard::new(settings, Arc::clone(&lists)).unwrap();
    let dns = DnsInstance {
        slot: spec.slot,
        address: spec.address,
        subnet: installation.settings.addresses.subnet(spec.slot),
        subnet6: None,
        domain: "alice.internal".into(),
        user: "tenant",
        password: Secret::new("a long random one"),
        password_hash: bcrypt::hash("a long random one", 4).unwrap(),
        conf_dir: spec.conf_dir.clone(),
        work_dir: spec.work_dir.clone(),
        image: spec.image.clone(),
    };
    assert!(lists.refresh(Duration::ZERO).await);
    let phone = DnsClient {
        name: "Phone".into(),
        address: installation.settings.addresses.device(spec.slot, 2),
        address6: None,
        policy: FilterPolicy::Family,
        host_name: "phone.alice.internal".into(),
    };
    let clients = BTreeMap::from([("mn-1".to_owned(), phone)]);
    adguard.prepare(&dns, &clients).await.unwrap();
    installation.docker.start(&spec).await.unwrap();
    assert!(port_answers(SocketAddr::from((spec.address, 53))).await);
    adguard.set_clients(&dns, &clients).await.unwrap();

    // The container reads a changed list through its mount.
    fs::write(&source, "||ads.example^\n||new.example^\n").unwrap();
    assert!(lists.refresh(Duration::ZERO).await);
    let copy = spec.work_dir.join("data/filters/1.txt");
    for _ in 0..100 {
        let observed = adguard.observe(&dns).await.unwrap();
        assert_eq!(observed.clients["mn-1"].policy, Some(FilterPolicy::Family));
        if fs::read_to_string(&copy).unwrap().contains("new.example") {
            return installation.remove().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the container did not read the changed list within 10 s");
}

#[tokio::test]
async fn a_start_that_fails_reports_why() {
    let installation = Installation::new(1).await;
    let spec = installation.spec(1);

    let mut without_image = spec.clone();
    without_image.image = "adguard/adguardhome:never-was".into();
    let e = installation.docker.start(&without_image).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::ImageMissing);
    assert!(matches!(e.message, Message::ImageMissing { .. }), "{e}");

    let mut without_folder = spec.clone();
    without_folder.work_dir = "/nonexistent/work".into();
    let e = installation
        .docker
        .start(&without_folder)
        .await
        .unwrap_err();
    assert_eq!(e.code, ErrorCode::DiskUnavailable, "{e}: {:?}", e.cause);

    // Nothing listens at this registry's address.
    let docker = Docker::new(ContainerSettings {
        image: "127.0.0.1:1/adguardhome:v1".into(),
        ..installation.settings.clone()
    });
    let e = docker.fetch_image().await.unwrap_err();
    assert_eq!(e.code, ErrorCode::ImageMissing, "{e}: {:?}", e.cause);
    assert!(e.to_string().contains("pull-unreachable"), "{e}");
    installation.docker.fetch_image().await.unwrap();

    let name = spec.docker_name();
    assert!(
        docker_cli(&["create", "--name", &name, &image()]),
        "docker create"
    );
    assert!(
        installation
            .docker
            .observe()
            .await
            .unwrap()
            .foreign
            .contains(&name)
    );
    let e = installation.docker.start(&spec).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::NameForeign);
    assert!(docker_cli(&["rm", &name]));

    assert!(installation.ours().await.is_empty());
    installation.remove().await;
}

/// Returns the label of an image that tells the registry's two apart; empty without the image.
fn which(image: &str) -> String {
    let format = "{{index .Config.Labels \"which\"}}";
    let args = ["image", "inspect", "--format", format, image];
    let out = Command::new("docker").args(args).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_pinned_image_is_pulled_by_its_digest() {
    let pull = async |registry: &Registry, digest: Option<&str>| {
        let docker = Docker::new(ContainerSettings {
            digest: digest.map(str::to_owned),
            ..ContainerSettings::new(registry.image.clone(), AddressPlan::default())
        });
        docker.fetch_image().await
    };
    let registry = Registry::start(false);
    pull(&registry, Some(&registry.digest)).await.unwrap();
    assert_eq!(which(&registry.image), "pinned", "whatever the tag is now");
    assert!(docker_cli(&["image", "rm", "-f", &registry.image]));

    pull(&registry, None).await.unwrap();
    assert_eq!(which(&registry.image), "moved", "the tag was moved");
    assert!(docker_cli(&["image", "rm", "-f", &registry.image]));

    let liar = Registry::start(true);
    let refused = pull(&liar, Some(&liar.digest)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ImageMissing, "{refused}");
    assert_eq!(which(&liar.image), "", "nothing has the name");
}

#[tokio::test]
async fn a_container_survives_replacement_of_its_network() {
    let installation = Installation::new(2).await;
    let spec = installation.spec(2);
    installation.docker.start(&spec).await.unwrap();
    let id = installation.ours().await[0].id.clone();
    assert!(docker_cli(&["stop", "-t", "1", &id]));
    assert_eq!(installation.ours().await[0].state, ContainerState::Stopped);
    assert!(docker_cli(&[
        "network",
        "rm",
        &installation.settings.network
    ]));

    // As after a restart of the server: the check of the network is not cached.
    let docker = Docker::new(installation.settings.clone());
    docker.start(&spec).await.unwrap();
    assert!(port_answers(SocketAddr::from((spec.address, 3000))).await);
    assert_eq!(installation.ours().await.len(), 1);
    installation.remove().await;
}

#[tokio::test]
async fn an_external_change_causes_a_hint() {
    let installation = Installation::new(3).await;
    let mut hints = installation.docker.events();
    let soon = Duration::from_secs(5);
    // The first hint is sent when the subscription begins.
    tokio::time::timeout(soon, hints.next())
        .await
        .expect("a first hint");
    let spec = installation.spec(4);
    installation.docker.start(&spec).await.unwrap();
    tokio::time::timeout(soon, hints.next())
        .await
        .expect("a hint for the start");
    while tokio::time::timeout(Duration::from_millis(600), hints.next())
        .await
        .is_ok()
    {}

    assert!(docker_cli(&["kill", &spec.docker_name()]));
    tokio::time::timeout(soon, hints.next())
        .await
        .expect("a hint for the kill");
    installation.remove().await;
}

#[tokio::test]
async fn a_network_with_another_range_is_refused() {
    let installation = Installation::new(4).await;
    installation.docker.ensure_network().await.unwrap();
    // Our own network does not count; another one on the machine may overlap.
    let clash = installation.docker.network_clash().await.unwrap();
    let clash = clash.map_or_else(String::new, |message| message.to_string());
    assert!(!clash.contains(&installation.settings.network), "{clash}");
    let mut moved = installation.settings.clone();
    moved.addresses.containers = "10.250.0.0/21".parse().unwrap();
    let e = Docker::new(moved).ensure_network().await.unwrap_err();
    assert_eq!(e.code, ErrorCode::NameForeign);
    assert!(matches!(e.message, Message::NetworkDiffers { .. }), "{e}");

    let mut overlapping = installation.settings.clone();
    overlapping.network.push('b');
    overlapping.bridge.push('b');
    let e = Docker::new(overlapping).ensure_network().await.unwrap_err();
    assert_eq!(e.code, ErrorCode::BadConfiguration, "{:?}", e.cause);
    installation.remove().await;
}

#[tokio::test]
async fn memory_of_running_containers_is_measured() {
    let installation = Installation::new(6).await;
    assert_eq!(installation.docker.memory().await.unwrap().containers, []);
    let (first, second) = (installation.spec(7), installation.spec(8));
    for spec in [&first, &second] {
        installation.docker.start(spec).await.unwrap();
        assert!(port_answers(SocketAddr::from((spec.address, 3000))).await);
    }
    let read = installation.docker.memory().await.unwrap();
    println!("{read:?}");
    let mut slots: Vec<_> = read.containers.iter().map(|c| c.slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, [Some(first.slot), Some(second.slot)]);
    for c in &read.containers {
        // Without a block list AdGuard Home uses about 12 MB.
        assert!((4 << 20..80 << 20).contains(&c.bytes), "{c:?}");
        assert!(c.age < Duration::from_secs(60), "{c:?}");
        assert!(
            c.tenant == first.tenant.as_str() || c.tenant == second.tenant.as_str(),
            "{c:?}"
        );
    }
    assert!(
        (1 << 20..64 << 20).contains(&read.shim_bytes),
        "memory of a shim: {}",
        read.shim_bytes
    );
    assert!(docker_cli(&["stop", "-t", "1", &first.docker_name()]));
    let left = installation.docker.memory().await.unwrap().containers;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].slot, Some(second.slot));
    installation.remove().await;
}

/// Returns the processor time of a container's first process, of which `stat` counts
/// hundredths of a second (`proc_pid_stat(5)`).
fn process_time(container: &str) -> Duration {
    let inspect = ["inspect", "--format", "{{.State.Pid}}", container];
    let out = Command::new("docker").args(inspect).output().unwrap();
    let pid = String::from_utf8(out.stdout).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .map(|f| f.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

#[tokio::test]
async fn usage_is_what_the_kernel_counts_for_a_process() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let installation = Installation::new(7).await;
    assert_eq!(installation.docker.usage().await.unwrap(), []);
    let (busy, idle) = (installation.spec(17), installation.spec(18));
    for spec in [&busy, &idle] {
        installation.docker.start(spec).await.unwrap();
        assert!(port_answers(SocketAddr::from((spec.address, 3000))).await);
    }
    let usage_of = async |slot| {
        let usage = installation.docker.usage().await.unwrap();
        usage.into_iter().find(|u| u.slot == Some(slot))
    };
    let (began, before) = (Instant::now(), usage_of(busy.slot).await.unwrap());
    let idle_before = usage_of(idle.slot).await.unwrap();
    while began.elapsed() < Duration::from_secs(2) {
        let address = SocketAddr::from((busy.address, 3000));
        let mut page = TcpStream::connect(address).await.unwrap();
        let request = b"GET /login.html HTTP/1.0\r\n\r\n";
        page.write_all(request).await.unwrap();
        page.read_to_end(&mut Vec::new()).await.unwrap();
    }
    let after = usage_of(busy.slot).await.unwrap();
    let own = process_time(&busy.docker_name());
    let read_at = usage_of(busy.slot).await.unwrap();
    let idle_after = usage_of(idle.slot).await.unwrap();
    println!("{before:?}\n{after:?}\n{own:?}\n{idle_after:?}");
    let spent = after.cpu.unwrap() - before.cpu.unwrap();
    assert!(spent > Duration::from_millis(50), "{spent:?}");
    let most = began.elapsed() * 64;
    assert!(spent < most, "{spent:?}");
    // The group has the processor time of starting the process besides.
    let slack = Duration::from_millis(200);
    assert!(after.cpu.unwrap() < own + slack, "{after:?} {own:?}");
    assert!(read_at.cpu.unwrap() + slack > own, "{read_at:?} {own:?}");
    let idled = idle_after.cpu.unwrap() - idle_before.cpu.unwrap();
    assert!(idled < spent, "{idled:?} {spent:?}");
    assert_eq!(after.tenant, busy.tenant.as_str());
    assert_eq!(after.id, before.id);
    assert!(
        (4 << 20..80 << 20).contains(&after.memory_bytes),
        "{after:?}"
    );
    assert!(docker_cli(&["stop", "-t", "1", &busy.docker_name()]));
    assert_eq!(usage_of(busy.slot).await, None);
    assert!(usage_of(idle.slot).await.is_some());
    installation.remove().await;
}
