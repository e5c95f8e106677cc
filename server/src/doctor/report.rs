//! The result of each check, and the report for people and for programs.

use serde::Serialize;
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    /// It works, but the operator should know.
    Warn,
    /// Something does not work.
    Bad,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    pub state: State,
    pub message: String,
    /// The command or the step that fixes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Ok,
            message: message.into(),
            fix: None,
        }
    }

    pub(super) fn warn(
        name: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            name,
            state: State::Warn,
            message: message.into(),
            fix: Some(fix.into()),
        }
    }

    pub(super) fn bad(
        name: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Bad,
            ..Self::warn(name, message, fix)
        }
    }
}

/// The results of all checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which a person sets a machine up.
    pub checks: Vec<Check>,
}

impl Report {
    /// Returns whether no check is bad.
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|c| c.state != State::Bad)
    }

    /// Returns the report for people.
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
            let _ = writeln!(out, "{sign} {:<width$}  {}", c.name, c.message);
            if let Some(fix) = &c.fix {
                let _ = writeln!(out, "  {:<width$}  → {fix}", "");
            }
        }
        let count = |state| self.checks.iter().filter(|c| c.state == state).count();
        let (bad, warn) = (count(State::Bad), count(State::Warn));
        let _ = match (bad, warn) {
            (0, 0) => writeln!(out, "\nEverything is as it should be."),
            (0, n) => writeln!(out, "\nEverything works; {n} to look at."),
            (n, _) => writeln!(out, "\n{n} to fix."),
        };
        out
    }

    /// Returns the report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).map_or_else(|_| "{}\n".to_owned(), |s| s + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_printed_for_people_and_programs() {
        let mut report = Report {
            checks: vec![
                Check::ok("Rights", "runs as root"),
                Check::warn("nft", "old", "apt-get upgrade"),
            ],
        };
        assert!(report.is_healthy());
        assert_eq!(
            report.text(false),
            "✓ Rights  runs as root\n! nft     old\n          → apt-get upgrade\n\nEverything works; 1 to look at.\n"
        );
        report
            .checks
            .push(Check::bad("Docker", "down", "systemctl start docker"));
        assert!(!report.is_healthy());
        assert!(report.text(false).ends_with("\n1 to fix.\n"));
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["checks"][2]["state"], "bad");
        assert_eq!(json["checks"][2]["message"], "down");
        assert_eq!(json["checks"][2]["fix"], "systemctl start docker");
    }
}
