//! The HTTP port, the reverse proxies and the pages' files.

use super::report::Check;
use crate::config::Config;
use std::{io, net::SocketAddr, time::Duration};

pub(super) async fn listen(config: &Config) -> Check {
    const NAME: &str = "HTTP port";
    let address = config.listen;
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Check::ok(NAME, format!("{address} is free")),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            if is_ours(address).await {
                Check::ok(NAME, format!("MalikNode serves on {address}"))
            } else {
                let port = address.port();
                Check::bad(
                    NAME,
                    format!("{address} is taken by another program"),
                    format!("ss -ltnp 'sport = :{port}' shows it; or choose another --listen"),
                )
            }
        }
        Err(e) => Check::bad(
            NAME,
            format!("{address} cannot be listened on ({e})"),
            "choose another --listen",
        ),
    }
}

/// Returns whether a MalikNode answers at this address.
async fn is_ours(address: SocketAddr) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let probe = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .ok()?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await.ok()?;
        Some(answer.ends_with(b"ok\n"))
    };
    tokio::time::timeout(Duration::from_secs(3), probe)
        .await
        .ok()
        .flatten()
        .unwrap_or(false)
}

pub(super) fn proxies(config: &Config) -> Check {
    const NAME: &str = "Proxies";
    let trusted = &config.trusted_proxies;
    match config.proxy_problem() {
        Some(problem) => Check::warn(
            NAME,
            problem,
            "trusted_proxies = [\"127.0.0.1\"] in config.toml, if it is on this machine",
        ),
        None if trusted.is_empty() => Check::ok(NAME, "none; browsers reach the server directly"),
        None => {
            let all: Vec<String> = trusted.iter().map(ToString::to_string).collect();
            Check::ok(NAME, format!("{} trusted", all.join(", ")))
        }
    }
}

pub(super) fn pages(config: &Config) -> Check {
    const NAME: &str = "Pages";
    let site = config.site.display();
    if config.site.join("pkg").is_dir() {
        Check::ok(NAME, format!("scripts and styles in {site}"))
    } else {
        Check::bad(
            NAME,
            format!("scripts and styles are not in {site}"),
            "./dev build, or set --site",
        )
    }
}
