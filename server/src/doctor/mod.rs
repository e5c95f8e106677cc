//! `maliknode doctor`: everything that can be wrong with a machine, each with
//! the command that mends it. Looks and changes nothing, but for a
//! throw-away network link that shows whether the kernel has WireGuard.

mod checks;
mod disk;
mod memory;
mod network;

pub use network::network_clashes;

use crate::config::Config;
use serde::Serialize;
use std::fmt::Write;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, but somebody should know.
    Warn,
    /// Something does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// The same in words.
    pub sentence: String,
    /// The command or the step that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Check {
    fn ok(name: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Ok,
            sentence: sentence.into(),
            mend: None,
        }
    }

    fn warn(name: &'static str, sentence: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Warn,
            sentence: sentence.into(),
            mend: Some(mend.into()),
        }
    }

    fn bad(name: &'static str, sentence: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Bad,
            ..Self::warn(name, sentence, mend)
        }
    }
}

/// All that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of a person who sets a machine up.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether nothing is bad.
    pub fn is_well(&self) -> bool {
        self.checks.iter().all(|c| c.state != State::Bad)
    }

    /// For people.
    pub fn text(&self, colour: bool) -> String {
        let width = self.checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
        let mut out = String::new();
        for c in &self.checks {
            let (sign, code) = match c.state {
                State::Ok => ("✓", 32),
                State::Warn => ("!", 33),
                State::Bad => ("✗", 31),
            };
            let sign = if colour {
                format!("\x1b[{code}m{sign}\x1b[0m")
            } else {
                sign.to_owned()
            };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{sign} {:<width$}  {}", c.name, c.sentence);
            if let Some(mend) = &c.mend {
                let _ = writeln!(out, "  {:<width$}  → {mend}", "");
            }
        }
        let count = |state| self.checks.iter().filter(|c| c.state == state).count();
        let (bad, warn) = (count(State::Bad), count(State::Warn));
        let _ = match (bad, warn) {
            (0, 0) => writeln!(out, "\nEverything is as it should be."),
            (0, n) => writeln!(out, "\nEverything works; {n} to look at."),
            (n, _) => writeln!(out, "\n{n} to mend."),
        };
        out
    }

    /// For programs.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).map_or_else(|_| "{}\n".to_owned(), |s| s + "\n")
    }
}

/// Looks at everything.
pub async fn examine(config: &Config) -> Report {
    let mut checks = vec![
        checks::rights(),
        checks::folders(config),
        disk::check(config),
    ];
    // Those that may wait for somebody, side by side.
    let (wireguard, nft, docker, memory, database) = tokio::join!(
        checks::wireguard(config),
        checks::nft(config),
        checks::docker(config),
        memory::check(config),
        checks::database(config)
    );
    checks.push(wireguard);
    checks.push(checks::tun());
    checks.push(nft);
    checks.push(checks::forwarding());
    checks.extend(docker);
    checks.push(memory);
    checks.push(network::check(&config.addresses));
    checks.push(checks::listen(config).await);
    checks.push(checks::proxies(config));
    checks.push(network::tunnel_ports());
    checks.push(checks::reserved_ports());
    checks.push(database);
    checks.push(checks::lists(config));
    checks.push(checks::pages(config));
    checks.push(checks::time());
    Report { checks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_well_and_says_whether_all_is() {
        let mut report = Report {
            checks: vec![
                Check::ok("Rights", "runs as root"),
                Check::warn("nft", "old", "apt-get upgrade"),
            ],
        };
        assert!(report.is_well());
        assert_eq!(
            report.text(false),
            "✓ Rights  runs as root\n! nft     old\n          → apt-get upgrade\n\nEverything works; 1 to look at.\n"
        );
        report
            .checks
            .push(Check::bad("Docker", "down", "systemctl start docker"));
        assert!(!report.is_well());
        assert!(report.text(false).ends_with("\n1 to mend.\n"));
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["checks"][2]["state"], "bad");
        assert_eq!(json["checks"][2]["mend"], "systemctl start docker");
    }

    #[tokio::test]
    async fn a_machine_can_be_examined_whatever_it_is_like() {
        let settings = crate::config::Settings {
            root: Some("/nowhere/at/all".to_owned()),
            docker_host: Some("/nowhere/docker.sock".to_owned()),
            ..Default::default()
        };
        let report = examine(&Config::load(settings).unwrap()).await;
        let docker = report.checks.iter().find(|c| c.name == "Docker").unwrap();
        assert_eq!(docker.state, State::Bad);
        assert!(
            report
                .checks
                .iter()
                .all(|c| c.state == State::Ok || c.mend.is_some())
        );
    }
}
