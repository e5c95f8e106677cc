//! Each operation of the API has a command: the dashboard and the panel could be deleted.

use crate::{account, server::Installation, successes, table, walk};
use std::collections::BTreeSet;

/// The operations that no command does, with the reason.
const WITHOUT: &[(&str, &str)] = &[
    (
        "published_login",
        "the former API's form of `account sign-in`",
    ),
    ("published_peers", "the former API's form of `device list`"),
    (
        "begin_passkey",
        "a passkey is made by the browser that keeps it",
    ),
    (
        "add_passkey",
        "a passkey is made by the browser that keeps it",
    ),
    ("sign_up", "a visitor's; an operator has `tenant create`"),
    ("check_name", "a visitor's; `tenant create` says it"),
    ("list_plans", "a visitor's; an operator has `plan list`"),
    ("get_sign_up", "a visitor's; an operator has `sign-up show`"),
    (
        "get_device",
        "`device show` takes it from `device list`, which finds it by its label",
    ),
    (
        "operator_get_node",
        "`node show` takes it from `node list`, which finds it by its name",
    ),
];

/// Returns whether a path is one of a template, e.g. `/v1/devices/{id}`.
fn is_of(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    path.clone().count() == template.clone().count()
        && path
            .zip(template)
            .all(|(part, of)| of.starts_with('{') || part == of)
}

/// Returns the operation of a request; a path without parameters comes first.
fn operation(method: &str, path: &str) -> Option<String> {
    let document = api::openapi();
    let all = document["paths"].as_object().unwrap();
    let mut fitting: Vec<_> = all.iter().filter(|(of, _)| is_of(path, of)).collect();
    fitting.sort_by_key(|(of, _)| of.matches('{').count());
    let found = fitting
        .iter()
        .find_map(|(_, item)| item[method.to_lowercase()]["operationId"].as_str());
    found.map(str::to_owned)
}

fn operations() -> BTreeSet<String> {
    let document = api::openapi();
    let items = document["paths"].as_object().unwrap().values();
    let all = items.flat_map(|item| item.as_object().unwrap().values().cloned());
    all.map(|o| o["operationId"].as_str().unwrap().to_owned())
        .collect()
}

/// Every operation is done to success, by the commands alone: a refused one does not count.
#[test]
fn every_operation_is_done_by_a_command() {
    let installation = Installation::new();
    let mut done = BTreeSet::new();
    let server = installation.serve();
    let token = account::operator_token(&installation, "admin", Some(&server.code()));
    walk(table::Way::Socket, |words| installation.run(words));
    account::walk_with_a_token(&installation, &token);
    account::follow_once(&installation);
    done.append(&mut server.done.lock().unwrap());
    // With mail and workers: without, the table's rows say that there are none.
    let installation = Installation::new();
    let (server, mails) = installation.serve_all();
    successes::walk(&installation, &server, &mails);
    done.append(&mut server.done.lock().unwrap());

    let called: BTreeSet<String> = done
        .iter()
        .filter_map(|(method, path)| operation(method, path))
        .collect();
    let all = operations();
    assert!(all.len() > 90, "{}", all.len());
    let named: BTreeSet<String> = WITHOUT.iter().map(|(id, _)| (*id).to_owned()).collect();
    let missing: Vec<_> = all.difference(&called).collect();
    let missing: Vec<_> = missing.iter().filter(|id| !named.contains(**id)).collect();
    assert!(missing.is_empty(), "no command does {missing:?}");
    let needless: Vec<_> = named.intersection(&called).collect();
    assert!(needless.is_empty(), "a command does {needless:?}");
    let unknown: Vec<_> = named.difference(&all).collect();
    assert!(unknown.is_empty(), "there is no operation {unknown:?}");
}
