//! The stack under test: the real binary with an empty root in a test bed, a
//! test upstream on the "internet", and the tenants and devices that use it.

mod database;
mod device;
mod operator;
mod tenant;

use crate::{dns, netns};
pub use device::Device;
use device::forget_devices;
#[allow(unused_imports, reason = "the packet tests use the rest")]
pub use operator::{
    OPERATOR_PASSWORD, TestPlan, change_plan, note_used_codes, operator, operator_key, sign_in_as,
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Once,
    thread,
    time::{Duration, Instant},
};
pub use tenant::Tenant;

/// The port on which the server listens.
pub const PORT: u16 = 8085;
/// The port on the "internet" that answers TCP with the caller's address and
/// echoes UDP.
pub const ECHO: u16 = 7000;
/// The port on the "internet" that sends TCP data without end.
pub const STREAM: u16 = 7001;
/// The password of every tenant.
pub const PASSWORD: &str = "correct horse battery staple";

/// How a server is started.
#[derive(Clone)]
pub struct ServerOptions {
    /// The program.
    pub program: PathBuf,
    /// The root of the disk layout.
    pub root: PathBuf,
    /// The port on which it listens. Browsers use [`PORT`].
    pub port: u16,
    /// The installation's name on the web.
    pub base: String,
    /// Arguments after the usual ones.
    pub extra_args: Vec<String>,
}

impl ServerOptions {
    /// Returns options for the program under test with a root of this name.
    pub fn with_root(root: &str) -> Self {
        Self {
            program: netns::var("MALIKNODE_BIN").into(),
            root: PathBuf::from(netns::var("MALIKNODE_BED_DIR")).join(root),
            port: PORT,
            base: "localhost:8085".to_owned(),
            extra_args: vec![],
        }
    }

    /// Returns the path of the server's log.
    pub fn log(&self) -> PathBuf {
        self.root.with_extension("log")
    }

    /// Returns `maliknode COMMAND` with the usual options, not started yet.
    pub fn command(&self, command: &[&str]) -> Command {
        let internet = netns::var("MALIKNODE_BED_INTERNET");
        let mut c = Command::new(&self.program);
        c.args(command)
            .args(["--listen", &format!("0.0.0.0:{}", self.port)])
            .args(["--base", &self.base])
            .args([
                "--sign-ups-per-hour",
                "0",
                "--sign-ups-per-hour-total",
                "0",
                "--public-host",
            ])
            .arg(netns::var("MALIKNODE_BED_HOST"))
            .args(["--dns-upstreams", &internet, "--dns-bootstrap", &internet])
            .args(["--dns-fallback", &internet, "--root"])
            .arg(&self.root)
            .args(&self.extra_args)
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
    options: ServerOptions,
    clients: u32,
}

/// Polls until `poll` returns something.
///
/// # Panics
/// It returns nothing within `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut poll: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} for: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

impl Stack {
    /// Starts the server and the services it needs, and waits until it answers.
    pub fn start() -> Self {
        let mut stack = Self::launch(ServerOptions::with_root("root"));
        stack.wait_for_answer();
        stack
    }

    /// Starts the server with these options and the services it needs, without
    /// waiting for an answer.
    pub fn launch(options: ServerOptions) -> Self {
        static SERVICES: Once = Once::new();
        netns::require();
        SERVICES.call_once(|| {
            let internet = netns::address("MALIKNODE_BED_INTERNET");
            let wan = netns::var("MALIKNODE_BED_WAN");
            dns::upstream(&wan, internet, internet);
            netns::serve(&wan, internet, ECHO);
            netns::serve_stream(&wan, STREAM);
        });
        forget_devices();
        Self {
            child: options.serve(),
            options,
            clients: 0,
        }
    }

    /// Waits until pages are served.
    pub fn wait_for_answer(&mut self) {
        wait_for("the server answers", Duration::from_secs(30), || {
            let address = ("127.0.0.1", self.options.port);
            let mut stream = TcpStream::connect(address).ok()?;
            stream
                .write_all(
                    format!(
                        "GET /healthz HTTP/1.0\r\nHost: {}\r\n\r\n",
                        self.options.base
                    )
                    .as_bytes(),
                )
                .ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.contains(" 200 ").then_some(())
        });
    }

    /// Kills the server by SIGKILL and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Kills the server by SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server has ended");
    }

    /// Ends the server by SIGTERM, like a service manager, and waits for it.
    pub fn stop(&mut self) {
        run_here(&["kill", "-TERM", &self.child.id().to_string()]);
        let ended = self.child.wait().expect("the server has ended");
        assert!(ended.success(), "it ended with {ended}");
    }

    /// Starts the ended server again with the same root.
    pub fn restart(&mut self) {
        self.child = self.options.serve();
        self.wait_for_answer();
    }

    /// Starts the ended server again without waiting for an answer.
    pub fn spawn(&mut self) {
        self.child = self.options.serve();
    }

    /// Starts the ended server again with another program from now on.
    pub fn upgrade(&mut self, program: PathBuf) {
        self.options.program = program;
        self.restart();
    }

    /// Adds an argument for the next start.
    pub fn add_argument(&mut self, argument: &str) {
        self.options.extra_args.push(argument.to_owned());
    }

    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Returns the exit status of the server if it has ended by itself.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    pub fn root(&self) -> &PathBuf {
        &self.options.root
    }

    /// Returns the server's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.options.log()).unwrap_or_default()
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

/// Runs a program and returns its output.
///
/// # Panics
/// The program fails.
pub fn run_here(program: &[&str]) -> String {
    let out = Command::new(program[0])
        .args(&program[1..])
        .output()
        .unwrap_or_else(|e| panic!("{program:?}: {e}"));
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program:?}: {err}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Waits until a condition is true.
///
/// # Panics
/// It is false for 20 s.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, Duration::from_secs(20), || condition().then_some(()));
}
