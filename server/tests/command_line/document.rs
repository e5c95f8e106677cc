//! docs/CLI.md, which is made of the commands themselves: `UPDATE_CLI=1` writes it again.

use clap::{Arg, Command, CommandFactory};
use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

const INTRODUCTION: &str = "\
# The command line

Made of the commands themselves by `UPDATE_CLI=1 cargo test -p server --test command_line document`;
a test compares it. `maliknode man DIR` writes the same as man pages, `maliknode completions bash` what a
shell needs, and `--help` says it too.

## Where a command is carried out

Most commands are calls of the API (docs/API.md), by one of three ways:

1. **The server on this machine**, by its socket `<runtime_dir>/control-<id>.sock`, where `<id>` follows from the root.
   The kernel says who asks: root, the server's user and the members of the group `cli_group` may do everything. The
   audit log names `operator:cli`, or `operator:cli:NAME` for a member. A change is in force at once.
2. **The database of this machine**, where no server answers at the socket. A line on standard error says so. A change
   is in force once the server runs.
3. **A server anywhere**: `--server https://api.example.org --token-file FILE`, or the variables `MALIKNODE_SERVER`
   and `MALIKNODE_TOKEN`, or `~/.config/maliknode/client.toml` with `server` and `token_file`. `maliknode token create`
   and the dashboard make tokens. A token on the command line is visible to others in the list of processes.

A token without `--server` counts at the first two as well: the command is its holder's then, with that one's rights
and name in the audit log. `maliknode account sign-in NAME --password-file FILE` prints such a token, which the commands
of one's own account need (`maliknode account …`).

An operator acts for a tenant with `--tenant NAME`. `--json` prints what the API answered; of a list, all items.

## What changes

`--follow` goes on with what changes: of `device list`, `device show` and `status` each new state, of `events` and `audit`
each new entry. `--json` prints each in a line. Ctrl-C ends it with exit code 0, and so does who reads the output;
5 says that the server has gone, 4 that the token holds no more. `events` and `audit` wait for a server that has gone, and go on behind
the last entry that they printed; without a server from the beginning on there is nothing to follow. `audit --export csv` and `jsonl`
write all entries that match. `audit --own` and `events --own` are what the tenant itself reads, of whose token it is or of `--tenant`.
";

/// Returns the help of an argument as one line.
fn help(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    help.replace('\n', " ").replace('|', "\\|")
}

fn shown(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default();
    let value = values.first().map(ToString::to_string);
    let takes = arg.get_action().takes_values();
    match (arg.get_long(), value.filter(|_| takes)) {
        (Some(long), Some(value)) => format!("`--{long} {value}`"),
        (Some(long), None) => format!("`--{long}`"),
        (None, value) => format!("`{}`", value.unwrap_or_else(|| arg.get_id().to_string())),
    }
}

fn options(text: &mut String, args: &[&Arg]) {
    if args.is_empty() {
        return;
    }
    text.push_str("\n| option | |\n|---|---|\n");
    for arg in args {
        let mut said = help(arg);
        let choices: Vec<String> = arg
            .get_possible_values()
            .iter()
            .map(|v| v.get_name().to_owned())
            .collect();
        if arg.get_action().takes_values() && choices.len() > 1 && choices.len() < 9 {
            let _ = write!(said, " ({})", choices.join(", "));
        }
        if let Some(default) = arg.get_default_values().first() {
            let _ = write!(said, " [default: {}]", default.to_string_lossy());
        }
        let _ = writeln!(text, "| {} | {} |", shown(arg), said.trim());
    }
}

/// Describes a command and those below it.
fn describe(text: &mut String, name: &str, command: &Command, known: &BTreeSet<String>) {
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let own = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        !known.contains(id) && id != "help" && id != "version"
    };
    let args: Vec<&Arg> = command.get_arguments().filter(own).collect();
    let below: Vec<&Command> = command.get_subcommands().collect();
    let level = if below.is_empty() { "###" } else { "##" };
    let positional = args.iter().filter(|a| a.is_positional());
    let positional: Vec<String> = positional
        .map(|a| shown(a).trim_matches('`').to_owned())
        .collect();
    let usage = [&[name.to_owned()][..], &positional[..]].concat().join(" ");
    let _ = writeln!(text, "\n{level} {usage}\n\n{}", about.trim());
    options(text, &args);
    let mut known = known.clone();
    known.extend(args.iter().map(|a| a.get_id().to_string()));
    for command in below {
        describe(
            text,
            &format!("{name} {}", command.get_name()),
            command,
            &known,
        );
    }
}

fn document() -> String {
    let command = server::cli::Cli::command();
    // The settings, which deploy/config.example.toml describes.
    let known: BTreeSet<String> = command
        .get_arguments()
        .map(|a| a.get_id().to_string())
        .collect();
    let mut text = INTRODUCTION.to_owned();
    let mut called = None;
    for below in command.get_subcommands() {
        let is_where = |arg: &&Arg| arg.get_id().as_str().starts_with("client.");
        let args: Vec<&Arg> = below.get_arguments().filter(is_where).collect();
        if called.is_none() && !args.is_empty() {
            options(&mut text, &args);
            called = Some(
                args.iter()
                    .map(|a| a.get_id().to_string())
                    .collect::<BTreeSet<_>>(),
            );
        }
    }
    text.push_str("\n## Exit codes\n\n");
    let after = command.get_after_long_help().map(ToString::to_string);
    for line in after.unwrap_or_default().lines().skip(1) {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        let _ = writeln!(text, "- `{code}`: {meaning}");
    }
    let mut known = known;
    known.extend(called.unwrap_or_default());
    for below in command.get_subcommands() {
        let name = format!("maliknode {}", below.get_name());
        describe(&mut text, &name, below, &known);
    }
    text
}

#[test]
fn the_document_says_what_the_commands_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CLI.md");
    let made = document();
    if std::env::var_os("UPDATE_CLI").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == made,
        "docs/CLI.md differs: UPDATE_CLI=1 cargo test -p server --test command_line document"
    );
}
