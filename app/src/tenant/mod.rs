//! What several pages of a tenant share: the live data, what it means, and the
//! health of the network. Nothing here depends on one of those pages.

pub mod data;
#[cfg(test)]
pub mod fixture;
pub mod live;
pub mod state;
pub mod status;

pub use data::DataBanner;
pub use live::{Derived, LiveData};
pub use status::{HealthChip, ProblemBanners};
