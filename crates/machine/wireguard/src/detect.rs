//! Chooses the WireGuard implementation: the kernel's if it has one, otherwise ours.

use crate::{Kernel, Userspace, failure::has_errno, links::Links, userspace::Host};
use domain::{ErrorCode, Message};
use nix::errno::Errno;
use provisioning::ports::{PortError, PortResult, WireGuard};
use std::{fmt, fs::OpenOptions, io, path::PathBuf, str::FromStr, sync::Arc};

/// The temporary link that shows whether the kernel has WireGuard.
const PROBE_LINK: &str = "mnprobe0";
/// The device that a userspace WireGuard needs.
const TUN: &str = "/dev/net/tun";

/// The operator's configuration: `auto`, `kernel` or `userspace`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The kernel's if it has one, otherwise ours.
    #[default]
    Auto,
    /// Only the kernel's.
    Kernel,
    /// Ours, even if the kernel has one.
    Userspace,
}

/// The error for a word that is not a [`Choice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is none of auto, kernel, userspace")]
pub struct UnknownChoice(String);

impl FromStr for Choice {
    type Err = UnknownChoice;
    fn from_str(s: &str) -> Result<Self, UnknownChoice> {
        match s {
            "auto" => Ok(Self::Auto),
            "kernel" => Ok(Self::Kernel),
            "userspace" => Ok(Self::Userspace),
            other => Err(UnknownChoice(other.chars().take(40).collect())),
        }
    }
}

/// An implementation of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// The kernel's WireGuard.
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

/// The chosen implementation, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    pub chosen: Implementation,
    /// The reason, for the log and for `maliknode doctor`.
    pub why: Message,
}

/// The operator's choice, and what is needed to start the child process.
#[derive(Clone, Debug)]
pub struct Settings {
    pub choice: Choice,
    /// The program with the `wg-userspace` command: this program.
    pub exe: PathBuf,
    /// The systemd unit that runs it instead, e.g. `maliknode-wireguard.service`.
    pub unit: Option<String>,
    /// The child's socket, e.g. [`crate::userspace::DEFAULT_SOCKET`].
    pub socket: PathBuf,
    /// The child's log file.
    pub log: PathBuf,
}

/// A WireGuard that is ready.
pub struct Detected {
    pub wireguard: Arc<dyn WireGuard>,
    pub detection: Detection,
}

/// Chooses the implementation without starting anything. This is for `doctor`.
///
/// # Errors
/// `WireguardUnavailable`, with what to do, if neither works.
pub async fn examine(choice: Choice) -> PortResult<Detection> {
    let chosen = |chosen, why| Ok(Detection { chosen, why });
    // This also shows whether the process may create interfaces at all.
    match probe().await {
        Err(e) if !has_errno(&e, Errno::EOPNOTSUPP) => {
            Err(crate::failure::refused(&Message::ActionCreateInterfaces, e))
        }
        _ if choice == Choice::Userspace => {
            check_tun()?;
            chosen(Implementation::Userspace, Message::WireguardConfigured)
        }
        Ok(()) => chosen(Implementation::Kernel, Message::WireguardInKernel),
        Err(e) if choice == Choice::Kernel => Err(PortError::because(
            ErrorCode::WireguardUnavailable,
            Message::KernelWireguardMissing,
            e,
        )),
        Err(_) => {
            check_tun()?;
            chosen(Implementation::Userspace, Message::WireguardNotInKernel)
        }
    }
}

/// Chooses the implementation and makes it ready. If it is the kernel's, a userspace
/// child of an earlier run is stopped.
///
/// # Errors
/// `WireguardUnavailable`, with what to do.
pub async fn detect(settings: &Settings) -> PortResult<Detected> {
    let detection = examine(settings.choice).await?;
    let wireguard: Arc<dyn WireGuard> = match detection.chosen {
        Implementation::Kernel => {
            if let Err(e) = Userspace::stop(&settings.socket).await {
                // It may use ports of tunnels; creating their interfaces will report it.
                tracing::warn!(error = %e, "an earlier userspace WireGuard still runs");
            }
            Arc::new(Kernel::new())
        }
        Implementation::Userspace => {
            let host = match &settings.unit {
                Some(unit) => Host::Unit(unit.clone()),
                None => Host::Child(settings.exe.clone()),
            };
            let (socket, log) = (settings.socket.clone(), settings.log.clone());
            Arc::new(Userspace::connect_or_start(host, socket, log).await?)
        }
    };
    Ok(Detected {
        wireguard,
        detection,
    })
}

/// Creates and removes a WireGuard link. EOPNOTSUPP means that the kernel has no
/// WireGuard; it loads the module itself if there is one (rtnetlink's
/// `request_module("rtnl-link-wireguard")`).
async fn probe() -> io::Result<()> {
    let links = Links::open()?;
    match links.add_wireguard(PROBE_LINK).await {
        // A probe that crashed left it, or another one is running.
        Err(e) if has_errno(&e, Errno::EEXIST) => {}
        other => other?,
    }
    if let Some(link) = links.by_name(PROBE_LINK).await? {
        links.delete(link.index).await?;
    }
    Ok(())
}

/// Checks that TUN devices can be created.
fn check_tun() -> PortResult<()> {
    match OpenOptions::new().read(true).write(true).open(TUN) {
        Ok(_) => Ok(()),
        Err(e) => {
            let message = Message::TunUnusable {
                path: TUN.to_owned(),
                reason: e.to_string(),
            };
            Err(PortError::because(
                ErrorCode::WireguardUnavailable,
                message,
                e,
            ))
        }
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
