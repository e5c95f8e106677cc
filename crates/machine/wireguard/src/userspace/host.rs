//! The main function of the child: `maliknode wg-userspace --socket PATH`.
//!
//! The child has a session of its own (setsid(2)), so that a signal to the server's
//! terminal or process group does not reach it. It has a lock beside the socket, so
//! that of two children that start at once only one serves. Only the same user can
//! open the socket, and SO_PEERCRED (unix(7)) is checked as well.

use super::{
    devices::Devices,
    line_codec::{self, CodecError},
    protocol::{Hello, MAX_REPLY, MAX_REQUEST, Reply, Request, SERVICE, VERSION},
    wire::{WireCounters, peers},
};
use crate::events;
use domain::{ErrorCode, Message};
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

/// The most connections at a time; the server uses a handful.
const MAX_CONNECTIONS: usize = 128;
/// The longest time to read a request or to write a reply.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of sweeps, besides those after the kernel's notifications.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// The reason the child did not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The socket's folder cannot be created, or other users can write to it.
    #[error("the folder of {} cannot be used: {reason}", path.display())]
    Folder { path: PathBuf, reason: String },
    /// The lock or the socket cannot be created.
    #[error("cannot {action}")]
    Io {
        action: String,
        #[source]
        source: io::Error,
    },
}

fn failed(action: impl Into<String>) -> impl FnOnce(io::Error) -> HostError {
    let action = action.into();
    |source| HostError::Io { action, source }
}

/// Serves until a request stops it. The function blocks and creates a tokio runtime
/// of its own, so it must be called outside of any, at the start of the process. It
/// logs by `tracing`: install a subscriber with [`LOG_FILTER`] first.
///
/// It returns at once if another process serves this socket already.
///
/// # Errors
/// [`HostError`] if the socket cannot be created.
pub fn run(socket: &Path) -> Result<(), HostError> {
    // This fails for a process that leads a group, which is alone in it anyway.
    if let Err(e) = setsid() {
        tracing::debug!(error = %e, "cannot create a session");
    }
    umask(Mode::from_bits_truncate(0o077));
    raise_file_limit();
    create_private_folder(socket)?;
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

/// The log filter for the child. gotatun logs an error for every packet to a device
/// that does not exist, which would fill the disk.
pub const LOG_FILTER: &str = "info,gotatun=off,netlink_proto=warn";

async fn serve(socket: &Path) -> Result<(), HostError> {
    // This process has the lock, so the process that created the socket is dead.
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
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
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
                    if let Err(e) = handle_connection(stream, &devices, &stop).await {
                        tracing::debug!(error = %e, "a connection failed");
                    }
                    drop(permit);
                });
            }
            Err(e) => {
                // The process is probably out of file descriptors: wait for one.
                tracing::warn!(error = %e, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    sweeper.abort();
    tracing::info!("stopping on request");
    if let Err(e) = devices.close().await {
        tracing::warn!(error = %e, "an interface stays until this process ends");
    }
    // The socket is removed last, before the lock is released: a client that finds no
    // socket can rely on names and ports to be free, and a successor creates its own.
    fs::remove_file(socket).map_err(failed("remove the socket"))
}

async fn sweep(devices: Arc<Devices>) {
    let mut link_changes = events::link_changes();
    loop {
        let _ = timeout(SWEEP_INTERVAL, link_changes.next()).await;
        if let Err(e) = devices.sweep().await {
            tracing::warn!(error = %e, "cannot sweep the interfaces");
        }
    }
}

async fn handle_connection(
    stream: UnixStream,
    devices: &Devices,
    stop: &Notify,
) -> Result<(), CodecError> {
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
    let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
    timeout(
        SOCKET_TIMEOUT,
        line_codec::write(&mut write, &hello, MAX_REPLY),
    )
    .await
    .map_err(timed_out)??;
    let request = timeout(SOCKET_TIMEOUT, line_codec::read(&mut read, MAX_REQUEST))
        .await
        .map_err(timed_out)?;
    let reply = match request {
        Ok(None) => return Ok(()),
        Ok(Some(Request::Watch)) => {
            // This waits until the server closes the connection.
            let _ = read.read_u8().await;
            return Ok(());
        }
        Ok(Some(Request::Stop)) => {
            stop.notify_one();
            Reply::Done
        }
        Ok(Some(request)) => execute(devices, request).await.unwrap_or_else(Reply::from),
        Err(e) => {
            let reason = e.to_string();
            PortError::new(
                ErrorCode::BadRequest,
                Message::HelperRequestUnreadable { reason },
            )
            .into()
        }
    };
    timeout(
        SOCKET_TIMEOUT,
        line_codec::write(&mut write, &reply, MAX_REPLY),
    )
    .await
    .map_err(timed_out)?
}

async fn execute(devices: &Devices, request: Request) -> PortResult<Reply> {
    let bad = |e| PortError::because(ErrorCode::BadRequest, Message::HelperKeyMalformed, e);
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

/// Raises the limit of open files. Each interface needs two and each connection one,
/// so the usual 1,024 would be enough for 500 tenants only.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
        let wanted = hard.max(65_536);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted)
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))
    });
    if let Err(e) = raised {
        tracing::warn!(error = %e, "cannot raise the limit of open files");
    }
}

/// Creates the socket's folder with mode 0700, and rejects one in which another user
/// could replace the socket.
fn create_private_folder(socket: &Path) -> Result<(), HostError> {
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
    let metadata = fs::metadata(folder).map_err(|e| problem(e.to_string()))?;
    if metadata.uid() != Uid::effective().as_raw() {
        return Err(problem(format!("it belongs to user {}", metadata.uid())));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(problem("others may write into it".to_owned()));
    }
    Ok(())
}

/// Acquires the lock; `None` if another process has it. The kernel releases it when
/// the process ends, however that happens (flock(2)).
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
    fn the_lock_is_exclusive() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let first = lock(&socket).unwrap();
        assert!(first.is_some());
        assert!(lock(&socket).unwrap().is_none());
        drop(first);
        assert!(lock(&socket).unwrap().is_some());
    }

    #[test]
    fn a_folder_writable_by_others_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        assert!(create_private_folder(&socket).is_ok());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            create_private_folder(&socket),
            Err(HostError::Folder { .. })
        ));
    }

    #[test]
    fn a_created_folder_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("run/s");
        create_private_folder(&socket).unwrap();
        let mode = fs::metadata(folder.path().join("run")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
