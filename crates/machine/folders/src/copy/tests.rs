use super::{
    format::{DIGEST_BYTES, END, FILE, MARK, UNCHANGED, head},
    *,
};
use domain::{AddressPlan, PrivateKey, Slot};
use protocol::{NodeSpec, TenantSpec};
use provisioning::spec::NodeSettings;
use sha2::{Digest, Sha256};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const MIB: u64 = 1 << 20;

fn settings(root: &Path) -> NodeSettings {
    NodeSettings {
        addresses: AddressPlan::default(),
        ipv6: true,
        root: root.to_owned(),
        dns_memory_bytes: 0,
        dns_cpu_thousandths: 0,
        tunnel_packets: provisioning::spec::PacketRate::at_least(100_000),
        image: "image".to_owned(),
        fallback_dns: std::net::Ipv4Addr::LOCALHOST,
        key_files: true,
    }
}

fn lina() -> TenantName {
    TenantName::parse("lina").unwrap()
}

fn key(byte: u8) -> PrivateKey {
    PrivateKey::from_random([byte; 32])
}

fn id(byte: u8) -> CopyId {
    CopyId::from_random([byte; 16])
}

fn reception(is_last: bool) -> Reception {
    Reception {
        name: lina(),
        slot: Slot::new(7).unwrap(),
        owner: key(7).public(),
        id: id(1),
        is_last,
        max_bytes: 10 * MIB,
    }
}

/// Two machines' folders.
struct Two {
    from: tempfile::TempDir,
    to: tempfile::TempDir,
    sender: DiskFolders,
    receiver: DiskFolders,
}

impl Two {
    fn new() -> Self {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sender = DiskFolders::new(settings(from.path()));
        let receiver = DiskFolders::new(settings(to.path()));
        fs::create_dir_all(from.path().join("users/user_lina/adguard_data/work/data")).unwrap();
        fs::create_dir_all(from.path().join("users/user_lina/adguard_data/conf")).unwrap();
        Self {
            from,
            to,
            sender,
            receiver,
        }
    }

    fn data(&self) -> PathBuf {
        self.from.path().join("users/user_lina/adguard_data")
    }

    fn write(&self, path: &str, content: &[u8]) {
        fs::write(self.data().join(path), content).unwrap();
    }

    fn staging(&self) -> PathBuf {
        self.to.path().join("users/.incoming_user_lina")
    }

    async fn pass(&self, is_last: bool) -> Result<FolderReceipt, Problem> {
        let archive = self.sender.send(&lina(), &id(1), is_last)?;
        self.receiver.receive(reception(is_last), archive).await
    }

    async fn receive(&self, pieces: Vec<Vec<u8>>) -> Result<FolderReceipt, Problem> {
        let pieces = stream::iter(pieces).map(|piece| Ok(Bytes::from(piece)));
        self.receiver.receive(reception(true), pieces.boxed()).await
    }
}

async fn bytes_of(mut stream: FolderStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend(piece.unwrap());
    }
    all
}

/// Ends an archive as ours does.
fn ended(mut archive: Vec<u8>) -> Vec<u8> {
    let digest: [u8; DIGEST_BYTES] = Sha256::digest(&archive).into();
    archive.push(END);
    archive.extend(digest);
    archive
}

fn archive(entries: &[(u8, &str, u64, &[u8])]) -> Vec<u8> {
    let mut all = MARK.to_vec();
    for (tag, path, length, content) in entries {
        all.extend(head(*tag, path, *length));
        all.extend(*content);
    }
    ended(all)
}

fn tenant(key_byte: u8) -> TenantSpec {
    let text = format!(
        r#"{{"version":2,"generation":1,"tenants":[{{"name":"lina","slot":7,"private_key":"{}",
        "suspended":false,"dns_password":"x","dns_password_hash":"y","devices":{{}}}}]}}"#,
        *key(key_byte).expose()
    );
    let spec = NodeSpec::from_bytes(text.as_bytes()).unwrap();
    spec.tenants[&Slot::new(7).unwrap()].as_ref().clone()
}

