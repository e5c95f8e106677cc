//! The two calls of the published design, which other programs already make. Their forms stay
//! as published: success and failure are told by `status`.

use crate::{
    http::{
        body::Body,
        client::Client,
        list,
        permission::token,
        problem::{Refusal, status},
    },
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{ApiGrant, Grant, ListForm, Peer};
use domain::{Access, Failure, Secret, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A tenant's name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedLogin {
    #[schema(example = "lina")]
    username: String,
    #[schema(format = Password)]
    password: String,
}

/// An access token.
#[derive(Serialize, ToSchema)]
pub struct PublishedToken {
    /// `success`.
    #[schema(example = "success")]
    status: &'static str,
    /// An access token, valid for 15 minutes.
    token: String,
}

/// A device, as its row is.
#[derive(Serialize, ToSchema)]
pub struct PublishedPeer<'a> {
    id: i64,
    user_id: i64,
    device_label: &'a str,
    vpn_ip: &'a str,
    public_key: &'a str,
    mesh_routing: bool,
    adguard_client_id: &'a str,
    dns_filtering_policy: &'a str,
    routing: &'a str,
    /// Milliseconds since 1970 (UTC).
    created_at: i64,
    /// Milliseconds since 1970 (UTC).
    last_handshake: Option<i64>,
    endpoint: Option<&'a str>,
    /// Bytes from the device.
    rx: u64,
    /// Bytes to the device.
    tx: u64,
}

impl<'a> PublishedPeer<'a> {
    fn new(peer: &'a Peer, user: TenantId) -> Self {
        let d = &peer.device;
        Self {
            id: d.id.0,
            user_id: user.0,
            device_label: &d.label,
            vpn_ip: &d.address,
            public_key: &d.public_key,
            mesh_routing: d.mesh,
            adguard_client_id: &peer.client_id,
            dns_filtering_policy: d.policy.as_str(),
            routing: d.routing.as_str(),
            created_at: d.created_at.0,
            last_handshake: d.last_handshake.map(|at| at.0),
            endpoint: d.endpoint.as_deref(),
            rx: d.up_bytes,
            tx: d.down_bytes,
        }
    }
}

/// A tenant's devices.
#[derive(Serialize, ToSchema)]
pub struct PublishedPeers<'a> {
    /// `success`.
    #[schema(example = "success")]
    status: &'static str,
    peers: Vec<PublishedPeer<'a>>,
}

/// Why a call failed.
#[derive(Serialize, ToSchema)]
pub struct PublishedError {
    /// `error`.
    #[schema(example = "error")]
    status: &'static str,
    message: String,
}

const SUCCESS: &str = "success";

/// Answers a call, its failure in the published form.
fn answer(result: Result<Response, Failure>, client: Client) -> Response {
    let mut response = match result {
        Ok(answer) => answer,
        Err(failure) => {
            let message = client.texts.failure(&failure);
            let error = PublishedError {
                status: "error",
                message,
            };
            (status(failure.code), Json(error)).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if response.status() == StatusCode::UNAUTHORIZED {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Sign in, as published
#[utoipa::path(
    post,
    path = "/api/auth/login",
    tag = "published",
    request_body = PublishedLogin,
    responses((status = 200, body = PublishedToken), (status = "default", body = PublishedError, description = "The call failed."))
)]
pub async fn published_login(
    State(state): State<ApiState>,
    client: Client,
    headers: HeaderMap,
    body: Result<Body<PublishedLogin>, Refusal>,
) -> Response {
    let token = async {
        let Body(login) = body.map_err(|Refusal(failure)| failure)?;
        let request = ApiGrant {
            grant: Grant::Tenant {
                name: login.username,
                password: Secret::new(login.password),
            },
            access: Access::Write,
            client: client.sign_in(&headers),
        };
        let tokens = state.control.auth().grant(request).await?.done()?;
        let token = PublishedToken {
            status: SUCCESS,
            token: tokens.access_token.expose().to_owned(),
        };
        Ok(Json(token).into_response())
    };
    answer(token.await, client)
}

/// Devices, as published
#[utoipa::path(
    get,
    path = "/api/peers",
    tag = "published",
    security(("bearer" = [])),
    responses((status = 200, body = PublishedPeers), (status = "default", body = PublishedError, description = "The call failed."))
)]
pub async fn published_peers(
    State(state): State<ApiState>,
    client: Client,
    headers: HeaderMap,
) -> Response {
    let peers = async {
        let auth = state.control.auth();
        let permission = auth.bearer_to_read(&token(&headers)?).await?;
        let scope = permission.tenant(Access::Read)?;
        let devices = state.control.devices();
        let peers = devices.peers_at(scope, permission.revision()).await?;
        let now = state.control.now();
        list::devices(&peers, ListForm::Published, now, || {
            let published = |peer| PublishedPeer::new(peer, scope.tenant());
            let all = peers.peers();
            let answer = PublishedPeers {
                status: SUCCESS,
                peers: all.iter().map(published).collect(),
            };
            // What it says of a device does not follow from the time.
            Ok((list::json(&answer, all.len())?, Timestamp(i64::MAX)))
        })
    };
    answer(peers.await, client)
}
