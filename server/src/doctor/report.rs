//! The result of each check, and the report for people and for programs.

use domain::Message;
use serde::Serialize;
use std::fmt::Write;
use texts::Texts;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked, one of `Message::Check…`.
    pub name: Message,
    pub state: State,
    pub message: Message,
    /// The command or the step that fixes it.
    pub fix: Option<Message>,
}

impl Check {
    pub(super) const fn ok(name: Message, message: Message) -> Self {
        Self {
            name,
            state: State::Ok,
            message,
            fix: None,
        }
    }

    pub(super) const fn warn(name: Message, message: Message, fix: Message) -> Self {
        Self {
            name,
            state: State::Warn,
            message,
            fix: Some(fix),
        }
    }

    pub(super) const fn bad(name: Message, message: Message, fix: Message) -> Self {
        Self {
            name,
            state: State::Bad,
            message,
            fix: Some(fix),
        }
    }

    fn rendered(&self, texts: &Texts) -> RenderedCheck {
        RenderedCheck {
            code: self.name.code().trim_start_matches("check-"),
            name: texts.message(&self.name),
            state: self.state,
            message: texts.message(&self.message),
            fix: self.fix.as_ref().map(|fix| texts.message(fix)),
        }
    }
}

/// Returns the fix that is one command.
pub(super) fn run(command: impl Into<String>) -> Message {
    let text = command.into();
    Message::Verbatim { text }
}

/// The result of one check in words, as JSON.
#[derive(Debug, Serialize)]
struct RenderedCheck {
    /// What was checked, for programs.
    code: &'static str,
    name: String,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// The results of all checks in words, as JSON.
#[derive(Debug, Serialize)]
struct RenderedReport {
    checks: Vec<RenderedCheck>,
}

/// The results of all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        let checks = self.rendered().checks;
        let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
        let mut out = String::new();
        for c in &checks {
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

    fn rendered(&self) -> RenderedReport {
        let checks = self.checks.iter();
        RenderedReport {
            checks: checks.map(|c| c.rendered(texts::english())).collect(),
        }
    }

    /// Returns the report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.rendered())
            .map_or_else(|_| "{}\n".to_owned(), |s| s + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_printed_for_people_and_programs() {
        let mut report = Report {
            checks: vec![
                Check::ok(Message::CheckRights, Message::RightsRoot),
                Check::warn(Message::CheckNft, Message::NftReady, run("apt-get upgrade")),
            ],
        };
        assert!(report.is_healthy());
        assert_eq!(
            report.text(false),
            "✓ Rights  runs as root\n! nft     works; our table is created when the server starts\n          → apt-get upgrade\n\nEverything works; 1 to look at.\n"
        );
        report.checks.push(Check::bad(
            Message::CheckDocker,
            Message::DockerDown,
            run("systemctl start docker"),
        ));
        assert!(!report.is_healthy());
        assert!(report.text(false).ends_with("\n1 to fix.\n"));
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["checks"][2]["state"], "bad");
        assert_eq!(json["checks"][2]["code"], "docker");
        assert_eq!(json["checks"][2]["name"], "Docker");
        let message = "Docker does not answer: systemctl start docker";
        assert_eq!(json["checks"][2]["message"], message);
        assert_eq!(json["checks"][2]["fix"], "systemctl start docker");
    }
}
