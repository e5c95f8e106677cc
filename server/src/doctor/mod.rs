//! `maliknode doctor`: checks everything that can be wrong with a machine, and
//! names a fix for each problem. It changes nothing, except that it creates a
//! temporary network link to see whether the kernel has WireGuard, and brings
//! the database's schema up to date.

mod backends;
mod boot;
mod connections;
mod database;
mod disk;
mod docker_kind;
mod endpoint;
mod engines;
mod host_firewall;
mod inotify;
mod kernel;
mod link;
mod mail;
mod memory;
mod name_server;
mod network;
mod panel;
mod report;
mod system;
mod uplink;
mod web;

pub use network::network_clashes;
pub(crate) use panel::OwnChecks;
pub use report::{Check, Report, State};

use crate::{config::Config, worker::Membership};

/// Runs all checks that apply to this machine.
pub async fn examine(config: &Config) -> Report {
    match Membership::load(config) {
        Ok(None) => {
            let own = control_plane(config).await;
            match config.no_node {
                true => examine_control_plane(config, own),
                false => examine_node(config, own).await,
            }
        }
        Ok(Some(membership)) => {
            let mut config = config.clone();
            config.addresses.plan = membership.addresses;
            let mut more = link::check(&config, &membership).await;
            if config.no_node {
                more.extend(control_plane(&config).await);
            }
            examine_node(&config, more).await
        }
        Err(e) => {
            let check = link::unusable(&e);
            examine_node(config, vec![check]).await
        }
    }
}

/// Runs the checks of what a control plane has beside its node.
async fn control_plane(config: &Config) -> Vec<Check> {
    let (listen, database, endpoint, mail, name_server) = tokio::join!(
        web::listen(config),
        database::check(config),
        endpoint::check(config),
        mail::check(config),
        name_server::check(config)
    );
    let mut checks = vec![listen];
    // Devices of workers connect to these.
    checks.extend((!config.no_node).then_some(endpoint));
    checks.extend([
        web::scheme(config),
        web::proxies(config),
        database,
        web::pages(config),
    ]);
    checks.extend(database::handshakes(config).await);
    checks.extend(database::control_planes(config).await);
    checks.extend(mail);
    checks.extend(name_server);
    checks
}

/// Runs the checks of a control plane without a node. `own` are its own.
fn examine_control_plane(config: &Config, own: Vec<Check>) -> Report {
    let mut checks = vec![
        system::rights(),
        system::folders(config),
        disk::check(config),
    ];
    checks.extend(own);
    checks.push(system::time());
    Report { checks }
}

/// Runs the checks of a node. `more` are those of what else this machine is.
async fn examine_node(config: &Config, more: Vec<Check>) -> Report {
    let mut checks = vec![
        system::rights(),
        system::folders(config),
        disk::check(config),
    ];
    // The checks that may have to wait run at the same time.
    let (wireguard, nft, docker, memory, host_firewall) = tokio::join!(
        backends::wireguard(config),
        backends::nft(config),
        backends::docker(config),
        memory::check(config),
        host_firewall::check()
    );
    checks.push(wireguard);
    checks.push(backends::tun());
    checks.push(nft);
    checks.extend(host_firewall);
    checks.push(kernel::forwarding());
    checks.push(uplink::mtu());
    checks.push(uplink::ipv6());
    checks.push(connections::check(config));
    checks.extend(boot::check());
    checks.extend(docker);
    checks.push(memory);
    checks.push(inotify::check(config));
    checks.push(network::check(&config.addresses.plan));
    checks.push(network::tunnel_ports());
    checks.push(kernel::reserved_ports());
    checks.push(backends::lists(config));
    checks.extend(more);
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
