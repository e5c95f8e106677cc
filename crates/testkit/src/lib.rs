//! Fakes that fail on demand and the contract suites that real sides and
//! fakes pass alike. A dev-dependency only: nothing of it ships.

pub mod fakes;
pub mod memory;
pub mod samples;
pub mod sim;
pub mod wireguard_contract;
