//! A control plane that is away, silent, or back with something newer, and a certificate
//! that has expired.

use super::control_plane::{Database, Link, Plane, spec, until, url};
use domain::{Clock, SystemClock, time::DAY_MILLIS};
use protocol::SpecFeed;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_killed_control_plane_leaves_the_spec_and_is_found_again() {
    let database = Database::new(spec(1, 2));
    let plane = Plane::start(&database).await;
    let address = plane.address;
    let link = Link::start(database.identity(SystemClock.now()), &[plane.url()]);
    link.until(1).await;
    plane.kill().await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(link.feed.load(1).await.unwrap().spec, spec(1, 2));
    }
    *database.spec.lock().unwrap() = spec(2, 3);
    let plane = Plane::start_at(&database, address).await;
    let back = Instant::now();
    assert_eq!(link.until(2).await, spec(2, 3));
    assert!(back.elapsed() < Duration::from_secs(8));
    // Calls are served again, too.
    let hub = plane.hub.nodes();
    let node = super::control_plane::NODE;
    until("calls", async || hub.statistics(node).await.is_ok()).await;
}

#[tokio::test]
async fn a_silent_control_plane_is_left_for_the_next() {
    let database = Database::new(spec(1, 2));
    let plane = Plane::start(&database).await;
    // It takes connections and says nothing, as behind a firewall that breaks.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let planes = [url(silent.local_addr().unwrap()), plane.url()];
    let link = Link::start(database.identity(SystemClock.now()), &planes);
    link.until(1).await;
}

#[tokio::test]
async fn an_expired_certificate_is_renewed_with_its_key() {
    let database = Database::new(spec(1, 2));
    let plane = Plane::start(&database).await;
    let now = SystemClock.now();
    let expired = database.identity(now.plus_millis(-40 * DAY_MILLIS));
    assert!(expired.check(now).unwrap().expired_for.is_some());
    let link = Link::start(expired.clone(), &[plane.url()]);
    link.until(1).await;
    let stored = link.stored.0.lock().unwrap().clone();
    let [renewed] = &stored[..] else {
        panic!("stored {} times", stored.len());
    };
    let (was, is) = (expired.check(now).unwrap(), renewed.check(now).unwrap());
    assert_eq!((is.expired_for, is.public_key), (None, was.public_key));
    assert_ne!(is.serial, was.serial);
    let hub = plane.hub.nodes();
    let node = super::control_plane::NODE;
    until("calls", async || hub.statistics(node).await.is_ok()).await;
    assert_eq!(*database.renewals.lock().unwrap(), 1);
}

#[tokio::test]
async fn half_of_a_certificates_life_is_used() {
    let database = Database::new(spec(1, 2));
    let plane = Plane::start(&database).await;
    let now = SystemClock.now();
    let young = database.identity(now.plus_millis(-14 * DAY_MILLIS));
    let old = database.identity(now.plus_millis(-16 * DAY_MILLIS));
    let link = Link::start(young, &[plane.url()]);
    link.until(1).await;
    assert_eq!(*database.renewals.lock().unwrap(), 0);
    drop(link);
    let link = Link::start(old, &[plane.url()]);
    until("a renewal", async || {
        link.stored.0.lock().unwrap().len() == 1
    })
    .await;
}
