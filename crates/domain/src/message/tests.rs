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

#[test]
fn a_message_of_another_version_keeps_its_code() {
    let read = |json| serde_json::from_str::<Message>(json);
    let other = |code: &str| Message::OtherVersion { code: code.into() };
    for json in [
        r#"{"code":"moon-full"}"#,
        r#"{"code":"moon-full","args":{"phase":[1,2]},"more":true}"#,
    ] {
        assert_eq!(read(json).unwrap(), other("moon-full"));
    }
    // A version that gives it other arguments.
    let json = r#"{"code":"name-taken","args":{"names":["lina"]}}"#;
    assert_eq!(read(json).unwrap(), other("name-taken"));
    let json = r#"{"code":"name-taken","args":{"name":"lina","since":7}}"#;
    let name = "lina".to_owned();
    assert_eq!(read(json).unwrap(), Message::NameTaken { name });
    // What is within a message is read by itself.
    let json = r#"{"code":"memory-unmeasured","args":{"reason":{"code":"moon-full"}}}"#;
    let reason = Box::new(other("moon-full"));
    let unmeasured = Message::MemoryUnmeasured { reason };
    assert_eq!(read(json).unwrap(), unmeasured);
    // It is passed on and read again.
    let json = serde_json::to_string(&unmeasured).unwrap();
    assert_eq!(read(&json).unwrap(), unmeasured);
    for json in [r#"{"code":"Moon full."}"#, r#"{"code":7}"#, "{}", "[]", "7"] {
        assert!(read(json).is_err(), "{json}");
    }
}
