//! AdGuard Home's HTTP API (`openapi/openapi.yaml` of v0.107.79), as much of
//! it as we use. Every call ends: 1 s to connect, a budget for the whole, a
//! limit on what is read.

use crate::{answers, clients::Change, policy::Object};
use domain::{ErrorCode, view::QueryCounts};
use provisioning::{
    ports::{PortError, PortResult},
    spec::DnsInstance,
};
use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::{Value, json};
use std::time::Duration;

/// Most bytes read of an answer: 250 clients take about 250 kB.
const MAX_ANSWER: usize = 8 << 20;

/// Longest wait for a change: AdGuard Home writes its configuration each time.
const CHANGE: Duration = Duration::from_secs(5);

/// Longest wait for lists to be read again on a busy machine.
const REFRESH: Duration = Duration::from_secs(60);

/// Longest wait for a question. `observe` asks two within 2 s.
const ASK: Duration = Duration::from_secs(1);

/// Longest wait for statistics: they are gathered from the disk.
const STATS: Duration = Duration::from_secs(2);

/// Why a call failed, below the sentence.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("{path} was not answered")]
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
    #[error("{path} was answered with something else than expected")]
    Form {
        path: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path} was answered with more than {MAX_ANSWER} bytes")]
    TooLong { path: &'static str },
}

/// The API of all tenants' instances.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: Client,
    port: u16,
}

impl Api {
    /// A client without proxy, redirects or cookies.
    ///
    /// # Errors
    /// `Internal` where TLS cannot be set up, which plain HTTP does not need.
    pub(crate) fn new(port: u16) -> PortResult<Self> {
        crate::lists::use_ring();
        let http = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(1))
            // AdGuard Home's own pages do not keep a thousand of these open.
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|e| {
                PortError::because(ErrorCode::Internal, "The HTTP client cannot be made.", e)
            })?;
        Ok(Self { http, port })
    }

    /// Whether DNS answers. Before it does, most of the API is a 404.
    pub(crate) async fn running(&self, dns: &DnsInstance) -> PortResult<bool> {
        match self.get(dns, "status", answers::running, ASK).await {
            Ok(running) => Ok(running),
            Err(ApiError::Status { status, .. }) if status == StatusCode::NOT_FOUND => Ok(false),
            Err(e) => Err(told(e, dns)),
        }
    }

    /// The persistent clients, whole.
    pub(crate) async fn clients(&self, dns: &DnsInstance) -> PortResult<Vec<Object>> {
        self.get(dns, "clients", answers::clients, ASK)
            .await
            .map_err(|e| told(e, dns))
    }

    /// Carries out one change of the clients.
    pub(crate) async fn change(&self, dns: &DnsInstance, change: &Change) -> PortResult<()> {
        let (path, body) = match change {
            Change::Add(data) => ("clients/add", json!(data)),
            Change::Update { name, data } => {
                ("clients/update", json!({"name": name, "data": data}))
            }
            Change::Delete(name) => ("clients/delete", json!({"name": name})),
        };
        self.post(dns, path, &body, CHANGE)
            .await
            .map_err(|e| told(e, dns))
    }

    /// Has the lists read again.
    pub(crate) async fn refresh(&self, dns: &DnsInstance) -> PortResult<()> {
        let body = json!({"whitelist": false});
        self.post(dns, "filtering/refresh", &body, REFRESH)
            .await
            .map_err(|e| told(e, dns))
    }

    /// What was counted over the statistics' interval, 24 hours.
    pub(crate) async fn counts(&self, dns: &DnsInstance) -> PortResult<QueryCounts> {
        self.get(dns, "stats", answers::counts, STATS)
            .await
            .map_err(|e| told(e, dns))
    }

    async fn get<T>(
        &self,
        dns: &DnsInstance,
        path: &'static str,
        read: impl FnOnce(&[u8]) -> serde_json::Result<T>,
        budget: Duration,
    ) -> Result<T, ApiError> {
        let answer = self.send(dns, Method::GET, path, None, budget).await?;
        read(&answer).map_err(|source| ApiError::Form { path, source })
    }

    async fn post(
        &self,
        dns: &DnsInstance,
        path: &'static str,
        body: &Value,
        budget: Duration,
    ) -> Result<(), ApiError> {
        self.send(dns, Method::POST, path, Some(body), budget)
            .await
            .map(drop)
    }

    async fn send(
        &self,
        dns: &DnsInstance,
        method: Method,
        path: &'static str,
        body: Option<&Value>,
        budget: Duration,
    ) -> Result<Vec<u8>, ApiError> {
        let transport = |source| ApiError::Transport { path, source };
        let url = format!("http://{}:{}/control/{path}", dns.address, self.port);
        let mut request = self
            .http
            .request(method, url)
            .basic_auth(dns.user, Some(dns.password.expose()))
            .timeout(budget);
        if let Some(body) = body {
            // Exactly this: with a charset AdGuard Home answers 415.
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        let mut response = request.send().await.map_err(transport)?;
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            answer.extend_from_slice(&chunk);
            if answer.len() > MAX_ANSWER {
                return Err(ApiError::TooLong { path });
            }
        }
        let status = response.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = String::from_utf8_lossy(&answer);
        let text = text.trim().chars().take(200).collect();
        Err(ApiError::Status { path, status, text })
    }
}

/// A failed call in words.
fn told(e: ApiError, dns: &DnsInstance) -> PortError {
    let sentence = match &e {
        ApiError::Status { status, .. }
            if *status == StatusCode::UNAUTHORIZED || *status == StatusCode::FORBIDDEN =>
        {
            format!(
                "AdGuard Home does not take our password. Remove {} and the container; both are \
                 made anew.",
                crate::prepare::config_path(dns).display()
            )
        }
        ApiError::Transport { source, .. } if source.is_connect() => {
            "AdGuard Home does not answer yet.".to_owned()
        }
        ApiError::Transport { .. } => "AdGuard Home answers too slowly.".to_owned(),
        _ => "AdGuard Home refused what it was asked; it will be asked again.".to_owned(),
    };
    PortError::because(ErrorCode::DnsUnavailable, sentence, e)
}
