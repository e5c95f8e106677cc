//! Binds a ticket to the browser that asked for it.
//!
//! A ticket in an address is worth a session to the browser that opens the address
//! first. Without a binding an attacker could send the address of an own ticket to
//! a victim, who would then work in the attacker's account (login CSRF), and an
//! address that is read on its way is a session for its reader. A cookie of the
//! issuing host does not reach the host that the ticket is for, and one with
//! `Domain` could be set by any host of the installation. So the binding begins at
//! the host that the ticket is for:
//!
//! 1. The issuing host keeps the ticket in a cookie of its own and redirects to the
//!    target.
//! 2. The target gives the browser a random *nonce* in a cookie of its own, and
//!    redirects back with the nonce's hash in the address.
//! 3. The issuing host takes the ticket from its cookie and binds it to that hash;
//!    from then on the ticket is found with the nonce only. It redirects to the
//!    target with the ticket in the address.
//! 4. The target redeems the ticket with the nonce of its cookie.
//!
//! Another browser has neither the cookie of step 1 nor that of step 2, and no host
//! can set either for another host. The database stores nothing more than the
//! ticket's hash. Where a host signs in to itself, the cookie of step 1 is enough.

use super::Auth;
use crate::failures::store_failure;
use domain::{ErrorCode, Failure, Message, Secret};
use sha2::{Digest, Sha256};
use store::TokenHash;

/// The longest ticket or nonce that is looked up, in bytes.
const MAX_BYTES: usize = 64;
/// The length of a browser's hash, in hexadecimal digits.
const HASH_DIGITS: usize = 64;

/// A ticket as a browser presents it.
#[derive(Clone, Copy)]
pub enum PresentedTicket<'a> {
    /// From a cookie of the host that the ticket is for, which issued it.
    Cookie(&'a str),
    /// From an address.
    Address {
        ticket: &'a str,
        /// From a cookie of the host that the ticket is for.
        nonce: &'a str,
    },
}

impl PresentedTicket<'_> {
    /// Returns the hash under which the ticket is stored, `None` for a text that is
    /// no ticket.
    pub(super) fn stored_hash(self) -> Option<TokenHash> {
        match self {
            Self::Cookie(ticket) => is_token(ticket).then(|| unbound(ticket)),
            Self::Address { ticket, nonce } => {
                (is_token(ticket) && is_token(nonce)).then(|| bound(ticket, &browser_hash(nonce)))
            }
        }
    }
}

/// Returns the hash of a browser's nonce, which an address may contain.
pub fn browser_hash(nonce: &str) -> String {
    let digest = Sha256::digest(nonce);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_BYTES && text.is_ascii()
}

fn unbound(ticket: &str) -> TokenHash {
    TokenHash::of(&Secret::new(ticket))
}

/// A ticket has no dot, so no unbound ticket has the hash of a bound one.
fn bound(ticket: &str, browser: &str) -> TokenHash {
    TokenHash::of(&Secret::new(format!("{ticket}.{browser}")))
}

impl Auth<'_> {
    /// Returns a nonce for a browser.
    ///
    /// # Errors
    /// `Internal` without randomness.
    pub fn browser_nonce(self) -> Result<Secret, Failure> {
        self.0.entropy.token()
    }

    /// Binds a ticket to the browser whose nonce has this hash ([`browser_hash`]).
    ///
    /// # Errors
    /// `TicketInvalid` for a ticket that was used, has expired, is bound already or
    /// never existed, and for a text that is no hash.
    pub async fn bind_ticket(self, ticket: &str, browser: &str) -> Result<(), Failure> {
        let invalid = || Failure::new(ErrorCode::TicketInvalid, Message::TicketInvalid);
        let is_hash =
            browser.len() == HASH_DIGITS && browser.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_token(ticket) || ticket.contains('.') || !is_hash {
            return Err(invalid());
        }
        let (old, new) = (unbound(ticket), bound(ticket, browser));
        let now = self.0.clock.now();
        let replaced = self.0.store.replace_ticket_token(&old, &new, now).await;
        match replaced.map_err(store_failure)? {
            true => Ok(()),
            false => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_in_an_address_needs_the_nonce() {
        let hash = |t: PresentedTicket<'_>| t.stored_hash().unwrap();
        let of_nonce = |nonce| {
            hash(PresentedTicket::Address {
                ticket: "ticket",
                nonce,
            })
        };
        assert_eq!(of_nonce("a"), bound("ticket", &browser_hash("a")));
        assert_ne!(of_nonce("a"), of_nonce("b"));
        assert_ne!(of_nonce("a"), hash(PresentedTicket::Cookie("ticket")));
        for nonce in ["", &"x".repeat(MAX_BYTES + 1)] {
            let none = PresentedTicket::Address {
                ticket: "ticket",
                nonce,
            };
            assert!(none.stored_hash().is_none());
        }
        assert_eq!(browser_hash("a").len(), HASH_DIGITS);
    }
}
