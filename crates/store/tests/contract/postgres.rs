//! A PostgreSQL server for the tests: the one that `MALIKNODE_TEST_POSTGRES` names,
//! or a private one in a temporary folder on a Unix socket, stopped at the end.
//! Without PostgreSQL the tests fail with a message.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A server on which the tests may create databases.
pub struct PostgresServer {
    /// The `postgres://…` URL of a database to connect to first.
    pub url: String,
    /// Stops the server when it is dropped.
    _private: Option<Private>,
}

struct Private {
    bin: PathBuf,
    data: PathBuf,
    server: Child,
    /// Removes the folder when it is dropped.
    _dir: tempfile::TempDir,
}

impl PostgresServer {
    /// Uses the configured server or starts a private one.
    pub fn start() -> Result<Self, String> {
        match std::env::var("MALIKNODE_TEST_POSTGRES") {
            Ok(url) if !url.is_empty() => Ok(Self {
                url,
                _private: None,
            }),
            _ => Self::start_private(),
        }
    }

    fn start_private() -> Result<Self, String> {
        let bin = newest_bin().ok_or(
            "PostgreSQL is not installed. Run: apt-get install -y postgresql, or set MALIKNODE_TEST_POSTGRES=postgres://…",
        )?;
        let dir = tempfile::Builder::new()
            .prefix("mn-pg-")
            .tempdir()
            .map_err(message)?;
        let data = dir.path().join("data");
        // PostgreSQL refuses to run as root; its package creates a user.
        give_to_postgres(dir.path())?;
        let log = File::create(dir.path().join("log")).map_err(message)?;
        let init = as_postgres()
            .arg(bin.join("initdb"))
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--no-sync", "-D"])
            .arg(&data)
            .current_dir(dir.path())
            .output()
            .map_err(message)?;
        if !init.status.success() {
            return Err(String::from_utf8_lossy(&init.stderr).into_owned());
        }
        let server = as_postgres()
            .arg(bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            // A socket only; the data need not survive a power failure.
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(message)?)
            .stderr(log)
            .spawn()
            .map_err(message)?;
        let url = format!(
            "postgres://postgres@localhost/postgres?host={}",
            dir.path().display()
        );
        let mut private = Private {
            bin,
            data,
            server,
            _dir: dir,
        };
        private.wait_until_ready()?;
        Ok(Self {
            url,
            _private: Some(private),
        })
    }
}

impl Private {
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let socket = self.data.parent().unwrap_or(Path::new("/"));
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let mut ready = Command::new(self.bin.join("pg_isready"));
            let ready = ready
                .arg("-q")
                .arg("-h")
                .arg(socket)
                .status()
                .map_err(message)?;
            if ready.success() {
                return Ok(());
            }
            if let Some(status) = self.server.try_wait().map_err(message)? {
                let log = fs::read_to_string(socket.join("log")).unwrap_or_default();
                return Err(format!("PostgreSQL ended ({status}): {log}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("PostgreSQL did not answer within 60 s".to_owned())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let mut stop = as_postgres();
        let stop = stop
            .arg(self.bin.join("pg_ctl"))
            .args(["stop", "-s", "-m", "fast", "-D"]);
        let stopped = stop.arg(&self.data).current_dir("/").status();
        if !stopped.is_ok_and(|s| s.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

/// Makes the user `postgres` the owner of a folder if this process is root.
pub fn give_to_postgres(folder: &Path) -> Result<(), String> {
    if fs::metadata("/proc/self").map_err(message)?.uid() == 0 {
        let [uid, gid] = [id("-u")?, id("-g")?];
        chown(folder, Some(uid), Some(gid)).map_err(message)?;
    }
    Ok(())
}

/// Returns a command that runs as the user `postgres` if this process is root.
/// The kernel ends it with this process, even if this process is killed.
pub fn as_postgres() -> Command {
    let mut c = Command::new("setpriv");
    c.args(["--pdeathsig", "INT"]).env("LC_ALL", "C.UTF-8");
    if fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        c.args([
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--init-groups",
        ]);
    }
    c.arg("--");
    c
}

fn id(what: &str) -> Result<u32, String> {
    let out = Command::new("id")
        .args([what, "postgres"])
        .output()
        .map_err(message)?;
    let id = String::from_utf8_lossy(&out.stdout);
    id.trim()
        .parse()
        .map_err(|_| "there is no user postgres".to_owned())
}

/// Returns the folder with the programs of the newest version that is installed.
pub fn newest_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()?;
    let bin = PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"));
    bin.join("initdb").exists().then_some(bin)
}

pub fn message(e: std::io::Error) -> String {
    e.to_string()
}
