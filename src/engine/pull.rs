//! Pulling an image from its registry.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use hyper::header::HeaderValue;

use super::images::{Arrival, missing_image};
use super::reference::Reference;
use super::registry::Credentials;
use super::{Engine, error};
use crate::event::{Amount, Unit};
use crate::failure::{Code, Failure, Result};

/// How much of an image has come.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, Layer>);

#[derive(Debug, Default)]
struct Layer {
    done: u64,
    total: u64,
    /// It is unpacked, or was there before.
    is_there: bool,
}

impl Engine {
    /// Pulls an image, with the credentials that the engine's own command has for its registry.
    ///
    /// # Errors
    /// `image_missing`, `registry_denied`, `registry_unreachable`, and those of any call to the engine.
    pub(super) async fn pull(&self, wanted: &str, progress: impl Fn(Arrival)) -> Result<()> {
        let reference = Reference::parse(wanted)?;
        let credentials = Credentials::find(&reference).await;
        let named = match (&reference.tag, &reference.digest) {
            (None, None) => format!("{wanted}:latest"),
            _ => wanted.to_owned(),
        };
        let options = CreateImageOptionsBuilder::new().from_image(&named).build();
        let header = credentials.header();
        let docker = self
            .docker
            .clone()
            .with_request_modifier(move |mut request| {
                // bollard's own is in a base64 that the engine does not read.
                if let Some(header) = &header
                    && let Ok(mut value) = HeaderValue::from_str(header)
                {
                    value.set_sensitive(true);
                    request.headers_mut().insert("X-Registry-Auth", value);
                }
                request
            });
        let mut steps = docker.create_image(Some(options), None, None);
        let mut layers = Layers::default();
        while let Some(step) = steps.next().await {
            let step = step.map_err(|error| {
                let told = error::told(&error).map(str::to_owned);
                let failure = self.failure(format_args!("pull `{wanted}`"), error);
                match told {
                    Some(told) if failure.code == Code::EngineError => {
                        refused(wanted, &reference, &credentials, told)
                    }
                    _ => failure,
                }
            })?;
            layers.note(step);
            progress(layers.arrival());
        }
        Ok(())
    }
}

impl Layers {
    /// The words are the engine's (moby, `distribution/pull_v2.go`).
    fn note(&mut self, step: CreateImageInfo) {
        let (Some(status), Some(id)) = (step.status, step.id) else {
            return;
        };
        let known = [
            "Pulling fs layer",
            "Waiting",
            "Downloading",
            "Verifying Checksum",
            "Download complete",
            "Extracting",
            "Pull complete",
            "Already exists",
        ];
        if !known.contains(&status.as_str()) {
            return;
        }
        let layer = self.0.entry(id).or_default();
        let detail = step.progress_detail.unwrap_or_default();
        let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        match status.as_str() {
            // Extracting counts the same bytes again.
            "Downloading" => {
                layer.done = bytes(detail.current).unwrap_or(layer.done);
                layer.total = bytes(detail.total).unwrap_or(layer.total).max(layer.done);
            }
            "Download complete" | "Extracting" => layer.done = layer.total,
            "Pull complete" | "Already exists" => {
                layer.done = layer.total;
                layer.is_there = true;
            }
            _ => {}
        }
    }

    fn arrival(&self) -> Arrival {
        let sum = |part: fn(&Layer) -> u64| self.0.values().map(part).sum::<u64>();
        let total = sum(|layer| layer.total);
        let there = self.0.values().filter(|layer| layer.is_there).count();
        Arrival {
            amount: (total > 0).then(|| Amount {
                done: sum(|layer| layer.done),
                total: Some(total),
                unit: Unit::Bytes,
            }),
            layers: (!self.0.is_empty()).then_some((there, self.0.len())),
        }
    }
}

/// What the engine says about a pull that failed is what the registry or the network said to it, in one
/// sentence; it has no codes.
fn refused(
    wanted: &str,
    reference: &Reference,
    credentials: &Credentials,
    mut told: String,
) -> Failure {
    // Else the engine's reason, which follows, is masked as that header's value.
    told = told.replace("authorization: ", "authorization, ");
    credentials.scrub(&mut told);
    let registry = &reference.registry;
    let login = if reference.is_in_default_registry() {
        "`docker login`".to_owned()
    } else {
        format!("`docker login {registry}`")
    };
    let lower = told.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // Docker's own says so of what is not there, too, as long as nobody has logged in. An engine with
    // containerd's store says it of every registry.
    let is_hidden = says(&["repository does not exist or may require"])
        && !says(&["no basic auth credentials"]);
    let failure = if says(&UNREACHABLE) {
        let message =
            format!("the registry `{registry}` of the image `{wanted}` cannot be reached");
        let host = if reference.is_in_default_registry() {
            "registry-1.docker.io"
        } else {
            registry
        };
        let hint = if says(&["http response to https", "x509"]) {
            format!(
                "`insecure-registries` in the engine's daemon.json has to list `{registry}`, or the engine to trust its certificate"
            )
        } else {
            format!(
                "`curl -v https://{host}/v2/` shows whether it answers; `--image-archive FILE` and `--image builtin` need no registry"
            )
        };
        Failure::new(Code::RegistryUnreachable, message).hint(hint)
    } else if says(&["toomanyrequests", "rate limit"]) {
        let message = format!(
            "the registry `{registry}` has given this host as many images as it may have for now"
        );
        Failure::new(Code::RegistryDenied, message).hint(format!(
            "{login} raises the limit; `--pull missing` takes an image that is there"
        ))
    } else if says(&[
        "unauthorized",
        "denied",
        "no basic auth",
        "401",
        "403",
        "authentication required",
    ]) && !(is_hidden && credentials.is_none() && credentials.trouble.is_none())
    {
        let message = if credentials.is_none() {
            format!(
                "the registry `{registry}` wants credentials for the image `{wanted}`, and there are none"
            )
        } else {
            format!(
                "the registry `{registry}` refuses the credentials that it is shown for the image `{wanted}`"
            )
        };
        Failure::new(Code::RegistryDenied, message).hint(format!(
            "{login}, as the user who deploys, leaves some that sdp finds"
        ))
    } else if is_hidden {
        missing_image(
            wanted,
            Some("there is no such image, or it is not for everybody"),
        )
        .hint(format!(
            "look at the name again; {login} if it is not for everybody"
        ))
    } else if says(&[
        "no matching manifest",
        "does not match the specified platform",
    ]) {
        let message = format!("the registry has no image `{wanted}` for the engine's platform");
        Failure::new(Code::WrongImage, message)
            .hint("`docker version` shows the platform; `--image` names one that is built for it")
    } else if says(&["not found", "manifest unknown", "name unknown", "404"]) {
        missing_image(wanted, Some("the registry has no such image"))
            .hint("look at the name, the tag and the digest again")
    } else {
        missing_image(wanted, None)
    };
    let trouble = credentials.trouble.clone();
    failure.detail([told]).detail(trouble)
}

