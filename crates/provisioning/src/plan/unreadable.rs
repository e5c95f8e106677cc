//! What certainly is not an unreadable tenant's. Everything else in its slot may be its
//! own and stays.

use crate::{
    observed::{ObservedContainer, ObservedInterface},
    spec::is_owners_revision,
};
use domain::marks::INTERFACE_ALIAS_PREFIX;
use protocol::UnreadableTenant;

/// Returns whether an interface of ours in the tenant's slot certainly is another
/// tenant's.
pub(crate) fn is_others_interface(t: &UnreadableTenant, i: &ObservedInterface) -> bool {
    let other_name = t.name.as_ref().is_some_and(|name| {
        let mark = i.owner.as_deref();
        let name_on_it = mark.and_then(|mark| mark.strip_prefix(INTERFACE_ALIAS_PREFIX));
        name_on_it != Some(name.as_str())
    });
    // Behind another key than its own the tenant's devices reach nothing.
    let other_key = t
        .owner
        .zip(i.public_key)
        .is_some_and(|(own, key)| own != key);
    other_name || other_key
}

/// Returns whether a container of ours in the tenant's slot certainly is another
/// tenant's.
pub(super) fn is_others_container(t: &UnreadableTenant, c: &ObservedContainer) -> bool {
    let other_name = t
        .name
        .as_ref()
        .is_some_and(|name| name.container() != c.name);
    let owner = t.owner.as_ref();
    let own = owner.and_then(|owner| is_owners_revision(owner, &c.revision));
    other_name || own == Some(false)
}
