//! A server that runs: on this machine by its socket, where the kernel says who asks, or
//! anywhere by its address, with a token.

use super::{
    failure::CallError,
    request::{MAX_ANSWER, Raw, Request},
};
use axum::http::{HeaderValue, header};
use domain::Secret;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, Url, redirect};
use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};
use tokio::net::UnixStream;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for an answer. The server gives up after 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time that a stream is read: ten years.
const STREAM_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A server.
pub(super) struct Server {
    /// The server, as the person calls it.
    pub name: String,
    client: Client,
    base: Url,
    token: Option<Secret>,
}

/// What a socket is.
pub(super) enum Socket {
    Served(Server),
    /// No server has it, or none any more.
    Dead,
}

impl Server {
    /// Connects to the server on this machine, with a token as its holder.
    ///
    /// # Errors
    /// The socket is closed to this user, or connecting to it fails.
    pub async fn at_socket(path: &Path, token: Option<&Secret>) -> Result<Socket, CallError> {
        let shown = path.display().to_string();
        match UnixStream::connect(path).await {
            Ok(_) => {}
            Err(e) if is_dead(&e) => return Ok(Socket::Dead),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                return Err(CallError::Closed { path: shown });
            }
            Err(e) => {
                return Err(CallError::Unreachable {
                    server: shown,
                    reason: e.to_string(),
                });
            }
        }
        let base = Url::parse("http://localhost");
        let base = base.map_err(|e| CallError::Failed(e.to_string()))?;
        Ok(Socket::Served(Self {
            name: format!("the server at {shown}"),
            client: build(builder().unix_socket(path).no_proxy())?,
            base,
            token: token.cloned(),
        }))
    }

    /// Prepares calls of a server anywhere; without a token, those alone that need none.
    ///
    /// # Errors
    /// It is no address, or what is secret would be readable on the way.
    pub fn at(address: &str, token: Option<Secret>) -> Result<Self, CallError> {
        let usage = |why: &str| {
            CallError::Usage(format!(
                "--server {address}: {why}; write e.g. https://api.example.org"
            ))
        };
        let base = Url::parse(address).map_err(|e| usage(&e.to_string()))?;
        let host = base.host_str().unwrap_or_default().to_owned();
        let is_local = is_loopback(&host);
        match base.scheme() {
            "https" => {}
            "http" if is_local => {}
            "http" => return Err(usage("the token would be readable on the way")),
            _ => return Err(usage("it is neither https nor http")),
        }
        if host.is_empty() || base.path() != "/" || base.query().is_some() || has_password(&base) {
            return Err(usage("it is more than a host and a port"));
        }
        let mut client = builder();
        if is_local {
            client = client.no_proxy();
        }
        if host.ends_with(".localhost") {
            // RFC 6761, 6.3: whatever the resolver says.
            let loopback = [
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ];
            let addresses = loopback.map(|ip| SocketAddr::new(ip, 0));
            client = client.resolve_to_addrs(&host, &addresses);
        }
        Ok(Self {
            name: address.trim_end_matches('/').to_owned(),
            client: build(client)?,
            base,
            token,
        })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// It cannot be reached, or its answer is too large or breaks off.
    pub async fn send(&self, request: Request) -> Result<Raw, CallError> {
        let call = self.prepare(request)?;
        let mut answer = call.send().await.map_err(|e| self.unreachable(&e))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.unreachable(&e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(CallError::Nonsense {
                    server: self.name.clone(),
                    reason: "its answer does not end".to_owned(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, body))
    }

    /// Sends a request whose answer is read as it comes, however long that takes.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn begin(&self, request: Request) -> Result<Response, CallError> {
        let call = self.prepare(request)?.timeout(STREAM_TIMEOUT);
        call.send().await.map_err(|e| self.unreachable(&e))
    }

    fn prepare(&self, request: Request) -> Result<RequestBuilder, CallError> {
        let mut url = self.base.clone();
        url.set_path(&request.path);
        url.set_query(Some(request.query.as_str()).filter(|q| !q.is_empty()));
        let mut call = self.client.request(request.method, url);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if let Some(token) = &self.token {
            call = call.header(header::AUTHORIZATION, bearer(token)?);
        }
        if let Some(body) = request.body {
            call = call.header(header::CONTENT_TYPE, "application/json");
            call = call.body(body);
        }
        Ok(call)
    }

    /// Says that the server cannot be reached, and why.
    pub fn unreachable(&self, e: &reqwest::Error) -> CallError {
        let mut reason = match e.is_timeout() {
            true => "no answer in time".to_owned(),
            false => String::new(),
        };
        // The last cause is the one that a person can do something about.
        let mut cause = e.source();
        while let Some(e) = cause {
            if !e.to_string().is_empty() && !reason.starts_with("no answer") {
                reason = e.to_string();
            }
            cause = e.source();
        }
        if reason.is_empty() {
            reason = "the connection broke off".to_owned();
        }
        CallError::Unreachable {
            server: self.name.clone(),
            reason,
        }
    }
}

/// Returns the header field of a token.
///
/// # Errors
/// It has other characters than a header field may have.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, CallError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| CallError::Usage("this is no token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns whether no server has the socket: there is none, or the one that made it has ended.
fn is_dead(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback || host == "localhost" || host.ends_with(".localhost")
}

fn has_password(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn builder() -> ClientBuilder {
    // The provider that the whole program uses; it may be installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("maliknode/", env!("CARGO_PKG_VERSION")))
        // A redirect would take the token to another server.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
}

fn build(builder: ClientBuilder) -> Result<Client, CallError> {
    builder
        .build()
        .map_err(|e| CallError::Failed(format!("TLS cannot be set up: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::failure::Exit;

    #[test]
    fn an_address_is_a_host_and_a_port_and_keeps_the_token_secret() {
        let at = |address: &str| Server::at(address, Some(Secret::new("mnt_1_x")));
        for address in [
            "https://api.example.org",
            "https://api.example.org:8443/",
            "http://api.localhost:8085",
            "http://127.0.0.1:8085",
            "http://[::1]:8085",
        ] {
            assert!(at(address).is_ok(), "{address}");
        }
        for address in [
            "",
            "api.example.org",
            "http://api.example.org",
            "http://localhost.example.org",
            "ftp://api.example.org",
            "https://user@api.example.org",
            "https://api.example.org/v1",
            "https://api.example.org?x",
            "unix:/run/x.sock",
        ] {
            let error = at(address).err().unwrap();
            assert_eq!(error.exit(), Exit::Usage, "{address}");
        }
    }
}
