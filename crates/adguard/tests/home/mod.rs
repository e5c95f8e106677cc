//! An AdGuard Home of one test's own: binary, folders, a test upstream, and a
//! device's questions made by hand (RFC 1035, 4.1).

use adguard::{AdGuard, AdGuardSettings, List, Lists, Source};
use domain::{FilterPolicy, Secret, Slot};
use provisioning::{
    observed::ObservedDns,
    ports::DnsFilter,
    spec::{DnsClient, DnsInstance},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// What AdGuard Home answers for a blocked name.
pub const BLOCKED: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// What the test upstream answers for every name.
pub const UPSTREAM_SAYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

const UPSTREAM: &str = "127.0.0.53:5353";
const PASSWORD: &str = "correct horse battery staple";

/// Runs a test in a network namespace of its thread's own.
pub fn in_namespace(test: impl Future<Output = ()>) {
    binary();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .expect("this test makes a network namespace: run it as root");
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.is_ok_and(|s| s.success()), "this test needs iproute2");
    let upstream = UdpSocket::bind(UPSTREAM).unwrap();
    // Ends with the test's process; it is bound to this namespace's loopback.
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((n, from)) = upstream.recv_from(&mut packet) {
            let _ = upstream.send_to(&answer(&packet[..n]), from);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(test);
}

/// The binary out of the image, once per run of the tests.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let image = std::env::var("MALIKNODE_IMAGE")
            .unwrap_or_else(|_| "adguard/adguardhome:v0.107.79".to_owned());
        let docker = |args: &[&str]| {
            let out = Command::new("docker").args(args).output().ok()?;
            let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
            out.status.success().then_some(text)
        };
        let id = docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
        let id = id.unwrap_or_default();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(id.replace(':', "-"));
        if !id.is_empty() && path.exists() {
            return path;
        }
        // By rename: a run that was broken off leaves no half of it.
        let part = path.with_extension(std::process::id().to_string());
        let copied = docker(&["create", &image]).and_then(|id| {
            let from = format!("{id}:/opt/adguardhome/AdGuardHome");
            let copied = docker(&["cp", &from, part.to_str()?]);
            docker(&["rm", &id]).and(copied)
        });
        let copied = copied.and_then(|_| fs::rename(&part, &path).ok());
        assert!(
            copied.is_some(),
            "this test takes AdGuard Home out of the image {image}: start Docker, then ./dev image"
        );
        path
    })
}

/// A client as the spec has it; devices are 127.0.1.2 and up.
pub fn client(name: &str, host: u8, policy: FilterPolicy) -> DnsClient {
    DnsClient {
        name: name.into(),
        address: [127, 0, 1, host].into(),
        policy,
    }
}

/// Clients by our ids.
pub fn clients(of: &[(&str, &str, u8, FilterPolicy)]) -> BTreeMap<String, DnsClient> {
    of.iter()
        .map(|(mark, name, host, policy)| ((*mark).to_owned(), client(name, *host, *policy)))
        .collect()
}

pub struct Home {
    pub dir: tempfile::TempDir,
    pub dns: DnsInstance,
    pub lists: Arc<Lists>,
    pub list_source: PathBuf,
    pub guard: AdGuard,
}

/// A running AdGuard Home, ended with the test.
pub struct Run(Child);

