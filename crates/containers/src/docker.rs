//! The port's calls: observe, start, remove, fetch, events.

use crate::{
    ContainerSettings,
    body::{self, REVISION, STOP_SECS, is_ours},
    engine::{Engine, Trouble},
    events, image, listed,
    words::{foreign, not_removed, not_started},
};
use async_trait::async_trait;
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListContainersOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions,
};
use domain::ErrorCode;
use futures_util::stream::BoxStream;
use provisioning::{
    observed::ObservedContainers,
    ports::{Containers, PortError, PortResult},
    spec::ContainerSpec,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Longest wait for a list: a thousand containers take the engine 0.2 s.
const LIST: Duration = Duration::from_secs(15);
/// Longest wait for a container to be made, or looked at.
const MAKE: Duration = Duration::from_secs(20);
/// Longest wait for a container's start, on a machine that boots.
const START: Duration = Duration::from_secs(60);
/// Longest wait for a container's end and removal, each.
const STOP: Duration = Duration::from_secs(20);
/// How long a start is tried over while a name is held by a container that is
/// just being made or removed by somebody else, and how often.
const RETRY: (Duration, Duration) = (Duration::from_secs(15), Duration::from_millis(100));

/// DNS containers in a Docker engine.
#[derive(Debug)]
pub struct Docker {
    pub(crate) settings: ContainerSettings,
    pub(crate) engine: Arc<Engine>,
    pub(crate) network_seen: Mutex<Option<Instant>>,
    pub(crate) image_seen: Mutex<Option<Instant>>,
    pub(crate) pulling: Mutex<()>,
}

impl Docker {
    /// An engine by its settings. Nothing is connected until the first call.
    pub fn new(settings: ContainerSettings) -> Self {
        Self {
            engine: Arc::new(Engine::new(settings.host.as_deref())),
            settings,
            network_seen: Mutex::new(None),
            image_seen: Mutex::new(None),
            pulling: Mutex::new(()),
        }
    }

    /// The engine's version, e.g. `20.10.24 (API 1.41)`.
    ///
    /// # Errors
    /// `DockerUnavailable`, with what mends it.
    pub async fn ping(&self) -> PortResult<String> {
        let version = self
            .engine
            .call(LIST, |api| async move { api.version().await })
            .await
            .map_err(|t| {
                t.with(
                    ErrorCode::DockerUnavailable,
                    "Docker does not tell its version.",
                )
            })?;
        Ok(format!(
            "{} (API {})",
            version.version.as_deref().unwrap_or("unknown"),
            version.api_version.as_deref().unwrap_or("unknown")
        ))
    }

    /// The id of our container of this name; `None` where there is none.
    async fn ours(&self, name: &str) -> PortResult<Option<String>> {
        Ok(self.labelled(name).await?.map(|(id, _)| id))
    }

    /// The same where it was made from `spec`.
    ///
    /// # Errors
    /// `Busy` where it was made from something else: for an earlier tenant of
    /// that name, or for another slot. The planner has it removed first.
    async fn made_from(&self, spec: &ContainerSpec) -> PortResult<Option<String>> {
        let name = spec.tenant.container();
        match self.labelled(&name).await? {
            Some((_, revision)) if !spec.is_fitting(&revision, false) => Err(PortError::new(
                ErrorCode::Busy,
                format!("{name} was made from something else and is removed first."),
            )),
            found => Ok(found.map(|(id, _)| id)),
        }
    }

    /// Id and revision of our container of this name.
    async fn labelled(&self, name: &str) -> PortResult<Option<(String, String)>> {
        let looked = self
            .engine
            .call(MAKE, |api| async move {
                api.inspect_container(name, None::<InspectContainerOptions>)
                    .await
            })
            .await;
        match looked {
            Ok(found) => {
                let labels = found.config.as_ref().and_then(|c| c.labels.as_ref());
                if !is_ours(labels, &self.settings) {
                    return Err(foreign(name));
                }
                let revision = labels.and_then(|l| l.get(REVISION)).cloned();
                Ok(found.id.map(|id| (id, revision.unwrap_or_default())))
            }
            Err(t) if t.is(404) => Ok(None),
            Err(t) => Err(t.with(
                ErrorCode::DockerUnavailable,
                format!("Docker cannot look at the container {name}."),
            )),
        }
    }

    /// The id of the container that is there or was made; `None` where one was
    /// there a moment ago and is gone.
    async fn find_or_make(&self, spec: &ContainerSpec) -> PortResult<Option<String>> {
        let name = spec.tenant.container();
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..Default::default()
        };
        let body = body::container(spec, &self.settings);
        // Made first and looked for only then: nearly always it is not there.
        let made = self
            .engine
            .call(MAKE, |api| async move {
                api.create_container(Some(options), body).await
            })
            .await;
        match made {
            Ok(made) => Ok(Some(made.id)),
            Err(t) if t.is(409) => self.made_from(spec).await,
            Err(t) if t.is(404) && t.says("no such image") => {
                self.doubt_image().await;
                // One that was made before the image went can still start.
                match self.made_from(spec).await? {
                    Some(id) => Ok(Some(id)),
                    None => Err(t.with(ErrorCode::ImageMissing, image::missing(&spec.image))),
                }
            }
            Err(t) => Err(not_started(t, spec)),
        }
    }

    async fn unpause(&self, id: &str, spec: &ContainerSpec) -> PortResult<()> {
        self.engine
            .call(STOP, |api| async move { api.unpause_container(id).await })
            .await
            .map_err(|t| not_started(t, spec))
    }

    async fn remove_ours(&self, id: &str) -> PortResult<()> {
        let stop = StopContainerOptions {
            t: Some(STOP_SECS),
            ..Default::default()
        };
        let stopped = self
            .engine
            .call(STOP, |api| async move {
                api.stop_container(id, Some(stop)).await
            })
            .await;
        if let Err(Trouble::Down(e)) = stopped {
            return Err(e);
        }
        // Any other refusal: the forced removal below ends it all the same.
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        let removed = self
            .engine
            .call(STOP, |api| async move {
                api.remove_container(id, Some(options)).await
            })
            .await;
        match removed {
            Ok(()) => Ok(()),
            Err(t) if t.is(404) => Ok(()),
            Err(t) if t.is(409) => self.await_gone(id).await,
            Err(t) => Err(not_removed(t, id)),
        }
    }

    /// Waits for a removal that somebody else began.
    async fn await_gone(&self, id: &str) -> PortResult<()> {
        for _ in 0..20 {
            if self.ours(id).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(PortError::new(
            ErrorCode::DnsUnavailable,
            format!("Docker does not finish removing a DNS container: docker rm -f {id}"),
        ))
    }
}

#[async_trait]
impl Containers for Docker {
    async fn observe(&self) -> PortResult<ObservedContainers> {
        let options = ListContainersOptions {
            all: true,
            ..Default::default()
        };
        // One list of everything: ours by label and names like ours come from
        // the same moment, and other people's containers are few.
        let list = self.engine.call(LIST, |api| async move {
            api.list_containers(Some(options)).await
        });
        let (list, image) = tokio::join!(list, self.image_present());
        let list = list.map_err(|t| {
            t.with(
                ErrorCode::DockerUnavailable,
                "Docker does not list its containers.",
            )
        })?;
        Ok(listed::observed(list, image?, &self.settings))
    }

    async fn start(&self, spec: &ContainerSpec) -> PortResult<()> {
        let name = spec.tenant.container();
        let begun = Instant::now();
        while begun.elapsed() < RETRY.0 {
            self.ensure_network().await?;
            let Some(id) = self.find_or_make(spec).await? else {
                tokio::time::sleep(RETRY.1).await;
                continue;
            };
            let started = self
                .engine
                .call(START, |api| {
                    let id = id.clone();
                    async move {
                        api.start_container(&id, None::<StartContainerOptions>)
                            .await
                    }
                })
                .await;
            match started {
                Ok(()) => return Ok(()),
                // A container keeps the id of the network it was made for;
                // after that network was made anew it can never start.
                Err(t) if t.is(404) && t.says("network") => {
                    self.doubt_network().await;
                    self.remove_ours(&id).await?;
                }
                // dockerd died between starting it and writing that down:
                // containerd holds its task or its id, and it can never start
                // again ("task <id> already exists", "id already in use").
                Err(t) if t.says("already exists") || t.says("id already in use") => {
                    self.remove_ours(&id).await?;
                }
                // Somebody paused it: DNS should run, so it goes on.
                Err(t) if t.says("paused") => return self.unpause(&id, spec).await,
                Err(t) if t.is(404) || t.is(409) => {
                    tracing::debug!(%name, "not started yet: {t:?}");
                    tokio::time::sleep(RETRY.1).await;
                }
                Err(t) => return Err(not_started(t, spec)),
            }
        }
        Err(PortError::new(
            ErrorCode::DnsUnavailable,
            format!(
                "The name {name} is held by a container that comes and goes: docker events \
                 --filter container={name}"
            ),
        ))
    }

    async fn remove(&self, id: &str) -> PortResult<()> {
        match self.ours(id).await? {
            Some(id) => self.remove_ours(&id).await,
            None => Ok(()),
        }
    }

    async fn fetch_image(&self) -> PortResult<()> {
        self.pull().await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        events::hints(Arc::clone(&self.engine), self.settings.clone())
    }
}
