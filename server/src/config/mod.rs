//! The configuration. A flag overrides an environment variable, which overrides
//! the file, which overrides the default. An invalid value is refused with a
//! message that names the setting; nothing is guessed.

mod base;
mod check;
mod edit;
mod error;
mod file;
mod limits;
mod log_format;
mod mail;
mod model;
mod names;
mod redacted;
mod resolvers;
mod secrets;
mod settings;

pub use base::Base;
pub use edit::DatabaseUrlEdit;
pub use error::ConfigError;
pub use limits::Limits;
pub use log_format::LogFormat;
pub use mail::MailConfig;
pub use model::{ApiConfig, Config, DnsConfig, MetricsConfig, NodesConfig};
pub use names::{NamesConfig, NamesSettings};
pub use settings::{
    AddressSettings, ApiSettings, DnsSettings, Flags, ListSetting, MailSettings, MetricsSettings,
    NodesSettings, Settings,
};

#[cfg(test)]
mod tests;
