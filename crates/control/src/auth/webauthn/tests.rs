use super::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

const FLAGS: u8 = PRESENT | VERIFIED;

/// An authenticator with one passkey.
struct Authenticator(EcdsaKeyPair);

impl Authenticator {
    fn new() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    /// Returns the head of what it writes for that host.
    fn head(host: &str, flags: u8, counter: u32) -> Vec<u8> {
        let mut data = Sha256::digest(host).to_vec();
        data.push(flags);
        data.extend(counter.to_be_bytes());
        data
    }

    fn create(&self, party: &RelyingParty, client: &Value) -> Value {
        let point = self.0.public_key().as_ref();
        let mut data = Self::head(&party.host, FLAGS | WITH_KEY, 0);
        data.extend([0; 16]);
        data.extend([0, 4]);
        data.extend(b"cred");
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..]);
        answer(&data, client, None)
    }

    fn get(&self, data: &[u8], client: &Value) -> Value {
        let mut message = data.to_vec();
        message.extend(Sha256::digest(client.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), &message).unwrap();
        answer(data, client, Some(signature.as_ref()))
    }
}

fn answer(data: &[u8], client: &Value, signature: Option<&[u8]>) -> Value {
    json!({
        "id": URL_SAFE_NO_PAD.encode(b"cred"),
        "type": "public-key",
        "response": {
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client.to_string()),
            "authenticatorData": URL_SAFE_NO_PAD.encode(data),
            "signature": signature.map(|s| URL_SAFE_NO_PAD.encode(s)),
            "userHandle": null,
        },
    })
}

fn client(kind: &str, origin: &str) -> Value {
    json!({ "type": kind, "challenge": "challenge", "origin": origin, "crossOrigin": false })
}

fn lina() -> RelyingParty {
    RelyingParty::below("http://vpn.example.org:8085", "lina")
}

fn registered(authenticator: &Authenticator, party: &RelyingParty) -> StoredPasskey {
    let json = authenticator.create(party, &client("webauthn.create", &party.origin));
    let answer = Answer::read(AnswerKind::Create, &json.to_string()).unwrap();
    assert_eq!(answer.challenge.expose(), "challenge");
    answer.new_passkey(party).unwrap().0
}

fn refusal(answer: &Value, party: &RelyingParty, by: &StoredPasskey) -> Option<Message> {
    let read = Answer::read(AnswerKind::Get, &answer.to_string());
    let signed = read.and_then(|answer| answer.signed(party, by));
    signed.err().map(|f| f.message)
}

#[test]
fn the_host_is_below_the_base_and_the_origin_has_its_port() {
    let party = lina();
    assert_eq!(party.host, "lina.vpn.example.org");
    assert_eq!(party.origin, "http://lina.vpn.example.org:8085");
    let party = RelyingParty::below("https://vpn.example.org", "admin");
    assert_eq!(party.origin, "https://admin.vpn.example.org");
}

#[test]
fn a_signature_of_the_registered_key_is_right() {
    let (authenticator, party) = (Authenticator::new(), lina());
    let passkey = registered(&authenticator, &party);
    let of = client("webauthn.get", &party.origin);
    let data = Authenticator::head(&party.host, FLAGS, 7);
    let json = authenticator.get(&data, &of).to_string();
    let signed = Answer::read(AnswerKind::Get, &json)
        .unwrap()
        .signed(&party, &passkey)
        .unwrap();
    let right = Signed {
        counter: 7,
        is_verified: true,
    };
    assert_eq!(signed, right);
}

