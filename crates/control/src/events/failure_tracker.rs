//! Tracks what fails and since when. A failure is an event once it has lasted
//! for a while, and so is its recovery, with a minimum interval in between: what
//! is retried every few seconds is one event, and what fails and recovers all
//! the time is at most one event a minute.

use super::{Timing, record, subject::Subject};
use domain::{ErrorCode, Message, NodeId, Part, Problem, TenantName, TenantStatus, Timestamp};
use protocol::{EventKind, EventTenant, Location, Nodes, PartKind};
use std::collections::HashMap;
use store::NewEvent;
use tokio::time::Instant;

/// A moment, for measuring durations and for the log.
type Now = (Instant, Timestamp);

/// The state of a subject.
#[derive(Debug)]
struct Tracked {
    /// The tenant that the subject belongs to; `None` for a node itself.
    tenant: Option<TenantName>,
    fails: bool,
    /// When `fails` last changed.
    since: Now,
    /// The last problem's.
    message: Message,
    /// The value of `fails` in the last event, and the time of that event.
    reported: bool,
    reported_at: Option<Instant>,
}

impl Tracked {
    /// Takes an observation into account. Returns since when the subject has been
    /// failing, or working again, if that is an event now.
    fn update(&mut self, fails: bool, timing: &Timing, now: Now) -> Option<Timestamp> {
        if self.fails != fails {
            self.fails = fails;
            self.since = now;
        }
        let has_lasted = now.0 - self.since.0 >= timing.min_duration;
        if fails == self.reported || !has_lasted || !self.may_report(timing, now.0) {
            return None;
        }
        self.reported = fails;
        self.reported_at = Some(now.0);
        Some(self.since.1)
    }

    fn may_report(&self, timing: &Timing, now: Instant) -> bool {
        self.reported_at
            .is_none_or(|at| now - at >= timing.min_interval)
    }

    /// Returns whether nothing has to be remembered of the subject.
    fn is_settled(&self, timing: &Timing, now: Instant) -> bool {
        !self.fails && !self.reported && self.may_report(timing, now)
    }
}

/// The subjects that fail or have failed lately: at most three parts of each
/// tenant, and one subject for each error code of a node.
#[derive(Debug)]
pub(super) struct FailureTracker {
    timing: Timing,
    subjects: HashMap<Subject, Tracked>,
}

impl FailureTracker {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            timing,
            subjects: HashMap::new(),
        }
    }

    /// Checks a node and returns its events. `known` is a problem that the node itself
    /// does not report.
    pub(super) fn check(
        &mut self,
        nodes: &dyn Nodes,
        node: NodeId,
        known: Option<Problem>,
        now: Instant,
        wall: Timestamp,
    ) -> Vec<NewEvent> {
        // A node that has not reported yet has no problems to tell of.
        let mut problems = nodes.node(node).unwrap_or_default().problems;
        problems.extend(known.filter(|k| problems.iter().all(|p| p.code != k.code)));
        let mut events = self.check_node(node, &problems, (now, wall));
        // Before there is a spec, nothing is known of tenants.
        if let Some(holders) = nodes.holders(node) {
            for (slot, name) in &holders {
                let at = Location { node, slot: *slot };
                let state = nodes.tenant(at).filter(|s| s.name == *name);
                if let Some(state) = state {
                    events.extend(self.check_tenant(at, name, &state.status, (now, wall)));
                }
            }
            self.subjects.retain(|subject, tracked| match subject {
                Subject::Part(at, _) if at.node == node => {
                    holders.get(&at.slot) == tracked.tenant.as_ref()
                }
                Subject::Part(..) | Subject::Node(..) => true,
            });
        }
        self.forget_settled(now);
        events
    }

    fn forget_settled(&mut self, now: Instant) {
        let timing = self.timing;
        self.subjects
            .retain(|_, tracked| !tracked.is_settled(&timing, now));
    }

    fn check_node(&mut self, node: NodeId, problems: &[Problem], now: Now) -> Vec<NewEvent> {
        let mut events: Vec<_> = problems
            .iter()
            .filter_map(|p| self.observe(Subject::Node(node, p.code), None, Some(p), now))
            .collect();
        let codes = self.subjects.keys().filter_map(|subject| match subject {
            Subject::Node(of, code) if *of == node => Some(*code),
            Subject::Node(..) | Subject::Part(..) => None,
        });
        let solved: Vec<_> = codes
            .filter(|code| problems.iter().all(|p| p.code != *code))
            .collect();
        let solved = solved.into_iter();
        let over = |code| self.observe(Subject::Node(node, code), None, None, now);
        events.extend(solved.filter_map(over));
        events
    }

    fn check_tenant(
        &mut self,
        at: Location,
        name: &TenantName,
        status: &TenantStatus,
        now: Now,
    ) -> Vec<NewEvent> {
        let parts = [
            (PartKind::Firewall, &status.firewall),
            (PartKind::Tunnel, &status.tunnel),
            (PartKind::Dns, &status.dns),
        ];
        let mut events = Vec::new();
        for (kind, part) in parts {
            let subject = Subject::Part(at, kind);
            match part {
                // The operator wanted this, or the disk did, which is an event of its
                // own: it is no failure.
                Part::Problem(p)
                    if matches!(p.code, ErrorCode::Suspended | ErrorCode::Asleep)
                        || matches!(p.message, Message::DnsDiskFull | Message::DnsDiskHeld) =>
                {
                    self.subjects.remove(&subject);
                }
                Part::Problem(p) => {
                    events.extend(self.observe(subject, Some(name), Some(p), now));
                }
                Part::Ready { .. } => events.extend(self.observe(subject, Some(name), None, now)),
                // Work is under way, which is neither a failure nor a recovery.
                Part::Waiting | Part::Working => {}
            }
        }
        events
    }

    /// Records that a subject has a problem or none, and returns the event that
    /// follows from it.
    fn observe(
        &mut self,
        subject: Subject,
        tenant: Option<&TenantName>,
        problem: Option<&Problem>,
        now: Now,
    ) -> Option<NewEvent> {
        // A slot with another tenant starts from the beginning.
        if self
            .subjects
            .get(&subject)
            .is_some_and(|t| t.tenant.as_ref() != tenant)
        {
            self.subjects.remove(&subject);
        }
        let tracked = match (self.subjects.get_mut(&subject), problem) {
            (Some(tracked), _) => tracked,
            // A subject that works is not remembered.
            (None, None) => return None,
            (None, Some(problem)) => self.subjects.entry(subject).or_insert(Tracked {
                tenant: tenant.cloned(),
                fails: true,
                since: now,
                message: problem.message.clone(),
                reported: false,
                reported_at: None,
            }),
        };
        if let Some(problem) = problem {
            tracked.message.clone_from(&problem.message);
        }
        let since = tracked.update(problem.is_some(), &self.timing, now)?;
        let event = event(subject, tenant, problem.is_some(), tracked.message.clone())?;
        Some(record::row(&event, since))
    }
}

