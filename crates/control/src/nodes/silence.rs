//! What is wrong with a worker as a whole, by what the database remembers of it.

use domain::{ErrorCode, Message, NodeStanding, Problem, Timestamp};
use store::NodeRecord;

/// How long a worker may be silent before it gets no new tenant and the operator reads of
/// it. It is heard at least every 30 s.
pub(crate) const MAX_SILENCE_MILLIS: i64 = 60_000;

/// Returns what is wrong with a worker: it is silent, or revoked with tenants on it.
pub(crate) fn worker_problem(worker: &NodeRecord, now: Timestamp) -> Option<Problem> {
    if worker.standing == NodeStanding::Revoked {
        let tenants = worker.tenants.into();
        return (tenants > 0).then_some(Problem {
            code: ErrorCode::NodeRefused,
            message: Message::NodeRevokedServes { tenants },
        });
    }
    let message = match worker.last_heard.map(|at| now.millis_since(at)) {
        None => Message::NodeNeverHeard,
        Some(silence) if silence > MAX_SILENCE_MILLIS => {
            let seconds = silence.unsigned_abs() / 1_000;
            Message::WorkerSilent { seconds }
        }
        Some(_) => return None,
    };
    Some(Problem {
        code: ErrorCode::NodeUnreachable,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::NodeId;

    fn worker() -> NodeRecord {
        NodeRecord {
            id: NodeId(2),
            name: "fra1".to_owned(),
            host: None,
            standing: NodeStanding::Open,
            tenants: 3,
            last_heard: Some(Timestamp(1_000_000)),
            version: None,
            certificate_expires: None,
        }
    }

    #[test]
    fn a_silent_worker_is_a_problem_after_a_minute() {
        let at = |millis: i64| worker_problem(&worker(), Timestamp(1_000_000 + millis));
        assert_eq!(at(60_000), None);
        let problem = at(90_500).unwrap();
        assert_eq!(problem.code, ErrorCode::NodeUnreachable);
        assert_eq!(problem.message, Message::WorkerSilent { seconds: 90 });
        // The clock of a control plane may be behind another's.
        assert_eq!(at(-5_000), None);
        let mut new = worker();
        new.last_heard = None;
        let problem = worker_problem(&new, Timestamp(0)).unwrap();
        assert_eq!(problem.message, Message::NodeNeverHeard);
    }

    #[test]
    fn a_revoked_worker_is_a_problem_with_tenants_only() {
        let mut revoked = worker();
        revoked.standing = NodeStanding::Revoked;
        let problem = worker_problem(&revoked, Timestamp(9_000_000)).unwrap();
        assert_eq!(problem.message, Message::NodeRevokedServes { tenants: 3 });
        revoked.tenants = 0;
        assert_eq!(worker_problem(&revoked, Timestamp(9_000_000)), None);
    }
}
