//! An ssh server on loopback with keys of a test's own, and the agent that holds them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::eventually;
use super::host::Environment;
use super::serve::Inetd;

/// OpenSSH's server: lets one key in, as the user who runs the tests.
pub struct Sshd {
    server: Inetd,
    environment: Environment,
    folder: PathBuf,
    user: String,
}

impl Sshd {
    /// Keys, configuration and log are in a new folder.
    pub(super) fn new(environment: &Environment, folder: PathBuf) -> Sshd {
        fs::create_dir(&folder).expect("make a folder");
        for key in ["host", "client", "stranger"] {
            make_key(environment, &folder.join(key));
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let at = folder.display();
        let config = format!(
            "HostKey {at}/host\nAuthorizedKeysFile {at}/client.pub\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n\
             AcceptEnv GIT_PROTOCOL\nSetEnv PATH=\"{path}\" GIT_CONFIG_GLOBAL=/dev/null\n"
        );
        fs::write(folder.join("sshd_config"), config).expect("write a configuration");
        if rustix::process::geteuid().is_root() {
            // Where it locks itself up; packages make it when the service starts.
            fs::create_dir_all("/run/sshd").ok();
        }
        let user = rustix::process::geteuid().as_raw().to_string();
        let user = environment
            .server("id", &folder)
            .args(["-un", &user])
            .output()
            .expect("run id");
        let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
        let (of, within) = (environment.clone(), folder.clone());
        let server = Inetd::new(move || {
            let mut sshd = of.server(program(), &within);
            sshd.args(["-i", "-f", "sshd_config", "-E", "sshd.log"]);
            sshd
        });
        let sshd = Sshd {
            server,
            environment: environment.clone(),
            folder,
            user,
        };
        sshd.write_client();
        sshd
    }

    /// What a client needs to know, but for a key. `origin` is a name for host and port.
    fn write_client(&self) {
        let key = fs::read_to_string(self.folder.join("host.pub")).expect("read a key");
        let address = self.address();
        let known = format!("[{}]:{} {key}", address.ip(), address.port());
        fs::write(self.folder.join("known_hosts"), known).expect("write a file");
        fs::write(self.folder.join("nobody_known"), "").expect("write a file");
        let config = format!(
            "Host origin\n  HostName {}\n  Port {}\nHost *\n  GlobalKnownHostsFile /dev/null\n  \
             IdentityFile none\n",
            address.ip(),
            address.port()
        );
        fs::write(self.folder.join("ssh_config"), config).expect("write a configuration");
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The `ssh://` URL of a path.
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://{}@{}{}", self.user, self.address(), path.display())
    }

    /// The short form, by the server's name in the client's configuration.
    pub fn short_url(&self, path: &Path) -> String {
        format!("{}@origin:{}", self.user, path.display())
    }

    /// For `GIT_SSH_COMMAND`: a client that has no key, and knows the server.
    pub fn command(&self) -> String {
        self.command_with("known_hosts")
    }

    /// The same for a client that has never seen the server.
    pub fn command_of_a_newcomer(&self) -> String {
        self.command_with("nobody_known")
    }

    /// The same for a client that remembers another host key.
    pub fn command_of_one_deceived(&self) -> String {
        let key = fs::read_to_string(self.folder.join("stranger.pub")).expect("read a key");
        let known = format!("[{}]:{} {key}", self.address().ip(), self.address().port());
        fs::write(self.folder.join("other_known"), known).expect("write a file");
        self.command_with("other_known")
    }

    fn command_with(&self, known: &str) -> String {
        let at = self.folder.display();
        format!("ssh -F {at}/ssh_config -o UserKnownHostsFile={at}/{known}")
    }

    /// A shell script that is `ssh` with this client's settings and a key, whatever else it is told.
    pub fn script(&self, key: &str, known: &str) -> String {
        let at = self.folder.display();
        let real = ["/usr/bin/ssh", "/bin/ssh", "/usr/local/bin/ssh"];
        let real = real
            .iter()
            .find(|path| Path::new(path).exists())
            .expect("ssh");
        format!(
            "exec {real} -F {at}/ssh_config -o UserKnownHostsFile={at}/{known} -i {at}/{key} \"$@\""
        )
    }

    /// How often somebody was let in.
    pub fn log_ins(&self) -> usize {
        let log = fs::read_to_string(self.folder.join("sshd.log")).unwrap_or_default();
        log.lines()
            .filter(|line| line.contains("Accepted publickey"))
            .count()
    }

    /// The file of the key that is let in.
    pub fn key(&self) -> String {
        self.folder.join("client").display().to_string()
    }

    /// The file of a key that is not.
    pub fn wrong_key(&self) -> String {
        self.folder.join("stranger").display().to_string()
    }

    /// An agent that holds the key that is let in.
    pub fn agent(&self) -> Agent {
        Agent::new(&self.environment, &self.folder, &self.key())
    }
}

fn make_key(environment: &Environment, file: &Path) {
    let made = environment
        .command("ssh-keygen", Path::new("/"))
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(file)
        .status()
        .expect("run ssh-keygen");
    assert!(made.success(), "a key is made");
}

/// sshd wants to be called by its absolute path, and is in nobody's PATH but root's.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join("sshd"))
        .find(|path| path.is_file())
        .expect("no sshd: `./tests/run.sh` installs it")
}

/// An `ssh-agent`, which ends with this.
pub struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn new(environment: &Environment, folder: &Path, key: &str) -> Agent {
        let socket = folder.join("agent");
        let child = environment
            .server("ssh-agent", folder)
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .process_group(0)
            .stdout(Stdio::null())
            .spawn()
            .expect("start ssh-agent");
        let agent = Agent { child, socket };
        // Its socket is there a moment before.
        eventually("the agent listens", || {
            UnixStream::connect(&agent.socket).ok()
        });
        let added = environment
            .server("ssh-add", folder)
            .env("SSH_AUTH_SOCK", &agent.socket)
            .args(["-q", key])
            .status()
            .expect("run ssh-add");
        assert!(added.success(), "the agent takes the key");
        agent
    }

    /// For `SSH_AUTH_SOCK`.
    pub fn socket(&self) -> &str {
        self.socket.to_str().expect("a path of text")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
