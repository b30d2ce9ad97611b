//! What a container is to be like, in the engine's terms.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, HostConfigLogConfig, Mount,
    MountType, MountVolumeOptions, PortBinding, PortMap, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::identity::{CANARY, Identity};
use crate::plan::{Deliver, Limits, Publish, Restart, Volume};

/// What keeps a program from gaining rights by what it runs, set-user-id files for one.
pub const NO_NEW_PRIVILEGES: &str = "no-new-privileges";

/// What a container is to be like.
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: String,
    pub identity: Identity,
    pub labels: Vec<(String, String)>,
    pub image: String,
    /// The file that the program asks to be loaded by; a static one asks for none.
    pub loader: Option<String>,
    /// Instead of the image's entry point and command.
    pub command: Vec<String>,
    pub env: Vec<(String, String)>,
    pub publish: Vec<Publish>,
    pub volumes: Vec<Volume>,
    pub source_read_only: bool,
    pub deliver: Deliver,
    pub network: Option<String>,
    pub limits: Limits,
    /// For the engine's log driver, whichever it is.
    pub log_options: Vec<(String, String)>,
}

impl Spec {
    pub(super) fn body(&self) -> ContainerCreateBody {
        let mut labels: HashMap<String, String> = self.labels.iter().cloned().collect();
        labels.extend(self.identity.labels());
        let bind = |source: String, target: String, read_only| Mount {
            typ: Some(if source.starts_with('/') {
                MountType::BIND
            } else {
                MountType::VOLUME
            }),
            source: Some(source),
            target: Some(target),
            read_only: Some(read_only),
            ..Mount::default()
        };
        let mut mounts = vec![self.source(self.source_read_only)];
        mounts.extend(self.volumes.iter().map(|volume| {
            bind(
                volume.source.clone(),
                volume.target.clone(),
                volume.read_only,
            )
        }));

        let mut exposed = vec![format!("{}/tcp", self.identity.port)];
        let mut ports = PortMap::new();
        for publish in &self.publish {
            let port = format!("{}/{}", publish.port, publish.protocol);
            if !exposed.contains(&port) {
                exposed.push(port.clone());
            }
            ports
                .entry(port)
                .or_default()
                .get_or_insert_default()
                .push(PortBinding {
                    host_ip: publish.ip.clone(),
                    host_port: publish.host.map(|port| port.to_string()),
                });
        }
        let (program, arguments) = self.command.split_at(self.command.len().min(1));
        ContainerCreateBody {
            image: Some(self.image.clone()),
            // Else the image's would be run, with the program for an argument.
            entrypoint: Some(program.to_vec()),
            cmd: Some(arguments.to_vec()),
            env: Some(
                self.env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
            ),
            working_dir: Some("/src".to_owned()),
            exposed_ports: Some(exposed),
            labels: Some(labels),
            stop_timeout: i64::try_from(whole_seconds(self.identity.stop_timeout)).ok(),
            user: self.limits.user.clone(),
            host_config: Some(HostConfig {
                // `binds` would create a missing source as an empty directory.
                mounts: Some(mounts),
                port_bindings: Some(ports),
                network_mode: self.network.clone(),
                ..self.confined()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// What the program may do and take.
    fn confined(&self) -> HostConfig {
        let limits = &self.limits;
        let ulimits = limits.ulimits.iter().map(|limit| ResourcesUlimits {
            name: Some(limit.name.clone()),
            soft: Some(limit.soft),
            hard: Some(limit.hard),
        });
        let tmpfs = limits.tmpfs().into_iter();
        HostConfig {
            security_opt: Some(vec![NO_NEW_PRIVILEGES.to_owned()]),
            readonly_rootfs: Some(limits.hardened),
            cap_drop: limits.hardened.then(|| vec!["ALL".to_owned()]),
            tmpfs: Some(
                tmpfs
                    .map(|(path, options)| (path.to_owned(), options.to_owned()))
                    .collect(),
            ),
            memory: limits.memory,
            nano_cpus: limits.nano_cpus,
            pids_limit: limits.pids,
            ulimits: Some(ulimits.collect()),
            // Without a type it is the engine's own.
            log_config: (!self.log_options.is_empty()).then(|| HostConfigLogConfig {
                typ: None,
                config: Some(self.log_options.iter().cloned().collect()),
            }),
            restart_policy: Some(restart_policy(limits.restart)),
            ..HostConfig::default()
        }
    }
}

impl Spec {
    /// A container that is never started: through it the volume is filled.
    pub(super) fn uploader_body(&self) -> ContainerCreateBody {
        let identity = Identity {
            // One that a killed run leaves is cleared away as its canary is.
            canary: true,
            ..self.identity.clone()
        };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            entrypoint: Some(self.command.clone()),
            labels: Some(identity.labels().into_iter().collect()),
            host_config: Some(HostConfig {
                mounts: Some(vec![self.source(false)]),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// What is at /src.
    fn source(&self, read_only: bool) -> Mount {
        let mount = Mount {
            target: Some("/src".to_owned()),
            read_only: Some(read_only),
            ..Mount::default()
        };
        match &self.identity.volume {
            Some(volume) => Mount {
                typ: Some(MountType::VOLUME),
                source: Some(volume.clone()),
                // Else the engine fills an empty one with what the image has there.
                volume_options: Some(MountVolumeOptions {
                    no_copy: Some(true),
                    ..MountVolumeOptions::default()
                }),
                ..mount
            },
            None => Mount {
                typ: Some(MountType::BIND),
                source: Some(self.identity.release.to_string_lossy().into_owned()),
                ..mount
            },
        }
    }
}

/// The canary of a container that exists.
pub(super) fn canary_body(found: ContainerInspectResponse) -> ContainerCreateBody {
    let config = found.config.unwrap_or_default();
    let mut labels = config.labels.unwrap_or_default();
    labels.insert(CANARY.to_owned(), "true".to_owned());
    ContainerCreateBody {
        image: config.image,
        cmd: config.cmd,
        entrypoint: config.entrypoint,
        env: config.env,
        user: config.user,
        working_dir: config.working_dir,
        exposed_ports: config.exposed_ports,
        labels: Some(labels),
        stop_timeout: config.stop_timeout,
        host_config: found.host_config.map(|host| HostConfig {
            port_bindings: None,
            restart_policy: Some(restart_policy(Restart::No)),
            ulimits: host
                .ulimits
                .map(|limits| limits.into_iter().map(ulimit).collect()),
            ..host
        }),
        ..ContainerCreateBody::default()
    }
}

/// Podman tells the kernel's names of limits, such as `RLIMIT_NOFILE`, and takes docker's.
fn ulimit(limit: ResourcesUlimits) -> ResourcesUlimits {
    let name = limit.name.map(|name| match name.strip_prefix("RLIMIT_") {
        Some(name) => name.to_ascii_lowercase(),
        None => name,
    });
    ResourcesUlimits { name, ..limit }
}

/// The engine counts in seconds; a part of one is not none.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

pub(super) fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, times) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::OnFailure(times) => (RestartPolicyNameEnum::ON_FAILURE, times),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
    };
    RestartPolicy {
        name: Some(name),
        maximum_retry_count: times.map(i64::from),
    }
}

/// The ports of a container that exists, as it was told to publish them.
pub(super) fn publish_of_map(ports: PortMap) -> Vec<Publish> {
    ports
        .into_iter()
        .flat_map(|(port, bindings)| {
            bindings.into_iter().flatten().filter_map(move |binding| {
                let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
                Some(Publish {
                    ip: binding.host_ip.filter(|ip| !ip.is_empty()),
                    host: binding.host_port.and_then(|port| port.parse().ok()),
                    port: number.parse().ok()?,
                    protocol: match protocol {
                        "udp" => "udp",
                        "sctp" => "sctp",
                        _ => "tcp",
                    },
                })
            })
        })
        .collect()
}
