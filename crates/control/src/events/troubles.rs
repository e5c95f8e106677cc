//! What fails, from when to when. A failure is told once it has lasted and its
//! end the same, a minute apart at least: what is tried again every few seconds
//! is one event, and what goes up and down all the time is two a minute.

use super::{Pace, words};
use domain::{ErrorCode, Part, Problem, Slot, TenantName, TenantStatus, Timestamp};
use provisioning::NodeHandle;
use std::collections::HashMap;
use store::NewEvent;
use tokio::time::Instant;

/// A tenant's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Of {
    Firewall,
    Tunnel,
    Dns,
}

/// What may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Thing {
    Part(Slot, Of),
    Node(ErrorCode),
}

#[derive(Debug)]
struct Trouble {
    /// Whose; `None` is the node's own.
    whose: Option<TenantName>,
    fails: bool,
    since: (Instant, Timestamp),
    sentence: String,
    /// What was told last, and when.
    told: bool,
    told_at: Option<Instant>,
}

impl Trouble {
    /// Takes a look into account; when what is to be told began.
    fn turn(&mut self, fails: bool, pace: &Pace, now: (Instant, Timestamp)) -> Option<Timestamp> {
        if self.fails != fails {
            self.fails = fails;
            self.since = now;
        }
        let lasts = now.0 - self.since.0 >= pace.lasting;
        let apart = self.told_at.is_none_or(|at| now.0 - at >= pace.apart);
        if fails == self.told || !lasts || !apart {
            return None;
        }
        self.told = fails;
        self.told_at = Some(now.0);
        Some(self.since.1)
    }

    /// Whether there is nothing to remember.
    fn is_over(&self, pace: &Pace, now: Instant) -> bool {
        let apart = self.told_at.is_none_or(|at| now - at >= pace.apart);
        !self.fails && !self.told && apart
    }
}

/// See the module. Holds what fails or has failed lately, at most three parts
/// of each tenant and one thing for each error code.
#[derive(Debug)]
pub(super) struct Troubles {
    pace: Pace,
    things: HashMap<Thing, Trouble>,
}

