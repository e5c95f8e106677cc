//! Measures CPU time and memory of processes, and collects the figures.

use crate::rig::Rig;
use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
    },
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use std::{collections::BTreeMap, error::Error, fs, time::Duration};

/// The result of a measurement.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Every single value, by the figure's name.
#[derive(Debug, Default)]
pub struct Figures {
    values: BTreeMap<String, Vec<f64>>,
    /// How many values of each figure have been printed.
    printed: BTreeMap<String, usize>,
}

impl Figures {
    /// Adds a time, in seconds.
    pub fn note(&mut self, what: &str, took: Duration) {
        self.number(what, took.as_secs_f64());
    }

    /// Adds any number.
    pub fn number(&mut self, what: &str, value: f64) {
        self.values.entry(what.to_owned()).or_default().push(value);
    }

    /// Adds processor time by its user, in seconds.
    pub fn cpu(&mut self, what: &str, cpu: Cpu) {
        self.note(&format!("{what}, cpu of server"), cpu.server);
        self.note(&format!("{what}, cpu of commands"), cpu.commands);
        self.note(&format!("{what}, cpu of tunnels"), cpu.tunnels);
    }

    /// Prints the new values, a line for each figure, to stderr, so that a run
    /// that is stopped early has printed its results until then.
    pub fn print_new(&mut self) {
        for (what, values) in &self.values {
            let printed = self.printed.entry(what.clone()).or_default();
            if *printed == values.len() {
                continue;
            }
            *printed = values.len();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |share: usize| sorted[(sorted.len() - 1) * share / 100];
            eprintln!(
                "    {what}: {} times, p50 {:.4}, p99 {:.4}, most {:.4}",
                sorted.len(),
                at(50),
                at(99),
                at(100)
            );
        }
    }

    /// Prints all values as JSON to stdout.
    pub fn print(&mut self) -> Outcome<()> {
        self.print_new();
        println!("{}", serde_json::to_string(&self.values)?);
        Ok(())
    }
}

/// Processor time used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// This process, which is the server in the product.
    server: Duration,
    /// Programs that it ran to their end, mostly `nft`.
    commands: Duration,
    /// The userspace WireGuard.
    tunnels: Duration,
}

impl Cpu {
    /// Returns the time used until now.
    pub async fn now(rig: &Rig) -> Outcome<Self> {
        let child = Pid::from_raw(i32::try_from(rig.wireguard.pid().await?)?);
        let tunnels = clock_gettime(clock_getcpuclockid(child)?)?;
        Ok(Self {
            server: used(UsageWho::RUSAGE_SELF)?,
            commands: used(UsageWho::RUSAGE_CHILDREN)?,
            tunnels: Duration::from(tunnels),
        })
    }

    /// Returns the sum.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            server: self.server + other.server,
            commands: self.commands + other.commands,
            tunnels: self.tunnels + other.tunnels,
        }
    }

    /// Returns the time used since an earlier measurement. A child that was
    /// started between them counts completely.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            server: self.server.saturating_sub(earlier.server),
            commands: self.commands.saturating_sub(earlier.commands),
            tunnels: self.tunnels.saturating_sub(earlier.tunnels),
        }
    }
}

fn used(who: UsageWho) -> Outcome<Duration> {
    let usage = getrusage(who)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// Returns the MB of RAM that a process uses, with shared pages in proportion
/// (proc(5), `smaps_rollup`).
pub fn pss(process: &str) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:"));
    let kb = line.and_then(|l| l.trim().strip_suffix(" kB"));
    let kb: f64 = kb.ok_or("smaps_rollup has no Pss")?.parse()?;
    Ok(kb / 1024.0)
}
