//! The `Containers` port: observe, start, remove, fetch the image, events.

use crate::{
    Docker,
    create_request::{REVISION, STOP_SECS, create_request, is_ours},
    engine::EngineError,
    errors::{foreign_container, image_missing, remove_failed, start_failed},
    events, list,
};
use async_trait::async_trait;
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListContainersOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions,
};
use domain::{ErrorCode, Message};
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

/// Timeout of a list. The engine needs 0.2 s for a thousand containers.
const LIST_TIMEOUT: Duration = Duration::from_secs(15);
/// Timeout of creating or inspecting a container.
const CREATE_TIMEOUT: Duration = Duration::from_secs(20);
/// Timeout of starting a container, on a machine that is booting.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Timeout of stopping and of removing a container, each.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a start is retried while another process creates or removes a
/// container of the same name.
const RETRY_FOR: Duration = Duration::from_secs(15);
/// The pause between two such tries.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

impl Docker {
    /// Returns the id of our container of this name, or `None` if there is none.
    async fn find_ours(&self, name: &str) -> PortResult<Option<String>> {
        Ok(self.find_with_revision(name).await?.map(|(id, _)| id))
    }

    /// Returns the id of the container that was created from `spec`, or `None`
    /// if there is none.
    ///
    /// # Errors
    /// `Busy` where our container of this name was created from another spec:
    /// for an earlier tenant of that name, or for another slot. The planner has
    /// it removed first.
    async fn find_matching(&self, spec: &ContainerSpec) -> PortResult<Option<String>> {
        let name = spec.docker_name();
        match self.find_with_revision(&name).await? {
            Some((_, revision)) if !spec.is_fitting(&revision, false) => Err(PortError::new(
                ErrorCode::Busy,
                Message::ContainerOfOtherSpec { name },
            )),
            found => Ok(found.map(|(id, _)| id)),
        }
    }

    /// Returns id and revision of our container of this name.
    async fn find_with_revision(&self, name: &str) -> PortResult<Option<(String, String)>> {
        let inspected = self
            .engine
            .call(CREATE_TIMEOUT, |api| async move {
                api.inspect_container(name, None::<InspectContainerOptions>)
                    .await
            })
            .await;
        match inspected {
            Ok(found) => {
                let labels = found.config.as_ref().and_then(|c| c.labels.as_ref());
                if !is_ours(labels, &self.settings) {
                    return Err(foreign_container(name));
                }
                let revision = labels.and_then(|l| l.get(REVISION)).cloned();
                Ok(found.id.map(|id| (id, revision.unwrap_or_default())))
            }
            Err(e) if e.has_status(404) => Ok(None),
            Err(e) => Err(e.into_port_error(
                ErrorCode::DockerUnavailable,
                Message::DockerContainerUninspected {
                    name: name.to_owned(),
                },
            )),
        }
    }

