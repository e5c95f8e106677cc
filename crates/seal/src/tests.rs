use super::*;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

const P: Purpose = Purpose::DeviceKey;

#[test]
fn a_sealed_value_opens_only_for_its_owner() {
    let s = Sealer::from_key([7; 32]);
    let sealed = s.seal(P, "a", b"secret").unwrap();
    assert!(sealed.starts_with("v1:") && !sealed.contains("secret"));
    assert_eq!(s.open(P, "a", &sealed).unwrap().as_slice(), b"secret");
    assert!(s.open(P, "b", &sealed).is_err());
    assert!(s.open(Purpose::DevicePresharedKey, "a", &sealed).is_err());
    assert!(Sealer::from_key([8; 32]).open(P, "a", &sealed).is_err());
    assert_ne!(
        s.seal(P, "a", b"secret").unwrap(),
        sealed,
        "the nonce is new"
    );
    assert_eq!(format!("{s:?}"), "[redacted]");
}

#[test]
fn a_changed_or_truncated_value_does_not_open() {
    let s = Sealer::from_key([7; 32]);
    let sealed = s.seal(P, "a", b"secret").unwrap();
    for i in 0..sealed.len() {
        let mut other = sealed.clone().into_bytes();
        other[i] = if other[i] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert!(s.open(P, "a", &other).is_err(), "{i}");
        assert!(s.open(P, "a", &sealed[..i]).is_err(), "{i}");
    }
}

#[test]
fn the_key_file_is_private_and_reused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seal.key");
    let sealed = Sealer::from_key_file(&path)
        .unwrap()
        .seal(P, "a", b"x")
        .unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&path).unwrap().len(), 45);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no temporary file is left"
    );
    let again = Sealer::from_key_file(&path).unwrap();
    assert!(again.open(P, "a", &sealed).is_ok());
}

#[test]
fn concurrent_creators_use_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seal.key");
    let sealers: Vec<_> = std::thread::scope(|s| {
        let made: Vec<_> = (0..8)
            .map(|_| s.spawn(|| Sealer::from_key_file(&path)))
            .collect();
        made.into_iter()
            .map(|t| t.join().unwrap().unwrap())
            .collect()
    });
    let sealed = sealers[0].seal(P, "a", b"x").unwrap();
    assert!(sealers.iter().all(|s| s.open(P, "a", &sealed).is_ok()));
}

#[test]
fn a_public_or_invalid_key_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seal.key");
    Sealer::from_key_file(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let e = Sealer::from_key_file(&path).unwrap_err();
    assert!(matches!(e, SealError::Permissions { .. }), "{e}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let (long, short) = ("A".repeat(10_000), STANDARD.encode([1; 31]));
    let contents: [&[u8]; 5] = [
        b"",
        b"nonsense",
        long.as_bytes(),
        &[0xff; 45],
        short.as_bytes(),
    ];
    for content in contents {
        fs::write(&path, content).unwrap();
        let e = Sealer::from_key_file(&path).unwrap_err();
        assert!(matches!(e, SealError::Content { .. }), "{e}");
    }
    let e = Sealer::from_key_file(&dir.path().join("no/seal.key")).unwrap_err();
    assert!(matches!(e, SealError::File { .. }), "{e}");
}

#[test]
fn a_changed_key_opens_what_the_former_sealed_until_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seal.key");
    let before = Sealer::from_key_file(&path).unwrap();
    let sealed = before.seal(P, "a", b"secret").unwrap();

    let both = Sealer::begin_key_change(&path).unwrap();
    assert_eq!(both.open(P, "a", &sealed).unwrap().as_slice(), b"secret");
    let again = both.reseal(P, "a", &sealed).unwrap().unwrap();
    assert!(
        before.open(P, "a", &again).is_err(),
        "the new key sealed it"
    );
    assert_eq!(both.reseal(P, "a", &again).unwrap(), None);
    assert!(both.reseal(P, "b", &sealed).is_err());

    // An interrupted change goes on with the same keys.
    let keys = fs::read(&path).unwrap();
    Sealer::begin_key_change(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), keys);

    Sealer::finish_key_change(&path).unwrap();
    let after = Sealer::from_key_file(&path).unwrap();
    assert_eq!(after.open(P, "a", &again).unwrap().as_slice(), b"secret");
    assert!(after.open(P, "a", &sealed).is_err());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_file_of_more_than_two_keys_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seal.key");
    Sealer::begin_key_change(&path).unwrap_err();
    Sealer::from_key_file(&path).unwrap();
    let line = fs::read_to_string(&path).unwrap();
    for text in [
        format!("{line}{line}x"),
        format!("{line}no key\n"),
        line.repeat(3),
    ] {
        fs::write(&path, text).unwrap();
        assert!(matches!(
            Sealer::from_key_file(&path),
            Err(SealError::Content { .. })
        ));
    }
}
