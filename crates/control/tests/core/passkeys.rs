//! Passkeys, with an authenticator and a browser made here: registering, the second step, signing in
//! alone, presence, and what is refused.

use crate::account::{SignedIn, actions, arrive, browser, pending, sign_in};
use crate::rig::{FROM, Rig, code};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use control::{PendingSignIn, SignInClient, SignInTicket};
use domain::{ErrorCode, Failure, Message, TenantName};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MINUTE: i64 = 60_000;
const VERIFIED: u8 = 0x05;
const TOUCHED: u8 = 0x01;

/// A passkey with the browser that has it.
struct Passkey {
    key: EcdsaKeyPair,
    id: &'static [u8],
    counter: u32,
    flags: u8,
}

impl Passkey {
    fn new(id: &'static [u8]) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            key: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
            id,
            counter: 0,
            flags: VERIFIED,
        }
    }

    fn answer(&self, kind: &str, host: &str, options: &Value, with_key: bool) -> String {
        let client = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": format!("https://{host}"),
            "crossOrigin": false,
        })
        .to_string();
        let mut data = Sha256::digest(host).to_vec();
        data.push(self.flags | if with_key { 0x40 } else { 0 });
        data.extend(self.counter.to_be_bytes());
        if with_key {
            let point = self.key.public_key().as_ref();
            data.extend([0; 16]);
            data.extend([0, u8::try_from(self.id.len()).unwrap()]);
            data.extend(self.id);
            data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
            data.extend(&point[1..33]);
            data.extend([0x22, 0x58, 0x20]);
            data.extend(&point[33..]);
        }
        let mut message = data.clone();
        message.extend(Sha256::digest(&client));
        let signature = self.key.sign(&SystemRandom::new(), &message).unwrap();
        json!({
            "id": URL_SAFE_NO_PAD.encode(self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()),
            },
        })
        .to_string()
    }

    fn create(&self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        let host = options["rp"]["id"].as_str().unwrap();
        self.answer("webauthn.create", host, &options, true)
    }

    fn get(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        self.counter += 1;
        let host = options["rpId"].as_str().unwrap();
        self.answer("webauthn.get", host, &options, false)
    }
}

async fn added(rig: &Rig, by: &SignedIn, passkey: &Passkey) {
    let account = rig.control.account();
    let options = account.begin_passkey(&by.account).await.unwrap();
    let answer = passkey.create(&options);
    let added = account.add_passkey(&by.account, "laptop", &answer, FROM);
    added.await.unwrap();
}

/// Signs in at that tenant's host with a passkey alone.
async fn alone(rig: &Rig, host: &str, passkey: &mut Passkey) -> Result<SignInTicket, Failure> {
    let host = TenantName::parse(host).unwrap();
    let auth = rig.control.auth();
    let asked = auth.passkey_challenge(Some(&host), FROM).await?;
    let answer = passkey.get(&asked.options);
    let client = SignInClient {
        browser: Some(asked.browser),
        ..FROM.into()
    };
    auth.passkey_sign_in(&host, &answer, client).await
}

async fn second(rig: &Rig, pending: &PendingSignIn, answer: &str) -> Result<SignInTicket, Failure> {
    let auth = rig.control.auth();
    let done = auth.passkey_second_factor(&pending.token, answer, browser(pending));
    done.await
}

#[tokio::test]
async fn a_passkey_is_the_second_step_and_signs_in_alone() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let lina = sign_in(&rig).await;
    let mut passkey = Passkey::new(b"one");
    added(&rig, &lina, &passkey).await;
    let security = rig.control.account().security(&lina.account).await.unwrap();
    assert!(security.has_second_factor() && security.totp_since.is_none());
    assert_eq!(security.passkeys[0].name, "laptop");

    let waits = pending(&rig).await;
    let auth = rig.control.auth();
    let waiting = auth
        .waiting_for(&waits.token, browser(&waits))
        .await
        .unwrap();
    assert!(waiting.has_passkey && !waiting.has_totp && waiting.name == "lina");
    let options = auth.second_step_challenge(&waits.token, browser(&waits));
    let options = options.await.unwrap();
    let allowed: Value = serde_json::from_str(&options).unwrap();
    assert_eq!(allowed["rpId"], "lina.vpn.example.org");
    let id = URL_SAFE_NO_PAD.encode(b"one");
    assert_eq!(allowed["allowCredentials"][0]["id"], Value::from(id));
    let answer = passkey.get(&options);
    let ticket = second(&rig, &waits, &answer).await.unwrap();
    arrive(&rig, ticket).await;

    let ticket = alone(&rig, "lina", &mut passkey).await.unwrap();
    arrive(&rig, ticket).await;
    // Without a check that it is its owner it is no sign-in by itself.
    passkey.flags = TOUCHED;
    let refused = alone(&rig, "lina", &mut passkey).await.unwrap_err();
    assert_eq!(refused.message, Message::PasskeyUnverified);
}

