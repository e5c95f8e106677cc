//! The table of a network namespace of the test's own: real connections of two
//! tenants through address translation, single entries, and a full table. The tests
//! need root, `nft` and `ip`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod entries;
mod made;
mod scale;
mod traffic;

use conntrack::Conntrack;
use domain::{AddressPlan, Slot};
use std::{collections::BTreeMap, future::Future};
use testkit::namespace::Namespace;

/// Runs a future in a namespace. The threads of the blocking pool inherit it from the
/// thread that starts them.
fn run<T: Send + 'static, F: Future<Output = T>>(
    ns: &Namespace,
    work: impl FnOnce() -> F + Send + 'static,
) -> T {
    ns.run(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.build().unwrap().block_on(work())
    })
}

/// Returns the entries of each slot.
fn counts(ns: &Namespace) -> BTreeMap<u16, u64> {
    let plan = AddressPlan::default();
    let counts = run(ns, move || async move { Conntrack.counts(&plan).await });
    let counts = counts.unwrap().into_iter();
    counts
        .map(|(slot, n): (Slot, u64)| (slot.get(), n))
        .collect()
}