impl Run {
    pub fn stop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let list_source = at("source.txt");
        fs::write(&list_source, "||doubleclick.net^\n").unwrap();
        let list = List {
            id: 1,
            name: "Test".into(),
            source: Source::Path(list_source.clone()),
        };
        let lists = Arc::new(Lists::new(at("lists"), vec![list]).unwrap());
        let dns = DnsInstance {
            slot: Slot::FIRST,
            address: Ipv4Addr::LOCALHOST,
            subnet: "127.0.1.0/24".parse().unwrap(),
            user: "tenant",
            password: Secret::new(PASSWORD),
            password_hash: bcrypt::hash(PASSWORD, 4).unwrap(),
            conf_dir: at("conf"),
            work_dir: at("work"),
        };
        let settings = settings(dir.path());
        Self {
            guard: AdGuard::new(settings, Arc::clone(&lists)).unwrap(),
            dir,
            dns,
            lists,
            list_source,
        }
    }

    pub fn settings(&self) -> AdGuardSettings {
        settings(self.dir.path())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .args(["--no-check-update", "-c"])
            .arg(self.dns.conf_dir.join("AdGuardHome.yaml"))
            .arg("-w")
            .arg(&self.dns.work_dir);
        command
    }

    pub fn check_config(&self) {
        let out = self.command().arg("--check-config").output().unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }

    pub fn start(&self) -> Run {
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let child = self.command().stdout(Stdio::null()).stderr(log).spawn();
        Run(child.unwrap())
    }

    /// Waits until DNS answers.
    pub async fn ready(&self) -> ObservedDns {
        let begun = Instant::now();
        loop {
            match self.guard.observe(&self.dns).await {
                Ok(seen) if seen.running => return seen,
                last if begun.elapsed() > Duration::from_secs(20) => {
                    let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                    panic!("AdGuard Home does not come up: {last:?}\n{log}");
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Sets the clients and checks that they are seen so.
    pub async fn bring(&self, wanted: &BTreeMap<String, DnsClient>) {
        self.guard.set_clients(&self.dns, wanted).await.unwrap();
        let seen = self.guard.observe(&self.dns).await.unwrap().clients;
        assert!(seen.keys().eq(wanted.keys()), "{seen:?}");
        for (mark, client) in wanted {
            assert_eq!(seen[mark].name, client.name);
            assert_eq!(seen[mark].addresses, [client.address].into());
            assert_eq!(seen[mark].policy, Some(client.policy));
        }
    }

    /// As the tenant would, through AdGuard Home's own pages.
    pub async fn post(&self, path: &str, body: &Value) -> Vec<u8> {
        let url = format!("http://127.0.0.1:3000/control/{path}");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(url).basic_auth("tenant", Some(PASSWORD));
        let request = request.header("Content-Type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let ok = answer.status().is_success();
        let text = answer.bytes().await.unwrap().to_vec();
        assert!(ok, "{}", String::from_utf8_lossy(&text));
        text
    }

    /// A persistent client by its name, as the API tells it.
    pub async fn client(&self, name: &str) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.get("http://127.0.0.1:3000/control/clients");
        let answer = request
            .basic_auth("tenant", Some(PASSWORD))
            .send()
            .await
            .unwrap();
        let all: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let mut clients = all["clients"].as_array().unwrap().iter();
        clients.find(|c| c["name"] == name).unwrap().clone()
    }

    /// Asks as a device.
    pub async fn ask(&self, name: &str, host: u8) -> Option<Ipv4Addr> {
        self.ask_from(name, [127, 0, 1, host].into()).await
    }

    /// Asks from any address; `None` where nothing or no address comes back.
    pub async fn ask_from(&self, name: &str, from: Ipv4Addr) -> Option<Ipv4Addr> {
        let wait = Duration::from_secs(2);
        ask(name, from, wait).await
    }

    /// Asks over and over until an answer comes.
    pub async fn first_answer(&self, name: &str, host: u8) -> Ipv4Addr {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let wait = Duration::from_millis(30);
            if let Some(answer) = ask(name, [127, 0, 1, host].into(), wait).await {
                return answer;
            }
        }
        panic!("no answer within 20 s");
    }
}

fn settings(dir: &Path) -> AdGuardSettings {
    AdGuardSettings {
        upstreams: vec![UPSTREAM.to_owned()],
        bootstrap: vec![Ipv4Addr::new(127, 0, 0, 53)],
        fallback: Vec::new(),
        also_allowed: Vec::new(),
        lists_mount: dir.join("lists").to_str().unwrap().to_owned(),
    }
}

async fn ask(name: &str, from: Ipv4Addr, wait: Duration) -> Option<Ipv4Addr> {
    let socket = tokio::net::UdpSocket::bind((from, 0)).await.unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, 53)).await.unwrap();
    let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    let question = packet.len();
    // Refused at once while nobody listens: the same as no answer.
    socket.send(&packet).await.ok()?;
    let mut answer = [0; 512];
    let n = match tokio::time::timeout(wait, socket.recv(&mut answer)).await {
        Ok(Ok(n)) => n,
        Ok(Err(_)) => {
            tokio::time::sleep(Duration::from_millis(1)).await;
            return None;
        }
        Err(_) => return None,
    };
    // The answer's name is a pointer; then type, class, TTL, length: 12 bytes.
    let record = answer[..n].get(question..question + 16)?;
    let data: [u8; 4] = record[12..].try_into().unwrap();
    (record[2..4] == [0, 1]).then(|| data.into())
}

/// The test upstream's answer: its one address for every A, nothing else.
fn answer(query: &[u8]) -> Vec<u8> {
    let name_end = query[12..].iter().position(|b| *b == 0).unwrap_or(0) + 12;
    let Some(question) = query.get(..name_end + 5) else {
        return Vec::new();
    };
    let is_a = question[name_end + 1..name_end + 3] == [0, 1];
    let mut packet = question.to_vec();
    packet[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    if is_a {
        packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        packet.extend(UPSTREAM_SAYS.octets());
    }
    packet
}
