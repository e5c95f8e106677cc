use super::*;

#[test]
fn usual_addresses_are_accepted() {
    for (text, expected) in [
        ("lina@example.org", "lina@example.org"),
        ("  l.i+n_a@Mail.Example.ORG ", "l.i+n_a@mail.example.org"),
        (
            "o'hara@xn--bcher-kva.example",
            "o'hara@xn--bcher-kva.example",
        ),
        ("root@localhost", "root@localhost"),
    ] {
        assert_eq!(MailAddress::parse(text).unwrap().as_str(), expected);
    }
    assert_eq!(MailAddress::parse("a@B.c").unwrap().domain(), "b.c");
}

#[test]
fn no_address_is_another_header_or_recipient() {
    for text in [
        "",
        "lina",
        "@example.org",
        "lina@",
        "lina@@example.org",
        "a@b@example.org",
        "lina@example.org\r\nBcc: all@example.org",
        "lina\n@example.org",
        "lina@example.org, all@example.org",
        "<lina@example.org>",
        "Lina <lina@example.org>",
        "\"a b\"@example.org",
        "a b@example.org",
        ".a@example.org",
        "a..b@example.org",
        "a@-example.org",
        "a@example..org",
        "a@[192.0.2.1]",
        "a\0@example.org",
        "a@example.org\u{0}",
    ] {
        let refused = MailAddress::parse(text).unwrap_err();
        assert_eq!(refused.code, ErrorCode::MailAddressMalformed, "{text:?}");
        assert_eq!(refused.message, Message::MailAddressMalformed, "{text:?}");
        assert_eq!(refused.field, Some(Field::Mail));
    }
    let long = format!("{}@example.org", "a".repeat(65));
    assert!(MailAddress::parse(&long).is_err());
}

#[test]
fn other_letters_and_long_addresses_have_their_own_messages() {
    for text in [
        "lina@bücher.example",
        "лина@example.org",
        "lina@example\u{3002}org",
    ] {
        let refused = MailAddress::parse(text).unwrap_err();
        assert_eq!(refused.message, Message::MailAddressNotAscii, "{text}");
    }
    let long = format!("a@{}", "b.".repeat(200));
    let refused = MailAddress::parse(&long).unwrap_err();
    assert_eq!(refused.message, Message::MailAddressTooLong { most: 254 });
}

#[test]
fn a_content_is_written_and_read_as_json() {
    let content = MailContent::Change {
        change: AccountChange::FactorAdded,
        origin: "192.0.2.1".into(),
    };
    let json = r#"{"kind":"change","change":"factor-added","origin":"192.0.2.1"}"#;
    assert_eq!(serde_json::to_string(&content).unwrap(), json);
    assert_eq!(serde_json::from_str::<MailContent>(json).unwrap(), content);
    let reset = serde_json::to_string(&MailContent::Reset).unwrap();
    assert_eq!(reset, r#"{"kind":"reset"}"#);
}

#[test]
fn a_kind_is_the_name_in_json() {
    let origin = String::new;
    for content in [
        MailContent::Verify,
        MailContent::Reset,
        MailContent::AddressChange { to: None },
        MailContent::SignIn {
            client: origin(),
            origin: origin(),
        },
        MailContent::Change {
            change: AccountChange::Password,
            origin: origin(),
        },
        MailContent::QuotaWarned { percent: 80 },
        MailContent::QuotaReached,
        MailContent::Test,
    ] {
        let json = serde_json::to_value(&content).unwrap();
        assert_eq!(json["kind"], content.kind());
        assert_eq!(content.messages("lina").before.len(), 1);
    }
}