/// Returns the event that a subject fails or works again; `message` is its last
/// problem's.
fn event(
    subject: Subject,
    tenant: Option<&TenantName>,
    fails: bool,
    message: Message,
) -> Option<EventKind> {
    Some(match subject {
        Subject::Part(at, part) => {
            let (slot, name) = (at.slot, tenant?.clone());
            let tenant = EventTenant { slot, name };
            if fails {
                let reason = message;
                EventKind::PartFailed {
                    tenant,
                    part,
                    reason,
                }
            } else {
                EventKind::PartBack { tenant, part }
            }
        }
        Subject::Node(_, code) => {
            let problem = message;
            if fails {
                EventKind::NodeFailed { code, problem }
            } else {
                EventKind::NodeBack { code, problem }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Slot;
    use protocol::recorded_message;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const AT: Location = Location {
        node: NodeId(1),
        slot: Slot::FIRST,
    };

    /// Plays seconds in which a part fails (`x`), works (`.`), is suspended (`s`)
    /// or has work under way (`-`). Returns the second of each event, whether it
    /// is a failure, and the second it gives as the beginning.
    fn play(history: &[(char, u64)]) -> Vec<(u64, bool, i64)> {
        let mut tracker = FailureTracker::new(Timing::default());
        let name = TenantName::parse("lina").unwrap();
        let (begin, mut second, mut events) = (Instant::now(), 0, Vec::new());
        for (what, seconds) in history {
            for _ in 0..*seconds {
                let now = (begin + SECOND * second, Timestamp::from_secs(second.into()));
                let part = match what {
                    'x' => Part::Problem(Problem {
                        code: ErrorCode::DnsUnavailable,
                        message: Message::DnsSilent,
                    }),
                    's' => Part::Problem(Problem {
                        code: ErrorCode::Suspended,
                        message: Message::NetworkSuspended,
                    }),
                    '.' => Part::Ready { took_ms: 0 },
                    _ => Part::Working,
                };
                let status = TenantStatus {
                    dns: part,
                    ..TenantStatus::default()
                };
                for event in tracker.check_tenant(AT, &name, &status, now) {
                    let failed = event.kind == "part.dns.failed";
                    assert!(failed || event.kind == "part.dns.back", "{event:?}");
                    events.push((second.into(), failed, event.at.secs()));
                }
                tracker.forget_settled(now.0);
                second += 1;
            }
        }
        assert!(
            history.last().is_none_or(|(what, _)| *what != '.') || tracker.subjects.is_empty(),
            "a working subject is not remembered"
        );
        events
    }

    #[test]
    fn a_failure_and_its_recovery_are_one_event_each() {
        assert_eq!(
            play(&[('.', 5), ('x', 600), ('.', 200)]),
            [(15, true, 5), (615, false, 605)]
        );
    }

    #[test]
    fn a_failure_below_ten_seconds_is_no_event() {
        assert_eq!(play(&[('x', 9), ('.', 100), ('x', 9), ('.', 100)]), []);
    }

    #[test]
    fn a_retry_does_not_end_a_failure() {
        let retries = [
            ('x', 4),
            ('-', 3),
            ('x', 4),
            ('-', 30),
            ('x', 4),
            ('.', 100),
        ];
        assert_eq!(play(&retries), [(10, true, 0), (70, false, 45)]);
    }

    #[test]
    fn repeated_failures_are_events_a_minute_apart() {
        let mut history = Vec::new();
        for _ in 0..100 {
            history.extend([('x', 11), ('.', 11)]);
        }
        history.push(('x', 1));
        let events = play(&history);
        assert!(events.len() >= 20, "{events:?}");
        let mut pairs = events.windows(2);
        assert!(
            pairs.all(|p| p[1].0 - p[0].0 >= 60 && p[1].1 != p[0].1),
            "{events:?}"
        );
    }

    #[test]
    fn a_suspension_is_no_failure_and_ends_one() {
        assert_eq!(play(&[('s', 100), ('.', 20)]), []);
        let failed = play(&[('x', 100), ('s', 100), ('.', 100)]);
        assert_eq!(failed, [(10, true, 0)]);
    }

    #[test]
    fn problems_of_the_node_are_tracked_by_code() {
        let mut tracker = FailureTracker::new(Timing::default());
        let begin = Instant::now();
        let mut at = |second: u32, problems: &[(ErrorCode, Message)]| {
            let now = (begin + SECOND * second, Timestamp::from_secs(second.into()));
            let problems: Vec<_> = problems
                .iter()
                .map(|(code, message)| Problem {
                    code: *code,
                    message: message.clone(),
                })
                .collect();
            let events = tracker.check_node(AT.node, &problems, now).into_iter();
            let events = events.map(|e| (recorded_message(&e.kind, &e.detail), e.kind));
            events.map(|(m, kind)| (kind, m)).collect::<Vec<_>>()
        };
        let docker = (ErrorCode::DockerUnavailable, Message::DockerDown);
        let full = (ErrorCode::DiskUnavailable, Message::ContainerDiskFull);
        assert_eq!(at(0, std::slice::from_ref(&docker)), []);
        let begun = at(10, &[docker.clone(), full.clone()]);
        let kind = |kind: &str, message: Message| (kind.to_owned(), message);
        assert_eq!(begun, [kind("node.docker_unavailable.failed", docker.1)]);
        // Another message of the same code is the same problem.
        let slow = Message::DockerTimedOut { seconds: 15 };
        let other = (ErrorCode::DockerUnavailable, slow.clone());
        assert_eq!(at(11, &[other, full.clone()]), []);
        let full = [full];
        assert_eq!(
            at(20, &full),
            [kind("node.disk_unavailable.failed", full[0].1.clone())]
        );
        assert_eq!(at(60, &full), [], "less than a minute later");
        let problem = Box::new(slow);
        assert_eq!(
            at(70, &full),
            [kind(
                "node.docker_unavailable.back",
                Message::NodeProblemOver { problem }
            )]
        );
    }

    #[test]
    fn a_filter_that_is_stopped_on_purpose_has_not_failed() {
        let name = TenantName::parse("lina").unwrap();
        for (code, message) in [
            (ErrorCode::Suspended, Message::NetworkSuspended),
            (ErrorCode::DnsUnavailable, Message::DnsDiskFull),
            (ErrorCode::DiskLow, Message::DnsDiskHeld),
        ] {
            let mut tracker = FailureTracker::new(Timing::default());
            let stopped = TenantStatus {
                dns: Part::Problem(Problem { code, message }),
                ..TenantStatus::default()
            };
            let begin = Instant::now();
            for second in 0..=20 {
                let now = (begin + SECOND * second, Timestamp::from_secs(second.into()));
                assert!(tracker.check_tenant(AT, &name, &stopped, now).is_empty());
            }
        }
    }

    #[test]
    fn the_same_slot_of_two_nodes_is_two_subjects() {
        let mut tracker = FailureTracker::new(Timing::default());
        let name = |n: &str| TenantName::parse(n).unwrap();
        let problem = Problem {
            code: ErrorCode::DnsUnavailable,
            message: Message::DnsSilent,
        };
        let failing = TenantStatus {
            dns: Part::Problem(problem.clone()),
            ..TenantStatus::default()
        };
        let there = Location {
            node: NodeId(2),
            ..AT
        };
        let begin = Instant::now();
        let mut kinds = Vec::new();
        for second in 0..=10 {
            let now = (begin + SECOND * second, Timestamp::from_secs(second.into()));
            for (at, name) in [(AT, name("lina")), (there, name("omar"))] {
                kinds.extend(tracker.check_tenant(at, &name, &failing, now));
                let problems = std::slice::from_ref(&problem);
                let problems = if at == AT { problems } else { &[] };
                kinds.extend(tracker.check_node(at.node, problems, now));
            }
        }
        let kinds: Vec<_> = kinds
            .iter()
            .map(|e| (e.at.secs(), e.kind.as_str()))
            .collect();
        let part = (0, "part.dns.failed");
        assert_eq!(kinds, [part, (0, "node.dns_unavailable.failed"), part]);
    }
}
