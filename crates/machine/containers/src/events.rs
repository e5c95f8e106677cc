//! Reduces the engine's events to hints that the node should observe again.
//! Hints only save time: the node's timer finds every change without them.

use crate::{ContainerSettings, create_request::is_ours, engine::Engine};
use bollard::{
    models::{EventMessage, EventMessageTypeEnum},
    query_parameters::EventsOptions,
};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// The pause after a hint. Starting one container causes several events.
const QUIET: Duration = Duration::from_millis(100);

/// First and longest wait before subscribing to events again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// The events that change the state of a container or the presence of an image.
const ACTIONS: &[&str] = &[
    "create", "start", "die", "stop", "oom", "destroy", "pause", "unpause", "rename", "pull",
    "load", "tag", "untag", "import", "delete",
];

/// Returns a stream of hints. The subscription ends when the stream is dropped.
pub(crate) fn hints(engine: Arc<Engine>, settings: ContainerSettings) -> BoxStream<'static, ()> {
    let (tx, mut rx) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = tx.closed() => {}
            () = subscribe_forever(&engine, &settings, &tx) => {}
        }
    });
    stream::poll_fn(move |cx| rx.poll_recv(cx)).boxed()
}

/// Subscribes to events again whenever the subscription ends. Never returns; the
/// caller drops the future.
async fn subscribe_forever(engine: &Engine, settings: &ContainerSettings, tx: &mpsc::Sender<()>) {
    let mut wait = BACKOFF.0;
    loop {
        if let Ok(api) = engine.api().await {
            let options = EventsOptions {
                filters: Some(filters()),
                ..Default::default()
            };
            // The stream ends at the first event that cannot be read.
            let events = api
                .events(Some(options))
                .take_while(|e| std::future::ready(e.is_ok()))
                .filter_map(|e| std::future::ready(e.ok()))
                .inspect(|_| wait = BACKOFF.0)
                .filter(|e| std::future::ready(is_relevant(e, settings)));
            coalesce(events, tx).await;
            tracing::debug!("Docker's event stream ended; subscribing again in {wait:?}");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

/// Sends a hint at once, one for each single event, one for all events within
/// [`QUIET`] of another, and one at the end, because the engine closed the
/// stream. Reads events without pause, so that the engine queues none.
async fn coalesce(events: impl Stream, tx: &mpsc::Sender<()>) {
    let mut events = std::pin::pin!(events);
    // The first hint covers changes before the subscription.
    let mut more = true;
    while more {
        hint(tx);
        let quiet = tokio::time::sleep(QUIET);
        tokio::pin!(quiet);
        // Events during the pause become one hint after it.
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

/// Sends a hint. One that is already waiting makes a second one unnecessary.
fn hint(tx: &mpsc::Sender<()>) {
    // Fails if a hint is waiting or the receiver was dropped; both are fine.
    let _ = tx.try_send(());
}

fn filters() -> std::collections::HashMap<String, Vec<String>> {
    let list = |values: &[&str]| values.iter().map(|&s| s.to_owned()).collect();
    [
        ("type".to_owned(), list(&["container", "image"])),
        ("event".to_owned(), list(ACTIONS)),
    ]
    .into()
}

/// Returns whether an event is about a container of ours or about any image.
/// Images are not compared: `docker load` reports only the image's id.
pub fn is_relevant(event: &EventMessage, settings: &ContainerSettings) -> bool {
    match event.typ {
        Some(EventMessageTypeEnum::IMAGE) => true,
        Some(EventMessageTypeEnum::CONTAINER) => {
            let attributes = event.actor.as_ref().and_then(|a| a.attributes.as_ref());
            // Docker puts a container's labels into the event's attributes.
            is_ours(attributes, settings)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::create_request::{INSTALLATION, MANAGED, owned};
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
    fn only_our_containers_and_images_are_relevant() {
        let s = ContainerSettings::new("image:1", AddressPlan::default());
        let ours = [(MANAGED, "1"), (INSTALLATION, "maliknode")];
        assert!(is_relevant(
            &event(EventMessageTypeEnum::CONTAINER, &ours),
            &s
        ));
        assert!(!is_relevant(
            &event(EventMessageTypeEnum::CONTAINER, &[]),
            &s
        ));
        assert!(is_relevant(&event(EventMessageTypeEnum::IMAGE, &[]), &s));
        assert!(!is_relevant(
            &event(EventMessageTypeEnum::VOLUME, &ours),
            &s
        ));
    }

    /// Counts the hints of an event stream until it ends, read without pause, and
    /// measures how long it took.
    async fn count_hints(events: impl Stream + Send + 'static) -> (usize, Duration) {
        let (tx, mut rx) = mpsc::channel(1);
        let started_at = tokio::time::Instant::now();
        let send = async {
            coalesce(events, &tx).await;
            drop(tx);
        };
        let count = async {
            let mut count = 0;
            while rx.recv().await.is_some() {
                count += 1;
            }
            count
        };
        let ((), count) = tokio::join!(send, count);
        (count, started_at.elapsed())
    }

    fn every(pause: Duration, events: usize) -> impl Stream {
        stream::iter(0..events).then(move |_| tokio::time::sleep(pause))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_read_at_once_and_becomes_few_hints() {
        // A machine that boots with a thousand containers causes such a burst.
        let (hints, took) = count_hints(stream::iter(0..1_000)).await;
        assert!(hints <= 3, "{hints}");
        assert!(took <= QUIET * 3, "{took:?}");
        let (hints, took) = count_hints(every(Duration::from_millis(1), 1_000)).await;
        assert!((10..=25).contains(&hints), "{hints} in {took:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_single_event_becomes_a_hint() {
        let (hints, _) = count_hints(every(Duration::from_secs(1), 20)).await;
        // The stream ends with the last event: one hint covers both.
        assert_eq!(hints, 1 + 20, "the first hint, the events and the end");
    }

    #[tokio::test(start_paused = true)]
    async fn unread_hints_do_not_hold_up_the_engine() {
        let (tx, mut rx) = mpsc::channel(1);
        coalesce(stream::iter(0..10_000), &tx).await;
        assert_eq!(rx.recv().await, Some(()));
        assert!(rx.try_recv().is_err(), "one hint is enough");
    }
}
