//! The socket on which the server answers the command line of this machine: the same API as at
//! `api.<base>`, without tokens, because the kernel says who asks (`SO_PEERCRED`, socket(7)).
//! Root, the server's own user and the members of the group `cli_group` may do everything; others
//! are refused, by the modes of folder and socket and, where those were changed, by the server.

use crate::{
    config::{Config, ConfigError, Flags},
    shutdown::closed,
};
use api::CommandLine;
use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use domain::{ErrorCode, Failure, Message};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use nix::unistd::{Gid, Group, Uid, User};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, Permissions, TryLockError},
    io,
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStrExt, fs::PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
};
use tower::ServiceExt;

/// How often a server tries to get the socket that another one with the same root has.
const RETRY: Duration = Duration::from_secs(5);
/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The longest wait for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most open connections.
const MAX_CONNECTIONS: usize = 64;
/// The most groups of a process that are read, which is the kernel's limit (`NGROUPS_MAX`).
const MAX_GROUPS: usize = 65_536;

/// Returns the path of the socket. Installations that share the runtime folder have one each, so
/// a command never reaches the server of another root.
pub fn path(config: &Config) -> PathBuf {
    let root = fs::canonicalize(&config.root).unwrap_or_else(|_| config.root.clone());
    let hash = Sha256::digest(root.as_os_str().as_bytes());
    let id: String = hash.iter().take(4).map(|b| format!("{b:02x}")).collect();
    config.runtime_dir.join(format!("control-{id}.sock"))
}

/// Returns the configuration by which the command line finds the socket. A member of the group
/// cannot read the file of the configuration, and does without.
///
/// # Errors
/// As [`Config::load`].
pub(crate) fn config(flags: &Flags) -> Result<Config, ConfigError> {
    match Config::load(flags) {
        Err(ConfigError::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            Config::of_flags(flags)
        }
        loaded => loaded,
    }
}

/// The socket with its lock, by which one server at a time has it.
struct Socket {
    listener: UnixListener,
    path: PathBuf,
    _lock: File,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A socket that stays is not answered, which the command line knows.
        let _ = fs::remove_file(&self.path);
    }
}

/// Answers the command line until `closing`. Where the socket cannot be made, commands go to the
/// database, and the log says so.
pub async fn run(config: Config, router: Router, closing: watch::Receiver<bool>) {
    let path = path(&config);
    let group = match group(&config) {
        Ok(group) => group,
        Err(reason) => {
            tracing::warn!(reason, "cli_group is ignored");
            None
        }
    };
    let ended = closed(closing);
    tokio::pin!(ended);
    loop {
        match bind(&path, group) {
            Ok(Some(socket)) => {
                tracing::info!(path = %path.display(), "the command line is answered");
                serve(&socket, &router, group, &mut ended).await;
                return;
            }
            Ok(None) => tokio::select! {
                () = &mut ended => return,
                () = tokio::time::sleep(RETRY) => {}
            },
            Err(e) => {
                tracing::warn!(error = %e, path = %path.display(), "the command line is not answered, and goes straight to the database");
                return;
            }
        }
    }
}

/// Returns the group whose members may administer the installation.
fn group(config: &Config) -> Result<Option<Gid>, String> {
    let Some(name) = &config.cli_group else {
        return Ok(None);
    };
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(Some(group.gid)),
        Ok(None) => Err(format!("there is no group {name}")),
        Err(e) => Err(format!("the group {name} cannot be looked up: {e}")),
    }
}

/// Makes the socket, closed to all but whom it is for; `None` where another server has it.
fn bind(path: &Path, group: Option<Gid>) -> io::Result<Option<Socket>> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    hostfs::create_private_dir(folder).map_err(|e| match e.cause {
        Some(cause) => io::Error::other(cause),
        None => io::Error::other("the folder cannot be made"),
    })?;
    let lock = File::create(path.with_extension("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(e),
    }
    // Under another name until only those can connect who may.
    let new = path.with_extension("new");
    for left in [path, &new] {
        match fs::remove_file(left) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    let listener = UnixListener::bind(&new)?;
    let give = |path: &Path, mode, group: Gid| {
        std::os::unix::fs::chown(path, None, Some(group.as_raw()))?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    match group {
        Some(group) => {
            give(&new, 0o660, group)?;
            // They get through the folder and do not see what is in it.
            give(folder, 0o710, group)?;
        }
        None => fs::set_permissions(&new, Permissions::from_mode(0o600))?,
    }
    fs::rename(&new, path)?;
    Ok(Some(Socket {
        listener,
        path: path.to_owned(),
        _lock: lock,
    }))
}

async fn serve(
    socket: &Socket,
    router: &Router,
    group: Option<Gid>,
    ended: &mut (impl Future<Output = ()> + Unpin),
) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (socket.listener.accept().await, permit)
        };
        let (stream, permit) = tokio::select! {
            () = &mut *ended => break,
            accepted = accepted => match accepted {
                (Ok((stream, _)), Ok(permit)) => (stream, permit),
                (Ok(_), Err(_)) => break,
                (Err(e), _) => {
                    tracing::warn!(error = %e, "the command line cannot be answered at the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let asked_by = admitted(&stream, group);
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            answer(router.clone(), asked_by.clone(), request.map(Body::new))
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _held = permit;
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "a connection of the command line was cut off");
            }
        });
    }
    graceful.shutdown().await;
}

