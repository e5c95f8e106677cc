//! Tests the port with the real AdGuard Home. Its binary comes from the image and
//! runs in a network namespace for each test. So port 53 and 127.0.0.0/8 belong
//! to the test alone, and devices are addresses of 127.0.1.0/24. Nothing is
//! skipped: without root, Docker or the image these tests fail and say what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod fixture;
mod repair;
mod without_filter;

use adguard::{AdGuard, List, ListSource, Lists};
use domain::{ErrorCode, FilterPolicy, Message, Secret};
use fixture::{BLOCKED, Fixture, UPSTREAM_ADDRESS, client, clients, in_namespace};
use provisioning::{observed::ObservedDns, ports::DnsFilter};
use serde_json::json;
use std::{fs, net::Ipv4Addr, sync::Arc, time::Duration};

use FilterPolicy::{Family, Off, Standard, Strict};

#[test]
fn every_configuration_is_accepted() {
    in_namespace(async {
        let fixture = Fixture::new();
        let labels = [
            "Phone",
            "书房",
            "# \"x\": {y}\\",
            "📱 new\u{2028}line",
            "- a: b",
            "null",
        ];
        let all = labels.iter().enumerate().map(|(i, label)| {
            let host = u8::try_from(i).unwrap() + 2;
            (
                format!("mn-{i}"),
                client(label, host, FilterPolicy::ALL[i % 4]),
            )
        });
        fixture
            .adguard
            .prepare(&fixture.dns, &all.collect())
            .await
            .unwrap();
        fixture.check_config();
        let mut run = fixture.start();
        let observed = fixture.ready().await;
        for (i, label) in labels.iter().enumerate() {
            let client = &observed.clients[&format!("mn-{i}")];
            assert_eq!(client.name, *label);
            assert_eq!(client.policy, Some(FilterPolicy::ALL[i % 4]));
        }
        run.stop();
    });
}

#[test]
fn the_first_answer_is_filtered_by_policy() {
    in_namespace(async {
        let fixture = Fixture::new();
        let all = clients(&[("mn-1", "Phone", 2, Standard), ("mn-2", "TV", 3, Off)]);
        fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
        let mut run = fixture.start();
        // Asks without pause, from before it is up: the first answer counts.
        let first = fixture.first_answer("doubleclick.net", 2).await;
        assert_eq!(first, BLOCKED, "the first answer was not filtered");
        assert_eq!(fixture.ask("sub.doubleclick.net", 2).await, Some(BLOCKED));
        assert_eq!(
            fixture.ask("harmless.example", 2).await,
            Some(UPSTREAM_ADDRESS)
        );
        assert_eq!(
            fixture.ask("doubleclick.net", 3).await,
            Some(UPSTREAM_ADDRESS),
            "the policy off does not filter"
        );
        // 127.0.2.9 belongs to another tenant.
        assert_eq!(
            fixture
                .ask_from("harmless.example", [127, 0, 2, 9].into())
                .await,
            None
        );

        let counts = fixture.adguard.counts(&fixture.dns).await.unwrap();
        assert!(counts.total >= 4 && counts.blocked >= 2, "{counts:?}");

        // AdGuard Home has rewritten its configuration; we never overwrite it.
        let config = fixture.dns.conf_dir.join("AdGuardHome.yaml");
        let own = fs::read(&config).unwrap();
        fixture
            .adguard
            .prepare(&fixture.dns, &clients(&[]))
            .await
            .unwrap();
        assert_eq!(fs::read(&config).unwrap(), own);
        run.stop();
    });
}

