//! `maliknode firewall`: the firewall table without tenants, for the time at a boot
//! before Docker starts containers (deploy/maliknode-firewall.service).

use crate::{
    config::Config, start_error::StartError, wiring::firewall_settings, worker::Membership,
};
use firewall::{BaseTable, Nft};

/// Puts the table in force where it is not, and says what was done.
///
/// # Errors
/// `nft` is missing or refuses.
pub(super) async fn run(config: &Config) -> Result<(), StartError> {
    let mut config = config.clone();
    // A worker whose file is damaged has a table all the same.
    if let Ok(Some(membership)) = Membership::load(&config) {
        config.addresses.plan = membership.addresses;
    }
    let nft = Nft::new(firewall_settings(&config))?;
    let message = match nft.ensure_base().await? {
        BaseTable::Created => {
            "The firewall table is in force, without tenants: containers reach nothing private, and nothing passes a tunnel until the server runs."
        }
        BaseTable::Present => "The firewall table is in force already; nothing was changed.",
        BaseTable::LeftToServer => {
            "A firewall table with tenants is in force, of another version or with other settings; it was left to the server."
        }
    };
    println!("{message}");
    Ok(())
}
