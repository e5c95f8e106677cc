//! The cost of what runs without any request: the node's passes, statistics.

use crate::{
    measure::{Cpu, Figures, Outcome},
    rig::Rig,
};
use domain::Timestamp;
use domain::{Clock, SystemClock};
use provisioning::{WireGuard, node::TICK};
use std::time::Instant;
use store::{LOCAL_NODE, StatSample};

/// Passes measured. Each asks a tenth of the DNS filters on average: all of
/// them at every tenth.
const PASSES: u32 = 10;
/// How often statistics are read and stored.
const ROUNDS: i64 = 10;
/// How many of them fit between two ticks.
const A_TICK: i64 = 5;
/// Time between two readings that are stored, in milliseconds.
const EVERY: i64 = 10_000;

/// Measures the node's passes, from the middle between two ticks to the next.
pub async fn passes(rig: &Rig, figures: &mut Figures) -> Outcome<()> {
    rig.tick().await?;
    let mut middle = tokio::time::Instant::now() + TICK / 2;
    tokio::time::sleep_until(middle).await;
    let mut before = Cpu::now(rig).await?;
    for _ in 0..PASSES {
        middle += TICK;
        tokio::time::sleep_until(middle).await;
        let now = Cpu::now(rig).await?;
        figures.cpu("pass", now.since(&before));
        before = now;
    }
    Ok(())
}

/// Measures each reading of a pass by itself, between two ticks.
pub async fn parts(rig: &Rig, figures: &mut Figures) -> Outcome<()> {
    rig.tick().await?;
    tokio::time::sleep(TICK / 4).await;
    macro_rules! part {
        ($what:literal, $read:expr) => {
            for _ in 0..3 {
                let cpu = Cpu::now(rig).await?;
                let begun = Instant::now();
                $read.await?;
                figures.note(concat!("reading ", $what), begun.elapsed());
                let used = Cpu::now(rig).await?.since(&cpu);
                figures.cpu(concat!("reading ", $what), used);
            }
        };
    }
    part!("spec", rig.ports.specs.load(0));
    part!("tunnels", rig.ports.wireguard.observe());
    part!("firewall", rig.ports.firewall.observe());
    part!("folders", rig.ports.folders.observe());
    part!("containers", rig.ports.containers.observe());
    Ok(())
}

/// Reads all counters and stores them as if every one of them had changed,
/// which those of idle tunnels do not.
pub async fn statistics(rig: &Rig, figures: &mut Figures) -> Outcome<()> {
    let begun_at = SystemClock.now();
    for round in 0..ROUNDS {
        if round % A_TICK == 0 {
            rig.tick().await?;
            tokio::time::sleep(TICK / 4).await;
        }
        let cpu = Cpu::now(rig).await?;
        let begun = Instant::now();
        let read = rig.wireguard.statistics().await?;
        figures.note("statistics read", begun.elapsed());
        figures.cpu("statistics read", Cpu::now(rig).await?.since(&cpu));

        let at = begun_at.plus_millis(round * EVERY);
        let moved = u64::try_from(round + 1)?;
        let samples: Vec<StatSample> = read
            .iter()
            .map(|s| sample(s.public_key, moved, at))
            .collect();
        let cpu = Cpu::now(rig).await?;
        let begun = Instant::now();
        rig.store
            .record_statistics(LOCAL_NODE, &samples, None, at)
            .await?;
        figures.note("statistics stored", begun.elapsed());
        figures.cpu("statistics stored", Cpu::now(rig).await?.since(&cpu));
        figures.number("counters", f64::from(u32::try_from(samples.len())?));
    }
    Ok(())
}

/// Returns the counters of a device that sends 1 Mbit/s and receives 8 all the
/// time, with a handshake just now.
fn sample(public_key: domain::PublicKey, moved: u64, at: Timestamp) -> StatSample {
    StatSample {
        public_key,
        rx_bytes: moved * 1_250_000,
        tx_bytes: moved * 10_000_000,
        last_handshake: Some(at),
        endpoint: Some(([203, 0, 113, 7], 51_820).into()),
    }
}
