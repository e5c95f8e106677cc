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
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Where the server listens in the bed.
pub const PORT: u16 = 8085;
/// A service on the "internet" that says who called, and echoes UDP.
pub const ECHO: u16 = 7000;
/// A service on the "internet" that sends for ever.
pub const STREAM: u16 = 7001;
const PASSWORD: &str = "correct horse battery staple";

/// The running server.
pub struct Stack {
    child: Child,
    root: PathBuf,
    log: PathBuf,
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

fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
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
        bed::require();
        let internet = bed::address("MALIKNODE_BED_INTERNET");
        let wan = bed::var("MALIKNODE_BED_WAN");
        dns::upstream(&wan, internet, internet);
        bed::serve(&wan, internet, ECHO);
        bed::serve_stream(&wan, STREAM);
        let dir = PathBuf::from(bed::var("MALIKNODE_BED_DIR"));
        let (root, log) = (dir.join("root"), dir.join("server.log"));
        let mut stack = Self {
            child: Self::spawn(&root, &log),
            root,
            log,
            clients: 0,
        };
        stack.wait_for_answer();
        stack
    }

    fn spawn(root: &PathBuf, log: &PathBuf) -> Child {
        let internet = bed::var("MALIKNODE_BED_INTERNET");
        let out = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log");
        let err = out.try_clone().expect("a log");
        Command::new(bed::var("MALIKNODE_BIN"))
            .args([
                "serve",
                "--listen",
                "0.0.0.0:8085",
                "--base",
                "localhost:8085",
                "--sign-ups-per-hour",
                "0",
            ])
            .args([
                "--public-host",
                &bed::var("MALIKNODE_BED_HOST"),
                "--dns-upstreams",
                &internet,
            ])
            .args(["--dns-bootstrap", &internet, "--dns-fallback", &internet])
            .arg("--root")
            .arg(root)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .expect("the server starts")
    }

    fn wait_for_answer(&mut self) {
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
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server has ended");
        self.child = Self::spawn(&self.root, &self.log);
        self.wait_for_answer();
    }

    /// The root of the disk layout.
    pub fn root(&self) -> &PathBuf {
        &self.root
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Signs somebody up and waits until all their parts are there.
    pub fn sign_up(&self, name: &str) -> Tenant {
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
        let overview = until("the tenant is ready", Duration::from_secs(60), || {
            let page = browser.get(&format!("http://{name}.localhost:8085/"));
            assert_eq!(page.status, 200, "{}", page.body);
            (page.body.contains("DNS answering")).then_some(page)
        });
        let gateway = find_gateway(&overview.body);
        Tenant {
            name: name.to_owned(),
            browser,
            gateway,
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

    fn connect(&mut self, namespace: &str, id: String, conf: &str) -> Device {
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
        let file = PathBuf::from(bed::var("MALIKNODE_BED_DIR")).join(format!("{interface}.conf"));
        fs::write(&file, stripped).expect("a file");
        run(namespace, &["wireguard-go", &interface]);
        run(
            namespace,
            &["wg", "setconf", &interface, &file.to_string_lossy()],
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The gateway's address on the overview: the first `10.x.y.1`.
fn find_gateway(html: &str) -> Ipv4Addr {
    html.split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|w| w.starts_with("10.") && w.ends_with(".1"))
        .find_map(|w| w.parse().ok())
        .unwrap_or_else(|| panic!("no gateway on the page: {html}"))
}

impl Tenant {
    fn url(&self, path: &str) -> String {
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
}

/// Waits for something that should come true.
pub fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    until(what, Duration::from_secs(20), || look().then_some(()));
}
