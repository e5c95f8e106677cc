//! The product's randomness, from the seed. Each operation draws from a stream
//! of its own, so that its keys do not depend on what else happens, and are
//! known even if its answer is lost.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use control::Entropy;
use domain::{PresharedKey, PrivateKey, PublicKey};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use testkit::sim::rng::SplitMix64;

tokio::task_local! {
    /// The stream of the running operation.
    static STREAM: Stream;
}

/// Values that no log, no message and no table may contain in clear text.
pub type Secrets = Arc<Mutex<Vec<String>>>;

struct Stream {
    seed: u64,
    /// How often each length was drawn.
    drawn: Mutex<BTreeMap<usize, u64>>,
    secrets: Secrets,
}

/// Fills `into` with the bytes of an operation's `nth` draw of that length.
fn bytes(seed: u64, nth: u64, into: &mut [u8]) {
    let mut rng = SplitMix64::new(seed ^ (nth << 32) ^ into.len() as u64);
    for chunk in into.chunks_mut(8) {
        let drawn = rng.draw().to_be_bytes();
        chunk.copy_from_slice(&drawn[..chunk.len()]);
    }
}

/// Returns the identity of what an operation creates: the public half of the
/// first private key that it draws.
pub fn identity(seed: u64) -> PublicKey {
    let mut key = [0; 32];
    bytes(seed, 0, &mut key);
    PrivateKey::from_random(key).public()
}

/// Runs an operation with the stream of its seed.
pub async fn with<T>(seed: u64, secrets: &Secrets, operation: impl Future<Output = T>) -> T {
    let stream = Stream {
        seed,
        drawn: Mutex::default(),
        secrets: secrets.clone(),
    };
    STREAM.scope(stream, operation).await
}

/// Returns the source that the product draws from.
pub fn entropy() -> Entropy {
    Entropy::from_fn(|into| {
        STREAM
            .try_with(|s| s.fill(into))
            .map_err(|_| "no operation runs here".to_owned())
    })
}

impl Stream {
    fn fill(&self, into: &mut [u8]) {
        let nth = {
            let mut drawn = self.drawn.lock().unwrap();
            let nth = drawn.entry(into.len()).or_default();
            *nth += 1;
            *nth - 1
        };
        bytes(self.seed, nth, into);
        let mut secrets = self.secrets.lock().unwrap();
        match (<[u8; 32]>::try_from(&*into), into.len()) {
            (Ok(key), _) => {
                secrets.push(PrivateKey::from_random(key).expose().to_string());
                secrets.push(PresharedKey::from_random(key).expose().to_string());
            }
            // Tickets, and the passwords of AdGuard Home.
            (Err(_), 24) => secrets.push(URL_SAFE_NO_PAD.encode(&*into)),
            (Err(_), _) => {}
        }
    }
}
