//! The archive of a tenant's folder: a mark, entries, and a digest of all that.
//!
//! An entry is a tag, the length of its path (one byte), the path, and the length of the file
//! (eight bytes, the greatest first). The tag `F` is followed by the file's content; `K` says
//! that the file is as in the pass before. The tag `E` ends the archive; the SHA-256 of all
//! bytes before that tag follows. An archive has regular files and nothing else: no links, no
//! modes, no owners.

/// How an archive begins.
pub(super) const MARK: &[u8] = b"maliknode-folder-1\n";
/// A file with its content.
pub(super) const FILE: u8 = b'F';
/// A file that has not changed.
pub(super) const UNCHANGED: u8 = b'K';
/// The end.
pub(super) const END: u8 = b'E';
/// The length of the digest, in bytes.
pub(super) const DIGEST_BYTES: usize = 32;
/// The longest path, in bytes.
pub(super) const MAX_PATH_BYTES: usize = 200;
/// The most files of an archive. AdGuard Home has some dozens.
pub(super) const MAX_FILES: u64 = 5_000;
/// How deep folders lie in each other. AdGuard Home's are three deep.
pub(super) const MAX_DEPTH: usize = 6;
/// The folders of which there are copies: those that the container has.
pub(super) const TOP: [&str; 2] = ["conf", "work"];

/// Returns whether a file or folder of this name is copied. Those of other names are
/// AdGuard Home's temporary files, or none of its own.
pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let begins = name.bytes().next().is_some_and(|b| b != b'.' && b != b'-');
    begins && name.len() <= 100 && name.bytes().all(is_plain)
}

/// Returns whether an archive may have a file at this path. Every part is a plain name, so
/// the path leads nowhere but below the folder that it is relative to.
pub(super) fn is_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let is_deep = (2..=MAX_DEPTH).contains(&parts.len());
    let begins = parts.first().is_some_and(|top| TOP.contains(top));
    path.len() <= MAX_PATH_BYTES && is_deep && begins && parts.iter().all(|part| is_name(part))
}

/// Returns the head of an entry.
pub(super) fn head(tag: u8, path: &str, length: u64) -> Vec<u8> {
    let mut head = vec![tag, u8::try_from(path.len()).unwrap_or(u8::MAX)];
    head.extend(path.as_bytes());
    head.extend(length.to_be_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_the_two_folders_are_permitted() {
        for path in [
            "conf/AdGuardHome.yaml",
            "work/data/querylog.json.1",
            "work/data/filters/1700000000.txt",
        ] {
            assert!(is_path(path), "{path}");
        }
        let long = format!("work/{}", "a".repeat(101));
        let deep = format!("work/{}", "a/".repeat(9) + "b");
        for path in [
            "",
            "conf",
            "conf/",
            "/conf/a",
            "conf//a",
            "conf/../keys/private.key",
            "work/../../user_omar/wg1.conf",
            "work/./a",
            "keys/private.key",
            "wg1.conf",
            "work/.hidden",
            "work/-rf",
            "work/a b",
            "work/a\0b",
            "work/ä",
            "work/a\\b",
            "../conf/a",
            &long,
            &deep,
        ] {
            assert!(!is_path(path), "{path:?}");
        }
    }
}
