//! What pages can do, programs can do: each server function and each route of pages that changes
//! something has an operation of the REST interface, or a reason why it needs none.

use crate::stack::Stack;
use std::collections::BTreeSet;

/// What does the same in the REST interface.
#[derive(Clone, Copy, Debug)]
enum Equivalent {
    /// The operation with this id.
    Operation(&'static str),
    /// Nothing, and why.
    None(&'static str),
}

use Equivalent::{None as Nothing, Operation};

/// Each act of a page, by its path.
const ACTS: &[(&str, Equivalent)] = &[
    ("/do/add_passkey", Operation("add_passkey")),
    (
        "/do/accept_operator_link",
        Operation("accept_operator_link"),
    ),
    ("/do/add_device", Operation("add_device")),
    (
        "/do/look_in",
        Nothing("a program names the tenant in each request"),
    ),
    (
        "/do/allow_look_changes",
        Nothing("what a program may change is its operator's role"),
    ),
    ("/do/change_device", Operation("change_device")),
    ("/do/change_password", Operation("change_password")),
    ("/do/change_plan", Operation("operator_change_plan")),
    ("/do/check_name", Operation("check_name")),
    ("/do/confirm_two_step", Operation("confirm_totp")),
    ("/do/create_api_token", Operation("create_token")),
    (
        "/do/create_invitation",
        Operation("operator_create_invitations"),
    ),
    (
        "/do/create_join_token",
        Operation("operator_create_join_token"),
    ),
    ("/do/create_plan", Operation("operator_create_plan")),
    ("/do/delete_account", Operation("delete_account")),
    ("/do/delete_api_token", Operation("delete_token")),
    ("/do/delete_device", Operation("delete_device")),
    ("/do/delete_plan", Operation("operator_delete_plan")),
    ("/do/drain_node", Operation("operator_drain_node")),
    ("/do/end_other_sessions", Operation("end_other_sessions")),
    ("/do/end_session", Operation("end_session")),
    ("/do/forgot_password", Operation("forgot_password")),
    ("/do/remove_mail_address", Operation("remove_mail_address")),
    ("/do/set_mail_address", Operation("set_mail_address")),
    ("/do/set_mail_warnings", Operation("set_mail_warnings")),
    ("/do/verify_mail", Operation("verify_mail")),
    ("/do/retry_mail", Operation("operator_retry_mail")),
    ("/do/discard_mail", Operation("operator_discard_mail")),
    ("/do/invite_operator", Operation("operator_invite_operator")),
    ("/do/lose_node", Operation("operator_lose_node")),
    ("/do/make_recovery_codes", Operation("make_recovery_codes")),
    ("/do/make_reset_link", Operation("operator_reset_link")),
    ("/do/new_device_key", Operation("make_device_keys")),
    ("/do/open_node", Operation("operator_change_node")),
    (
        "/do/operator_delete_tenant",
        Operation("operator_delete_tenant"),
    ),
    ("/do/passkey_options", Operation("begin_passkey")),
    (
        "/do/passkey_sign_in",
        Nothing("a passkey signs in where a browser asks for it: at the account's own host"),
    ),
    ("/do/prove_presence", Operation("prove_presence")),
    (
        "/do/prove_presence_by_passkey",
        Nothing("a browser asks for the passkey at the account's own host"),
    ),
    ("/do/recover", Operation("recover")),
    (
        "/do/recovery_codes_saved",
        Nothing("a page ends showing them; a program has them in an answer"),
    ),
    ("/do/release_name", Operation("operator_release_name")),
    ("/do/remove_node", Operation("operator_remove_node")),
    ("/do/remove_operator", Operation("operator_remove_operator")),
    ("/do/remove_passkey", Operation("remove_passkey")),
    ("/do/remove_two_step", Operation("remove_totp")),
    ("/do/rename_passkey", Operation("rename_passkey")),
    ("/do/reserve_names", Operation("operator_reserve_names")),
    ("/do/reset_password", Operation("reset_password")),
    (
        "/do/revoke_invitation",
        Operation("operator_revoke_invitation"),
    ),
    ("/do/revoke_node", Operation("operator_revoke_node")),
    ("/do/second_step", Operation("issue_token")),
    ("/do/set_device", Operation("change_device")),
    ("/do/set_node_host", Operation("operator_change_node")),
    (
        "/do/set_operator_role",
        Operation("operator_change_operator"),
    ),
    ("/do/set_sign_up_mode", Operation("operator_set_sign_up")),
    ("/do/set_tenant_plan", Operation("operator_change_tenant")),
    ("/do/set_time_zone", Operation("change_account")),
    ("/do/sign_in", Operation("issue_token")),
    ("/do/sign_up", Operation("sign_up")),
    ("/do/suspend_tenant", Operation("operator_change_tenant")),
    ("/operator/sign-in", Operation("issue_token")),
    ("/operator/sign-in/code", Operation("issue_token")),
    (
        "/operator/sign-in/passkey",
        Nothing("a passkey signs in where a browser asks for it: at the operators' host"),
    ),
    ("/sign-out", Operation("sign_out")),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_act_of_a_page_has_an_operation() {
    let s = Stack::new().await;
    let routes = s.web.routes.iter();
    let mut acts: BTreeSet<String> = routes
        .filter(|(method, _)| *method != "GET")
        .map(|(_, path)| (*path).to_owned())
        .collect();
    acts.extend(leptos::server_fn::axum::server_fn_paths().map(|(path, _)| path.to_owned()));
    let known: BTreeSet<String> = ACTS.iter().map(|(path, _)| (*path).to_owned()).collect();
    let missing: Vec<_> = acts.difference(&known).collect();
    let removed: Vec<_> = known.difference(&acts).collect();
    assert!(
        missing.is_empty(),
        "add these to tests/web/api_acts.rs with their operations: {missing:?}"
    );
    assert!(
        removed.is_empty(),
        "these are no longer served: {removed:?}"
    );
    let mut operations = BTreeSet::new();
    for (_, item) in api::openapi()["paths"].as_object().unwrap() {
        let ids = item.as_object().unwrap().values();
        operations.extend(ids.map(|o| o["operationId"].as_str().unwrap()));
    }
    for (path, equivalent) in ACTS {
        match equivalent {
            Operation(id) => assert!(operations.contains(id), "{path}: there is no {id}"),
            Nothing(reason) => assert!(reason.len() > 10, "{path}"),
        }
    }
}
