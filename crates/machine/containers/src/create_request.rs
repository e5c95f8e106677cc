//! The request that creates a container. It holds every restriction on a
//! tenant's AdGuard Home: a user of its own without any capability, no new
//! privileges, a read-only root file system, limits on memory, CPU time and
//! processes, and no port of the host.

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
/// The label with the published name, `adguard_user_<name>`. The engine's own name
/// of a container says nothing, because Docker tells it to every other container.
pub(crate) const NAME: &str = "maliknode.name";
/// The label with `ContainerSpec::revision`.
pub(crate) const REVISION: &str = "maliknode.revision";

/// Seconds that a container gets to stop by itself. AdGuard Home needs 20 ms.
pub(crate) const STOP_SECS: i32 = 1;

/// The weight of a container's CPU time where CPUs are scarce. The server itself has
/// the default, 1024.
const CPU_SHARES: i64 = 256;

/// What Docker's resolver in a container (127.0.0.11) asks for names that it does not
/// know: an address without a host (RFC 5737). Otherwise it would ask the host's
/// resolvers, where those are on loopback from the host's own network, past the
/// firewall. AdGuard Home does not use Docker's resolver.
const NO_RESOLVER: &str = "192.0.2.53";

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
        (NAME, spec.tenant.container()),
        (REVISION, spec.revision()),
    ];
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(spec.address.to_string()),
            ..Default::default()
        }),
        mac_address: Some(spec.mac_address()),
        ..Default::default()
    };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: Some("adguard".to_owned()),
        user: Some(format!("{0}:{0}", spec.user())),
        env: Some(environment(spec)),
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
        cpu_shares: Some(CPU_SHARES),
        nano_cpus: Some(i64::from(spec.cpu_thousandths) * 1_000_000),
        pids_limit: Some(PIDS_LIMIT),
        // When memory runs out, the kernel kills a tenant's DNS before the control plane.
        oom_score_adj: Some(200),
        cap_drop: Some(vec!["ALL".to_owned()]),
        // In the bounding set only: the process has no capability, and without new
        // privileges it gets none. The official image's program is marked with this
        // one (`setcap`), and the kernel starts it only where the set has it
        // (`capabilities(7)`, "Safety checking for capability-dumb binaries").
        cap_add: Some(vec!["NET_BIND_SERVICE".to_owned()]),
        // So port 53 needs no capability. The setting is the container's own.
        sysctls: Some(
            [("net.ipv4.ip_unprivileged_port_start", "0")]
                .map(owned)
                .into(),
        ),
        dns: Some(vec![NO_RESOLVER.to_owned()]),
        dns_search: Some(vec![".".to_owned()]),
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
        // The node starts it, once the firewall's table is complete. The engine, which
        // knows nothing of the table, never does.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
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
/// default, on as many processors as the CPU limit has, two at most.
fn environment(spec: &ContainerSpec) -> Vec<String> {
    let processors = match spec.cpu_thousandths {
        0 => 2,
        limit => limit.div_ceil(1000).min(2),
    };
    vec![
        format!("GOMEMLIMIT={}", spec.memory_bytes / 4 * 3),
        "GOGC=50".to_owned(),
        format!("GOMAXPROCS={processors}"),
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
            cpu_thousandths: 500,
            owner: domain::PublicKey::from_bytes([7; 32]),
        }
    }

    fn settings() -> ContainerSettings {
        ContainerSettings::new("adguard/adguardhome:v0.107.79", AddressPlan::default())
    }

    #[test]
    fn a_container_has_a_user_of_its_own_and_no_capability() {
        let request = create_request(&spec(), &settings());
        let host = request.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        // In the bounding set; tests/engine.rs reads what the process has.
        assert_eq!(host.cap_add.unwrap(), ["NET_BIND_SERVICE"]);
        assert_eq!(request.user.unwrap(), "300007:300007");
        assert_eq!(
            host.sysctls.unwrap()["net.ipv4.ip_unprivileged_port_start"],
            "0"
        );
        assert_eq!(host.dns.unwrap(), [NO_RESOLVER]);
        let restart = host.restart_policy.unwrap();
        assert_eq!(restart.name, Some(RestartPolicyNameEnum::NO));
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
        assert_eq!(labels[NAME], "adguard_user_abcd");
        assert!(!request.hostname.unwrap().contains("abcd"));
        assert!(!spec().docker_name().contains("abcd"));
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
        assert_eq!(host.nano_cpus, Some(500_000_000));
        assert_eq!(host.cpu_shares, Some(CPU_SHARES));
        let mounts = host.mounts.unwrap();
        let read_only: Vec<_> = mounts.iter().map(|m| m.read_only.unwrap()).collect();
        assert_eq!(read_only, [false, false, true]);
        assert!(mounts.iter().all(|m| m.typ == Some(MountType::BIND)));
        let env = request.env.unwrap();
        assert!(env.contains(&"GOMEMLIMIT=201326592".to_owned()));
        assert!(env.contains(&"GOMAXPROCS=1".to_owned()));
        let endpoints = request.networking_config.unwrap().endpoints_config.unwrap();
        let mac = endpoints["maliknode"].mac_address.as_deref();
        assert_eq!(mac, Some("02:42:0a:5c:01:07"));
        let ipam = endpoints["maliknode"].ipam_config.clone().unwrap();
        assert_eq!(ipam.ipv4_address.unwrap(), "10.92.1.7");
    }
}
