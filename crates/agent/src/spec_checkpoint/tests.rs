//! The stored spec is the one that was in force, for a reader with the key, or
//! nothing.

use super::*;
use domain::Message;
use std::os::unix::fs::PermissionsExt;
use testkit::samples;

fn spec(generation: u64, tenants: u16) -> NodeSpec {
    let s = samples::settings(Path::new("/nowhere"));
    let tenants = (1..=tenants).map(|n| {
        let mut t = samples::tenant(&s, n, (n % 5) as u8);
        t.suspended = n % 3 == 0;
        (t.slot, t.into())
    });
    NodeSpec {
        generation,
        tenants: tenants.collect(),
        ..NodeSpec::default()
    }
}

fn checkpoint_in(root: &Path) -> SpecCheckpoint {
    SpecCheckpoint::new(root.join("last_spec"), Sealer::from_key([7; 32]), NodeId(1))
}

#[test]
fn a_stored_spec_is_read_back_and_sealed() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    assert!(checkpoint.read().unwrap().is_none());
    for spec in [spec(3, 12), spec(4, 0)] {
        checkpoint.write(&spec).unwrap();
        assert_eq!(checkpoint.read().unwrap(), Some(spec));
    }
    checkpoint.write(&spec(5, 1)).unwrap();
    let metadata = fs::metadata(checkpoint.path()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(checkpoint.path()).unwrap();
    let tenant = spec(5, 1).tenants.into_values().next().unwrap();
    let key = &tenant.private_key;
    assert!(!text.contains(key.expose().as_str()) && !text.contains("tenant"));
}

#[test]
fn a_damaged_file_is_an_error_and_no_spec() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    checkpoint.write(&spec(3, 2)).unwrap();
    let complete = fs::read(checkpoint.path()).unwrap();
    let half = &complete[..complete.len() / 2];
    for content in [&b""[..], b"v1:", b"\xff\xfe", half] {
        fs::write(checkpoint.path(), content).unwrap();
        let e = checkpoint.read().unwrap_err();
        assert_eq!(e.code, ErrorCode::BadConfiguration, "{content:?}");
        assert!(
            matches!(e.message, Message::CheckpointDamaged { .. }),
            "{e}"
        );
    }
    fs::write(checkpoint.path(), &complete).unwrap();
    let with = |key: u8, node: i64| {
        let (path, sealer) = (checkpoint.path().to_owned(), Sealer::from_key([key; 32]));
        SpecCheckpoint::new(path, sealer, NodeId(node))
    };
    for other in [with(8, 1), with(7, 2)] {
        assert_eq!(other.read().unwrap_err().code, ErrorCode::BadConfiguration);
    }
    fs::remove_file(checkpoint.path()).unwrap();
    fs::create_dir(checkpoint.path()).unwrap();
    let e = checkpoint.read().unwrap_err();
    assert_eq!(e.code, ErrorCode::DiskUnavailable);
}

/// A file that the version before the bytes wrote: the spec of protocol's golden
/// file, for node 1 with a key of sevens.
const LEGACY: &str = include_str!("fixtures/last_spec-1");

fn golden() -> NodeSpec {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/golden");
    let bytes = fs::read(Path::new(folder).join("spec-2.json")).unwrap();
    NodeSpec::from_bytes(&bytes).unwrap()
}

fn open(sealed: &str) -> String {
    let opened = Sealer::from_key([7; 32]).open(Purpose::LastSpec, "node 1", sealed);
    String::from_utf8(opened.unwrap().to_vec()).unwrap()
}

#[test]
fn an_old_file_is_read_and_then_replaced() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    fs::write(checkpoint.path(), LEGACY).unwrap();
    let read = checkpoint.read().unwrap().unwrap();
    assert_eq!(read, golden());
    let stored = || fs::read_to_string(checkpoint.path()).unwrap();
    assert_eq!(stored(), LEGACY, "reading changes nothing");
    checkpoint.write(&read).unwrap();
    let bytes = read.to_bytes().unwrap();
    assert_eq!(open(&stored()).as_bytes(), bytes.as_slice());
    assert_eq!(checkpoint.read().unwrap(), Some(read));
}

#[test]
fn a_newer_file_is_refused_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    let newer = br#"{"version": 4000000000, "tenants": "in another form"}"#;
    let sealer = Sealer::from_key([7; 32]);
    let sealed = sealer.seal(Purpose::LastSpec, "node 1", newer).unwrap();
    fs::write(checkpoint.path(), &sealed).unwrap();
    let e = checkpoint.read().unwrap_err();
    assert_eq!(e.code, ErrorCode::BadConfiguration);
    assert!(matches!(e.message, Message::CheckpointNewer { .. }), "{e}");
    assert_eq!(fs::read_to_string(checkpoint.path()).unwrap(), sealed);
}

#[test]
fn a_text_of_another_origin_is_no_spec() {
    let text = open(LEGACY);
    let parse = |text: &str| legacy::parse(text.as_bytes());
    assert_eq!(parse(&text), Some(golden()));
    let lines: Vec<&str> = text.lines().collect();
    for (i, line) in lines.iter().enumerate() {
        // Every line without its last word, and the text up to that line.
        let short = line.rsplit_once(' ').map_or("", |(head, _)| head);
        let mut cut = lines.clone();
        cut[i] = short;
        assert_ne!(parse(&(cut.join("\n") + "\n")), Some(golden()), "{i}");
        assert_eq!(parse(&lines[..i].join("\n")), None, "{i}");
    }
}
