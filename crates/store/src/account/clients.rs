//! The browsers and networks that an account has signed in from.

use crate::{
    Result, Store, TicketHolder, TokenHash,
    db::{execute, fetch_all, fetch_optional},
    mail,
};
use domain::{MailContent, Timestamp};

/// The most clients of each kind that an account remembers; those seen last stay.
const MAX_OF_KIND: i64 = 20;

/// By what a client is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// The cookie of a browser.
    Browser,
    /// The prefix of an address.
    Network,
}

impl ClientKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Network => "network",
        }
    }
}

/// What of a client an account has signed in from before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownClients {
    pub browser: bool,
    pub network: bool,
}

impl Store {
    /// Returns which of these an account has signed in from. The hashes contain the account.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn known_clients(
        &self,
        holder: TicketHolder,
        browser: Option<&TokenHash>,
        network: &TokenHash,
    ) -> Result<KnownClients> {
        let (user, operator) = holder.columns();
        let sql = "SELECT kind FROM known_clients WHERE key_hash IN ($1, $2) \
                   AND (user_id = $3 OR operator_id = $4)";
        let (browser, network) = (browser.map_or("", TokenHash::as_str), network.as_str());
        let rows = fetch_all!(
            self.db.reader(),
            (String,),
            sql,
            browser,
            network,
            user,
            operator
        )?;
        let has = |kind: ClientKind| rows.iter().any(|(k,)| k == kind.as_str());
        Ok(KnownClients {
            browser: has(ClientKind::Browser),
            network: has(ClientKind::Network),
        })
    }

    /// Remembers a client of an account. One that is deleted meanwhile is no error. Of a browser
    /// that an account with others did not know, its holder is told by mail with `notice`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn remember_client(
        &self,
        holder: TicketHolder,
        kind: ClientKind,
        key: &TokenHash,
        notice: Option<&MailContent>,
        now: Timestamp,
    ) -> Result<()> {
        let (user, operator) = holder.columns();
        let kind = kind.as_str();
        let mut tx = self.db.begin().await?;
        let others = match notice {
            Some(_) => {
                let sql = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN key_hash = $4 THEN 1 ELSE 0 END), 0) \
                           FROM known_clients WHERE kind = $3 AND (user_id = $1 OR operator_id = $2)";
                let hash = key.as_str();
                fetch_optional!(tx.connection(), (i64, i64), sql, user, operator, kind, hash)?
            }
            None => None,
        };
        let sql = "INSERT INTO known_clients (key_hash, kind, user_id, operator_id, seen_at) \
                   VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (key_hash) DO UPDATE SET seen_at = excluded.seen_at";
        let key = key.as_str();
        match execute!(tx.connection(), sql, key, kind, user, operator, now.0) {
            Ok(_) => {}
            Err(e) if e.is_foreign_key_violation() => return Ok(()),
            Err(e) => return Err(e),
        }
        let sql = "DELETE FROM known_clients WHERE kind = $3 AND (user_id = $1 OR operator_id = $2) \
                   AND key_hash NOT IN (SELECT key_hash FROM known_clients \
                     WHERE kind = $3 AND (user_id = $1 OR operator_id = $2) \
                     ORDER BY seen_at DESC, key_hash LIMIT $4)";
        execute!(tx.connection(), sql, user, operator, kind, MAX_OF_KIND)?;
        if let (Some(content), Some((1.., 0))) = (notice, others) {
            mail::send_notice(&mut tx, holder, content, now).await?;
        }
        tx.commit().await
    }

    /// Removes the clients that were seen last before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_known_clients(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM known_clients WHERE seen_at < $1";
        execute!(self.db.writer(), sql, until.0)
    }
}