#[test]
fn an_answer_for_another_host_or_page_is_refused() {
    let (authenticator, party) = (Authenticator::new(), lina());
    let passkey = registered(&authenticator, &party);
    let (own, mara) = (
        Authenticator::head(&party.host, FLAGS, 1),
        RelyingParty::below("http://vpn.example.org:8085", "mara"),
    );
    let other = Some(Message::PasskeyOtherHost);
    for origin in [
        "http://mara.vpn.example.org:8085",
        "http://vpn.example.org:8085",
        "https://lina.vpn.example.org:8085",
        "http://lina.vpn.example.org",
    ] {
        let json = authenticator.get(&own, &client("webauthn.get", origin));
        assert_eq!(refusal(&json, &party, &passkey), other, "{origin}");
    }
    let of = client("webauthn.get", &party.origin);
    let elsewhere = Authenticator::head(&mara.host, FLAGS, 1);
    let json = authenticator.get(&elsewhere, &of);
    assert_eq!(refusal(&json, &party, &passkey), other);
    let mut framed = of.clone();
    framed["crossOrigin"] = json!(true);
    assert_eq!(
        refusal(&authenticator.get(&own, &framed), &party, &passkey),
        other
    );
    // All of it is another tenant's: it is not that tenant's passkey.
    let json = authenticator.get(&elsewhere, &client("webauthn.get", &mara.origin));
    let unknown = Some(Message::PasskeyUnknown);
    assert_eq!(refusal(&json, &mara, &passkey), unknown);
}

#[test]
fn a_wrong_signature_and_an_absent_person_are_refused() {
    let (authenticator, party) = (Authenticator::new(), lina());
    let passkey = registered(&authenticator, &party);
    let of = client("webauthn.get", &party.origin);
    let data = Authenticator::head(&party.host, FLAGS, 1);
    let unknown = Some(Message::PasskeyUnknown);
    let json = Authenticator::new().get(&data, &of);
    assert_eq!(refusal(&json, &party, &passkey), unknown, "another key");
    let mut json = authenticator.get(&data, &of);
    let later = Authenticator::head(&party.host, FLAGS, 2);
    json["response"]["authenticatorData"] = json!(URL_SAFE_NO_PAD.encode(later));
    assert_eq!(refusal(&json, &party, &passkey), unknown, "another counter");
    let absent = Authenticator::head(&party.host, 0, 1);
    let json = authenticator.get(&absent, &of);
    let unverified = Some(Message::PasskeyUnverified);
    assert_eq!(refusal(&json, &party, &passkey), unverified);
}

#[test]
fn what_is_no_answer_is_unreadable() {
    let (authenticator, party) = (Authenticator::new(), lina());
    let passkey = registered(&authenticator, &party);
    let data = Authenticator::head(&party.host, FLAGS, 1);
    let right = authenticator.get(&data, &client("webauthn.get", &party.origin));
    let changed = |path: &str, value: Value| {
        let mut json = right.clone();
        *json.pointer_mut(path).unwrap() = value;
        json
    };
    let long = URL_SAFE_NO_PAD.encode([0; MAX_CREDENTIAL + 1]);
    for json in [
        json!(null),
        json!({}),
        changed("/id", json!("")),
        changed("/id", json!("a b")),
        changed("/id", json!(long)),
        changed("/response/signature", json!(null)),
        changed("/response/authenticatorData", json!("AAAA")),
        changed("/response/clientDataJSON", json!("AAAA")),
        authenticator.get(&data, &client("webauthn.create", &party.origin)),
        json!("x".repeat(MAX_ANSWER)),
    ] {
        let unreadable = Some(Message::PasskeyUnreadable);
        assert_eq!(refusal(&json, &party, &passkey), unreadable, "{json}");
    }
}

#[test]
fn a_new_passkey_that_is_cut_is_refused() {
    let (authenticator, party) = (Authenticator::new(), lina());
    let client = client("webauthn.create", &party.origin);
    let whole = authenticator.create(&party, &client);
    let data = decoded(whole["response"]["authenticatorData"].as_str().unwrap()).unwrap();
    for length in HEAD..data.len() {
        let json = answer(&data[..length], &client, None);
        let answer = Answer::read(AnswerKind::Create, &json.to_string()).unwrap();
        assert!(answer.new_passkey(&party).is_err(), "{length}");
    }
}