#[tokio::test]
async fn a_second_pass_sends_what_has_changed() {
    let two = Two::new();
    let list = vec![7; 3 * MIB as usize];
    two.write("conf/AdGuardHome.yaml", b"a: 1");
    two.write("work/data/querylog.json", b"{}\n");
    two.write("work/data/stats.db", b"bolt");
    two.write("work/data/list.txt", &list);
    // Files that settled are not sent twice.
    tokio::time::sleep(Duration::from_millis(3_200)).await;
    let first = two.pass(false).await.unwrap();
    assert_eq!((first.files, first.bytes), (4, 3 * MIB + 11));
    assert!(!two.staging().join("complete").exists());
    two.write("work/data/stats.db", b"bolt 2");
    fs::remove_file(two.data().join("work/data/querylog.json")).unwrap();
    let sent = bytes_of(two.sender.send(&lina(), &id(2), true).unwrap()).await;
    assert!(sent.len() as u64 > 3 * MIB, "another copy begins again");
    two.pass(false).await.unwrap();
    two.write("conf/AdGuardHome.yaml", b"a: 2");
    let mut length = 0;
    let archive = two.sender.send(&lina(), &id(1), true).unwrap();
    let counted = archive.inspect(|piece| length += piece.as_ref().unwrap().len());
    // The stream borrows the counter, so it is read whole first.
    let pieces: Vec<_> = counted.map(Result::unwrap).collect().await;
    assert!(length < 1_000, "{length} bytes");
    let last = stream::iter(pieces).map(Ok).boxed();
    let done = two.receiver.receive(reception(true), last).await.unwrap();
    assert_eq!((done.files, done.bytes), (3, 3 * MIB + 10));
    let at = |path: &str| fs::read(two.staging().join(path)).unwrap();
    assert_eq!(at("conf/AdGuardHome.yaml"), b"a: 2");
    assert_eq!(at("work/data/stats.db"), b"bolt 2");
    assert_eq!(at("work/data/list.txt"), list);
    assert!(!two.staging().join("work/data/querylog.json").exists());
    for path in ["conf", "work", "work/data", "work/data/stats.db"] {
        let found = fs::metadata(two.staging().join(path)).unwrap();
        assert_eq!(found.uid(), 300_007, "{path}");
        assert_eq!(found.permissions().mode() & 0o077, 0, "{path}");
    }
    let top = fs::metadata(two.staging()).unwrap();
    assert_eq!((top.uid(), top.permissions().mode() & 0o777), (0, 0o700));
}

#[tokio::test]
async fn links_pipes_and_odd_names_are_not_sent() {
    let two = Two::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("shadow"), "secret").unwrap();
    two.write("conf/AdGuardHome.yaml", b"a: 1");
    symlink(
        outside.path().join("shadow"),
        two.data().join("work/data/stats.db"),
    )
    .unwrap();
    symlink(outside.path(), two.data().join("work/data/filters")).unwrap();
    nix_mkfifo(&two.data().join("work/data/querylog.json"));
    two.write("work/data/.hidden", b"x");
    two.write("work/data/a b", b"x");
    let done = two.pass(true).await.unwrap();
    assert_eq!((done.files, done.bytes), (1, 4));
    // The folder itself is a link.
    fs::remove_dir_all(two.data().join("work")).unwrap();
    symlink(outside.path(), two.data().join("work")).unwrap();
    assert_eq!(
        two.pass(true).await.unwrap_err().code,
        ErrorCode::DiskUnavailable
    );
    assert!(!two.staging().exists());
}

fn nix_mkfifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[tokio::test]
async fn an_evil_archive_writes_nothing_and_leaves_nothing() {
    let two = Two::new();
    let content: &[u8] = b"evil";
    let damaged = Message::CopyDamaged;
    let outside = two.to.path().join("users/user_omar/wg1.conf");
    fs::create_dir_all(outside.parent().unwrap()).unwrap();
    fs::write(&outside, "own").unwrap();
    for path in [
        "work/../../user_omar/wg1.conf",
        "../user_omar/wg1.conf",
        "/etc/passwd",
        "complete",
        "keys/private.key",
        "work/.profile",
    ] {
        let evil = archive(&[(FILE, path, 4, content)]);
        let refused = two.receive(vec![evil]).await.unwrap_err();
        assert_eq!(refused.message, damaged, "{path}");
        assert!(!two.staging().exists(), "{path}");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "own");
    let good = archive(&[(FILE, "conf/AdGuardHome.yaml", 4, content)]);
    let mut other_digest = good.clone();
    *other_digest.last_mut().unwrap() ^= 1;
    let mut other_content = good.clone();
    let at = good.len() - DIGEST_BYTES - 2;
    other_content[at] ^= 1;
    let mut more = good.clone();
    more.push(0);
    let twice = [(FILE, "conf/a", 4, content), (FILE, "conf/a", 4, content)];
    let cases = [
        other_digest,
        other_content,
        more,
        good[..good.len() - 1].to_vec(),
        good[..40].to_vec(),
        Vec::new(),
        b"PK\x03\x04 something else that is no archive".to_vec(),
        archive(&twice),
        archive(&[(UNCHANGED, "conf/AdGuardHome.yaml", 4, b"")]),
        archive(&[(b'L', "conf/link", 4, content)]),
        vec![0xff; 100_000],
    ];
    for (n, evil) in cases.into_iter().enumerate() {
        // In pieces of each size.
        for size in [1, 7, 100_000] {
            let pieces = evil.chunks(size).map(<[u8]>::to_vec).collect();
            let refused = two.receive(pieces).await.unwrap_err();
            assert_eq!(refused.message, damaged, "case {n}");
            assert!(!two.staging().exists(), "case {n}");
        }
    }
    let pieces = good.chunks(3).map(<[u8]>::to_vec).collect();
    assert_eq!(two.receive(pieces).await.unwrap().files, 1);
}

