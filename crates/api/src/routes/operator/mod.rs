//! What an operator may do.

mod audit;
mod checks;
mod endpoint_names;
mod invitations;
mod live;
pub(super) mod logs;
mod mail;
mod moves;
mod new_tenant;
mod nodes;
mod operators;
mod overview;
mod plans;
mod reset;
mod sign_ups;
mod tenants;

use crate::state::ApiState;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Returns the operators' operations.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(overview::operator_overview))
        .routes(routes!(overview::operator_resources))
        .routes(routes!(checks::operator_checks))
        .routes(routes!(
            tenants::operator_list_tenants,
            new_tenant::operator_create_tenant
        ))
        .routes(routes!(
            tenants::operator_get_tenant,
            tenants::operator_change_tenant,
            tenants::operator_delete_tenant
        ))
        .routes(routes!(reset::operator_reset_link))
        .routes(routes!(
            plans::operator_list_plans,
            plans::operator_create_plan
        ))
        .routes(routes!(
            plans::operator_get_plan,
            plans::operator_change_plan,
            plans::operator_delete_plan
        ))
        .routes(routes!(plans::operator_preview_plan))
        .routes(routes!(nodes::operator_list_nodes))
        .routes(routes!(
            nodes::operator_get_node,
            nodes::operator_change_node,
            nodes::operator_remove_node
        ))
        .routes(routes!(nodes::operator_revoke_node))
        .routes(routes!(nodes::operator_create_join_token))
        .routes(routes!(endpoint_names::operator_check_endpoint_names))
        .routes(routes!(moves::operator_list_moves))
        .routes(routes!(
            moves::operator_move_tenant,
            moves::operator_cancel_move
        ))
        .routes(routes!(moves::operator_drain_node))
        .routes(routes!(moves::operator_lose_node))
        .routes(routes!(
            sign_ups::operator_get_sign_up,
            sign_ups::operator_set_sign_up
        ))
        .routes(routes!(
            sign_ups::operator_list_reserved_names,
            sign_ups::operator_reserve_names
        ))
        .routes(routes!(sign_ups::operator_release_name))
        .routes(routes!(
            invitations::operator_list_invitations,
            invitations::operator_create_invitations
        ))
        .routes(routes!(invitations::operator_revoke_invitation))
        .routes(routes!(
            operators::operator_list_operators,
            operators::operator_invite_operator
        ))
        .routes(routes!(
            operators::operator_change_operator,
            operators::operator_remove_operator
        ))
        .routes(routes!(operators::operator_reset_operator))
        .routes(routes!(audit::operator_audit))
        .routes(routes!(audit::operator_export_audit))
        .routes(routes!(mail::operator_list_mail))
        .routes(routes!(mail::operator_retry_mail))
        .routes(routes!(mail::operator_discard_mail))
        .routes(routes!(mail::operator_test_mail))
        .routes(routes!(logs::operator_events))
        .routes(routes!(live::operator_live))
}
