//! Tests with real files.

use super::*;
use adguard::{AdGuardSettings, Lists};
use containers::ContainerSettings;
use provisioning::TenantSpecExt;
use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
};

const KIB: u64 = 1 << 10;
const TOO_MUCH: u64 = 1 << 40;

fn write(path: &Path, kibibytes: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Not zeros: a file system may store those as a hole.
    let bytes: Vec<u8> = (0..kibibytes * KIB).map(|n| (n % 251) as u8).collect();
    fs::write(path, bytes).unwrap();
}

fn bytes(data: &Path) -> u64 {
    measure(data, TOO_MUCH).unwrap().bytes
}

#[test]
fn many_files_are_counted_in_all_folders() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("adguard_data");
    assert_eq!(measure(&data, TOO_MUCH).unwrap(), DiskUse::default());
    for n in 0..300 {
        write(&data.join(format!("work/data/filters/{n}.txt")), 8);
    }
    write(&data.join("work/data/querylog.json"), 1000);
    write(&data.join("conf/AdGuardHome.yaml"), 4);
    let read = measure(&data, TOO_MUCH).unwrap();
    let least = (300 * 8 + 1000 + 4) * KIB;
    assert!((least..least * 5 / 4).contains(&read.bytes), "{read:?}");
    // The folder itself, work, data, filters, conf, and the files.
    assert_eq!(read.entries, 5 + 302);
    // What is not written takes up nothing.
    let sparse = fs::File::create(data.join("work/data/stats.db")).unwrap();
    sparse.set_len(1 << 33).unwrap();
    assert!(bytes(&data) < read.bytes + 100 * KIB);
}

#[test]
fn links_lead_nowhere() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("adguard_data");
    let outside = root.path().join("outside");
    write(&outside.join("large"), 4000);
    write(&data.join("work/own"), 4);
    let before = bytes(&data);
    symlink(&outside, data.join("work/folder")).unwrap();
    symlink(outside.join("large"), data.join("work/file")).unwrap();
    symlink("..", data.join("work/up")).unwrap();
    symlink("/", data.join("work/root")).unwrap();
    symlink("/nowhere", data.join("work/broken")).unwrap();
    let after = bytes(&data);
    assert!(after < before + 100 * KIB, "{before} {after}");
    // The folder itself must not be one either.
    let swapped = root.path().join("swapped");
    symlink(&outside, &swapped).unwrap();
    assert!(measure(&swapped, TOO_MUCH).is_err());
}

#[test]
fn a_file_that_vanishes_meanwhile_is_no_error() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("adguard_data");
    write(&data.join("work/stays"), 64);
    let (stop, churn) = (Arc::new(AtomicBool::new(false)), data.join("work/churn"));
    let writer = {
        let (stop, churn) = (stop.clone(), churn.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for n in 0..50 {
                    write(&churn.join(format!("{}/{n}", n % 5)), 4);
                }
                fs::remove_dir_all(&churn).unwrap();
            }
        })
    };
    for _ in 0..500 {
        let read = measure(&data, TOO_MUCH);
        let bytes = read.unwrap().bytes;
        assert!((64 * KIB..2000 * KIB).contains(&bytes), "{bytes}");
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn too_many_files_are_too_much() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("adguard_data");
    fs::create_dir_all(&data).unwrap();
    for n in 0..MAX_ENTRIES + 10 {
        fs::File::create(data.join(n.to_string())).unwrap();
    }
    let read = measure(&data, TOO_MUCH).unwrap();
    assert_eq!(read.bytes, TOO_MUCH, "they are empty, and too many");
    assert!(read.entries <= MAX_ENTRIES, "the work is bounded: {read:?}");
    // Folders that lie too deep are too much as well.
    let deep = root.path().join("deep");
    let mut path = deep.clone();
    (0..40).for_each(|_| path.push("d"));
    fs::create_dir_all(&path).unwrap();
    assert_eq!(measure(&deep, TOO_MUCH).unwrap().bytes, TOO_MUCH);
}

