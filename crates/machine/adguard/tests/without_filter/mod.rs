//! Devices with the policy *off*, with the list that lets their names pass and without it.

use crate::fixture::{BLOCKED, Fixture, UPSTREAM_ADDRESS, clients, in_namespace};
use domain::FilterPolicy::{Off, Standard};
use provisioning::ports::DnsFilter;
use serde_json::json;
use std::{fs, net::Ipv4Addr, time::Duration};

/// Observes until a device whose policy is *off* has filtering on or off there. Its policy
/// never seems changed.
async fn off_until(fixture: &Fixture, name: &str, filtering: bool) {
    for _ in 0..200 {
        let observed = fixture.adguard.observe(&fixture.dns).await.unwrap();
        let mut clients = observed.clients.values();
        let client = clients.find(|c| c.name == name).unwrap();
        assert_eq!(client.policy, Some(Off), "the policy seems changed");
        if fixture.client(name).await["filtering_enabled"] == json!(filtering) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within 20 s: filtering {filtering}");
}

#[test]
fn a_device_without_a_filter_is_not_filtered_without_the_list_for_it() {
    in_namespace(async {
        let fixture = Fixture::new();
        let all = clients(&[("mn-1", "Phone", 2, Standard), ("mn-2", "TV", 3, Off)]);
        fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
        let mut run = fixture.start();
        fixture.ready().await;
        let name = "device-2.alice.internal";
        let address = Some(Ipv4Addr::new(127, 0, 1, 2));
        off_until(&fixture, "TV", true).await;
        assert_eq!(fixture.ask(name, 3).await, address);
        // Rules of the tenant that block or redirect, also important ones.
        let rules = json!({"rules": ["||own.example^$important",
            "||sent.example^$dnsrewrite=203.0.113.5",
            "||sent-too.example^$important,dnsrewrite=203.0.113.5"]});
        fixture.post("filtering/set_rules", &rules).await;
        let passes = async || {
            for name in [
                "own.example",
                "sent.example",
                "sent-too.example",
                "doubleclick.net",
            ] {
                let answer = fixture.ask(name, 3).await;
                assert_eq!(answer, Some(UPSTREAM_ADDRESS), "{name}");
                assert_ne!(fixture.ask(name, 2).await, Some(UPSTREAM_ADDRESS), "{name}");
            }
        };
        passes().await;
        assert_eq!(fixture.ask(name, 3).await, address);

        // The tenant switches the list off, then removes it, and takes it back.
        let url = fixture.lists.path(fixture.lists.shared().last().unwrap());
        let set = |on: bool| {
            json!({"url": url, "whitelist": false,
                "data": {"url": url, "name": "Mine", "enabled": on}})
        };
        fixture.post("filtering/set_url", &set(false)).await;
        off_until(&fixture, "TV", false).await;
        passes().await;
        fixture.post("filtering/set_url", &set(true)).await;
        off_until(&fixture, "TV", true).await;
        assert_eq!(fixture.ask(name, 3).await, address);
        let list = json!({"url": url, "whitelist": false, "name": "Mine"});
        fixture.post("filtering/remove_url", &list).await;
        off_until(&fixture, "TV", false).await;
        passes().await;
        fixture.set_and_check(&all).await;
        passes().await;
        fixture.post("filtering/add_url", &list).await;
        off_until(&fixture, "TV", true).await;
        passes().await;
        assert_eq!(fixture.ask(name, 3).await, address);

        // A service that is blocked for the device stays blocked.
        let mut tv = fixture.client("TV").await;
        tv["blocked_services"] = json!(["tiktok"]);
        let update = json!({"name": "TV", "data": tv});
        fixture.post("clients/update", &update).await;
        off_until(&fixture, "TV", false).await;
        assert_eq!(
            fixture.client("TV").await["blocked_services"],
            json!(["tiktok"])
        );
        assert_eq!(fixture.ask("tiktok.com", 3).await, Some(BLOCKED));
        passes().await;
        run.stop();
    });
}

#[test]
fn an_upgrade_filters_no_device_without_a_filter() {
    in_namespace(async {
        let fixture = Fixture::new();
        let all = clients(&[("mn-1", "Phone", 2, Standard), ("mn-2", "TV", 3, Off)]);
        fixture.adguard.prepare(&fixture.dns, &all).await.unwrap();
        // As an earlier version left it: other rules in the list, filtering off.
        let list = fixture.lists.path(fixture.lists.shared().last().unwrap());
        let text = fs::read_to_string(&list).unwrap();
        let copy = fixture.dns.work_dir.join("data/filters/1000.txt");
        let old_rule = "||dns.google^$ctag=user_regular\n";
        let written_at = fs::metadata(&list).unwrap().modified().unwrap();
        fs::write(&copy, old_rule).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&copy).unwrap();
        file.set_modified(written_at - Duration::from_secs(60))
            .unwrap();
        // The list cannot be read at first.
        fs::remove_file(&list).unwrap();
        let path = fixture.dns.conf_dir.join("AdGuardHome.yaml");
        let config = fs::read_to_string(&path).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let tv = &mut config["clients"]["persistent"][1];
        assert_eq!(tv["name"], "TV");
        tv["filtering_enabled"] = json!(false);
        tv["tags"] = json!([]);
        tv["blocked_services"] = json!({"ids": ["tiktok"], "schedule": {"time_zone": "UTC"}});
        fs::write(&path, config.to_string()).unwrap();
        let mut run = fixture.start();
        fixture.ready().await;
        for _ in 0..10 {
            off_until(&fixture, "TV", false).await;
            fixture.set_and_check(&all).await;
            let answer = fixture.ask("doubleclick.net", 3).await;
            assert_eq!(answer, Some(UPSTREAM_ADDRESS));
        }
        fs::write(&list, text).unwrap();
        // The services that the tenant has blocked for it are still there.
        let mut tv = fixture.client("TV").await;
        assert_eq!(tv["blocked_services"], json!(["tiktok"]));
        tv["blocked_services"] = json!([]);
        let update = json!({"name": "TV", "data": tv});
        fixture.post("clients/update", &update).await;
        off_until(&fixture, "TV", true).await;
        let answer = fixture.ask("doubleclick.net", 3).await;
        assert_eq!(answer, Some(UPSTREAM_ADDRESS));
        let name = "device-2.alice.internal";
        assert_eq!(fixture.ask(name, 3).await, Some([127, 0, 1, 2].into()));
        run.stop();
    });
}
