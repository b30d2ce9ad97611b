//! Podman's service of a test's own, with its own storage and network.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bollard::Docker;
use bollard::query_parameters::ListVolumesOptions;
use tempfile::TempDir;

use super::engine::{self, Container};
use super::http::get_with;
use super::{BASE, base, eventually};

pub struct Podman {
    root: TempDir,
    service: Child,
}

impl Podman {
    /// Starts it, with the tests' image.
    pub fn start() -> Podman {
        assert!(
            rustix::process::getuid().is_root(),
            "namespaces for podman need root: run the tests as root"
        );
        let root = TempDir::with_prefix("sdp-podman-").expect("make a folder");
        // Podman's own limits are higher than some machines allow.
        let settings =
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        std::fs::write(root.path().join("containers.conf"), settings).expect("write a file");
        let socket = format!("unix://{}", root.path().join("sock").display());
        let script = "ip link set lo up && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", script, "sh", "podman"]);
        let service = configured(&mut command, root.path())
            .args(["system", "service", "--time=0", &socket])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("run unshare of util-linux");
        let podman = Podman { root, service };
        eventually("podman answers", || {
            let answers = podman.socket().exists()
                && engine::block_on(async { podman.connect().ping().await.is_ok() });
            answers.then_some(())
        });
        podman.import();
        podman
    }

    fn import(&self) {
        let mut import = self
            .podman(&["import", "--quiet", "-", BASE])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("run podman: `./tests/run.sh` installs it");
        let mut input = import.stdin.take().expect("a pipe");
        input
            .write_all(&base::root_file_system())
            .expect("write an archive");
        drop(input);
        assert!(
            import.wait().expect("podman ends").success(),
            "podman imports the image"
        );
    }

    /// For `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// A command that runs a program in its containers' network.
    pub fn wrapper(&self) -> [String; 2] {
        let namespace = format!("--net=/proc/{}/ns/net", self.service.id());
        ["nsenter".to_owned(), namespace]
    }

    pub fn containers(&self, label: &str) -> Vec<Container> {
        engine::labelled(&self.connect(), label)
    }

    /// From now on it does not see what is in a folder, or does again.
    pub fn hide(&self, folder: &Path, hidden: bool) {
        let mut command = self.inside(if hidden { "mount" } else { "umount" });
        if hidden {
            command.args(["-t", "tmpfs", "none"]);
        }
        let done = command.arg(folder).status().expect("run mount");
        assert!(done.success(), "hide {}: {hidden}", folder.display());
    }

    /// How many volumes there are.
    pub fn volumes(&self) -> usize {
        let listed = engine::block_on(self.connect().list_volumes(None::<ListVolumesOptions>));
        listed
            .expect("list volumes")
            .volumes
            .unwrap_or_default()
            .len()
    }

    /// What is answered at a published port.
    pub fn ask(&self, port: u16) -> Option<String> {
        let url = format!("http://127.0.0.1:{port}/");
        get_with(self.inside("curl"), &url)
    }

    fn podman(&self, arguments: &[&str]) -> Command {
        let mut command = self.inside("podman");
        configured(&mut command, self.root.path()).args(arguments);
        command
    }

    fn inside(&self, program: &str) -> Command {
        let [nsenter, namespace] = self.wrapper();
        let mut command = Command::new(nsenter);
        let mounts = format!("--mount=/proc/{}/ns/mnt", self.service.id());
        command.args([&namespace, &mounts, program]);
        command
    }

    fn connect(&self) -> Docker {
        Docker::connect_with_host(&self.address()).expect("a unix socket")
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("sock")
    }
}

/// Nothing of the machine's own podman is touched.
fn configured<'a>(command: &'a mut Command, root: &Path) -> &'a mut Command {
    let path = |below: &str| root.join(below).display().to_string();
    command
        .env("CONTAINERS_CONF", path("containers.conf"))
        .args(["--root", &path("graph"), "--runroot", &path("run")])
        .args([
            "--tmpdir",
            &path("tmp"),
            "--storage-driver",
            "vfs",
            "--cgroup-manager",
            "cgroupfs",
        ])
}

impl Drop for Podman {
    fn drop(&mut self) {
        let all = ["rm", "--all", "--force", "--time", "0"];
        self.podman(&all).stdout(Stdio::null()).status().ok();
        self.service.kill().ok();
        self.service.wait().ok();
    }
}
