//! Mail against a real SMTP server: nodemailer's `smtp-server` (end2end/smtp-server.mjs), with and
//! without TLS by a test authority, that takes, refuses, defers, is slow or dies.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use control::{DeliveryError, MailTransport, OutgoingMail};
use domain::{MailAddress, MailContent, Secret};
use mail::{MailServer, Sender, SmtpSettings, SmtpTransport};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

struct Server {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Server {
    async fn start(options: &Value) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../end2end/smtp-server.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is needed: npm ci in end2end");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap();
        let first = first.expect("smtp-server is needed: npm ci in end2end");
        let first: Value = serde_json::from_str(&first).unwrap();
        Self {
            port: u16::try_from(first["port"].as_u64().unwrap()).unwrap(),
            lines,
            _child: child,
        }
    }

    async fn taken(&mut self) -> Value {
        let line = self.lines.next_line().await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn settings(server: &str) -> SmtpSettings {
    SmtpSettings {
        server: MailServer::parse(server).unwrap(),
        credentials: None,
        from: Sender::parse("Zoë’s VPN <vpn@example.org>").unwrap(),
        ca: None,
        hello: "vpn.example.org".to_owned(),
    }
}

fn plain(port: u16) -> SmtpTransport {
    SmtpTransport::new(settings(&format!("smtp://127.0.0.1:{port}"))).unwrap()
}

fn reset() -> OutgoingMail {
    OutgoingMail {
        message_id: "17.5@vpn.example.org".to_owned(),
        recipient: MailAddress::parse("lina@example.org").unwrap(),
        content: MailContent::Reset,
        name: "lina".to_owned(),
        link: Some(Secret::new(
            "https://lina.vpn.example.org/reset?token=t0ken",
        )),
        host: "vpn.example.org".to_owned(),
    }
}

/// Writes an authority and a certificate of localhost. Returns the authority as PEM.
fn certificates(folder: &Path) -> String {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    authority.pem()
}

#[tokio::test]
async fn a_mail_arrives_with_its_link() {
    let mut server = Server::start(&json!({})).await;
    let answer = plain(server.port).send(&reset()).await.unwrap();
    assert!(answer.starts_with("250 "), "{answer}");
    let taken = server.taken().await;
    assert_eq!(taken["from"], "vpn@example.org");
    assert_eq!(taken["to"], json!(["lina@example.org"]));
    let text = taken["text"].as_str().unwrap();
    assert!(
        text.contains("Message-ID: <17.5@vpn.example.org>"),
        "{text}"
    );
    assert!(
        text.contains("https://lina.vpn.example.org/reset?token=3Dt0ken")
            || text.contains("https://lina.vpn.example.org/reset?token=t0ken"),
        "{text}"
    );
    assert!(plain(server.port).probe().await.is_ok());
}

#[tokio::test]
async fn tls_and_starttls_check_the_certificate_and_sign_in() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates(folder.path());
    for (scheme, secure) in [("smtps", true), ("smtp", false)] {
        let options = json!({
            "cert": folder.path().join("cert.pem"), "key": folder.path().join("key.pem"),
            "secure": secure, "user": "vpn", "pass": "right",
        });
        let mut server = Server::start(&options).await;
        let with = |password: &str, ca: Option<&str>| {
            SmtpTransport::new(SmtpSettings {
                credentials: Some(("vpn".to_owned(), Secret::new(password))),
                ca: ca.map(|pem| pem.as_bytes().to_vec()),
                ..settings(&format!("{scheme}://localhost:{}", server.port))
            })
            .unwrap()
        };
        let right = with("right", Some(&authority));
        right.probe().await.unwrap();
        right.send(&reset()).await.unwrap();
        let wrong = with("wrong", Some(&authority)).send(&reset()).await;
        let wrong = wrong.unwrap_err();
        assert!(
            matches!(&wrong, DeliveryError::Temporary(a) if a.contains("535")),
            "the settings are wrong, not the mail: {wrong:?}"
        );
        let unknown = with("right", None).probe().await.unwrap_err();
        assert!(
            matches!(&unknown, DeliveryError::Temporary(a) if a.to_lowercase().contains("certificate")
                || a.to_lowercase().contains("issuer")),
            "{unknown:?}"
        );
        let taken = server.taken().await;
        assert_eq!(
            (&taken["secure"], &taken["user"]),
            (&json!(true), &json!("vpn"))
        );
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let server = Server::start(&json!({})).await;
    let url = format!("smtp://localhost:{}", server.port);
    let transport = SmtpTransport::new(settings(&url)).unwrap();
    let refused = transport.send(&reset()).await.unwrap_err();
    assert!(
        matches!(refused, DeliveryError::Temporary(_)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_refused_recipient_is_final_and_a_busy_server_is_not() {
    let server = Server::start(&json!({ "mode": "refuse" })).await;
    let refused = plain(server.port).send(&reset()).await.unwrap_err();
    assert!(
        matches!(&refused, DeliveryError::Permanent(a) if a.contains("no such mailbox")),
        "{refused:?}"
    );
    let server = Server::start(&json!({ "mode": "busy" })).await;
    let busy = plain(server.port).send(&reset()).await.unwrap_err();
    assert!(
        matches!(&busy, DeliveryError::Temporary(a) if a.contains("try again later")),
        "{busy:?}"
    );
}

#[tokio::test]
async fn a_dead_server_and_one_that_dies_are_tried_again() {
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let away = plain(dead).send(&reset()).await.unwrap_err();
    assert!(matches!(away, DeliveryError::Temporary(_)), "{away:?}");
    let mut server = Server::start(&json!({ "mode": "die" })).await;
    let died = plain(server.port).send(&reset()).await.unwrap_err();
    assert!(matches!(died, DeliveryError::Temporary(_)), "{died:?}");
    let text = server.taken().await["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("Message-ID: <17.5@vpn.example.org>"),
        "by which the next try is known as the same mail"
    );
}

#[tokio::test]
async fn a_slow_server_ends_the_try() {
    let server = Server::start(&json!({ "mode": "slow" })).await;
    let transport = plain(server.port);
    let mail = reset();
    let sending = tokio::time::timeout(Duration::from_secs(55), transport.send(&mail));
    let ended = sending.await.expect("a mail takes 45 s at most");
    assert!(
        matches!(ended, Err(DeliveryError::Temporary(_))),
        "{ended:?}"
    );
}
