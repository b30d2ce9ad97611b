//! A second engine of the tests' own, which may be killed.
//!
//! It lives in a network namespace of its own: an engine thinks that the bridges and rules of the one
//! that it finds itself in are its to change. Its containers are reached from within only.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bollard::Docker;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::engine::{self, Container};
use super::{base, eventually};

pub struct SecondEngine {
    root: TempDir,
    /// Keeps the namespace while no engine runs.
    holder: Child,
    engine: Option<Child>,
}

impl SecondEngine {
    /// Starts it, with the tests' image.
    pub fn start() -> SecondEngine {
        assert!(
            rustix::process::getuid().is_root(),
            "a second engine needs root: run the tests as root"
        );
        // A short path, as a unix socket's is at most 107 bytes long.
        let root = TempDir::with_prefix("sdp-engine-").expect("make a folder");
        std::fs::write(root.path().join("daemon.json"), "{}").expect("write a file");
        let holder = Command::new("unshare")
            .args(["--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("run unshare of util-linux");
        let own = std::fs::read_link("/proc/self/ns/net").expect("a namespace");
        let theirs = format!("/proc/{}/ns/net", holder.id());
        eventually("a network namespace of its own", || {
            std::fs::read_link(&theirs)
                .is_ok_and(|theirs| theirs != own)
                .then_some(())
        });
        let mut second = SecondEngine {
            root,
            holder,
            engine: None,
        };
        second.up();
        base::ensure_here(&second.connect());
        second
    }

    /// Starts the engine again; the same images and containers. After a crash its first attempt may
    /// wait too long for its containers' helpers: it is started until it runs, as an init system does.
    pub fn up(&mut self) {
        eventually("the second engine runs", || self.try_up().then_some(()));
    }

    fn try_up(&mut self) -> bool {
        let path = |below: &str| self.root.path().join(below).display().to_string();
        let log = std::fs::File::create(self.root.path().join("log")).expect("create a log");
        let errors = log.try_clone().expect("the same file again");
        let mut engine = self
            .inside("dockerd")
            .args(["--config-file", &path("daemon.json")])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "--host", &self.address()])
            .args(["--iptables=false", "--ip6tables=false", "--ip-masq=false"])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("run dockerd");
        let runs = eventually("the second engine answers", || {
            if let Ok(Some(_)) = engine.try_wait() {
                return Some(false);
            }
            let answers = self.socket().exists()
                && engine::block_on(async { self.connect().ping().await.is_ok() });
            answers.then_some(true)
        });
        self.engine = runs.then_some(engine);
        runs
    }

    /// Ends the engine, and all of its containers with it, as a restart of its service does.
    pub fn down(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends the engine as the kernel does when memory is short. Its containers run on until it is up again.
    pub fn crash(&mut self) {
        self.end(Signal::KILL);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut engine) = self.engine.take() {
            kill_process(Pid::from_child(&engine), signal).ok();
            engine.wait().expect("dockerd ends");
        }
    }

    /// For `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// A command that runs a program in the engine's network.
    pub fn wrapper(&self) -> [String; 2] {
        let namespace = format!("--net=/proc/{}/ns/net", self.holder.id());
        ["nsenter".to_owned(), namespace]
    }

    pub fn containers(&self, label: &str) -> Vec<Container> {
        engine::labelled(&self.connect(), label)
    }

    /// What is answered at a container's address.
    pub fn ask(&self, container: &Container) -> Option<String> {
        let url = format!("http://{}/", container.reached_at(8080)?);
        let output = self
            .inside("curl")
            .args(["--silent", "--fail", "--max-time", "5", &url])
            .output()
            .expect("run curl");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(answer)
    }

    fn inside(&self, program: &str) -> Command {
        let [nsenter, namespace] = self.wrapper();
        let mut command = Command::new(nsenter);
        command.arg(namespace).arg(program);
        command
    }

    fn connect(&self) -> Docker {
        Docker::connect_with_host(&self.address()).expect("a unix socket")
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("sock")
    }

    /// What an engine that was killed left running: each names the engine's folder.
    fn kill_helpers(&self) {
        let root = self.root.path().display().to_string();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let id = entry.file_name().to_str().and_then(|id| id.parse().ok());
            if String::from_utf8_lossy(&line).contains(&root)
                && let Some(id) = id.and_then(Pid::from_raw)
            {
                kill_process(id, Signal::KILL).ok();
            }
        }
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        // What a crash left running ends with a proper end.
        if self.engine.is_some() || self.try_up() {
            for container in self.containers("sdp.repository") {
                engine::remove(&self.connect(), &container.name);
            }
        }
        self.down();
        self.kill_helpers();
        self.holder.kill().ok();
        self.holder.wait().ok();
        unmount_below(self.root.path());
    }
}

fn unmount_below(root: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let root = root.display().to_string();
    let below = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|path| path.starts_with(&root));
    for path in below {
        Command::new("umount").args(["--lazy", path]).status().ok();
    }
}