    /// Returns the id of the container that exists or was created. Returns
    /// `None` if the name was taken a moment ago and is free now.
    async fn create_or_find(&self, spec: &ContainerSpec) -> PortResult<Option<String>> {
        let name = spec.docker_name();
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..Default::default()
        };
        let request = create_request(spec, &self.settings);
        // Creates before it searches: nearly always no such container exists.
        let created = self
            .engine
            .call(CREATE_TIMEOUT, |api| async move {
                api.create_container(Some(options), request).await
            })
            .await;
        match created {
            Ok(created) => Ok(Some(created.id)),
            Err(e) if e.has_status(409) => self.find_matching(spec).await,
            Err(e) if e.has_status(404) && e.message_contains("no such image") => {
                self.forget_image().await;
                // A container created before the image was removed can still start.
                match self.find_matching(spec).await? {
                    Some(id) => Ok(Some(id)),
                    None => {
                        let missing = image_missing(&spec.image);
                        Err(e.into_port_error(ErrorCode::ImageMissing, missing))
                    }
                }
            }
            Err(e) => Err(start_failed(e, spec)),
        }
    }

    async fn unpause(&self, id: &str, spec: &ContainerSpec) -> PortResult<()> {
        self.engine
            .call(STOP_TIMEOUT, |api| async move {
                api.unpause_container(id).await
            })
            .await
            .map_err(|e| start_failed(e, spec))
    }

    async fn stop_and_remove(&self, id: &str) -> PortResult<()> {
        let stop = StopContainerOptions {
            t: Some(STOP_SECS),
            ..Default::default()
        };
        let stopped = self
            .engine
            .call(STOP_TIMEOUT, |api| async move {
                api.stop_container(id, Some(stop)).await
            })
            .await;
        if let Err(EngineError::Unreachable(e)) = stopped {
            return Err(e);
        }
        // After any other refusal, the forced removal below ends the container.
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        let removed = self
            .engine
            .call(STOP_TIMEOUT, |api| async move {
                api.remove_container(id, Some(options)).await
            })
            .await;
        match removed {
            Ok(()) => Ok(()),
            Err(e) if e.has_status(404) => Ok(()),
            Err(e) if e.has_status(409) => self.wait_until_removed(id).await,
            Err(e) => Err(remove_failed(e, id)),
        }
    }

    /// Waits for a removal that another client of the engine began.
    async fn wait_until_removed(&self, id: &str) -> PortResult<()> {
        for _ in 0..20 {
            if self.find_ours(id).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(PortError::new(
            ErrorCode::DnsUnavailable,
            Message::ContainerRemovalUnfinished { id: id.to_owned() },
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
        // One list of everything: our containers and foreign ones with such
        // names are then read at the same moment. Foreign containers are few.
        let list = self.engine.call(LIST_TIMEOUT, |api| async move {
            api.list_containers(Some(options)).await
        });
        let (list, image) = tokio::join!(list, self.image_present());
        let list = list.map_err(|e| {
            e.into_port_error(
                ErrorCode::DockerUnavailable,
                Message::DockerContainersUnlisted,
            )
        })?;
        Ok(list::observed(list, image?, &self.settings))
    }

    async fn start(&self, spec: &ContainerSpec) -> PortResult<()> {
        let name = spec.docker_name();
        let started_at = Instant::now();
        while started_at.elapsed() < RETRY_FOR {
            self.ensure_network().await?;
            let Some(id) = self.create_or_find(spec).await? else {
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            };
            let started = self
                .engine
                .call(START_TIMEOUT, |api| {
                    let id = id.clone();
                    async move {
                        api.start_container(&id, None::<StartContainerOptions>)
                            .await
                    }
                })
                .await;
            match started {
                Ok(()) => return Ok(()),
                // A container stores the id of the network it was created for.
                // Once that network was replaced, the container can never start.
                Err(e) if e.has_status(404) && e.message_contains("network") => {
                    self.forget_network().await;
                    self.stop_and_remove(&id).await?;
                }
                // dockerd died between starting the container and recording it.
                // containerd holds its task or its id, and the container can
                // never start ("task <id> already exists", "id already in use").
                Err(e)
                    if e.message_contains("already exists")
                        || e.message_contains("id already in use") =>
                {
                    self.stop_and_remove(&id).await?;
                }
                // An external change paused it. DNS should run, so it is resumed.
                Err(e) if e.message_contains("paused") => return self.unpause(&id, spec).await,
                Err(e) if e.has_status(404) || e.has_status(409) => {
                    tracing::debug!(%name, "not started yet: {e:?}");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(e) => return Err(start_failed(e, spec)),
            }
        }
        Err(PortError::new(
            ErrorCode::DnsUnavailable,
            Message::ContainerContended { name },
        ))
    }

    async fn remove(&self, id: &str) -> PortResult<()> {
        match self.find_ours(id).await? {
            Some(id) => self.stop_and_remove(&id).await,
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