#[test]
fn changes_of_devices_leave_the_tenants_clients() {
    in_namespace(async {
        let fixture = Fixture::new();
        fixture
            .adguard
            .prepare(&fixture.dns, &clients(&[]))
            .await
            .unwrap();
        let mut run = fixture.start();
        assert_eq!(
            fixture.ready().await,
            ObservedDns {
                running: true,
                ..Default::default()
            }
        );
        let own = json!({"name": "Phone", "ids": ["127.0.1.99"], "use_global_settings": true,
            "use_global_blocked_services": true, "tags": ["device_nas"]});
        fixture.post("clients/add", &own).await;

        // A policy takes effect at once, and a taken name is not a problem.
        let mut all = clients(&[("mn-1", "Phone", 2, Standard), ("mn-2", "TV", 3, Strict)]);
        fixture.set_and_check(&all).await;
        assert_eq!(fixture.ask("doubleclick.net", 2).await, Some(BLOCKED));
        all.get_mut("mn-1").unwrap().policy = Off;
        fixture.set_and_check(&all).await;
        assert_eq!(
            fixture.ask("doubleclick.net", 2).await,
            Some(UPSTREAM_ADDRESS)
        );
        assert_eq!(fixture.ask("doubleclick.net", 3).await, Some(BLOCKED));

        // Services the tenant blocks for one device survive our change of it.
        let mut tv = fixture.client("TV").await;
        tv["blocked_services"] = json!(["tiktok"]);
        tv["use_global_blocked_services"] = json!(false);
        fixture
            .post("clients/update", &json!({"name": "TV", "data": tv}))
            .await;
        all.get_mut("mn-2").unwrap().policy = Family;
        fixture.set_and_check(&all).await;
        assert_eq!(
            fixture.client("TV").await["blocked_services"],
            json!(["tiktok"])
        );
        assert_eq!(
            fixture.client("TV").await["safe_search"]["google"],
            json!(true)
        );

        // Labels and addresses are swapped in one call.
        let swapped = clients(&[("mn-1", "TV", 3, Standard), ("mn-2", "Laptop", 2, Standard)]);
        fixture.set_and_check(&swapped).await;

        fixture.set_and_check(&clients(&[])).await;
        let left = fixture.client("Phone").await;
        assert_eq!(
            (&left["ids"], &left["tags"]),
            (&json!(["127.0.1.99"]), &json!(["device_nas"]))
        );
        run.stop();
    });
}

#[test]
fn devices_have_names_whatever_their_policy() {
    in_namespace(async {
        let fixture = Fixture::new();
        let name = |host: u8| format!("device-{host}.alice.internal");
        let address = |host: u8| Some(Ipv4Addr::new(127, 0, 1, host));
        let mut all = clients(&[("mn-1", "Phone", 2, Family), ("mn-2", "TV", 3, Off)]);
        fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
        let mut run = fixture.start();
        assert!(fixture.ready().await.has_names_of(&all));
        assert_eq!(fixture.ask(&name(2), 3).await, address(2));
        assert_eq!(fixture.ask(&name(3), 2).await, address(3));
        assert_eq!(
            fixture.ask("doubleclick.net", 3).await,
            Some(UPSTREAM_ADDRESS)
        );
        assert_eq!(fixture.ask("doubleclick.net", 2).await, Some(BLOCKED));
        let off = json!({"enabled": false, "duration": 0});
        fixture.post("protection", &off).await;
        assert_eq!(fixture.ask(&name(2), 3).await, address(2));
        assert_eq!(fixture.ask(&name(3), 2).await, address(3));

        // The tenant's own rewrites stay, also one for the name of a device.
        let own = |name: &str, answer: &str| json!({"domain": name, "answer": answer});
        fixture
            .post("rewrite/add", &own("nas.home", "127.0.1.3"))
            .await;
        fixture
            .post("rewrite/add", &own(&name(4), "192.0.2.9"))
            .await;
        all.insert("mn-3".to_owned(), client("NAS", 4, Standard));
        all.remove("mn-1");
        fixture.set_and_check(&all).await;
        assert_eq!(fixture.ask("nas.home", 4).await, address(3));
        assert_eq!(fixture.ask(&name(4), 3).await, Some([192, 0, 2, 9].into()));
        assert_eq!(
            fixture.ask(&name(2), 3).await,
            Some(UPSTREAM_ADDRESS),
            "deleted"
        );

        // What is removed, or switched off, is noticed and set again.
        fixture
            .post("rewrite/delete", &own(&name(3), "127.0.1.3"))
            .await;
        let observed = fixture.adguard.observe(&fixture.dns).await.unwrap();
        assert!(!observed.has_names_of(&all));
        fixture.set_and_check(&all).await;
        assert_eq!(fixture.ask(&name(3), 4).await, address(3));
        run.stop();
    });
}

