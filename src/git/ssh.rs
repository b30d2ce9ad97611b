//! The ssh that talks to a remote: the one that is configured, told never to ask, and with the
//! deployment's own key before any other.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use gix::bstr::ByteSlice;
use gix::protocol::transport::client::blocking_io::ssh::ProgramKind;
use gix::protocol::transport::client::blocking_io::ssh::connect::Options;

use crate::child;
use crate::credentials::Credentials;

/// Options that keep ssh from asking.
const NO_QUESTIONS: &str = "-o BatchMode=yes";

/// Options that keep it from waiting for ever on a network that has gone.
const NO_ENDLESS_WAIT: &str = "-o ServerAliveInterval=15 -o ServerAliveCountMax=4";

/// An ssh for gix that fails instead of asking, whose complaints end up in a file and not on our screen,
/// and which ends with sdp.
pub fn quiet(options: &Options, own: &Credentials, words: &Path) -> Options {
    let client = Client::of(options);
    let more = if client.is_openssh {
        format!("{NO_QUESTIONS} {NO_ENDLESS_WAIT}")
    } else {
        String::new()
    };
    // Also one that is called `ssh` may be a script that starts another.
    let mut command = child::tethered_to_us(&client.told(own, &more));
    command.push(" 2>");
    command.push(shell_quoted(words.as_os_str()));
    let known = client.is_openssh.then_some(ProgramKind::Ssh);
    Options {
        command: Some(command),
        disallow_shell: false,
        kind: options.kind.or(known),
    }
}

/// For `GIT_SSH_COMMAND` of `git` programs: the ssh that is configured, with the deployment's own key.
/// `None`: it has no key of its own.
pub fn with_key(options: &Options, own: &Credentials) -> Option<OsString> {
    let client = Client::of(options);
    let options = if client.is_openssh { NO_QUESTIONS } else { "" };
    own.ssh_key.as_ref().map(|_| client.told(own, options))
}

/// An ssh as it is configured, in a shell's words.
struct Client {
    program: OsString,
    arguments: OsString,
    is_openssh: bool,
}

impl Client {
    fn of(options: &Options) -> Client {
        let command = options.ssh_command();
        // GIT_SSH is the name of a program, core.sshCommand and GIT_SSH_COMMAND are for a shell.
        let (program, arguments) = if options.disallow_shell {
            (command.as_encoded_bytes(), &[][..])
        } else {
            let command = command.as_encoded_bytes().trim_ascii_start();
            let end = command.iter().position(u8::is_ascii_whitespace);
            command.split_at(end.unwrap_or(command.len()))
        };
        let bare = program.trim_with(|c| !options.disallow_shell && "'\"".contains(c));
        let is_openssh = Path::new(&*bare.to_os_str_lossy()).file_name() == Some(OsStr::new("ssh"));
        let program = program.to_os_str_lossy();
        Client {
            program: if options.disallow_shell {
                shell_quoted(&program)
            } else {
                program.into_owned()
            },
            arguments: arguments.to_os_str_lossy().into_owned(),
            is_openssh,
        }
    }

    /// The same with the deployment's key, and with more options. What is first counts for OpenSSH, which
    /// tries keys in their order; where the options of another program end nobody knows.
    fn told(&self, own: &Credentials, more: &str) -> OsString {
        let key = own.ssh_options(self.is_openssh).unwrap_or_default();
        let (program, arguments, more) = (&self.program, &self.arguments, OsStr::new(more));
        let words: [&OsStr; 4] = if self.is_openssh {
            [program, &key, arguments, more]
        } else {
            [program, arguments, &key, more]
        };
        let words = words.into_iter().filter(|word| !word.is_empty());
        words.fold(OsString::new(), |mut command, word| {
            if !command.is_empty() && !word.as_encoded_bytes().starts_with(b" ") {
                command.push(" ");
            }
            command.push(word);
            command
        })
    }
}

fn shell_quoted(word: &OsStr) -> OsString {
    let quoted = gix::quote::single(word.as_encoded_bytes().as_bstr());
    quoted.to_os_str_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(command: Option<&str>, disallow_shell: bool) -> Options {
        Options {
            command: command.map(Into::into),
            disallow_shell,
            kind: None,
        }
    }

    fn quieted(command: Option<&str>, disallow_shell: bool) -> String {
        let options = options(command, disallow_shell);
        let quiet = quiet(&options, &Credentials::default(), Path::new("/x/it's"));
        let quiet = quiet.ssh_command().to_string_lossy();
        quiet.replace(&format!("{NO_QUESTIONS} {NO_ENDLESS_WAIT}"), "OPTIONS")
    }

    #[test]
    fn ssh_never_asks_and_never_writes_to_the_screen() {
        let words = r"2>'/x/it'\''s'";
        assert_eq!(quieted(None, true), format!("'ssh' OPTIONS {words}"));
        assert_eq!(
            quieted(Some("/opt/my ssh/run"), true),
            format!("'/opt/my ssh/run' {words}")
        );
        assert_eq!(
            quieted(Some("/usr/bin/ssh -i key"), false),
            format!("/usr/bin/ssh -i key OPTIONS {words}")
        );
        assert_eq!(
            quieted(Some("plink -P 22"), false),
            format!("plink -P 22 {words}")
        );
    }

    #[test]
    fn a_key_comes_before_those_of_the_configuration() {
        let own = Credentials {
            ssh_key: Some("/my key".into()),
            ..Credentials::default()
        };
        let keyed = |command, disallow_shell| {
            let command = with_key(&options(command, disallow_shell), &own);
            command.unwrap_or_default().to_string_lossy().into_owned()
        };
        let key = "-o IdentitiesOnly=yes -i '/my key'";
        assert_eq!(keyed(None, false), format!("ssh {key} {NO_QUESTIONS}"));
        assert_eq!(
            keyed(Some("ssh -i other -F file"), false),
            format!("ssh {key} -i other -F file {NO_QUESTIONS}")
        );
        for command in [" ssh -i other", "ssh\t-i other", "'ssh' -i other"] {
            let told = keyed(Some(command), false).replace(['\t', '\''], " ");
            let place = |option| told.find(option).unwrap();
            assert!(place("/my key") < place("other"), "{told}");
            assert!(told.ends_with(NO_QUESTIONS), "{told}");
        }
        assert_eq!(keyed(Some("./run  it"), false), "./run  it -i '/my key'");
        assert_eq!(keyed(Some("/a b/run"), true), "'/a b/run' -i '/my key'");
        let none = with_key(&options(None, false), &Credentials::default());
        assert_eq!(none, None);
    }
}
