//! The part of AdGuard Home's HTTP API that we use (`openapi/openapi.yaml` of
//! v0.107.79). Every call is bounded: 1 s to connect, a timeout for the whole,
//! and a limit on the size of the response.

use crate::{
    clients::Change,
    lists::lock,
    names::{Rewrite, RewriteChange},
    policy::Object,
    responses,
};
use domain::{ErrorCode, Message, view::QueryCounts};
use provisioning::{
    ports::{PortError, PortResult},
    spec::DnsInstance,
};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect};
use serde_json::{Value, json};
use std::time::Duration;

/// Limit on the size of a response in bytes. 250 clients take about 250 kB.
const MAX_RESPONSE: usize = 8 << 20;

/// Timeout of a change. AdGuard Home writes its configuration each time.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of reading the block lists again, on a busy machine.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(60);

/// Timeout of a query. `observe` makes three, or four, within 2 s.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);

/// Timeout of the statistics. AdGuard Home reads them from the disk.
const STATS_TIMEOUT: Duration = Duration::from_secs(2);

/// The cause of a failed call.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("{path} got no response")]
    Transport {
        path: &'static str,
        #[source]
        source: reqwest::Error,
    },
    #[error("{path} was answered with {status}: {text}")]
    Status {
        path: &'static str,
        status: StatusCode,
        text: String,
    },
    #[error("{path} was answered in an unexpected form")]
    Decode {
        path: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path} was answered with more than {MAX_RESPONSE} bytes")]
    TooLong { path: &'static str },
}

/// The client for the APIs of all tenants' instances.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: Client,
    port: u16,
}

