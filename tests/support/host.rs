//! A host of its own for each test: folders, environment, repository name and containers that no
//! other test shares, and that are gone when the test ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use bollard::Docker;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::engine::{self, Container};
use super::program::Files;
use super::run::{Run, Sdp};
use super::{Authority, BASE, Origin, Sshd, alone, base, http, program, shared, within};

/// The variable by which a host's processes are told from all others.
const MARK: &str = "HERMETIC_HOST";

/// The variables that a host's processes run with, and nothing else.
#[derive(Clone)]
pub struct Environment {
    /// The host's name, which is that of its repository too.
    pub name: String,
    variables: Vec<(String, String)>,
}

impl Environment {
    fn new(name: &str, root: &Path) -> Environment {
        let inherited = ["PATH", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"]
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), std::env::var(key).ok()?)));
        let path = |below: &str| root.join(below).display().to_string();
        let variables = [
            (MARK, name.to_owned()),
            ("HOME", path("home")),
            ("XDG_CONFIG_HOME", path("home/.config")),
            ("XDG_CACHE_HOME", path("home/.cache")),
            ("XDG_DATA_HOME", path("home/.local/share")),
            ("XDG_STATE_HOME", path("home/.local/state")),
            ("TMPDIR", path("tmp")),
            ("SDP_ROOT", path("srv")),
            ("SDP_HOME", path("sdp-home")),
            // What most tests want; a flag beats it.
            ("SDP_IMAGE", BASE.to_owned()),
            ("SDP_SETTLE", "500ms".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_AUTHOR_NAME", "Ada".to_owned()),
            ("GIT_AUTHOR_EMAIL", "ada@example.com".to_owned()),
            ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z".to_owned()),
            ("GIT_COMMITTER_NAME", "Ada".to_owned()),
            ("GIT_COMMITTER_EMAIL", "ada@example.com".to_owned()),
            ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z".to_owned()),
            ("GOENV", "off".to_owned()),
            ("GOPROXY", "off".to_owned()),
            ("GOTOOLCHAIN", "local".to_owned()),
            ("GOPATH", path("go")),
            ("GOCACHE", shared("go-build").display().to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        Environment {
            name: name.to_owned(),
            variables: inherited.chain(variables).collect(),
        }
    }

    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.variables.iter().map(|(key, value)| (key, value)))
            .current_dir(folder);
        command
    }

    /// The same for a program that serves the host and does not belong to its runs.
    pub fn server(&self, program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
        let mut command = self.command(program, folder);
        command.env_remove(MARK);
        command
    }

    /// Runs the `git` program and returns what it printed, without the last newline.
    pub fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self
            .command("git", folder)
            .args(arguments)
            .output()
            .expect("run git");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

pub struct Host {
    root: TempDir,
    environment: Environment,
    docker: Docker,
}

impl Host {
    /// A host named after the test that asks for it.
    pub fn new() -> Host {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("test");
        let test = test.rsplit("::").next().unwrap_or(test).replace('_', "-");
        let root = TempDir::with_prefix("sdp-test-").expect("make a folder");
        for folder in ["home", "tmp", "srv", "sdp-home", "bin"] {
            fs::create_dir(root.path().join(folder)).expect("make a folder");
        }
        let unique = root.path().to_string_lossy();
        let unique = unique.rsplit('-').next().unwrap_or_default().to_lowercase();
        let environment = Environment::new(&format!("{test}-{unique}"), root.path());
        let docker = engine::connect();
        base::ensure(&docker);
        let host = Host {
            root,
            environment,
            docker,
        };
        host.warm_compiler();
        host
    }

    /// Compiles the standard library once for all, so that no test has to wait for it.
    fn warm_compiler(&self) {
        alone("go-build", || {
            let done = shared("go-build").join("warm");
            if done.exists() {
                return;
            }
            let folder = self.root.path().join("warm");
            for (path, content) in program::server("warm") {
                fs::create_dir_all(&folder).expect("make a folder");
                fs::write(folder.join(path), content).expect("write a source file");
            }
            let built = self
                .environment
                .command("go", &folder)
                .env("CGO_ENABLED", "0")
                .args(["build", "-trimpath", "-o", "warm", "."])
                .status()
                .expect("run go");
            assert!(built.success(), "the test programs do not compile");
            fs::write(done, "").expect("write a marker");
        });
    }

