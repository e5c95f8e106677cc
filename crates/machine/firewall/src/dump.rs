//! Reads a table's chains, rules and sets' names over netlink
//! (`linux/netfilter/nf_tables.h`), without the sets' elements, except those of the map. `nft` reads all
//! elements of a table, even for a terse listing: 0.3 s of CPU time for the 100,000
//! that the kernel may have made in the table of limits.

use crate::{
    dump_map,
    listing::Listing,
    model::LIMITS_TABLE,
    netlink::{NFTABLES, ask},
};
use hostfs::netlink::{NLM_F_DUMP, NLM_F_DUMP_INTR, attribute};
use std::io;

/// `NFPROTO_INET`.
const INET: u8 = 1;
/// `NFT_MSG_GETTABLE`, `GETCHAIN`, `GETRULE`, `GETSET`. The answer's type is one less.
const GET: [u16; 4] = [1, 4, 7, 10];
/// How often a dump is begun again that a change has interrupted.
const ATTEMPTS: usize = 5;

/// Lists the table of limits; the listing is empty if there is no such table.
///
/// # Errors
/// The kernel's error, or `Interrupted` if the ruleset changed at each attempt.
pub(crate) fn limits() -> io::Result<Listing> {
    for _ in 0..ATTEMPTS {
        let mut listing = Listing::default();
        let mut whole = true;
        for kind in GET {
            whole &= dump(kind, |body| {
                // An object without one of its attributes is one we never write.
                if add(&mut listing, kind, body).is_none() {
                    listing.add_unexpected();
                }
            })?;
        }
        whole &= dump_map::add_to(&mut listing)?;
        if whole {
            return Ok(listing);
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

/// Requests all objects of a kind and calls `object` with the attributes of each.
/// Returns whether the ruleset stayed the same meanwhile.
fn dump(kind: u16, mut object: impl FnMut(&[u8])) -> io::Result<bool> {
    let mut whole = true;
    ask(NFTABLES | kind, NLM_F_DUMP, INET, |message, attributes| {
        whole &= message.flags() & NLM_F_DUMP_INTR == 0;
        if message.message_type() == NFTABLES | (kind - 1) {
            object(attributes);
        }
    })?;
    Ok(whole)
}

/// Adds an object to the listing if it is in our table. Returns `None` for one that
/// lacks an attribute.
fn add(listing: &mut Listing, kind: u16, object: &[u8]) -> Option<()> {
    let find = |number| attribute(object, number);
    // The attributes' numbers differ by kind; the table's name is always 1.
    if text(find(1)?)? != LIMITS_TABLE {
        return Some(());
    }
    match kind {
        // NFTA_TABLE_FLAGS
        1 => listing.add_table(find(2).is_some_and(|f| number(f) != Some(0))),
        4 => {
            // NFTA_CHAIN_HOOK with NFTA_HOOK_HOOKNUM and NFTA_HOOK_PRIORITY,
            // NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE
            let base = match find(4) {
                None => None,
                Some(hook) => {
                    let priority = number(attribute(hook, 2)?)?.cast_signed();
                    let index = usize::try_from(number(attribute(hook, 1)?)?).ok()?;
                    let name = *HOOKS.get(index)?;
                    let accepts = number(find(5)?)? == 1;
                    Some((
                        text(find(7)?)?.to_owned(),
                        name.to_owned(),
                        i64::from(priority),
                        if accepts { "accept" } else { "drop" }.to_owned(),
                    ))
                }
            };
            // NFTA_CHAIN_NAME
            listing.add_chain(text(find(3)?)?.to_owned(), base);
        }
        7 => {
            // NFTA_RULE_CHAIN, NFTA_RULE_USERDATA
            let comment = find(7).and_then(comment);
            listing.add_rule(text(find(2)?)?.to_owned(), comment);
        }
        // NFTA_SET_NAME
        _ => listing.add_set(text(find(2)?)?.to_owned()),
    }
    Some(())
}

/// The hooks of IP in the order of their numbers (`linux/netfilter.h`).
const HOOKS: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];

fn number(attribute: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(attribute.try_into().ok()?))
}

fn text(attribute: &[u8]) -> Option<&str> {
    std::str::from_utf8(attribute.strip_suffix(&[0])?).ok()
}

/// Finds the comment in a rule's user data: entries of a type (0 is the comment,
/// `libnftnl/udata.h`), a length and that many bytes.
fn comment(mut data: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = data {
        let value = rest.get(..usize::from(*length))?;
        if *kind == 0 {
            return text(value).map(str::to_owned);
        }
        data = rest.get(usize::from(*length)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_among_user_data() {
        let data = [1, 2, 9, 9, 0, 3, b'h', b'i', 0];
        assert_eq!(comment(&data).as_deref(), Some("hi"));
        for end in 0..data.len() {
            assert_eq!(comment(&data[..end]), None);
        }
    }

    #[test]
    fn objects_of_other_tables_are_skipped() {
        let mut listing = Listing::default();
        let other = b"\x0a\0\x01\0other\0\0\0";
        assert_eq!(add(&mut listing, 10, other), Some(()));
        assert!(!listing.has_set("other"));
        // A set without a name is unexpected.
        let ours = b"\x15\0\x01\0maliknode_limits\0\0\0\0";
        assert_eq!(add(&mut listing, 10, ours), None);
    }
}
