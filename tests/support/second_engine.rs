//! A second engine of the tests' own, which may be killed.
//!
//! It lives in a network namespace of its own: an engine thinks that the bridges and rules of the one
//! that it finds itself in are its to change. Its containers are reached from within only. As a remote one
//! it does not see a test's folders either, and a cable leads to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bollard::Docker;
use bollard::query_parameters::{
    ListVolumesOptions, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures_util::TryStreamExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::engine::{self, Container};
use super::http::get_with;
use super::{Authority, BASE, base, eventually};

pub struct SecondEngine {
    root: TempDir,
    /// Keeps the namespaces while no engine runs.
    holder: Child,
    engine: Option<Child>,
    /// It is on a machine of its own, as far as one can see.
    is_remote: bool,
    /// Where its programs are, if they are not this machine's.
    programs: Option<PathBuf>,
}

impl SecondEngine {
    /// Starts it, with the tests' image.
    pub fn start() -> SecondEngine {
        let mut second = SecondEngine::new(&["--net", "sleep", "infinity"]);
        second.up();
        base::ensure_here(&second.connect());
        second
    }

    /// Starts one that does not see what is in a folder, and that listens for those whom the authority
    /// has certified, too: see [`SecondEngine::tls_address`].
    pub fn start_remote(hidden: &Path, authority: &Authority) -> SecondEngine {
        let hide = format!(
            "mount -t tmpfs none '{}' && ip link set lo up && exec sleep infinity",
            hidden.display()
        );
        let mut second = SecondEngine::new(&["--net", "--mount", "sh", "-c", &hide]);
        second.is_remote = true;
        second.lay_cable();
        let [_, theirs] = second.cable();
        authority.issue(second.root.path(), "server", &[&theirs], true);
        std::fs::copy(authority.file(), second.root.path().join("ca.pem")).expect("copy a file");
        second.up();
        base::ensure_here(&second.connect());
        second
    }

    /// Starts the newer Docker that `tests/run.sh` could have, with what is new in Docker 29 as far as it can
    /// be had in older ones: containerd's store of images, and no API older than 1.44. `None`: there is none.
    #[allow(clippy::print_stdout)] // what is left out is told to whoever reads the test's output
    pub fn start_newer() -> Option<SecondEngine> {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/docker/usr");
        if !programs.join("sbin/dockerd").exists() {
            println!("left out: no dockerd in {}", programs.display());
            return None;
        }
        let listen = "ip link set lo up && exec sleep infinity";
        let mut second = SecondEngine::new(&["--net", "sh", "-c", listen]);
        second.programs = Some(programs);
        let settings = r#"{"features": {"containerd-snapshotter": true}}"#;
        std::fs::write(second.root.path().join("daemon.json"), settings).expect("write a file");
        second.up();
        base::ensure_here(&second.connect());
        Some(second)
    }

    /// `unshare` with these arguments keeps its namespaces.
    fn new(unshare: &[&str]) -> SecondEngine {
        assert!(
            rustix::process::getuid().is_root(),
            "a second engine needs root: run the tests as root"
        );
        // A short path, as a unix socket's is at most 107 bytes long.
        let root = TempDir::with_prefix("sdp-engine-").expect("make a folder");
        std::fs::write(root.path().join("daemon.json"), "{}").expect("write a file");
        let holder = Command::new("unshare")
            .args(unshare)
            .stdin(Stdio::null())
            .spawn()
            .expect("run unshare of util-linux");
        let ready = format!("/proc/{}/comm", holder.id());
        eventually("namespaces of its own", || {
            std::fs::read_to_string(&ready)
                .is_ok_and(|name| name.trim() == "sleep")
                .then_some(())
        });
        SecondEngine {
            root,
            holder,
            engine: None,
            is_remote: false,
            programs: None,
        }
    }

    /// The addresses of this machine and of the engine's, which no other test has.
    fn cable(&self) -> [String; 2] {
        let number = u16::try_from(self.holder.id() % 0x4000).expect("14 bits");
        let [third, fourth] = (number << 2).to_be_bytes();
        [1, 2].map(|end| format!("10.213.{third}.{}", fourth + end))
    }

    fn lay_cable(&self) {
        let [ours, theirs] = self.cable();
        let peer = self.holder.id().to_string();
        let name = format!("sdp{peer}");
        let ip = |arguments: &[&str]| {
            let done = Command::new("ip")
                .args(arguments)
                .status()
                .expect("run ip of iproute2");
            assert!(done.success(), "ip {arguments:?}");
        };
        ip(&[
            "link", "add", &name, "type", "veth", "peer", "name", "cable", "netns", &peer,
        ]);
        ip(&["addr", "add", &format!("{ours}/30"), "dev", &name]);
        ip(&["link", "set", &name, "up"]);
        let inside = |arguments: &[&str]| {
            let done = self.inside("ip").args(arguments).status().expect("run ip");
            assert!(done.success(), "ip {arguments:?}");
        };
        inside(&["addr", "add", &format!("{theirs}/30"), "dev", "cable"]);
        inside(&["link", "set", "cable", "up"]);
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
            .args(self.tls_arguments())
            .envs(self.variables())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("run dockerd");
        let runs = eventually("the second engine answers", || {
            if let Ok(Some(_)) = engine.try_wait() {
                return Some(false);
            }
            // The socket is that of an engine that was killed, until this one makes its own.
            let client = Docker::connect_with_host(&self.address()).ok()?;
            let answers = engine::block_on(async { client.ping().await.is_ok() });
            answers.then_some(true)
        });
        self.engine = runs.then_some(engine);
        runs
    }

    /// What leads to programs that are not this machine's; its runc is.
    fn variables(&self) -> Vec<(&str, String)> {
        let Some(programs) = &self.programs else {
            return Vec::new();
        };
        let (programs, ours) = (
            programs.display(),
            std::env::var("PATH").unwrap_or_default(),
        );
        vec![
            ("PATH", format!("{programs}/bin:{programs}/sbin:{ours}")),
            ("DOCKER_MIN_API_VERSION", "1.44".to_owned()),
        ]
    }

    fn tls_arguments(&self) -> Vec<String> {
        if !self.is_remote {
            return Vec::new();
        }
        let path = |below: &str| self.root.path().join(below).display().to_string();
        vec![
            format!("--host={}", self.tls_address()),
            "--tlsverify".to_owned(),
            format!("--tlscacert={}", path("ca.pem")),
            format!("--tlscert={}", path("server.pem")),
            format!("--tlskey={}", path("server-key.pem")),
        ]
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

    /// The same through the cable, for those with a certificate.
    pub fn tls_address(&self) -> String {
        format!("tcp://{}:2376", self.host())
    }

    /// The engine's host, as a remote one's ports are reached at.
    pub fn host(&self) -> String {
        let [_, theirs] = self.cable();
        theirs
    }

    /// The volumes that sdp has made, and where what is in them lies.
    pub fn volumes(&self) -> BTreeMap<String, PathBuf> {
        let listed = engine::block_on(self.connect().list_volumes(None::<ListVolumesOptions>));
        let volumes = listed.expect("list volumes").volumes.unwrap_or_default();
        let ours = volumes
            .into_iter()
            .filter(|volume| volume.labels.contains_key("sdp.path"));
        ours.map(|volume| (volume.name, volume.mountpoint.into()))
            .collect()
    }

    /// A path of the engine's, past what hides it.
    pub fn seen_from_here(&self, path: &Path) -> PathBuf {
        let path = path.strip_prefix("/").expect("an absolute path");
        Path::new("/proc")
            .join(self.holder.id().to_string())
            .join("root")
            .join(path)
    }

    /// Gives the image that tests deploy into one more name, and returns its id.
    pub fn tag_base(&self, name: &str, tag: &str) -> Option<String> {
        let docker = self.connect();
        let options = TagImageOptionsBuilder::new().repo(name).tag(tag).build();
        engine::block_on(async {
            let tagged = docker.tag_image(BASE, Some(options)).await;
            tagged.expect("tag an image");
            docker.inspect_image(BASE).await.expect("the base image").id
        })
    }

    /// Removes a container as people do.
    pub fn remove_by_hand(&self, container: &str) {
        engine::remove(&self.connect(), container);
    }

    /// Takes the tests' image away; its id, and the archive that the engine writes of it.
    pub fn take_base(&self) -> (String, Vec<u8>) {
        let docker = self.connect();
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        engine::block_on(async {
            let image = docker.inspect_image(BASE).await.expect("the image");
            let pieces: Vec<_> = docker
                .export_image(BASE)
                .try_collect()
                .await
                .expect("save it");
            let removed = docker.remove_image(BASE, Some(options), None).await;
            removed.expect("remove the image");
            (image.id.expect("an id"), pieces.concat())
        })
    }

    /// A command that runs a program in the engine's network.
    pub fn wrapper(&self) -> [String; 2] {
        let namespace = format!("--net=/proc/{}/ns/net", self.holder.id());
        ["nsenter".to_owned(), namespace]
    }

    pub fn containers(&self, label: &str) -> Vec<Container> {
        engine::labelled(&self.connect(), label)
    }

    /// What is answered at a port that is published.
    pub fn ask_port(&self, port: u16) -> Option<String> {
        get_with(self.inside("curl"), &format!("http://127.0.0.1:{port}/"))
    }

    /// What is answered at a container's address.
    pub fn ask(&self, container: &Container) -> Option<String> {
        let url = format!("http://{}/", container.reached_at(8080)?);
        get_with(self.inside("curl"), &url)
    }

    fn inside(&self, program: &str) -> Command {
        let [nsenter, namespace] = self.wrapper();
        let mut command = Command::new(nsenter);
        command.arg(namespace);
        if self.is_remote {
            command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()));
        }
        command.arg(program);
        command
    }

    fn connect(&self) -> Docker {
        Docker::connect_with_host(&self.address()).expect("a unix socket")
    }

    pub fn socket(&self) -> PathBuf {
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