    /// The repository's name.
    pub fn name(&self) -> &str {
        &self.environment.name
    }

    /// A path on this host.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// Where sdp keeps the checkout.
    pub fn checkout(&self) -> PathBuf {
        self.path("srv").join(self.name())
    }

    pub fn origin(&self, files: &Files) -> Origin {
        self.origin_in("origin", files)
    }

    /// One more origin, in a folder of its own.
    pub fn origin_in(&self, folder: &str, files: &Files) -> Origin {
        Origin::new(&self.environment, &self.path(folder), files)
    }

    /// The release of a deployment.
    pub fn release(&self, run: &Run) -> PathBuf {
        self.checkout().join(".sdp/releases").join(run.deployment())
    }

    /// An origin without a commit.
    pub fn empty_origin(&self) -> Origin {
        Origin::empty(&self.environment, &self.path("origin"))
    }

    /// A certificate authority that this host trusts only when it is told to.
    pub fn authority(&self) -> Authority {
        Authority::new(self.root.path())
    }

    /// One more, whose certificate is `ca.pem` in a folder.
    pub fn authority_in(&self, folder: &str) -> Authority {
        let authority = Authority::new(&self.path(folder));
        let ca = self.path(folder).join("ca.pem");
        fs::copy(authority.file(), ca).expect("copy a certificate");
        authority
    }

    /// An ssh server on this host.
    pub fn sshd(&self) -> Sshd {
        Sshd::new(&self.environment, self.path("ssh"))
    }

    /// Writes a file below the home directory, for nobody else to read; returns its path.
    pub fn at_home(&self, name: &str, content: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("home").join(name);
        fs::write(&path, content).expect("write a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("keep it private");
        path.display().to_string()
    }

    /// Runs `git` in the checkout.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.environment.git(&self.checkout(), arguments)
    }

    /// Runs `git` in a folder of this host.
    pub fn git_in(&self, folder: &str, arguments: &[&str]) -> String {
        self.environment.git(&self.path(folder), arguments)
    }

    /// A command that runs in the checkout.
    pub fn command(&self, program: &str) -> Command {
        self.environment.command(program, &self.checkout())
    }

    /// A program that serves this host.
    pub fn server(&self, program: &Path) -> Command {
        self.environment.server(program, self.root.path())
    }

    pub fn sdp(&self, arguments: &[&str]) -> Sdp {
        let command = self
            .environment
            .command(env!("CARGO_BIN_EXE_sdp"), &self.path("srv"));
        Sdp::new(command, arguments)
    }

    /// The same, run by another program such as `nsenter`.
    pub fn sdp_through(&self, wrapper: &[&str], arguments: &[&str]) -> Sdp {
        let sdp = Path::new(env!("CARGO_BIN_EXE_sdp"));
        self.sdp_copied_to(sdp, wrapper, arguments)
    }

    /// The same on a terminal that nobody sits at. The arguments hold no quotes.
    pub fn sdp_on_a_terminal(&self, arguments: &[&str]) -> Sdp {
        let script = r#"c=exec; for a; do c="$c '$a'"; done; exec script -qec "$c" /dev/null"#;
        self.sdp_through(&["sh", "-c", script, "sh"], arguments)
            .env("TERM", "xterm")
            .with_open_input()
    }

    /// The same with a copy of sdp.
    pub fn sdp_copied_to(&self, sdp: &Path, wrapper: &[&str], arguments: &[&str]) -> Sdp {
        let (program, options) = wrapper.split_first().expect("a program");
        let mut command = self.environment.command(program, &self.path("srv"));
        command.args(options).arg(sdp);
        Sdp::new(command, arguments)
    }

