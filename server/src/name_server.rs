//! The operator's name server, as the core tells it the names of endpoints.

use crate::config::NamesConfig;
use async_trait::async_trait;
use control::{EndpointNames, EndpointRecord};
use domain::Message;
use nameserver::{DnsName, NameServer, NameServerError, Record, Target};
use std::sync::Arc;

/// Returns what endpoints are called; `None` where no name server is set.
pub fn endpoint_names(config: &NamesConfig) -> Option<EndpointNames> {
    let address = config.server.clone()?;
    let zone = DnsName::parse(config.zone.as_deref()?)?;
    let server = NameServer::new(address.clone(), zone, config.key.clone());
    Some(EndpointNames {
        domain: config.domain.clone()?,
        server: Arc::new(Updated { address, server }),
    })
}

struct Updated {
    address: String,
    server: NameServer,
}

#[async_trait]
impl control::NameServer for Updated {
    fn address(&self) -> &str {
        &self.address
    }

    async fn set(&self, records: &[EndpointRecord]) -> Result<(), Message> {
        let records: Vec<_> = records.iter().map(record).collect::<Result<_, _>>()?;
        self.server.update(&records).await.map_err(message)
    }

    async fn compare(&self, expected: &[EndpointRecord]) -> Result<Vec<EndpointRecord>, Message> {
        let records: Vec<_> = expected.iter().map(record).collect::<Result<_, _>>()?;
        let names: Vec<_> = records.iter().map(|r| r.name.clone()).collect();
        let found = self.server.targets(&names).await.map_err(message)?;
        let pairs = records.into_iter().zip(found);
        let differing = pairs.filter(|(expected, found)| expected.target != *found);
        let differing = differing.map(|(expected, found)| EndpointRecord {
            name: expected.name.to_string(),
            host: found.map(|found| found.to_string()),
        });
        Ok(differing.collect())
    }
}

fn record(record: &EndpointRecord) -> Result<Record, Message> {
    let EndpointRecord { name, host } = record;
    let wrong = || Message::NameServerRecord { name: name.clone() };
    let target = match host {
        Some(host) => Some(Target::parse(host).ok_or_else(wrong)?),
        None => None,
    };
    let name = DnsName::parse(name).ok_or_else(wrong)?;
    Ok(Record { name, target })
}

fn message(e: NameServerError) -> Message {
    match e {
        NameServerError::Unreachable { address, source } => Message::NameServerUnreachable {
            server: address,
            error: source.to_string(),
        },
        NameServerError::TimedOut { address, seconds } => Message::NameServerTimedOut {
            server: address,
            seconds,
        },
        NameServerError::Unusable { address, reason } => Message::NameServerUnusable {
            server: address,
            reason: reason.to_owned(),
        },
        NameServerError::Refused { address, refused } => Message::NameServerRefuses {
            server: address,
            code: match refused.name() {
                Some(name) => name.to_owned(),
                None => refused.0.to_string(),
            },
        },
    }
}
