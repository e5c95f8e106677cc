//! Why the table of connections could not be read or changed.

use domain::{ErrorCode, Message};
use hostfs::netlink::DecodeError;
use provisioning::ports::PortError;
use std::io;

/// A failed call to ctnetlink.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The kernel refused, or the socket failed.
    #[error("ctnetlink: {0}")]
    Refused(#[from] io::Error),
    /// The kernel's answer is not as its header files say.
    #[error("ctnetlink: an answer cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// The blocking pool did not finish the work.
    #[error("reading the table broke off")]
    BrokeOff(#[from] tokio::task::JoinError),
}

impl From<TableError> for PortError {
    fn from(e: TableError) -> Self {
        let message = match &e {
            TableError::Refused(e) => match e.raw_os_error() {
                Some(libc_errno::EPERM | libc_errno::EACCES) => Message::ConnectionsNotPermitted,
                // nfnetlink answers EINVAL for a subsystem that it does not have; without
                // nfnetlink there is no such socket.
                Some(
                    libc_errno::EINVAL
                    | libc_errno::EOPNOTSUPP
                    | libc_errno::EPROTONOSUPPORT
                    | libc_errno::EAFNOSUPPORT,
                ) => Message::ConnectionsUnsupported,
                _ => Message::ConnectionsUnreadable,
            },
            TableError::Malformed(_) | TableError::BrokeOff(_) => Message::ConnectionsUnreadable,
        };
        Self::because(ErrorCode::FirewallUnavailable, message, e)
    }
}

/// The numbers of errno(3) that are told apart.
mod libc_errno {
    use nix::errno::Errno;

    pub(super) const EPERM: i32 = Errno::EPERM as i32;
    pub(super) const EACCES: i32 = Errno::EACCES as i32;
    pub(super) const EINVAL: i32 = Errno::EINVAL as i32;
    pub(super) const EOPNOTSUPP: i32 = Errno::EOPNOTSUPP as i32;
    pub(super) const EPROTONOSUPPORT: i32 = Errno::EPROTONOSUPPORT as i32;
    pub(super) const EAFNOSUPPORT: i32 = Errno::EAFNOSUPPORT as i32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn a_missing_subsystem_and_missing_rights_differ() {
        let message = |errno: Errno| PortError::from(TableError::Refused(errno.into())).message;
        assert_eq!(message(Errno::EPERM), Message::ConnectionsNotPermitted);
        assert_eq!(message(Errno::EINVAL), Message::ConnectionsUnsupported);
        assert_eq!(
            message(Errno::EPROTONOSUPPORT),
            Message::ConnectionsUnsupported
        );
        assert_eq!(message(Errno::ENOBUFS), Message::ConnectionsUnreadable);
    }
}
