//! `[mail]`, checked. A password or certificate in a file is read where mail is sent, not here: a
//! command that sends none needs no right to read it.

use super::{
    check,
    error::{ConfigError, bad},
    settings::MailSettings,
};
use domain::Secret;
use mail::{MailServer, Sender};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// The most mails in an hour that can be set.
const MAX_PER_HOUR: u32 = 1_000_000;

/// The settings in `[mail]`.
#[derive(Clone, Debug, Serialize)]
pub struct MailConfig {
    /// The server that takes mail; `None` means that none is sent.
    #[serde(serialize_with = "shown")]
    pub server: Option<MailServer>,
    /// Whom mail comes from. It is set where `server` is.
    #[serde(serialize_with = "shown")]
    pub from: Option<Sender>,
    pub user: Option<String>,
    #[serde(serialize_with = "redacted")]
    pub password: Option<Secret>,
    pub password_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub per_hour: u32,
}

fn shown<S: Serializer>(value: &Option<impl ToString>, s: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(s)
}

fn redacted<S: Serializer>(value: &Option<Secret>, s: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|_| "[redacted]").serialize(s)
}

impl MailConfig {
    pub(super) fn resolve(mut s: MailSettings) -> Result<Self, ConfigError> {
        // A variable of the environment that is set to nothing sets nothing.
        let texts = [
            &mut s.server,
            &mut s.from,
            &mut s.user,
            &mut s.password_file,
            &mut s.ca_file,
        ];
        for text in texts {
            text.take_if(|text| text.is_empty());
        }
        s.password.take_if(|password| password.expose().is_empty());
        let server = s.server.as_deref().map(|text| {
            // The text may have a password in it.
            MailServer::parse(text).map_err(|e| bad("mail.server", format!("this is {e}.")))
        });
        let from = s.from.as_deref().map(|text| {
            Sender::parse(text).map_err(|e| bad("mail.from", format!("{text:?} is {e}.")))
        });
        let (server, from) = (server.transpose()?, from.transpose()?);
        if server.is_some() && from.is_none() {
            let message = "mail.server needs it: an address that mail comes from.";
            return Err(bad("mail.from", message));
        }
        if s.password.is_some() && s.password_file.is_some() {
            let message = "there is mail.password, too; set one of the two.";
            return Err(bad("mail.password_file", message));
        }
        let has_password = s.password.is_some() || s.password_file.is_some();
        if s.user.is_some() != has_password {
            let message = "a user needs mail.password or mail.password_file, and they need a user.";
            return Err(bad("mail.user", message));
        }
        if !(1..=MAX_PER_HOUR).contains(&s.per_hour) {
            let message = format!("{} is not a number from 1 to {MAX_PER_HOUR}.", s.per_hour);
            return Err(bad("mail.per_hour", message));
        }
        let path = |text: Option<String>| text.as_deref().map(check::absolute).transpose();
        Ok(Self {
            server,
            from,
            user: s.user,
            password: s.password,
            password_file: path(s.password_file)?,
            ca_file: path(s.ca_file)?,
            per_hour: s.per_hour,
        })
    }
}
