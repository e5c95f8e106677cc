//! `maliknode wg-userspace [--socket PATH]`.

use std::path::PathBuf;
use wireguard::userspace::{
    self,
    host::{self, HostError},
};

pub(super) use host::LOG_FILTER;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The control socket to listen on
    #[arg(long, default_value = userspace::DEFAULT_SOCKET)]
    socket: PathBuf,
}

/// Serves the control socket until it is told to end.
pub(super) fn run(arguments: &Arguments) -> Result<(), HostError> {
    host::run(&arguments.socket)
}
