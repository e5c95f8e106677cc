//! The bed's processes: the Docker engine, containers and the userspace child,
//! found, killed and started again. In a bed's process namespace nobody else's
//! processes can be seen.

use super::{bed, stack::run_here, stack::until};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

/// Ends a process without warning. One that has gone already is no error.
pub fn kill_nine(pid: u32) {
    let _ = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Whether a process is there, and no zombie.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|s| !s.rsplit(") ").next().unwrap_or("Z").starts_with('Z'))
}

/// Processes of which a word of the command line is `word`.
pub fn processes(word: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    entries
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|pid| runs(*pid) && command_line(*pid).iter().any(|w| w == word))
        .collect()
}

fn command_line(pid: u32) -> Vec<String> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = raw.split(|b| *b == 0).filter(|w| !w.is_empty());
    words
        .map(|w| String::from_utf8_lossy(w).into_owned())
        .collect()
}

/// The userspace WireGuard's process, if there is one.
pub fn child() -> Option<u32> {
    processes("wg-userspace").first().copied()
}

/// The bed's Docker engine.
pub struct Engine {
    command: Vec<String>,
    pid_file: PathBuf,
}

impl Engine {
    /// The one that runs.
    pub fn running() -> Self {
        let pid_file = PathBuf::from(bed::var("MALIKNODE_BED_DIR")).join("docker/pid");
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

    /// Kills dockerd without warning; containerd and the containers go on.
    pub fn kill(&self) {
        let pid = self.pid().expect("it runs");
        kill_nine(pid);
        until("dockerd has gone", Duration::from_secs(10), || {
            (!runs(pid)).then_some(())
        });
    }

    /// Kills dockerd, containerd, and every container with all that holds it.
    pub fn power_cut(&self) {
        self.pid().into_iter().for_each(kill_nine);
        let part = |word: &str| {
            let all = fs::read_dir("/proc").expect("/proc is there").flatten();
            let pids = all.filter_map(|e| e.file_name().to_str()?.parse().ok());
            let is_part = |pid: &u32| {
                runs(*pid)
                    && command_line(*pid)
                        .first()
                        .is_some_and(|w| w.ends_with(word))
            };
            pids.filter(is_part).collect::<Vec<u32>>()
        };
        // containerd-shim-runc-v2 first: it would report the others' ends.
        for word in ["containerd", "containerd-shim-runc-v2", "AdGuardHome"] {
            until("a part of Docker has gone", Duration::from_secs(10), || {
                let left = part(word);
                left.iter().copied().for_each(kill_nine);
                left.is_empty().then_some(())
            });
        }
    }

    /// Starts dockerd again as it was, and waits until it answers.
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
        until("dockerd answers", Duration::from_secs(40), || {
            let version = Command::new("docker").arg("version").output();
            version.is_ok_and(|o| o.status.success()).then_some(())
        });
        // Takes its status when it is killed one day, so that no zombie stays.
        std::thread::spawn(move || child.wait());
    }
}

/// The first process of a tenant's container, if it runs.
pub fn container_process(tenant: &str) -> Option<u32> {
    let name = format!("adguard_user_{tenant}");
    let out = Command::new("docker")
        .args(["inspect", "-f", "{{.State.Pid}}", &name])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// `docker` with these words, which must succeed; what it printed.
pub fn docker(words: &[&str]) -> String {
    run_here(&[&["docker"], words].concat())
}
