//! Measures what a full node costs: 1,000 tenants with 20 devices each, over
//! real tunnels of the userspace WireGuard, nftables, SQLite and folders, with
//! the real node and the real core. Containers and DNS filters are the test
//! kit's.
//!
//! It changes links and rules of its machine, so it runs only in a test bed.
//! `tools/bench/scale.py` runs it there and makes a table of its output: JSON,
//! each figure's name with every single value (seconds, MB, counts). While it
//! runs it prints a line of each figure to stderr.

#[path = "../../tests/rig/settings.rs"]
mod settings;

mod changes;
mod measure;
mod quiet;
mod rig;
mod rows;

use clap::{Parser, Subcommand};
use measure::{Cpu, Figures, Outcome};
use rig::Rig;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};
use tracing_subscriber::EnvFilter;
use wireguard::{Userspace, userspace};

/// Measures what a full node costs; run by tools/bench/scale.py in a test bed.
#[derive(Debug, Parser)]
#[command(name = "full_node")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create everything in an empty folder, and measure
    Make {
        /// The folder of database, tenants' folders and the child's socket
        #[arg(long)]
        root: PathBuf,
        /// Tenants
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(2..=1000))]
        tenants: u16,
        /// Devices of each; some more are added and deleted on top
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=24))]
        devices: u8,
    },
    /// Start like a restarted server, over what `make` left
    Start {
        /// The same folder
        #[arg(long)]
        root: PathBuf,
    },
    /// The userspace WireGuard; this program starts it
    WgUserspace {
        /// The socket it listens on
        #[arg(long)]
        socket: PathBuf,
    },
}

/// Sets the allocator as the server does for itself and its child
/// (`server/src/main.rs`), because memory is measured.
#[cfg(target_env = "gnu")]
fn give_large_blocks_back() {
    // SAFETY: mallopt(3) changes two numbers of the allocator; no other thread
    // runs yet. If it refuses, memory use is higher and nothing else.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 4 << 20);
    }
}

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    give_large_blocks_back();
    let begun = Instant::now();
    let command = Cli::parse().command;
    let default = match &command {
        Command::WgUserspace { .. } => userspace::host::LOG_FILTER,
        _ => "warn,netlink_proto=error",
    };
    let filter = EnvFilter::try_from_env("MALIKNODE_LOG").unwrap_or_else(|_| default.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = match command {
        Command::WgUserspace { socket } => userspace::host::run(&socket).map_err(Into::into),
        Command::Make {
            root,
            tenants,
            devices,
        } => run_in_bed(make(&root, tenants, devices)),
        Command::Start { root } => run_in_bed(start(&root, begun)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("full_node: {e}");
            let mut cause = e.source();
            while let Some(e) = cause {
                eprintln!("  caused by: {e}");
                cause = e.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run_in_bed(work: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    if std::env::var_os("MALIKNODE_BED").is_none() {
        return Err(
            "it changes links and rules, so it runs only in a test bed, tools/bed/bed.sh".into(),
        );
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn say(what: &str) {
    eprintln!("  {what}");
}

async fn make(root: &Path, tenants: u16, devices: u8) -> Outcome<()> {
    let mut figures = Figures::default();
    wireguard::reserve_ports()?;
    let mut rig = Rig::open(root).await?;

    say("one tenant");
    rows::make(&rig.store, 1..=1, devices).await?;
    rig.run();
    rig.in_force().await?;
    changes::devices(&rig, "at one tenant", 25, &mut figures).await?;
    rig.memory("at one tenant", &mut figures).await?;
    // From nothing: there is not even a child process or a table.
    rig.stop().await?;
    Userspace::stop(&rig::socket(root)).await?;
    changes::remove_tables()?;

    figures.print_new();
    say("rows of all");
    let begun = Instant::now();
    rows::make(&rig.store, 2..=tenants, devices).await?;
    figures.note("rows", begun.elapsed());

    say("all in force");
    let cpu = Cpu::now(&rig).await?;
    let begun = Instant::now();
    rig.run();
    rig.in_force().await?;
    figures.note("create", begun.elapsed());
    rig.ready().await?;
    figures.note("create to ready", begun.elapsed());
    figures.cpu("create", Cpu::now(&rig).await?.since(&cpu));
    rig.check(tenants, devices).await?;

    figures.print_new();
    say("passes without a change");
    quiet::passes(&rig, &mut figures).await?;
    quiet::parts(&rig, &mut figures).await?;

    figures.print_new();
    say("one change");
    changes::devices(&rig, "among all", 100, &mut figures).await?;

    figures.print_new();
    say("statistics");
    quiet::statistics(&rig, &mut figures).await?;
    rig.memory("at all tenants", &mut figures).await?;
    rig.check(tenants, devices).await?;

    figures.print_new();
    say("firewall");
    rig.stop().await?;
    changes::firewall(&rig, &mut figures).await?;
    figures.print()
}

async fn start(root: &Path, begun: Instant) -> Outcome<()> {
    let mut figures = Figures::default();
    let mut rig = Rig::open(root).await?;
    rig.run();
    rig.in_force().await?;
    figures.note("start", begun.elapsed());
    rig.ready().await?;
    figures.note("start to ready", begun.elapsed());
    figures.cpu("start", Cpu::now(&rig).await?);
    rig.memory("after start", &mut figures).await?;
    figures.print()
}
