//! What a deployment proves itself with to git's remotes. It goes to gix in memory, and to the `git`
//! programs that go and git start in their environment: never to disk, never to a command line.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

/// Where a git that asks for a user or a password has to come from, and what it is told.
const ORIGIN: &str = "SDP_ASKPASS_ORIGIN";
const USER: &str = "SDP_ASKPASS_USER";
const TOKEN: &str = "SDP_ASKPASS_TOKEN";

/// The user's own askpass, for everything else.
const OTHER: &str = "SDP_ASKPASS_OTHER";

/// The user name where only a token is known: hosting services look at the token alone.
const ANY_USER: &str = "git";

/// The deployment's own credentials; where there are none, git's helpers and `~/.netrc` are asked.
#[derive(Clone, Default)]
pub struct Credentials {
    pub user: Option<String>,
    /// A password or a token, for http.
    pub token: Option<String>,
    /// The private key for ssh.
    pub ssh_key: Option<PathBuf>,
}

impl Credentials {
    /// User and password for http; `known` is the user that the URL names.
    pub fn login<'a>(&'a self, known: Option<&'a str>) -> Option<(&'a str, &'a str)> {
        let token = self.token.as_deref()?;
        let user = self.user.as_deref().or(known);
        Some((user.unwrap_or(ANY_USER), token))
    }

    /// The variables for a process that runs the `git` program: it asks sdp for what it needs to know
    /// about `origin`, such as `https://git.example.com`, and nobody on the terminal. `known` is the
    /// user that the URL names.
    pub fn environment(
        &self,
        origin: Option<&str>,
        known: Option<&str>,
    ) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<(OsString, OsString)> =
            vec![("GIT_TERMINAL_PROMPT".into(), "0".into())];
        let mut set = |name: &str, value: &OsStr| variables.push((name.into(), value.to_owned()));
        if let (Some((user, token)), Some(origin)) = (self.login(known), origin) {
            // By its process, as the file may be replaced by a newer sdp meanwhile.
            let sdp = format!("/proc/{}/exe", std::process::id());
            if let Some(other) = std::env::var_os("GIT_ASKPASS") {
                set(OTHER, &other);
            }
            set("GIT_ASKPASS", sdp.as_ref());
            // Helpers would be asked first, and told to write down what sdp answers.
            let count = std::env::var("GIT_CONFIG_COUNT").ok();
            let count: usize = count.and_then(|count| count.parse().ok()).unwrap_or(0);
            let helper = format!("credential.{origin}.helper");
            set(&format!("GIT_CONFIG_KEY_{count}"), helper.as_ref());
            set(&format!("GIT_CONFIG_VALUE_{count}"), "".as_ref());
            set("GIT_CONFIG_COUNT", (count + 1).to_string().as_ref());
            set(ORIGIN, origin.as_ref());
            set(USER, user.as_ref());
            set(TOKEN, token.as_ref());
        }
        variables
    }

    /// Options for ssh, quoted for a shell; the first one is only OpenSSH's.
    pub fn ssh_options(&self, is_openssh: bool) -> Option<OsString> {
        let key = self.ssh_key.as_ref()?;
        let quoted = shlex::bytes::try_quote(key.as_os_str().as_encoded_bytes()).ok()?;
        let only = if is_openssh {
            "-o IdentitiesOnly=yes "
        } else {
            ""
        };
        let mut options = OsString::from(format!("{only}-i "));
        options.push(String::from_utf8_lossy(&quoted).as_ref());
        Some(options)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Answers a `git` program that runs sdp as its askpass; `arguments` are those after the program's
/// name. `None` if it is not one; else the exit code.
///
/// The questions are those of git's credential.c: `Username for 'https://host': ` and
/// `Password for 'https://user@host': `. About other hosts than the deployment's nothing is told:
/// which hosts are asked about is up to the repository.
pub fn answer_git(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    let origin = std::env::var(ORIGIN).ok()?;
    let question = arguments.next()?.into_string().ok()?;
    if arguments.next().is_some() {
        return None;
    }
    let Question { variable, about } = Question::parse(&question)?;
    if about != origin {
        if let Some(other) = std::env::var_os(OTHER) {
            let error = std::process::Command::new(&other).arg(question).exec();
            writeln!(std::io::stderr(), "{}: {error}", other.display()).ok();
        }
        return Some(1);
    }
    let said =
        std::env::var(variable).is_ok_and(|answer| writeln!(std::io::stdout(), "{answer}").is_ok());
    Some(u8::from(!said))
}

/// What git wants to know.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    /// The one with the answer.
    variable: &'static str,
    /// Scheme, host and port.
    about: String,
}

impl Question {
    fn parse(question: &str) -> Option<Question> {
        let (variable, rest) = match question.split_once(" for ")? {
            ("Username", rest) => (USER, rest),
            ("Password", rest) => (TOKEN, rest),
            _ => return None,
        };
        // Git LFS has another idea of quotes.
        let url = rest.strip_prefix(['\'', '"'])?.split(['\'', '"']).next()?;
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split('/').next()?;
        let host = authority.rsplit('@').next()?.to_ascii_lowercase();
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(usual).unwrap_or(&host);
        let about = format!("{scheme}://{host}");
        Some(Question { variable, about })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn git_is_told_about_the_origin_and_about_no_other_host() {
        let origin = "https://git.example.com:8443";
        let asked = |text: &str| {
            let question = Question::parse(text).unwrap();
            (question.about == origin).then_some(question.variable)
        };
        assert_eq!(
            asked("Username for 'https://git.example.com:8443': "),
            Some(USER)
        );
        assert_eq!(
            asked("Password for 'https://me@git.example.com:8443': "),
            Some(TOKEN)
        );
        assert_eq!(
            asked("Password for 'https://me@git.example.com:8443/team/lib.git': "),
            Some(TOKEN)
        );
        let usual = |text: &str| Question::parse(text).unwrap().about;
        assert_eq!(usual("Username for \"https://H:443\""), "https://h");
        assert_eq!(usual("Username for 'http://h:443'"), "http://h:443");
        for other in [
            "Password for 'https://me@git.example.com': ",
            "Password for 'http://me@git.example.com:8443': ",
            "Password for 'https://git.example.com:8443@evil.example': ",
            "Username for 'https://evil.example/https://git.example.com:8443': ",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
        assert_eq!(Question::parse("deploy"), None);
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let credentials = Credentials {
            token: Some("s3cr3t".to_owned()),
            ..Credentials::default()
        };
        assert!(!format!("{credentials:?}").contains("s3cr3t"));
    }
}
