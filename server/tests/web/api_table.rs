//! Every operation of the REST interface with a well-formed request, made from its description
//! and from the bodies below. An operation without one here fails the test.

use crate::{api_client::Call, stack::PASSWORD};
use axum::http::Method;
use domain::OperatorRole;
use serde_json::{Value, json};

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Everyone, without a token.
    Anyone,
    /// A tenant and an operator, each for their own.
    Both,
    Tenant,
    Operator,
}

/// An operation with a request to it.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub call: Call,
    pub holder: Holder,
    /// Whether it names an object of its holder.
    pub names_object: bool,
    /// Whether a token may call it that may only read.
    pub reads: bool,
    /// The least role of an operator that may call it.
    pub role: OperatorRole,
}

/// The objects that requests name.
#[derive(Clone, Debug)]
pub struct Objects {
    /// A tenant's device.
    pub device: String,
    /// An API token.
    pub token: String,
    /// A session, as lists name it.
    pub session: String,
    /// A tenant's name.
    pub name: String,
    /// A tenant's id.
    pub tenant: String,
}

/// Returns the body or query of an operation.
fn input(id: &str, o: &Objects) -> Value {
    match id {
        "issue_token" => json!({ "grant": "password", "name": o.name, "password": "wrong" }),
        "sign_up" => {
            json!({ "name": "nadia", "password": "a good long pass phrase", "plan": "home" })
        }
        "published_login" => json!({ "username": o.name, "password": "wrong" }),
        "change_account" => json!({ "time_zone": "Europe/Berlin" }),
        "delete_account" => json!(format!("name={}", o.name)),
        "add_device" => json!({ "label": "planted", "mesh": true }),
        "change_device" => json!({
            "label": "changed", "policy": "off", "routing": "internet", "small_packets": true,
        }),
        "create_token" => json!({ "name": "planted", "access": "read", "days": 7 }),
        "operator_create_plan" | "operator_change_plan" | "operator_preview_plan" => {
            let id = if id == "operator_create_plan" {
                "extra"
            } else {
                "studio"
            };
            json!({
                "id": id, "name": "Extra", "devices": 7, "monthly_bytes": null,
                "down_bps": null, "up_bps": null, "at_limit": "slow", "slow_bps": 1_000_000,
                "month_day": 1, "recommended": false, "visible": true, "position": 9,
            })
        }
        "operator_set_sign_up" => json!({ "mode": "open" }),
        "operator_reserve_names" => json!({ "names": ["intranet"] }),
        "operator_create_invitations" => json!({ "uses": 2, "note": "planted" }),
        "operator_create_tenant" => {
            json!({ "name": "made-here", "password": PASSWORD, "plan": "home" })
        }
        "operator_change_tenant" => json!({ "plan": "home" }),
        "operator_delete_tenant" => json!(format!("name={}", o.name)),
        "operator_change_node" => json!({ "host": "planted.example" }),
        "operator_create_join_token" => json!({}),
        "operator_remove_node" => json!("name=worker-1"),
        "operator_invite_operator" => json!({ "name": "planted", "role": "owner" }),
        "operator_change_operator" => json!({ "role": "owner" }),
        "operator_reset_operator" => json!({ "without_factors": false }),
        "accept_operator_link" => {
            json!({ "token": "wrong", "name": "", "new_password": "a good long pass phrase" })
        }
        "operator_move_tenant" => json!({ "to": 2, "without_data": true }),
        "operator_drain_node" => json!({ "without_data": true }),
        "prove_presence" => json!({ "password": PASSWORD }),
        "change_password" => json!({ "password": PASSWORD, "new_password": PASSWORD }),
        "add_passkey" => json!({ "name": "planted", "answer": {} }),
        "rename_passkey" => json!({ "name": "planted" }),
        "confirm_totp" => json!({ "code": "000000" }),
        "recover" => json!({ "name": o.name, "code": "wrong", "new_password": PASSWORD }),
        "reset_password" => json!({ "token": "wrong", "new_password": PASSWORD }),
        "set_mail_address" => json!({ "mail": "lina@example.org" }),
        "set_mail_warnings" => json!({ "quota_warnings": false }),
        "verify_mail" => json!({ "token": "wrong" }),
        "forgot_password" => json!({ "name": o.name }),
        "operator_test_mail" => json!({ "mail": "ada@example.org" }),
        "operator_reset_link" => json!({ "without_factors": false }),
        "live" => json!("topic=devices"),
        "operator_live" => json!("topic=audit&recent=1"),
        _ => Value::Null,
    }
}

/// Returns which object a path names.
fn filled(path: &str, method: &Method, o: &Objects) -> String {
    let name = match path {
        // Who is invited by another row, and who is there.
        p if p.starts_with("/v1/operator/operators") && *method == Method::DELETE => "planted",
        p if p.starts_with("/v1/operator/operators") => "admin",
        // What another row reserves.
        p if p.starts_with("/v1/operator/reserved-names") => "intranet",
        _ => "free-name",
    };
    let id = match path {
        p if p.starts_with("/v1/operator/tenants") => &o.tenant,
        p if p.starts_with("/v1/operator/plans") => "studio",
        p if p.starts_with("/v1/operator/nodes") => "2",
        // The first mail of the outbox.
        p if p.starts_with("/v1/operator/mail") => "1",
        // What another row makes.
        p if p.starts_with("/v1/operator/invitations") => "1",
        p if p.starts_with("/v1/tokens") => &o.token,
        p if p.starts_with("/v1/account/sessions") => &o.session,
        _ => &o.device,
    };
    path.replace("{id}", id).replace("{name}", name)
}

/// Returns every operation.
pub fn operations(o: &Objects) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in api::openapi()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let method: Method = method.to_uppercase().parse().unwrap();
            let input = input(&id, o);
            let has_body = operation.get("requestBody").is_some();
            assert_eq!(
                input.is_object(),
                has_body,
                "add {id} to tests/web/api_table.rs"
            );
            let mut call = Call::new(method.clone(), &filled(path, &method, o));
            if has_body {
                call = call.body(input);
            } else if let Some(query) = input.as_str() {
                call.path += &format!("?{query}");
            }
            if id == "operator_change_plan" {
                call = call.with("if-match", "*");
            }
            let holder = match (operation.get("security"), id.as_str()) {
                (None, _) => Holder::Anyone,
                (_, "sign_out" | "whoami" | "get_status") => Holder::Both,
                _ if path.starts_with("/v1/tokens") => Holder::Both,
                _ if path.starts_with("/v1/account/") || id == "prove_presence" => Holder::Both,
                _ if path.starts_with("/v1/operator/") => Holder::Operator,
                _ => Holder::Tenant,
            };
            let secret = ["get_device_config", "get_device_qr"].contains(&id.as_str());
            let role = match id.as_str() {
                // Reads that are written as POST, too.
                "operator_preview_plan" | "operator_check_endpoint_names" => OperatorRole::ReadOnly,
                _ if method == Method::GET => OperatorRole::ReadOnly,
                "operator_create_tenant" | "operator_change_tenant" | "operator_reset_link" => {
                    OperatorRole::Support
                }
                "operator_create_invitations" | "operator_revoke_invitation" => {
                    OperatorRole::Support
                }
                "operator_retry_mail" => OperatorRole::Support,
                _ => OperatorRole::Owner,
            };
            all.push(Operation {
                role,
                names_object: path.contains("{id}"),
                reads: (method == Method::GET && !secret) || id == "sign_out",
                id,
                call,
                holder,
            });
        }
    }
    assert!(all.len() > 20, "{}", all.len());
    all
}
