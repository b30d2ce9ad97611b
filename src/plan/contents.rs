//! What the files hold that flags name, and what `--env-command` prints.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result as IoResult};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::env_command;
use crate::cli;
use crate::failure::Result;
use crate::interrupt::Interrupt;

/// Nobody has more secrets, in bytes; each of them is looked for in every event.
const LARGEST: u64 = 1024 * 1024;

/// What has been read so far, each thing once: a pipe has nothing to say the second time.
#[derive(Default)]
pub struct Contents {
    files: HashMap<PathBuf, IoResult<Vec<u8>>>,
    /// What `--env-command` has printed.
    pub(super) commanded: Vec<(String, String)>,
}

impl Contents {
    /// Reads the files of a deployment. What cannot be read is told when it is asked for.
    ///
    /// # Errors
    /// The interruption: a pipe may have no end.
    pub async fn read(&mut self, deploy: &cli::Deploy, interrupt: &Interrupt) -> Result<()> {
        let cli::Settings {
            source, container, ..
        } = &deploy.settings;
        let pipes = container.env_file.iter().chain(&source.git_token_file);
        let pipes = pipes.map(|file| (file.clone(), true));
        // The engine mounts them.
        let mounted = container
            .secret
            .iter()
            .filter_map(|word| word.split_once('='));
        let mounted = mounted.map(|(_, file)| (PathBuf::from(file), false));
        let wanted: Vec<(PathBuf, bool)> = mounted.chain(pipes).collect();
        let read = tokio::task::spawn_blocking(move || {
            let mut files = HashMap::new();
            for (file, may_be_pipe) in wanted {
                let content = files.entry(file);
                content.or_insert_with_key(|file| read(file, may_be_pipe));
            }
            files
        });
        let read = async { Ok(read.await.map_err(anyhow::Error::from)?) };
        self.files = interrupt.or(read).await?;
        Ok(())
    }

    /// Runs the command of `--env-command`, in this folder if not in the current one.
    ///
    /// # Errors
    /// Those of [`env_command::from_command`].
    pub async fn ask(
        &mut self,
        command: &str,
        folder: Option<&Path>,
        interrupt: &Interrupt,
    ) -> Result<()> {
        self.commanded = env_command::from_command(command, folder, interrupt).await?;
        Ok(())
    }

    /// As if the file had been read.
    #[cfg(test)]
    pub(super) fn put(&mut self, file: &str, text: &str) {
        self.files.insert(file.into(), Ok(text.into()));
    }

    /// What a file holds.
    pub(super) fn bytes(&self, file: &Path) -> IoResult<&[u8]> {
        match self.files.get(file) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(error)) => Err(again(error)),
            None => Err(Error::other("it has not been read")),
        }
    }

    /// The same as text.
    pub(super) fn text(&self, file: &Path) -> IoResult<&str> {
        let text = std::str::from_utf8(self.bytes(file)?);
        text.map_err(|_| Error::new(ErrorKind::InvalidData, "it is no text in UTF-8"))
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

fn again(error: &Error) -> Error {
    match error.raw_os_error() {
        Some(code) => Error::from_raw_os_error(code),
        None => Error::new(error.kind(), error.to_string()),
    }
}

/// Opens a regular file. Anything else is refused at once: a pipe may have no writer.
///
/// # Errors
/// Those of the file system.
pub fn open_file(path: &Path) -> IoResult<File> {
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(without_waiting)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(Error::other("it is to be a regular file"))
    }
}

/// Reads a file to its end, which is not far.
///
/// # Errors
/// Those of the file system.
pub(super) fn read(path: &Path, may_be_pipe: bool) -> IoResult<Vec<u8>> {
    let file = if may_be_pipe {
        File::open(path)?
    } else {
        open_file(path)?
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::other("it is to be a file of up to 1 MiB"));
    }
    Ok(bytes)
}
