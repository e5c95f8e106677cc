//! The pages on the way to a network: the landing page, sign-up, sign-in and
//! the progress of a new network.

pub mod landing;
#[cfg(feature = "ssr")]
mod node_full;
pub mod progress;
pub mod sign_in;
pub mod sign_up;

#[cfg(feature = "ssr")]
use node_full::NodeFullBanner;
