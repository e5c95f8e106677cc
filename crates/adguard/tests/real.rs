//! The port against the real AdGuard Home, run from the image's own binary in
//! a network namespace per test: port 53 and 127.0.0.0/8 are then the test's
//! alone, and devices are addresses of 127.0.1.0/24. Nothing is skipped:
//! without root, Docker or the image these tests fail and say what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod home;

use adguard::{AdGuard, List, Lists, Source};
use domain::{ErrorCode, FilterPolicy, Secret};
use home::{BLOCKED, Home, UPSTREAM_SAYS, client, clients, in_namespace};
use provisioning::{observed::ObservedDns, ports::DnsFilter};
use serde_json::json;
use std::{fs, sync::Arc, time::Duration};

use FilterPolicy::{Family, Off, Standard, Strict};

#[test]
fn every_configuration_is_accepted() {
    in_namespace(async {
        let home = Home::new();
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
        home.guard.prepare(&home.dns, &all.collect()).await.unwrap();
        home.check_config();
        let mut run = home.start();
        let seen = home.ready().await;
        for (i, label) in labels.iter().enumerate() {
            let client = &seen.clients[&format!("mn-{i}")];
            assert_eq!(client.name, *label);
            assert_eq!(client.policy, Some(FilterPolicy::ALL[i % 4]));
        }
        run.stop();
    });
}

#[test]
fn the_very_first_answer_is_filtered_by_each_devices_policy() {
    in_namespace(async {
        let home = Home::new();
        let all = clients(&[("mn-1", "Phone", 2, Standard), ("mn-2", "TV", 3, Off)]);
        home.guard.prepare(&home.dns, &all).await.unwrap();
        let mut run = home.start();
        // Asked without pause from before it is up: the first answer counts.
        let first = home.first_answer("doubleclick.net", 2).await;
        assert_eq!(first, BLOCKED, "the first answer went unfiltered");
        assert_eq!(home.ask("sub.doubleclick.net", 2).await, Some(BLOCKED));
        assert_eq!(home.ask("harmless.example", 2).await, Some(UPSTREAM_SAYS));
        assert_eq!(
            home.ask("doubleclick.net", 3).await,
            Some(UPSTREAM_SAYS),
            "off is off"
        );
        // 127.0.2.9 is another tenant's.
        assert_eq!(
            home.ask_from("harmless.example", [127, 0, 2, 9].into())
                .await,
            None
        );

        let counts = home.guard.counts(&home.dns).await.unwrap();
        assert!(counts.total >= 4 && counts.blocked >= 2, "{counts:?}");

        // AdGuard Home has rewritten its configuration; ours never comes back.
        let config = home.dns.conf_dir.join("AdGuardHome.yaml");
        let own = fs::read(&config).unwrap();
        home.guard.prepare(&home.dns, &clients(&[])).await.unwrap();
        assert_eq!(fs::read(&config).unwrap(), own);
        run.stop();
    });
}

