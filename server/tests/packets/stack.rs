//! The stack under test: the real binary with an empty root in a bed, a test
//! upstream on the "internet", and what a person does with it over HTTP.

use super::{
    bed::{self, run},
    browser::{Browser, Page},
    dns,
};
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Once,
    thread,
    time::{Duration, Instant},
};

/// Where the server listens in the bed.
pub const PORT: u16 = 8085;
/// A service on the "internet" that says who called, and echoes UDP.
pub const ECHO: u16 = 7000;
/// A service on the "internet" that sends for ever.
pub const STREAM: u16 = 7001;
/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// How a server is started.
#[derive(Clone)]
pub struct Start {
    /// The program.
    pub program: PathBuf,
    /// The root of the disk layout.
    pub root: PathBuf,
    /// Options beside the usual ones.
    pub more: Vec<String>,
}

impl Start {
    /// The program under test over a root of that name.
    pub fn named(root: &str) -> Self {
        Self {
            program: bed::var("MALIKNODE_BIN").into(),
            root: PathBuf::from(bed::var("MALIKNODE_BED_DIR")).join(root),
            more: vec![],
        }
    }

    /// Where the server's output goes.
    pub fn log(&self) -> PathBuf {
        self.root.with_extension("log")
    }

    /// `maliknode COMMAND` with the usual options, not started yet.
    pub fn command(&self, command: &[&str]) -> Command {
        let internet = bed::var("MALIKNODE_BED_INTERNET");
        let mut c = Command::new(&self.program);
        c.args(command)
            .args(["--listen", "0.0.0.0:8085", "--base", "localhost:8085"])
            .args(["--sign-ups-per-hour", "0", "--public-host"])
            .arg(bed::var("MALIKNODE_BED_HOST"))
            .args(["--dns-upstreams", &internet, "--dns-bootstrap", &internet])
            .args(["--dns-fallback", &internet, "--root"])
            .arg(&self.root)
            .args(&self.more)
            .stdin(Stdio::null());
        c
    }

    fn serve(&self) -> Child {
        let mut out = fs::OpenOptions::new();
        let out = out.create(true).append(true).open(self.log());
        let out = out.expect("a log");
        let err = out.try_clone().expect("a log");
        let mut c = self.command(&["serve"]);
        c.stdout(out).stderr(err).process_group(0);
        c.spawn().expect("the server starts")
    }
}

/// The running server.
pub struct Stack {
    child: Child,
    how: Start,
    clients: u32,
}

/// A signed-up person with a browser.
pub struct Tenant {
    /// The name.
    pub name: String,
    /// The browser, signed in.
    pub browser: Browser,
    /// The gateway, where DNS answers.
    pub gateway: Ipv4Addr,
}

/// A device: a namespace with a tunnel of another implementation than ours.
pub struct Device {
    /// The namespace it lives in.
    pub namespace: String,
    /// The interface in there.
    pub interface: String,
    /// Its address inside the tunnel.
    pub address: Ipv4Addr,
    /// Its id in the product.
    pub id: String,
}

/// Looks until there is something, `limit` at most.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} for: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

impl Stack {
    /// Starts the server, and the services it is to reach.
    pub fn start() -> Self {
        let mut stack = Self::launch(Start::named("root"));
        stack.wait_for_answer();
        stack
    }

    /// The same in a way of one's own, and without waiting for an answer.
    pub fn launch(how: Start) -> Self {
        static SERVICES: Once = Once::new();
        bed::require();
        SERVICES.call_once(|| {
            let internet = bed::address("MALIKNODE_BED_INTERNET");
            let wan = bed::var("MALIKNODE_BED_WAN");
            dns::upstream(&wan, internet, internet);
            bed::serve(&wan, internet, ECHO);
            bed::serve_stream(&wan, STREAM);
        });
        forget_devices();
        Self {
            child: how.serve(),
            how,
            clients: 0,
        }
    }

    /// Waits until pages are served.
    pub fn wait_for_answer(&mut self) {
        until("the server answers", Duration::from_secs(30), || {
            let mut stream = TcpStream::connect(("127.0.0.1", PORT)).ok()?;
            stream
                .write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost:8085\r\n\r\n")
                .ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.contains(" 200 ").then_some(())
        });
    }

    /// Kills the server without warning and starts it again.
    pub fn restart_hard(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Kills the server without warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server has ended");
    }

    /// Tells the server to end, as a service manager does, and waits for it.
    pub fn stop(&mut self) {
        run_here(&["kill", "-TERM", &self.child.id().to_string()]);
        let ended = self.child.wait().expect("the server has ended");
        assert!(ended.success(), "it ended with {ended}");
    }

