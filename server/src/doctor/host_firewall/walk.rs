//! Chains of rules, as one packet meets them.

use super::packet::Truth;
use std::collections::BTreeMap;

/// A chain that every packet to this host passes, with the chains that it calls.
#[derive(Clone, Debug)]
pub(super) struct Hooked {
    /// Where the chain is, e.g. `inet firewalld filter_INPUT`.
    pub(super) place: String,
    pub(super) chains: Chains,
    /// The chain at which a packet begins.
    pub(super) first: String,
}

/// The deepest chain that is followed; the kernel allows 16 jumps.
const DEEPEST: usize = 32;

/// What a rule does with a packet that it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Accept,
    /// Drop or reject.
    Drop,
    Jump(String),
    Goto(String),
    Return,
    /// It counts, logs or marks.
    Nothing,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub applies: Truth,
    pub action: Action,
}

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    /// A rule that is not understood may accept it.
    Unknown,
}

/// The chains of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Chains {
    rules: BTreeMap<String, Vec<Rule>>,
    /// The chains whose policy is to drop.
    dropping: Vec<String>,
}

/// How a chain ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Accept,
    Drop,
    /// The calling chain goes on.
    Back,
}

impl Chains {
    /// Adds a chain without rules, unless it exists.
    pub(super) fn add(&mut self, name: &str) {
        self.rules.entry(name.to_owned()).or_default();
    }

    /// Makes a chain drop what none of its rules decides.
    pub(super) fn drop_by_policy(&mut self, name: &str) {
        self.dropping.push(name.to_owned());
    }

    /// Appends a rule to a chain.
    pub(super) fn push(&mut self, chain: &str, rule: Rule) {
        self.rules.entry(chain.to_owned()).or_default().push(rule);
    }

    /// Returns the chains' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str)
    }

    /// Returns what becomes of the packet in a base chain.
    pub(super) fn verdict(&self, first: &str) -> Verdict {
        let mut perhaps = false;
        let end = match self.follow(first, 0, &mut perhaps) {
            End::Back if self.dropping.iter().any(|name| name == first) => End::Drop,
            End::Back => End::Accept,
            end => end,
        };
        match (end, perhaps) {
            (End::Drop, false) => Verdict::Drop,
            (End::Drop, true) => Verdict::Unknown,
            _ => Verdict::Accept,
        }
    }

    /// Follows a chain. `perhaps` becomes true where a rule may decide otherwise.
    fn follow(&self, chain: &str, depth: usize, perhaps: &mut bool) -> End {
        if depth > DEEPEST {
            *perhaps = true;
            return End::Accept;
        }
        for rule in self.rules.get(chain).into_iter().flatten() {
            match (rule.applies, &rule.action) {
                (Truth::No, _) | (_, Action::Nothing) => {}
                (Truth::Yes, Action::Accept) => return End::Accept,
                (Truth::Yes, Action::Drop) => return End::Drop,
                (Truth::Yes, Action::Return) => return End::Back,
                (Truth::Yes, Action::Jump(next)) => match self.follow(next, depth + 1, perhaps) {
                    End::Back => {}
                    end => return end,
                },
                (Truth::Yes, Action::Goto(next)) => return self.follow(next, depth + 1, perhaps),
                // It may drop: what others drop as well is for them to say.
                (Truth::Perhaps, Action::Drop) => {}
                (Truth::Perhaps, Action::Accept | Action::Return) => *perhaps = true,
                (Truth::Perhaps, Action::Jump(next) | Action::Goto(next)) => {
                    let mut inside = false;
                    let end = self.follow(next, depth + 1, &mut inside);
                    *perhaps |= inside || end == End::Accept;
                    // What follows a Goto is not reached if it applies.
                    *perhaps |= matches!(rule.action, Action::Goto(_)) && end == End::Back;
                }
            }
        }
        End::Back
    }
}
