//! Our Docker network: one bridge for all DNS containers, which may not talk
//! to each other (`enable_icc=false`), with a fixed address for every slot.

use crate::{
    ContainerSettings, Docker,
    body::{INSTALLATION, MANAGED, is_ours, owned},
    engine::Trouble,
};
use bollard::{
    models::{Ipam, IpamConfig, Network, NetworkCreateRequest},
    query_parameters::ListNetworksOptions,
};
use domain::{AddressPlan, ErrorCode};
use ipnet::{IpNet, Ipv4Net};
use provisioning::ports::{PortError, PortResult};
use std::time::{Duration, Instant};

const BRIDGE: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

/// How long a network that was seen well is not looked at again.
const TRUSTED: Duration = Duration::from_secs(30);

/// Longest wait for the engine to list or make networks.
const BUDGET: Duration = Duration::from_secs(20);

impl Docker {
    /// Makes our network where it is not there.
    ///
    /// # Errors
    /// A network of our name that is not ours or has other settings
    /// (`NameForeign`), and ranges that clash (`BadConfiguration`), each with
    /// what mends it.
    pub async fn ensure_network(&self) -> PortResult<()> {
        // Held while the network is made: Docker allows two of one name.
        let mut seen = self.network_seen.lock().await;
        if seen.is_some_and(|at: Instant| at.elapsed() < TRUSTED) {
            return Ok(());
        }
        let named = self
            .networks()
            .await?
            .into_iter()
            .find(|n| n.name.as_deref() == Some(&self.settings.network));
        match named {
            Some(network) => check(&network, &self.settings)?,
            None => self.make_network().await?,
        }
        *seen = Some(Instant::now());
        Ok(())
    }

    /// Forgets that the network was seen, after a call that did not find it.
    pub(crate) async fn doubt_network(&self) {
        *self.network_seen.lock().await = None;
    }

    /// Docker's networks whose ranges clash with ours, in a sentence; `None`
    /// where all is well. Networks of this installation do not count.
    ///
    /// # Errors
    /// `DockerUnavailable`.
    pub async fn network_clash(&self) -> PortResult<Option<String>> {
        let others = self
            .networks()
            .await?
            .into_iter()
            .filter(|n| !is_ours(n.labels.as_ref(), &self.settings));
        let ranges = others.flat_map(|n| {
            let name = n.name.clone().unwrap_or_default();
            subnets(&n).into_iter().map(move |net| (name.clone(), net))
        });
        Ok(clash(&self.settings.addresses, ranges).map(|(name, net, ours)| {
            format!(
                "Docker's network “{name}” ({net}) overlaps with our {ours}: choose another range \
                 in config.toml, or remove it: docker network rm {name}"
            )
        }))
    }

    async fn networks(&self) -> PortResult<Vec<Network>> {
        self.engine
            .call(BUDGET, |api| async move {
                api.list_networks(None::<ListNetworksOptions>).await
            })
            .await
            .map_err(|t| {
                t.with(
                    ErrorCode::DockerUnavailable,
                    "Docker does not list its networks.",
                )
            })
    }

    async fn make_network(&self) -> PortResult<()> {
        let wanted = request(&self.settings);
        let made = self
            .engine
            .call(
                BUDGET,
                |api| async move { api.create_network(wanted).await },
            )
            .await;
        match made {
            Ok(_) => Ok(()),
            Err(t) => Err(refused(t, &self.settings)),
        }
    }
}

/// The first range that overlaps with one of ours: its name, itself, ours.
pub fn clash(
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

/// The network as Docker is asked for it.
fn request(s: &ContainerSettings) -> NetworkCreateRequest {
    let containers = s.addresses.containers;
    // Docker's own choices stay below the first slot's address.
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

/// Why Docker did not make the network, in words.
fn refused(t: Trouble, s: &ContainerSettings) -> PortError {
    let range = s.addresses.containers;
    // By version: "Pool overlaps with other one", "networks have overlapping IPv4".
    if t.says("overlap") {
        return t.with(
            ErrorCode::BadConfiguration,
            format!(
                "The range {range} for DNS containers is used by another Docker network: set \
                 addresses.containers in config.toml, or remove that network."
            ),
        );
    }
    if t.says("same bridge name") || t.says("already exists") {
        return t.with(
            ErrorCode::NameForeign,
            format!(
                "The bridge {} belongs to another Docker network: docker network ls, then docker \
                 network rm the one that has it.",
                s.bridge
            ),
        );
    }
    t.with(
        ErrorCode::DockerUnavailable,
        format!("Docker cannot make the network “{}”.", s.network),
    )
}

/// Whether a network of our name is the one we would make.
///
/// # Errors
/// `NameForeign`, with what mends it.
pub fn check(network: &Network, s: &ContainerSettings) -> PortResult<()> {
    let name = &s.network;
    let mend = format!("docker network rm {name}");
    if !is_ours(network.labels.as_ref(), s) {
        return Err(PortError::new(
            ErrorCode::NameForeign,
            format!("Somebody else's Docker network is called “{name}”. Remove it: {mend}"),
        ));
    }
    let option = |key: &str| {
        network
            .options
            .as_ref()
            .and_then(|o| o.get(key))
            .map(String::as_str)
    };
    let wrong = if subnets(network) != [s.addresses.containers.trunc()] {
        "another address range"
    } else if option(BRIDGE) != Some(&s.bridge) {
        "another bridge"
    } else if option(ICC) != Some("false") || option(MASQUERADE) == Some("false") {
        "other settings"
    } else {
        return Ok(());
    };
    Err(PortError::new(
        ErrorCode::NameForeign,
        format!(
            "The Docker network “{name}” was made with {wrong}. Remove its containers and then \
             it: {mend}"
        ),
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

    /// A network as Docker lists it after it was asked for `r`.
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
    fn what_we_make_is_what_we_accept() {
        assert!(check(&listed(request(&settings())), &settings()).is_ok());
    }

    #[test]
    fn a_network_of_our_name_with_other_settings_is_told() {
        let s = settings();
        let mut foreign = listed(request(&s));
        foreign.labels = None;
        assert_eq!(
            check(&foreign, &s).unwrap_err().code,
            ErrorCode::NameForeign
        );

        let mut open = listed(request(&s));
        open.options
            .as_mut()
            .unwrap()
            .insert(ICC.into(), "true".into());
        assert!(
            check(&open, &s)
                .unwrap_err()
                .sentence
                .contains("other settings")
        );

        let mut moved = s.clone();
        moved.addresses.containers = "10.200.0.0/21".parse().unwrap();
        let e = check(&listed(request(&moved)), &s).unwrap_err();
        assert!(
            e.sentence.contains("another address range"),
            "{}",
            e.sentence
        );
    }

    #[test]
    fn dockers_own_choices_never_take_a_slots_address() {
        let config = request(&settings()).ipam.unwrap().config.unwrap();
        let range: Ipv4Net = config[0].ip_range.as_deref().unwrap().parse().unwrap();
        let plan = AddressPlan::default();
        assert!(domain::Slot::all().all(|slot| !range.contains(&plan.container(slot))));
        assert!(range.contains(&plan.bridge()));
    }

    #[test]
    fn overlapping_ranges_are_found_from_both_sides() {
        let plan = AddressPlan::default();
        let at = |net: &str| clash(&plan, [("x".to_owned(), net.parse().unwrap())]);
        assert!(at("10.88.4.0/24").is_some(), "inside the tunnels");
        assert!(at("10.0.0.0/8").is_some(), "around both");
        assert!(at("10.92.0.0/24").is_some(), "inside the containers");
        assert!(at("172.17.0.0/16").is_none());
    }
}