#[tokio::test]
async fn more_than_the_limit_is_refused_before_it_is_written() {
    let two = Two::new();
    let too_large = Message::CopyTooLarge { mebibytes: 10 };
    // 100 MB over the limit, in one file and in many; and lengths that overflow.
    let large = archive(&[(FILE, "work/large", 110 * MIB, b"")]);
    let overflow = archive(&[
        (FILE, "work/a", 0, b""),
        (FILE, "work/b", u64::MAX, b""),
        (FILE, "work/c", u64::MAX, b""),
    ]);
    for evil in [large, overflow] {
        let refused = two.receive(vec![evil]).await.unwrap_err();
        assert_eq!(refused.message, too_large);
        assert!(!two.staging().exists());
    }
    let names: Vec<String> = (0..6_000).map(|n| format!("work/{n}")).collect();
    let many: Vec<_> = names
        .iter()
        .map(|name| (FILE, name.as_str(), 0, &b""[..]))
        .collect();
    let refused = two.receive(vec![archive(&many)]).await.unwrap_err();
    assert_eq!(refused.message, too_large);
    two.write("work/data/querylog.json", &vec![7; 11 * MIB as usize]);
    assert_eq!(two.pass(true).await.unwrap_err().message, too_large);
    assert!(!two.staging().exists());
}

#[tokio::test]
async fn a_copy_that_breaks_off_leaves_nothing() {
    let two = Two::new();
    two.write("work/data/querylog.json", &vec![7; 5 * MIB as usize]);
    let broken = Problem {
        code: ErrorCode::NodeUnreachable,
        message: Message::CopyBroken,
    };
    let archive = two.sender.send(&lina(), &id(1), true).unwrap();
    let failing = archive.take(3).chain(stream::iter([Err(broken.clone())]));
    let failed = two.receiver.receive(reception(true), failing.boxed()).await;
    assert_eq!(failed.unwrap_err(), broken);
    assert!(!two.staging().exists());
    // The sender's thread ends when its reader leaves, so the next copies find their place.
    for _ in 0..10 {
        drop(two.sender.send(&lina(), &id(1), true).unwrap().next().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(two.pass(true).await.unwrap().files, 1);
    // Two copies to one place.
    let never = stream::pending().boxed();
    let waiting = two.receiver.receive(reception(true), never);
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        two.pass(true).await
    };
    tokio::select! {
        _ = waiting => panic!("it has nothing to end for"),
        second = second => assert_eq!(second.unwrap_err().code, ErrorCode::Busy),
    }
}

#[tokio::test]
async fn what_has_arrived_is_its_tenants_alone() {
    let two = Two::new();
    two.write("conf/AdGuardHome.yaml", b"new");
    let node = settings(two.to.path());
    let data = node.tenant_dir(&lina()).join("adguard_data");
    let conf = data.join("conf/AdGuardHome.yaml");
    fs::create_dir_all(conf.parent().unwrap()).unwrap();
    fs::write(&conf, "left here before").unwrap();
    // Incomplete.
    two.pass(false).await.unwrap();
    adopt(&node, &tenant(7)).unwrap();
    assert_eq!(fs::read_to_string(&conf).unwrap(), "left here before");
    // Another tenant of the same name.
    two.pass(true).await.unwrap();
    adopt(&node, &tenant(9)).unwrap();
    assert_eq!(fs::read_to_string(&conf).unwrap(), "left here before");
    assert!(!two.staging().exists());
    // The tenant itself, again after a kill at any point of it.
    for killed_after in 0..3 {
        two.pass(true).await.unwrap();
        let former = two.to.path().join("users/.gone_data_user_lina");
        if killed_after > 0 {
            fs::rename(&data, &former).unwrap();
        }
        if killed_after > 1 {
            fs::rename(two.staging(), &data).unwrap();
        }
        adopt(&node, &tenant(7)).unwrap();
        assert_eq!(fs::read_to_string(&conf).unwrap(), "new");
        two.receiver.forget_copy(&lina()).await.unwrap();
        assert!(!two.staging().exists());
    }
    // It is not one of the tenants' folders, and is removed if none comes for it.
    two.pass(true).await.unwrap();
    let found = crate::observe(&node, crate::FolderCache::default()).unwrap();
    assert_eq!(found.0.len(), 1, "{:?}", found.0);
    let tomorrow = SystemTime::now() + Duration::from_secs(25 * 3600);
    assert!(sweep(&two.staging(), SystemTime::now()).unwrap());
    assert!(two.staging().exists());
    assert!(sweep(&two.staging(), tomorrow).unwrap());
    assert!(!two.staging().exists());
    assert!(!sweep(&data, tomorrow).unwrap());
}
