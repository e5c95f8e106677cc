//! BIND with a zone that takes updates, on a port of its own.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The key as `nsupdate -y` and the setting `names.key` have it.
pub const KEY: &str = "hmac-sha256:maliknode:c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ==";

/// A server with the zone `example.org`, in which the key may change addresses of all names
/// but of `fixed.example.org`. A wildcard leads to 192.0.2.10, as that of an installation
/// leads to its control plane.
pub struct Named {
    dir: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Named {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let mut named = Self {
            dir,
            port: port.expect("a port").port(),
            child: None,
        };
        named.write_files();
        named.run();
        named
    }

    fn write_files(&self) {
        let dir = self.dir.path();
        let secret = KEY.rsplit(':').next().expect("a secret");
        let text = format!(
            r#"key "maliknode" {{ algorithm hmac-sha256; secret "{secret}"; }};
key "other" {{ algorithm hmac-sha256; secret "{secret}"; }};
controls {{ }};
options {{
  directory "{dir}"; pid-file none; session-keyfile "{dir}/session.key"; lock-file none;
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no;
}};
zone "example.org" {{
  type primary; file "{dir}/zone";
  update-policy {{
    deny maliknode name fixed.example.org. ANY;
    grant maliknode subdomain example.org. A AAAA CNAME;
  }};
}};
"#,
            dir = dir.display(),
            port = self.port,
        );
        fs::write(dir.join("named.conf"), text).expect("it is written");
        let zone = "$TTL 60\n@ SOA ns1 admin 1 60 60 600 1\n@ NS ns1\nns1 A 192.0.2.53\n\
                    * A 192.0.2.10\nlina-vpn TXT \"by hand\"\n";
        fs::write(dir.join("zone"), zone).expect("it is written");
    }

    /// Starts it again with the records that it had.
    pub fn run(&mut self) {
        let dir = self.dir.path();
        let log = fs::File::create(dir.join("log")).expect("it is created");
        let child = Command::new("named")
            .args(["-g", "-n", "1", "-c"])
            .arg(dir.join("named.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("named is there: ./dev setup --tests");
        self.child = Some(child);
        let begun = Instant::now();
        while self.dig("ns1.example.org", "A") != ["192.0.2.53"] {
            let log = || fs::read_to_string(dir.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Returns its address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns what dig reads of it.
    pub fn dig(&self, name: &str, kind: &str) -> Vec<String> {
        let port = self.port.to_string();
        let out = Command::new("dig")
            .args(["@127.0.0.1", "-p", &port, "+short", "+tries=1", "+time=2"])
            .args(["+norecurse", name, kind])
            .output()
            .expect("dig is there: ./dev setup --tests");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns what it has logged since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.stop();
    }
}
