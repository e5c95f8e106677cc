//! Access to the host's file system for every crate that stores secrets there:
//! private files and folders, and a pool that bounds how many threads wait for
//! a disk.

mod blocking_pool;
mod private;

pub use blocking_pool::BlockingPool;
pub use private::{DiskAction, create_private_dir, disk_error, write_private_file};
