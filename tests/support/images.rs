//! Images of a test's own, and a registry to have them from.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::{ContainerConfig, ContainerCreateBody};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateContainerOptions, ImportImageOptions, ListImagesOptions,
    PushImageOptions, RemoveContainerOptions, RemoveImageOptionsBuilder,
};
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::base::BASE;
use super::engine::{self, block_on};
use super::serve::Port;
use super::{Host, eventually, free_port};

/// What an image of [`archive`]'s is called at first; its names come and go.
const LABEL: &str = "sdp-test.image";

/// The engine's images that were made for a host; they are gone when the test ends.
pub struct Images {
    docker: Docker,
    name: String,
}

impl Images {
    pub fn of(host: &Host) -> Images {
        Images {
            docker: engine::connect(),
            name: host.name().to_owned(),
        }
    }

    pub fn load(&self, archive: Vec<u8>) {
        let body = bollard::body_full(archive.into());
        let loaded = self
            .docker
            .import_image(ImportImageOptions::default(), body, None);
        let loaded: Vec<_> = block_on(loaded.try_collect()).expect("load an image");
        drop(loaded);
    }

    /// Makes the image that tests deploy into anew, with an entry point.
    pub fn with_entry_point(&self, image: &str, entry_point: &[&str]) {
        let words = entry_point.iter().map(ToString::to_string).collect();
        self.with(
            image,
            ContainerConfig {
                entrypoint: Some(words),
                ..ContainerConfig::default()
            },
        );
    }

    /// The same with volumes.
    pub fn with_volumes(&self, image: &str, paths: &[&str]) {
        let paths = paths.iter().map(ToString::to_string).collect();
        self.with(
            image,
            ContainerConfig {
                volumes: Some(paths),
                ..ContainerConfig::default()
            },
        );
    }

    fn with(&self, image: &str, config: ContainerConfig) {
        let (repository, tag) = image.rsplit_once(':').expect("a tag");
        let body = ContainerCreateBody {
            image: Some(BASE.to_owned()),
            labels: Some(HashMap::from([(
                "sdp.repository".to_owned(),
                self.name.clone(),
            )])),
            ..ContainerCreateBody::default()
        };
        let config = ContainerConfig {
            labels: Some(HashMap::from([(LABEL.to_owned(), image.to_owned())])),
            ..config
        };
        block_on(async {
            let options = None::<CreateContainerOptions>;
            let created = self.docker.create_container(options, body).await;
            let created = created.expect("create a container");
            let options = CommitContainerOptionsBuilder::new()
                .container(&created.id)
                .repo(repository)
                .tag(tag)
                .build();
            let made = self.docker.commit_container(options, config).await;
            made.expect("make an image");
            let options = None::<RemoveContainerOptions>;
            let removed = self.docker.remove_container(&created.id, options).await;
            removed.expect("remove a container");
        });
    }

    /// The digests by which the engine has it from registries; `None`: it has it not.
    pub fn digests(&self, image: &str) -> Option<Vec<String>> {
        let found = block_on(self.docker.inspect_image(image)).ok()?;
        Some(found.repo_digests.unwrap_or_default())
    }

    pub fn forget(&self) {
        engine::remove_all_of(&self.docker, &self.name);
        let listed = block_on(self.docker.list_images(None::<ListImagesOptions>));
        for image in listed.expect("list the images") {
            let made_as = image.labels.get(LABEL);
            if made_as.is_some_and(|made_as| made_as.contains(&self.name)) {
                let options = RemoveImageOptionsBuilder::new().force(true).build();
                block_on(self.docker.remove_image(&image.id, Some(options), None)).ok();
            }
        }
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        self.forget();
    }
}

/// An image as `docker save` writes it: one layer, with one file of this content.
pub fn archive(name: &str, arch: &str, content: &[u8]) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, "marker", content);
    let layer = layer.into_inner().expect("finish in memory");
    let config = serde_json::json!({
        "architecture": arch,
        "os": "linux",
        "config": {"Labels": {LABEL: name}},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{:x}", Sha256::digest(&layer))]},
    });
    let manifest = serde_json::json!([
        {"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}
    ]);
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "layer.tar", &layer);
    add(&mut archive, "config.json", config.to_string().as_bytes());
    add(
        &mut archive,
        "manifest.json",
        manifest.to_string().as_bytes(),
    );
    archive.into_inner().expect("finish in memory")
}

pub fn add(archive: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    archive
        .append_data(&mut header, path, content)
        .expect("write into memory");
}

/// Debian's `docker-registry` on loopback, which lets in two users with passwords.
pub struct Registry {
    server: Child,
    address: SocketAddr,
}

/// In the base64 of this password there are `+` and `/`, wherever it begins.
pub const PASSWORD: &str = "open>>>sesame???";
pub const USER: &str = "ada";

/// bcrypt of the passwords, which is all that the registry reads.
const USERS: &str = "\
ada:$2b$05$abcdefghijklmnopqrstuuFtFqNFIecy7DmeHizQWI02cQKzgqzU.
pusher:$2b$05$abcdefghijklmnopqrstuuuifDED8LitFbGIt2K5T0X5ijNzKzz6e
";

impl Registry {
    pub fn start(host: &Host) -> Registry {
        let folder = host.path("registry");
        fs::create_dir(&folder).expect("make a folder");
        fs::write(folder.join("users"), USERS).expect("write a file");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {0}/data}}}}\n\
             http: {{addr: \"{address}\"}}\n\
             auth: {{htpasswd: {{realm: tests, path: {0}/users}}}}\n",
            folder.display()
        );
        fs::write(folder.join("config.yml"), config).expect("write a file");
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/tools/registry/usr/bin/docker-registry");
        let program = if unpacked.exists() {
            unpacked
        } else {
            "docker-registry".into()
        };
        let server = host
            .server(&program)
            .args(["serve", "config.yml"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("run docker-registry: `./tests/run.sh` installs it");
        eventually("the registry answers", || TcpStream::connect(address).ok());
        Registry { server, address }
    }

    /// Host and port, as they begin the name of an image.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Pushes an image that the engine has under a name in this registry.
    pub fn push(&self, images: &Images, image: &str) {
        assert!(image.starts_with(&self.host()), "{image} goes elsewhere");
        let (name, tag) = image.rsplit_once(':').expect("a tag");
        let options = PushImageOptions {
            tag: Some(tag.to_owned()),
            ..PushImageOptions::default()
        };
        let credentials = DockerCredentials {
            username: Some("pusher".to_owned()),
            password: Some("push-4711".to_owned()),
            ..DockerCredentials::default()
        };
        let pushed = images
            .docker
            .push_image(name, Some(options), Some(credentials));
        let pushed: Vec<_> = block_on(pushed.try_collect()).expect("push an image");
        drop(pushed);
    }

    /// The same registry at the end of a line that carries so many bytes a second at most.
    pub fn slowly(&self, rate: usize) -> Port {
        let address = self.address;
        Port::new(move |mut client| {
            let mut registry = TcpStream::connect(address).expect("reach the registry");
            let (mut from, mut to) = (client.try_clone().unwrap(), registry.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to).ok());
            let mut piece = vec![0; rate / 20];
            while let Ok(length @ 1..) = registry.read(&mut piece) {
                if client.write_all(&piece[..length]).is_err() {
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
            registry.shutdown(std::net::Shutdown::Both).ok();
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}