impl Troubles {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            things: HashMap::new(),
        }
    }

    /// Looks at the node; what is to be told.
    pub(super) fn look(
        &mut self,
        node: &NodeHandle,
        now: Instant,
        wall: Timestamp,
    ) -> Vec<NewEvent> {
        let mut told = self.node(&node.node().borrow().problems, (now, wall));
        // Before there is a spec nothing is known of tenants.
        if let Some(holders) = node.holders() {
            for (slot, name) in &holders {
                let state = node.tenant(*slot).filter(|s| s.name == *name);
                if let Some(state) = state {
                    told.extend(self.tenant(*slot, name, &state.status, (now, wall)));
                }
            }
            self.things.retain(|thing, trouble| match thing {
                Thing::Part(slot, _) => holders.get(slot) == trouble.whose.as_ref(),
                Thing::Node(_) => true,
            });
        }
        let pace = self.pace;
        self.things
            .retain(|_, trouble| !trouble.is_over(&pace, now));
        told
    }

    fn node(&mut self, problems: &[Problem], now: (Instant, Timestamp)) -> Vec<NewEvent> {
        let mut told: Vec<_> = problems
            .iter()
            .filter_map(|p| self.one(Thing::Node(p.code), None, Some(p), now))
            .collect();
        let nodes = self.things.keys().filter_map(|thing| match thing {
            Thing::Node(code) => Some(*code),
            Thing::Part(..) => None,
        });
        let over: Vec<_> = nodes
            .filter(|code| problems.iter().all(|p| p.code != *code))
            .collect();
        let over = over.into_iter();
        told.extend(over.filter_map(|code| self.one(Thing::Node(code), None, None, now)));
        told
    }

    fn tenant(
        &mut self,
        slot: Slot,
        name: &TenantName,
        status: &TenantStatus,
        now: (Instant, Timestamp),
    ) -> Vec<NewEvent> {
        let parts = [
            (Of::Firewall, &status.firewall),
            (Of::Tunnel, &status.tunnel),
            (Of::Dns, &status.dns),
        ];
        let mut told = Vec::new();
        for (of, part) in parts {
            let thing = Thing::Part(slot, of);
            match part {
                // What the operator wanted has failed nobody.
                Part::Problem(p) if p.code == ErrorCode::Suspended => {
                    self.things.remove(&thing);
                }
                Part::Problem(p) => told.extend(self.one(thing, Some(name), Some(p), now)),
                Part::Ready { .. } => told.extend(self.one(thing, Some(name), None, now)),
                // Under way: neither the one nor the other.
                Part::Waiting | Part::Working => {}
            }
        }
        told
    }

    fn one(
        &mut self,
        thing: Thing,
        whose: Option<&TenantName>,
        problem: Option<&Problem>,
        now: (Instant, Timestamp),
    ) -> Option<NewEvent> {
        // A slot that has changed hands begins anew.
        if self
            .things
            .get(&thing)
            .is_some_and(|t| t.whose.as_ref() != whose)
        {
            self.things.remove(&thing);
        }
        let trouble = match (self.things.get_mut(&thing), problem) {
            (Some(trouble), _) => trouble,
            // Of what is well nothing is remembered.
            (None, None) => return None,
            (None, Some(_)) => self.things.entry(thing).or_insert(Trouble {
                whose: whose.cloned(),
                fails: true,
                since: now,
                sentence: String::new(),
                told: false,
                told_at: None,
            }),
        };
        if let Some(problem) = problem {
            trouble.sentence.clone_from(&problem.sentence);
        }
        let since = trouble.turn(problem.is_some(), &self.pace, now)?;
        let (fails, sentence) = (problem.is_some(), &trouble.sentence);
        Some(match (thing, whose) {
            (Thing::Part(slot, of), Some(name)) => {
                words::part(slot, name, of, fails, sentence, since)
            }
            (Thing::Part(..), None) => return None,
            (Thing::Node(code), _) => words::node(code, fails, sentence, since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    /// Plays seconds in which something fails (`x`), works (`.`) or is under
    /// way (`-`), as long as each says, and gives when what was told.
    fn play(history: &[(char, u64)]) -> Vec<(u64, bool, i64)> {
        let mut troubles = Troubles::new(Pace::default());
        let name = TenantName::parse("lina").unwrap();
        let (begin, mut second, mut told) = (Instant::now(), 0, Vec::new());
        for (what, seconds) in history {
            for _ in 0..*seconds {
                let now = (begin + SECOND * second, Timestamp::from_secs(second.into()));
                let part = match what {
                    'x' => Part::Problem(Problem {
                        code: ErrorCode::DnsUnavailable,
                        sentence: "It is tried again.".to_owned(),
                    }),
                    's' => Part::Problem(Problem {
                        code: ErrorCode::Suspended,
                        sentence: "Suspended.".to_owned(),
                    }),
                    '.' => Part::Ready { took_ms: 0 },
                    _ => Part::Working,
                };
                let status = TenantStatus {
                    dns: part,
                    ..TenantStatus::default()
                };
                for event in troubles.tenant(Slot::FIRST, &name, &status, now) {
                    let failed = event.kind == "part.dns.failed";
                    assert!(failed || event.kind == "part.dns.back", "{event:?}");
                    told.push((second.into(), failed, event.at.secs()));
                }
                let pace = troubles.pace;
                troubles.things.retain(|_, t| !t.is_over(&pace, now.0));
                second += 1;
            }
        }
        assert!(
            history.last().is_none_or(|(what, _)| *what != '.') || troubles.things.is_empty(),
            "what is well is not remembered"
        );
        told
    }

    #[test]
    fn a_failure_is_told_once_with_when_it_began_and_its_end_too() {
        assert_eq!(
            play(&[('.', 5), ('x', 600), ('.', 200)]),
            [(15, true, 5), (615, false, 605)]
        );
    }

    #[test]
    fn what_lasts_no_ten_seconds_is_nobodys_business() {
        assert_eq!(play(&[('x', 9), ('.', 100), ('x', 9), ('.', 100)]), []);
    }

    #[test]
    fn being_tried_again_is_no_end_of_a_failure() {
        let tries = [
            ('x', 4),
            ('-', 3),
            ('x', 4),
            ('-', 30),
            ('x', 4),
            ('.', 100),
        ];
        assert_eq!(play(&tries), [(10, true, 0), (70, false, 45)]);
    }

    #[test]
    fn what_goes_up_and_down_is_told_a_minute_apart() {
        let mut history = Vec::new();
        for _ in 0..100 {
            history.extend([('x', 11), ('.', 11)]);
        }
        history.push(('x', 1));
        let told = play(&history);
        assert!(told.len() >= 20, "{told:?}");
        let mut pairs = told.windows(2);
        assert!(
            pairs.all(|p| p[1].0 - p[0].0 >= 60 && p[1].1 != p[0].1),
            "{told:?}"
        );
    }

    #[test]
    fn a_suspension_is_no_failure_and_ends_one() {
        assert_eq!(play(&[('s', 100), ('.', 20)]), []);
        let failed = play(&[('x', 100), ('s', 100), ('.', 100)]);
        assert_eq!(failed, [(10, true, 0)]);
    }

    #[test]
    fn the_nodes_problems_begin_and_end_by_their_code() {
        let mut troubles = Troubles::new(Pace::default());
        let begin = Instant::now();
        let mut at = |second: u32, problems: &[(ErrorCode, &str)]| {
            let now = (begin + SECOND * second, Timestamp::from_secs(second.into()));
            let problems: Vec<_> = problems
                .iter()
                .map(|(code, sentence)| Problem {
                    code: *code,
                    sentence: (*sentence).to_owned(),
                })
                .collect();
            let told = troubles.node(&problems, now).into_iter();
            told.map(|e| (e.kind, e.detail)).collect::<Vec<_>>()
        };
        let docker = (ErrorCode::DockerUnavailable, "Docker does not answer.");
        let full = (ErrorCode::DiskUnavailable, "The disk is full.");
        assert_eq!(at(0, &[docker]), []);
        let begun = at(10, &[docker, full]);
        let kind = |kind: &str, detail: &str| (kind.to_owned(), detail.to_owned());
        assert_eq!(begun, [kind("node.docker_unavailable.failed", docker.1)]);
        // Another sentence of the same code is the same problem.
        let other = (ErrorCode::DockerUnavailable, "Docker is slow.");
        assert_eq!(at(11, &[other, full]), []);
        assert_eq!(
            at(20, &[full]),
            [kind("node.disk_unavailable.failed", full.1)]
        );
        assert_eq!(at(60, &[full]), [], "a minute apart");
        assert_eq!(
            at(70, &[full]),
            [kind(
                "node.docker_unavailable.back",
                "Over: Docker is slow."
            )]
        );
    }
}
