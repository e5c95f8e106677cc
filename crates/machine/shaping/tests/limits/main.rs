//! Sends real traffic through the real limits in network namespaces. The tests need
//! root, `tc`, `ip`, `ping` and `iperf3` (`./dev setup --tests`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bed;
mod changes;
mod scale;
mod speed;
