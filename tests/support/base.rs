//! A stand-in for alpine under a name of the tests' own: a static busybox and musl's libc.

use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt as _;

use super::{alone, engine};

const NAME: &str = "sdp-test/base";
const TAG: &str = "1";

/// The image that tests deploy into.
pub const BASE: &str = "sdp-test/base:1";

/// Sees to it that the engine has the image.
pub fn ensure(docker: &Docker) {
    alone("base-image", || {
        ensure_here(docker);
        engine::remove_stale(docker);
    });
}

/// The same for an engine that no other test talks to.
pub fn ensure_here(docker: &Docker) {
    engine::block_on(async {
        if docker.inspect_image(BASE).await.is_err() {
            import(docker, root_file_system()).await;
        }
    });
}

async fn import(docker: &Docker, tar: Vec<u8>) {
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(NAME)
        .tag(TAG)
        .changes(vec![
            "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            "CMD [\"/bin/sh\"]".to_owned(),
        ])
        .build();
    let body = bollard::body_full(tar.into());
    let told: Vec<CreateImageInfo> = docker
        .create_image(Some(options), Some(body), None)
        .try_collect()
        .await
        .expect("the engine imports the base image");
    drop(told);
}

/// All of its files, as an archive.
pub fn root_file_system() -> Vec<u8> {
    let (busybox, musl) = (busybox(), musl());
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |kind: tar::EntryType, path: &str, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        if kind == tar::EntryType::Symlink {
            header.set_size(0);
            let target = std::str::from_utf8(content).expect("a link's target is text");
            tar.append_link(&mut header, path, target)
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content)
        }
        .expect("write into memory");
    };
    for folder in ["bin/", "etc/", "lib/", "root/", "src/"] {
        add(tar::EntryType::Directory, folder, 0o755, b"");
    }
    add(tar::EntryType::Directory, "tmp/", 0o1777, b"");
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
    add(tar::EntryType::Regular, "etc/passwd", 0o644, passwd);
    let group = b"root:x:0:\nnobody:x:65534:\n";
    add(tar::EntryType::Regular, "etc/group", 0o644, group);
    let program = std::fs::read(&busybox).expect("read busybox");
    add(tar::EntryType::Regular, "bin/busybox", 0o755, &program);
    let libc = std::fs::read(&musl).expect("read musl's libc");
    let loader = format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    add(tar::EntryType::Regular, &loader, 0o755, &libc);
    let applets = Command::new(&busybox)
        .arg("--list")
        .output()
        .expect("run busybox")
        .stdout;
    for applet in String::from_utf8_lossy(&applets).lines() {
        if applet != "busybox" {
            let path = format!("bin/{applet}");
            add(tar::EntryType::Symlink, &path, 0o777, b"busybox");
        }
    }
    tar.into_inner().expect("finish in memory")
}

fn busybox() -> PathBuf {
    // `tests/run.sh` unpacks there what cannot be installed; a busybox with an interpreter is none for an image.
    first(&["bin/busybox", "usr/bin/busybox"], |path| {
        let elf = std::fs::read(path).unwrap_or_default();
        let loader = b"/ld-linux";
        let head = &elf[..elf.len().min(4096)];
        !elf.is_empty() && !head.windows(loader.len()).any(|part| part == loader)
    })
}

fn musl() -> PathBuf {
    let libc = format!("lib/{}-linux-musl/libc.so", std::env::consts::ARCH);
    first(&[&libc, &format!("usr/{libc}")], Path::is_file)
}

fn first(names: &[&str], fits: impl Fn(&Path) -> bool) -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/base");
    [unpacked.as_path(), Path::new("/")]
        .iter()
        .flat_map(|root| names.iter().map(move |name| root.join(name)))
        .find(|path| fits(path))
        .unwrap_or_else(|| panic!("no {names:?} that fits: `./tests/run.sh` installs it"))
}
