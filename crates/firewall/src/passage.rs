//! Passage through other programs' forward filters. Docker and ufw set the
//! policy of iptables' FORWARD chain to DROP, and a verdict of our table cannot
//! overrule that. Docker calls `DOCKER-USER` first and leaves its content to
//! others: one rule there accepts what our table has marked.

use crate::{
    command::{CommandError, run},
    netlink::OwnChanges,
};

/// The bit of the packet mark that our `forward` chain sets on tenants'
/// packets it accepted (bit 24). Only this bit is set and only it is looked
/// at; it is free of what Kubernetes (bits 14-15), Tailscale (16-23) and wg-quick
/// (51820) use.
pub const PASS_MARK: u32 = 0x0100_0000;

/// The rule, as `-A` and `-D` take it after the chain's name.
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

/// Waits up to 5 s for a lock of another iptables (legacy only).
const WAIT: [&str; 2] = ["-w", "5"];

const DOCKER: &str = "DOCKER-USER";

/// What the filter table of iptables means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Nothing is in the way.
    Free,
    /// Our rule is needed and stands.
    Open,
    /// Our rule is needed in this chain and is not there.
    Shut(&'static str),
}

impl Passage {
    /// Whether tenants' packets get through.
    pub(crate) fn is_open(self) -> bool {
        !matches!(self, Passage::Shut(_))
    }

    /// Reads iptables' filter table. Without iptables nobody filters with it.
    pub(crate) async fn read(own: &OwnChanges) -> Self {
        match run("iptables", &[WAIT[0], WAIT[1], "-S"], "", own).await {
            Ok(dump) => Self::of(&String::from_utf8_lossy(&dump)),
            Err(CommandError::Missing { .. }) => Passage::Free,
            Err(error) => {
                // Our own table holds either way: this can only keep packets
                // from passing, never let one through.
                tracing::warn!(%error, "iptables could not be read; if FORWARD drops, tunnels have no way out");
                Passage::Free
            }
        }
    }

    fn of(dump: &str) -> Self {
        let in_forward = |l: &&str| l.starts_with("-A FORWARD ");
        let ours = |chain: &str| {
            let start = format!("-A {chain} ");
            dump.lines().any(|l| l.starts_with(&start) && is_ours(l))
        };
        let jump = format!("-j {DOCKER}");
        let docker = dump.lines().filter(in_forward).any(|l| l.ends_with(&jump));
        let restricts = dump.lines().any(|l| l == "-P FORWARD DROP")
            || dump.lines().filter(in_forward).any(|l| !is_ours(l));
        if docker && !ours(DOCKER) {
            Passage::Shut(DOCKER)
        } else if !docker && restricts && !ours("FORWARD") {
            Passage::Shut("FORWARD")
        } else if docker || restricts {
            Passage::Open
        } else {
            Passage::Free
        }
    }

    /// Puts our rule where it is needed and missing.
    pub(crate) async fn open(own: &OwnChanges) -> Result<(), CommandError> {
        if let Passage::Shut(chain) = Self::read(own).await {
            let mut args = WAIT.to_vec();
            args.extend(["-I", chain, "1"]);
            args.extend(RULE);
            args.extend(["-j", "ACCEPT"]);
            run("iptables", &args, "", own).await?;
        }
        Ok(())
    }

    /// Takes our rule out of both chains.
    pub(crate) async fn close(own: &OwnChanges) -> Result<(), CommandError> {
        let dump = match run("iptables", &[WAIT[0], WAIT[1], "-S"], "", own).await {
            Ok(dump) => dump,
            Err(CommandError::Missing { .. }) => return Ok(()),
            Err(e) => return Err(e),
        };
        for line in String::from_utf8_lossy(&dump).lines() {
            let chain = [DOCKER, "FORWARD"]
                .into_iter()
                .find(|c| line.starts_with(&format!("-A {c} ")));
            if let Some(chain) = chain.filter(|_| is_ours(line)) {
                let mut args = WAIT.to_vec();
                args.extend(["-D", chain]);
                args.extend(RULE);
                args.extend(["-j", "ACCEPT"]);
                run("iptables", &args, "", own).await?;
            }
        }
        Ok(())
    }
}

/// Whether iptables' rules live outside nf_tables, where a change of them does
/// not show in the ruleset's generation.
pub(crate) async fn is_legacy(own: &OwnChanges) -> bool {
    match run("iptables", &["--version"], "", own).await {
        Ok(version) => !String::from_utf8_lossy(&version).contains("nf_tables"),
        Err(_) => false,
    }
}

/// Whether a line of `iptables -S` is our rule: that mark, that comment, ACCEPT.
fn is_ours(line: &str) -> bool {
    line.contains(RULE[3]) && line.contains("--comment maliknode ") && line.ends_with("-j ACCEPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str =
        "-m mark --mark 0x1000000/0x1000000 -m comment --comment maliknode -j ACCEPT";

    #[test]
    fn a_host_that_forwards_everything_needs_nothing() {
        let dump = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n";
        assert_eq!(Passage::of(dump), Passage::Free);
        assert_eq!(Passage::of(""), Passage::Free);
        let ours_alone = format!("{dump}-A FORWARD {OURS}\n");
        assert_eq!(Passage::of(&ours_alone), Passage::Free);
    }

    #[test]
    fn docker_is_asked_in_docker_user() {
        let dump = "-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n";
        assert_eq!(Passage::of(dump), Passage::Shut("DOCKER-USER"));
        let open = format!("{dump}-A DOCKER-USER {OURS}\n");
        assert_eq!(Passage::of(&open), Passage::Open);
        // Docker's own chains drop too, so the policy does not matter.
        assert_eq!(
            Passage::of(&dump.replace("DROP", "ACCEPT")),
            Passage::Shut("DOCKER-USER")
        );
    }

    #[test]
    fn without_docker_the_rule_goes_to_forward() {
        assert_eq!(Passage::of("-P FORWARD DROP\n"), Passage::Shut("FORWARD"));
        let ufw = "-P FORWARD DROP\n-A FORWARD -j ufw-before-forward\n";
        assert_eq!(Passage::of(ufw), Passage::Shut("FORWARD"));
        // Images of some clouds accept by policy and reject by rule.
        let reject = "-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n";
        assert_eq!(Passage::of(reject), Passage::Shut("FORWARD"));
        assert_eq!(
            Passage::of(&format!("{ufw}-A FORWARD {OURS}\n")),
            Passage::Open
        );
        // A DOCKER-USER that nobody calls any more is no way through.
        assert_eq!(
            Passage::of(&format!(
                "-P FORWARD DROP\n-N DOCKER-USER\n-A DOCKER-USER {OURS}\n"
            )),
            Passage::Shut("FORWARD")
        );
    }

    #[test]
    fn only_our_own_rule_counts_as_ours() {
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
