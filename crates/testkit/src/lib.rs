//! Fakes that fail on demand, the seeded simulation, and the contract suites
//! that real implementations and fakes pass alike. A dev-dependency only:
//! nothing of it ships.

pub mod expected;
pub mod fakes;
pub mod namespace;
pub mod samples;
pub mod sim;
pub mod wait;
pub mod wireguard_contract;
