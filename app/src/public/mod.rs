//! The pages on the way to a network: the landing page, sign-up, sign-in and
//! the progress of a new network.

#[cfg(feature = "ssr")]
mod closed;
#[cfg(feature = "ssr")]
pub mod forgot;
pub mod landing;
#[cfg(feature = "ssr")]
mod node_full;
#[cfg(feature = "ssr")]
pub mod privacy;
pub mod progress;
#[cfg(feature = "ssr")]
pub mod recover;
#[cfg(feature = "ssr")]
pub mod reset;
pub mod sign_in;
pub mod sign_up;
#[cfg(feature = "ssr")]
pub mod verify_mail;

#[cfg(feature = "ssr")]
use closed::{ClosedBanner, InvitationBanner};
#[cfg(feature = "ssr")]
use node_full::NodeFullBanner;
