//! The engine's events, boiled down to "look again". Events are a hint for
//! speed only: the node's timer finds everything without them.

use crate::{ContainerSettings, body::is_ours, engine::Engine};
use bollard::{
    models::{EventMessage, EventMessageTypeEnum},
    query_parameters::EventsOptions,
};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// After a hint nothing is said for this long: one container's start makes
/// several events.
const QUIET: Duration = Duration::from_millis(100);

/// First and longest wait before the engine is asked for events again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What changes the state of a container or the presence of an image.
const ACTIONS: &[&str] = &[
    "create", "start", "die", "oom", "destroy", "pause", "unpause", "rename", "pull", "load",
    "tag", "untag", "import", "delete",
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
            let mut events = std::pin::pin!(api.events(Some(options)));
            // Whatever happened while nobody listened is found by looking once.
            hint(tx).await;
            while let Some(Ok(event)) = events.next().await {
                wait = BACKOFF.0;
                if concerns(&event, settings) {
                    hint(tx).await;
                }
            }
            tracing::debug!("Docker's events ended; asking again in {wait:?}");
            // The engine went: that is a change too.
            hint(tx).await;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

/// A hint that is waiting already says all that a second one would.
async fn hint(tx: &mpsc::Sender<()>) {
    if tx.try_send(()).is_ok() {
        tokio::time::sleep(QUIET).await;
    }
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

    #[tokio::test]
    async fn a_burst_becomes_one_hint() {
        let (tx, mut rx) = mpsc::channel(1);
        for _ in 0..100 {
            hint(&tx).await;
        }
        assert_eq!(rx.recv().await, Some(()));
        assert!(rx.try_recv().is_err());
    }
}
