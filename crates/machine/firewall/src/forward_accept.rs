//! The iptables rule that lets tenants' packets pass other programs' forward
//! filters. Docker and ufw set the policy of iptables' FORWARD chain to DROP, and a
//! verdict of our table cannot overrule that. Docker jumps to `DOCKER-USER` first
//! and leaves its content to others: one rule there accepts the packets that our
//! table has marked.

use hostfs::{CommandError, OwnPids, run};

/// The bit of the packet mark that our `forward` chain sets on accepted packets of
/// tenants (bit 24). No other bit is set or compared. Kubernetes (bits 14-15),
/// Tailscale (16-23) and wg-quick (51820) do not use it.
pub const PASS_MARK: u32 = 0x0100_0000;

/// The programs for IPv4 and IPv6.
const PROGRAMS: [&str; 2] = ["iptables", "ip6tables"];

/// The rule's matches, as `-I` expects them after the chain's name.
const RULE: [&str; 8] = [
    "-m",
    "mark",
    "--mark",
    "0x1000000/0x1000000",
    "-m",
    "comment",
    "--comment",
    "maliknode",
];

/// Waits up to 5 s for the lock of another iptables (legacy iptables only).
const WAIT: [&str; 2] = ["-w", "5"];

const DOCKER_CHAIN: &str = "DOCKER-USER";
const FORWARD_CHAIN: &str = "FORWARD";

/// The state of our rule in the filter table of iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardAccept {
    /// No filter restricts forwarding.
    NotNeeded,
    /// The rule is needed and exists.
    Present,
    /// The rule is needed in this chain and does not exist.
    Missing(&'static str),
}

impl ForwardAccept {
    /// Returns whether tenants' packets pass the filters.
    pub(crate) fn lets_packets_pass(self) -> bool {
        !matches!(self, ForwardAccept::Missing(_))
    }

    /// Reads the filter tables of both families, and returns whether both let tenants'
    /// packets pass.
    pub(crate) async fn both_let_packets_pass(own: &OwnPids) -> bool {
        let [ipv4, ipv6] = PROGRAMS.map(|program| Self::read(program, own));
        let (ipv4, ipv6) = tokio::join!(ipv4, ipv6);
        ipv4.lets_packets_pass() && ipv6.lets_packets_pass()
    }

    /// Reads iptables' filter table. Without iptables there are no such filters.
    async fn read(program: &'static str, own: &OwnPids) -> Self {
        match run(program, &[WAIT[0], WAIT[1], "-S"], "", own).await {
            Ok(dump) => Self::from_dump(&String::from_utf8_lossy(&dump)),
            Err(CommandError::NotInstalled { .. }) => ForwardAccept::NotNeeded,
            // A kernel without IPv6 has no such table.
            Err(error) if program == PROGRAMS[1] => {
                tracing::debug!(%error, "ip6tables could not be read");
                ForwardAccept::NotNeeded
            }
            Err(error) => {
                // Our own table is in force either way: an unknown state of iptables
                // can block packets, but cannot let a forbidden one pass.
                tracing::warn!(%error, "iptables could not be read; if its FORWARD chain drops packets, tenants cannot reach the internet");
                ForwardAccept::NotNeeded
            }
        }
    }

    /// Derives the state from the output of `iptables -S`.
    fn from_dump(dump: &str) -> Self {
        let in_forward = |l: &&str| l.starts_with("-A FORWARD ");
        let ours = |chain: &str| {
            let start = format!("-A {chain} ");
            dump.lines().any(|l| l.starts_with(&start) && is_ours(l))
        };
        let jump = format!("-j {DOCKER_CHAIN}");
        let docker = dump.lines().filter(in_forward).any(|l| l.ends_with(&jump));
        let restricts = dump.lines().any(|l| l == "-P FORWARD DROP")
            || dump.lines().filter(in_forward).any(|l| !is_ours(l));
        if docker && !ours(DOCKER_CHAIN) {
            ForwardAccept::Missing(DOCKER_CHAIN)
        } else if !docker && restricts && !ours(FORWARD_CHAIN) {
            ForwardAccept::Missing(FORWARD_CHAIN)
        } else if docker || restricts {
            ForwardAccept::Present
        } else {
            ForwardAccept::NotNeeded
        }
    }

