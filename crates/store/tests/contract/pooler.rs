//! pgbouncer between the store and PostgreSQL.

use crate::{
    postgres::{as_postgres, give_to_postgres},
    test_database::{KEY, TestDatabase, sign_up},
};
use domain::{ErrorCode, Message};
use futures_util::future::join_all;
use seal::Sealer;
use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use store::{DatabaseUrl, Store, StoreError};

const PORT: u16 = 6432;

/// pgbouncer, with the test's database in both modes.
struct Pooler {
    process: Child,
    dir: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Pooler {
    fn start(to: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("mn-pool-")
            .tempdir()
            .unwrap();
        give_to_postgres(dir.path()).unwrap();
        let (folder, to) = (dir.path().display(), connection(to));
        let config = format!(
            "[databases]\n\
             transactions = {to} pool_mode=transaction\n\
             sessions = {to} pool_mode=session\n\
             [pgbouncer]\n\
             listen_port = {PORT}\n\
             unix_socket_dir = {folder}\n\
             auth_type = any\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        let file = dir.path().join("pgbouncer.ini");
        fs::write(&file, config).unwrap();
        let process = as_postgres()
            .arg("/usr/sbin/pgbouncer")
            .arg("-q")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .spawn()
            .expect("pgbouncer is installed: apt-get install -y pgbouncer");
        let pooler = Self { process, dir };
        let until = Instant::now() + Duration::from_secs(20);
        while !pooler.socket().exists() {
            assert!(Instant::now() < until, "pgbouncer listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        pooler
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join(format!(".s.PGSQL.{PORT}"))
    }

    async fn open(&self, database: &str) -> Result<Store, StoreError> {
        let folder = self.dir.path().display();
        let url = format!("postgres://postgres@localhost:{PORT}/{database}?host={folder}");
        Store::open(&DatabaseUrl::parse(&url).unwrap(), Sealer::from_key(KEY)).await
    }
}

/// Returns a `postgres://` URL in pgbouncer's form.
fn connection(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (server, database) = rest.split_once('/').unwrap();
    let (user, server) = server.split_once('@').unwrap();
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (host, port) = server.split_once(':').unwrap_or((server, "5432"));
    let host = query.strip_prefix("host=").unwrap_or(host);
    let password = match password {
        "" => String::new(),
        password => format!("password={password} "),
    };
    format!("host={host} port={port} user={user} {password}dbname={database}")
}

pub async fn a_pooler_of_transactions_is_refused(db: &TestDatabase) {
    let DatabaseUrl::Postgres(url) = db.url() else {
        panic!("not PostgreSQL")
    };
    let pooler = Pooler::start(url.expose());
    let refused = pooler.open("transactions").await.err().unwrap();
    assert!(
        matches!(refused, StoreError::PoolerOfTransactions),
        "{refused:?}"
    );
    let failure = refused.failure();
    assert_eq!(failure.code, ErrorCode::BadConfiguration);
    assert_eq!(failure.message, Message::PoolerOfTransactions);

    // In the other mode everything works, at the same time too.
    let store = pooler.open("sessions").await.unwrap();
    let names = ["abcd", "efgh", "ijkl", "mnop", "qrst", "uvwx"];
    let tenants = join_all(names.map(|name| sign_up(&store, name))).await;
    assert_eq!(tenants.len(), names.len());
    let spec = store.load_spec(store::LOCAL_NODE).await.unwrap();
    assert_eq!(spec.tenants.len(), names.len());
    store.close().await;
}
