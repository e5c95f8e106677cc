//! `maliknode doctor`: checks everything that can be wrong with a machine, and
//! names a fix for each problem. It changes nothing, except that it creates a
//! temporary network link to see whether the kernel has WireGuard, and brings
//! the database's schema up to date.

mod backends;
mod boot;
mod connections;
mod database;
mod disk;
mod inotify;
mod kernel;
mod memory;
mod network;
mod report;
mod system;
mod web;

pub use network::network_clashes;
pub use report::{Check, Report, State};

use crate::config::Config;

/// Runs all checks.
pub async fn examine(config: &Config) -> Report {
    let mut checks = vec![
        system::rights(),
        system::folders(config),
        disk::check(config),
    ];
    // The checks that may have to wait run at the same time.
    let (wireguard, nft, docker, memory, database) = tokio::join!(
        backends::wireguard(config),
        backends::nft(config),
        backends::docker(config),
        memory::check(config),
        database::check(config)
    );
    checks.push(wireguard);
    checks.push(backends::tun());
    checks.push(nft);
    checks.push(kernel::forwarding());
    checks.push(connections::check(config));
    checks.extend(boot::check());
    checks.extend(docker);
    checks.push(memory);
    checks.push(inotify::check(config));
    checks.push(network::check(&config.addresses));
    checks.push(web::listen(config).await);
    checks.push(web::proxies(config));
    checks.push(network::tunnel_ports());
    checks.push(kernel::reserved_ports());
    checks.push(database);
    checks.push(backends::lists(config));
    checks.push(web::pages(config));
    checks.push(system::time());
    Report { checks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Message;

    #[tokio::test]
    async fn the_doctor_finishes_on_any_machine() {
        let text = "docker_host = \"/nowhere/docker.sock\"";
        let config =
            Config::from_text("/nowhere/at/all".into(), "config.toml".into(), text).unwrap();
        let report = examine(&config).await;
        let docker = report
            .checks
            .iter()
            .find(|c| c.name == Message::CheckDocker)
            .unwrap();
        assert_eq!(docker.state, State::Bad);
        assert!(
            report
                .checks
                .iter()
                .all(|c| c.state == State::Ok || c.fix.is_some())
        );
    }
}
