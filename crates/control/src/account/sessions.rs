//! The sessions of the own account: listed and ended.

use super::Account;
use crate::{auth::AccountScope, failures::store_failure};
use domain::{Failure, view::SessionRow};
use store::{SessionKey, SessionListing, SessionRef};

/// What begins the id of a browser's session in a list.
const BROWSER: &str = "b-";
/// What begins the id of a session of the API in a list.
const API: &str = "a-";
/// The longest id that is looked up, in bytes.
const MAX_ID_BYTES: usize = 64;

/// Returns a session's id as lists show it: the key of a browser's session is base64, of which
/// an address may not have all characters (RFC 4648, 5).
fn shown_id(session: &SessionRef) -> String {
    match session {
        SessionRef::Browser(key) => {
            let text = key.as_str().trim_end_matches('=');
            format!("{BROWSER}{}", text.replace('+', "-").replace('/', "_"))
        }
        SessionRef::Api(id) => format!("{API}{id}"),
    }
}

fn parse_id(id: &str) -> Option<SessionRef> {
    if id.len() > MAX_ID_BYTES {
        return None;
    }
    if let Some(key) = id.strip_prefix(BROWSER) {
        // 32 bytes are 43 characters and one of padding.
        let key = format!("{}=", key.replace('-', "+").replace('_', "/"));
        return Some(SessionRef::Browser(SessionKey::of_text(key)));
    }
    let id = id.strip_prefix(API)?;
    Some(SessionRef::Api(id.to_owned()))
}

fn row(listing: SessionListing, current: &SessionRef) -> SessionRow {
    SessionRow {
        id: shown_id(&listing.session),
        is_current: listing.session == *current,
        kind: listing.kind,
        browser: listing.browser,
        system: listing.system,
        address: listing.address,
        begun: listing.begun,
        used: listing.used,
        expires: listing.expires,
    }
}

impl Account<'_> {
    /// Returns the account's sessions, those used last first.
    ///
    /// # Errors
    /// `SignedOut`, `DatabaseUnavailable`.
    pub async fn sessions(self, scope: &AccountScope) -> Result<Vec<SessionRow>, Failure> {
        let account = self.record(scope).await?;
        let sessions = self.0.store.sessions_of(account.holder, self.now()).await;
        let sessions = sessions.map_err(store_failure)?;
        let rows = sessions.into_iter().map(|s| row(s, scope.session()));
        Ok(rows.collect())
    }

    /// Ends one of the account's sessions, with those that came of it. It is over with its next
    /// request.
    ///
    /// # Errors
    /// `NotFound`, also for another account's; `TooManyTries`.
    pub async fn end_session(self, scope: &AccountScope, id: &str) -> Result<(), Failure> {
        let account = self.record(scope).await?;
        let session = parse_id(id).ok_or_else(Failure::not_found)?;
        self.count_change(&account)?;
        let entry = self.entry(&account, "session.end", None);
        let ended = self.0.store.end_session(account.holder, &session, entry);
        ended.await.map_err(store_failure)?;
        self.notify(&account);
        Ok(())
    }

    /// Ends the account's sessions but for this one and those that came of it. Returns how many
    /// there were. API tokens stay.
    ///
    /// # Errors
    /// `TooManyTries`, `DatabaseUnavailable`.
    pub async fn end_other_sessions(self, scope: &AccountScope) -> Result<u64, Failure> {
        let account = self.record(scope).await?;
        self.count_change(&account)?;
        let entry = self.entry(&account, "session.end-others", None);
        let store = &self.0.store;
        let ended = store.end_other_sessions(account.holder, scope.session(), entry);
        let ended = ended.await.map_err(store_failure)?;
        self.notify(&account);
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};

    #[test]
    fn an_id_is_safe_in_an_address_and_is_read_back() {
        let keys = [[0xff; 32], [0xfb; 32], [0; 32]];
        let mut sessions = keys
            .map(|key| SessionRef::Browser(SessionKey::of_text(STANDARD.encode(key))))
            .to_vec();
        sessions.push(SessionRef::Api("00ff".to_owned()));
        for session in sessions {
            let id = shown_id(&session);
            let is_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(id.chars().all(is_safe), "{id}");
            assert_eq!(parse_id(&id), Some(session));
        }
        assert_eq!(parse_id("c-1"), None);
        assert_eq!(parse_id(&format!("a-{}", "0".repeat(100))), None);
    }
}
