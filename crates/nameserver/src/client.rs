//! Asks a name server.

use crate::{
    error::{NameServerError, Refused},
    message::{self, Answer, TYPE_A, TYPE_AAAA},
    name::DnsName,
    record::{Record, Target},
    tsig::TsigKey,
};
use ring::rand::{SecureRandom, SystemRandom};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long connecting and all questions of a call may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// For how many seconds resolvers keep a record.
const TTL: u32 = 60;
/// So many names fit into a message of 64 KiB, however long they are: each has four records
/// of 265 bytes at most, and one of them a name.
const MAX_NAMES: usize = 45;

/// An authoritative name server and the zone in which names are changed.
#[derive(Clone, Debug)]
pub struct NameServer {
    address: String,
    zone: DnsName,
    key: Option<TsigKey>,
}

impl NameServer {
    /// The most names that one update changes.
    pub const MAX_NAMES: usize = MAX_NAMES;

    /// Describes a server, e.g. `ns1.example.org:53`. It is looked up whenever it is asked.
    pub const fn new(address: String, zone: DnsName, key: Option<TsigKey>) -> Self {
        Self { address, zone, key }
    }

    /// Replaces the addresses that each of the names has, or removes them, all at once.
    /// Other records of a name stay. Without names it changes nothing, and shows that the
    /// server accepts changes. At most [`Self::MAX_NAMES`] names.
    ///
    /// # Errors
    /// The server is not reached, or refuses. Whether it has done it is not known then.
    pub async fn update(&self, records: &[Record]) -> Result<(), NameServerError> {
        self.in_time(async {
            let mut stream = self.connect().await?;
            let asked = |id| message::update(id, &self.zone, records, TTL);
            self.ask(&mut stream, asked).await.map(drop)
        })
        .await
    }

    /// Returns what the server answers for each name: its address or the name that it stands
    /// for; `None` for nothing.
    ///
    /// # Errors
    /// As for [`NameServer::update`].
    pub async fn targets(&self, names: &[DnsName]) -> Result<Vec<Option<Target>>, NameServerError> {
        self.in_time(async {
            let mut stream = self.connect().await?;
            let mut targets = Vec::new();
            for name in names {
                let mut found = self.target(&mut stream, name, TYPE_A).await?;
                if found.is_none() {
                    found = self.target(&mut stream, name, TYPE_AAAA).await?;
                }
                targets.push(found);
            }
            Ok(targets)
        })
        .await
    }

    async fn target(
        &self,
        stream: &mut TcpStream,
        name: &DnsName,
        kind: u16,
    ) -> Result<Option<Target>, NameServerError> {
        let asked = |id| message::query(id, name, kind);
        let answer = match self.ask(stream, asked).await {
            Ok(answer) => answer,
            Err(NameServerError::Refused {
                refused: Refused::NO_NAME,
                ..
            }) => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut records = answer.records.into_iter();
        Ok(records.find(|r| r.name == *name).and_then(|r| r.target))
    }

    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, NameServerError>>,
    ) -> Result<T, NameServerError> {
        let in_time = tokio::time::timeout(TIMEOUT, asking).await;
        in_time.unwrap_or_else(|_| {
            Err(NameServerError::TimedOut {
                address: self.address.clone(),
                seconds: TIMEOUT.as_secs(),
            })
        })
    }

    async fn connect(&self) -> Result<TcpStream, NameServerError> {
        let stream = TcpStream::connect(&self.address).await;
        stream.map_err(|source| self.unreachable(source))
    }

    fn unreachable(&self, source: std::io::Error) -> NameServerError {
        NameServerError::Unreachable {
            address: self.address.clone(),
            source,
        }
    }

    fn unusable(&self, reason: &'static str) -> NameServerError {
        NameServerError::Unusable {
            address: self.address.clone(),
            reason,
        }
    }

    /// Sends a message and returns the answer to it.
    async fn ask(
        &self,
        stream: &mut TcpStream,
        asked: impl FnOnce(u16) -> Vec<u8>,
    ) -> Result<Answer, NameServerError> {
        let id = random_id().ok_or_else(|| self.unusable("no random number"))?;
        let mut message = asked(id);
        let key = self.key.as_ref();
        let code = key.map(|key| key.sign(&mut message, unix_time()));
        let length = u16::try_from(message.len()).map_err(|_| self.unusable("too long"))?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&message);
        let answered = async {
            stream.write_all(&framed).await?;
            let length = stream.read_u16().await?;
            let mut answer = vec![0; length.into()];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        let bytes = answered.await.map_err(|e| self.unreachable(e))?;
        let answer = message::answer(&bytes).ok_or_else(|| self.unusable("malformed"))?;
        if answer.id != id {
            return Err(self.unusable("another question's"));
        }
        // A refusal may be unsigned, because the server does not know the key.
        let signature = answer.signature.as_ref();
        let refusal = signature.map(|s| s.error).filter(|error| *error != 0);
        let refusal = refusal.or_else(|| (answer.code != 0).then_some(answer.code));
        let is_signed = match (key, &code, signature) {
            (Some(key), Some(code), Some(found)) => {
                let signed = &bytes[..found.at];
                key.is_answer(signed, &found.signature(), code, unix_time())
            }
            (Some(_), ..) => false,
            (None, ..) => true,
        };
        match refusal {
            Some(refused) => Err(NameServerError::Refused {
                address: self.address.clone(),
                refused: Refused(refused),
            }),
            None if !is_signed => Err(self.unusable("not signed with the key")),
            None => Ok(answer),
        }
    }
}

fn random_id() -> Option<u16> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).ok()?;
    Some(u16::from_be_bytes(id))
}

fn unix_time() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