    /// `sdp deploy` of the origin's `main`, with events.
    pub fn deploy(&self, origin: &Origin) -> Sdp {
        self.deploy_from(&origin.url())
    }

    /// `sdp deploy` of the `main` branch of any remote, with events.
    pub fn deploy_from(&self, url: &str) -> Sdp {
        self.sdp(&["deploy", self.name(), "--url", url, "--json"])
    }

    /// A path for PATH on which a program does what this shell script says.
    pub fn instead_of(&self, program: &str, script: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.path("bin");
        let path = folder.join(program);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("write a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make it executable");
        let rest = std::env::var("PATH").unwrap_or_default();
        format!("{}:{rest}", folder.display())
    }

    /// A PATH with these programs and no other.
    pub fn path_with_only(&self, programs: &[&str]) -> String {
        let folder = self.path("only");
        fs::create_dir(&folder).expect("make a folder");
        let path = std::env::var_os("PATH").expect("a PATH");
        for program in programs {
            let real = std::env::split_paths(&path)
                .map(|folder| folder.join(program))
                .find(|path| path.is_file())
                .unwrap_or_else(|| panic!("no {program} in PATH"));
            std::os::unix::fs::symlink(real, folder.join(program)).expect("link a program");
        }
        folder.display().to_string()
    }

    /// Makes the checkout with the `git` program.
    pub fn clone_by_hand(&self, origin: &Origin) {
        let checkout = self.checkout();
        let target = checkout.to_str().expect("a path of text");
        let arguments = ["clone", "--quiet", &origin.url(), target];
        self.environment.git(&self.path("srv"), &arguments);
    }

