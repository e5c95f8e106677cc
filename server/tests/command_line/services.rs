//! What an operator brings, as fakes: a mail server that keeps what it is given, a name server
//! that has everything already, and workers that may join. The real ones are in the tests of
//! `mail`, `nameserver` and `link`.

use async_trait::async_trait;
use control::{
    DeliveryError, EndpointNames, EndpointRecord, MailSetup, MailTransport, NameServer,
    OutgoingMail, WorkerAccess,
};
use domain::Message;
use server::workers::PkiCertificates;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Whose mail the server defers.
pub const DEFERRED: &str = "deferred@example.org";

/// What an installation uses.
pub struct Services {
    pub mail: Option<MailSetup>,
    pub names: Option<EndpointNames>,
    pub workers: WorkerAccess,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            mail: None,
            names: None,
            workers: WorkerAccess::NeedsPostgres,
        }
    }
}

impl Services {
    /// Returns all of them, and the mails.
    pub fn all() -> (Self, Mails) {
        let mails = Mails::default();
        let services = Self {
            mail: Some(MailSetup {
                transport: Arc::new(mails.clone()),
                per_hour: 1_000,
            }),
            names: Some(EndpointNames {
                domain: "example.org".to_owned(),
                server: Arc::new(CompleteNames),
            }),
            workers: WorkerAccess::Allowed {
                address: "https://192.0.2.1:8443".to_owned(),
                certificates: Arc::new(PkiCertificates),
            },
        };
        (services, mails)
    }
}

/// The mails that were sent.
#[derive(Clone, Default)]
pub struct Mails(Arc<Mutex<Vec<OutgoingMail>>>);

impl Mails {
    /// Waits for a mail with a link, and takes it. Returns the link.
    pub fn take_link(&self) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let mut mails = self.0.lock().unwrap();
            if let Some(at) = mails.iter().position(|mail| mail.link.is_some()) {
                let link = mails.remove(at).link.unwrap();
                return link.expose().to_owned();
            }
            drop(mails);
            assert!(Instant::now() < until, "a mail with a link comes");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[async_trait]
impl MailTransport for Mails {
    async fn send(&self, mail: &OutgoingMail) -> Result<String, DeliveryError> {
        if mail.recipient.to_string() == DEFERRED {
            return Err(DeliveryError::Temporary("451 later".to_owned()));
        }
        self.0.lock().unwrap().push(mail.clone());
        Ok("250 kept".to_owned())
    }
}

/// A name server that has every record.
struct CompleteNames;

#[async_trait]
impl NameServer for CompleteNames {
    fn address(&self) -> &str {
        "ns.example.org:53"
    }

    async fn set(&self, _records: &[EndpointRecord]) -> Result<(), Message> {
        Ok(())
    }

    async fn compare(&self, _: &[EndpointRecord]) -> Result<Vec<EndpointRecord>, Message> {
        Ok(Vec::new())
    }
}