    /// Starts the server, which has ended, over the same root.
    pub fn start_again(&mut self) {
        self.child = self.how.serve();
        self.wait_for_answer();
    }

    /// The same without waiting for an answer.
    pub fn relaunch(&mut self) {
        self.child = self.how.serve();
    }

    /// The same with another program from now on.
    pub fn upgrade(&mut self, program: PathBuf) {
        self.how.program = program;
        self.start_again();
    }

    /// How it was started.
    pub fn how(&self) -> &Start {
        &self.how
    }

    /// Whether the server has ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// The root of the disk layout.
    pub fn root(&self) -> &PathBuf {
        &self.how.root
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.how.log()).unwrap_or_default()
    }

    /// Signs somebody up and waits until all their parts are there.
    pub fn sign_up(&self, name: &str) -> Tenant {
        let mut tenant = self.register(name);
        tenant.wait_until_ready();
        tenant
    }

    /// Signs somebody up and waits for nothing but the answer.
    pub fn register(&self, name: &str) -> Tenant {
        let mut browser = Browser::new(PORT);
        let landing = browser.get("http://localhost:8085/sign-up");
        assert_eq!(landing.status, 200, "{}", landing.body);
        let form = [("name", name), ("password", PASSWORD), ("plan", "studio")];
        let page = browser.post("http://localhost:8085/api/sign_up", &form);
        assert_eq!(
            page.status, 200,
            "sign-up ended at {}: {}",
            page.url, page.body
        );
        assert!(
            page.url
                .starts_with(&format!("http://{name}.localhost:8085/")),
            "{}",
            page.url
        );
        Tenant {
            name: name.to_owned(),
            browser,
            gateway: Ipv4Addr::UNSPECIFIED,
        }
    }

    /// Signs in somebody who has an account.
    pub fn sign_in(&self, name: &str) -> Tenant {
        let mut browser = Browser::new(PORT);
        let form = [("name", name), ("password", PASSWORD)];
        let page = browser.post("http://localhost:8085/api/sign_in", &form);
        assert_eq!(page.status, 200, "{name}: {}", page.body);
        Tenant {
            name: name.to_owned(),
            browser,
            gateway: Ipv4Addr::UNSPECIFIED,
        }
    }

    /// Adds a device over HTTP and makes a tunnel of what was downloaded.
    pub fn add_device(
        &mut self,
        t: &mut Tenant,
        client: &str,
        label: &str,
        routing: &str,
        mesh: bool,
    ) -> Device {
        let mut form = vec![
            ("label", label),
            ("routing", routing),
            ("policy", "standard"),
        ];
        if mesh {
            form.push(("mesh", "on"));
        }
        let page = t.post("/api/add_device", &form);
        assert_eq!(page.status, 200, "{}", page.body);
        let path = page
            .url
            .split("/devices/")
            .nth(1)
            .unwrap_or_else(|| panic!("no device at {}", page.url));
        let id: String = path.chars().take_while(char::is_ascii_digit).collect();
        let conf = t.get(&format!("/devices/{id}/config"));
        assert_eq!(conf.status, 200);
        self.connect(client, id, &conf.body)
    }

    /// Makes a tunnel of a configuration, and waits for its handshake.
    pub fn connect(&mut self, namespace: &str, id: String, conf: &str) -> Device {
        self.clients += 1;
        let interface = format!("dev{}", self.clients);
        let value = |key: &str| {
            let line = conf
                .lines()
                .find_map(|l| l.strip_prefix(key)?.trim().strip_prefix('='));
            line.unwrap_or_else(|| panic!("{key} in {conf}"))
                .trim()
                .to_owned()
        };
        let address: Ipv4Addr = value("Address")
            .split('/')
            .next()
            .unwrap_or_default()
            .parse()
            .expect("an address");
        // What `wg-quick strip` leaves is what `wg setconf` takes.
        let stripped: String = conf
            .lines()
            .filter(|l| !l.starts_with("Address") && !l.starts_with("DNS"))
            .fold(String::new(), |s, l| s + l + "\n");
        let file = conf_file(&interface);
        fs::write(&file, stripped).expect("a file");
        run(namespace, &["wireguard-go", &interface]);
        // Its control socket is there a moment before the process that goes on
        // in the background serves it.
        until(
            "wireguard-go takes its configuration",
            Duration::from_secs(5),
            || {
                let mut wg = Command::new("nsenter");
                wg.arg(format!("--net=/run/netns/{namespace}"));
                wg.args(["wg", "setconf", &interface]).arg(&file);
                wg.output().is_ok_and(|o| o.status.success()).then_some(())
            },
        );
        run(
            namespace,
            &[
                "ip",
                "addr",
                "add",
                &format!("{address}/32"),
                "dev",
                &interface,
            ],
        );
        run(
            namespace,
            &["ip", "link", "set", &interface, "mtu", "1420", "up"],
        );
        for route in value("AllowedIPs").split(", ").filter(|r| r.contains('.')) {
            run(
                namespace,
                &["ip", "route", "replace", route, "dev", &interface],
            );
        }
        let device = Device {
            namespace: namespace.to_owned(),
            interface,
            address,
            id,
        };
        until("a handshake", Duration::from_secs(15), || {
            device.handshake()
        });
        device
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let from = log.lines().count().saturating_sub(80);
            let end: Vec<&str> = log.lines().skip(from).collect();
            eprintln!("the end of the server's log:\n{}", end.join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program and wants it to succeed; what it printed.
pub fn run_here(program: &[&str]) -> String {
    let out = Command::new(program[0])
        .args(&program[1..])
        .output()
        .unwrap_or_else(|e| panic!("{program:?}: {e}"));
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program:?}: {err}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The gateway's address on the overview: the first `10.x.y.1`.
fn find_gateway(html: &str) -> Ipv4Addr {
    html.split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|w| w.starts_with("10.") && w.ends_with(".1"))
        .find_map(|w| w.parse().ok())
        .unwrap_or_else(|| panic!("no gateway on the page: {html}"))
}

impl Tenant {
    /// Waits until all parts are there, and learns the gateway's address.
    pub fn wait_until_ready(&mut self) {
        let overview = until("the tenant is ready", Duration::from_secs(60), || {
            let page = self.get("/");
            assert_eq!(page.status, 200, "{}", page.body);
            (page.body.contains("DNS answering")).then_some(page)
        });
        self.gateway = find_gateway(&overview.body);
    }

    /// An address on this tenant's own host.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}.localhost:{PORT}{path}", self.name)
    }

    /// A page of this tenant's own host.
    pub fn get(&mut self, path: &str) -> Page {
        let url = self.url(path);
        self.browser.get(&url)
    }

    /// A form of this tenant's own host.
    pub fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let url = self.url(path);
        self.browser.post(&url, form)
    }
}

