//! Access to the host for every crate that keeps something on it: private files and
//! folders, a pool that bounds how many threads wait for a disk, programs such as
//! `nft` and `tc`, and netlink sockets.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod blocking_pool;
mod command;
mod held_dir;
pub mod netlink;
mod own_pids;
mod private;

pub use blocking_pool::BlockingPool;
pub use command::{CommandError, run};
pub use held_dir::{DiskUsage, Entry, HeldDir};
pub use own_pids::OwnPids;
pub use private::{
    DiskAction, create_private_dir, create_shared_dir, disk_error, replace_file, share_file,
    write_durable_file, write_file_for, write_private_file,
};
