//! Every code has a message in English, every argument is used, and nothing is
//! left over; every other language has no id and no argument that English
//! lacks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use domain::{ErrorCode, Problem, Slot, TenantName, message::Message};
use fluent_syntax::{
    ast::{Entry, Expression, InlineExpression, Pattern, PatternElement},
    parser,
};
use protocol::{DriftKind, EventKind, EventTenant};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Returns the id of a code in a family of entries.
fn id(family: &str, code: &str) -> String {
    format!("{family}{}", code.replace(['.', '_'], "-"))
}

type Entries = BTreeMap<String, BTreeSet<String>>;

fn locales() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("locales")
}

/// Collects the ids of a language's folder with the variables each uses.
fn entries(folder: &Path) -> Entries {
    let mut found = Entries::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let resource = parser::parse(text.as_str())
            .unwrap_or_else(|(_, errors)| panic!("{}: {errors:?}", path.display()));
        for entry in resource.body {
            let Entry::Message(message) = entry else {
                continue;
            };
            let mut variables = BTreeSet::new();
            pattern(
                message.value.as_ref().expect("a message has a value"),
                &mut variables,
            );
            let id = message.id.name.to_owned();
            assert!(
                found.insert(id.clone(), variables).is_none(),
                "{id} is defined twice"
            );
        }
    }
    found
}

fn pattern(p: &Pattern<&str>, variables: &mut BTreeSet<String>) {
    for element in &p.elements {
        if let PatternElement::Placeable { expression } = element {
            of_expression(expression, variables);
        }
    }
}

fn of_expression(e: &Expression<&str>, variables: &mut BTreeSet<String>) {
    match e {
        Expression::Select { selector, variants } => {
            inline(selector, variables);
            variants.iter().for_each(|v| pattern(&v.value, variables));
        }
        Expression::Inline(e) => inline(e, variables),
    }
}

fn inline(e: &InlineExpression<&str>, variables: &mut BTreeSet<String>) {
    match e {
        InlineExpression::VariableReference { id } => {
            variables.insert(id.name.to_owned());
        }
        InlineExpression::Placeable { expression } => of_expression(expression, variables),
        InlineExpression::FunctionReference { arguments, .. } => {
            arguments
                .positional
                .iter()
                .for_each(|a| inline(a, variables));
        }
        _ => {}
    }
}

#[test]
fn every_code_has_a_message_that_uses_every_argument() {
    let english = entries(&locales().join("en"));
    for (code, args) in Message::ALL {
        let variables = english
            .get(*code)
            .unwrap_or_else(|| panic!("{code} has no message"));
        let args: BTreeSet<String> = args.iter().map(|a| (*a).to_owned()).collect();
        assert_eq!(*variables, args, "{code}");
    }
}

#[test]
fn every_error_code_has_a_general_message() {
    let english = entries(&locales().join("en"));
    let mut seen = BTreeSet::new();
    for code in ErrorCode::ALL {
        let text = texts::english().code(*code);
        assert!(english.contains_key(&id("code-", code.as_str())), "{code}");
        assert!(text.ends_with('.'), "{code}: {text}");
        assert!(seen.insert(text), "{code} has another's message");
    }
}

#[test]
fn every_event_of_a_tenant_has_its_message() {
    let english = entries(&locales().join("en"));
    let mut seen = BTreeSet::new();
    for kind in EventKind::TENANT_CODES {
        let text = texts::english().tenant_event(kind);
        assert!(english.contains_key(&id("tenant-event-", kind)), "{kind}");
        assert!(
            text.starts_with("Your ") || text.contains("your "),
            "{text}"
        );
        assert!(text.ends_with('.'), "{text}");
        assert!(seen.insert(text), "{kind} has another's message");
    }
    let other = texts::english().tenant_event("<script>");
    assert!(!other.contains("script") && !seen.contains(&other));
}

