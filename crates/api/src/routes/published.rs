//! The two calls of the published design, which other programs already make. Their forms stay
//! as published: success and failure are told by `status`.

use crate::{
    http::{
        body::Body,
        client::Client,
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
use control::{ApiGrant, Grant, Peer};
use domain::{Access, Failure, Secret, TenantId};
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
pub struct PublishedPeer {
    id: i64,
    user_id: i64,
    device_label: String,
    vpn_ip: String,
    public_key: String,
    mesh_routing: bool,
    adguard_client_id: String,
    dns_filtering_policy: String,
    routing: String,
    /// Milliseconds since 1970 (UTC).
    created_at: i64,
    /// Milliseconds since 1970 (UTC).
    last_handshake: Option<i64>,
    endpoint: Option<String>,
    /// Bytes from the device.
    rx: u64,
    /// Bytes to the device.
    tx: u64,
}

impl PublishedPeer {
    fn new(peer: Peer, user: TenantId) -> Self {
        let d = peer.device;
        Self {
            id: d.id.0,
            user_id: user.0,
            device_label: d.label,
            vpn_ip: d.address,
            public_key: d.public_key,
            mesh_routing: d.mesh,
            adguard_client_id: peer.client_id,
            dns_filtering_policy: d.policy.to_string(),
            routing: d.routing.to_string(),
            created_at: d.created_at.0,
            last_handshake: d.last_handshake.map(|at| at.0),
            endpoint: d.endpoint,
            rx: d.up_bytes,
            tx: d.down_bytes,
        }
    }
}

/// A tenant's devices.
#[derive(Serialize, ToSchema)]
pub struct PublishedPeers {
    /// `success`.
    #[schema(example = "success")]
    status: &'static str,
    peers: Vec<PublishedPeer>,
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
fn answer<T: Serialize>(result: Result<T, Failure>, client: Client) -> Response {
    let mut response = match result {
        Ok(answer) => Json(answer).into_response(),
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
        Ok(PublishedToken {
            status: SUCCESS,
            token: tokens.access_token.expose().to_owned(),
        })
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
        let permission = state.control.auth().bearer(&token(&headers)?).await?;
        let scope = permission.tenant(Access::Read)?;
        let peers = state.control.devices();
        let peers = peers.peers_at(scope, permission.revision()).await?;
        let peers = peers.into_iter();
        Ok(PublishedPeers {
            status: SUCCESS,
            peers: peers
                .map(|peer| PublishedPeer::new(peer, scope.tenant()))
                .collect(),
        })
    };
    answer(peers.await, client)
}
