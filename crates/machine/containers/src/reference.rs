//! Names of images.

/// Splits `name:tag@digest` into `name:tag`, under which the engine has the image, and the
/// digest, by which it is pulled. Without a tag, the digest is part of the name.
pub fn split_digest(image: &str) -> (&str, Option<&str>) {
    match image.split_once('@') {
        Some((local, digest)) if split_reference(local).1.is_some() => (local, Some(digest)),
        _ => (image, None),
    }
}

/// Splits an image reference into name and tag. A port in the registry's name is
/// not a tag, and a digest stays with the name.
pub fn split_reference(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && !image.contains('@') => (name, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_only_at_its_tag() {
        assert_eq!(
            split_reference("adguard/adguardhome:v0.107.79"),
            ("adguard/adguardhome", Some("v0.107.79"))
        );
        assert_eq!(
            split_reference("localhost:5000/agh"),
            ("localhost:5000/agh", None)
        );
        assert_eq!(
            split_reference("localhost:5000/agh:1"),
            ("localhost:5000/agh", Some("1"))
        );
        assert_eq!(split_reference("agh@sha256:abc"), ("agh@sha256:abc", None));
    }

    #[test]
    fn a_digest_beside_a_tag_is_what_is_pulled() {
        let pinned = "localhost:5000/agh:1@sha256:abc";
        assert_eq!(
            split_digest(pinned),
            ("localhost:5000/agh:1", Some("sha256:abc"))
        );
        for alone in [
            "agh:1",
            "agh",
            "agh@sha256:abc",
            "localhost:5000/agh@sha256:abc",
        ] {
            assert_eq!(split_digest(alone), (alone, None));
        }
    }
}