impl Api {
    /// Creates a client without proxy, redirects or cookies.
    ///
    /// # Errors
    /// `Internal` where TLS cannot be set up, although the API is plain HTTP.
    pub(crate) fn new(port: u16) -> PortResult<Self> {
        crate::tls::install_ring();
        let http = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(1))
            // One idle connection for each of up to a thousand instances.
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|e| PortError::because(ErrorCode::Internal, Message::HttpClientFailed, e))?;
        Ok(Self { http, port })
    }

    /// Returns whether DNS answers. Before that, most of the API returns 404.
    pub(crate) async fn running(&self, dns: &DnsInstance) -> PortResult<bool> {
        match self
            .get(dns, "status", responses::running, QUERY_TIMEOUT)
            .await
        {
            Ok(running) => Ok(running),
            Err(ApiError::Status { status, .. }) if status == StatusCode::NOT_FOUND => Ok(false),
            Err(e) => Err(port_error(e, dns)),
        }
    }

    /// Returns the persistent clients with all their fields.
    pub(crate) async fn clients(&self, dns: &DnsInstance) -> PortResult<Vec<Object>> {
        self.get(dns, "clients", responses::clients, QUERY_TIMEOUT)
            .await
            .map_err(|e| port_error(e, dns))
    }

    /// Makes one change of the clients.
    pub(crate) async fn change(&self, dns: &DnsInstance, change: &Change) -> PortResult<()> {
        let (path, body) = match change {
            Change::Add(data) => ("clients/add", json!(data)),
            Change::Update { name, data } => {
                ("clients/update", json!({"name": name, "data": data}))
            }
            Change::Delete(name) => ("clients/delete", json!({"name": name})),
        };
        self.post(dns, path, &body, CHANGE_TIMEOUT)
            .await
            .map_err(|e| port_error(e, dns))
    }

    /// Returns the rewrites.
    pub(crate) async fn rewrites(&self, dns: &DnsInstance) -> PortResult<Vec<Rewrite>> {
        self.get(dns, "rewrite/list", responses::rewrites, QUERY_TIMEOUT)
            .await
            .map_err(|e| port_error(e, dns))
    }

    /// Makes one change of the rewrites.
    pub(crate) async fn change_rewrites(
        &self,
        dns: &DnsInstance,
        change: &RewriteChange,
    ) -> PortResult<()> {
        let (path, rewrite) = match change {
            RewriteChange::Add(rewrite) => ("rewrite/add", rewrite),
            RewriteChange::Delete(rewrite) => ("rewrite/delete", rewrite),
        };
        self.post(dns, path, &json!(rewrite), CHANGE_TIMEOUT)
            .await
            .map_err(|e| port_error(e, dns))
    }

    /// Makes the instance read its block lists again.
    pub(crate) async fn refresh(&self, dns: &DnsInstance) -> PortResult<()> {
        let body = json!({"whitelist": false});
        self.post(dns, "filtering/refresh", &body, REFRESH_TIMEOUT)
            .await
            .map_err(|e| port_error(e, dns))
    }

    /// Returns whether a block list is on; `None` where the instance does not have it.
    pub(crate) async fn is_list_on(
        &self,
        dns: &DnsInstance,
        url: &str,
    ) -> PortResult<Option<bool>> {
        let lists = self
            .get(dns, "filtering/status", responses::lists, STATS_TIMEOUT)
            .await
            .map_err(|e| port_error(e, dns))?;
        Ok(lists.get(url).copied())
    }

    /// Adds a block list.
    pub(crate) async fn add_list(
        &self,
        dns: &DnsInstance,
        name: &str,
        url: &str,
    ) -> PortResult<()> {
        let body = json!({"name": name, "url": url, "whitelist": false});
        self.post(dns, "filtering/add_url", &body, REFRESH_TIMEOUT)
            .await
            .map_err(|e| port_error(e, dns))
    }

    /// Returns whether the rule that lets every name pass for devices without a filter is known
    /// to be in force: whether its mark is ([`lock::mark_rule`]). Without an answer it is not:
    /// such a device is then not filtered, and finds no names.
    pub(crate) async fn has_pass_rule(&self, dns: &DnsInstance) -> bool {
        let (path, query) = (
            "filtering/check_host",
            format!("?name={}", lock::mark_name()),
        );
        let rules = self
            .get_with(dns, path, &query, responses::rules_of_host, QUERY_TIMEOUT)
            .await;
        match rules {
            Ok(rules) => rules.contains(&lock::mark_rule()),
            Err(e) => {
                tracing::debug!(slot = %dns.slot, "whether the list for locked devices applies is unknown: {e}");
                false
            }
        }
    }

    /// Empties the query log.
    pub(crate) async fn clear_log(&self, dns: &DnsInstance) -> PortResult<()> {
        self.post_empty(dns, "querylog_clear").await
    }

    /// Empties the statistics.
    pub(crate) async fn clear_statistics(&self, dns: &DnsInstance) -> PortResult<()> {
        self.post_empty(dns, "stats_reset").await
    }

    /// Sends a POST without a body and so without a content type. Sends it once more if
    /// the connection ended before the response: an idle one may have been closed by
    /// the other side, and unlike a GET, a POST is not repeated by the HTTP client.
    async fn post_empty(&self, dns: &DnsInstance, path: &'static str) -> PortResult<()> {
        let send = || self.send(dns, Method::POST, path, None, CHANGE_TIMEOUT);
        let response = match send().await {
            Err(ApiError::Transport { source, .. })
                if !source.is_connect() && !source.is_timeout() =>
            {
                send().await
            }
            other => other,
        };
        response.map(drop).map_err(|e| port_error(e, dns))
    }

    /// Returns the query counts of the statistics' interval, 24 hours.
    pub(crate) async fn counts(&self, dns: &DnsInstance) -> PortResult<QueryCounts> {
        self.get(dns, "stats", responses::counts, STATS_TIMEOUT)
            .await
            .map_err(|e| port_error(e, dns))
    }

    async fn get<T>(
        &self,
        dns: &DnsInstance,
        path: &'static str,
        read: impl FnOnce(&[u8]) -> serde_json::Result<T>,
        timeout: Duration,
    ) -> Result<T, ApiError> {
        self.get_with(dns, path, "", read, timeout).await
    }

    async fn get_with<T>(
        &self,
        dns: &DnsInstance,
        path: &'static str,
        query: &str,
        read: impl FnOnce(&[u8]) -> serde_json::Result<T>,
        timeout: Duration,
    ) -> Result<T, ApiError> {
        let request = self.request(dns, Method::GET, path, query, timeout);
        let body = receive(path, request).await?;
        read(&body).map_err(|source| ApiError::Decode { path, source })
    }

    async fn post(
        &self,
        dns: &DnsInstance,
        path: &'static str,
        body: &Value,
        timeout: Duration,
    ) -> Result<(), ApiError> {
        self.send(dns, Method::POST, path, Some(body), timeout)
            .await
            .map(drop)
    }

    async fn send(
        &self,
        dns: &DnsInstance,
        method: Method,
        path: &'static str,
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<Vec<u8>, ApiError> {
        let mut request = self.request(dns, method, path, "", timeout);
        if let Some(body) = body {
            // Exactly this value: with a charset AdGuard Home answers 415.
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        receive(path, request).await
    }

    fn request(
        &self,
        dns: &DnsInstance,
        method: Method,
        path: &str,
        query: &str,
        timeout: Duration,
    ) -> RequestBuilder {
        let url = format!("http://{}:{}/control/{path}{query}", dns.address, self.port);
        self.http
            .request(method, url)
            .basic_auth(dns.user, Some(dns.password.expose()))
            .timeout(timeout)
    }
}

/// Sends a request and receives its response, if that is a success.
async fn receive(path: &'static str, request: RequestBuilder) -> Result<Vec<u8>, ApiError> {
    let transport = |source| ApiError::Transport { path, source };
    let mut response = request.send().await.map_err(transport)?;
    let mut received = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        received.extend_from_slice(&chunk);
        if received.len() > MAX_RESPONSE {
            return Err(ApiError::TooLong { path });
        }
    }
    let status = response.status();
    if status.is_success() {
        return Ok(received);
    }
    let text = String::from_utf8_lossy(&received);
    let text = text.trim().chars().take(200).collect();
    Err(ApiError::Status { path, status, text })
}

/// Returns the error for a failed call.
fn port_error(e: ApiError, dns: &DnsInstance) -> PortError {
    let message = match &e {
        ApiError::Status { status, .. }
            if *status == StatusCode::UNAUTHORIZED || *status == StatusCode::FORBIDDEN =>
        {
            let path = crate::files::config_path(dns);
            Message::AdguardPasswordRefused {
                path: path.display().to_string(),
            }
        }
        ApiError::Transport { source, .. } if source.is_connect() => Message::AdguardNotYet,
        ApiError::Transport { .. } => Message::AdguardSlow,
        _ => Message::AdguardRefused,
    };
    PortError::because(ErrorCode::DnsUnavailable, message, e)
}
