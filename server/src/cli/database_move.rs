//! `maliknode database move --to URL`: everything from SQLite to PostgreSQL. The server is
//! stopped meanwhile; tunnels and DNS filters are the kernel's and the containers', and
//! stay up.

use crate::{
    config::{Config, DatabaseUrlEdit, Flags},
    console::print_line,
    database_file::{lock_file, rename_moved},
    start_error::StartError,
    storage::{lock_root, refuse_worker, sealer},
};
use app::ui::format;
use clap::Subcommand;
use domain::{Clock, Message, Secret, SystemClock};
use std::{
    fs::{File, Metadata},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};
use store::{
    CopyCheck, CopyProgress, CopyReport, CopyStage, DatabaseUrl, SealedValues, check_copy,
    copy_database,
};
use tokio::time::Instant;

/// How often the progress of a large table is printed.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// How many damaged values are named.
const MAX_NAMED: usize = 10;

#[derive(Debug, Subcommand)]
pub(super) enum DatabaseCommand {
    /// Move everything from the SQLite database to an empty PostgreSQL database
    ///
    /// Stop the server first (systemctl stop maliknode). Tunnels and DNS filters stay up
    /// meanwhile. All rows are copied in one transaction and compared, so PostgreSQL has
    /// everything or nothing. Then database_url is written into the configuration file, and
    /// the SQLite file is renamed, for going back.
    Move(MoveArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct MoveArguments {
    /// The PostgreSQL database, which is empty: postgres://user:password@host/database.
    /// In the environment, no other user of the machine can read the password
    #[arg(
        long,
        value_name = "URL",
        env = "MALIKNODE_MOVE_TO",
        hide_env_values = true,
        value_parser = |text: &str| Ok::<_, std::convert::Infallible>(Secret::new(text))
    )]
    to: Secret,
    /// Check everything and change nothing; the server may run
    #[arg(long)]
    dry_run: bool,
    /// Leave the configuration file as it is, and print what to write
    #[arg(long)]
    no_config: bool,
}

/// # Errors
/// A command that cannot be carried out, with what to do.
pub(super) async fn run(
    config: &Config,
    flags: &Flags,
    command: &DatabaseCommand,
) -> Result<(), StartError> {
    match command {
        DatabaseCommand::Move(arguments) => Move::new(config, flags, arguments)?.run().await,
    }
}

/// A move whose arguments fit.
struct Move<'a> {
    config: &'a Config,
    /// The SQLite file.
    source: &'a Path,
    to: &'a Secret,
    dry_run: bool,
    /// The configuration file with the new address, unless it is left as it is.
    edit: Option<DatabaseUrlEdit>,
}

impl<'a> Move<'a> {
    fn new(
        config: &'a Config,
        flags: &Flags,
        arguments: &'a MoveArguments,
    ) -> Result<Self, StartError> {
        let usage = |text: &str| Err(StartError::Usage(text.to_owned()));
        let DatabaseUrl::Sqlite(source) = &config.database_url else {
            return usage(
                "database_url is a PostgreSQL database already: there is nothing to move",
            );
        };
        if !matches!(
            DatabaseUrl::parse(arguments.to.expose()),
            Ok(DatabaseUrl::Postgres(_))
        ) {
            return Err(StartError::from(&Message::CopyTargetAddress));
        }
        refuse_worker(config)?;
        if !arguments.no_config && Config::is_database_url_overridden(flags) {
            return usage(
                "database_url is set by a flag or by MALIKNODE_DATABASE_URL, which overrides the \
                 configuration file: say --no-config, and change it there after the move",
            );
        }
        let edit = match arguments.no_config {
            true => None,
            false => {
                let edit = DatabaseUrlEdit::prepare(&config.central(), &arguments.to);
                Some(edit.map_err(|e| StartError::Usage(e.to_string()))?)
            }
        };
        Ok(Self {
            config,
            source,
            to: &arguments.to,
            dry_run: arguments.dry_run,
            edit,
        })
    }

    async fn run(self) -> Result<(), StartError> {
        if !self.source.is_file() {
            return Err(StartError::from(&Message::CopySourceMissing {
                path: self.source.display().to_string(),
            }));
        }
        // A missing key would be made, and would not open what the database has.
        let key = &self.config.seal_key;
        if !key.exists() {
            return Err(StartError::Key(format!(
                "{} does not exist: restore it from the backup made with the database. Without it \
                 no tunnel's key can be read",
                key.display()
            )));
        }
        let sealer = sealer(self.config)?;
        if self.dry_run {
            let check = check_copy(self.source, self.to, &sealer).await?;
            self.print_check(&check);
            return Ok(());
        }
        let _locks = (self.lock_server()?, lock_file(self.config)?);
        print_line(&format!("Moving {} to PostgreSQL:", self.source.display()));
        let mut printer = ProgressPrinter::default();
        let mut progress = |p: CopyProgress<'_>| printer.print(p);
        let report = copy_database(self.source, self.to, &sealer, &mut progress).await?;
        print_report(&report);
        self.finish().map_err(|e| {
            StartError::Failure(format!(
                "everything is in PostgreSQL, but the move is not finished: {e}. Say the command \
                 again once that is repaired: it finds that everything is there"
            ))
        })
    }

