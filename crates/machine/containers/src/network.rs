//! Our Docker network: one bridge for all DNS containers, with a fixed address
//! for every slot. Containers cannot talk to each other (`enable_icc=false`).

use crate::{
    ContainerSettings, Docker,
    create_request::{INSTALLATION, MANAGED, is_ours, owned},
    engine::EngineError,
};
use bollard::{
    models::{Ipam, IpamConfig, Network, NetworkCreateRequest},
    query_parameters::ListNetworksOptions,
};
use domain::{AddressPlan, ErrorCode, Message};
use ipnet::{IpNet, Ipv4Net};
use provisioning::ports::{PortError, PortResult};
use std::time::{Duration, Instant};

const BRIDGE: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

/// How long the result of a check that succeeded is reused.
const CHECK_VALID_FOR: Duration = Duration::from_secs(30);

/// Timeout of listing or creating networks.
const TIMEOUT: Duration = Duration::from_secs(20);

impl Docker {
    /// Creates our network if it does not exist.
    ///
    /// # Errors
    /// `NameForeign` where a network of our name is not ours or has other
    /// settings; `BadConfiguration` where address ranges overlap. The message
    /// says how to fix it.
    pub async fn ensure_network(&self) -> PortResult<()> {
        // Locked while the network is created: Docker allows two of one name.
        let mut seen_at = self.network_seen_at.lock().await;
        if seen_at.is_some_and(|at: Instant| at.elapsed() < CHECK_VALID_FOR) {
            return Ok(());
        }
        let named = self
            .networks()
            .await?
            .into_iter()
            .find(|n| n.name.as_deref() == Some(&self.settings.network));
        match named {
            Some(network) => check(&network, &self.settings)?,
            None => self.create_network().await?,
        }
        *seen_at = Some(Instant::now());
        Ok(())
    }

    /// Makes the next [`Docker::ensure_network`] check again. Called after the
    /// engine did not find the network.
    pub(crate) async fn forget_network(&self) {
        *self.network_seen_at.lock().await = None;
    }

    /// Returns the message about another Docker network whose range overlaps with
    /// one of ours, or `None` if there is none. Networks of this installation do
    /// not count.
    ///
    /// # Errors
    /// `DockerUnavailable`.
    pub async fn network_clash(&self) -> PortResult<Option<Message>> {
        let others = self
            .networks()
            .await?
            .into_iter()
            .filter(|n| !is_ours(n.labels.as_ref(), &self.settings));
        let ranges = others.flat_map(|n| {
            let name = n.name.clone().unwrap_or_default();
            subnets(&n).into_iter().map(move |net| (name.clone(), net))
        });
        Ok(
            first_overlap(&self.settings.addresses, ranges).map(|(name, net, ours)| {
                Message::NetworkOverlaps {
                    name,
                    range: net.to_string(),
                    ours: ours.to_string(),
                }
            }),
        )
    }

    async fn networks(&self) -> PortResult<Vec<Network>> {
        self.engine
            .call(TIMEOUT, |api| async move {
                api.list_networks(None::<ListNetworksOptions>).await
            })
            .await
            .map_err(|e| {
                e.into_port_error(
                    ErrorCode::DockerUnavailable,
                    Message::DockerNetworksUnlisted,
                )
            })
    }

    async fn create_network(&self) -> PortResult<()> {
        let request = create_request(&self.settings);
        let created = self
            .engine
            .call(
                TIMEOUT,
                |api| async move { api.create_network(request).await },
            )
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(e) => Err(create_failed(e, &self.settings)),
        }
    }
}

/// Returns the first range that overlaps with one of ours: its name, the range
/// itself, and our range.
fn first_overlap(
    plan: &AddressPlan,
    others: impl IntoIterator<Item = (String, Ipv4Net)>,
) -> Option<(String, Ipv4Net, Ipv4Net)> {
    others.into_iter().find_map(|(name, net)| {
        [plan.tunnels, plan.containers]
            .into_iter()
            .find(|ours| ours.contains(&net) || net.contains(ours))
            .map(|ours| (name, net, ours))
    })
}

