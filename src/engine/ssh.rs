//! An engine behind ssh: `ssh HOST docker system dial-stdio`, as docker itself does it.
//!
//! One master connection carries them all: a further one takes less than half the time of a log-in, a host may
//! count log-ins, and a key may want to be touched. It ends with sdp, however that ends.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use super::endpoint::Target;
use crate::child;
use crate::failure::{Code, Failure, Result};
use crate::shell::quoted;
use crate::stale::stale;

/// How often it is looked whether the master listens: nothing tells.
const POLL: Duration = Duration::from_millis(5);

/// How long a program that has ended may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A socket's path may have 107 bytes, and ssh appends 17 while it makes one.
const LONGEST: usize = 80;

/// How the names of the masters' directories begin.
const PREFIX: &str = "sdp-ssh-";

/// Said by ssh and docker, at most so much of it.
const MOST_WORDS: u64 = 16 * 1024;

pub(super) struct Ssh {
    target: Target,
    master: OnceCell<Master>,
}

/// Held for as long as connections go through it.
struct Master {
    /// For this user only; the socket in it is as good as the log-in.
    directory: TempDir,
    _process: Child,
}

/// What a connection reads from and writes to; the program behind it ends with it.
pub(super) struct Pipe {
    output: ChildStdout,
    input: ChildStdin,
    _process: Child,
}

/// What the program behind a connection says.
pub(super) struct Words {
    target: Target,
    errors: ChildStderr,
}

impl Ssh {
    pub(super) fn new(target: &Target) -> Ssh {
        Ssh {
            target: target.clone(),
            master: OnceCell::new(),
        }
    }

    /// One more connection.
    ///
    /// # Errors
    /// `engine_unreachable`, `engine_denied`, `engine_untrusted`.
    pub(super) async fn open(&self) -> Result<(Pipe, Words)> {
        let master = self.master.get_or_try_init(|| self.log_in()).await?;
        let mut command = self.command(&control(master.directory.path()));
        command.args(["-o", "ControlMaster=no", "--", &self.target.host]);
        command.arg(self.remote_command());
        let mut process = spawn(&mut command)?;
        let missing = || Failure::new(Code::Internal, "a program without its pipes");
        let errors = process.stderr.take().ok_or_else(missing)?;
        let pipe = Pipe {
            output: process.stdout.take().ok_or_else(missing)?,
            input: process.stdin.take().ok_or_else(missing)?,
            _process: process,
        };
        let target = self.target.clone();
        let words = Words { target, errors };
        Ok((pipe, words))
    }

    async fn log_in(&self) -> Result<Master> {
        let directory = private_directory()?;
        let socket = control(directory.path());
        let mut command = self.command(&socket);
        command.args(["-N", "-o", "ControlMaster=yes", "-o", "ControlPersist=no"]);
        command.args(["--", &self.target.host]);
        let mut process = spawn(&mut command)?;
        loop {
            tokio::select! {
                biased;
                _ = process.wait() => {
                    let errors = process.stderr.take();
                    let said = match errors {
                        Some(errors) => heard(errors).await,
                        None => String::new(),
                    };
                    return Err(trouble(&self.target, &said));
                }
                () = sleep(POLL) => if socket.exists() {
                    break;
                },
            }
        }
        Ok(Master {
            directory,
            _process: process,
        })
    }

    fn command(&self, socket: &Path) -> Command {
        let mut command = child::dying_with("ssh");
        command.args(["-T", "-x", "-o", "BatchMode=yes"]);
        command.args(["-o", "ConnectTimeout=30"]);
        // A host that is gone is noticed, and a port that is forwarded for somebody else is not taken.
        command.args([
            "-o",
            "ServerAliveInterval=15",
            "-o",
            "ClearAllForwardings=yes",
        ]);
        command.arg("-S").arg(socket);
        if let Some(port) = self.target.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &self.target.user {
            command.args(["-l", user]);
        }
        command
    }

    /// One word, which a shell on the other host takes apart.
    fn remote_command(&self) -> String {
        match &self.target.socket {
            None => "docker system dial-stdio".to_owned(),
            Some(socket) => {
                let host = quoted(format!("unix://{socket}"));
                format!("docker --host {host} system dial-stdio")
            }
        }
    }
}

fn control(directory: &Path) -> PathBuf {
    directory.join("s")
}

fn private_directory() -> Result<TempDir> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = [runtime, Some(std::env::temp_dir()), Some("/tmp".into())];
    let place = places
        .into_iter()
        .flatten()
        .find(|place| place.is_dir() && place.as_os_str().len() < LONGEST)
        .unwrap_or_else(|| "/tmp".into());
    for left in stale(&place, &[PREFIX]) {
        // By a killed run; its master has taken the socket with it.
        std::fs::remove_dir(left.path()).ok();
    }
    tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(&place)
        .map_err(|error| {
            let what = format_args!("make a directory in `{}`", place.display());
            Failure::io(Code::EngineUnreachable, what, error)
        })
}

