//! The operations, a file for each kind of object.

mod account;
mod account_security;
mod audit;
mod choices;
mod devices;
mod dns;
mod events;
mod live;
mod log_stream;
mod mail;
mod operator;
mod operator_link;
mod passkeys;
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
        .routes(routes!(account_security::get_security))
        .routes(routes!(account_security::list_activity))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::export_audit))
        .routes(routes!(account_security::list_sessions))
        .routes(routes!(account_security::end_session))
        .routes(routes!(account_security::end_other_sessions))
        .routes(routes!(account_security::change_password))
        .routes(routes!(
            account_security::begin_totp,
            account_security::confirm_totp,
            account_security::remove_totp
        ))
        .routes(routes!(passkeys::list_passkeys, passkeys::add_passkey))
        .routes(routes!(passkeys::begin_passkey))
        .routes(routes!(passkeys::rename_passkey, passkeys::remove_passkey))
        .routes(routes!(account_security::make_recovery_codes))
        .routes(routes!(account_security::prove_presence))
        .routes(routes!(
            mail::get_mail_address,
            mail::set_mail_address,
            mail::remove_mail_address
        ))
        .routes(routes!(mail::set_mail_warnings))
        .routes(routes!(devices::list_devices, devices::add_device))
        .routes(routes!(
            devices::get_device,
            devices::change_device,
            devices::delete_device
        ))
        .routes(routes!(devices::get_device_config))
        .routes(routes!(devices::get_device_qr))
        .routes(routes!(devices::make_device_keys))
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
        .routes(routes!(account_security::recover))
        .routes(routes!(account_security::reset_password))
        .routes(routes!(mail::forgot_password))
        .routes(routes!(mail::verify_mail))
        .routes(routes!(operator_link::accept_operator_link))
        .routes(routes!(sign_up::sign_up))
        .routes(routes!(sign_up::get_sign_up))
        .routes(routes!(sign_up::check_name))
        .routes(routes!(plan::list_plans))
}

/// Returns the published calls.
pub fn published() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(published::published_login))
        .routes(routes!(published::published_peers))
}
