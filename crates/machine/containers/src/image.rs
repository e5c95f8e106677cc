//! The AdGuard Home image: whether the engine has it, and how it is pulled.

pub use crate::reference::{split_digest, split_reference};

use crate::{Docker, engine::EngineError};
use bollard::query_parameters::{CreateImageOptions, TagImageOptions};
use domain::{ErrorCode, Message};
use futures_util::TryStreamExt;
use provisioning::ports::{PortError, PortResult};
use std::time::{Duration, Instant};

/// How long the presence of the image is not checked again. It is needed at
/// every tick, and the image is rarely removed.
const CHECK_VALID_FOR: Duration = Duration::from_secs(10);

/// Timeout of inspecting the image.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of a pull.
const PULL_TIMEOUT: Duration = Duration::from_secs(300);

impl Docker {
    /// Returns whether the engine has the image.
    pub(crate) async fn image_present(&self) -> PortResult<bool> {
        let mut seen_at = self.image_seen_at.lock().await;
        if seen_at.is_some_and(|at: Instant| at.elapsed() < CHECK_VALID_FOR) {
            return Ok(true);
        }
        let image = &self.settings.image;
        let inspected = self
            .engine
            .call(INSPECT_TIMEOUT, |api| async move {
                api.inspect_image(image).await
            })
            .await;
        *seen_at = None;
        match inspected {
            Ok(_) => {
                *seen_at = Some(Instant::now());
                Ok(true)
            }
            Err(e) if e.has_status(404) => Ok(false),
            Err(e) => Err(e.into_port_error(
                ErrorCode::DockerUnavailable,
                Message::DockerImageUninspected,
            )),
        }
    }

    /// Makes the next [`Docker::image_present`] check again. Called after the
    /// engine did not find the image.
    pub(crate) async fn forget_image(&self) {
        *self.image_seen_at.lock().await = None;
    }

    /// Pulls the image if the engine does not have it. One pull runs at a time;
    /// a second caller waits for it and then finds the image.
    pub(crate) async fn pull(&self) -> PortResult<()> {
        let _guard = self.pulling.lock().await;
        if self.image_present().await? {
            return Ok(());
        }
        let image = &self.settings.image;
        let (name, tag) = split_reference(image);
        let pinned = self.settings.digest.as_ref();
        let pinned = pinned.map(|digest| format!("{name}@{digest}"));
        let options = CreateImageOptions {
            from_image: Some(pinned.clone().unwrap_or_else(|| name.to_owned())),
            // The digest says which one it is, whatever the tag is by now.
            tag: tag.filter(|_| pinned.is_none()).map(str::to_owned),
            ..Default::default()
        };
        let named = TagImageOptions {
            repo: Some(name.to_owned()),
            tag: tag.map(str::to_owned),
        };
        tracing::info!(%image, "pulling the AdGuard Home image");
        let started_at = Instant::now();
        let pulled = self
            .engine
            .call(PULL_TIMEOUT, |api| async move {
                api.create_image(Some(options), None, None)
                    .try_for_each(|_| async { Ok(()) })
                    .await?;
                match pinned {
                    // What is pulled by its digest has no tag.
                    Some(pinned) => api.tag_image(&pinned, Some(named)).await,
                    None => Ok(()),
                }
            })
            .await;
        match pulled {
            // The stream of a faulty registry can end without an error.
            Ok(()) if self.image_present().await? => {
                tracing::info!(%image, took = ?started_at.elapsed(), "the AdGuard Home image was pulled");
                Ok(())
            }
            Ok(()) => Err(PortError::new(
                ErrorCode::ImageMissing,
                pull_failed(image, Message::PullSentNothing),
            )),
            Err(EngineError::Unreachable(e)) => Err(e),
            Err(e) => {
                let message = pull_failed(image, pull_failure_reason(&e));
                Err(e.into_port_error(ErrorCode::ImageMissing, message))
            }
        }
    }
}

/// Returns the message for a pull that failed.
fn pull_failed(image: &str, reason: Message) -> Message {
    Message::ImageNotPulled {
        image: image.to_owned(),
        reason: Box::new(reason),
    }
}

/// Returns why a pull failed, as something that an operator can act on.
pub fn pull_failure_reason(e: &EngineError) -> Message {
    if e.has_status(404) || e.message_contains("manifest unknown") {
        Message::PullAbsent
    } else if e.message_contains("toomanyrequests") {
        Message::PullLimited
    } else if e.message_contains("no space left") {
        Message::PullDiskFull
    } else {
        Message::PullUnreachable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_pull_is_reported_with_its_reason() {
        let e = EngineError::Response {
            status: 500,
            message: "Get https://registry-1.docker.io/v2/: dial tcp: lookup failed".into(),
        };
        assert_eq!(
            pull_failed("a/b:1", pull_failure_reason(&e)),
            Message::ImageNotPulled {
                image: "a/b:1".into(),
                reason: Box::new(Message::PullUnreachable),
            }
        );
    }
}
