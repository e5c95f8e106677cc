//! The userspace side: a client to the child process that embeds a WireGuard.
//!
//! The child holds the interfaces, makes and changes them; the links it made
//! are read here, by rtnetlink, as anybody can. The child is started when its
//! socket does not answer, and again when it died: then every interface is
//! gone with it, [`WireGuard::events`] fires, and the node makes them anew.

mod device;
mod devices;
// Public for the fuzz targets (crates/fuzzing) only.
#[doc(hidden)]
pub mod frame;
pub mod host;
mod pages;
#[doc(hidden)]
pub mod protocol;
mod spawn;

use crate::{events, failure::refused, links::Links};
use async_trait::async_trait;
use domain::{ErrorCode, Slot};
use frame::FrameError;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use nix::unistd::Uid;
use protocol::{Hello, MAX_REPLY, MAX_REQUEST, Reply, Request, SERVICE, VERSION};
use provisioning::{
    observed::{ObservedInterface, PeerStatistics},
    ports::{PeerChange, PortError, PortResult, WireGuard},
    spec::InterfaceSpec,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::BufReader,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

/// Where the child listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/maliknode/wg-userspace.sock";

/// A greeting takes a millisecond.
const GREETING: Duration = Duration::from_secs(3);
/// The longest call waits for a TUN to go (3 s) and a port (0.5 s).
const CALL: Duration = Duration::from_secs(20);
/// From start to greeting.
const START: Duration = Duration::from_secs(10);
/// Between looks at a child that is starting or ending.
const LOOK: Duration = Duration::from_millis(15);
/// Between looks for a child that is not there, for [`WireGuard::events`].
const ABSENT: Duration = Duration::from_secs(1);

/// The WireGuard in our child process.
#[derive(Clone)]
pub struct Userspace {
    child: Arc<ChildProcess>,
}

struct ChildProcess {
    exe: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    /// One start at a time.
    starting: Mutex<()>,
}

/// An open conversation, greeted.
struct Conversation {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    hello: Hello,
}

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
enum NoConversation {
    #[error("nobody listens on the socket")]
    Nobody(#[source] io::Error),
    #[error("the socket belongs to user {0}, not to us")]
    Stranger(u32),
    #[error("no greeting in time")]
    Silent,
    #[error("the greeting failed")]
    Frame(#[from] FrameError),
    #[error("the greeting is not one of ours")]
    Other,
}

impl Userspace {
    /// A client to the child behind `socket`; starts the child, as
    /// `exe wg-userspace --socket SOCKET` with its output in the file `log`,
    /// where none answers, and again whenever it is found dead. All paths
    /// should be absolute. A child of another version is replaced.
    ///
    /// # Errors
    /// `WireguardUnavailable` where it does not start.
    pub async fn connect_or_spawn(exe: PathBuf, socket: PathBuf, log: PathBuf) -> PortResult<Self> {
        let child = ChildProcess {
            exe,
            socket,
            log,
            starting: Mutex::new(()),
        };
        let this = Self {
            child: Arc::new(child),
        };
        this.child.open().await?;
        Ok(this)
    }

    /// The child's process id.
    ///
    /// # Errors
    /// `WireguardUnavailable` where it does not start.
    pub async fn pid(&self) -> PortResult<u32> {
        Ok(self.child.open().await?.hello.pid)
    }

    /// The process id of the child behind `socket`, where one answers. Starts
    /// none.
    pub async fn running(socket: &Path) -> Option<u32> {
        Some(greet(socket).await.ok()?.hello.pid)
    }

    /// Ends the child and every interface with it; the next call starts it
    /// again. For an installation that changes to the kernel's WireGuard, or
    /// is removed.
    ///
    /// # Errors
    /// `WireguardUnavailable` where it does not end in time.
    pub async fn stop(socket: &Path) -> PortResult<()> {
        match greet(socket).await {
            Ok(conversation) => end(socket, conversation).await,
            Err(NoConversation::Nobody(_)) => Ok(()),
            Err(e) => Err(unavailable("does not answer", e)),
        }
    }

    async fn done(&self, request: Request) -> PortResult<()> {
        match self.child.call(&request).await? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl WireGuard for Userspace {
    fn describe(&self) -> String {
        "userspace WireGuard (gotatun)".to_owned()
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        let fail = |e| refused("read the network interfaces", e);
        // The child first: a link it made since then has no WireGuard yet,
        // and is looked at again; the other order would invent dead ones.
        let devices = self.devices().await?;
        let links = Links::open().map_err(fail)?;
        let mut found = links.observed().await.map_err(fail)?;
        for device in devices {
            let Some((link, interface)) = found.get_mut(&device.slot) else {
                continue;
            };
            if link.index != device.index {
                continue;
            }
            interface.public_key = Some(device.public_key);
            interface.listen_port = device.listen_port;
            let peers = device.peers.into_iter().map(|p| p.observed());
            interface.peers = peers
                .collect::<Result<_, _>>()
                .map_err(|e| unavailable("sent a malformed key", e))?;
        }
        Ok(found.into_iter().map(|(s, (_, i))| (s, i)).collect())
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        self.done(Request::Ensure(spec.into())).await
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        self.done(Request::change(slot, change)).await
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        self.done(Request::Delete { slot }).await
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        // Two conversations: while one half is read here, the child gathers
        // the other.
        let middle = Slot::new(Slot::LAST.get() / 2);
        let halves = tokio::try_join!(self.counters(None, middle), self.counters(middle, None));
        let (mut all, rest) = halves?;
        all.extend(rest);
        Ok(all)
    }

    fn events(&self) -> BoxStream<'static, ()> {
        let child = self.child.clone();
        let deaths = stream::unfold((child, false), |(child, again)| async move {
            if again {
                // A child that always hangs up must not make a storm.
                sleep(ABSENT).await;
            }
            child.death().await;
            Some(((), (child, true)))
        });
        stream::select(events::links(), deaths.boxed()).boxed()
    }
}

impl ChildProcess {
    /// A conversation with the child, which is started where it is not there.
    async fn open(&self) -> PortResult<Conversation> {
        match greet(&self.socket).await {
            Ok(c) if c.hello.version == VERSION => return Ok(c),
            Ok(_) | Err(NoConversation::Nobody(_)) => {}
            // It is there and busy, or not ours: a second one would not help.
            Err(e) => return Err(unavailable("does not answer", e)),
        }
        let _one = self.starting.lock().await;
        match greet(&self.socket).await {
            // Somebody else started it while we waited.
            Ok(c) if c.hello.version == VERSION => return Ok(c),
            Ok(other) => {
                tracing::warn!(
                    version = other.hello.version,
                    wanted = VERSION,
                    "replacing a userspace WireGuard of another version"
                );
                end(&self.socket, other).await?;
            }
            Err(_) => {}
        }
        self.start().await
    }

    async fn start(&self) -> PortResult<Conversation> {
        let fail = |e| refused("start the userspace WireGuard", e);
        let deadline = Instant::now() + START;
        let mut child = Some(spawn::start(&self.exe, &self.socket, &self.log).map_err(fail)?);
        tracing::info!(log = %self.log.display(), "started the userspace WireGuard");
        loop {
            match greet(&self.socket).await {
                Ok(c) if c.hello.version == VERSION => {
                    child.into_iter().for_each(spawn::reap);
                    return Ok(c);
                }
                Err(NoConversation::Nobody(_)) => {}
                Ok(_) => return Err(unavailable("is of another version", NoConversation::Other)),
                Err(e) => return Err(unavailable("does not answer", e)),
            }
            let ended = child.as_mut().map(|c| c.try_wait()).transpose();
            match ended.map_err(fail)?.flatten() {
                // Another one held the lock, which may just have been ending.
                Some(status) if status.success() => {
                    sleep(LOOK * 5).await;
                    let again = spawn::start(&self.exe, &self.socket, &self.log);
                    child = Some(again.map_err(fail)?);
                }
                Some(status) => {
                    let said = io::Error::other(status.to_string());
                    return Err(self.stillborn(said));
                }
                None => {}
            }
            if Instant::now() > deadline {
                child.into_iter().for_each(spawn::reap);
                return Err(self.stillborn(io::ErrorKind::TimedOut.into()));
            }
            sleep(LOOK).await;
        }
    }

    fn stillborn(&self, e: io::Error) -> PortError {
        let log = self.log.display();
        PortError::because(
            ErrorCode::WireguardUnavailable,
            format!("The userspace WireGuard does not start ({e}); {log} says why."),
            e,
        )
    }

    async fn call(&self, request: &Request) -> PortResult<Reply> {
        let conversation = self.open().await?;
        match timeout(CALL, conversation.ask(request)).await {
            Ok(Ok(Reply::Refused {
                code,
                sentence,
                cause,
            })) => Err(PortError {
                code,
                sentence,
                cause: cause.map(Into::into),
            }),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(e)) => Err(unavailable("ended or failed during a call", e)),
            Err(late) => Err(unavailable("did not answer in time", late)),
        }
    }

    /// Returns when a child that was there has died.
    async fn death(&self) {
        loop {
            if let Ok(mut c) = greet(&self.socket).await
                && frame::write(&mut c.write, &Request::Watch, MAX_REQUEST)
                    .await
                    .is_ok()
            {
                // It says nothing more: this ends when the child does.
                let _ = frame::read::<Reply>(&mut c.read, MAX_REPLY).await;
                return;
            }
            sleep(ABSENT).await;
        }
    }
}

impl Conversation {
    async fn ask(mut self, request: &Request) -> Result<Reply, FrameError> {
        frame::write(&mut self.write, request, MAX_REQUEST).await?;
        frame::read(&mut self.read, MAX_REPLY)
            .await?
            .ok_or(FrameError::Truncated)
    }
}

async fn greet(socket: &Path) -> Result<Conversation, NoConversation> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(NoConversation::Nobody)?;
    // Keys go over this: only to a process of our own user.
    let uid = stream.peer_cred().map_err(FrameError::from)?.uid();
    if uid != Uid::effective().as_raw() {
        return Err(NoConversation::Stranger(uid));
    }
    let (read, write) = stream.into_split();
    let mut read = BufReader::new(read);
    let hello = timeout(GREETING, frame::read::<Hello>(&mut read, 4096))
        .await
        .map_err(|_| NoConversation::Silent)?;
    match hello {
        Ok(Some(hello)) if hello.service == SERVICE => Ok(Conversation { read, write, hello }),
        Ok(Some(_)) => Err(NoConversation::Other),
        // It ended between our call and its greeting.
        Ok(None) | Err(FrameError::Io(_)) => Err(NoConversation::Nobody(
            io::ErrorKind::ConnectionReset.into(),
        )),
        Err(e) => Err(e.into()),
    }
}

/// Ends a child and waits until nobody listens any more.
async fn end(socket: &Path, mut conversation: Conversation) -> PortResult<()> {
    let stop = frame::write(&mut conversation.write, &Request::Stop, MAX_REQUEST).await;
    stop.map_err(|e| unavailable("cannot be stopped", e))?;
    let deadline = Instant::now() + START;
    while UnixStream::connect(socket).await.is_ok() {
        if Instant::now() > deadline {
            return Err(unavailable("does not stop", NoConversation::Silent));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

fn unavailable(what: &str, e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::because(
        ErrorCode::WireguardUnavailable,
        format!("The userspace WireGuard {what}."),
        e,
    )
}

fn unexpected(_: &Reply) -> PortError {
    unavailable("gave an answer to another question", NoConversation::Other)
}
