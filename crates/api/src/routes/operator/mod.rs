//! What an operator may do.

mod logs;
mod nodes;
mod overview;
mod plans;
mod tenants;

use crate::state::ApiState;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Returns the operators' operations.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(overview::operator_overview))
        .routes(routes!(overview::operator_resources))
        .routes(routes!(tenants::operator_list_tenants))
        .routes(routes!(
            tenants::operator_get_tenant,
            tenants::operator_change_tenant,
            tenants::operator_delete_tenant
        ))
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
        .routes(routes!(logs::operator_audit))
        .routes(routes!(logs::operator_events))
}
