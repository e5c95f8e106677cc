//! The servers that an operator brings, as real ones: an SMTP server and a name server.

#[path = "../../../../crates/nameserver/tests/bind/named.rs"]
#[allow(dead_code, reason = "the tests of `nameserver` use the rest")]
mod named;

use super::checkout;
use crate::stack::Services;
use control::MailSetup;
use domain::Secret;
use mail::{MailServer, Sender, SmtpSettings, SmtpTransport};
use named::{KEY, Named};
use nameserver::TsigKey;
use serde_json::{Value, json};
use server::{config::NamesConfig, name_server::endpoint_names};
use std::{path::Path, process::Stdio, sync::Arc};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// The recipient whose mail the SMTP server always defers. tools/test/schemathesis/hooks.py
/// has it too.
const DEFERRED: &str = "deferred@example.org";

/// The running servers.
pub struct Outside {
    named: Named,
    smtp_port: u16,
    _smtp: Child,
}

impl Outside {
    /// Starts both. What is mailed is appended to the file `mails`, a line of JSON each.
    pub async fn start(mails: &Path) -> Self {
        let mut smtp = Command::new("node")
            .arg(checkout("end2end/smtp-server.mjs"))
            .arg(json!({ "deferred": DEFERRED }).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is needed: ./dev setup --tests");
        let mut lines = BufReader::new(smtp.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().expect("a port");
        let first: Value = serde_json::from_str(&first).unwrap();
        let mut file = tokio::fs::File::create(mails).await.unwrap();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                file.write_all(format!("{line}\n").as_bytes())
                    .await
                    .unwrap();
                file.flush().await.unwrap();
            }
        });
        Self {
            named: Named::start(),
            smtp_port: u16::try_from(first["port"].as_u64().unwrap()).unwrap(),
            _smtp: smtp,
        }
    }

    /// Returns them as an installation uses them.
    pub fn services(&self) -> Services {
        let names = NamesConfig {
            server: Some(self.named.address()),
            zone: Some("example.org".to_owned()),
            domain: Some("example.org".to_owned()),
            key: Some(TsigKey::parse(&Secret::new(KEY)).unwrap()),
        };
        let settings = SmtpSettings {
            server: MailServer::parse(&format!("smtp://127.0.0.1:{}", self.smtp_port)).unwrap(),
            credentials: None,
            from: Sender::parse("VPN <vpn@example.org>").unwrap(),
            ca: None,
            hello: "vpn.example.org".to_owned(),
        };
        Services {
            names: endpoint_names(&names),
            mail: Some(MailSetup {
                transport: Arc::new(SmtpTransport::new(settings).unwrap()),
                per_hour: 100_000,
            }),
        }
    }
}