/// What Go says where there is no way to an address, or nobody at it.
const UNREACHABLE: [&str; 13] = [
    "dial tcp",
    "no such host",
    "connection refused",
    "connection reset",
    "no route to host",
    "network is unreachable",
    "timeout",
    "deadline exceeded",
    "server misbehaving",
    "unexpected eof",
    ": eof",
    "x509:",
    "http response to https",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn step(id: &str, status: &str, detail: &str) -> CreateImageInfo {
        let text = format!(r#"{{"id": "{id}", "status": "{status}", "progressDetail": {detail}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn layers_are_counted_once() {
        let mut layers = Layers::default();
        let mut told = |id, status, detail| {
            layers.note(step(id, status, detail));
            let arrival = layers.arrival();
            let bytes = arrival
                .amount
                .map(|amount| (amount.done, amount.total.unwrap()));
            (bytes, arrival.layers)
        };
        assert_eq!(told("1", "Pulling from team/shop", "{}"), (None, None));
        assert_eq!(told("a", "Pulling fs layer", "{}"), (None, Some((0, 1))));
        assert_eq!(told("b", "Already exists", "{}"), (None, Some((1, 2))));
        let half = r#"{"current": 50, "total": 100}"#;
        assert_eq!(
            told("a", "Downloading", half),
            (Some((50, 100)), Some((1, 2)))
        );
        // What the registry does not tell the size of.
        let odd = r#"{"current": 7, "total": -1}"#;
        assert_eq!(
            told("c", "Downloading", odd),
            (Some((57, 107)), Some((1, 3)))
        );
        let unpacking = r#"{"current": 1, "total": 100}"#;
        assert_eq!(
            told("a", "Extracting", unpacking),
            (Some((107, 107)), Some((1, 3)))
        );
        assert_eq!(
            told("a", "Pull complete", "{}"),
            (Some((107, 107)), Some((2, 3)))
        );
    }

    #[test]
    fn refusals_are_told_apart() {
        let reference = Reference::parse("r.example/shop:1").unwrap();
        let code = |told: &str| {
            let none = Credentials::default();
            let failure = refused("r.example/shop:1", &reference, &none, told.to_owned());
            let shown = told.replace("authorization: ", "authorization, ");
            assert!(
                failure.hint.is_some() && failure.detail == [shown],
                "{failure:?}"
            );
            failure.code.name()
        };
        for told in [
            "Get \"https://r.example/v2/\": dial tcp: lookup r.example: no such host",
            "Get \"https://r.example/v2/\": net/http: TLS handshake timeout",
            "Get \"https://r.example/v2/\": x509: certificate signed by unknown authority",
            "Get \"https://r.example/v2/\": http: server gave HTTP response to HTTPS client",
            "Get \"https://r.example/v2/\": context deadline exceeded (Client.Timeout exceeded)",
            "Get \"https://r.example/v2/\": EOF",
        ] {
            assert_eq!(code(told), "registry_unreachable", "{told}");
        }
        for told in [
            "Head \"https://r.example/v2/shop/manifests/1\": unauthorized: not a member",
            "denied: requested access to the resource is denied",
            "failed to resolve reference \"r.example/shop:1\": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
            "failed to resolve reference \"r.example/shop:1\": unexpected status from HEAD request to https://r.example/v2/shop/manifests/1: 401 Unauthorized",
            "toomanyrequests: You have reached your pull rate limit",
        ] {
            assert_eq!(code(told), "registry_denied", "{told}");
        }
        for told in [
            "manifest for r.example/shop:1 not found: manifest unknown: manifest unknown",
            "pull access denied for shop, repository does not exist or may require 'docker login': denied",
            "failed to resolve reference \"docker.io/library/shop:1\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            "failed to resolve reference \"r.example/shop:1\": r.example/shop:1: not found",
            "something new",
        ] {
            assert_eq!(code(told), "image_missing", "{told}");
        }
        let told = "no matching manifest for linux/amd64 in the manifest list entries";
        assert_eq!(code(told), "wrong_image");
    }
}
