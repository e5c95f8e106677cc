//! Between an event and its row in the event log.

use domain::{Timestamp, view::EventCategory};
use protocol::EventKind;
use store::NewEvent;

/// Returns the row of an event.
pub(super) fn row(event: &EventKind, at: Timestamp) -> NewEvent {
    NewEvent {
        at,
        tenant: event.tenant().map(|t| (t.slot, t.name.clone())),
        kind: event.code(),
        detail: event.detail(),
    }
}

/// Returns the category of a row of that kind.
pub(super) fn category(kind: &str) -> EventCategory {
    match kind.split('.').collect::<Vec<_>>()[..] {
        ["drift", _] => EventCategory::Drift,
        // What stops a network is more than a limit that is near.
        [.., "failed"] | ["tenant", "move_failed"] | ["disk", "full" | "held"] => {
            EventCategory::Failed
        }
        [.., "back"] | ["quota", "reset"] => EventCategory::Recovered,
        ["quota" | "disk", _] => EventCategory::Limit,
        _ => EventCategory::Note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ErrorCode, Message};

    #[test]
    fn a_kind_has_its_category() {
        for kind in EventKind::TENANT_CODES {
            let expected = match kind {
                k if k.starts_with("drift.") => EventCategory::Drift,
                "disk.full" | "disk.held" => EventCategory::Failed,
                "disk.trimmed" | "disk.lists" | "quota.warned" | "quota.reached" => {
                    EventCategory::Limit
                }
                "tenant.moved" | "tenant.moved_with_data" => EventCategory::Note,
                "tenant.asleep" | "tenant.awake" => EventCategory::Note,
                "tenant.move_failed" => EventCategory::Failed,
                k if k.ends_with(".failed") => EventCategory::Failed,
                _ => EventCategory::Recovered,
            };
            assert_eq!(category(kind), expected, "{kind}");
        }
        let lost = row(&EventKind::EventsLost { count: 3 }, Timestamp(0));
        assert_eq!(category(&lost.kind), EventCategory::Note);
        let failed = EventKind::NodeFailed {
            code: ErrorCode::DockerUnavailable,
            problem: Message::DockerDown,
        };
        assert_eq!(category(&failed.code()), EventCategory::Failed);
        assert_eq!(category("<script>"), EventCategory::Note);
    }
}