impl Device {
    /// The last handshake, in seconds since the epoch, once there was one.
    pub fn handshake(&self) -> Option<u64> {
        let out = run(
            &self.namespace,
            &["wg", "show", &self.interface, "latest-handshakes"],
        );
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.split_whitespace()
            .nth(1)?
            .parse()
            .ok()
            .filter(|t| *t > 0)
    }

    /// Takes the tunnel away, as a phone that is switched off.
    pub fn disconnect(&self) {
        run(&self.namespace, &["ip", "link", "del", &self.interface]);
    }

    /// Begins a new session at once, as a phone that changes from Wi-Fi to
    /// mobile; by itself a client notices after 15 s that its peer is new
    /// (WireGuard's REKEY_TIMEOUT and KEEPALIVE_TIMEOUT).
    pub fn reconnect(&self) {
        let shown = run(&self.namespace, &["wg", "show", &self.interface, "peers"]);
        let peer = String::from_utf8_lossy(&shown.stdout).trim().to_owned();
        run(
            &self.namespace,
            &["wg", "set", &self.interface, "peer", &peer, "remove"],
        );
        let file = conf_file(&self.interface);
        run(
            &self.namespace,
            &["wg", "addconf", &self.interface, &file.to_string_lossy()],
        );
    }
}

/// Takes away the tunnels that an earlier stack's devices left.
fn forget_devices() {
    for client in bed::var("MALIKNODE_BED_CLIENTS").split(' ') {
        let links = run_here(&["ip", "-n", client, "-o", "link"]);
        let names = links.lines().filter_map(|l| l.split(": ").nth(1));
        for name in names.filter(|n| n.starts_with("dev")) {
            run_here(&["ip", "-n", client, "link", "del", name]);
        }
    }
}

fn conf_file(interface: &str) -> PathBuf {
    PathBuf::from(bed::var("MALIKNODE_BED_DIR")).join(format!("{interface}.conf"))
}

/// Waits for something that should come true.
pub fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    until(what, Duration::from_secs(20), || look().then_some(()));
}