    /// Adds our rule to both families where it is missing.
    pub(crate) async fn ensure(own: &OwnPids) -> Result<(), CommandError> {
        for program in PROGRAMS {
            if let ForwardAccept::Missing(chain) = Self::read(program, own).await {
                let mut args = WAIT.to_vec();
                args.extend(["-I", chain, "1"]);
                args.extend(RULE);
                args.extend(["-j", "ACCEPT"]);
                run(program, &args, "", own).await?;
            }
        }
        Ok(())
    }
}

/// Returns whether iptables keeps its rules outside nf_tables, where the ruleset's
/// generation does not show changes of them.
pub(crate) async fn is_legacy(own: &OwnPids) -> bool {
    match run("iptables", &["--version"], "", own).await {
        Ok(version) => !String::from_utf8_lossy(&version).contains("nf_tables"),
        Err(_) => false,
    }
}

/// Returns whether a line of `iptables -S` is our rule: it has our mark, our
/// comment and the target ACCEPT.
fn is_ours(line: &str) -> bool {
    line.contains(RULE[3]) && line.contains("--comment maliknode ") && line.ends_with("-j ACCEPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str =
        "-m mark --mark 0x1000000/0x1000000 -m comment --comment maliknode -j ACCEPT";

    #[test]
    fn an_unrestricted_host_needs_no_rule() {
        let dump = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n";
        assert_eq!(ForwardAccept::from_dump(dump), ForwardAccept::NotNeeded);
        assert_eq!(ForwardAccept::from_dump(""), ForwardAccept::NotNeeded);
        let ours_alone = format!("{dump}-A FORWARD {OURS}\n");
        assert_eq!(
            ForwardAccept::from_dump(&ours_alone),
            ForwardAccept::NotNeeded
        );
    }

    #[test]
    fn with_docker_the_rule_is_in_docker_user() {
        let dump = "-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n";
        assert_eq!(
            ForwardAccept::from_dump(dump),
            ForwardAccept::Missing("DOCKER-USER")
        );
        let open = format!("{dump}-A DOCKER-USER {OURS}\n");
        assert_eq!(ForwardAccept::from_dump(&open), ForwardAccept::Present);
        // Docker's own chains drop packets too, so the policy does not matter.
        assert_eq!(
            ForwardAccept::from_dump(&dump.replace("DROP", "ACCEPT")),
            ForwardAccept::Missing("DOCKER-USER")
        );
    }

    #[test]
    fn without_docker_the_rule_is_in_forward() {
        assert_eq!(
            ForwardAccept::from_dump("-P FORWARD DROP\n"),
            ForwardAccept::Missing("FORWARD")
        );
        let ufw = "-P FORWARD DROP\n-A FORWARD -j ufw-before-forward\n";
        assert_eq!(
            ForwardAccept::from_dump(ufw),
            ForwardAccept::Missing("FORWARD")
        );
        // The images of some clouds accept by policy and reject by rule.
        let reject = "-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n";
        assert_eq!(
            ForwardAccept::from_dump(reject),
            ForwardAccept::Missing("FORWARD")
        );
        assert_eq!(
            ForwardAccept::from_dump(&format!("{ufw}-A FORWARD {OURS}\n")),
            ForwardAccept::Present
        );
        // A DOCKER-USER chain that FORWARD does not jump to has no effect.
        assert_eq!(
            ForwardAccept::from_dump(&format!(
                "-P FORWARD DROP\n-N DOCKER-USER\n-A DOCKER-USER {OURS}\n"
            )),
            ForwardAccept::Missing("FORWARD")
        );
    }

    #[test]
    fn only_our_own_rule_is_recognised() {
        for line in [
            "-m mark --mark 0x1000000/0x1000000 -m comment --comment maliknode -j DROP",
            "-m mark --mark 0x2000000/0x2000000 -m comment --comment maliknode -j ACCEPT",
            "-s 10.0.0.0/8 -m comment --comment maliknode -j ACCEPT",
        ] {
            assert!(!is_ours(line), "{line}");
        }
        assert!(is_ours(OURS));
    }
}
