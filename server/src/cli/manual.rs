//! `maliknode completions SHELL` and `maliknode man DIR`, made of the commands themselves.

use super::client::{CallError, EXIT_CODES};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell, e.g. bash: maliknode completions bash > /etc/bash_completion.d/maliknode
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder, e.g. /usr/local/share/man/man1
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints what a shell needs.
pub(super) fn print_completions(mut command: Command, arguments: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "maliknode", &mut script);
    // A closed pipe is no failure.
    let _ = io::stdout().write_all(&script);
}

/// Writes a man page for each command, `maliknode-tenant-list.1`.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(mut command: Command, arguments: &Arguments) -> Result<(), CallError> {
    command.build();
    let folder = &arguments.folder;
    fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
    write_page(folder, "maliknode", &command)
}

fn write_page(folder: &Path, name: &str, command: &Command) -> Result<(), CallError> {
    for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
        write_page(folder, &format!("{name}-{}", below.get_name()), below)?;
    }
    let path = folder.join(format!("{name}.1"));
    let page = page(name, command).map_err(|e| failed(&path, &e))?;
    fs::write(&path, page).map_err(|e| failed(&path, &e))
}

fn page(name: &str, command: &Command) -> io::Result<Vec<u8>> {
    let command = command
        .clone()
        .after_long_help(None)
        .display_name(name.to_owned());
    let mut page = Vec::new();
    Man::new(command)
        .title(name.to_uppercase())
        .render(&mut page)?;
    writeln!(page, ".SH \"EXIT STATUS\"")?;
    for (code, meaning) in EXIT_CODES {
        writeln!(page, ".TP\n\\fB{code}\\fR\n{meaning}")?;
    }
    Ok(page)
}

fn failed(path: &Path, e: &io::Error) -> CallError {
    CallError::Failed(format!("{} cannot be written: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{CommandFactory, ValueEnum};

    fn leaves(command: &Command, name: &str, all: &mut Vec<String>) {
        all.push(name.to_owned());
        for below in command.get_subcommands() {
            leaves(below, &format!("{name}-{}", below.get_name()), all);
        }
    }

    #[test]
    fn every_command_has_a_man_page_with_the_exit_codes() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = Arguments {
            folder: folder.path().join("man1"),
        };
        write(Cli::command(), &arguments).unwrap();
        let mut names = Vec::new();
        leaves(&Cli::command(), "maliknode", &mut names);
        assert!(names.len() > 40, "{names:?}");
        for name in names {
            let page = fs::read_to_string(arguments.folder.join(format!("{name}.1"))).unwrap();
            assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
            assert!(page.contains("EXIT STATUS"), "{name}");
            for code in 0..=6 {
                assert!(
                    page.contains(&format!("\\fB{code}\\fR\n")),
                    "{name}: {code}"
                );
            }
        }
    }

    #[test]
    fn every_shell_has_completions() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "maliknode", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(
                script.contains("impact") && script.contains("token-file"),
                "{shell}"
            );
        }
    }
}
