//! What is received is what the engine loads, whatever else is received.

use super::*;
use domain::Slot;
use protocol::{NodeSpec, wire::SpecFingerprints};
use std::{path::Path, sync::Arc};
use testkit::samples;

fn spec(generation: u64, tenants: u16) -> NodeSpec {
    let settings = samples::settings(Path::new("/nowhere"));
    let tenants = (1..=tenants).map(|n| {
        let tenant = samples::tenant(&settings, n, 1);
        (tenant.slot, Arc::new(tenant))
    });
    NodeSpec {
        generation,
        tenants: tenants.collect(),
        ..NodeSpec::default()
    }
}

fn prints(spec: &NodeSpec) -> SpecFingerprints {
    SpecFingerprints::of(spec, None).unwrap()
}

fn whole(spec: &NodeSpec) -> SpecUpdate {
    SpecUpdate::between(None, spec, &prints(spec), false)
}

#[tokio::test]
async fn nothing_is_loaded_before_the_first_answer() {
    let feed = RemoteFeed::default();
    assert!(feed.load(7).await.is_err());
    let query = feed.query(25);
    assert_eq!((query.since, query.digest, query.wait), (7, None, 25));
}

#[tokio::test]
async fn an_update_that_does_not_fit_makes_the_next_query_ask_for_all() {
    let feed = RemoteFeed::default();
    let (one, two) = (spec(1, 2), spec(2, 3));
    assert!(feed.take(whole(&one)).unwrap());
    assert!(feed.query(0).digest.is_some());
    // From a spec that the worker never had.
    let other = spec(1, 3);
    let update = SpecUpdate::between(Some(&prints(&other)), &two, &prints(&two), false);
    assert!(matches!(feed.take(update), Err(SpecUpdateError::Misfit)));
    assert_eq!(feed.query(0).digest, None);
    assert_eq!(feed.load(1).await.unwrap().spec, one, "it stays");
    assert!(feed.take(whole(&two)).unwrap());
    assert_eq!(feed.load(1).await.unwrap().spec, two);
    assert!(!feed.take(whole(&two)).unwrap(), "nothing new");
}

#[tokio::test]
async fn a_tenant_that_a_newer_control_plane_wrote_stays() {
    let feed = RemoteFeed::default();
    let one = spec(1, 2);
    feed.take(whole(&one)).unwrap();
    let mut two = spec(2, 2);
    let slot = Slot::new(2).unwrap();
    Arc::make_mut(two.tenants.get_mut(&slot).unwrap()).suspended = true;
    let update = SpecUpdate::between(Some(&prints(&one)), &two, &prints(&two), false);
    let bytes = update.to_bytes().unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    let newer = text.replace("\"suspended\":true", "\"suspended\":\"for a week\"");
    assert_ne!(text, newer);
    let update = SpecUpdate::from_bytes(newer.as_bytes()).unwrap();
    assert!(feed.take(update).unwrap());
    let loaded = feed.load(1).await.unwrap().spec;
    assert_eq!(loaded.generation, 2);
    assert!(loaded.unreadable.contains_key(&slot));
    assert_eq!(loaded.tenants[&slot], one.tenants[&slot], "what it had");
}

#[tokio::test]
async fn a_restore_is_said_until_it_is_in_force() {
    let feed = RemoteFeed::default();
    let restored = |spec: &NodeSpec| SpecUpdate::between(None, spec, &prints(spec), true);
    feed.take(restored(&spec(10, 2))).unwrap();
    // An ordinary change follows before the engine loads.
    feed.take(whole(&spec(11, 3))).unwrap();
    for _ in 0..2 {
        assert!(
            feed.load(9).await.unwrap().restored,
            "a load may be cancelled"
        );
    }
    assert!(!feed.load(11).await.unwrap().restored);
}

#[tokio::test]
async fn an_older_answer_that_comes_late_is_not_taken() {
    let feed = RemoteFeed::default();
    let (two, three) = (spec(2, 3), spec(3, 2));
    assert!(feed.take(whole(&three)).unwrap());
    let asked = feed.query(0);
    assert!(!feed.take(whole(&two)).unwrap());
    assert_eq!(feed.query(0), asked, "the next question is as before");
    assert_eq!(feed.load(3).await.unwrap().spec, three);
}
