//! Whether devices reach this machine at the host that their configurations name.

use super::report::{Check, run};
use crate::config::Config;
use domain::Message;
use ipnet::IpNet;
use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};

const NAME: Message = Message::CheckEndpoint;

/// The longest wait for the resolver.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Networks that pass web pages on and no UDP: Cloudflare's
/// (<https://www.cloudflare.com/ips/>) and Fastly's (<https://api.fastly.com/public-ip-list>).
const CDNS: [&str; 29] = [
    "173.245.48.0/20",
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "141.101.64.0/18",
    "108.162.192.0/18",
    "190.93.240.0/20",
    "188.114.96.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "162.158.0.0/15",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "172.64.0.0/13",
    "131.0.72.0/22",
    "2400:cb00::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2405:b500::/32",
    "2405:8100::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
    "151.101.0.0/16",
    "199.232.0.0/16",
    "146.75.0.0/17",
    "167.82.0.0/17",
    "23.235.32.0/20",
    "2a04:4e40::/32",
    "2a04:4e42::/32",
];

/// Resolves the host and compares it with this machine's addresses.
pub(super) async fn check(config: &Config) -> Check {
    let host = config.public_host.trim_matches(['[', ']']);
    let found = match host.parse::<IpAddr>() {
        Ok(address) => Some(vec![address]),
        Err(_) => resolve(host).await,
    };
    judge(host, found.as_deref(), config.base.is_local(), is_own)
}

async fn resolve(host: &str) -> Option<Vec<IpAddr>> {
    let found = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, 0)));
    let mut all: Vec<IpAddr> = found.await.ok()?.ok()?.map(|a| a.ip()).collect();
    all.sort_unstable();
    all.dedup();
    (!all.is_empty()).then_some(all)
}

/// Returns whether this machine has the address: a socket can be bound to it.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// `is_local` says that the installation is only for this machine.
fn judge(
    host: &str,
    found: Option<&[IpAddr]>,
    is_local: bool,
    is_own: impl Fn(IpAddr) -> bool,
) -> Check {
    let host = host.to_owned();
    let Some(found) = found else {
        let fix = run(format!("getent ahosts {host}"));
        return Check::bad(NAME, Message::EndpointUnresolved { host }, fix);
    };
    let cdns: Vec<IpNet> = CDNS.iter().filter_map(|net| net.parse().ok()).collect();
    let first = |holds: &dyn Fn(IpAddr) -> bool| found.iter().copied().find(|a| holds(*a));
    let text = |address: IpAddr| address.to_string();
    if let Some(cdn) = first(&|a| cdns.iter().any(|net| net.contains(&a))) {
        let address = text(cdn);
        return Check::bad(
            NAME,
            Message::EndpointCdn { host, address },
            Message::FixEndpointCdn,
        );
    }
    if !is_local && let Some(loopback) = first(&|a| a.is_loopback() || a.is_unspecified()) {
        let address = text(loopback);
        return Check::bad(
            NAME,
            Message::EndpointLoopback { host, address },
            Message::FixEndpoint,
        );
    }
    if let Some(other) = first(&|a| !is_own(a)) {
        let address = text(other);
        return Check::warn(
            NAME,
            Message::EndpointElsewhere { host, address },
            Message::FixEndpointElsewhere,
        );
    }
    let addresses: Vec<String> = found.iter().copied().map(text).collect();
    let addresses = addresses.join(", ");
    Check::ok(NAME, Message::EndpointOwn { host, addresses })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    fn state_of(found: &[&str], is_local: bool) -> (State, &'static str) {
        let found: Vec<IpAddr> = found.iter().map(|a| a.parse().unwrap()).collect();
        let own = ["203.0.113.7", "127.0.0.1", "2001:db8::7"];
        let is_own = |a: IpAddr| own.contains(&a.to_string().as_str());
        let check = judge("vpn.example.org", Some(&found), is_local, is_own);
        (check.state, check.message.code())
    }

    #[test]
    fn an_endpoint_that_is_not_this_machine_is_told() {
        let own = (State::Ok, "endpoint-own");
        assert_eq!(state_of(&["203.0.113.7"], false), own);
        assert_eq!(state_of(&["203.0.113.7", "2001:db8::7"], false), own);
        assert_eq!(state_of(&["127.0.0.1"], true), own);
        let elsewhere = (State::Warn, "endpoint-elsewhere");
        assert_eq!(state_of(&["198.51.100.5"], false), elsewhere);
        // Devices with IPv6 take the other address.
        assert_eq!(state_of(&["203.0.113.7", "2001:db8::8"], false), elsewhere);
        let cdn = (State::Bad, "endpoint-cdn");
        assert_eq!(state_of(&["104.21.3.4"], false), cdn);
        assert_eq!(state_of(&["2606:4700:3031::6815:304"], false), cdn);
        let loopback = (State::Bad, "endpoint-loopback");
        assert_eq!(state_of(&["127.0.0.1"], false), loopback);
        let unresolved = judge("vpn.example.org", None, false, |_| false);
        assert_eq!(unresolved.state, State::Bad);
        assert!(CDNS.iter().all(|net| net.parse::<IpNet>().is_ok()));
    }
}
