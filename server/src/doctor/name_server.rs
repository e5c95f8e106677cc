//! The name server of endpoints' names: whether it answers and takes changes with our key.

use super::report::Check;
use crate::{config::Config, name_server};
use domain::Message;

/// Asks the server for a change of nothing; `None` where no server is set.
pub(super) async fn check(config: &Config) -> Option<Check> {
    const NAME: Message = Message::CheckNameServer;
    let names = name_server::endpoint_names(&config.names)?;
    Some(match names.server.set(&[]).await {
        Ok(()) => {
            let found = Message::NameServerReady {
                server: names.server.address().to_owned(),
                domain: names.domain,
            };
            Check::ok(NAME, found)
        }
        Err(found) => Check::bad(NAME, found, Message::FixNameServer),
    })
}
