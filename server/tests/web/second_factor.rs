//! The second factor that an owner must have, and codes that stand for it in tests.

use domain::{Clock, SystemClock};
use std::sync::atomic::{AtomicU64, Ordering};
use store::{AuditEntry, FactorKind, NewFactor, Store, TicketHolder, TokenHash};

/// How many sign-ins a test may make as an operator.
const CODES: u64 = 200;

/// The recovery codes of an operator, each of which works once: a test signs in more often than
/// an authenticator app has new codes.
pub struct Codes {
    name: String,
    next: AtomicU64,
}

impl Codes {
    /// Gives an operator an authenticator app and recovery codes.
    pub async fn give(store: &Store, name: &str) -> Self {
        let operator = store.operator_by_name(name).await.unwrap().unwrap();
        let holder = TicketHolder::Operator(operator.id);
        let entry = |action: &str| AuditEntry {
            at: SystemClock.now(),
            actor: format!("operator:{name}"),
            action: action.to_owned(),
            object: format!("operator:{name}"),
            ..AuditEntry::default()
        };
        if !operator.has_factor {
            let id = format!("factor-of-{name}");
            let new = NewFactor {
                id: &id,
                kind: FactorKind::Totp,
                holder,
                name: "",
                now: SystemClock.now(),
            };
            store.begin_factor(new, &[7; 20]).await.unwrap();
            let confirmed = store.confirm_factor(holder, &id, 0, entry("factor.add"));
            assert!(confirmed.await.unwrap());
        }
        let codes = Self {
            name: name.to_owned(),
            next: AtomicU64::new(0),
        };
        let hashes: Vec<_> = (0..CODES).map(|n| codes.code(n)).collect();
        let hashes: Vec<_> = hashes
            .into_iter()
            .map(|code| TokenHash::of(&domain::Secret::new(code)))
            .collect();
        let replaced = store.replace_recovery_codes(holder, &hashes, entry("recovery.replace"));
        replaced.await.unwrap();
        codes
    }

    /// Returns a code that was not used yet.
    pub fn next(&self) -> String {
        self.code(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns a code of 16 letters and digits, another one for each operator.
    fn code(&self, n: u64) -> String {
        let name: String = self
            .name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        format!("{:x>8.8}{n:08}", name.to_ascii_lowercase())
    }
}
