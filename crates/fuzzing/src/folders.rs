//! A tenant's folder on the disk, with any content that a user or a power cut
//! may have left.
//!
//! - It can be read with any content, in bounded time and memory, and has an
//!   owner only if both key files are complete.
//! - Writing makes it what the spec says, or reports that a folder exists in the
//!   place of a file. Removing removes it.

use crate::{block_on, bytes::Bytes, wgconf::tenant};
use domain::{AddressPlan, ErrorCode, PrivateKey, PublicKey, Slot};
use folders::DiskFolders;
use provisioning::{
    Folders, NodeSettings, TenantSpecExt, hash::content_hash, observed::ObservedFolder,
};
use std::{
    fs,
    net::Ipv4Addr,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
};

const NAMES: &[&str] = &[
    "wg1.conf",
    "wg7.conf",
    "wg1000.conf",
    "wg1001.conf",
    "wg01.conf",
    ".wg1.conf.new",
    "keys/private.key",
    "keys/public.key",
    "keys",
    "adguard_data",
    "note.txt",
];

pub(crate) fn run(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    // A folder in memory, where there is one: this runs many times a second.
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let root = root.expect("a folder for the test");
    let disk = DiskFolders::new(NodeSettings {
        addresses: AddressPlan::default(),
        ipv6: true,
        root: root.path().to_owned(),
        dns_memory_bytes: 0,
        dns_cpu_thousandths: 0,
        tunnel_packets: provisioning::spec::PacketRate::at_least(100_000),
        image: String::new(),
        fallback_dns: Ipv4Addr::LOCALHOST,
        key_files: true,
    });
    let spec = tenant(&mut bytes, "abcd");
    let dir = root.path().join("users/user_abcd");
    fs::create_dir_all(&dir).expect("a folder can be made");
    let own = spec.private_key.expose();
    while !bytes.is_empty() {
        let path = dir.join(bytes.pick(NAMES));
        if let Some(above) = path.parent() {
            let _ = fs::create_dir(above);
        }
        let public = spec.private_key.public().to_string();
        // What cannot exist, like a file in a file, is left out.
        let _ = match bytes.byte() % 8 {
            0 => fs::create_dir(&path),
            1 => symlink("nowhere", &path),
            2 => symlink("note.txt", &path),
            3 => UnixListener::bind(&path).map(drop),
            4 => fs::write(&path, own.as_bytes()),
            5 => fs::write(&path, public),
            6 => fs::write(&path, spec.wg_conf().expose()),
            _ => fs::write(&path, bytes.piece()),
        };
    }
    let found = block_on(disk.observe()).expect("it can be read with any content");
    matches_disk(&dir, found.get("user_abcd").expect("the folder exists"));

    match block_on(disk.write(&spec)) {
        Ok(()) => {
            let conf = format!("{}.conf", spec.slot.interface());
            let hash = content_hash(spec.wg_conf().expose().as_bytes());
            let wanted = ObservedFolder {
                wg_confs: [(conf, hash)].into(),
                owner: Some(spec.private_key.public().to_string()),
                dns_conf: found["user_abcd"].dns_conf,
            };
            let found = block_on(disk.observe()).expect("it can be read again");
            assert_eq!(found.get("user_abcd"), Some(&wanted));
        }
        Err(e) => {
            assert_eq!(e.code, ErrorCode::DiskUnavailable);
            assert!(in_the_way(&dir), "not written: {e:?}");
        }
    }
    block_on(disk.remove("user_abcd")).expect("it can be removed with any content");
    assert!(!dir.exists());
}

/// Checks what was read against the files.
fn matches_disk(dir: &Path, folder: &ObservedFolder) {
    for name in folder.wg_confs.keys() {
        let slot = name.strip_suffix(".conf").and_then(Slot::of_interface);
        assert!(slot.is_some(), "{name} is no configuration of ours");
    }
    let Some(owner) = &folder.owner else { return };
    let key = |name: &str| fs::read_to_string(dir.join("keys").join(name)).unwrap_or_default();
    assert!(PrivateKey::parse(key("private.key").trim()).is_ok());
    let public = PublicKey::parse(key("public.key").trim()).map(|k| k.to_string());
    assert_eq!(public.as_ref(), Ok(owner));
}

/// Returns whether a folder exists where we write a file, or anything else where
/// we make a folder. We do not remove such things.
fn in_the_way(dir: &Path) -> bool {
    let is_dir = |path: &str| dir.join(path).is_dir();
    let keys = dir.join("keys");
    (fs::symlink_metadata(&keys).is_ok() && !keys.is_dir())
        || NAMES.iter().filter(|n| n.contains('.')).any(|n| is_dir(n))
}
