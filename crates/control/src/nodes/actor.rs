//! Who changes nodes, as the audit log names it.

use domain::OwnerScope;
use store::Actor;

/// Returns who acts, for the audit log.
pub(super) fn actor<'a>(name: &'a str, operator: &'a OwnerScope) -> Actor<'a> {
    let origin = operator.origin();
    Actor { name, origin }
}
