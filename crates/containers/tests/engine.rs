//! The port against a real engine and the real AdGuard Home image. Nothing is
//! skipped: without an engine these tests fail and say what starts one
//! (`./dev test` does). Names, network and label are this run's own, so runs
//! side by side do not meet, and all goes at the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use adguard::{AdGuard, AdGuardSettings, List, Lists, Source};
use containers::{ContainerSettings, Docker};
use domain::{AddressPlan, ErrorCode, FilterPolicy, Secret, Slot, TenantName};
use futures_util::StreamExt;
use provisioning::{
    observed::{ContainerState, ObservedContainer},
    ports::{Containers, DnsFilter},
    spec::{ContainerSpec, DnsClient, DnsInstance},
};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// The image that `./dev image` makes; another by `MALIKNODE_IMAGE`.
fn image() -> String {
    std::env::var("MALIKNODE_IMAGE").unwrap_or_else(|_| "adguard/adguardhome:v0.107.79".to_owned())
}

/// `docker` with arguments, for what the port cannot do.
fn cli(args: &[&str]) -> bool {
    let out = Command::new("docker").args(args).output().unwrap();
    out.status.success()
}

/// An installation of one test's own.
struct Bed {
    docker: Docker,
    settings: ContainerSettings,
    dir: tempfile::TempDir,
    tag: String,
}

impl Bed {
    /// `n` tells the tests of this file apart.
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
        // Any configuration: without one AdGuard Home would serve its wizard.
        let config = r#"{"schema_version": 34, "http": {"address": "0.0.0.0:3000"},
            "users": [{"name": "tenant", "password": "$2b$04$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"}],
            "dns": {"upstream_dns": ["127.0.0.1:9"], "bootstrap_dns": ["127.0.0.1:9"]}, "filters": []}"#;
        fs::write(conf_dir.join("AdGuardHome.yaml"), config).unwrap();
        ContainerSpec {
            slot,
            tenant: TenantName::parse(&format!("c{}x{n}", self.tag)).unwrap(),
            image: self.settings.image.clone(),
            address: self.settings.addresses.container(slot),
            conf_dir,
            work_dir: folder("work"),
            lists_dir: folder("lists"),
            memory_bytes: 256 << 20,
            owner: domain::PublicKey::from_bytes([7; 32]),
        }
    }

    async fn ours(&self) -> Vec<ObservedContainer> {
        self.docker.observe().await.unwrap().ours
    }

    async fn end(self) {
        for c in self.ours().await {
            self.docker.remove(&c.id).await.unwrap();
        }
        assert!(self.ours().await.is_empty());
        assert!(cli(&["network", "rm", &self.settings.network]));
    }
}

impl Drop for Bed {
    /// A test that failed leaves nothing either.
    fn drop(&mut self) {
        let label = format!(
            "label=maliknode.installation={}",
            self.settings.installation
        );
        let list = ["ps", "-aq", "--filter", &label];
        let left = Command::new("docker").args(list).output();
        let left = left.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        for id in left.unwrap_or_default().split_whitespace() {
            cli(&["rm", "-f", "-v", id]);
        }
        cli(&["network", "rm", &self.settings.network]);
    }
}

/// Whether a port answers within 10 s.
async fn answers(to: SocketAddr) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        let connected = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(to)).await;
        if matches!(connected, Ok(Ok(_))) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn a_container_is_made_once_answers_at_its_address_and_goes_without_a_trace() {
    let bed = Bed::new(0).await;
    assert!(
        bed.docker.observe().await.unwrap().image,
        "this test needs the image {}: ./dev image",
        image()
    );
    let spec = bed.spec(3);
    // Two at once: one of them loses the race for the name, and both succeed.
    let (a, b) = tokio::join!(bed.docker.start(&spec), bed.docker.start(&spec));
    a.unwrap();
    b.unwrap();
    bed.docker.start(&spec).await.unwrap();

    let ours = bed.ours().await;
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0].name, spec.tenant.container());
    assert_eq!(ours[0].slot, Some(spec.slot));
    assert_eq!(ours[0].revision, spec.revision());
    assert!(
        answers(SocketAddr::from((spec.address, 3000))).await,
        "the UI"
    );
    assert!(
        answers(SocketAddr::from((spec.address, 53))).await,
        "DNS over TCP"
    );
    assert_eq!(bed.ours().await[0].state, ContainerState::Running);

    // Made by AdGuard Home with no capability but one, on a read-only root.
    assert!(spec.work_dir.join("data").is_dir());

    // A second installation on the same engine sees it as somebody else's.
    let other = Docker::new(ContainerSettings {
        installation: "another".into(),
        ..bed.settings.clone()
    });
    assert!(
        other
            .observe()
            .await
            .unwrap()
            .foreign
            .contains(&ours[0].name)
    );
    let e = other.remove(&ours[0].id).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::NameForeign);

    assert!(cli(&["pause", &ours[0].id]));
    assert_eq!(bed.ours().await[0].state, ContainerState::Paused);
    bed.docker.start(&spec).await.unwrap();
    assert_eq!(bed.ours().await[0].state, ContainerState::Running);

    // A new tenant of the name does not get the old one's container.
    assert!(cli(&["stop", &ours[0].id]));
    let mut another = spec.clone();
    another.owner = domain::PublicKey::from_bytes([8; 32]);
    let e = bed.docker.start(&another).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::Busy);
    assert_eq!(bed.ours().await[0].state, ContainerState::Stopped);

    bed.docker.remove(&ours[0].id).await.unwrap();
    bed.docker.remove(&ours[0].id).await.unwrap();
    bed.end().await;
}

