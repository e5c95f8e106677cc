//! The AdGuard Home image: whether it is there, and how it is fetched.

use crate::{Docker, engine::Trouble};
use bollard::query_parameters::CreateImageOptions;
use domain::ErrorCode;
use futures_util::TryStreamExt;
use provisioning::ports::{PortError, PortResult};
use std::time::{Duration, Instant};

/// How long an image that was seen is not looked for again: it is asked for at
/// every tick and hardly ever goes.
const TRUSTED: Duration = Duration::from_secs(10);

/// Longest wait for the engine to look.
const LOOK: Duration = Duration::from_secs(10);

/// Longest pull.
const PULL: Duration = Duration::from_secs(300);

impl Docker {
    /// Whether the image is in the engine.
    pub(crate) async fn image_present(&self) -> PortResult<bool> {
        let mut seen = self.image_seen.lock().await;
        if seen.is_some_and(|at: Instant| at.elapsed() < TRUSTED) {
            return Ok(true);
        }
        let image = &self.settings.image;
        let looked = self
            .engine
            .call(LOOK, |api| async move { api.inspect_image(image).await })
            .await;
        *seen = None;
        match looked {
            Ok(_) => {
                *seen = Some(Instant::now());
                Ok(true)
            }
            Err(t) if t.is(404) => Ok(false),
            Err(t) => Err(t.with(
                ErrorCode::DockerUnavailable,
                "Docker cannot look for the AdGuard Home image.",
            )),
        }
    }

    /// Forgets that the image was seen, after a call that did not find it.
    pub(crate) async fn doubt_image(&self) {
        *self.image_seen.lock().await = None;
    }

    /// Pulls the image where it is not there. One pull at a time: whoever
    /// comes meanwhile waits for it and finds the image.
    pub(crate) async fn pull(&self) -> PortResult<()> {
        let _one = self.pulling.lock().await;
        if self.image_present().await? {
            return Ok(());
        }
        let image = &self.settings.image;
        let (name, tag) = split(image);
        let options = CreateImageOptions {
            from_image: Some(name.to_owned()),
            tag: tag.map(str::to_owned),
            ..Default::default()
        };
        tracing::info!(%image, "pulling the AdGuard Home image");
        let begun = Instant::now();
        let pulled = self
            .engine
            .call(PULL, |api| async move {
                api.create_image(Some(options), None, None)
                    .try_for_each(|_| async { Ok(()) })
                    .await
            })
            .await;
        match pulled {
            // A registry that answers oddly can end a stream without an error.
            Ok(()) if self.image_present().await? => {
                tracing::info!(%image, took = ?begun.elapsed(), "the AdGuard Home image is there");
                Ok(())
            }
            Ok(()) => Err(PortError::new(
                ErrorCode::ImageMissing,
                not_pulled(image, "the registry sent nothing"),
            )),
            Err(Trouble::Down(e)) => Err(e),
            Err(t) => {
                let sentence = not_pulled(image, why(&t));
                Err(t.with(ErrorCode::ImageMissing, sentence))
            }
        }
    }
}

/// What a tenant's DNS waits for, and what an operator does about it.
pub(crate) fn missing(image: &str) -> String {
    format!("Waiting for the AdGuard Home image: run `./dev image`, or `docker pull {image}`.")
}

fn not_pulled(image: &str, why: &str) -> String {
    format!(
        "The AdGuard Home image cannot be pulled ({why}): run `./dev image`, or `docker pull {image}`."
    )
}

/// The engine's words for a failed pull, shortened to what a person can use.
pub fn why(t: &Trouble) -> &'static str {
    if t.is(404) || t.says("manifest unknown") {
        "the registry does not have it"
    } else if t.says("toomanyrequests") {
        "the registry allows no more pulls for now"
    } else if t.says("no space left") {
        "the disk is full"
    } else {
        "the image registry is not reachable"
    }
}

/// A reference's name and tag. A port in the registry's name is no tag, and a
/// digest stays with the name.
pub fn split(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && !image.contains('@') => (name, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_at_its_tag_only() {
        assert_eq!(
            split("adguard/adguardhome:v0.107.79"),
            ("adguard/adguardhome", Some("v0.107.79"))
        );
        assert_eq!(split("localhost:5000/agh"), ("localhost:5000/agh", None));
        assert_eq!(
            split("localhost:5000/agh:1"),
            ("localhost:5000/agh", Some("1"))
        );
        assert_eq!(split("agh@sha256:abc"), ("agh@sha256:abc", None));
    }

    #[test]
    fn a_failed_pull_says_why_and_what_to_do() {
        let t = Trouble::Answer {
            status: 500,
            message: "Get https://registry-1.docker.io/v2/: dial tcp: lookup failed".into(),
        };
        let sentence = not_pulled("a/b:1", why(&t));
        assert!(sentence.contains("not reachable") && sentence.contains("docker pull a/b:1"));
        assert!(missing("a/b:1").contains("./dev image"));
    }
}
