use super::*;
use std::collections::BTreeSet;

#[test]
fn every_code_is_one_message_in_kebab_case() {
    let mut seen = BTreeSet::new();
    for (code, _) in Message::ALL {
        assert!(seen.insert(code), "{code} is two messages");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(code.chars().all(plain), "{code}");
    }
}

#[test]
fn a_message_is_written_and_read_as_json() {
    let message = Message::MemoryUnmeasured {
        reason: Box::new(Message::MemoryReadTimedOut { seconds: 45 }),
    };
    let json = r#"{"code":"memory-unmeasured","args":{"reason":{"code":"memory-read-timed-out","args":{"seconds":45}}}}"#;
    assert_eq!(serde_json::to_string(&message).unwrap(), json);
    assert_eq!(serde_json::from_str::<Message>(json).unwrap(), message);
    let bare = r#"{"code":"not-found"}"#;
    assert_eq!(serde_json::to_string(&Message::NotFound).unwrap(), bare);
    assert_eq!(
        serde_json::from_str::<Message>(bare).unwrap(),
        Message::NotFound
    );
}

#[test]
fn a_log_reads_code_and_arguments() {
    let message = Message::MemoryUnmeasured {
        reason: Box::new(Message::MeminfoUnreadable {
            path: "/proc/meminfo".into(),
        }),
    };
    assert_eq!(
        message.to_string(),
        "memory-unmeasured reason=[meminfo-unreadable path=\"/proc/meminfo\"]"
    );
    let problem = ErrorCode::Busy;
    assert_eq!(
        Message::DnsNotReady { problem }.to_string(),
        "dns-not-ready problem=busy"
    );
}

#[test]
fn texts_are_cut_at_a_character_in_every_depth() {
    let long = Message::MemoryUnmeasured {
        reason: Box::new(Message::MeminfoUnreadable {
            path: "a\nbü".into(),
        }),
    };
    assert_eq!(
        long.cut(4),
        Message::MemoryUnmeasured {
            reason: Box::new(Message::MeminfoUnreadable { path: "a b".into() }),
        }
    );
}
