//! Updates of a real name server: BIND, from Debian's package (`./dev setup --tests`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod named;

use domain::Secret;
use named::{KEY, Named};
use nameserver::{DnsName, NameServer, NameServerError, Record, Target, TsigKey};
use std::net::{Ipv4Addr, Ipv6Addr};

const LINA: &str = "lina-vpn.example.org";
const KAI: &str = "kai-vpn.example.org";

fn name(text: &str) -> DnsName {
    DnsName::parse(text).unwrap()
}

fn server(named: &Named, zone: &str, key: Option<&str>) -> NameServer {
    let key = key.map(|key| TsigKey::parse(&Secret::new(key)).unwrap());
    NameServer::new(named.address(), name(zone), key)
}

fn record(owner: &str, target: Option<Target>) -> Record {
    let name = name(owner);
    Record { name, target }
}

const FIRST: Target = Target::V4(Ipv4Addr::new(203, 0, 113, 8));
const SIXTH: Target = Target::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 8));

#[tokio::test]
async fn a_name_follows_from_address_to_address_to_host_and_is_removed() {
    let named = Named::start();
    let server = server(&named, "example.org", Some(KEY));
    let host = Target::Host(name("worker-1.example.net"));
    server.update(&[]).await.unwrap();
    assert_eq!(
        named.dig(LINA, "A"),
        [] as [String; 0],
        "it has a text alone"
    );
    assert_eq!(named.dig(KAI, "A"), ["192.0.2.10"], "by the wildcard");
    let both = [record(LINA, Some(FIRST)), record(KAI, Some(SIXTH))];
    server.update(&both).await.unwrap();
    assert_eq!(named.dig(LINA, "A"), ["203.0.113.8"]);
    assert_eq!(named.dig(KAI, "AAAA"), ["2001:db8::8"]);
    assert_eq!(
        named.dig(KAI, "A"),
        [] as [String; 0],
        "no wildcard any more"
    );
    let asked = [name(LINA), name(KAI), name("example.org")];
    let found = server.targets(&asked);
    assert_eq!(found.await.unwrap(), [Some(FIRST), Some(SIXTH), None]);

    let moved = [record(LINA, Some(SIXTH)), record(KAI, Some(host.clone()))];
    server.update(&moved).await.unwrap();
    // The same once more changes nothing.
    server.update(&moved).await.unwrap();
    assert_eq!(named.dig(LINA, "AAAA"), ["2001:db8::8"]);
    assert_eq!(
        named.dig(LINA, "TXT"),
        ["\"by hand\""],
        "the operator's own"
    );
    assert_eq!(named.dig(KAI, "CNAME"), ["worker-1.example.net."]);
    let found = server.targets(&[name(KAI)]).await.unwrap();
    assert_eq!(found, [Some(host)]);

    server
        .update(&[record(KAI, None), record(LINA, None)])
        .await
        .unwrap();
    assert_eq!(named.dig(KAI, "A"), ["192.0.2.10"]);
    assert_eq!(named.dig(LINA, "AAAA"), [] as [String; 0]);
}

#[tokio::test]
async fn as_many_names_as_an_update_may_have_fit_into_a_message() {
    let named = Named::start();
    let server = server(&named, "example.org", Some(KEY));
    let label = "a".repeat(60);
    let long = |n: usize| format!("a{n:02}.{label}.{label}.{label}.example.org");
    let host = Target::Host(name(&format!("{label}.{label}.{label}.example.net")));
    let all: Vec<_> = (0..NameServer::MAX_NAMES)
        .map(|n| record(&long(n), Some(host.clone())))
        .collect();
    server.update(&all).await.unwrap();
    let names: Vec<_> = all.iter().map(|r| r.name.clone()).collect();
    let found = server.targets(&names).await.unwrap();
    assert!(found.iter().all(|target| *target == Some(host.clone())));
}

#[tokio::test]
async fn what_the_server_refuses_changes_nothing_and_has_its_code() {
    let named = Named::start();
    let changes = [
        record(LINA, Some(FIRST)),
        record("fixed.example.org", Some(FIRST)),
    ];
    let code = async |server: NameServer, changes: &[Record]| match server
        .update(changes)
        .await
        .unwrap_err()
    {
        NameServerError::Refused { refused, .. } => refused.name().unwrap(),
        other => panic!("{other}"),
    };
    let with = |zone, key| server(&named, zone, key);
    let wrong_secret = "hmac-sha256:maliknode:b3RoZXItb3RoZXItb3RoZXI=";
    let unknown = KEY.replace("maliknode", "unknown");
    let other = KEY.replace("maliknode", "other");
    let one = &changes[..1];
    assert_eq!(
        code(with("example.org", Some(KEY)), &changes).await,
        "REFUSED"
    );
    assert_eq!(
        code(with("example.org", Some(&other)), one).await,
        "REFUSED"
    );
    assert_eq!(code(with("example.org", None), one).await, "REFUSED");
    assert_eq!(
        code(with("example.org", Some(wrong_secret)), one).await,
        "BADSIG"
    );
    assert_eq!(
        code(with("example.org", Some(&unknown)), one).await,
        "BADKEY"
    );
    assert_eq!(code(with("example.net", Some(KEY)), one).await, "NOTAUTH");
    let outside = [record("lina-vpn.example.net", Some(FIRST))];
    assert_eq!(
        code(with("example.org", Some(KEY)), &outside).await,
        "NOTZONE"
    );
    assert_eq!(named.dig(LINA, "A"), [] as [String; 0], "{}", named.log());
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable_and_works_again_after_its_start() {
    let mut named = Named::start();
    let server = server(&named, "example.org", Some(KEY));
    server.update(&[record(LINA, Some(FIRST))]).await.unwrap();
    named.stop();
    let error = server.update(&[]).await.unwrap_err();
    assert!(
        matches!(error, NameServerError::Unreachable { .. }),
        "{error}"
    );
    named.run();
    let found = server.targets(&[name(LINA)]).await.unwrap();
    assert_eq!(found, [Some(FIRST)]);
}

/// An attacker in between that answers success without knowing the key.
#[tokio::test]
async fn an_unsigned_success_is_none() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut asked = vec![0; length.into()];
        stream.read_exact(&mut asked).await.unwrap();
        let mut answer = vec![0, 12, asked[0], asked[1], 0xa8, 0];
        answer.extend_from_slice(&[0; 8]);
        stream.write_all(&answer).await.unwrap();
    });
    let key = TsigKey::parse(&Secret::new(KEY));
    let server = NameServer::new(address, name("example.org"), key);
    let error = server.update(&[]).await.unwrap_err();
    assert!(matches!(error, NameServerError::Unusable { .. }), "{error}");
}
