//! An installation whose database is moved, and the commands that are run on it.

use crate::postgres::PostgresServer;
use domain::{AddressPlan, Clock, Secret, SystemClock, TenantName};
use seal::Sealer;
use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};
use store::{DatabaseUrl, NewTenant, Store};

/// The password in every address.
const PASSWORD: &str = "gehe%40im";

pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// The output of a command that succeeded.
    pub fn output(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        assert!(!self.out.contains("gehe"), "{}", self.out);
        self.out
    }

    /// The error output of a command that failed.
    pub fn refusal(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        assert!(!self.err.contains("gehe"), "{}", self.err);
        self.err
    }
}

/// An installation on SQLite whose server is stopped, and an empty database to move to.
pub struct Installation<'a> {
    root: tempfile::TempDir,
    server: &'a PostgresServer,
    pub database: String,
}

impl<'a> Installation<'a> {
    pub fn new(server: &'a PostgresServer, config: Option<&str>) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let database = format!("move_{}_{n}", std::process::id());
        psql(&server.url, &format!("CREATE DATABASE {database}"));
        let root = tempfile::tempdir().unwrap();
        let installation = Self {
            root,
            server,
            database,
        };
        fs::create_dir(installation.central()).unwrap();
        if let Some(config) = config {
            fs::write(installation.central().join("config.toml"), config).unwrap();
            let mode = Permissions::from_mode(0o640);
            fs::set_permissions(installation.central().join("config.toml"), mode).unwrap();
        }
        runtime().block_on(fill(&installation.sqlite(), installation.central()));
        installation
    }

    pub fn central(&self) -> PathBuf {
        self.root.path().join("central_api")
    }

    pub fn sqlite(&self) -> PathBuf {
        self.central().join("database.sqlite")
    }

    /// Returns the address of the new database, with a password that the server ignores.
    pub fn url(&self) -> String {
        let (front, query) = self.server.url.split_once('?').unwrap();
        let (front, _) = front.rsplit_once('/').unwrap();
        let front = front.replacen("postgres@", &format!("postgres:{PASSWORD}@"), 1);
        format!("{front}/{}?{query}", self.database)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maliknode"));
        command.env_clear().args(args);
        command.arg("--root").arg(self.root.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }

    pub fn move_with(&self, args: &[&str]) -> Run {
        let url = self.url();
        let mut all = vec!["database", "move", "--to", &url];
        all.extend(args);
        self.run(&all)
    }

    /// Returns what a query of PostgreSQL prints.
    pub fn query(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }

    /// Returns the number of tenants in PostgreSQL, or nothing without the table.
    pub fn tenants(&self) -> String {
        match self.query("SELECT to_regclass('users') IS NOT NULL").trim() {
            "t" => self.query("SELECT COUNT(*) FROM users").trim().to_owned(),
            _ => String::new(),
        }
    }

    pub fn files(&self) -> BTreeSet<String> {
        let names = fs::read_dir(self.central()).unwrap();
        names
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    pub fn moved(&self) -> Vec<String> {
        let files = self.files().into_iter();
        files
            .filter(|f| f.starts_with("database.sqlite.moved-"))
            .collect()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

pub fn psql(url: &str, sql: &str) -> String {
    let out = Command::new("psql")
        .args(["-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
        .output()
        .expect("psql runs");
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{sql}: {err}");
    String::from_utf8(out.stdout).unwrap()
}

async fn open(url: &DatabaseUrl, central: &Path) -> Store {
    let sealer = Sealer::from_key_file(&central.join("seal.key")).unwrap();
    Store::open(url, sealer).await.unwrap()
}

/// Creates three tenants, the last of which is deleted.
async fn fill(path: &Path, central: PathBuf) {
    let store = open(&DatabaseUrl::Sqlite(path.to_owned()), &central).await;
    for (n, name) in ["lina", "zoe1", "gone"].into_iter().enumerate() {
        let new = NewTenant {
            actor: None,
            name: TenantName::parse(name).unwrap(),
            password_hash: Secret::new("$argon2id$hash"),
            plan: "home".to_owned(),
            private_key: testkit::samples::key(1, n as u8),
            dns_password: Secret::new("dns"),
            time_zone: "Pacific/Auckland".to_owned(),
            invitation: None,
            mail: None,
            dns_password_hash: "$2y$hash".to_owned(),
            now: SystemClock.now(),
        };
        let (plan, none) = (AddressPlan::default(), BTreeSet::new());
        store.create_tenant(new, &plan, &none).await.unwrap();
    }
    store.close().await;
}
