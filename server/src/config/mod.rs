//! The configuration. A flag overrides an environment variable, which overrides
//! the file, which overrides the default. An invalid value is refused with a
//! message that names the setting; nothing is guessed.

mod base;
mod check;
mod edit;
mod error;
mod file;
mod limits;
mod model;
mod redacted;
mod resolvers;
mod settings;

pub use base::Base;
pub use edit::DatabaseUrlEdit;
pub use error::ConfigError;
pub use limits::Limits;
pub use model::{Config, DnsConfig, NodesConfig};
pub use settings::{AddressSettings, DnsSettings, Flags, ListSetting, NodesSettings, Settings};

#[cfg(test)]
mod tests;
