//! A tenant's folder on a real disk, with things in it that are no files.
#![allow(clippy::unwrap_used)]

use provisioning::{Folders, disk::Disk, observed::content_hash};
use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use testkit::samples;

/// Ways to stand where a file should, in place of what stood there.
type Thing = (&'static str, fn(&Path));
const THINGS: [Thing; 5] = [
    ("a socket", |p| drop(UnixListener::bind(p).unwrap())),
    ("a link to nowhere", |p| symlink("nowhere", p).unwrap()),
    ("a pipe", |p| {
        assert!(Command::new("mkfifo").arg(p).status().unwrap().success());
    }),
    ("a link without end", |p| symlink("/dev/zero", p).unwrap()),
    ("a terabyte", |p| {
        fs::File::create(p).unwrap().set_len(1 << 40).unwrap();
    }),
];

const PLACES: [&str; 5] = [
    "wg1.conf",
    "wg7.conf",
    "keys/private.key",
    "keys/public.key",
    ".wg1.conf.new",
];

#[tokio::test]
async fn what_is_no_file_of_ours_is_read_in_no_time_and_written_over() {
    let root = tempfile::tempdir().unwrap();
    let settings = samples::settings(root.path());
    let spec = samples::tenant(&settings, 1, 1);
    let dir: PathBuf = settings.tenant_dir(&spec.name);
    let disk = Disk::new(settings);
    disk.write(&spec).await.unwrap();
    let hash = content_hash(spec.wg_conf().expose().as_bytes());
    for place in PLACES {
        for (what, make) in THINGS {
            let _ = fs::remove_file(dir.join(place));
            make(&dir.join(place));
            let heal = async {
                disk.observe().await.unwrap();
                disk.write(&spec).await.unwrap();
                disk.observe().await.unwrap()
            };
            let healed = tokio::time::timeout(Duration::from_secs(20), heal).await;
            let healed = healed.unwrap_or_else(|_| panic!("{what} at {place} is waited for"));
            let folder = &healed[&spec.name.folder()];
            let confs = [("wg1.conf".to_owned(), hash)].into();
            assert_eq!(folder.wg_confs, confs, "{what} at {place}");
            let owner = spec.private_key.public().to_string();
            assert_eq!(folder.owner, Some(owner), "{what} at {place}");
        }
    }
    assert!(!dir.join("nowhere").exists(), "written through a link");
}