    fn lock_server(&self) -> Result<File, StartError> {
        lock_root(self.config).map_err(|e| match e {
            StartError::Running(root) => StartError::Failure(format!(
                "the server runs from {}, or another move does. Stop it first: systemctl stop \
                 maliknode. Tunnels and DNS filters stay up meanwhile",
                root.display()
            )),
            e => e,
        })
    }

    /// Writes the configuration, renames the SQLite file, and says how to go on.
    fn finish(&self) -> Result<(), StartError> {
        if let Some(edit) = &self.edit {
            hostfs::replace_file(edit.path(), edit.text().as_bytes())?;
            print_line(&format!(
                "{}: database_url is the new address.",
                edit.path().display()
            ));
            warn_of_readers(edit.path());
        }
        let date = format::iso(SystemClock.now());
        let moved = rename_moved(self.source, date.split('T').next().unwrap_or(&date))?;
        print_line(&format!("The SQLite file is now {}", moved.display()));
        if self.edit.is_none() {
            print_line(
                "Set database_url (config.toml, or the environment) to the address that you gave:\
                 \n  database_url = \"postgres://…\"",
            );
        }
        print_line("Then start the server: systemctl start maliknode");
        self.print_way_back(&moved);
        Ok(())
    }

    fn print_way_back(&self, moved: &Path) {
        let source = self.source.display();
        print_line(&format!(
            "To go back to the state of now (what changes later is then lost):\
             \n  systemctl stop maliknode\
             \n  mv {} {source}\
             \n  set database_url to sqlite://{source}\
             \n  systemctl start maliknode",
            moved.display()
        ));
    }

    fn print_check(&self, check: &CopyCheck) {
        match &check.rows {
            Some(rows) => print_line(&format!(
                "{}: {} rows in {} tables can be moved, with {} sealed values.",
                self.source.display(),
                rows.values().sum::<u64>(),
                rows.len(),
                check.sealed.opened
            )),
            None => print_line(&format!(
                "{}: its schema is older than this program. The move brings it up to date first, and checks its rows then.",
                self.source.display()
            )),
        }
        print_unopened(&check.sealed);
        match &check.target_table_with_rows {
            None => print_line(&format!("{}: it is empty and can be used.", check.target)),
            Some(table) => print_line(&format!(
                "{}: it has rows, e.g. in {table}. If they are all of an earlier move, the move finds that out; otherwise it refuses.",
                check.target
            )),
        }
        match &self.edit {
            Some(edit) => print_line(&format!("{}: can be changed.", edit.path().display())),
            None => print_line("The configuration file would be left as it is."),
        }
        if self.is_server_running() {
            print_line(
                "The server runs. Stop it for the move: systemctl stop maliknode. Tunnels and DNS filters stay up meanwhile.",
            );
        }
        print_line("Nothing was changed.");
    }

    fn is_server_running(&self) -> bool {
        let lock = File::open(self.config.central().join("serve.lock"));
        lock.is_ok_and(|file| file.try_lock_shared().is_err())
    }
}

/// Prints a line for each table, and more for a large one.
#[derive(Default)]
struct ProgressPrinter {
    printed: Option<Instant>,
    stage: Option<CopyStage>,
}

impl ProgressPrinter {
    fn print(&mut self, p: CopyProgress<'_>) {
        let (table, rows, total) = (p.table, p.rows, p.total);
        let now = Instant::now();
        if self.stage != Some(p.stage) {
            self.stage = Some(p.stage);
            print_line(match p.stage {
                CopyStage::Copy => "Copying:",
                CopyStage::Verify => "Comparing every row:",
            });
        }
        if total == 0 {
            return;
        }
        if p.is_done {
            print_line(&format!("  {table:<20} {rows:>10} rows"));
            self.printed = None;
        } else if now - *self.printed.get_or_insert(now) > PROGRESS_INTERVAL {
            print_line(&format!("  {table:<20} {rows:>10} of {total} rows"));
            self.printed = Some(now);
        }
    }
}

fn print_report(report: &CopyReport) {
    let (tables, rows) = (report.rows.len(), report.rows.values().sum::<u64>());
    let opened = report.sealed.opened;
    print_line(&match report.was_complete {
        false => format!(
            "{rows} rows in {tables} tables are the same on both sides; {opened} sealed values open."
        ),
        true => format!(
            "PostgreSQL has all {rows} rows in {tables} tables already, from an earlier move; {opened} sealed values open."
        ),
    });
    print_unopened(&report.sealed);
}

/// Names the values that were damaged before and are damaged after a move.
fn print_unopened(sealed: &SealedValues) {
    for place in sealed.unopened.iter().take(MAX_NAMED) {
        print_line(&format!(
            "  damaged, as before: {place} does not open with seal.key"
        ));
    }
    let more = sealed.unopened.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        print_line(&format!("  and {more} more"));
    }
}

/// Warns where other users of the machine can read the password in the file.
fn warn_of_readers(path: &Path) {
    let mode = |m: Metadata| m.permissions().mode() & 0o777;
    match path.metadata().map(mode) {
        Ok(mode) if mode & 0o077 != 0 => print_line(&format!(
            "  It can be read by other users (mode {mode:03o}) and may have a password: chmod go= {}",
            path.display()
        )),
        _ => {}
    }
}
