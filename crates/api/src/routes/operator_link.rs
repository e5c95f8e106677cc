//! The link by which an operator chooses a password. It needs no token: the link is one.

use super::problems::Problems;
use crate::{
    http::{body::Body, client::Client, problem::Refusal},
    state::ApiState,
};
use axum::{Json, extract::State};
use domain::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A password for the token of an operator's link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkToAccept {
    /// What the link has after `token=`.
    #[schema(format = Password)]
    token: String,
    /// What the first operator is called; others are called as they were invited.
    #[serde(default)]
    #[schema(example = "ada")]
    name: String,
    #[schema(format = Password)]
    new_password: String,
}

/// The operator of a link.
#[derive(Serialize, ToSchema)]
pub struct AcceptedLink {
    /// The name, with which to sign in.
    name: String,
}

/// Use an operator's link
///
/// It works once.
#[utoipa::path(
    post,
    path = "/v1/auth/operator-link",
    tag = "access",
    request_body = LinkToAccept,
    responses((status = 200, body = AcceptedLink), Problems)
)]
pub async fn accept_operator_link(
    State(state): State<ApiState>,
    client: Client,
    Body(link): Body<LinkToAccept>,
) -> Result<Json<AcceptedLink>, Refusal> {
    let (token, password) = (Secret::new(link.token), Secret::new(link.new_password));
    let operators = state.control.operators();
    let accepted = operators.accept(&token, &link.name, &password, client.address);
    let name = accepted.await?;
    Ok(Json(AcceptedLink { name }))
}
