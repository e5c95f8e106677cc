//! What an operator has who signed in: a permission, or, for an owner without a second factor,
//! only the right to add one.

use crate::{
    failure::Failure,
    scope::{OperatorPermission, OperatorRole},
};

/// An owner who has no second factor yet. It permits nothing but to add one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerWithoutFactor {
    name: String,
}

impl OwnerWithoutFactor {
    /// Returns the operator's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the actor as the audit log records it.
    pub fn actor(&self) -> String {
        format!("operator:{}", self.name)
    }
}

/// What an operator has who signed in. It is the only source of an [`OperatorPermission`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorAdmission {
    /// The permission of its role.
    Admitted(OperatorPermission),
    /// An owner who has to add a second factor first.
    FactorNeeded(OwnerWithoutFactor),
}

impl OperatorAdmission {
    /// Issues what the operator of this name has, by its role and whether it has a second factor.
    /// The caller must have checked the session.
    pub fn issue(role: OperatorRole, name: impl Into<String>, has_factor: bool) -> Self {
        let name = name.into();
        match (role, has_factor) {
            (OperatorRole::Owner, false) => Self::FactorNeeded(OwnerWithoutFactor { name }),
            _ => Self::Admitted(OperatorPermission::issue(role, name)),
        }
    }

    /// Says where the request came from, for the audit log: a prefix of its address.
    #[must_use]
    pub fn with_origin(self, origin: impl Into<String>) -> Self {
        match self {
            Self::Admitted(permission) => Self::Admitted(permission.with_origin(origin)),
            Self::FactorNeeded(owner) => Self::FactorNeeded(owner),
        }
    }

    /// Returns the operator's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Admitted(permission) => permission.name(),
            Self::FactorNeeded(owner) => owner.name(),
        }
    }

    /// Returns the actor as the audit log records it.
    pub fn actor(&self) -> String {
        match self {
            Self::Admitted(permission) => permission.actor(),
            Self::FactorNeeded(owner) => owner.actor(),
        }
    }

    /// Returns the permission.
    ///
    /// # Errors
    /// `SecondFactorRequired` for an owner without a second factor.
    pub fn permission(&self) -> Result<&OperatorPermission, Failure> {
        match self {
            Self::Admitted(permission) => Ok(permission),
            Self::FactorNeeded(_) => Err(Failure::second_factor_required()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::ErrorCode;

    #[test]
    fn an_owner_alone_needs_a_second_factor() {
        for role in OperatorRole::ALL {
            for has_factor in [false, true] {
                let admission = OperatorAdmission::issue(role, "ada", has_factor);
                let admission = admission.with_origin("192.0.2.7");
                let is_admitted = has_factor || role != OperatorRole::Owner;
                assert_eq!(
                    (admission.name(), admission.actor()),
                    ("ada", "operator:ada".to_owned())
                );
                match admission.permission() {
                    Ok(permission) => {
                        assert!(is_admitted, "{role:?}");
                        assert_eq!(
                            (permission.role(), permission.origin()),
                            (role, "192.0.2.7")
                        );
                    }
                    Err(f) => {
                        assert!(!is_admitted, "{role:?}");
                        assert_eq!(f.code, ErrorCode::SecondFactorRequired);
                    }
                }
            }
        }
    }
}
