//! A tenant's folder on a real disk that holds things that are not regular files.
#![allow(clippy::unwrap_used)]

use folders::DiskFolders;
use provisioning::{Folders, TenantSpecExt, hash::content_hash};
use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use testkit::samples;

/// A name, and a function that puts such an object at a path.
type Obstacle = (&'static str, fn(&Path));
const OBSTACLES: [Obstacle; 5] = [
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

const PATHS: [&str; 5] = [
    "wg1.conf",
    "wg7.conf",
    "keys/private.key",
    "keys/public.key",
    ".wg1.conf.new",
];

#[tokio::test]
async fn irregular_files_are_read_quickly_and_replaced() {
    let root = tempfile::tempdir().unwrap();
    let settings = samples::settings(root.path());
    let spec = samples::tenant(&settings, 1, 1);
    let dir: PathBuf = settings.tenant_dir(&spec.name);
    let folders = DiskFolders::new(settings);
    folders.write(&spec).await.unwrap();
    let hash = content_hash(spec.wg_conf().expose().as_bytes());
    for path in PATHS {
        for (what, make) in OBSTACLES {
            let _ = fs::remove_file(dir.join(path));
            make(&dir.join(path));
            let repair = async {
                folders.observe().await.unwrap();
                folders.write(&spec).await.unwrap();
                folders.observe().await.unwrap()
            };
            let repaired = tokio::time::timeout(Duration::from_secs(20), repair).await;
            let repaired = repaired.unwrap_or_else(|_| panic!("{what} at {path} blocks"));
            let folder = &repaired[&spec.name.folder()];
            let confs = [("wg1.conf".to_owned(), hash)].into();
            assert_eq!(folder.wg_confs, confs, "{what} at {path}");
            let owner = spec.private_key.public().to_string();
            assert_eq!(folder.owner, Some(owner), "{what} at {path}");
        }
    }
    assert!(!dir.join("nowhere").exists(), "written through a link");
}
