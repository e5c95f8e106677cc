//! The engine's events, boiled down to "look again". Events are a hint for
//! speed only: the node's timer finds everything without them.

use crate::{ContainerSettings, body::is_ours, engine::Engine};
use bollard::{
    models::{EventMessage, EventMessageTypeEnum},
    query_parameters::EventsOptions,
};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// After a hint nothing is said for this long: one container's start makes
/// several events.
const QUIET: Duration = Duration::from_millis(100);

/// First and longest wait before the engine is asked for events again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What changes the state of a container or the presence of an image.
const ACTIONS: &[&str] = &[
    "create", "start", "die", "stop", "oom", "destroy", "pause", "unpause", "rename", "pull",
    "load", "tag", "untag", "import", "delete",
];

/// Hints for as long as the stream is held.
pub(crate) fn hints(engine: Arc<Engine>, settings: ContainerSettings) -> BoxStream<'static, ()> {
    let (tx, mut rx) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = tx.closed() => {}
            () = watch(&engine, &settings, &tx) => {}
        }
    });
    stream::poll_fn(move |cx| rx.poll_recv(cx)).boxed()
}

/// Asks for events over and over. Returns never; the caller drops it.
async fn watch(engine: &Engine, settings: &ContainerSettings, tx: &mpsc::Sender<()>) {
    let mut wait = BACKOFF.0;
    loop {
        if let Ok(api) = engine.api().await {
            let options = EventsOptions {
                filters: Some(filters()),
                ..Default::default()
            };
            // Ends with the first that cannot be read.
            let events = api
                .events(Some(options))
                .take_while(|e| std::future::ready(e.is_ok()))
                .filter_map(|e| std::future::ready(e.ok()))
                .inspect(|_| wait = BACKOFF.0)
                .filter(|e| std::future::ready(concerns(e, settings)));
            follow(events, tx).await;
            tracing::debug!("Docker's events ended; asking again in {wait:?}");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

/// A hint at once, one for every event that comes alone, and one for all that
/// come within [`QUIET`] of another; at the end one more, because the engine
/// went. Events are always read on, so that the engine keeps none back.
async fn follow(events: impl Stream, tx: &mpsc::Sender<()>) {
    let mut events = std::pin::pin!(events);
    // Whatever happened while nobody listened is found by looking once.
    let mut more = true;
    while more {
        hint(tx);
        let quiet = tokio::time::sleep(QUIET);
        tokio::pin!(quiet);
        // Of what comes while it is quiet, one hint is left for afterwards.
        let mut joined = false;
        loop {
            tokio::select! {
                () = &mut quiet => break,
                event = events.next() => match event {
                    Some(_) => joined = true,
                    None => return hint(tx),
                }
            }
        }
        more = joined || events.next().await.is_some();
    }
    hint(tx);
}

/// A hint that is waiting already says all that a second one would.
fn hint(tx: &mpsc::Sender<()>) {
    // Full, or nobody listens any more.
    let _ = tx.try_send(());
}

fn filters() -> std::collections::HashMap<String, Vec<String>> {
    let list = |of: &[&str]| of.iter().map(|&s| s.to_owned()).collect();
    [
        ("type".to_owned(), list(&["container", "image"])),
        ("event".to_owned(), list(ACTIONS)),
    ]
    .into()
}

/// Whether an event is about a container of ours, or about any image: a
/// `docker load` names the image by its id only.
pub fn concerns(event: &EventMessage, settings: &ContainerSettings) -> bool {
    match event.typ {
        Some(EventMessageTypeEnum::IMAGE) => true,
        Some(EventMessageTypeEnum::CONTAINER) => {
            let attributes = event.actor.as_ref().and_then(|a| a.attributes.as_ref());
            // Docker lists a container's labels among an event's attributes.
            is_ours(attributes, settings)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{INSTALLATION, MANAGED, owned};
    use bollard::models::EventActor;
    use domain::AddressPlan;

    fn event(typ: EventMessageTypeEnum, labels: &[(&str, &str)]) -> EventMessage {
        EventMessage {
            typ: Some(typ),
            actor: Some(EventActor {
                id: Some("x".into()),
                attributes: Some(labels.iter().copied().map(owned).collect()),
            }),
            ..Default::default()
        }
    }

    #[test]
    fn only_our_containers_and_images_concern_us() {
        let s = ContainerSettings::new("image:1", AddressPlan::default());
        let ours = [(MANAGED, "1"), (INSTALLATION, "maliknode")];
        assert!(concerns(&event(EventMessageTypeEnum::CONTAINER, &ours), &s));
        assert!(!concerns(&event(EventMessageTypeEnum::CONTAINER, &[]), &s));
        assert!(concerns(&event(EventMessageTypeEnum::IMAGE, &[]), &s));
        assert!(!concerns(&event(EventMessageTypeEnum::VOLUME, &ours), &s));
    }

    /// Hints of a stream of events until it ends, read as fast as they come,
    /// and how long it took.
    async fn hints_of(events: impl Stream + Send + 'static) -> (usize, Duration) {
        let (tx, mut rx) = mpsc::channel(1);
        let begun = tokio::time::Instant::now();
        let follow = async {
            follow(events, &tx).await;
            drop(tx);
        };
        let count = async {
            let mut count = 0;
            while rx.recv().await.is_some() {
                count += 1;
            }
            count
        };
        let ((), count) = tokio::join!(follow, count);
        (count, begun.elapsed())
    }

    fn every(pause: Duration, events: usize) -> impl Stream {
        stream::iter(0..events).then(move |_| tokio::time::sleep(pause))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_read_at_once_and_becomes_few_hints() {
        // As when a machine boots with a thousand containers.
        let (hints, took) = hints_of(stream::iter(0..1_000)).await;
        assert!(hints <= 3, "{hints}");
        assert!(took <= QUIET * 3, "{took:?}");
        let (hints, took) = hints_of(every(Duration::from_millis(1), 1_000)).await;
        assert!((10..=25).contains(&hints), "{hints} in {took:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_event_that_comes_alone_is_hinted_at() {
        let (hints, _) = hints_of(every(Duration::from_secs(1), 20)).await;
        // The end comes with the last event: one hint says both.
        assert_eq!(hints, 1 + 20, "the first look, the events and the end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_does_not_look_costs_the_engine_nothing() {
        let (tx, mut rx) = mpsc::channel(1);
        follow(stream::iter(0..10_000), &tx).await;
        assert_eq!(rx.recv().await, Some(()));
        assert!(rx.try_recv().is_err(), "one is enough");
    }
}
