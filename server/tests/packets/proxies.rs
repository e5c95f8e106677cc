//! The reverse proxies of deploy/proxies, with the real nginx and the real Caddy, a
//! certificate of a test authority, and curl as the browser.

use crate::{
    exclusive_bed, netns,
    stack::{PASSWORD, ServerOptions, Stack, run_here, wait_for},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const BASE: &str = "mn.test";
/// The address that a client forges.
const FORGED: &str = "203.0.113.99";

/// A reverse proxy that runs.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a certificate authority, and with it a certificate of the base and of all names
/// below it.
fn make_certificates(dir: &Path) {
    let script = format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
           -subj '/CN=Test authority' -keyout ca.key -out ca.pem
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN={BASE}' \
           -keyout privkey.pem -out request.pem
         printf 'subjectAltName=DNS:{BASE},DNS:*.{BASE}' >names
         openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
           -extfile names -out fullchain.pem"
    );
    let out = Command::new("sh")
        .args(["-euc", &script])
        .current_dir(dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{errors}");
}

/// Returns a file of deploy/proxies as an operator edits it.
fn edited(name: &str, certificates: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/proxies");
    let text = fs::read_to_string(path.join(name)).unwrap();
    text.replace(
        "/etc/letsencrypt/live/example.org",
        certificates.to_str().unwrap(),
    )
    .replace("example.org", BASE)
}

fn start_nginx(dir: &Path) -> Proxy {
    let site = edited("nginx.conf", dir);
    let config = dir.join("main.conf");
    let (pid, temporary) = (dir.join("nginx.pid"), dir.join("nginx"));
    fs::create_dir(&temporary).unwrap();
    let temporary = temporary.to_str().unwrap();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {temporary}/{kind};\n"))
        .concat();
    let text = format!(
        "user root;\ndaemon off;\npid {};\nerror_log stderr;\nevents {{}}\n\
         http {{\n  access_log off;\n{paths}{site}}}\n",
        pid.display()
    );
    fs::write(&config, text).unwrap();
    spawn("nginx", &["-c", config.to_str().unwrap()], dir)
}

fn start_caddy(dir: &Path) -> Proxy {
    let config = dir.join("Caddyfile");
    fs::write(&config, edited("Caddyfile", dir)).unwrap();
    let config = config.to_str().unwrap();
    spawn(
        "caddy",
        &["run", "--config", config, "--adapter", "caddyfile"],
        dir,
    )
}

fn spawn(program: &str, args: &[&str], dir: &Path) -> Proxy {
    let log = fs::File::create(dir.join(format!("{program}.log"))).unwrap();
    let child = Command::new(program)
        .args(args)
        .env("HOME", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Proxy(child.unwrap_or_else(|e| panic!("{program}: {e}; ./dev setup --tests provides it")))
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: String,
    version: String,
    url: String,
    headers: String,
    body: String,
}

/// A browser with cookies, which trusts the test authority.
struct Curl {
    dir: PathBuf,
}

impl Curl {
    /// Sends a request and follows redirects.
    fn ask(&self, url: &str, args: &[&str]) -> Answer {
        let path = |name: &str| self.dir.join(name).to_str().unwrap().to_owned();
        let (body, head, jar) = (path("body"), path("head"), path("jar"));
        let host = netns::var("MALIKNODE_BED_HOST");
        let _ = fs::remove_file(&body);
        let written = Command::new("curl")
            .args(["-sS", "--http2", "--location", "--compressed"])
            .args(["-H", "Accept: text/html, text/event-stream"])
            .args(["--cacert", &path("ca.pem"), "--cookie", &jar])
            .args(["--cookie-jar", &jar])
            .args(["--resolve", &format!("*:443:{host}")])
            .args(["--resolve", &format!("*:80:{host}")])
            .args(["--output", &body, "--dump-header", &head])
            .args([
                "--write-out",
                "%{http_code} %{http_version} %{url_effective}",
            ])
            .args(args)
            .arg(url)
            .output()
            .unwrap();
        let text = String::from_utf8(written.stdout).unwrap();
        let mut words = text.split(' ').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        Answer {
            status: next(),
            version: next(),
            url: next(),
            headers: fs::read_to_string(head).unwrap_or_default().to_lowercase(),
            body: fs::read_to_string(body).unwrap_or_default(),
        }
    }

    /// Posts a form as the page of that origin does.
    fn post(&self, origin: &str, path: &str, form: &[(&str, &str)], args: &[&str]) -> Answer {
        let fields = form
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>();
        let origin_header = format!("Origin: {origin}");
        let mut all = vec!["-H", origin_header.as_str()];
        for field in &fields {
            all.extend(["--data-urlencode", field]);
        }
        all.extend(args);
        self.ask(&format!("{origin}{path}"), &all)
    }
}

/// Follows a new tenant from the landing page to its AdGuard Home through a proxy.
fn works_through(name: &str, start: fn(&Path) -> Proxy) {
    let _bed = exclusive_bed();
    let dir = tempfile::tempdir().unwrap();
    make_certificates(dir.path());
    let mut options = ServerOptions::with_root(&format!("behind_{name}"));
    options.base = BASE.to_owned();
    options.extra_args = ["--scheme", "https", "--trusted-proxies", "127.0.0.1"]
        .map(str::to_owned)
        .to_vec();
    let mut stack = Stack::launch(options);
    stack.wait_for_answer();
    let _proxy = start(dir.path());
    let curl = Curl {
        dir: dir.path().to_owned(),
    };
    let base = format!("https://{BASE}");
    let landing = wait_for("the proxy answers", Duration::from_secs(20), || {
        let answer = curl.ask(&format!("{base}/"), &[]);
        (answer.status == "200").then_some(answer)
    });
    assert_eq!(landing.version, "2", "{landing:?}");
    assert!(landing.headers.contains("strict-transport-security:"));

    // Without TLS a browser is sent on.
    let plain = curl.ask(&format!("http://{BASE}/sign-in"), &[]);
    assert_eq!(plain.url, format!("{base}/sign-in"), "{plain:?}");

    // Sign-up to the dashboard. What a client writes into the proxy's headers is ignored.
    let forged = [
        format!("X-Forwarded-For: {FORGED}"),
        format!("X-Forwarded-Host: admin.{BASE}"),
        "X-Forwarded-Proto: http".to_owned(),
    ];
    let forged: Vec<&str> = forged.iter().flat_map(|h| ["-H", h.as_str()]).collect();
    let tenant = format!("behind-{name}");
    let form = [
        ("name", tenant.as_str()),
        ("password", PASSWORD),
        ("plan", "studio"),
    ];
    let home = format!("https://{tenant}.{BASE}");
    let progress = curl.post(&base, "/do/sign_up", &form, &forged);
    assert!(
        progress.status == "200" && progress.url.starts_with(&home),
        "{progress:?}"
    );
    wait_for("the network is ready", Duration::from_secs(60), || {
        let page = curl.ask(&format!("{home}/"), &forged);
        assert_eq!(page.status, "200", "{page:?}");
        page.body.contains("DNS answering").then_some(())
    });
    let cookies = fs::read_to_string(dir.path().join("jar")).unwrap();
    assert!(cookies.contains("__Host-mn_session"), "marked as secure");

    // The event stream arrives while it is open: curl ends it after three seconds.
    let stream = curl.ask(&format!("{home}/live/overview"), &["--max-time", "3"]);
    assert!(stream.body.contains("event: "), "{stream:?}");

    // AdGuard Home, signed on, at its own host.
    let dns = curl.ask(&format!("{home}/dns/open"), &[]);
    assert!(
        dns.status == "200"
            && dns
                .url
                .starts_with(&format!("https://{tenant}-dns.{BASE}/")),
        "{dns:?}"
    );
    assert!(dns.body.contains("AdGuard Home"), "{dns:?}");

    // A name that is no tenant's is refused, by us.
    let none = curl.ask(&format!("https://not-here.{BASE}/"), &[]);
    assert_ne!(none.status, "200", "{none:?}");

    // Where a sign-in came from is the client's address, and not the forged one.
    let again = curl.post(&base, "/do/sign_in", &form[..2], &forged);
    assert!(
        again.status == "200" && again.url.starts_with(&home),
        "{again:?}"
    );
    let audit = audit_log(&stack);
    let host = netns::var("MALIKNODE_BED_HOST");
    assert!(audit.contains(&host) && !audit.contains(FORGED), "{audit}");
    stack.stop();
}

/// Returns the audit log as the database has it.
fn audit_log(stack: &Stack) -> String {
    let file = stack.root().join("central_api/database.sqlite");
    run_here(&[
        "python3",
        "-c",
        "import sqlite3, sys\n\
         for row in sqlite3.connect(sys.argv[1]).execute('SELECT * FROM audit_log'): print(*row)",
        file.to_str().unwrap(),
    ])
}

#[test]
fn an_installation_works_behind_nginx() {
    works_through("nginx", start_nginx);
}

#[test]
fn an_installation_works_behind_caddy() {
    works_through("caddy", start_caddy);
}
