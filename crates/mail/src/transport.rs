//! The connection to the SMTP server: one for each mail, because there are few.

use crate::{
    message,
    server::{Encryption, MailServer, Sender},
};
use async_trait::async_trait;
use control::{DeliveryError, MailTransport, OutgoingMail};
use domain::Secret;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};
use std::{fmt, time::Duration};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a mail may take, from the connection to the server's last answer. The core gives a try
/// up after a minute.
const SEND_TIMEOUT: Duration = Duration::from_secs(45);
/// Answers that are about this installation, and not about the mail: sign-in needed or refused
/// (RFC 4954, 6), commands that the server does not know.
const OURS: [u16; 10] = [500, 501, 502, 503, 504, 521, 530, 534, 535, 538];

/// How mail is sent.
#[derive(Clone)]
pub struct SmtpSettings {
    pub server: MailServer,
    /// The user and the password.
    pub credentials: Option<(String, Secret)>,
    pub from: Sender,
    /// Further authorities that the server's certificate may be of, as PEM.
    pub ca: Option<Vec<u8>>,
    /// What this machine calls itself to the server: the installation's host.
    pub hello: String,
}

/// Sends mail by SMTP.
pub struct SmtpTransport {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    from: Sender,
}

impl fmt::Debug for SmtpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpTransport({})", self.from)
    }
}

impl SmtpTransport {
    /// Prepares to send. Nothing is connected yet.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub fn new(settings: SmtpSettings) -> Result<Self, DeliveryError> {
        let SmtpSettings {
            server,
            credentials,
            from,
            ca,
            hello,
        } = settings;
        let tls = match server.encryption {
            Encryption::None => Tls::None,
            Encryption::StartTls => Tls::Required(parameters(&server.host, ca)?),
            Encryption::Tls => Tls::Wrapper(parameters(&server.host, ca)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(tls)
            .hello_name(ClientId::Domain(hello))
            .timeout(Some(CONNECT_TIMEOUT));
        if let Some((user, password)) = credentials {
            let password = password.expose().to_owned();
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self {
            smtp: builder.build(),
            from,
        })
    }

    /// Connects, with TLS where it is wanted, and signs in. Nothing is sent.
    ///
    /// # Errors
    /// What the server said, or why it could not be asked.
    pub async fn probe(&self) -> Result<(), DeliveryError> {
        match self.smtp.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(DeliveryError::Temporary(
                "the connection was lost".to_owned(),
            )),
            Err(e) => Err(failed(&e)),
        }
    }
}

fn parameters(host: &str, ca: Option<Vec<u8>>) -> Result<TlsParameters, DeliveryError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = ca {
        builder =
            builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|e| failed(&e))?);
    }
    builder.build_rustls().map_err(|e| failed(&e))
}

/// Returns what an error means for the mail. What is wrong with the connection or the sign-in may
/// be right tomorrow; a recipient that is refused stays so.
fn failed(error: &lettre::transport::smtp::Error) -> DeliveryError {
    let mut answer = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !answer.contains(&cause_text) {
            answer = format!("{answer}: {cause_text}");
        }
        source = cause.source();
    }
    let status = error.status().map(u16::from);
    match error.is_permanent() && !status.is_some_and(|code| OURS.contains(&code)) {
        true => DeliveryError::Permanent(answer),
        false => DeliveryError::Temporary(answer),
    }
}

#[async_trait]
impl MailTransport for SmtpTransport {
    async fn send(&self, mail: &OutgoingMail) -> Result<String, DeliveryError> {
        let message = message::build(mail, &self.from, texts::english())?;
        let sending = tokio::time::timeout(SEND_TIMEOUT, self.smtp.send(message)).await;
        let response = sending.map_err(|_| {
            let seconds = SEND_TIMEOUT.as_secs();
            DeliveryError::Temporary(format!("no answer within {seconds} s"))
        })?;
        let response = response.map_err(|e| failed(&e))?;
        let lines: Vec<_> = response.message().collect();
        Ok(format!("{} {}", response.code(), lines.join(" ")))
    }
}