#[test]
fn every_entry_belongs_to_a_code() {
    let codes = Message::ALL.iter().map(|(code, _)| (*code).to_owned());
    let general = ErrorCode::ALL.iter().map(|c| id("code-", c.as_str()));
    let problems = ErrorCode::ALL.iter().map(|c| id("tenant-", c.as_str()));
    let events = EventKind::TENANT_CODES.iter();
    let events = events.map(|kind| id("tenant-event-", kind));
    let others = ["tenant-other", "tenant-event-other"].map(str::to_owned);
    let codes: BTreeSet<String> = codes.collect();
    let bare: BTreeSet<String> = general
        .chain(problems)
        .chain(events)
        .chain(others)
        .collect();
    for (id, variables) in entries(&locales().join("en")) {
        assert!(
            bare.contains(&id) || codes.contains(&id),
            "{id} belongs to nothing"
        );
        assert!(
            !bare.contains(&id) || variables.is_empty(),
            "{id} gets no arguments"
        );
    }
}

#[test]
fn a_tenant_reads_no_argument_of_a_problem() {
    for code in ErrorCode::ALL {
        let message = Message::ContainerNotStarted {
            name: "adguard_user_lina".into(),
        };
        let problem = Problem {
            code: *code,
            message,
        };
        let read = texts::english().tenant_problem(&problem);
        assert_eq!(read.code, *code);
        assert!(read.message.ends_with('.'), "{}", read.message);
        for secret in ["adguard_user", "docker logs", "/", "`"] {
            assert!(!read.message.contains(secret), "{}", read.message);
        }
    }
    let not_ready = Message::DnsNotReady {
        problem: ErrorCode::ImageMissing,
    };
    assert_eq!(
        texts::english().message(&not_ready),
        "Waiting for the AdGuard Home image; until then your devices use plain DNS."
    );
}

#[test]
fn arguments_are_inserted_as_they_are() {
    let english = texts::english();
    let taken = Message::UdpPortTaken {
        port: 51_823,
        interface: "wg3".into(),
    };
    assert_eq!(
        english.message(&taken),
        "UDP port 51823 of wg3 is held by another program. `ss -lunp sport = :51823` shows \
         which; stop it, and MalikNode goes on by itself."
    );
    let odd = Message::NameTaken {
        name: "{ $name } <b>\u{202e}".into(),
    };
    assert_eq!(
        english.message(&odd),
        "“{ $name } <b>\u{202e}” is taken. Choose another name."
    );
    let nested = Message::ImageNotPulled {
        image: "a/b:1".into(),
        reason: Box::new(Message::PullUnreachable),
    };
    assert_eq!(
        english.message(&nested),
        "The AdGuard Home image cannot be pulled (the image registry is not reachable): run \
         `./dev image`, or `docker pull a/b:1`."
    );
}

#[test]
fn a_drift_is_a_sentence() {
    let name = TenantName::parse("alice").unwrap();
    let slot = Slot::FIRST;
    let tenant = Some(EventTenant { slot, name });
    let drift = DriftKind::KeyChanged;
    let event = EventKind::Drift { tenant, drift };
    assert_eq!(
        texts::english().message(&event.message()),
        "wg1 of alice had another key; it gets its own back."
    );
    let drift = DriftKind::RulesGone;
    let of_node = EventKind::Drift {
        tenant: None,
        drift,
    };
    let text = texts::english().message(&of_node.message());
    assert!(text.starts_with("The firewall's table was gone"), "{text}");
}

#[test]
fn a_count_of_one_has_its_own_form() {
    let render = |seconds| texts::english().message(&Message::TooManyTries { seconds });
    assert_eq!(render(1), "Too many tries. Try again in 1 second.");
    assert_eq!(render(60), "Too many tries. Try again in 60 seconds.");
}

#[test]
fn other_languages_add_nothing_to_english() {
    let english = entries(&locales().join("en"));
    for folder in fs::read_dir(locales()).unwrap() {
        let folder = folder.unwrap().path();
        for (id, variables) in entries(&folder) {
            let known = english
                .get(&id)
                .unwrap_or_else(|| panic!("{}: {id}", folder.display()));
            assert!(variables.is_subset(known), "{}: {id}", folder.display());
        }
    }
}

#[test]
fn a_header_of_any_form_gets_a_language() {
    for header in [
        "",
        "en",
        "de-CH;q=0.9,xx",
        ";;;q=,",
        "en;q=NaN",
        "en;q=-1",
        "\u{0}",
        &"a,".repeat(9999),
    ] {
        assert_eq!(
            texts::preferred(header).language().to_string(),
            "en",
            "{header:?}"
        );
    }
}