async fn answer(
    router: Router,
    asked_by: Option<CommandLine>,
    mut request: Request,
) -> io::Result<Response> {
    let client = api::Client::default();
    let Some(asked_by) = asked_by else {
        let refused = Failure::new(ErrorCode::NotPermitted, Message::SocketRefused);
        return Ok(api::refuse(&refused, client));
    };
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(asked_by);
    Ok(router.oneshot(request).await.into_response())
}

/// Returns who asks, if that one may.
fn admitted(stream: &UnixStream, group: Option<Gid>) -> Option<CommandLine> {
    let peer = stream.peer_cred().ok()?;
    let uid = Uid::from_raw(peer.uid());
    if uid.is_root() || uid == Uid::effective() {
        return Some(CommandLine::default());
    }
    let group = group?;
    let is_member = peer.gid() == group.as_raw() || groups(stream).contains(&group.as_raw());
    if !is_member {
        tracing::warn!(
            uid = peer.uid(),
            "a user who is not in cli_group was refused"
        );
        return None;
    }
    let user = User::from_uid(uid).ok().flatten();
    let is_name = |name: &String| name.chars().all(|c| c.is_ascii_graphic());
    let name = user.map(|user| user.name).filter(is_name);
    Some(CommandLine {
        user: Some(name.unwrap_or_else(|| uid.to_string())),
    })
}

/// Returns the further groups of the process at the other end, as they were when it connected
/// (`SO_PEERGROUPS`, Linux 4.13; `nix` does not have it).
fn groups(stream: &UnixStream) -> Vec<libc::gid_t> {
    let mut groups: Vec<libc::gid_t> = vec![0; MAX_GROUPS];
    let bytes = size_of_val(groups.as_slice());
    let mut length = libc::socklen_t::try_from(bytes).unwrap_or(0);
    // SAFETY: getsockopt(2) writes at most `length` bytes, which the vector has, and sets
    // `length` to how many; the descriptor is open.
    let read = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let count = match read {
        0 => usize::try_from(length).unwrap_or(0) / size_of::<libc::gid_t>(),
        _ => 0,
    };
    groups.truncate(count);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(root: &str) -> Config {
        let text = "runtime_dir = \"/run/maliknode\"\n";
        Config::from_text(root.into(), "config.toml".into(), text).unwrap()
    }

    #[test]
    fn each_installation_has_a_socket_of_its_own() {
        let socket = |root| path(&config(root));
        let first = socket("/etc/maliknode");
        assert_eq!(first, socket("/etc/maliknode"));
        assert_ne!(first, socket("/srv/maliknode"));
        let name = first.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("control-") && name.len() == 21, "{name}");
    }

    #[test]
    fn the_kernel_says_which_groups_the_other_end_has() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (stream, _other) = UnixStream::pair().unwrap();
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let own = status.lines().find_map(|l| l.strip_prefix("Groups:"));
            let own: Vec<libc::gid_t> = own
                .unwrap()
                .split_whitespace()
                .map(|g| g.parse().unwrap())
                .collect();
            let mut read = groups(&stream);
            read.sort_unstable();
            let mut expected = own;
            expected.sort_unstable();
            assert_eq!(read, expected);
        });
    }

    #[test]
    fn one_server_at_a_time_has_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/control-0.sock");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _entered = runtime.enter();
        let first = bind(&path, None).unwrap().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert!(bind(&path, None).unwrap().is_none());
        assert!(path.exists());
        drop(first);
        assert!(!path.exists());
        // What a server that was killed has left is replaced.
        std::mem::forget(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let own = Gid::effective();
        let second = bind(&path, Some(own)).unwrap().unwrap();
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(path.parent().unwrap()), 0o710);
        drop(second);
    }
}