#[test]
fn devices_come_change_and_go_and_the_tenants_own_stay() {
    in_namespace(async {
        let home = Home::new();
        home.guard.prepare(&home.dns, &clients(&[])).await.unwrap();
        let mut run = home.start();
        assert_eq!(
            home.ready().await,
            ObservedDns {
                running: true,
                ..Default::default()
            }
        );
        let own = json!({"name": "Phone", "ids": ["127.0.1.99"], "use_global_settings": true,
            "use_global_blocked_services": true, "tags": ["device_nas"]});
        home.post("clients/add", &own).await;

        // A policy takes effect at once, and a name that is taken is no problem.
        let mut all = clients(&[("mn-1", "Phone", 2, Standard), ("mn-2", "TV", 3, Strict)]);
        home.bring(&all).await;
        assert_eq!(home.ask("doubleclick.net", 2).await, Some(BLOCKED));
        all.get_mut("mn-1").unwrap().policy = Off;
        home.bring(&all).await;
        assert_eq!(home.ask("doubleclick.net", 2).await, Some(UPSTREAM_SAYS));
        assert_eq!(home.ask("doubleclick.net", 3).await, Some(BLOCKED));

        // Services the tenant blocks for one device survive our change of it.
        let mut tv = home.client("TV").await;
        tv["blocked_services"] = json!(["tiktok"]);
        tv["use_global_blocked_services"] = json!(false);
        home.post("clients/update", &json!({"name": "TV", "data": tv}))
            .await;
        all.get_mut("mn-2").unwrap().policy = Family;
        home.bring(&all).await;
        assert_eq!(
            home.client("TV").await["blocked_services"],
            json!(["tiktok"])
        );
        assert_eq!(
            home.client("TV").await["safe_search"]["google"],
            json!(true)
        );

        // Labels and addresses swapped, in one go.
        let swapped = clients(&[("mn-1", "TV", 3, Standard), ("mn-2", "Laptop", 2, Standard)]);
        home.bring(&swapped).await;

        home.bring(&clients(&[])).await;
        let left = home.client("Phone").await;
        assert_eq!(
            (&left["ids"], &left["tags"]),
            (&json!(["127.0.1.99"]), &json!(["device_nas"]))
        );
        run.stop();
    });
}

#[test]
fn a_list_that_changed_reaches_a_running_instance() {
    in_namespace(async {
        let home = Home::new();
        home.guard
            .prepare(&home.dns, &clients(&[("mn-1", "Phone", 2, Standard)]))
            .await
            .unwrap();
        let mut run = home.start();
        home.ready().await;
        assert_eq!(
            home.ask("new-tracker.example", 2).await,
            Some(UPSTREAM_SAYS)
        );
        // Times of files are compared: let the change be a later one.
        tokio::time::sleep(Duration::from_millis(20)).await;
        fs::write(
            &home.list_source,
            "||new-tracker.example^\n||doubleclick.net^\n",
        )
        .unwrap();
        assert!(home.lists.refresh(Duration::ZERO).await);
        for _ in 0..100 {
            home.guard.observe(&home.dns).await.unwrap();
            if home.ask("new-tracker.example", 2).await == Some(BLOCKED) {
                return run.stop();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the changed list was not read within 10 s");
    });
}

#[test]
fn an_instance_that_is_down_or_refuses_is_told_in_words() {
    in_namespace(async {
        let home = Home::new();
        let e = home.guard.observe(&home.dns).await.unwrap_err();
        assert_eq!(e.code, ErrorCode::DnsUnavailable);
        assert_eq!(e.sentence, "AdGuard Home does not answer yet.");
        home.guard.prepare(&home.dns, &clients(&[])).await.unwrap();
        let mut run = home.start();
        home.ready().await;
        let mut locked_out = home.dns.clone();
        locked_out.password = Secret::new("another");
        // More than five: no lock-out may follow for the right password.
        for _ in 0..8 {
            let e = home.guard.observe(&locked_out).await.unwrap_err();
            assert!(
                e.sentence.contains("does not take our password"),
                "{}",
                e.sentence
            );
        }
        assert!(home.guard.observe(&home.dns).await.unwrap().running);
        run.stop();
    });
}

#[test]
fn a_list_of_the_tenants_host_only_is_readable() {
    in_namespace(async {
        // The second list is not there yet: no reason not to start.
        let home = Home::new();
        let lists = vec![
            List {
                id: 1,
                name: "One".into(),
                source: Source::Path(home.list_source.clone()),
            },
            List {
                id: 2,
                name: "Two".into(),
                source: Source::Path("/nonexistent".into()),
            },
        ];
        let lists = Arc::new(Lists::new(home.dir.path().join("lists"), lists).unwrap());
        let guard = AdGuard::new(home.settings(), Arc::clone(&lists)).unwrap();
        guard.prepare(&home.dns, &clients(&[])).await.unwrap();
        assert!(!lists.refresh(Duration::ZERO).await);
        assert!(lists.status()[1].problem.is_some());
        let mut run = home.start();
        home.ready().await;
        assert_eq!(home.ask("doubleclick.net", 2).await, Some(BLOCKED));
        run.stop();
    });
}
