//! Which WireGuard serves: the kernel's where it has one, ours where not.

use crate::{Kernel, Userspace, failure::is, links::Links};
use domain::ErrorCode;
use nix::errno::Errno;
use provisioning::ports::{PortError, PortResult, WireGuard};
use std::{fmt, fs::OpenOptions, io, path::PathBuf, str::FromStr, sync::Arc};

/// The throw-away link that shows whether the kernel has WireGuard.
const PROBE: &str = "mnprobe0";
/// What a userspace WireGuard needs.
const TUN: &str = "/dev/net/tun";

/// What the operator configured: `auto`, `kernel` or `userspace`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The kernel's where it has one.
    #[default]
    Auto,
    /// The kernel's or none.
    Kernel,
    /// Ours, even where the kernel has one.
    Userspace,
}

/// A word that is no [`Choice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is none of auto, kernel, userspace")]
pub struct NoChoice(String);

impl FromStr for Choice {
    type Err = NoChoice;
    fn from_str(s: &str) -> Result<Self, NoChoice> {
        match s {
            "auto" => Ok(Self::Auto),
            "kernel" => Ok(Self::Kernel),
            "userspace" => Ok(Self::Userspace),
            other => Err(NoChoice(other.chars().take(40).collect())),
        }
    }
}

/// A side of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// The kernel's.
    Kernel,
    /// Ours, in a child process.
    Userspace,
}

impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Userspace => "userspace",
        })
    }
}

/// Which side serves, and why, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// The side.
    pub chosen: Implementation,
    /// Why, for the log and for `maliknode doctor`.
    pub why: String,
}

/// How to find a WireGuard, and how to start ours.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the operator wants.
    pub choice: Choice,
    /// The program with the `wg-userspace` command: ourselves.
    pub exe: PathBuf,
    /// The child's socket, e.g. [`crate::userspace::DEFAULT_SOCKET`].
    pub socket: PathBuf,
    /// The child's log file.
    pub log: PathBuf,
}

/// A WireGuard that serves.
pub struct Detected {
    /// The port.
    pub wireguard: Arc<dyn WireGuard>,
    /// Which, and why.
    pub detection: Detection,
}

/// Finds out which WireGuard serves, without starting anything. For `doctor`.
///
/// # Errors
/// `WireguardUnavailable` with what to do, where neither can.
pub async fn examine(choice: Choice) -> PortResult<Detection> {
    let chosen = |chosen, why: &str| {
        Ok(Detection {
            chosen,
            why: why.to_owned(),
        })
    };
    // Asked for or not, it shows whether we may create interfaces at all.
    match probe().await {
        Err(e) if !is(&e, Errno::EOPNOTSUPP) => {
            Err(crate::failure::refused("create network interfaces", e))
        }
        _ if choice == Choice::Userspace => {
            tun_works()?;
            let why = "the configuration asks for the userspace WireGuard";
            chosen(Implementation::Userspace, why)
        }
        Ok(()) => chosen(Implementation::Kernel, "the kernel has WireGuard"),
        Err(e) if choice == Choice::Kernel => Err(PortError::because(
            ErrorCode::WireguardUnavailable,
            "The configuration asks for the kernel's WireGuard, and this kernel has none. Try `modprobe wireguard`, or set wireguard to auto.",
            e,
        )),
        Err(_) => {
            tun_works()?;
            chosen(
                Implementation::Userspace,
                "this kernel has no WireGuard, so MalikNode's own serves",
            )
        }
    }
}

/// Finds out which WireGuard serves and makes it ready. Where the kernel's is
/// chosen, a userspace child from an earlier run is ended.
///
/// # Errors
/// `WireguardUnavailable` with what to do.
pub async fn detect(settings: &Settings) -> PortResult<Detected> {
    let detection = examine(settings.choice).await?;
    let wireguard: Arc<dyn WireGuard> = match detection.chosen {
        Implementation::Kernel => {
            if let Err(e) = Userspace::stop(&settings.socket).await {
                // It may hold ports of ours: those interfaces will say so.
                tracing::warn!(error = %e, "an earlier userspace WireGuard is still there");
            }
            Arc::new(Kernel::new())
        }
        Implementation::Userspace => {
            let (exe, socket, log) = (&settings.exe, &settings.socket, &settings.log);
            let child = Userspace::connect_or_spawn(exe.clone(), socket.clone(), log.clone());
            Arc::new(child.await?)
        }
    };
    Ok(Detected {
        wireguard,
        detection,
    })
}

/// Makes and removes a WireGuard link. EOPNOTSUPP: the kernel has none (it
/// loads its module by itself where there is one, rtnetlink's
/// `request_module("rtnl-link-wireguard")`).
async fn probe() -> io::Result<()> {
    let links = Links::open()?;
    match links.add_wireguard(PROBE).await {
        // A crashed probe's, or one that runs right now.
        Err(e) if is(&e, Errno::EEXIST) => {}
        other => other?,
    }
    if let Some(made) = links.by_name(PROBE).await? {
        links.delete(made.index).await?;
    }
    Ok(())
}

fn tun_works() -> PortResult<()> {
    match OpenOptions::new().read(true).write(true).open(TUN) {
        Ok(_) => Ok(()),
        Err(e) => Err(PortError::because(
            ErrorCode::WireguardUnavailable,
            format!(
                "MalikNode's own WireGuard needs {TUN}, which cannot be opened ({e}). Try `modprobe tun`; a container needs --device {TUN}."
            ),
            e,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_one_of_three_words() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("kernel".parse(), Ok(Choice::Kernel));
        assert_eq!("userspace".parse(), Ok(Choice::Userspace));
        assert!("Kernel ".parse::<Choice>().is_err());
    }
}
