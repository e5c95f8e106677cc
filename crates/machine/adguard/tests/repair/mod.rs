//! Damaged data, bounds on the load, and space on the disk: what happens around a
//! start of the real AdGuard Home.

use crate::fixture::{BLOCKED, Fixture, Run, UPSTREAM_ADDRESS, client, clients, in_namespace};
use domain::{FilterPolicy::Standard, Message};
use provisioning::{
    ports::{DnsFilter, DnsPart},
    spec::DnsClient,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Prepares an instance with one device, starts it and waits until DNS answers.
async fn start(fixture: &Fixture) -> Run {
    let all = phone();
    fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
    let run = fixture.start();
    fixture.ready().await;
    run
}

fn phone() -> BTreeMap<String, DnsClient> {
    clients(&[("mn-1", "Phone", 2, Standard)])
}

fn config_of(fixture: &Fixture) -> PathBuf {
    fixture.dns.conf_dir.join("AdGuardHome.yaml")
}

fn data_of(fixture: &Fixture) -> PathBuf {
    fixture.dns.work_dir.join("data")
}

/// Returns the copy of the configuration, once there is one with this text in it.
async fn kept_copy(fixture: &Fixture, with: &str) -> PathBuf {
    let folder = fixture.dir.path().join("kept");
    for _ in 0..200 {
        fixture.adguard.observe(&fixture.dns).await.unwrap();
        let copies = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut copies = copies.map(|e| e.path());
        let has = |p: &PathBuf| fs::read_to_string(p).is_ok_and(|text| text.contains(with));
        if let Some(copy) = copies.find(has) {
            return copy;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no copy with {with} in {}", folder.display());
}

fn aside(fixture: &Fixture, file: &str) -> PathBuf {
    fixture.dir.path().join("aside").join(file)
}

async fn set_aside(fixture: &Fixture, part: DnsPart) -> bool {
    fixture.adguard.set_aside(&fixture.dns, part).await.unwrap()
}

#[test]
fn damaged_statistics_and_sessions_are_set_aside() {
    in_namespace(async {
        let fixture = Fixture::new();
        start(&fixture).await.stop();
        for file in ["stats.db", "sessions.db"] {
            let path = data_of(&fixture).join(file);
            let good = fs::read(&path).unwrap();
            fs::write(&path, vec![0xa5; 16_384]).unwrap();
            fixture.ends_at_once(file);
            assert!(set_aside(&fixture, DnsPart::Statistics).await);
            assert!(aside(&fixture, &format!("statistics/{file}")).exists());
            start(&fixture).await.stop();
            assert_ne!(fs::read(&path).unwrap(), vec![0xa5; 16_384]);
            assert_eq!(good[..4], fs::read(&path).unwrap()[..4]);
        }
        // Of each part only what was moved last is there.
        let left = fs::read_dir(aside(&fixture, "statistics")).unwrap().count();
        assert_eq!(left, 2);
        let mut empty = fixture.dns.clone();
        empty.work_dir = fixture.dir.path().join("nothing");
        for part in [DnsPart::Statistics, DnsPart::QueryLog] {
            assert!(!fixture.adguard.set_aside(&empty, part).await.unwrap());
        }
    });
}

#[test]
fn a_damaged_configuration_is_replaced_by_the_last_good_one() {
    in_namespace(async {
        let fixture = Fixture::new();
        let run = start(&fixture).await;
        let rules = json!({"rules": ["||own-rule.example^"]});
        fixture.post("filtering/set_rules", &rules).await;
        drop(run);
        // The copy is made after a start.
        let run = start(&fixture).await;
        kept_copy(&fixture, "own-rule.example").await;
        drop(run);

        let config = config_of(&fixture);
        let text = fs::read_to_string(&config).unwrap();
        // A power cut: the end is missing. The password is still there.
        fs::write(&config, format!("{}\n  broken: [", &text[..text.len() / 2])).unwrap();
        fixture.ends_at_once("configuration");
        assert!(set_aside(&fixture, DnsPart::Config).await);
        assert!(aside(&fixture, "config/AdGuardHome.yaml").exists());
        let run = start(&fixture).await;
        assert_eq!(fixture.ask("own-rule.example", 2).await, Some(BLOCKED));
        kept_copy(&fixture, "own-rule.example").await;
        drop(run);

        // Without a copy that helps, a new one is rendered: same password and devices.
        for copy in fs::read_dir(fixture.dir.path().join("kept")).unwrap() {
            fs::remove_file(copy.unwrap().path()).unwrap();
        }
        fs::write(&config, format!("{}: [", fixture.dns.password_hash)).unwrap();
        fixture.ends_at_once("configuration");
        assert!(set_aside(&fixture, DnsPart::Config).await);
        assert!(!config.exists());
        let mut run = start(&fixture).await;
        let observed = fixture.ready().await;
        assert_eq!(observed.clients["mn-1"].name, "Phone");
        assert_eq!(fixture.ask("doubleclick.net", 2).await, Some(BLOCKED));
        run.stop();
    });
}

#[test]
fn a_changed_password_is_corrected_before_a_start() {
    in_namespace(async {
        let fixture = Fixture::new();
        let run = start(&fixture).await;
        let rules = json!({"rules": ["||own-rule.example^"]});
        fixture.post("filtering/set_rules", &rules).await;
        drop(run);
        let run = start(&fixture).await;
        kept_copy(&fixture, "own-rule.example").await;
        drop(run);
        let (config, log) = (config_of(&fixture), data_of(&fixture).join("querylog.json"));
        fs::write(&log, "").unwrap();
        let own = fs::read_to_string(&config).unwrap();
        let hash = &fixture.dns.password_hash;
        let other = bcrypt::hash("of another", 4).unwrap();
        // Another hash, and another user beside a hash that is ours.
        for edited in [
            own.replace(hash.as_str(), &other),
            own.replace("- name: tenant", "- name: stranger"),
        ] {
            assert_ne!(edited, own);
            fs::write(&config, &edited).unwrap();
            let mut run = fixture.start();
            let mut is_refused = false;
            for _ in 0..500 {
                let e = fixture.adguard.observe(&fixture.dns).await.unwrap_err();
                is_refused = matches!(e.message, Message::AdguardPasswordRefused { .. });
                if is_refused {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(is_refused, "our password is refused within 10 s");
            run.stop();
            let mut run = start(&fixture).await;
            assert_eq!(fixture.ask("own-rule.example", 2).await, Some(BLOCKED));
            assert!(log.exists(), "nothing of the tenant's is moved aside");
            run.stop();
        }
    });
}

#[test]
fn an_older_image_gets_its_own_configuration_back() {
    in_namespace(async {
        let fixture = Fixture::new();
        let run = start(&fixture).await;
        kept_copy(&fixture, "schema_version").await;
        drop(run);
        let config = config_of(&fixture);
        let text = fs::read_to_string(&config).unwrap();
        let newer = text.replace("schema_version: 34", "schema_version: 99");
        assert_ne!(newer, text);
        fs::write(&config, &newer).unwrap();
        fixture.ends_at_once("newer configuration");
        // The newer image would keep its own.
        let mut other = fixture.dns.clone();
        other.image = "adguard/adguardhome:v9".into();
        fixture.adguard.prepare(&other, &phone()).await.unwrap();
        assert_eq!(fs::read_to_string(&config).unwrap(), newer);
        start(&fixture).await.stop();
    });
}

#[test]
fn a_tenants_own_lists_are_set_aside() {
    in_namespace(async {
        let fixture = Fixture::new();
        start(&fixture).await.stop();
        let config = config_of(&fixture);
        let text = fs::read_to_string(&config).unwrap();
        let own = "filters:\n  - enabled: true\n    url: https://lists.example/huge.txt\n    name: Huge\n    id: 1764000000\n";
        assert!(text.contains("\nfilters:\n"));
        fs::write(&config, text.replacen("filters:\n", own, 1)).unwrap();
        let filters = data_of(&fixture).join("filters");
        for name in ["1764000000.txt", "1763000000.txt.old"] {
            fs::write(filters.join(name), "||huge.example^\n").unwrap();
        }
        assert!(set_aside(&fixture, DnsPart::Lists).await);
        for name in ["1764000000.txt", "1763000000.txt.old", "AdGuardHome.yaml"] {
            assert!(aside(&fixture, &format!("lists/{name}")).exists(), "{name}");
        }
        assert!(!fs::read_to_string(&config).unwrap().contains("huge"));
        let mut run = start(&fixture).await;
        assert_eq!(fixture.ask("doubleclick.net", 2).await, Some(BLOCKED));
        assert_eq!(fixture.ask("huge.example", 2).await, Some(UPSTREAM_ADDRESS));
        run.stop();
        assert!(!set_aside(&fixture, DnsPart::Lists).await);
    });
}

#[test]
fn a_stored_configuration_is_bounded_before_each_start() {
    in_namespace(async {
        let fixture = Fixture::new();
        let names = [
            "null",
            "on",
            "0x1F",
            "1_000",
            "2026-11-27",
            "- a: b",
            "~",
            "书房",
            "12e3",
            "\u{1f4f1} #x",
        ];
        let all = names.iter().enumerate().map(|(i, name)| {
            let host = u8::try_from(i).unwrap() + 2;
            (format!("mn-{i}"), client(name, host, Standard))
        });
        let all: BTreeMap<_, _> = all.collect();
        fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
        let run = fixture.start();
        fixture.ready().await;
        let rules = json!({"rules": ["! null", "||own-rule.example^", "on"]});
        fixture.post("filtering/set_rules", &rules).await;
        drop(run);
        // As an older version of ours wrote it, and as a tenant may set it.
        let config = config_of(&fixture);
        let old = fs::read_to_string(&config).unwrap();
        let lax = old
            .replace("ratelimit: 200", "ratelimit: 0")
            .replace("size_memory: 100", "size_memory: 100000")
            .replace("max_http_size: 20MB", "max_http_size: 2000MB");
        assert_ne!(lax, old);
        fs::write(&config, lax).unwrap();
        // What AdGuard Home left of removed lists goes.
        let leftover = data_of(&fixture).join("filters/1763000000.txt.old");
        fs::write(&leftover, "x").unwrap();
        fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
        assert!(!leftover.exists());
        fixture.check_config();
        let mut run = fixture.start();
        let observed = fixture.ready().await;
        for (i, name) in names.iter().enumerate() {
            assert_eq!(observed.clients[&format!("mn-{i}")].name, *name);
        }
        assert_eq!(fixture.ask("own-rule.example", 2).await, Some(BLOCKED));
        run.stop();
        let text = fs::read_to_string(&config).unwrap();
        for line in [
            "ratelimit: 200",
            "ratelimit_subnet_len_ipv4: 32",
            "size_memory: 100",
            "max_http_size: 20MB",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    });
}

#[test]
fn a_flood_of_one_device_leaves_another_its_answers() {
    in_namespace(async {
        let fixture = Fixture::new();
        let mut run = start(&fixture).await;
        assert_eq!(fixture.ask("doubleclick.net", 2).await, Some(BLOCKED));
        let answered = fixture.flood("doubleclick.net", 2, 2_000).await;
        assert!((100..1_200).contains(&answered), "{answered} of 2000");
        for _ in 0..20 {
            assert_eq!(fixture.ask("doubleclick.net", 3).await, Some(BLOCKED));
        }
        run.stop();
    });
}

#[test]
fn the_query_log_is_trimmed_while_it_is_written() {
    in_namespace(async {
        let fixture = Fixture::new();
        let mut run = start(&fixture).await;
        // More than are held in memory.
        for n in 0..150 {
            fixture.ask(&format!("n{n}.example"), 2).await;
            tokio::time::sleep(Duration::from_millis(6)).await;
        }
        let log = data_of(&fixture).join("querylog.json");
        let older = data_of(&fixture).join("querylog.json.1");
        until_exists(&log).await;
        let secret = fixture.dir.path().join("secret");
        fs::write(&secret, "x").unwrap();
        std::os::unix::fs::symlink(&secret, &older).unwrap();
        let trim = async || {
            fixture
                .adguard
                .trim(&fixture.dns, DnsPart::QueryLog)
                .await
                .unwrap()
        };
        assert!(trim().await, "the older part");
        assert!(!older.is_symlink() && secret.exists() && log.exists());
        assert!(trim().await, "all of it");
        assert!(!log.exists(), "the log is still there");
        assert!(!trim().await, "there is nothing left");
        let statistics = fixture.adguard.trim(&fixture.dns, DnsPart::Statistics);
        assert!(statistics.await.unwrap());
        let counts = fixture.adguard.counts(&fixture.dns).await.unwrap();
        assert_eq!(counts.total, 0);
        run.stop();
        fs::write(&log, "x").unwrap();
        assert!(trim().await, "also where it does not run");
        assert!(!log.exists());
    });
}

async fn until_exists(path: &Path) {
    for _ in 0..200 {
        if path.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} does not appear", path.display());
}