/// Builds the request that creates the network.
fn create_request(s: &ContainerSettings) -> NetworkCreateRequest {
    let containers = s.addresses.containers;
    // Addresses that Docker itself assigns stay below the first slot's address.
    let dynamic = Ipv4Net::new(containers.network(), 24).unwrap_or(containers);
    NetworkCreateRequest {
        name: s.network.clone(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(false),
        ipam: Some(Ipam {
            config: Some(vec![IpamConfig {
                subnet: Some(containers.trunc().to_string()),
                ip_range: Some(dynamic.to_string()),
                gateway: Some(s.addresses.bridge().to_string()),
                ..Default::default()
            }]),
            ..Default::default()
        }),
        options: Some(
            [
                (BRIDGE, s.bridge.as_str()),
                (ICC, "false"),
                (MASQUERADE, "true"),
            ]
            .map(owned)
            .into(),
        ),
        labels: Some(
            [(MANAGED, "1"), (INSTALLATION, s.installation.as_str())]
                .map(owned)
                .into(),
        ),
        ..Default::default()
    }
}

/// Returns the error for a network that was not created.
fn create_failed(e: EngineError, s: &ContainerSettings) -> PortError {
    // The text depends on the version: "Pool overlaps with other one", "networks have overlapping IPv4".
    if e.message_contains("overlap") {
        return e.into_port_error(
            ErrorCode::BadConfiguration,
            Message::NetworkRangeTaken {
                range: s.addresses.containers.to_string(),
            },
        );
    }
    if e.message_contains("same bridge name") || e.message_contains("already exists") {
        return e.into_port_error(
            ErrorCode::NameForeign,
            Message::NetworkBridgeTaken {
                bridge: s.bridge.clone(),
            },
        );
    }
    e.into_port_error(
        ErrorCode::DockerUnavailable,
        Message::NetworkNotCreated {
            name: s.network.clone(),
        },
    )
}

/// Checks that a network of our name is the one we would create.
///
/// # Errors
/// `NameForeign`. The message says how to fix it.
pub fn check(network: &Network, s: &ContainerSettings) -> PortResult<()> {
    let name = s.network.clone();
    if !is_ours(network.labels.as_ref(), s) {
        return Err(PortError::new(
            ErrorCode::NameForeign,
            Message::NetworkForeign { name },
        ));
    }
    let option = |key: &str| {
        network
            .options
            .as_ref()
            .and_then(|o| o.get(key))
            .map(String::as_str)
    };
    let difference = if subnets(network) != [s.addresses.containers.trunc()] {
        Message::NetworkOtherRange
    } else if option(BRIDGE) != Some(&s.bridge) {
        Message::NetworkOtherBridge
    } else if option(ICC) != Some("false") || option(MASQUERADE) == Some("false") {
        Message::NetworkOtherSettings
    } else {
        return Ok(());
    };
    Err(PortError::new(
        ErrorCode::NameForeign,
        Message::NetworkDiffers {
            name,
            difference: Box::new(difference),
        },
    ))
}

fn subnets(network: &Network) -> Vec<Ipv4Net> {
    let configs = network.ipam.as_ref().and_then(|i| i.config.as_ref());
    configs
        .into_iter()
        .flatten()
        .filter_map(|c| match c.subnet.as_deref()?.parse().ok()? {
            IpNet::V4(net) => Some(net),
            IpNet::V6(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ContainerSettings {
        ContainerSettings::new("image:1", AddressPlan::default())
    }

    /// Returns a network as Docker lists it after the request `r`.
    fn listed(r: NetworkCreateRequest) -> Network {
        Network {
            name: Some(r.name),
            ipam: r.ipam,
            options: r.options,
            labels: r.labels,
            ..Default::default()
        }
    }

    #[test]
    fn a_network_we_create_passes_the_check() {
        assert!(check(&listed(create_request(&settings())), &settings()).is_ok());
    }

    #[test]
    fn a_network_with_other_settings_is_refused() {
        let s = settings();
        let mut foreign = listed(create_request(&s));
        foreign.labels = None;
        assert_eq!(
            check(&foreign, &s).unwrap_err().code,
            ErrorCode::NameForeign
        );

        let mut open = listed(create_request(&s));
        open.options
            .as_mut()
            .unwrap()
            .insert(ICC.into(), "true".into());
        let differs = |difference| Message::NetworkDiffers {
            name: s.network.clone(),
            difference: Box::new(difference),
        };
        assert_eq!(
            check(&open, &s).unwrap_err().message,
            differs(Message::NetworkOtherSettings)
        );

        let mut moved = s.clone();
        moved.addresses.containers = "10.200.0.0/21".parse().unwrap();
        let e = check(&listed(create_request(&moved)), &s).unwrap_err();
        assert_eq!(e.message, differs(Message::NetworkOtherRange));
    }

    #[test]
    fn addresses_docker_assigns_are_no_slots() {
        let config = create_request(&settings()).ipam.unwrap().config.unwrap();
        let range: Ipv4Net = config[0].ip_range.as_deref().unwrap().parse().unwrap();
        let plan = AddressPlan::default();
        assert!(domain::Slot::all().all(|slot| !range.contains(&plan.container(slot))));
        assert!(range.contains(&plan.bridge()));
    }

    #[test]
    fn overlapping_ranges_are_found_either_way() {
        let plan = AddressPlan::default();
        let overlap = |net: &str| first_overlap(&plan, [("x".to_owned(), net.parse().unwrap())]);
        assert!(overlap("10.88.4.0/24").is_some(), "inside the tunnels");
        assert!(overlap("10.0.0.0/8").is_some(), "around both");
        assert!(overlap("10.92.0.0/24").is_some(), "inside the containers");
        assert!(overlap("172.17.0.0/16").is_none());
    }
}
