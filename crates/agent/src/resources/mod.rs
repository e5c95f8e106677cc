//! What tenants use of the machine, and what follows from it for the disk.
//!
//! Nothing in the file system bounds what a tenant's AdGuard Home writes, so it is
//! watched: [`DiskPolicy`](disk_policy::DiskPolicy) decides from readings alone, and
//! [`ResourceMeter`] reads, asks it and does what it says. What is read of the disk,
//! the processors, the memory and the connections is cached for the control plane.

mod cpu;
mod disk_policy;
mod limits;
mod machine;
mod meter;
mod source;

pub use limits::DiskLimits;
pub(crate) use machine::MachineResources;
pub(crate) use meter::ResourceMeter;
pub use source::{ContainerUse, DiskUse, FileSystem, Resources};
