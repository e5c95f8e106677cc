//! Two PostgreSQL servers: a primary and its synchronous standby, which is promoted when the
//! primary is gone. Clients find the present primary by a link to its socket, as they find
//! it elsewhere by an address that moves.

use crate::postgres::{as_postgres, give_to_postgres, message, newest_bin};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take to start, or to be promoted.
const TIMEOUT: Duration = Duration::from_secs(60);

/// See the module.
pub struct Pair {
    bin: PathBuf,
    primary: Option<Server>,
    standby: Server,
    dir: tempfile::TempDir,
}

struct Server {
    process: Child,
    /// With its data and its socket.
    folder: PathBuf,
}

impl Pair {
    /// Starts both, and waits until each commit waits for the standby.
    pub fn start() -> Result<Self, String> {
        let bin = newest_bin()
            .ok_or("PostgreSQL is not installed. Run: apt-get install -y postgresql")?;
        let dir = tempfile::Builder::new()
            .prefix("mn-pair-")
            .tempdir()
            .map_err(message)?;
        give_to_postgres(dir.path())?;
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        let init = [
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ];
        let mut initdb = as_postgres();
        initdb.arg(bin.join("initdb")).args(init);
        run(initdb.args(["--no-sync", "-D"]).arg(one.join("data")))?;
        // A commit is acknowledged once the standby has written it.
        let synchronous = ["-c", "synchronous_standby_names=*"];
        let primary = Server::start(&bin, one, &synchronous)?;
        symlink(&primary.folder, dir.path().join("now")).map_err(message)?;
        let mut copy = as_postgres();
        copy.arg(bin.join("pg_basebackup")).args([
            "-U",
            "postgres",
            "-R",
            "-c",
            "fast",
            "-X",
            "stream",
            "--no-sync",
            "-h",
        ]);
        run(copy.arg(&primary.folder).arg("-D").arg(two.join("data")))?;
        let standby = Server::start(&bin, two, &[])?;
        let pair = Self {
            bin,
            primary: Some(primary),
            standby,
            dir,
        };
        pair.wait_until("sync", "SELECT sync_state FROM pg_stat_replication")?;
        Ok(pair)
    }

    /// Returns the `postgres://…` URL of the present primary.
    pub fn url(&self) -> String {
        let socket = self.dir.path().join("now");
        format!(
            "postgres://postgres@localhost/postgres?host={}",
            socket.display()
        )
    }

    /// Kills the primary and all its processes at once, as a machine ends.
    pub fn kill_primary(&mut self) -> Result<(), String> {
        let Some(mut primary) = self.primary.take() else {
            return Ok(());
        };
        let id = primary.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.map_err(message)?;
        let all = children.split_whitespace().map(str::to_owned);
        run(Command::new("kill").arg("-9").arg(id.to_string()).args(all))?;
        primary.process.wait().map_err(message)?;
        Ok(())
    }

    /// Makes the standby the primary, and leads clients to it.
    pub fn promote(&self) -> Result<(), String> {
        let mut promote = as_postgres();
        promote
            .arg(self.bin.join("pg_ctl"))
            .args(["promote", "-s", "-w", "-D"]);
        run(promote
            .arg(self.standby.folder.join("data"))
            .current_dir("/"))?;
        let (next, now) = (self.dir.path().join("next"), self.dir.path().join("now"));
        symlink(&self.standby.folder, &next).map_err(message)?;
        fs::rename(next, now).map_err(message)?;
        self.wait_until("f", "SELECT pg_is_in_recovery()")
    }

    fn wait_until(&self, expected: &str, sql: &str) -> Result<(), String> {
        let until = Instant::now() + TIMEOUT;
        while Instant::now() < until {
            let asked = Command::new("psql")
                .args(["-qAtc", sql, &self.url()])
                .output()
                .map_err(message)?;
            if String::from_utf8_lossy(&asked.stdout).trim() == expected {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{sql} never was {expected}"))
    }
}

impl Server {
    fn start(bin: &Path, folder: PathBuf, settings: &[&str]) -> Result<Self, String> {
        let log = File::create(folder.with_extension("log")).map_err(message)?;
        let mut server = as_postgres();
        server
            .arg(bin.join("postgres"))
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(settings)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(message)?)
            .stderr(log);
        let process = server.spawn().map_err(message)?;
        let mut server = Self { process, folder };
        let until = Instant::now() + TIMEOUT;
        while Instant::now() < until {
            let mut ready = Command::new(bin.join("pg_isready"));
            let ready = ready.arg("-q").arg("-h").arg(&server.folder).status();
            if ready.map_err(message)?.success() {
                return Ok(server);
            }
            if let Some(status) = server.process.try_wait().map_err(message)? {
                let log = fs::read_to_string(server.folder.with_extension("log"));
                return Err(format!(
                    "PostgreSQL ended ({status}): {}",
                    log.unwrap_or_default()
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("PostgreSQL did not answer within 60 s".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT ends it at once, with all its processes: the data are removed.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &id]).status();
        let _ = self.process.wait();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    // The user `postgres` may not read the present folder.
    let out = command.current_dir("/").output().map_err(message)?;
    let says = String::from_utf8_lossy(&out.stderr);
    out.status
        .success()
        .then_some(())
        .ok_or_else(|| format!("{command:?}: {says}"))
}
