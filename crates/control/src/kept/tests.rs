//! What was kept is what was in force, for whoever has the key, or nothing.

use super::*;
use std::{
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicU64, Ordering},
};
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
    }
}

fn file(root: &Path) -> KeptSpec {
    KeptSpec::new(root.join("last_spec"), Sealer::from_key([7; 32]), NodeId(1))
}

#[test]
fn a_spec_comes_back_as_it_was_and_nobody_else_reads_it() {
    let root = tempfile::tempdir().unwrap();
    let kept = file(root.path());
    assert!(kept.read().unwrap().is_none());
    for spec in [spec(3, 12), spec(4, 0)] {
        kept.write(&spec).unwrap();
        assert_eq!(kept.read().unwrap(), Some(spec));
    }
    kept.write(&spec(5, 1)).unwrap();
    let mode = fs::metadata(kept.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(kept.path()).unwrap();
    let tenant = spec(5, 1).tenants.into_values().next().unwrap();
    let key = &tenant.private_key;
    assert!(!text.contains(key.expose().as_str()) && !text.contains("tenant"));
}

#[test]
fn a_damaged_file_is_a_sentence_and_no_spec() {
    let root = tempfile::tempdir().unwrap();
    let kept = file(root.path());
    kept.write(&spec(3, 2)).unwrap();
    let whole = fs::read(kept.path()).unwrap();
    for content in [&b""[..], b"v1:", b"\xff\xfe", &whole[..whole.len() / 2]] {
        fs::write(kept.path(), content).unwrap();
        let e = kept.read().unwrap_err();
        assert_eq!(e.code, ErrorCode::BadConfiguration, "{content:?}");
        assert!(e.sentence.contains("damaged or of another key"), "{e}");
    }
    fs::write(kept.path(), &whole).unwrap();
    let other = KeptSpec::new(kept.path().to_owned(), Sealer::from_key([8; 32]), NodeId(1));
    assert_eq!(other.read().unwrap_err().code, ErrorCode::BadConfiguration);
    let node = KeptSpec::new(kept.path().to_owned(), Sealer::from_key([7; 32]), NodeId(2));
    assert_eq!(node.read().unwrap_err().code, ErrorCode::BadConfiguration);
    fs::remove_file(kept.path()).unwrap();
    fs::create_dir(kept.path()).unwrap();
    assert_eq!(kept.read().unwrap_err().code, ErrorCode::DiskUnavailable);
}

#[test]
fn no_text_that_was_not_written_by_us_is_a_spec() {
    let text = format(&spec(3, 4));
    assert_eq!(parse(text.expose()), Some(spec(3, 4)));
    let lines: Vec<&str> = text.expose().lines().collect();
    for (i, line) in lines.iter().enumerate() {
        // Every line without its last word, and the text up to it.
        let short = line.rsplit_once(' ').map_or("", |(head, _)| head);
        let mut cut = lines.clone();
        cut[i] = short;
        assert_ne!(parse(&(cut.join("\n") + "\n")), Some(spec(3, 4)), "{i}");
        assert_eq!(parse(&lines[..i].join("\n")), None, "{i}");
    }
}

/// Counts its generations up.
struct Counting(AtomicU64);

#[async_trait]
impl SpecSource for Counting {
    async fn load(&self) -> PortResult<NodeSpec> {
        Ok(spec(self.0.fetch_add(1, Ordering::Relaxed), 2))
    }
}

#[tokio::test(start_paused = true)]
async fn many_changes_are_one_writing_and_the_newest_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let kept = file(root.path());
    let specs = KeepingSpecs::new(Counting(AtomicU64::new(1)), kept.clone());
    for _ in 0..10 {
        specs.load().await.unwrap();
    }
    assert!(kept.read().unwrap().is_none(), "nobody waits for the disk");
    while kept.read().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(kept.load().await.unwrap(), spec(10, 2));
}

/// Gives whatever it was told last.
struct Told(Arc<Mutex<NodeSpec>>);

#[async_trait]
impl SpecSource for Told {
    async fn load(&self) -> PortResult<NodeSpec> {
        Ok(self.0.lock().unwrap().clone())
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_revoked_does_not_come_back_with_the_file() {
    let root = tempfile::tempdir().unwrap();
    let kept = file(root.path());
    let told = Arc::new(Mutex::new(spec(1, 4)));
    let specs = KeepingSpecs::new(Told(told.clone()), kept.clone());
    let change = |f: &dyn Fn(&mut TenantSpec)| {
        let mut spec = told.lock().unwrap();
        spec.generation += 1;
        let slot = Slot::new(4).unwrap();
        let mut t = TenantSpec::clone(&spec.tenants[&slot]);
        f(&mut t);
        spec.tenants.insert(slot, t.into());
    };
    let written = async || {
        while kept.read().unwrap() != Some(told.lock().unwrap().clone()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    specs.load().await.unwrap();
    written().await;
    // What takes nothing away leaves the file, for it lets nobody in who is not.
    change(&|t| t.dns_password_hash = "another".to_owned());
    specs.load().await.unwrap();
    assert!(kept.read().unwrap().is_some());
    written().await;

    let first = |t: &TenantSpec| *t.devices.keys().next().unwrap();
    let revocations: [&dyn Fn(&mut TenantSpec); 3] = [
        &|t| t.devices.values_mut().for_each(|d| d.mesh = false),
        &|t| drop(t.devices.remove(&first(t))),
        &|t| t.suspended = true,
    ];
    for revoke in revocations {
        change(revoke);
        specs.load().await.unwrap();
        assert!(kept.read().unwrap().is_none(), "it is in force by now");
        written().await;
    }
    {
        let mut spec = told.lock().unwrap();
        spec.generation += 1;
        spec.tenants.pop_first();
    }
    specs.load().await.unwrap();
    assert!(kept.read().unwrap().is_none());
    written().await;
}
