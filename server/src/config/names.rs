//! `[names]`: the name server that tells devices where their tenant is.

use super::{
    base::{Base, host_name},
    error::{ConfigError, bad},
    secrets::{deserialize_secret, parse_secret},
};
use clap::Args;
use domain::Secret;
use nameserver::{DnsName, TsigKey};
use serde::{Deserialize, Serialize, Serializer};

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// `[names]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NamesSettings {
    /// Name server that takes dynamic updates (RFC 2136): tenants' endpoints get names there,
    /// <name>-vpn.<names.domain>, and devices follow a tenant that moves [default: none]
    #[arg(
        id = "names.server",
        long = "names-server",
        global = true,
        env = "MALIKNODE_NAMES_SERVER",
        value_name = "HOST[:PORT]"
    )]
    pub server: Option<String>,

    /// The zone in which the names are [default: names.domain]
    #[arg(
        id = "names.zone",
        long = "names-zone",
        global = true,
        env = "MALIKNODE_NAMES_ZONE",
        value_name = "ZONE"
    )]
    pub zone: Option<String>,

    /// What the names end in [default: the host of base]
    #[arg(
        id = "names.domain",
        long = "names-domain",
        global = true,
        env = "MALIKNODE_NAMES_DOMAIN",
        value_name = "NAME"
    )]
    pub domain: Option<String>,

    /// Key that signs the updates (TSIG), as for nsupdate -y: hmac-sha256:NAME:BASE64, or with
    /// hmac-sha384 or hmac-sha512 [default: none]
    #[arg(
        id = "names.key",
        long = "names-key",
        global = true,
        env = "MALIKNODE_NAMES_KEY",
        hide_env_values = true,
        value_name = "KEY",
        value_parser = parse_secret
    )]
    #[serde(deserialize_with = "deserialize_secret")]
    pub key: Option<Secret>,
}

/// The settings in `[names]`.
#[derive(Clone, Debug, Serialize)]
pub struct NamesConfig {
    /// The name server, with its port; `None` where endpoints have no names.
    pub server: Option<String>,
    /// The zone in which the names are.
    pub zone: Option<String>,
    /// What the names end in.
    pub domain: Option<String>,
    /// The key that signs updates.
    #[serde(serialize_with = "redacted")]
    pub key: Option<TsigKey>,
}

fn redacted<S: Serializer>(key: &Option<TsigKey>, s: S) -> Result<S::Ok, S::Error> {
    match key {
        Some(_) => s.serialize_str("[redacted]"),
        None => s.serialize_none(),
    }
}

impl NamesConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// A message that names the setting.
    pub(super) fn resolve(s: &NamesSettings, base: &Base) -> Result<Self, ConfigError> {
        let Some(server) = &s.server else {
            let alone = [
                ("names.zone", s.zone.is_some()),
                ("names.domain", s.domain.is_some()),
                ("names.key", s.key.is_some()),
            ];
            if let Some((key, _)) = alone.into_iter().find(|(_, is_set)| *is_set) {
                return Err(bad(key, "does nothing without names.server.".to_owned()));
            }
            return Ok(Self {
                server: None,
                zone: None,
                domain: None,
                key: None,
            });
        };
        let name = |key, text: &str| {
            let name = DnsName::parse(text);
            name.ok_or_else(|| bad(key, format!("{text:?} is not a domain name.")))
        };
        let domain = match &s.domain {
            Some(text) => name("names.domain", text)?,
            None if base.is_local() => {
                let message = "is needed where base is of this machine alone.";
                return Err(bad("names.domain", message.to_owned()));
            }
            None => name("base", base.host())?,
        };
        let zone = s.zone.as_deref().map(|text| name("names.zone", text));
        let zone = zone.transpose()?.unwrap_or_else(|| domain.clone());
        if !domain.is_within(&zone) {
            let message = format!("{domain} is not in the zone {zone}.");
            return Err(bad("names.domain", message));
        }
        let key = s.key.as_ref().map(|key| {
            let form = "is not of the form hmac-sha256:NAME:BASE64.";
            TsigKey::parse(key).ok_or_else(|| bad("names.key", form.to_owned()))
        });
        Ok(Self {
            server: Some(address(server)?),
            zone: Some(zone.to_string()),
            domain: Some(domain.to_string()),
            key: key.transpose()?,
        })
    }
}

/// Returns the address of a name server with its port.
fn address(text: &str) -> Result<String, ConfigError> {
    let wrong = || {
        let form = "is not a name server, such as ns1.example.org or 192.0.2.1:53.";
        bad("names.server", format!("{text:?} {form}"))
    };
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Ok(address.to_string());
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return Ok(std::net::SocketAddr::new(address, DNS_PORT).to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (text, DNS_PORT),
    };
    let host = host_name(host).ok_or_else(wrong)?;
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(set: impl FnOnce(&mut NamesSettings)) -> Result<NamesConfig, String> {
        let mut settings = NamesSettings {
            server: Some("ns1.example.org".to_owned()),
            ..NamesSettings::default()
        };
        set(&mut settings);
        let base = Base::parse("vpn.example.org").unwrap();
        NamesConfig::resolve(&settings, &base).map_err(|e| e.to_string())
    }

    #[test]
    fn the_zone_and_the_domain_are_by_default_the_installations() {
        let config = resolved(|_| {}).unwrap();
        assert_eq!(config.server.as_deref(), Some("ns1.example.org:53"));
        assert_eq!(config.domain.as_deref(), Some("vpn.example.org"));
        assert_eq!(config.zone.as_deref(), Some("vpn.example.org"));
        let config = resolved(|s| {
            s.server = Some("2001:db8::1".to_owned());
            s.zone = Some("Example.org.".to_owned());
            s.key = Some(Secret::new("hmac-sha512:maliknode:c2VjcmV0"));
        });
        let config = config.unwrap();
        assert_eq!(config.server.as_deref(), Some("[2001:db8::1]:53"));
        assert_eq!(config.zone.as_deref(), Some("example.org"));
        let printed = serde_json::to_value(&config).unwrap();
        assert_eq!(printed["key"], "[redacted]");
    }

    #[test]
    fn what_cannot_work_is_refused_by_the_settings_name() {
        let refused = |set: fn(&mut NamesSettings)| resolved(set).unwrap_err();
        for (error, key) in [
            (
                refused(|s| s.server = Some("a b".to_owned())),
                "names.server",
            ),
            (
                refused(|s| s.server = Some("a:x".to_owned())),
                "names.server",
            ),
            (
                refused(|s| {
                    s.zone = Some("example.org".to_owned());
                    s.domain = Some("other.net".to_owned());
                }),
                "names.domain",
            ),
            (refused(|s| s.zone = Some("a..b".to_owned())), "names.zone"),
            (
                refused(|s| s.key = Some(Secret::new("geheim"))),
                "names.key",
            ),
        ] {
            if key != "names.domain" {
                assert!(error.starts_with(key), "{error}");
            }
            assert!(error.contains(key) && !error.contains("geheim"), "{error}");
        }
        let alone = resolved(|s| {
            s.server = None;
            s.key = Some(Secret::new("hmac-sha256:maliknode:c2VjcmV0"));
        });
        assert!(alone.unwrap_err().starts_with("names.key"));
        let none = resolved(|s| s.server = None).unwrap();
        assert_eq!((none.server, none.domain), (None, None));
    }
}
