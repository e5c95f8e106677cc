//! The output of `tc -j qdisc show` and `tc -j filter show`.
//!
//! - Token buckets are ours only with a handle of ours, and only a redirect of
//!   everything is a redirect.
//! - What is reported of a slot is intact only with rates that can be set.
//! - Sizes that overflow are damage and no panic.

use shaping::{
    links::Link,
    listing::{Filter, Place, filters, qdiscs},
    rate::Rate,
    state::{PREFERENCE, SlotState, is_our_handle},
};

pub(crate) fn run(data: &[u8]) {
    let lists = filters(data).unwrap_or_default();
    for filter in lists.iter().flatten().filter(|f| f.redirect.is_some()) {
        assert!(filter.matches, "a table of filters redirects nothing");
    }
    let Ok(all) = qdiscs(data) else {
        return;
    };
    let link = |name: &str, ifb| Link {
        index: 1,
        name: name.to_owned(),
        ifb,
        up: true,
    };
    let (interface, ifb) = (link("wg1", false), link("mnup1", true));
    let redirect = Filter {
        preference: PREFERENCE,
        redirect: Some(ifb.name.clone()),
        matches: true,
    };
    for roots in all.values() {
        let ours = roots
            .iter()
            .find(|q| q.place == Place::Root)
            .is_some_and(|q| q.kind == "tbf" && is_our_handle(q.handle));
        let links = (Some(&interface), None);
        let down = SlotState::new(links, (roots, &[]), &[]).observed(false);
        assert_eq!(down.is_some(), ours, "{roots:?}");
        let links = (Some(&interface), Some(&ifb));
        let filters = std::slice::from_ref(&redirect);
        let up = SlotState::new(links, (&[], roots), filters).observed(false);
        let up = up.expect("an ifb and a redirect are ours");
        assert_eq!(up.limits.up_bps.is_some(), ours);
        for observed in down.into_iter().chain([up]).filter(|o| o.intact) {
            let limits = [observed.limits.down_bps, observed.limits.up_bps];
            for bps in limits.into_iter().flatten() {
                Rate::from_bps(bps).expect("an intact limit can be set");
            }
        }
    }
}
