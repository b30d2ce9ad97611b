//! The image that sdp carries: all that a static Go binary needs, and nothing else.

use std::fmt::Write as _;
use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::models::ImageInspect;
use sha2::{Digest as _, Sha256};

/// What `--image` takes for it.
pub const BUILTIN: &str = "builtin";

const PASSWD: &str =
    "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\n";
const NSSWITCH: &str = "hosts: files dns\n";

/// Its name in the engine; an image that another version imported is not taken for this one.
pub(super) const REFERENCE: &str = concat!("sdp-builtin:", env!("CARGO_PKG_VERSION"));

const PATH: &str = "PATH=/src:/usr/local/bin:/usr/bin:/bin";

/// The setting of the image beside its files. Podman takes several for one.
pub(super) fn changes() -> Vec<String> {
    vec![format!("ENV {PATH}")]
}

/// Whether an image of that name is what sdp imports: the same files and nothing upon them. Whoever
/// may talk to the engine can give its name to any other.
pub(super) fn is_ours(found: &ImageInspect) -> bool {
    let layers = found
        .root_fs
        .as_ref()
        .and_then(|root| root.layers.as_deref());
    let digest = root().map(|root| format!("sha256:{:x}", Sha256::digest(root)));
    let has_our_files = digest.is_ok_and(|digest| layers == Some(&[digest][..]));
    let has_our_settings = found.config.as_ref().is_some_and(|config| {
        let env = config.env.as_deref().unwrap_or_default();
        env == [PATH] && config.user.as_deref().unwrap_or_default().is_empty()
    });
    has_our_files && has_our_settings
}

/// The root file system as a tar archive.
pub(super) fn root() -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode) in [
        ("etc/", 0o755),
        ("etc/ssl/", 0o755),
        ("etc/ssl/certs/", 0o755),
        ("root/", 0o700),
        ("src/", 0o755),
        ("tmp/", 0o1777),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        archive.append_data(&mut header, path, io::empty())?;
    }
    for (path, content) in [
        ("etc/passwd", PASSWD),
        ("etc/group", GROUP),
        ("etc/nsswitch.conf", NSSWITCH),
        ("etc/ssl/certs/ca-certificates.crt", &certificates()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content.as_bytes())?;
    }
    archive.into_inner()
}

/// Mozilla's root certificates in PEM (RFC 7468).
fn certificates() -> String {
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = BASE64_STANDARD.encode(certificate);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, next) = rest.split_at(rest.len().min(64));
            let _ = writeln!(pem, "{line}");
            rest = next;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}
