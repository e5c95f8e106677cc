//! A PostgreSQL server for the tests: the one `MALIKNODE_TEST_POSTGRES` names,
//! or a private one in a temporary folder on a Unix socket, stopped at the end.
//! There is no third way: without PostgreSQL the tests fail and say so.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A server the tests may make databases on.
pub struct Cluster {
    /// `postgres://…` of a database to connect to first.
    pub url: String,
    /// Held for its `Drop`, which stops the server.
    _private: Option<Private>,
}

struct Private {
    bin: PathBuf,
    data: PathBuf,
    server: Child,
    /// Held for its `Drop`, which removes the folder.
    _dir: tempfile::TempDir,
}

impl Cluster {
    /// The configured server, or a private one.
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
            .map_err(text)?;
        let data = dir.path().join("data");
        // PostgreSQL refuses to run as root; the package has made it a user.
        if fs::metadata("/proc/self").map_err(text)?.uid() == 0 {
            let [uid, gid] = [id("-u")?, id("-g")?];
            chown(dir.path(), Some(uid), Some(gid)).map_err(text)?;
        }
        let log = File::create(dir.path().join("log")).map_err(text)?;
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
            .map_err(text)?;
        if !init.status.success() {
            return Err(String::from_utf8_lossy(&init.stderr).into_owned());
        }
        let server = as_postgres()
            .arg(bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            // Socket only; nothing here has to survive a power cut.
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(text)?)
            .stderr(log)
            .spawn()
            .map_err(text)?;
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
                .map_err(text)?;
            if ready.success() {
                return Ok(());
            }
            if let Some(status) = self.server.try_wait().map_err(text)? {
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

/// As the user `postgres` where we are root; and never outliving this process,
/// not even where it is killed.
fn as_postgres() -> Command {
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
        .map_err(text)?;
    let id = String::from_utf8_lossy(&out.stdout);
    id.trim()
        .parse()
        .map_err(|_| "there is no user postgres".to_owned())
}

fn newest_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()?;
    let bin = PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"));
    bin.join("initdb").exists().then_some(bin)
}

fn text(e: std::io::Error) -> String {
    e.to_string()
}
