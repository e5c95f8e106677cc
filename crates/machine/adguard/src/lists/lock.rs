//! Our list, for devices whose policy is a lock, or *off*. For a lock it has names of resolvers
//! that encrypt, blocked for clients with our tag alone. The table of the firewall refuses the
//! addresses; a program that asks for a name first learns here that it is not to be had. For
//! *off* it has rules that let every name pass; clients get the tag of these only while the
//! instance is known to apply them ([`crate::policy::Means`]).
//!
//! AdGuard Home itself answers two questions for every device: that Firefox shall not choose
//! a resolver of its own (`use-application-dns.net`, NXDOMAIN), and that there is no
//! encrypted resolver to change to (`_dns.resolver.arpa`, RFC 9462, no data).

use super::{
    folder::ListFolder,
    list::{List, ListSource},
};
use crate::policy::{LOCK_TAG, OFF_TAG};
use provisioning::{
    hash::content_hash,
    known_resolvers::{RELAY_NAMES, names},
};
use std::fmt::Write;

/// Its fixed number, far from those of the operator's lists.
const ID: u32 = 1000;

/// Returns the list, whose file is in the folder.
pub(super) fn list(folder: &ListFolder) -> List {
    let mut list = List {
        id: ID,
        name: "Encrypted DNS".to_owned(),
        source: ListSource::Path(std::path::PathBuf::new()),
    };
    list.source = ListSource::Path(folder.path(&list));
    list
}

/// Returns its rules.
pub(crate) fn text() -> String {
    let mut text = "! Title: Encrypted DNS\n\
         ! Devices with the policy Strict or Family have the tag of these rules; those with the\n\
         ! policy Off have the tag of those that let every name pass.\n"
        .to_owned();
    for name in names() {
        let _ = writeln!(text, "||{name}^$ctag={LOCK_TAG}");
    }
    // The answer that Apple asks for; a blocked name would be tried for a while.
    for name in RELAY_NAMES {
        let _ = writeln!(text, "|{name}^$dnsrewrite=NXDOMAIN;;,ctag={LOCK_TAG}");
    }
    text + &off_rules() + &mark_rule() + "\n"
}

/// Returns the rules for devices without a filter: every name passes, and no rule of another
/// list redirects one. Rewrites come before rules, so such a device finds the others.
fn off_rules() -> String {
    format!("@@/.*/$ctag={OFF_TAG},important\n@@/.*/$ctag={OFF_TAG},important,dnsrewrite\n")
}

/// Returns the name whose rule is in force wherever those for devices without a filter are:
/// AdGuard Home says of a name which rule applies to it. Other rules have another name, so
/// that an earlier list is not taken for this one. `.invalid` has no names (RFC 6761, 6.4).
pub(crate) fn mark_name() -> String {
    let hash = content_hash(off_rules().as_bytes());
    format!("off-{hash:016x}.maliknode.invalid")
}

/// Returns the rule of [`mark_name`]. It applies while protection is off too, as rewrites do.
pub(crate) fn mark_rule() -> String {
    format!("|{}^$dnsrewrite=NXDOMAIN;;", mark_name())
}
