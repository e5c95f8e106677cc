//! Connections to the child: the greeting, one request with its reply, and
//! stopping the child.

use super::{
    line_codec::{self, CodecError},
    protocol::{Hello, MAX_REPLY, MAX_REQUEST, Reply, Request, SERVICE},
};
use domain::{ErrorCode, Message};
use nix::unistd::Uid;
use provisioning::ports::{PortError, PortResult};
use std::{io, path::Path, time::Duration};
use tokio::{
    io::BufReader,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, sleep, timeout},
};

/// The longest time to wait for a greeting, which takes a millisecond.
const GREETING_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest length of a greeting in bytes.
const MAX_GREETING: usize = 4096;
/// The longest time to wait for the child to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval at which a starting or ending child is polled.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(15);

/// A connection on which the child has sent its greeting.
pub(super) struct Connection {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    pub hello: Hello,
}

/// The reason there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no process listens on the socket")]
    NotListening(#[source] io::Error),
    #[error("the socket belongs to user {0}, not to this one")]
    WrongUser(u32),
    #[error("no greeting in time")]
    TimedOut,
    #[error("the greeting failed")]
    Codec(#[from] CodecError),
    #[error("the greeting is not MalikNode's")]
    NotOurs,
}

impl Connection {
    /// Connects to the child and reads its greeting.
    pub async fn open(socket: &Path) -> Result<Self, ConnectError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(ConnectError::NotListening)?;
        // Keys are sent over this socket, so the other process must be of our user.
        let uid = stream.peer_cred().map_err(CodecError::from)?.uid();
        if uid != Uid::effective().as_raw() {
            return Err(ConnectError::WrongUser(uid));
        }
        let (read, write) = stream.into_split();
        let mut read = BufReader::new(read);
        let greeting = line_codec::read::<Hello>(&mut read, MAX_GREETING);
        let hello = timeout(GREETING_TIMEOUT, greeting)
            .await
            .map_err(|_| ConnectError::TimedOut)?;
        match hello {
            Ok(Some(hello)) if hello.service == SERVICE => Ok(Self { read, write, hello }),
            Ok(Some(_)) => Err(ConnectError::NotOurs),
            // The child ended between the connection and its greeting.
            Ok(None) | Err(CodecError::Io(_)) => Err(ConnectError::NotListening(
                io::ErrorKind::ConnectionReset.into(),
            )),
            Err(e) => Err(e.into()),
        }
    }

    /// Sends the one request of this connection and reads its reply.
    pub async fn request(mut self, request: &Request) -> Result<Reply, CodecError> {
        self.send(request).await?;
        self.receive().await?.ok_or(CodecError::Truncated)
    }

    /// Waits until the child ends. `false` if it could not be asked to.
    pub async fn wait_for_end(mut self) -> bool {
        if self.send(&Request::Watch).await.is_err() {
            return false;
        }
        // The child never replies to this: the connection ends when it does.
        let _ = self.receive().await;
        true
    }

    /// Stops the child and waits until it no longer listens.
    pub async fn stop_child(mut self, socket: &Path) -> PortResult<()> {
        let stop = self.send(&Request::Stop).await;
        stop.map_err(|e| unavailable(Message::HelperNotStopped, e))?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while UnixStream::connect(socket).await.is_ok() {
            if Instant::now() > deadline {
                return Err(unavailable(
                    Message::HelperDoesNotStop,
                    ConnectError::TimedOut,
                ));
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    async fn send(&mut self, request: &Request) -> Result<(), CodecError> {
        line_codec::write(&mut self.write, request, MAX_REQUEST).await
    }

    async fn receive(&mut self) -> Result<Option<Reply>, CodecError> {
        line_codec::read(&mut self.read, MAX_REPLY).await
    }
}

/// Creates the error for a child that cannot be used, with one of
/// `Message::Helper…`.
pub(super) fn unavailable(
    message: Message,
    e: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> PortError {
    PortError::because(ErrorCode::WireguardUnavailable, message, e)
}

/// Creates the error for a reply of the wrong kind.
pub(super) fn unexpected(_: &Reply) -> PortError {
    unavailable(Message::HelperOtherAnswer, ConnectError::NotOurs)
}