    /// Runs a script of ours that deploys the origin.
    pub fn example_script(&self, script: &str, origin: &Origin) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        self.environment
            .command(script, &self.path("srv"))
            .env("SDP", env!("CARGO_BIN_EXE_sdp"))
            .args([self.name(), "--url", &origin.url()])
            .output()
            .expect("run a script")
    }

    /// All containers of the repository, running or not.
    pub fn containers(&self) -> Vec<Container> {
        engine::labelled(&self.docker, &self.label())
    }

    /// The names of the volumes of the repository's releases.
    pub fn volumes(&self) -> Vec<String> {
        engine::volumes(&self.docker, &self.label())
    }

    /// The one container of the repository that runs.
    pub fn running(&self) -> Container {
        let mut running = self.containers();
        running.retain(Container::is_running);
        let names: Vec<&str> = running.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names.len(), 1, "not one that runs: {names:?}");
        running.remove(0)
    }

    /// What the running program answers, asked at its container's address.
    pub fn answer(&self) -> String {
        self.ask("/")
    }

    pub fn ask(&self, path: &str) -> String {
        let address = self.running().address(8080);
        http::get(address, path).unwrap_or_else(|error| panic!("ask {address}{path}: {error}"))
    }

    /// What a container has printed.
    pub fn logs(&self, container: &str) -> String {
        engine::logs(&self.docker, container)
    }

    /// When a container's program ended last, in time since 1970.
    pub fn finished_at(&self, container: &str) -> Duration {
        let containers = self.containers();
        let found = containers.iter().find(|found| found.name == container);
        found.expect("the container is there").finished_at()
    }

    /// Removes a container as people do.
    pub fn remove_by_hand(&self, container: &str) {
        engine::remove(&self.docker, container);
    }

    /// Starts a container that is none of sdp's, with a host port published; returns its name.
    pub fn stranger(&self, port: u16) -> String {
        engine::start_stranger(&self.docker, self.name(), port)
    }

    /// Starts a container that looks like a deployment, and runs a shell script.
    pub fn printer(&self, tty: bool, driver: &str, script: &str) {
        let checkout = self.checkout().display().to_string();
        engine::start_printer(&self.docker, self.name(), &checkout, tty, driver, script);
    }

    /// Exactly these deployments have containers, running or stopped, and releases; the checkout is
    /// sound; nothing else is left of any run: no file, no folder, no process.
    pub fn holds(&self, running: &[&Run], stopped: &[&Run]) {
        let names = |runs: &[&Run]| -> BTreeSet<String> {
            runs.iter().map(|run| run.container().to_owned()).collect()
        };
        let containers = self.containers();
        let in_state = |state: &str| -> BTreeSet<String> {
            let fits = |container: &&Container| container.state() == state;
            let found = containers.iter().filter(fits);
            found.map(|container| container.name.clone()).collect()
        };
        assert_eq!(in_state("running"), names(running), "what runs");
        assert_eq!(in_state("exited"), names(stopped), "what is stopped");
        let states: Vec<(&str, String)> = containers
            .iter()
            .map(|container| (container.name.as_str(), container.state()))
            .collect();
        assert_eq!(states.len(), running.len() + stopped.len(), "{states:?}");

        let releases: BTreeSet<String> = running
            .iter()
            .chain(stopped)
            .map(|run| run.deployment().to_owned())
            .collect();
        assert_eq!(listing(&self.checkout().join(".sdp/releases")), releases);
        self.is_tidy();
    }

    /// No deployment ever came as far as a checkout.
    pub fn is_untouched(&self) {
        assert_eq!(listing(&self.path("srv")), BTreeSet::new());
        assert!(self.containers().is_empty());
        self.is_tidy();
    }

    /// Runs that ended leave no process, no temporary file and no broken checkout behind.
    pub fn is_tidy(&self) {
        within(Duration::from_secs(5), "the processes of sdp end", || {
            self.processes("").is_empty().then_some(())
        });
        assert_eq!(listing(&self.path("tmp")), BTreeSet::new(), "in TMPDIR");
        if self.checkout().exists() {
            let only = BTreeSet::from([self.name().to_owned()]);
            assert_eq!(listing(&self.path("srv")), only, "beside the checkout");
            self.git(&["fsck", "--strict"]);
            let packs = self.checkout().join(".git/objects/pack");
            for name in listing(&packs) {
                let pack = packs.join(&name);
                let is_kept = pack.extension().is_some_and(|end| end == "keep");
                let is_whole = pack.with_extension("idx").exists();
                assert!(is_whole && !is_kept, "{name} is left");
            }
            let unfinished = unfinished(&self.checkout().join(".git"));
            assert!(unfinished.is_empty(), "{unfinished:?}");
        }
    }

    /// The command lines of this host's processes that contain `part`, by process id.
    pub fn processes(&self, part: &str) -> BTreeMap<i32, String> {
        let mark = format!("{MARK}={}", self.name());
        let running = fs::read_dir("/proc").expect("list processes").flatten();
        running
            .filter(|entry| {
                let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
                environment
                    .split(|byte| *byte == 0)
                    .any(|pair| pair == mark.as_bytes())
            })
            .filter_map(|entry| {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                let id = entry.file_name().to_str()?.parse().ok()?;
                (!line.is_empty() && line.contains(part)).then_some((id, line))
            })
            .collect()
    }

    /// The label of the repository's containers.
    pub fn label(&self) -> String {
        format!("sdp.repository={}", self.name())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        engine::remove_all_of(&self.docker, self.name());
        engine::remove_volumes(&self.docker, &self.label());
        // What a failed test leaves.
        for id in self.processes("").into_keys() {
            if let Some(id) = Pid::from_raw(id) {
                kill_process(id, Signal::KILL).ok();
            }
        }
    }
}

/// The names in a folder; none where there is no folder.
pub fn listing(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Lock files, and those on their way into git's directory.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(unfinished(&path));
        } else if path
            .extension()
            .is_some_and(|end| end == "lock" || end == "sdp")
        {
            found.push(path);
        }
    }
    found
}

/// A port of this machine that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
    listener.local_addr().expect("a bound port").port()
}

/// A server on loopback that takes every connection and never says a word.
pub struct Server {
    address: SocketAddr,
}

impl Server {
    pub fn silent() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
        let address = listener.local_addr().expect("a bound port");
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for connection in listener.incoming() {
                held.push(connection);
            }
        });
        Server { address }
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/shop.git", self.address)
    }
}
