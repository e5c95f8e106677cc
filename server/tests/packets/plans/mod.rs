//! Plans hold: what the operator's form says is what a device gets through its tunnel.

mod overshoot;
mod quota;
mod speed;
