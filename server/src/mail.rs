//! How this installation sends mail, from its settings.

use crate::config::Config;
use ::mail::{SmtpSettings, SmtpTransport};
use control::MailSetup;
use domain::Secret;
use std::{fs, io, path::Path, sync::Arc};

/// Why mail that is set up cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("{path} cannot be read, which {setting} names: {source}")]
    Unreadable {
        setting: &'static str,
        path: String,
        source: io::Error,
    },
    #[error("mail.ca_file has no certificate: {0}")]
    Certificates(String),
}

/// Returns how mail is sent; `None` where none is set up.
///
/// # Errors
/// A file of the settings cannot be read.
pub fn setup(config: &Config) -> Result<Option<MailSetup>, MailError> {
    let transport = transport(config)?;
    Ok(transport.map(|transport| MailSetup {
        transport: Arc::new(transport),
        per_hour: config.mail.per_hour,
    }))
}

/// Returns what sends mail; `None` where none is set up.
///
/// # Errors
/// A file of the settings cannot be read.
pub fn transport(config: &Config) -> Result<Option<SmtpTransport>, MailError> {
    let mail = &config.mail;
    let (Some(server), Some(from)) = (&mail.server, &mail.from) else {
        return Ok(None);
    };
    let password = match (&mail.password, &mail.password_file) {
        (Some(password), _) => Some(password.clone()),
        (None, Some(path)) => {
            let text = read("mail.password_file", path)?;
            Some(Secret::new(text.trim_end_matches(['\r', '\n'])))
        }
        (None, None) => None,
    };
    let ca = mail.ca_file.as_deref();
    let ca = ca.map(|path| read("mail.ca_file", path)).transpose()?;
    let settings = SmtpSettings {
        server: server.clone(),
        credentials: mail.user.clone().zip(password),
        from: from.clone(),
        ca: ca.map(String::into_bytes),
        hello: config.base.host().to_owned(),
    };
    let transport = SmtpTransport::new(settings);
    let transport = transport.map_err(|e| MailError::Certificates(e.answer().to_owned()))?;
    Ok(Some(transport))
}

fn read(setting: &'static str, path: &Path) -> Result<String, MailError> {
    fs::read_to_string(path).map_err(|source| MailError::Unreadable {
        setting,
        path: path.display().to_string(),
        source,
    })
}