#[tokio::test]
async fn a_challenge_works_once_in_its_browser_and_for_its_purpose() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let lina = sign_in(&rig).await;
    let mut passkey = Passkey::new(b"one");
    added(&rig, &lina, &passkey).await;
    let auth = rig.control.auth();
    let host = TenantName::parse("lina").unwrap();
    let asked = auth.passkey_challenge(Some(&host), FROM).await.unwrap();
    let answer = passkey.get(&asked.options);
    let other = SignInClient {
        browser: Some(domain::Secret::new("another browser")),
        ..FROM.into()
    };
    let refused = auth.passkey_sign_in(&host, &answer, other).await;
    assert_eq!(refused.unwrap_err().message, Message::PasskeyInvalid);
    let own = SignInClient {
        browser: Some(asked.browser),
        ..FROM.into()
    };
    let refused = auth.passkey_sign_in(&host, &answer, own).await;
    let message = refused.unwrap_err().message;
    assert_eq!(message, Message::PasskeyInvalid, "it was used up");

    // A sign-in's answer is no second step's.
    let waits = pending(&rig).await;
    let asked = auth
        .passkey_challenge(Some(&host), browser(&waits))
        .await
        .unwrap();
    let answer = passkey.get(&asked.options);
    assert_eq!(
        code(second(&rig, &waits, &answer).await),
        ErrorCode::PasskeyInvalid
    );
    // One that waited too long.
    let asked = auth.passkey_challenge(Some(&host), FROM).await.unwrap();
    let answer = passkey.get(&asked.options);
    rig.clock.advance(6 * MINUTE);
    let own = SignInClient {
        browser: Some(asked.browser),
        ..FROM.into()
    };
    let refused = auth.passkey_sign_in(&host, &answer, own).await;
    assert_eq!(refused.unwrap_err().message, Message::PasskeyInvalid);
}

#[tokio::test]
async fn another_tenants_host_refuses_the_passkey() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    rig.tenant("mara").await;
    let lina = sign_in(&rig).await;
    let mut passkey = Passkey::new(b"one");
    added(&rig, &lina, &passkey).await;
    // The browser would not offer it there; one that does is refused.
    let refused = alone(&rig, "mara", &mut passkey).await.unwrap_err();
    assert_eq!(refused.message, Message::PasskeyUnknown);
    // An answer that is for Lina's host, sent to Mara's.
    let auth = rig.control.auth();
    let (own, mara) = ("lina", TenantName::parse("mara").unwrap());
    let host = TenantName::parse(own).unwrap();
    let asked = auth.passkey_challenge(Some(&host), FROM).await.unwrap();
    let answer = passkey.get(&asked.options);
    let client = SignInClient {
        browser: Some(asked.browser),
        ..FROM.into()
    };
    let refused = auth.passkey_sign_in(&mara, &answer, client).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::PasskeyInvalid);
    alone(&rig, "lina", &mut passkey).await.unwrap();
}

#[tokio::test]
async fn a_counter_that_goes_back_is_a_copy_and_is_logged() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let lina = sign_in(&rig).await;
    let mut passkey = Passkey::new(b"one");
    added(&rig, &lina, &passkey).await;
    passkey.counter = 9;
    alone(&rig, "lina", &mut passkey).await.unwrap();
    passkey.counter = 4;
    let refused = alone(&rig, "lina", &mut passkey).await.unwrap_err();
    assert_eq!(refused.message, Message::PasskeyCopied);
    let logged = actions(&rig).await;
    assert!(logged.contains(&"factor.copied".to_owned()), "{logged:?}");
}

#[tokio::test]
async fn changes_of_passkeys_need_presence_which_a_passkey_proves() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let lina = sign_in(&rig).await;
    let mut passkey = Passkey::new(b"one");
    added(&rig, &lina, &passkey).await;
    let account = rig.control.account();
    let again = account.begin_passkey(&lina.account).await.unwrap();
    let again = account
        .add_passkey(&lina.account, "again", &passkey.create(&again), FROM)
        .await;
    assert_eq!(code(again), ErrorCode::FactorExists);

    rig.clock.advance(11 * MINUTE);
    let id = account.passkeys(&lina.account).await.unwrap().remove(0).id;
    let begun = account.begin_passkey(&lina.account).await;
    assert_eq!(code(begun), ErrorCode::PresenceNeeded);
    let removed = account.remove_passkey(&lina.account, &id).await;
    assert_eq!(code(removed), ErrorCode::PresenceNeeded);
    let options = account.presence_challenge(&lina.account).await.unwrap();
    passkey.flags = TOUCHED;
    let answer = passkey.get(&options);
    let touched = account
        .prove_presence_by_passkey(&lina.account, &answer, FROM)
        .await;
    assert_eq!(touched.unwrap_err().message, Message::PasskeyUnverified);
    passkey.flags = VERIFIED;
    let options = account.presence_challenge(&lina.account).await.unwrap();
    let answer = passkey.get(&options);
    let proved = account.prove_presence_by_passkey(&lina.account, &answer, FROM);
    proved.await.unwrap();

    account
        .rename_passkey(&lina.account, &id, " phone ")
        .await
        .unwrap();
    assert_eq!(
        account.passkeys(&lina.account).await.unwrap()[0].name,
        "phone"
    );
    account.remove_passkey(&lina.account, &id).await.unwrap();
    let refused = alone(&rig, "lina", &mut passkey).await.unwrap_err();
    assert_eq!(refused.message, Message::PasskeyUnknown);
    let logged = actions(&rig).await;
    for action in [
        "factor.add",
        "factor.rename",
        "factor.remove",
        "presence.prove",
    ] {
        assert!(logged.contains(&action.to_owned()), "{action}: {logged:?}");
    }
}
