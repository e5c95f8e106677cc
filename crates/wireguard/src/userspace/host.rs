//! The child's main: `maliknode wg-userspace --socket PATH`.
//!
//! A session of its own (setsid(2)), so that a signal to the server's terminal
//! or process group does not reach it; a lock beside the socket, so that of
//! two that start at once one serves; a socket that only the same user can
//! open, checked again by SO_PEERCRED (unix(7)).

use super::{
    devices::Devices,
    frame,
    protocol::{
        Hello, MAX_REPLY, MAX_REQUEST, Reply, Request, SERVICE, VERSION, WireCounters, peers,
    },
};
use crate::events;
use domain::ErrorCode;
use futures_util::StreamExt;
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        stat::{Mode, umask},
    },
    unistd::{Uid, setsid},
};
use provisioning::ports::{PeerChange, PortError, PortResult};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Notify, Semaphore},
    time::timeout,
};

/// Connections served at once; the server uses a handful.
const CONNECTIONS: usize = 128;
/// How long a request or a reply may take on the socket.
const TALK: Duration = Duration::from_secs(10);
/// Interfaces are looked after this often, besides on the kernel's news.
const SWEEP: Duration = Duration::from_secs(15);

/// Why the child did not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The path's folder cannot be made or is not only ours.
    #[error("the folder of {} cannot be used: {reason}", path.display())]
    Folder {
        /// The socket's path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The lock or the socket cannot be made.
    #[error("cannot {action}")]
    Io {
        /// What was being done.
        action: String,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
}

fn failed(action: impl Into<String>) -> impl FnOnce(io::Error) -> HostError {
    let action = action.into();
    |source| HostError::Io { action, source }
}

/// Serves until it is told to stop. Blocks; makes its own tokio runtime, so
/// call it outside of any, at the start of the process. Logs by `tracing`:
/// install a subscriber first, with [`LOG_FILTER`].
///
/// Returns at once where another process serves this socket already.
///
/// # Errors
/// [`HostError`] where the socket cannot be made.
pub fn run(socket: &Path) -> Result<(), HostError> {
    // Fails where we lead a group already: then we are alone in it anyway.
    if let Err(e) = setsid() {
        tracing::debug!(error = %e, "no session of our own");
    }
    umask(Mode::from_bits_truncate(0o077));
    raise_file_limit();
    own_folder(socket)?;
    let Some(_lock) = lock(socket)? else {
        tracing::info!(socket = %socket.display(), "another process serves this socket already");
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("wg-userspace")
        .build()
        .map_err(failed("start the threads"))?;
    runtime.block_on(serve(socket))
}

/// The filter the child's log should have: gotatun reports every packet for a
/// device that is not there as an error, which would fill the disk.
pub const LOG_FILTER: &str = "info,gotatun=off,netlink_proto=warn";

async fn serve(socket: &Path) -> Result<(), HostError> {
    // We hold the lock, so whoever made this socket is dead.
    match fs::remove_file(socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(failed(format!("remove the old {}", socket.display()))(e));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(socket).map_err(failed(format!("listen on {}", socket.display())))?;
    tracing::info!(socket = %socket.display(), version = VERSION, "userspace WireGuard serves");

    let devices = Arc::new(Devices::new());
    let stop = Arc::new(Notify::new());
    let sweeper = tokio::spawn(sweep(devices.clone()));
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            a = listener.accept() => a,
            () = stop.notified() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (devices, stop) = (devices.clone(), stop.clone());
                tokio::spawn(async move {
                    if let Err(e) = converse(stream, &devices, &stop).await {
                        tracing::debug!(error = %e, "a conversation ended early");
                    }
                    drop(permit);
                });
            }
            Err(e) => {
                // Out of file descriptors, most likely: wait for some.
                tracing::warn!(error = %e, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    sweeper.abort();
    tracing::info!("told to stop");
    if let Err(e) = devices.close().await {
        tracing::warn!(error = %e, "an interface goes only when this process does");
    }
    // Last, and before the lock falls: who finds no socket any more may count
    // on names and ports to be free, and a successor makes its own.
    fs::remove_file(socket).map_err(failed("remove the socket"))
}

async fn sweep(devices: Arc<Devices>) {
    let mut news = events::links();
    loop {
        // Whichever comes first.
        let _ = timeout(SWEEP, news.next()).await;
        if let Err(e) = devices.sweep().await {
            tracing::warn!(error = %e, "cannot look after the interfaces");
        }
    }
}

async fn converse(
    stream: UnixStream,
    devices: &Devices,
    stop: &Notify,
) -> Result<(), frame::FrameError> {
    let peer = stream.peer_cred()?;
    if peer.uid() != Uid::effective().as_raw() {
        tracing::warn!(uid = peer.uid(), "refused a connection of another user");
        return Ok(());
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let hello = Hello {
        service: SERVICE.to_owned(),
        version: VERSION,
        pid: std::process::id(),
    };
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    timeout(TALK, frame::write(&mut write, &hello, MAX_REPLY))
        .await
        .map_err(late)??;
    let request = timeout(TALK, frame::read(&mut read, MAX_REQUEST))
        .await
        .map_err(late)?;
    let reply = match request {
        Ok(None) => return Ok(()),
        Ok(Some(Request::Watch)) => {
            // Until the server hangs up, or we die.
            let _ = read.read_u8().await;
            return Ok(());
        }
        Ok(Some(Request::Stop)) => {
            stop.notify_one();
            Reply::Done
        }
        Ok(Some(request)) => answer(devices, request).await.unwrap_or_else(Reply::from),
        Err(e) => PortError::new(ErrorCode::BadRequest, e.to_string()).into(),
    };
    timeout(TALK, frame::write(&mut write, &reply, MAX_REPLY))
        .await
        .map_err(late)?
}

async fn answer(devices: &Devices, request: Request) -> PortResult<Reply> {
    let bad = |e| PortError::because(ErrorCode::BadRequest, "A key is malformed.", e);
    Ok(match request {
        Request::Ensure(wire) => {
            let spec = wire.try_into().map_err(bad)?;
            devices.ensure(&spec).await?;
            Reply::Done
        }
        Request::Change { slot, remove, set } => {
            let set = peers(set).map_err(bad)?;
            devices.change(slot, &PeerChange { remove, set }).await?;
            Reply::Done
        }
        Request::Delete { slot } => {
            devices.delete(slot).await?;
            Reply::Done
        }
        Request::Devices { after } => {
            let (devices, more) = devices.page(after).await;
            Reply::Devices { devices, more }
        }
        Request::Statistics { after } => {
            let (counters, next) = devices.statistics(after).await;
            let counters = counters.into_iter().map(WireCounters::from).collect();
            Reply::Statistics { counters, next }
        }
        Request::Watch | Request::Stop => Reply::Done,
    })
}

/// Two descriptors an interface and one a connection: the usual 1,024 would
/// end at 500 tenants.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
        let wanted = hard.max(65_536);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted)
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))
    });
    if let Err(e) = raised {
        tracing::warn!(error = %e, "the limit of open files stays as it is");
    }
}

