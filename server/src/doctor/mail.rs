//! The mail server: whether it answers, has the TLS that it should, and accepts the sign-in.

use super::report::Check;
use crate::{config::Config, mail};
use domain::Message;
use std::time::Duration;

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Checks the server; `None` where no mail is set up.
pub(super) async fn check(config: &Config) -> Option<Check> {
    const NAME: Message = Message::CheckMail;
    let server = config.mail.server.as_ref()?.to_string();
    let transport = match mail::transport(config) {
        Ok(transport) => transport?,
        Err(e) => {
            let reason = e.to_string();
            let found = Message::MailServerRefused { server, reason };
            return Some(Check::bad(NAME, found, Message::FixMail));
        }
    };
    let reason = match tokio::time::timeout(TIMEOUT, transport.probe()).await {
        Ok(Ok(())) => return Some(Check::ok(NAME, Message::MailServerReady { server })),
        Ok(Err(e)) => e.answer().to_owned(),
        Err(_) => "no answer within 20 s".to_owned(),
    };
    let found = Message::MailServerRefused { server, reason };
    Some(Check::bad(NAME, found, Message::FixMail))
}
