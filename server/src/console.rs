//! What `maliknode serve` prints on standard output: what to open, and what of
//! the machine is ready.

use crate::{config::Config, worker::Membership};
use agent::Backends;
use control::OperatorLink;
use provisioning::{Containers, PortError, PortResult};
use std::{
    io::{self, Write},
    time::Duration,
};
use store::Store;
use texts::english;
use wireguard::Detection;

/// How long the start-up report waits for Docker.
const DOCKER_TIMEOUT: Duration = Duration::from_secs(3);

/// Prints a line. A closed pipe does not stop the server.
pub(crate) fn print_line(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints the installation's address and data folder, and, while there is no operator, the
/// link by which the first one chooses a name and a password.
pub(crate) fn print_addresses(config: &Config, store: &Store, first: Option<&OperatorLink>) {
    print_line(&format!(
        "MalikNode {} is at {}",
        env!("CARGO_PKG_VERSION"),
        config.url("")
    ));
    if let Some(link) = first {
        print_line(&format!(
            "  Operator   {}\n             (choose a name and a password there within a day; `maliknode operator link` makes another link)",
            link.url.expose()
        ));
    } else {
        print_line(&format!("  Operator   {}", config.url("admin")));
    }
    print_line(&format!(
        "  Data       {} ({})",
        config.root.display(),
        store.kind()
    ));
}

/// Prints which node this worker is, of which control planes.
pub(crate) fn print_worker(config: &Config, membership: &Membership) {
    let Membership {
        node,
        name,
        control_planes,
        ..
    } = membership;
    print_line(&format!(
        "MalikNode {}: worker {name}, node {node} of {}",
        env!("CARGO_PKG_VERSION"),
        control_planes.join(", ")
    ));
    print_line(&format!("  Data       {}", config.root.display()));
}

/// Prints which WireGuard is used, and why.
pub(crate) fn print_wireguard(found: &PortResult<Detection>) {
    print_line(&match found {
        Ok(found) => format!(
            "  WireGuard  {}: {}",
            found.chosen,
            english().message(&found.why)
        ),
        Err(e) => format!("  WireGuard  none yet: {}", english().message(&e.message)),
    });
}

/// Prints whether Docker answers and has the image of AdGuard Home.
pub(crate) async fn print_docker(config: &Config, backends: &Backends) {
    let probe = async {
        let version = backends.containers.ping().await?;
        Ok::<_, PortError>((version, backends.containers.observe().await?.image))
    };
    let image = config.dns.local_image();
    print_line(&match tokio::time::timeout(DOCKER_TIMEOUT, probe).await {
        Ok(Ok((version, true))) => format!("  Docker     {version}, {image} is there"),
        Ok(Ok((version, false))) => format!(
            "  Docker     {version}, waiting for {image}: ./dev image, or docker pull {image}"
        ),
        Ok(Err(e)) => format!(
            "  Docker     not there yet: {}",
            english().message(&e.message)
        ),
        Err(_) => "  Docker     does not answer yet".to_owned(),
    });
}