/// The socket's folder: made with 0700, and refused where others could put
/// something of theirs in the socket's place.
fn own_folder(socket: &Path) -> Result<(), HostError> {
    let problem = |reason: String| HostError::Folder {
        path: socket.to_owned(),
        reason,
    };
    let folder = socket
        .parent()
        .ok_or_else(|| problem("it has no folder".to_owned()))?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| problem(e.to_string()))?;
    let found = fs::metadata(folder).map_err(|e| problem(e.to_string()))?;
    if found.uid() != Uid::effective().as_raw() {
        return Err(problem(format!("it belongs to user {}", found.uid())));
    }
    if found.mode() & 0o022 != 0 {
        return Err(problem("others may write into it".to_owned()));
    }
    Ok(())
}

/// `None` where another process holds it. Falls with the process, whatever
/// way it ends (flock(2)).
fn lock(socket: &Path) -> Result<Option<Flock<File>>, HostError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open the lock beside the socket"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, e)) => Err(failed("lock the file beside the socket")(e.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_one_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let first = lock(&socket).unwrap();
        assert!(first.is_some());
        assert!(lock(&socket).unwrap().is_none());
        drop(first);
        assert!(lock(&socket).unwrap().is_some());
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        assert!(own_folder(&socket).is_ok());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(own_folder(&socket), Err(HostError::Folder { .. })));
    }

    #[test]
    fn a_folder_that_is_made_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("run/s");
        own_folder(&socket).unwrap();
        let mode = fs::metadata(folder.path().join("run")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
