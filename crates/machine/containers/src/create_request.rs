//! The request that creates a container. It holds every restriction on a
//! tenant's AdGuard Home: no capability but the one to bind port 53, no new
//! privileges, a read-only root file system, and no port of the host.

use crate::ContainerSettings;
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig,
    Mount, MountType, NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
};
use provisioning::spec::ContainerSpec;
use std::{collections::HashMap, path::Path};

/// The label on everything we created. Its value is `1`.
pub(crate) const MANAGED: &str = "maliknode.managed";
/// The label with the installation's name.
pub(crate) const INSTALLATION: &str = "maliknode.installation";
/// The label with the slot's number.
pub(crate) const SLOT: &str = "maliknode.slot";
/// The label with the tenant's name.
pub(crate) const TENANT: &str = "maliknode.tenant";
/// The label with `ContainerSpec::revision`.
pub(crate) const REVISION: &str = "maliknode.revision";

/// Seconds that a container gets to stop by itself. AdGuard Home needs 20 ms.
pub(crate) const STOP_SECS: i32 = 1;

/// Limit on threads and processes. AdGuard Home has about 15; Go starts more
/// while many files are read at once.
const PIDS_LIMIT: i64 = 200;

/// Returns whether the labels are those of this installation.
pub(crate) fn is_ours(labels: Option<&HashMap<String, String>>, s: &ContainerSettings) -> bool {
    let has = |key: &str, value: &str| labels.and_then(|l| l.get(key)).is_some_and(|v| v == value);
    has(MANAGED, "1") && has(INSTALLATION, &s.installation)
}

/// Builds the request. `CMD` is left to the image: it names the folders of
/// configuration and data.
pub(crate) fn create_request(spec: &ContainerSpec, s: &ContainerSettings) -> ContainerCreateBody {
    let labels = [
        (MANAGED, "1".to_owned()),
        (INSTALLATION, s.installation.clone()),
        (SLOT, spec.slot.to_string()),
        (TENANT, spec.tenant.to_string()),
        (REVISION, spec.revision()),
    ];
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(spec.address.to_string()),
            ..Default::default()
        }),
        ..Default::default()
    };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        env: Some(environment(spec.memory_bytes)),
        labels: Some(labels.map(|(k, v)| (k.to_owned(), v)).into()),
        stop_timeout: Some(i64::from(STOP_SECS)),
        host_config: Some(host_config(spec, s)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some([(s.network.clone(), endpoint)].into()),
        }),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec, s: &ContainerSettings) -> HostConfig {
    let memory = i64::try_from(spec.memory_bytes).unwrap_or(i64::MAX);
    HostConfig {
        memory: Some(memory),
        // Equal to `memory`, so no swap: one tenant cannot keep the disk busy for all.
        memory_swap: Some(memory),
        pids_limit: Some(PIDS_LIMIT),
        // When memory runs out, the kernel kills a tenant's DNS before the control plane.
        oom_score_adj: Some(200),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(vec!["NET_BIND_SERVICE".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(true),
        tmpfs: Some(
            [(
                "/tmp".to_owned(),
                "rw,noexec,nosuid,nodev,size=16m".to_owned(),
            )]
            .into(),
        ),
        mounts: Some(vec![
            mount(&spec.conf_dir, "/opt/adguardhome/conf", false),
            mount(&spec.work_dir, "/opt/adguardhome/work", false),
            mount(&spec.lists_dir, "/lists", true),
        ]),
        network_mode: Some(s.network.clone()),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some([("max-size", "1m"), ("max-file", "1")].map(owned).into()),
        }),
        ..Default::default()
    }
}

/// Mounts a folder, not a file: AdGuard Home replaces its configuration by
/// rename. It is a mount and not a `bind`, so that a missing folder is an error
/// and is not created silently.
fn mount(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Default::default()
    }
}

/// Returns settings of Go's runtime (package `runtime`, "Environment
/// Variables"): collect garbage well before the limit, twice as eagerly as by
/// default, on two processors at most.
fn environment(memory_bytes: u64) -> Vec<String> {
    vec![
        format!("GOMEMLIMIT={}", memory_bytes / 4 * 3),
        "GOGC=50".to_owned(),
        "GOMAXPROCS=2".to_owned(),
    ]
}

/// Converts a pair of string slices.
pub(crate) fn owned((k, v): (&str, &str)) -> (String, String) {
    (k.to_owned(), v.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AddressPlan, Slot, TenantName};

    fn spec() -> ContainerSpec {
        ContainerSpec {
            slot: Slot::new(7).unwrap(),
            tenant: TenantName::parse("abcd").unwrap(),
            image: "adguard/adguardhome:v0.107.79".into(),
            address: AddressPlan::default().container(Slot::new(7).unwrap()),
            conf_dir: "/etc/maliknode/users/user_abcd/adguard_data/conf".into(),
            work_dir: "/etc/maliknode/users/user_abcd/adguard_data/work".into(),
            lists_dir: "/etc/maliknode/lists".into(),
            memory_bytes: 256 << 20,
            owner: domain::PublicKey::from_bytes([7; 32]),
        }
    }

    fn settings() -> ContainerSettings {
        ContainerSettings::new("adguard/adguardhome:v0.107.79", AddressPlan::default())
    }

    #[test]
    fn a_container_may_only_bind_port_53() {
        let request = create_request(&spec(), &settings());
        let host = request.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.cap_add.unwrap(), ["NET_BIND_SERVICE"]);
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.privileged, None);
        assert_eq!(host.port_bindings, None);
        assert_eq!(host.publish_all_ports, None);
        assert_eq!((request.cmd, request.entrypoint), (None, None));
    }

    #[test]
    fn labels_name_the_installation_tenant_and_revision() {
        let request = create_request(&spec(), &settings());
        let labels = request.labels.unwrap();
        assert_eq!(labels[SLOT], "7");
        assert_eq!(labels[TENANT], "abcd");
        assert_eq!(labels[REVISION], spec().revision());
        assert!(is_ours(Some(&labels), &settings()));
        let mut other = settings();
        other.installation = "another".into();
        assert!(!is_ours(Some(&labels), &other));
        assert!(!is_ours(None, &settings()));
    }

    #[test]
    fn limits_and_mounts_follow_the_spec() {
        let request = create_request(&spec(), &settings());
        let host = request.host_config.unwrap();
        assert_eq!(
            (host.memory, host.memory_swap),
            (Some(256 << 20), Some(256 << 20))
        );
        let mounts = host.mounts.unwrap();
        let read_only: Vec<_> = mounts.iter().map(|m| m.read_only.unwrap()).collect();
        assert_eq!(read_only, [false, false, true]);
        assert!(mounts.iter().all(|m| m.typ == Some(MountType::BIND)));
        assert!(
            request
                .env
                .unwrap()
                .contains(&"GOMEMLIMIT=201326592".to_owned())
        );
        let endpoints = request.networking_config.unwrap().endpoints_config.unwrap();
        let ipam = endpoints["maliknode"].ipam_config.clone().unwrap();
        assert_eq!(ipam.ipv4_address.unwrap(), "10.92.1.7");
    }
}