/// In a process group of its own: Ctrl-C must not cut what is needed to take things back.
fn spawn(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    child::start(command).map_err(|error| Failure::io(Code::EngineUnreachable, "run `ssh`", error))
}

async fn heard(errors: ChildStderr) -> String {
    let mut said = Vec::new();
    let mut errors = errors.take(MOST_WORDS);
    timeout(LAST_WORDS, errors.read_to_end(&mut said))
        .await
        .ok();
    String::from_utf8_lossy(&said).trim().to_owned()
}

impl Words {
    /// Why the connection ended.
    pub(super) async fn failure(self) -> Failure {
        trouble(&self.target, &heard(self.errors).await)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}

/// What OpenSSH, a shell and docker say, as a failure with a way out.
fn trouble(target: &Target, said: &str) -> Failure {
    let host = &target.host;
    let words = said.to_ascii_lowercase();
    let any = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    let by_hand = by_hand(target);
    let (code, message, hint) = if any(&["identification has changed"]) {
        (
            Code::EngineUntrusted,
            format!("the host key of `{host}` is not the one that ssh knows"),
            format!(
                "`{by_hand}` tells where the old one stands; ask whoever runs the host which is right"
            ),
        )
    } else if any(&["host key verification failed"]) {
        (
            Code::EngineUntrusted,
            format!("ssh does not know the host key of `{host}`"),
            format!(
                "`{by_hand}` once by hand, and compare its fingerprint with the one that the host publishes"
            ),
        )
    } else if any(&["permission denied ("]) {
        (
            Code::EngineDenied,
            format!("`{host}` refuses the keys that ssh has"),
            format!(
                "`{by_hand} -o BatchMode=yes` must get in without a question; `ssh-add` gives the agent a key"
            ),
        )
    } else if any(&["ssh: connect to host", "ssh: could not resolve"]) {
        (
            Code::EngineUnreachable,
            format!("ssh does not reach `{host}`"),
            format!("`{by_hand}` must connect: is the host up, and its name and port right?"),
        )
    } else if any(&[
        "docker: command not found",
        "docker: not found",
        "unknown command",
    ]) {
        (
            Code::EngineUnreachable,
            format!("there is no `docker` on `{host}` that could connect to its engine"),
            "install docker's command line there, 18.09 or newer".to_owned(),
        )
    } else if any(&["permission denied"]) {
        (
            Code::EngineDenied,
            format!("the user on `{host}` may not talk to the engine there"),
            "`sudo usermod -aG docker $USER` there".to_owned(),
        )
    } else if any(&["docker daemon", "dial unix", "docker.sock"]) {
        (
            Code::EngineUnreachable,
            format!("no engine answers on `{host}`"),
            "`sudo systemctl start docker` there starts it".to_owned(),
        )
    } else {
        (
            Code::EngineUnreachable,
            format!("the connection to the engine on `{host}` through ssh broke"),
            format!("`{by_hand} docker version` must get through"),
        )
    };
    Failure::new(code, message)
        .hint(hint)
        .detail(said.lines().map(str::to_owned))
}

fn by_hand(target: &Target) -> String {
    let port = target
        .port
        .map(|port| format!("-p {port} "))
        .unwrap_or_default();
    let user = target
        .user
        .as_ref()
        .map(|user| format!("{user}@"))
        .unwrap_or_default();
    format!("ssh {port}{}", quoted(format!("{user}{}", target.host)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_ssh_and_docker_say_is_told_apart() {
        let target = Target {
            user: Some("ada".to_owned()),
            host: "far".to_owned(),
            port: Some(22),
            socket: None,
        };
        for (said, code, words) in [
            (
                "ada@far: Permission denied (publickey).",
                Code::EngineDenied,
                "refuses the keys",
            ),
            (
                "Host key verification failed.",
                Code::EngineUntrusted,
                "does not know the host key",
            ),
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
                Code::EngineUntrusted,
                "is not the one that ssh knows",
            ),
            (
                "ssh: connect to host far port 22: Connection refused",
                Code::EngineUnreachable,
                "does not reach",
            ),
            (
                "bash: line 1: docker: command not found",
                Code::EngineUnreachable,
                "no `docker` on",
            ),
            (
                "failed to open the raw stream connection: dial unix /var/run/docker.sock: connect: permission denied",
                Code::EngineDenied,
                "may not talk",
            ),
            (
                "failed to open the raw stream connection: dial unix /var/run/docker.sock: connect: connection refused",
                Code::EngineUnreachable,
                "no engine answers",
            ),
            ("", Code::EngineUnreachable, "broke"),
        ] {
            let failure = trouble(&target, said);
            assert_eq!(failure.code, code, "{said}");
            assert!(failure.message.contains(words), "{said}: {failure}");
            assert!(failure.hint.is_some());
        }
        assert_eq!(by_hand(&target), "ssh -p 22 ada@far");
    }
}
