//! Names of images, as the engine reads them (github.com/distribution/reference).

use super::BUILTIN;
use crate::failure::{Code, Failure, Result};

/// The registry that a name without one is in.
const DEFAULT: &str = "docker.io";

/// The parts of an image's name. One that is an image's id passes for a name, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Host and port.
    pub registry: String,
    /// Below the registry.
    pub path: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl Reference {
    /// # Errors
    /// `usage`: what is not well-formed must not get into a path of the engine's API.
    pub fn parse(text: &str) -> Result<Reference> {
        let bad = |why: &str| {
            Failure::new(Code::Usage, format!("`{text}` is no image{why}"))
                .hint("`--image alpine:3.20`, `--image REGISTRY/NAME@sha256:DIGEST`")
        };
        let (named, digest) = match text.split_once('@') {
            None => (text, None),
            Some((named, digest)) if is_digest(digest) => (named, Some(digest.to_owned())),
            Some(_) => {
                return Err(bad(
                    ": a digest is `sha256:` and 64 digits of 0 to 9 and a to f",
                ));
            }
        };
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (named, None),
        };
        if !tag.is_none_or(is_tag) {
            return Err(bad(""));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest)
            }
            _ => (DEFAULT, name),
        };
        if path.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(bad(": its name has to be in lower case"));
        }
        if !is_host(registry) || !path.split('/').all(is_component) {
            return Err(bad(""));
        }
        let registry = registry.strip_prefix("index.").unwrap_or(registry);
        let alone = registry == DEFAULT && !path.contains('/');
        Ok(Reference {
            registry: registry.to_owned(),
            path: if alone {
                format!("library/{path}")
            } else {
                path.to_owned()
            },
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// Whether both name the same image of the same registry.
    pub fn is_same(&self, other: &Reference) -> bool {
        let parts = |of: &Reference| {
            let tag = of.tag.clone().unwrap_or_else(|| "latest".to_owned());
            (of.registry.clone(), of.path.clone(), tag, of.digest.clone())
        };
        parts(self) == parts(other)
    }

    /// It is in the registry that `docker login` is for when it is given no host.
    pub fn is_in_default_registry(&self) -> bool {
        self.registry == DEFAULT
    }
}

/// Whether an image's name is well-formed, and could be in an archive, if there is one.
///
/// # Errors
/// `usage`.
pub fn check_image(image: &str, archive: bool) -> Result<()> {
    let reference = Reference::parse(image)?;
    let why = match reference.digest {
        _ if !archive => return Ok(()),
        _ if image == BUILTIN => "sdp carries the image itself",
        Some(_) => "an archive holds images by their tags, not by digest",
        None => return Ok(()),
    };
    let message = format!("`--image-archive` does not go with `--image {image}`: {why}");
    Err(Failure::new(Code::Usage, message).hint("`--image NAME:TAG`, as the archive calls it"))
}

fn is_digest(text: &str) -> bool {
    let is_hex = |hex: &str, length| {
        hex.len() == length
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match text.split_once(':') {
        Some(("sha256", hex)) => is_hex(hex, 64),
        Some(("sha512", hex)) => is_hex(hex, 128),
        _ => false,
    }
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_host(host: &str) -> bool {
    host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c))
}

fn is_component(part: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(is_edge)
        && part.ends_with(is_edge)
        && !part.contains("..")
        && part.chars().all(|c| is_edge(c) || "_.-".contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_read_as_the_engine_reads_them() {
        let hex = "0123456789abcdef".repeat(4);
        let parts = |text: &str| {
            let parsed = Reference::parse(text).unwrap();
            let digest = parsed.digest.is_some();
            let tag = parsed.tag.unwrap_or_default();
            format!("{} {} {tag} {digest}", parsed.registry, parsed.path)
        };
        assert_eq!(parts("alpine"), "docker.io library/alpine  false");
        assert_eq!(parts("team/shop:1.2"), "docker.io team/shop 1.2 false");
        assert_eq!(
            parts("docker.io/alpine:3"),
            "docker.io library/alpine 3 false"
        );
        assert_eq!(parts("index.docker.io/a/b"), "docker.io a/b  false");
        assert_eq!(parts("localhost/shop"), "localhost shop  false");
        assert_eq!(parts("127.0.0.1:5000/a/b:c"), "127.0.0.1:5000 a/b c false");
        assert_eq!(parts("r.example:5000/a"), "r.example:5000 a  false");
        let pinned = format!("r.example/a:1@sha256:{hex}");
        assert_eq!(parts(&pinned), "r.example a 1 true");
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "-a",
            "a:",
            "a:b c",
            "../images",
            "a/../b",
            "A",
            "a@",
            "a@sha256:12",
            "a@md5:12",
            "a b",
            "r.example:5000/",
            "a\u{1b}[0m",
            "ä",
        ] {
            assert_eq!(
                Reference::parse(bad).unwrap_err().code,
                Code::Usage,
                "{bad}"
            );
        }
        let upper = format!("a@sha256:{}", hex.to_uppercase());
        assert_eq!(Reference::parse(&upper).unwrap_err().code, Code::Usage);
    }

    #[test]
    fn one_image_has_more_than_one_name() {
        let same = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| Reference::parse(text).unwrap());
            one.is_same(&other)
        };
        assert!(same("alpine", "docker.io/library/alpine:latest"));
        assert!(!same("alpine:3.20", "alpine:3.21"));
        assert!(!same("alpine", "r.example/library/alpine"));
    }
}
