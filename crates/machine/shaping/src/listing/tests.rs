use super::*;

/// Printed by iproute2 6.1 on Debian 12.
const QDISCS: &str = r#"[{"kind":"noqueue","handle":"0:","dev":"lo","root":true,"refcnt":2,"options":{}},{"kind":"tbf","handle":"4d40:","dev":"wg1","root":true,"refcnt":3,"options":{"rate":25000000,"burst":70000,"lat":49600}},{"kind":"bfifo","handle":"4d50:","dev":"wg1","parent":"4d40:1","options":{"limit":30000}},{"kind":"ingress","handle":"ffff:","dev":"wg1","parent":"ffff:fff1","options":{}},{"kind":"pfifo_fast","handle":"0:","dev":"mnup1","root":true,"refcnt":2,"options":{"bands":3,"multiqueue":false}}]"#;

const FILTERS: &str = r#"[{"protocol":"all","pref":19776,"kind":"u32","chain":0},{"protocol":"all","pref":19776,"kind":"u32","chain":0,"options":{"fh":"800:","ht_divisor":1}},{"protocol":"all","pref":19776,"kind":"u32","chain":0,"options":{"fh":"800::800","order":2048,"key_ht":"800","bkt":"0","not_in_hw":true,"match":{"value":"0","mask":"0","offmask":"","off":0},"actions":[{"order":1,"kind":"mirred","mirred_action":"redirect","direction":"egress","to_dev":"mnup1","control_action":{"type":"stolen"},"index":1,"ref":1,"bind":1}]}}]
[]
"#;

#[test]
fn qdiscs_are_read_by_interface() {
    let all = qdiscs(QDISCS.as_bytes()).unwrap();
    let wg = &all["wg1"];
    assert_eq!(
        wg[0],
        Qdisc {
            kind: "tbf".to_owned(),
            handle: 0x4d40,
            place: Place::Root,
            bucket: Some(Bucket {
                rate: 25_000_000,
                burst: 70_000,
                latency: 49_600,
            }),
        }
    );
    assert_eq!(
        (wg[1].place, wg[2].place),
        (Place::Below(0x4d40), Place::Ingress)
    );
    assert_eq!(all["mnup1"][0].kind, "pfifo_fast");
}

#[test]
fn only_a_redirect_of_everything_is_a_redirect() {
    let all = filters(FILTERS.as_bytes()).unwrap();
    assert_eq!(all.len(), 2);
    let targets: Vec<_> = all[0].iter().map(|f| f.redirect.as_deref()).collect();
    assert_eq!(targets, [None, None, Some("mnup1")]);
    let filters_only: Vec<_> = all[0].iter().map(|f| f.matches).collect();
    assert_eq!(filters_only, [false, false, true]);
    assert!(all[1].is_empty());
    for (from, to) in [
        (r#""value":"0""#, r#""value":"a580000""#),
        (r#""mask":"0""#, r#""mask":"ffffffff""#),
        (r#""redirect""#, r#""mirror""#),
        (r#""egress""#, r#""ingress""#),
        (r#""protocol":"all""#, r#""protocol":"ip""#),
        (r#""kind":"u32""#, r#""kind":"flower""#),
    ] {
        let changed = FILTERS.replace(from, to);
        assert_ne!(changed, FILTERS);
        let all = filters(changed.as_bytes()).unwrap();
        assert!(all[0].iter().all(|f| f.redirect.is_none()), "{to}");
    }
}

#[test]
fn what_is_not_tcs_json_is_refused() {
    for text in ["", "{", "qdisc noqueue 0: dev lo", "[1]", "{}"] {
        assert!(qdiscs(text.as_bytes()).is_err(), "{text}");
    }
    assert!(filters(b"[{}] [").is_err());
    assert!(filters(b"").unwrap().is_empty());
}