#[test]
fn the_free_space_is_what_df_says() {
    let root = tempfile::tempdir().unwrap();
    let read = file_system(root.path()).unwrap();
    assert!(
        read.available > 0 && read.available <= read.total,
        "{read:?}"
    );
    let df = std::process::Command::new("df")
        .args(["--block-size=1", "--output=used,avail"])
        .arg(root.path())
        .output()
        .unwrap();
    let text = String::from_utf8(df.stdout).unwrap();
    let figures: Vec<u64> = text
        .split_whitespace()
        .filter_map(|w| w.parse().ok())
        .collect();
    let close = |a: u64, b: u64| a.abs_diff(b) <= read.total / 20;
    assert!(close(read.available, figures[1]), "{read:?} {text}");
    assert!(
        close(read.total, figures[0] + figures[1]),
        "{read:?} {text}"
    );
    assert!(file_system(&root.path().join("nowhere")).is_err());
}

/// An AdGuard Home that does not run, with its files.
struct Stopped {
    resources: MachineResources,
    dns: DnsInstance,
    root: tempfile::TempDir,
}

impl Stopped {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let settings = testkit::samples::settings(root.path());
        let mut dns = testkit::samples::tenant(&settings, 1, 0).dns(&settings);
        // Nothing listens there.
        dns.address = "127.0.0.77".parse().unwrap();
        let lists = Arc::new(Lists::new(root.path().join("lists"), Vec::new()).unwrap());
        let adguard = AdGuard::new(AdGuardSettings::default(), lists).unwrap();
        let docker = Docker::new(ContainerSettings::new("image", settings.addresses));
        let (docker, adguard) = (Arc::new(docker), Arc::new(adguard));
        write(&dns.conf_dir.join("AdGuardHome.yaml"), 1);
        Self {
            resources: MachineResources::new(settings, TOO_MUCH, docker, adguard),
            dns,
            root,
        }
    }

    fn write(&self, name: &str, kibibytes: u64) {
        write(&data_of(&self.dns).join(name), kibibytes);
    }

    fn exists(&self, name: &str) -> bool {
        data_of(&self.dns).join(name).exists()
    }
}

/// Asserts that so many KiB were freed; folders take up some themselves.
fn assert_freed(freed: PortResult<u64>, kibibytes: u64) {
    let freed = freed.unwrap();
    let expected = kibibytes * KIB..(kibibytes + 16) * KIB;
    assert!(expected.contains(&freed), "{freed} {expected:?}");
}

#[tokio::test]
async fn trims_remove_first_what_nobody_misses() {
    let stopped = Stopped::new();
    let (resources, dns) = (&stopped.resources, &stopped.dns);
    stopped.write("work/data/querylog.json", 400);
    stopped.write("work/data/querylog.json.1", 200);
    stopped.write("work/data/filters/7.txt", 64);
    stopped.write("work/data/filters/8.txt.old", 100);
    stopped.write("aside/statistics/stats.db", 48);
    let name = TenantName::parse("tenant1").unwrap();
    let used = resources.disk(&name).await.unwrap().bytes;
    assert!(used >= 813 * KIB, "{used}");
    assert_freed(resources.trim(dns).await, 148);
    assert!(stopped.exists("work/data/querylog.json.1"));
    assert_freed(resources.trim(dns).await, 200);
    assert!(stopped.exists("work/data/querylog.json"));
    assert_freed(resources.trim(dns).await, 400);
    assert_eq!(resources.trim(dns).await.unwrap(), 0);
    assert!(stopped.exists("work/data/filters/7.txt"));
    assert!(stopped.exists("conf/AdGuardHome.yaml"));
    drop(stopped.root);
}

#[tokio::test]
async fn clearing_leaves_settings_and_lists() {
    let stopped = Stopped::new();
    let (resources, dns) = (&stopped.resources, &stopped.dns);
    stopped.write("work/data/querylog.json", 400);
    stopped.write("work/data/querylog.json.1", 200);
    stopped.write("work/data/filters/7.txt", 64);
    stopped.write("work/data/filters/8.txt.old", 100);
    stopped.write("work/data/stats.db", 32);
    assert_freed(resources.clear(dns).await, 700);
    for stays in ["data/filters/7.txt", "data/stats.db"] {
        assert!(stopped.exists(&format!("work/{stays}")), "{stays}");
    }
    assert_eq!(resources.clear(dns).await.unwrap(), 0);
    assert_freed(resources.drop_lists(dns).await, 56);
    assert!(!stopped.exists("work/data/filters/7.txt"));
    assert!(stopped.exists("conf/AdGuardHome.yaml"));
}