#[test]
fn a_list_that_changed_reaches_a_running_instance() {
    in_namespace(async {
        let fixture = Fixture::new();
        fixture
            .adguard
            .prepare(&fixture.dns, &clients(&[("mn-1", "Phone", 2, Standard)]))
            .await
            .unwrap();
        let mut run = fixture.start();
        fixture.ready().await;
        assert_eq!(
            fixture.ask("new-tracker.example", 2).await,
            Some(UPSTREAM_ADDRESS)
        );
        // File times are compared, so the change must be later.
        tokio::time::sleep(Duration::from_millis(20)).await;
        fs::write(
            &fixture.list_source,
            "||new-tracker.example^\n||doubleclick.net^\n",
        )
        .unwrap();
        assert!(fixture.lists.refresh(Duration::ZERO).await);
        for _ in 0..100 {
            fixture.adguard.observe(&fixture.dns).await.unwrap();
            if fixture.ask("new-tracker.example", 2).await == Some(BLOCKED) {
                return run.stop();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the changed list was not read within 10 s");
    });
}

#[test]
fn an_instance_that_fails_is_reported() {
    in_namespace(async {
        let fixture = Fixture::new();
        let e = fixture.adguard.observe(&fixture.dns).await.unwrap_err();
        assert_eq!(e.code, ErrorCode::DnsUnavailable);
        assert_eq!(e.message, Message::AdguardNotYet);
        fixture
            .adguard
            .prepare(&fixture.dns, &clients(&[]))
            .await
            .unwrap();
        let mut run = fixture.start();
        fixture.ready().await;
        let mut locked_out = fixture.dns.clone();
        locked_out.password = Secret::new("another");
        // More than five tries: the right password must not be locked out.
        for _ in 0..8 {
            let e = fixture.adguard.observe(&locked_out).await.unwrap_err();
            assert!(
                matches!(e.message, Message::AdguardPasswordRefused { .. }),
                "{e}"
            );
        }
        assert!(fixture.adguard.observe(&fixture.dns).await.unwrap().running);
        run.stop();
    });
}

#[test]
fn a_missing_list_does_not_prevent_a_start() {
    in_namespace(async {
        // The second list does not exist yet.
        let fixture = Fixture::new();
        let lists = vec![
            List {
                id: 1,
                name: "One".into(),
                source: ListSource::Path(fixture.list_source.clone()),
            },
            List {
                id: 2,
                name: "Two".into(),
                source: ListSource::Path("/nonexistent".into()),
            },
        ];
        let lists = Arc::new(Lists::new(fixture.dir.path().join("lists"), lists).unwrap());
        let adguard = AdGuard::new(fixture.settings(), Arc::clone(&lists)).unwrap();
        adguard.prepare(&fixture.dns, &clients(&[])).await.unwrap();
        assert!(!lists.refresh(Duration::ZERO).await);
        assert!(lists.status()[1].problem.is_some());
        let mut run = fixture.start();
        fixture.ready().await;
        assert_eq!(fixture.ask("doubleclick.net", 2).await, Some(BLOCKED));
        run.stop();
    });
}

#[test]
fn a_lock_blocks_the_names_of_other_resolvers() {
    in_namespace(async {
        let fixture = Fixture::new();
        let all = clients(&[("mn-1", "Phone", 2, Standard), ("mn-2", "TV", 3, Family)]);
        fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
        let mut run = fixture.start();
        fixture.ready().await;
        for name in [
            "dns.google",
            "mozilla.cloudflare-dns.com",
            "abc123.dns.nextdns.io",
        ] {
            let free = fixture.ask(name, 2).await;
            assert_eq!(free, Some(UPSTREAM_ADDRESS), "{name} without a lock");
            assert_eq!(fixture.ask(name, 3).await, Some(BLOCKED), "{name}");
        }
        // Apple's relay is to be told that it does not exist: no address at all.
        for name in ["mask.icloud.com", "mask-h2.icloud.com"] {
            assert_eq!(
                fixture.code(name, 2).await,
                Some(0),
                "{name} without a lock"
            );
            assert_eq!(fixture.code(name, 3).await, Some(3), "{name}");
        }
        // AdGuard Home's own, for every device: NXDOMAIN, and no data.
        assert_eq!(fixture.code("use-application-dns.net", 2).await, Some(3));
        assert_eq!(fixture.ask("_dns.resolver.arpa", 2).await, None);
        // The policy changes, and with it the lock.
        let swapped = clients(&[("mn-1", "Phone", 2, Strict), ("mn-2", "TV", 3, Off)]);
        fixture.set_and_check(&swapped).await;
        assert_eq!(fixture.ask("dns.google", 2).await, Some(BLOCKED));
        assert_eq!(fixture.ask("dns.google", 3).await, Some(UPSTREAM_ADDRESS));
        run.stop();
    });
}

#[test]
fn an_older_configuration_gets_the_list_for_locked_devices() {
    in_namespace(async {
        let fixture = Fixture::new();
        let all = clients(&[("mn-1", "Phone", 2, Strict)]);
        fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
        let path = fixture.dns.conf_dir.join("AdGuardHome.yaml");
        let mut config: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let filters = config["filters"].as_array_mut().unwrap();
        filters.retain(|f| f["id"] == 1);
        fs::write(&path, config.to_string()).unwrap();
        let mut run = fixture.start();
        fixture.ready().await;
        for _ in 0..100 {
            if fixture.ask("dns.google", 2).await == Some(BLOCKED) {
                return run.stop();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the list was not added within 10 s");
    });
}

#[test]
fn names_are_resolved_while_the_look_up_service_is_away() {
    in_namespace(async {
        let fixture = Fixture::new();
        // The namespace has no way out, so AdGuard Home does not reach the service.
        let address = std::net::SocketAddr::from(([127, 0, 0, 9], 443));
        let adguard = AdGuard::new(fixture.settings(), Arc::clone(&fixture.lists)).unwrap();
        let adguard = adguard.with_lookups(vec![address]);
        let all = clients(&[("mn-1", "Phone", 2, Strict), ("mn-2", "TV", 3, Family)]);
        adguard.prepare(&fixture.dns, &all).await.unwrap();
        let mut run = fixture.start();
        fixture.ready().await;
        // This is what it does by itself (v0.107.79): no answer to any new name.
        assert_ne!(fixture.code("first.example", 2).await, Some(0));
        let observed_until = async |away: bool| {
            for _ in 0..250 {
                let now = adguard.observe(&fixture.dns).await.unwrap();
                for (mark, client) in &all {
                    let policy = now.clients[mark].policy;
                    assert_eq!(policy, Some(client.policy), "the policy seems changed");
                }
                let tv = fixture.client("TV").await;
                if now.lookups_away == away && tv["parental_enabled"] == json!(!away) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("not within 25 s: away {away}");
        };
        observed_until(true).await;
        for (host, name) in [(2, "second.example"), (3, "third.example")] {
            let asked_at = std::time::Instant::now();
            assert_eq!(fixture.ask(name, host).await, Some(UPSTREAM_ADDRESS));
            assert!(asked_at.elapsed() < Duration::from_millis(500));
            // Lists and safe search go on.
            assert_eq!(fixture.ask("doubleclick.net", host).await, Some(BLOCKED));
        }
        // A change of a device meanwhile does not switch it on again.
        adguard.set_clients(&fixture.dns, &all).await.unwrap();
        assert_eq!(fixture.client("TV").await["parental_enabled"], json!(false));
        let _service = std::net::TcpListener::bind(address).unwrap();
        observed_until(false).await;
        assert_eq!(
            fixture.client("TV").await["safebrowsing_enabled"],
            json!(true)
        );
        run.stop();
    });
}
