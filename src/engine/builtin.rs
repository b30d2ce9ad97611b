//! The image that sdp carries: all that a static Go binary needs, and nothing else.

use std::fmt::Write as _;
use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What `--image` takes for it.
pub const BUILTIN: &str = "builtin";

const PASSWD: &str =
    "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\n";
const NSSWITCH: &str = "hosts: files dns\n";

/// Its name in the engine; an image that another version imported is not taken for this one.
pub(super) const REFERENCE: &str = concat!("sdp-builtin:", env!("CARGO_PKG_VERSION"));

/// Settings of the image beside its files.
pub(super) fn changes() -> Vec<String> {
    vec![
        "ENV PATH=/src:/usr/local/bin:/usr/bin:/bin".to_owned(),
        "LABEL sdp.builtin=true".to_owned(),
    ]
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