#[tokio::test]
async fn what_the_dns_filter_prepared_works_in_a_container_with_one_capability() {
    let bed = Bed::new(5).await;
    let spec = bed.spec(6);
    fs::remove_file(spec.conf_dir.join("AdGuardHome.yaml")).unwrap();
    let source = bed.dir.path().join("list.txt");
    fs::write(&source, "||ads.example^\n").unwrap();
    let list = List {
        id: 1,
        name: "Test".into(),
        source: Source::Path(source.clone()),
    };
    let lists = Arc::new(Lists::new(&spec.lists_dir, vec![list]).unwrap());
    let settings = AdGuardSettings {
        upstreams: vec!["127.0.0.1:9".into()],
        ..Default::default()
    };
    let guard = AdGuard::new(settings, Arc::clone(&lists)).unwrap();
    let dns = DnsInstance {
        slot: spec.slot,
        address: spec.address,
        subnet: bed.settings.addresses.subnet(spec.slot),
        user: "tenant",
        password: Secret::new("a long random one"),
        password_hash: bcrypt::hash("a long random one", 4).unwrap(),
        conf_dir: spec.conf_dir.clone(),
        work_dir: spec.work_dir.clone(),
    };
    assert!(lists.refresh(Duration::ZERO).await);
    let phone = DnsClient {
        name: "Phone".into(),
        address: bed.settings.addresses.device(spec.slot, 2),
        policy: FilterPolicy::Family,
    };
    let clients = BTreeMap::from([("mn-1".to_owned(), phone)]);
    guard.prepare(&dns, &clients).await.unwrap();
    bed.docker.start(&spec).await.unwrap();
    assert!(answers(SocketAddr::from((spec.address, 53))).await);
    guard.set_clients(&dns, &clients).await.unwrap();

    // A list changed on the host is read by the container through its mount.
    fs::write(&source, "||ads.example^\n||new.example^\n").unwrap();
    assert!(lists.refresh(Duration::ZERO).await);
    let copy = spec.work_dir.join("data/filters/1.txt");
    for _ in 0..100 {
        let seen = guard.observe(&dns).await.unwrap();
        assert_eq!(seen.clients["mn-1"].policy, Some(FilterPolicy::Family));
        if fs::read_to_string(&copy).unwrap().contains("new.example") {
            return bed.end().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the container did not read the changed list within 10 s");
}

#[tokio::test]
async fn what_stops_a_start_is_told_and_changes_nothing() {
    let bed = Bed::new(1).await;
    let spec = bed.spec(1);

    let mut imageless = spec.clone();
    imageless.image = "adguard/adguardhome:never-was".into();
    let e = bed.docker.start(&imageless).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::ImageMissing);
    assert!(e.sentence.contains("./dev image"), "{}", e.sentence);

    let mut folderless = spec.clone();
    folderless.work_dir = "/nonexistent/work".into();
    let e = bed.docker.start(&folderless).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::DiskUnavailable, "{e}: {:?}", e.cause);

    // A registry on loopback that is not there.
    let docker = Docker::new(ContainerSettings {
        image: "127.0.0.1:1/adguardhome:v1".into(),
        ..bed.settings.clone()
    });
    let e = docker.fetch_image().await.unwrap_err();
    assert_eq!(e.code, ErrorCode::ImageMissing, "{e}: {:?}", e.cause);
    assert!(e.sentence.contains("not reachable"), "{}", e.sentence);
    bed.docker.fetch_image().await.unwrap();

    let name = spec.tenant.container();
    assert!(cli(&["create", "--name", &name, &image()]), "docker create");
    assert!(bed.docker.observe().await.unwrap().foreign.contains(&name));
    let e = bed.docker.start(&spec).await.unwrap_err();
    assert_eq!(e.code, ErrorCode::NameForeign);
    assert!(cli(&["rm", &name]));

    assert!(bed.ours().await.is_empty());
    bed.end().await;
}

