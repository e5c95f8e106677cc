//! The operations, a file for each kind of object.

mod account;
mod choices;
mod devices;
mod dns;
mod events;
mod live;
mod operator;
mod plan;
mod problems;
mod published;
mod sign_up;
mod status;
mod time;
mod token;
mod tokens;
mod traffic;

use crate::state::ApiState;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Returns the operations that need a token.
pub fn granted() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(token::sign_out))
        .routes(routes!(token::whoami))
        .routes(routes!(
            account::get_account,
            account::change_account,
            account::delete_account
        ))
        .routes(routes!(devices::list_devices, devices::add_device))
        .routes(routes!(
            devices::get_device,
            devices::change_device,
            devices::delete_device
        ))
        .routes(routes!(devices::get_device_config))
        .routes(routes!(devices::get_device_qr))
        .routes(routes!(traffic::get_traffic))
        .routes(routes!(traffic::get_device_traffic))
        .routes(routes!(events::list_events))
        .routes(routes!(dns::get_dns))
        .routes(routes!(status::get_status))
        .routes(routes!(live::live))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::delete_token))
        .merge(operator::routes())
}

/// Returns the operations that need none.
pub fn open() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(token::issue_token))
        .routes(routes!(sign_up::sign_up))
        .routes(routes!(sign_up::check_name))
        .routes(routes!(plan::list_plans))
}

/// Returns the published calls.
pub fn published() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(published::published_login))
        .routes(routes!(published::published_peers))
}
