//! The HTTP port, the reverse proxies and the pages' files.

use super::report::Check;
use crate::config::Config;
use domain::Message;
use std::{io, net::SocketAddr, time::Duration};

pub(super) async fn listen(config: &Config) -> Check {
    const NAME: Message = Message::CheckHttpPort;
    let address = config.listen.to_string();
    match tokio::net::TcpListener::bind(config.listen).await {
        Ok(_) => Check::ok(NAME, Message::HttpPortFree { address }),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            if is_ours(config.listen).await {
                Check::ok(NAME, Message::HttpPortOurs { address })
            } else {
                let port = config.listen.port().into();
                Check::bad(
                    NAME,
                    Message::HttpPortTaken { address },
                    Message::FixHttpPortTaken { port },
                )
            }
        }
        Err(e) => Check::bad(
            NAME,
            Message::HttpPortRefused {
                address,
                reason: e.to_string(),
            },
            Message::FixHttpPort,
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
    const NAME: Message = Message::CheckProxies;
    let trusted = &config.trusted_proxies;
    match config.proxy_problem() {
        Some(problem) => Check::warn(NAME, problem, Message::FixProxies),
        None if trusted.is_empty() => Check::ok(NAME, Message::ProxiesNone),
        None => {
            let all: Vec<String> = trusted.iter().map(ToString::to_string).collect();
            Check::ok(
                NAME,
                Message::ProxiesTrusted {
                    proxies: all.join(", "),
                },
            )
        }
    }
}

pub(super) fn scheme(config: &Config) -> Check {
    const NAME: Message = Message::CheckScheme;
    match config.scheme_problem() {
        Some(problem) => Check::warn(NAME, problem, Message::FixScheme),
        None => {
            let scheme = config.scheme.to_owned();
            Check::ok(NAME, Message::SchemeSuits { scheme })
        }
    }
}

pub(super) fn pages(config: &Config) -> Check {
    const NAME: Message = Message::CheckPages;
    let path = config.site.display().to_string();
    if config.site.join("pkg").is_dir() {
        Check::ok(NAME, Message::PagesPresent { path })
    } else {
        Check::bad(NAME, Message::PagesAbsent { path }, Message::FixPages)
    }
}
