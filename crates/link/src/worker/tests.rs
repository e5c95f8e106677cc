//! The worker's end against a real hub over TLS on loopback, and against answers that no
//! hub gives.

mod answers;
mod control_plane;
mod joining;
mod outages;
mod working;
