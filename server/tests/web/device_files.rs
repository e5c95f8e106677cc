//! What a device's file says is changed by the interface and by the page; the device
//! keeps its key.

use crate::{api_client::Call, stack::Stack};
use serde_json::json;

const HOST: &str = "alice.localhost:8085";

fn value<'a>(conf: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = conf.lines().filter_map(|l| l.split_once(" = "));
    lines.find_map(|(k, value)| (k == key).then_some(value))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_another_file_with_the_same_key() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "phone").await;
    let token = s.api_session("alice", "write").await.access;
    let (path, file) = (
        format!("/v1/devices/{device}"),
        format!("/v1/devices/{device}/config"),
    );
    let first = Call::get(&file).by(&token).send(&s).await;
    first.expect(200);
    let read = Call::get(&path).by(&token).send(&s).await;
    let tag = read.header("etag").to_owned();
    assert_eq!(read.expect(200)["routing"], "everything");

    let change = json!({ "routing": "internet", "small_packets": true });
    let change = |tag: &str| {
        Call::patch(&path, change.clone())
            .by(&token)
            .with("if-match", tag)
    };
    let changed = change(&tag).send(&s).await;
    assert!([200, 202].contains(&changed.status.as_u16()), "{changed:?}");
    assert_eq!(changed.json["routing"], "internet");
    assert_eq!(changed.json["small_packets"], true);
    assert_eq!(changed.json["ipv4_only"], false);
    assert_eq!(changed.json["public_key"], read.json["public_key"]);
    // The ETag covers them.
    let late = change(&tag).send(&s).await;
    assert_eq!(late.code(), "changed_meanwhile");
    let second = Call::get(&file).by(&token).send(&s).await;
    assert_eq!(
        value(&second.text, "PrivateKey"),
        value(&first.text, "PrivateKey")
    );
    assert_eq!(value(&second.text, "MTU"), Some("1280"));
    assert_eq!(value(&first.text, "MTU"), None);
    let routes = value(&second.text, "AllowedIPs").unwrap();
    assert!(
        !routes.contains("/0") && routes.contains("::/1"),
        "{routes}"
    );
    let malformed = Call::patch(&path, json!({ "routing": "all" })).by(&token);
    assert_eq!(malformed.send(&s).await.status, 400);

    // By the page, an unchecked box is off, and the page says what is to be done.
    let cookie = Some(alice.cookie.as_str());
    let form = format!("id={device}&label=phone&policy=standard&routing=network&ipv4_only=on");
    let answer = s.post(HOST, "/do/change_device", &form, cookie).await;
    let to = answer.location.clone().unwrap_or_default();
    assert_eq!(to, format!("/devices/{device}?saved=file"));
    let page = s.get(HOST, &to, cookie).await;
    assert!(page.contains("Download the file again"), "{page:?}");
    let third = Call::get(&file).by(&token).send(&s).await;
    assert_eq!(value(&third.text, "MTU"), None);
    assert!(!value(&third.text, "AllowedIPs").unwrap().contains(':'));
    // A page that is open since before an upgrade has no such inputs: they stay.
    let form = format!("id={device}&label=phone&policy=off");
    let answer = s.post(HOST, "/do/change_device", &form, cookie).await;
    assert_ne!(answer.location.as_deref(), Some(to.as_str()));
    let read = Call::get(&path).by(&token).send(&s).await;
    assert_eq!(read.expect(200)["routing"], "network");
    assert_eq!(read.json["ipv4_only"], true);
}
