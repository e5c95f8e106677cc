//! The bed's processes: finds, kills and restarts the Docker engine, containers
//! and the userspace WireGuard process. A bed has a process namespace of its
//! own, so no other processes are visible.

use super::{
    netns,
    stack::{run_here, wait_for},
};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

/// Kills a process by SIGKILL. It may have ended already.
pub fn kill(pid: u32) {
    let _ = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Returns whether a process exists and is not a zombie.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|s| !s.rsplit(") ").next().unwrap_or("Z").starts_with('Z'))
}

/// Returns the processes that have this command line argument.
pub fn processes_with_arg(arg: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    entries
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|pid| runs(*pid) && command_line(*pid).iter().any(|w| w == arg))
        .collect()
}

fn command_line(pid: u32) -> Vec<String> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = raw.split(|b| *b == 0).filter(|w| !w.is_empty());
    words
        .map(|w| String::from_utf8_lossy(w).into_owned())
        .collect()
}

/// Returns the userspace WireGuard process, if there is one.
pub fn wireguard_process() -> Option<u32> {
    processes_with_arg("wg-userspace").first().copied()
}

/// The bed's Docker engine.
pub struct Engine {
    command: Vec<String>,
    pid_file: PathBuf,
}

impl Engine {
    /// Finds the running engine.
    pub fn running() -> Self {
        let pid_file = PathBuf::from(netns::var("MALIKNODE_BED_DIR")).join("docker/pid");
        let mut engine = Self {
            command: vec![],
            pid_file,
        };
        engine.command = command_line(engine.pid().expect("the bed started one"));
        engine
    }

    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(&self.pid_file).ok()?;
        text.trim().parse().ok().filter(|pid| runs(*pid))
    }

    /// Kills dockerd by SIGKILL. containerd and the containers keep running.
    pub fn kill(&self) {
        let pid = self.pid().expect("it runs");
        kill(pid);
        wait_for("dockerd has ended", Duration::from_secs(10), || {
            (!runs(pid)).then_some(())
        });
    }

    /// Kills dockerd, containerd, and every container with its shim.
    pub fn power_cut(&self) {
        self.pid().into_iter().for_each(kill);
        let running = |suffix: &str| {
            let all = fs::read_dir("/proc").expect("/proc is there").flatten();
            let pids = all.filter_map(|e| e.file_name().to_str()?.parse().ok());
            let matching = |pid: &u32| {
                runs(*pid)
                    && command_line(*pid)
                        .first()
                        .is_some_and(|w| w.ends_with(suffix))
            };
            pids.filter(matching).collect::<Vec<u32>>()
        };
        // Each is killed before the processes whose end it would report.
        for program in ["containerd", "containerd-shim-runc-v2", "AdGuardHome"] {
            wait_for(
                "a part of Docker has ended",
                Duration::from_secs(10),
                || {
                    let left = running(program);
                    left.iter().copied().for_each(kill);
                    left.is_empty().then_some(())
                },
            );
        }
    }

    /// Starts dockerd with its previous command line, and waits until it answers.
    pub fn start(&self) {
        let log = self.pid_file.with_file_name("log");
        let log = fs::OpenOptions::new()
            .append(true)
            .open(log)
            .expect("its log");
        let err = log.try_clone().expect("its log");
        let _ = fs::remove_file(&self.pid_file);
        let mut c = Command::new(&self.command[0]);
        c.args(&self.command[1..])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(err);
        let mut child = c.spawn().expect("dockerd starts");
        wait_for("dockerd answers", Duration::from_secs(40), || {
            let version = Command::new("docker").arg("version").output();
            version.is_ok_and(|o| o.status.success()).then_some(())
        });
        // Collects its exit status when it is killed, so that no zombie stays.
        std::thread::spawn(move || child.wait());
    }
}

/// Returns the id of a tenant's container, by the label with its published name: its
/// name in the engine says nothing.
pub fn container(tenant: &str) -> Option<String> {
    let label = format!("label=maliknode.name=adguard_user_{tenant}");
    let out = Command::new("docker")
        .args(["ps", "-aq", "--filter", &label])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.split_whitespace().next().map(str::to_owned)
}

/// Returns the first process of a tenant's container, if it runs.
pub fn container_process(tenant: &str) -> Option<u32> {
    let id = container(tenant)?;
    let out = Command::new("docker")
        .args(["inspect", "-f", "{{.State.Pid}}", &id])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Runs `docker` with these arguments and returns its output.
///
/// # Panics
/// It fails.
pub fn docker(args: &[&str]) -> String {
    run_here(&[&["docker"], args].concat())
}