#[tokio::test]
async fn a_container_whose_network_was_made_anew_starts_again() {
    let bed = Bed::new(2).await;
    let spec = bed.spec(2);
    bed.docker.start(&spec).await.unwrap();
    let id = bed.ours().await[0].id.clone();
    assert!(cli(&["stop", "-t", "1", &id]));
    assert_eq!(bed.ours().await[0].state, ContainerState::Stopped);
    assert!(cli(&["network", "rm", &bed.settings.network]));

    // As after a restart of the server: nothing is remembered of the network.
    let docker = Docker::new(bed.settings.clone());
    docker.start(&spec).await.unwrap();
    assert!(answers(SocketAddr::from((spec.address, 3000))).await);
    assert_eq!(bed.ours().await.len(), 1);
    bed.end().await;
}

#[tokio::test]
async fn a_change_by_another_hand_is_hinted_at() {
    let bed = Bed::new(3).await;
    let mut hints = bed.docker.events();
    let soon = Duration::from_secs(5);
    // Said when the engine listens: look once.
    tokio::time::timeout(soon, hints.next())
        .await
        .expect("a first hint");
    let spec = bed.spec(4);
    bed.docker.start(&spec).await.unwrap();
    tokio::time::timeout(soon, hints.next())
        .await
        .expect("a hint of the start");
    while tokio::time::timeout(Duration::from_millis(600), hints.next())
        .await
        .is_ok()
    {}

    assert!(cli(&["kill", &spec.tenant.container()]));
    tokio::time::timeout(soon, hints.next())
        .await
        .expect("a hint of the kill");
    bed.end().await;
}

#[tokio::test]
async fn a_network_of_our_name_with_another_range_is_told_and_left() {
    let bed = Bed::new(4).await;
    bed.docker.ensure_network().await.unwrap();
    // Our own network is no clash; another one on the machine may be.
    let clash = bed.docker.network_clash().await.unwrap();
    assert!(!clash.unwrap_or_default().contains(&bed.settings.network));
    let mut moved = bed.settings.clone();
    moved.addresses.containers = "10.250.0.0/21".parse().unwrap();
    let e = Docker::new(moved).ensure_network().await.unwrap_err();
    assert_eq!(e.code, ErrorCode::NameForeign);
    assert!(e.sentence.contains("docker network rm"), "{}", e.sentence);

    let mut overlapping = bed.settings.clone();
    overlapping.network.push('b');
    overlapping.bridge.push('b');
    let e = Docker::new(overlapping).ensure_network().await.unwrap_err();
    assert_eq!(e.code, ErrorCode::BadConfiguration, "{:?}", e.cause);
    bed.end().await;
}

#[tokio::test]
async fn what_running_containers_take_is_read_from_the_kernel() {
    let bed = Bed::new(6).await;
    assert_eq!(bed.docker.memory().await.unwrap().containers, []);
    let (first, second) = (bed.spec(7), bed.spec(8));
    for spec in [&first, &second] {
        bed.docker.start(spec).await.unwrap();
        assert!(answers(SocketAddr::from((spec.address, 3000))).await);
    }
    let read = bed.docker.memory().await.unwrap();
    println!("{read:?}");
    let mut slots: Vec<_> = read.containers.iter().map(|c| c.slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, [Some(first.slot), Some(second.slot)]);
    for c in &read.containers {
        // Without a list AdGuard Home has about 12 MB to itself.
        assert!((4 << 20..80 << 20).contains(&c.bytes), "{c:?}");
        assert!(c.age < Duration::from_secs(60), "{c:?}");
        assert!(
            c.tenant == first.tenant.as_str() || c.tenant == second.tenant.as_str(),
            "{c:?}"
        );
    }
    assert!(
        (1 << 20..64 << 20).contains(&read.aside_each),
        "a shim: {}",
        read.aside_each
    );
    assert!(cli(&["stop", "-t", "1", &first.tenant.container()]));
    let left = bed.docker.memory().await.unwrap().containers;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].slot, Some(second.slot));
    bed.end().await;
}
