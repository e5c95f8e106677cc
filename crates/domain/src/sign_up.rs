//! Who may sign up: every visitor, those with an invitation, or none; and what an
//! invitation is.

use crate::{
    code::ErrorCode,
    failure::{Failure, Field},
    id::InvitationId,
    message::Message,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who may sign up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignUpMode {
    /// Every visitor.
    #[default]
    Open,
    /// A visitor with an invitation.
    Invite,
    /// No visitor.
    Closed,
}

impl SignUpMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Open, Self::Invite, Self::Closed];

    /// Returns its name in the configuration, the database and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invite => "invite",
            Self::Closed => "closed",
        }
    }

    /// Parses the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

impl fmt::Display for SignUpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an operator makes an invitation with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationTerms {
    /// The id of the plan that a tenant gets, which may be hidden; `None` lets the visitor
    /// choose a visible one.
    pub plan: Option<String>,
    /// How many tenants may sign up with it, 1 to [`Self::MAX_USES`].
    pub uses: u32,
    /// For how many hours it is valid, 1 to [`Self::MAX_HOURS`].
    pub hours: u32,
    /// What the operators want to know of it, in one line of at most [`Self::MAX_NOTE`]
    /// characters. Visitors do not read it.
    pub note: String,
}

impl InvitationTerms {
    pub const MAX_USES: u32 = 10_000;
    /// A year.
    pub const MAX_HOURS: u32 = 365 * 24;
    pub const MAX_NOTE: usize = 200;
    /// How many invitations are made at a time.
    pub const MAX_COUNT: u32 = 1_000;

    /// Checks the values.
    ///
    /// # Errors
    /// `InvitationMalformed` at the field.
    pub fn check(&self) -> Result<(), Failure> {
        let malformed =
            |field, message| Failure::at(field, ErrorCode::InvitationMalformed, message);
        if !(1..=Self::MAX_USES).contains(&self.uses) {
            let most = Self::MAX_USES.into();
            return Err(malformed(Field::Uses, Message::InvitationUses { most }));
        }
        if !(1..=Self::MAX_HOURS).contains(&self.hours) {
            let most = Self::MAX_HOURS.into();
            let message = Message::InvitationLifetime { most };
            return Err(malformed(Field::Lifetime, message));
        }
        // The length in bytes first, so that 10 MB are not counted.
        let is_long =
            self.note.len() > 4 * Self::MAX_NOTE || self.note.chars().count() > Self::MAX_NOTE;
        if is_long || self.note.contains(char::is_control) {
            let most = Self::MAX_NOTE as u64;
            return Err(malformed(Field::Note, Message::InvitationNote { most }));
        }
        Ok(())
    }
}

/// Whether an invitation can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvitationState {
    Open,
    UsedUp,
    Expired,
    Revoked,
    /// The plan that it is for was deleted.
    PlanGone,
}

impl InvitationState {
    /// Returns the failure of a sign-up with such an invitation; `None` if it can be used.
    pub fn failure(self) -> Option<Failure> {
        let (code, message) = match self {
            Self::Open => return None,
            Self::UsedUp => (ErrorCode::InvitationUsedUp, Message::InvitationUsedUp),
            Self::Expired => (ErrorCode::InvitationEnded, Message::InvitationExpired),
            Self::Revoked => (ErrorCode::InvitationEnded, Message::InvitationRevoked),
            Self::PlanGone => (ErrorCode::InvitationEnded, Message::InvitationPlanGone),
        };
        Some(Failure::at(Field::Invitation, code, message))
    }
}

/// An invitation as operators see it. Its code is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    /// The id of the plan; `None` for a choice of the visible ones.
    pub plan: Option<String>,
    /// How many tenants may sign up with it, and how many have.
    pub uses: u32,
    pub used: u32,
    pub note: String,
    /// Who made it, as the audit log names them, e.g. `operator:ada`.
    pub created_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub state: InvitationState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_one_name() {
        for mode in SignUpMode::ALL {
            let json = serde_json::to_string(&mode).unwrap();
            assert_eq!(json, format!("\"{mode}\""));
            assert_eq!(SignUpMode::parse(mode.as_str()), Some(mode));
        }
        assert_eq!(SignUpMode::parse("Open"), None);
    }

    #[test]
    fn terms_out_of_range_are_refused_at_their_field() {
        let good = InvitationTerms {
            plan: None,
            uses: 10_000,
            hours: 8_760,
            note: "ü".repeat(200),
        };
        assert!(good.check().is_ok());
        let field = |terms: InvitationTerms| terms.check().unwrap_err().field;
        for uses in [0, 10_001, u32::MAX] {
            let bad = InvitationTerms {
                uses,
                ..good.clone()
            };
            assert_eq!(field(bad), Some(Field::Uses));
        }
        for hours in [0, 8_761] {
            let bad = InvitationTerms {
                hours,
                ..good.clone()
            };
            assert_eq!(field(bad), Some(Field::Lifetime));
        }
        for note in ["ü".repeat(201), "two\nlines".to_owned()] {
            let bad = InvitationTerms {
                note,
                ..good.clone()
            };
            assert_eq!(field(bad), Some(Field::Note));
        }
    }
}
