//! Several control planes without nodes on one database, behind HAProxy at the usual
//! ports. It asks them in turn, so that consecutive requests of a browser arrive at
//! different ones.

use crate::{
    browser::Browser,
    cluster::{Cluster, NODES_PORT},
    netns,
    stack::{PORT, ServerOptions, Stack, run_here, wait_for},
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// What a browser asks a control plane, to see whether it answers.
const HEALTH: &str = "http://localhost:8085/readyz";

pub struct Several {
    /// With the first control plane.
    pub cluster: Cluster,
    /// The other control planes.
    pub others: Vec<Stack>,
    balancer: Child,
}

impl Several {
    /// Starts control planes on an empty database, and workers that report to them.
    pub fn start(name: &str, control_planes: u16, workers: u8) -> Self {
        let mut others = Vec::new();
        let mut balancer = None;
        let cluster = Cluster::start_with(name, workers, |url| {
            let first = launch(name, 1, url, None);
            for n in 2..=control_planes {
                others.push(launch(name, n, url, Some(first.root())));
            }
            balancer = Some(start_balancer(control_planes));
            first
        });
        let several = Self {
            cluster,
            others,
            balancer: balancer.expect("it was started"),
        };
        several.wait_for_workers(workers.into());
        several
    }

    /// Waits until every control plane hears so many workers.
    fn wait_for_workers(&self, workers: usize) {
        let all = std::iter::once(&self.cluster.stack).chain(&self.others);
        for stack in all {
            wait_for("each hears the workers", Duration::from_secs(30), || {
                let log = stack.log();
                let lines = log.lines().filter(|l| l.contains("a worker has connected"));
                let nodes = lines.filter_map(|l| l.split("node=").nth(1));
                let nodes: BTreeSet<_> = nodes.filter_map(|n| n.split(' ').next()).collect();
                (nodes.len() >= workers).then_some(())
            });
        }
    }

    /// Returns the logs of all control planes.
    pub fn logs(&self) -> String {
        let others = self.others.iter().map(Stack::log);
        std::iter::once(self.cluster.stack.log())
            .chain(others)
            .collect()
    }
}

impl Drop for Several {
    fn drop(&mut self) {
        let _ = self.balancer.kill();
        let _ = self.balancer.wait();
    }
}

/// Returns the options of the `n`th control plane, from 1.
pub fn options(name: &str, n: u16, url: &str) -> ServerOptions {
    let host = netns::var("MALIKNODE_BED_HOST");
    let address = |port| format!("https://{host}:{port}");
    let mut options = ServerOptions::with_root(&format!("{name}{n}"));
    options.port = PORT + n;
    let own = NODES_PORT + n;
    let settings = [
        ("--database-url", url.to_owned()),
        ("--trusted-proxies", "127.0.0.1".to_owned()),
        ("--nodes-listen", format!("0.0.0.0:{own}")),
        ("--nodes-address", address(NODES_PORT)),
        ("--nodes-own-address", address(own)),
    ];
    options.extra_args = settings
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .chain(["--no-node".to_owned()])
        .collect();
    options
}

/// Starts one with the key of the first.
fn launch(name: &str, n: u16, url: &str, first: Option<&PathBuf>) -> Stack {
    let options = options(name, n, url);
    if let Some(first) = first {
        let key = Path::new("central_api/seal.key");
        let copy = options.root.join(key);
        fs::create_dir_all(copy.parent().expect("a folder")).expect("it is made");
        fs::copy(first.join(key), copy).expect("it is copied");
    }
    let mut stack = Stack::launch(options);
    stack.wait_for_answer();
    stack
}

/// Starts HAProxy as `tools/bed/balance.sh` sets it up, and waits until it answers.
fn start_balancer(control_planes: u16) -> Child {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/bed/balance.sh");
    let file = PathBuf::from(netns::var("MALIKNODE_BED_DIR")).join("balancer.cfg");
    let write = format!(
        ". {} && write_balancer {} {PORT} {NODES_PORT} {control_planes}",
        tools.display(),
        file.display()
    );
    run_here(&["bash", "-c", &write]);
    let balancer = Command::new("haproxy")
        .args(["-db", "-q", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .spawn()
        .expect("haproxy runs");
    wait_for("the balancer answers", Duration::from_secs(10), || {
        let page = Browser::new(PORT).send("GET", HEALTH, None);
        page.ok().filter(|page| page.status == 200)
    });
    balancer
}
