//! Where an export is written: to standard output, or to a file that is there once it is whole.

use super::{
    client::{Call, CallError, Stream},
    output::Output,
};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Where an export is written.
#[derive(Debug, clap::Args)]
pub(super) struct ExportTarget {
    /// Write the export to this file, which only you can read
    #[arg(long, value_name = "FILE", requires = "export")]
    out: Option<PathBuf>,
    /// Overwrite the file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

impl ExportTarget {
    /// Makes the call and writes its answer, which has this type of content.
    ///
    /// # Errors
    /// The API refuses, its answer breaks off, or the file exists or cannot be written.
    pub async fn write(&self, call: Call<'_>, kind: &str, out: Output) -> Result<(), CallError> {
        let Some(path) = &self.out else {
            let stream = call.stream(&[kind]).await?;
            // Who reads standard output may have enough.
            return match copy(stream, &mut io::stdout().lock()).await {
                Err(Stopped::Write(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                Err(Stopped::Write(e)) => Err(CallError::Failed(e.to_string())),
                Err(Stopped::Call(e)) => Err(e),
                Ok(()) => Ok(()),
            };
        };
        if !self.force && path.exists() {
            return Err(exists(path));
        }
        let stream = call.stream(&[kind]).await?;
        let unfinished = unfinished(path);
        let written = Self::write_file(stream, path, &unfinished).await;
        if written.is_err() {
            // What is left of it is not to be taken for the whole.
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        out.done(&format!("The export is in {}.", path.display()));
        Ok(())
    }

    async fn write_file(stream: Stream, path: &Path, unfinished: &Path) -> Result<(), CallError> {
        let failed =
            |e: io::Error| CallError::Failed(format!("{} cannot be written: {e}", path.display()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(unfinished).map_err(failed)?;
        match copy(stream, &mut file).await {
            Ok(()) => {}
            Err(Stopped::Write(e)) => return Err(failed(e)),
            Err(Stopped::Call(e)) => return Err(e),
        }
        file.sync_all().map_err(failed)?;
        fs::rename(unfinished, path).map_err(failed)
    }
}

/// Why not all was copied.
enum Stopped {
    Call(CallError),
    Write(io::Error),
}

async fn copy(mut stream: Stream, to: &mut impl Write) -> Result<(), Stopped> {
    while let Some(part) = stream.next().await.map_err(Stopped::Call)? {
        to.write_all(&part).map_err(Stopped::Write)?;
    }
    to.flush().map_err(Stopped::Write)
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

fn exists(path: &Path) -> CallError {
    CallError::Usage(format!("{} exists: --force overwrites it", path.display()))
}
