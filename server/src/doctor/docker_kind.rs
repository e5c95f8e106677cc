//! Kinds of Docker with which a tenant's DNS is cut, or a limit does not hold.

use super::report::{Check, run};
use containers::EngineFacts;
use domain::Message;
use hostfs::OwnPids;

const NAME: Message = Message::CheckDockerKind;

/// The table of Docker's nftables backend, and the option by which it lets marked packets
/// pass (<https://docs.docker.com/engine/network/firewall-nftables/>).
const NFT_TABLE: &str = "docker-bridges";

/// Examines the engine. One that is as it should be needs no line.
pub(super) async fn check(facts: &EngineFacts) -> Vec<Check> {
    let own = OwnPids::default();
    let rules = hostfs::run("nft", &["list", "table", "ip", NFT_TABLE], "", &own).await;
    let rules = rules.map(|text| String::from_utf8_lossy(&text).into_owned());
    judge(facts, rules.ok().as_deref())
}

/// `nft` are the rules of Docker's nftables backend, where it is in use.
fn judge(facts: &EngineFacts, nft: Option<&str>) -> Vec<Check> {
    let mut checks = Vec::new();
    if facts.is_rootless {
        checks.push(Check::bad(
            NAME,
            Message::DockerRootless,
            Message::FixDockerRootless,
        ));
    }
    if facts.remaps_users {
        checks.push(Check::bad(
            NAME,
            Message::DockerRemapsUsers,
            Message::FixDockerRemapsUsers,
        ));
    }
    if facts.root_dir.starts_with("/var/snap/") {
        checks.push(Check::bad(
            NAME,
            Message::DockerSnap {
                path: facts.root_dir.clone(),
            },
            run("snap remove docker && apt-get install -y docker.io"),
        ));
    }
    if !facts.limits_memory {
        checks.push(Check::warn(
            NAME,
            Message::DockerMemoryUnlimited,
            Message::FixDockerMemory,
        ));
    }
    let mark = format!("{:#x}", firewall::PASS_MARK);
    let accepts = |rules: &str| {
        let mark = format!("0x{:08x}", firewall::PASS_MARK);
        rules.contains(&mark) && rules.contains("mark")
    };
    if nft.is_some_and(|rules| !accepts(rules)) {
        checks.push(Check::bad(
            NAME,
            Message::DockerNftables,
            Message::FixDockerNftables { mark },
        ));
    }
    if checks.is_empty() {
        checks.push(Check::ok(NAME, Message::DockerSuits));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    fn ordinary() -> EngineFacts {
        EngineFacts {
            is_rootless: false,
            remaps_users: false,
            limits_memory: true,
            root_dir: "/var/lib/docker".to_owned(),
        }
    }

    #[test]
    fn each_kind_of_docker_that_does_not_suit_is_told() {
        let codes = |facts: EngineFacts, nft: Option<&str>| {
            let checks = judge(&facts, nft);
            let code = |c: &Check| (c.state, c.message.code());
            checks.iter().map(code).collect::<Vec<_>>()
        };
        assert_eq!(codes(ordinary(), None), [(State::Ok, "docker-suits")]);
        let rootless = EngineFacts {
            is_rootless: true,
            limits_memory: false,
            ..ordinary()
        };
        assert_eq!(
            codes(rootless, None),
            [
                (State::Bad, "docker-rootless"),
                (State::Warn, "docker-memory-unlimited")
            ]
        );
        let remapped = EngineFacts {
            remaps_users: true,
            ..ordinary()
        };
        assert_eq!(codes(remapped, None), [(State::Bad, "docker-remaps-users")]);
        let snap = EngineFacts {
            root_dir: "/var/snap/docker/common/var-lib-docker".to_owned(),
            ..ordinary()
        };
        assert_eq!(codes(snap, None), [(State::Bad, "docker-snap")]);
        let rules = "table ip docker-bridges {\n chain filter-FORWARD {\n type filter hook forward priority filter; policy accept;\n oifname vmap @filter-forward-in-jumps\n }\n}";
        let nft = codes(ordinary(), Some(rules));
        assert_eq!(nft, [(State::Bad, "docker-nftables")]);
        let marked = rules.replace(
            "oifname",
            "meta mark & 0x01000000 == 0x01000000 accept\n oifname",
        );
        assert_eq!(
            codes(ordinary(), Some(&marked)),
            [(State::Ok, "docker-suits")]
        );
    }
}
