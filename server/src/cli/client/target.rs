//! Where a command is carried out: the options that say so, the file that may say so instead,
//! and what applies without either, which is the server of this machine.

use super::{
    Client,
    failure::CallError,
    local::Database,
    remote::{Server, Socket},
    transport::Transport,
};
use crate::{config::Flags, control_socket};
use domain::Secret;
use serde::Deserialize;
use std::{
    convert::Infallible,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The longest file with a token that is read, in bytes.
const MAX_TOKEN_FILE: u64 = 4_096;

/// Where a command is carried out, and how its output is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// Ask this server instead of the one on this machine, with a token
    ///
    /// Without it, the command goes to the server on this machine, by its socket; where none
    /// runs, straight to the database. With a token it is carried out there as the token's
    /// holder, in place of the command line's permission. The file ~/.config/maliknode/client.toml may set
    /// `server` and `token_file` (or `token`, if only you may read the file).
    #[arg(
        id = "client.server",
        long = "server",
        global = true,
        env = "MALIKNODE_SERVER",
        value_name = "https://api.HOST",
        help_heading = "Where"
    )]
    server: Option<String>,

    /// The API token, of whose holder the command is. Others on this machine see it in the list of processes:
    /// --token-file and MALIKNODE_TOKEN keep it to yourself
    #[arg(
        id = "client.token",
        long = "token",
        global = true,
        env = "MALIKNODE_TOKEN",
        hide_env_values = true,
        value_name = "mnt_…",
        value_parser = parse_secret,
        help_heading = "Where"
    )]
    token: Option<Secret>,

    /// The file whose first line is the API token; - is standard input
    #[arg(
        id = "client.token_file",
        long = "token-file",
        global = true,
        env = "MALIKNODE_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "client.token",
        help_heading = "Where"
    )]
    token_file: Option<PathBuf>,

    /// Print JSON, as the API writes it
    #[arg(
        id = "client.json",
        long = "json",
        global = true,
        help_heading = "Where"
    )]
    pub json: bool,
}

fn parse_secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// `client.toml`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClientFile {
    server: Option<String>,
    token: Option<String>,
    token_file: Option<PathBuf>,
}

impl Target {
    /// Connects to where the command is carried out. Says on standard error where that is not
    /// a server that runs. A command that is no account's needs no token.
    ///
    /// # Errors
    /// The options or the file contradict themselves, or it cannot be connected to.
    pub async fn connect(&self, flags: &Flags, needs_token: bool) -> Result<Client, CallError> {
        let file = match self.server {
            Some(_) => ClientFile::default(),
            None => ClientFile::find()?,
        };
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(path)) => Some(read_token(path)?),
            (None, None) => file.token()?,
        };
        let server = self.server.as_deref().or(file.server.as_deref());
        match (server, token) {
            (Some(server), None) if needs_token => Err(CallError::Usage(format!(
                "--server {server} needs an API token: --token-file FILE, or MALIKNODE_TOKEN"
            ))),
            (Some(server), token) => {
                let server = Server::at(server, token)?;
                Ok(Client::new(Transport::Server(server), None))
            }
            (None, token) => here(flags, token).await,
        }
    }
}

/// Connects to the server on this machine, or opens its database; with a token as its holder.
async fn here(flags: &Flags, token: Option<Secret>) -> Result<Client, CallError> {
    let config = control_socket::config(flags).map_err(|e| CallError::Usage(e.to_string()))?;
    let socket = control_socket::path(&config);
    let transport = match Server::at_socket(&socket, token.as_ref()).await? {
        Socket::Served(server) => Transport::Server(server),
        Socket::Dead => {
            let database = Box::new(Database::open(&config, token).await?);
            eprintln!(
                "The server is not running (nothing answers at {}): this goes straight to the database.",
                socket.display()
            );
            Transport::Database(database)
        }
    };
    Ok(Client::new(transport, Some(config)))
}

impl ClientFile {
    /// Reads the person's file, if there is one.
    fn find() -> Result<Self, CallError> {
        let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config"));
        let folder = folder.filter(|folder| folder.is_absolute()).or_else(home);
        match folder {
            Some(folder) => Self::read(&folder.join("maliknode/client.toml")),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, CallError> {
        let usage =
            |what: &dyn std::fmt::Display| CallError::Usage(format!("{}: {what}", path.display()));
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if is_absent(&e) => return Ok(Self::default()),
            Err(e) => return Err(usage(&e)),
        };
        // The parser's message without its excerpt of the file, which may hold the token.
        let file: Self = toml::from_str(&text).map_err(|e| usage(&e.message()))?;
        let mode = fs::metadata(path).map_err(|e| usage(&e))?;
        if file.token.is_some() && mode.permissions().mode() & 0o077 != 0 {
            return Err(usage(
                &"others may read the token in it: chmod 600, or put it into a file of its own and name that as token_file",
            ));
        }
        Ok(file)
    }

    fn token(&self) -> Result<Option<Secret>, CallError> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(Some(Secret::new(token.trim()))),
            (None, Some(path)) => read_token(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// Returns whether there is no such file, or none that this user gets to.
fn is_absent(e: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(e.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Reads a token.
fn read_token(path: &Path) -> Result<Secret, CallError> {
    first_line("token", path)
}

/// Reads a secret from the first line of a file; `-` is standard input.
///
/// # Errors
/// It cannot be read, or has none.
pub(crate) fn first_line(what: &str, path: &Path) -> Result<Secret, CallError> {
    let usage = |why: &dyn std::fmt::Display| {
        CallError::Usage(format!("the {what} in {}: {why}", path.display()))
    };
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => io::stdin().take(MAX_TOKEN_FILE).read_to_string(&mut text),
        false => {
            let file = File::open(path).map_err(|e| usage(&e))?;
            file.take(MAX_TOKEN_FILE).read_to_string(&mut text)
        }
    };
    read.map_err(|e| usage(&e))?;
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(Secret::new(token)),
        _ => Err(usage(&"its first line is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::failure::Exit;

    #[test]
    fn a_file_with_a_token_is_the_persons_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.toml");
        let none = ClientFile::read(&path).unwrap();
        assert!(none.server.is_none() && none.token().unwrap().is_none());

        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            ClientFile::read(&path)
        };
        let text = "server = \"https://api.example.org\"\ntoken = \"mnt_1_secret\"\n";
        let error = write(text, 0o640).err().unwrap();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("chmod 600"), "{error}");
        let file = write(text, 0o600).unwrap();
        assert_eq!(file.token().unwrap().unwrap().expose(), "mnt_1_secret");
        assert!(write("server = \"https://api.example.org\"\n", 0o644).is_ok());

        let error = write("token = \"mnt_1_secret\n", 0o600).err().unwrap();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(write("tokn = \"x\"\n", 0o600).is_err());
    }

    #[test]
    fn a_token_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(read_token(&path).is_err());
        for (text, token) in [
            ("mnt_1_x\n", Some("mnt_1_x")),
            (" mnt_1_x \r\nmore", Some("mnt_1_x")),
            ("", None),
            ("\nmnt_1_x", None),
        ] {
            fs::write(&path, text).unwrap();
            let read = read_token(&path).ok();
            assert_eq!(read.as_ref().map(Secret::expose), token, "{text:?}");
        }
        fs::write(&path, "x".repeat(1 << 20)).unwrap();
        assert_eq!(read_token(&path).unwrap().expose().len(), 4_096);
    }
}
