//! Containers: which there are, what they are like, and their life.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum,
    ContainerUpdateBody, PortMap,
};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};

use tokio::time::{Instant, sleep};

use super::identity::{Identity, REPOSITORY};
use super::spec::{self, Spec};
use super::{Engine, error};
use crate::failure::{Code, Failure, Result};
use crate::plan::{Publish, Restart};

/// How long a removal or a clean-up that somebody else has begun may take.
const GOING: Duration = Duration::from_secs(10);

/// A host port that a container holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Unspecified addresses and `None` mean all of the host's.
    pub ip: Option<IpAddr>,
    pub host: u16,
    pub port: u16,
    pub protocol: String,
}

/// A container as the engine lists it.
#[derive(Clone, Debug)]
pub struct Container {
    pub id: String,
    pub name: String,
    /// `None`: not one of sdp's.
    pub identity: Option<Identity>,
    /// Running, or between two attempts at it.
    pub running: bool,
    /// The engine's word: `running`, `exited`, `created`, `restarting`, …
    pub state: String,
    /// Unix nanoseconds for sdp's own containers, whole seconds of them for others.
    pub created: i64,
    pub bindings: Vec<Binding>,
    /// The names of the networks that it is on.
    pub networks: Vec<String>,
}

/// A container as the engine describes it in full.
#[allow(clippy::struct_excessive_bools)] // they are the engine's
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// On the first network that gives it one.
    pub address: Option<IpAddr>,
    /// It shares the host's network: its ports are the host's.
    pub host_network: bool,
    /// It lives in the host's network, or another container's.
    pub in_others_network: bool,
    /// It has a terminal.
    pub tty: bool,
    /// Of its first process, as the engine's host counts.
    pub pid: Option<i64>,
    pub running: bool,
    /// The engine will start it again, or is about to.
    pub restarting: bool,
    pub exit_code: i64,
    pub out_of_memory: bool,
    pub restarts: i64,
    /// Who its program runs as; empty: the image's user.
    pub user: String,
    /// Its program can write to mounts only.
    pub root_is_read_only: bool,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; the year 1 for a process that has never ended.
    pub finished_at: String,
    /// The host ports that it holds now.
    pub bindings: Vec<Binding>,
    /// The host ports that it asks for when it starts.
    pub publish: Vec<Publish>,
}

/// What a container was given that may be secret, with names.
#[derive(Debug)]
pub struct Given {
    pub variables: Vec<(String, String)>,
    /// Where the files are.
    pub files: Vec<(String, String)>,
}

impl Engine {
    /// sdp's containers, newest first.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn containers(&self) -> Result<Vec<Container>> {
        self.list(
            HashMap::from([("label", vec![REPOSITORY.to_owned()])]),
            true,
        )
        .await
    }

    /// Every running container of the host, sdp's or not.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn running_containers(&self) -> Result<Vec<Container>> {
        self.list(HashMap::new(), false).await
    }

    async fn list(&self, filters: HashMap<&str, Vec<String>>, all: bool) -> Result<Vec<Container>> {
        let options = ListContainersOptionsBuilder::new()
            .all(all)
            .filters(&filters)
            .build();
        let listed = self
            .docker
            .list_containers(Some(options))
            .await
            .map_err(|error| self.failure("list the containers", error))?;
        let mut containers: Vec<Container> = listed.into_iter().map(Container::from).collect();
        containers.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
        Ok(containers)
    }

    /// Creates a container and returns its id.
    ///
    /// # Errors
    /// `start_failed`, with the engine's reason.
    pub async fn create(&self, spec: &Spec) -> Result<String> {
        self.create_from(&spec.name, spec.body()).await
    }

    /// Creates a canary of a container that exists: the same without host ports, and never started
    /// again by the engine.
    ///
    /// # Errors
    /// `start_failed`, with the engine's reason.
    pub async fn create_canary_of(&self, id: &str, name: &str) -> Result<String> {
        let found = self.found(id).await?.ok_or_else(|| {
            let message = format!("the container `{id}` has been removed");
            Failure::new(Code::StartFailed, message)
        })?;
        let body = spec::canary_body(found);
        match self.create_from(name, body.clone()).await {
            // What a killed run asked for may come to be after everything has been put in order.
            Err(failure) if failure.message.contains("already in use") => {
                let is_left = |container: &Container| {
                    let identity = container.identity.as_ref();
                    container.name == name && identity.is_some_and(|identity| identity.canary)
                };
                match self.containers().await?.into_iter().find(is_left) {
                    Some(left) => self.remove(&left.id).await?,
                    None => return Err(failure),
                }
                self.create_from(name, body).await
            }
            created => created,
        }
    }

    pub(super) async fn create_from(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        match self.docker.create_container(Some(options), body).await {
            Ok(created) => Ok(created.id),
            Err(error) => {
                let failure = self.failure(format_args!("create the container `{name}`"), error);
                if failure.code != Code::EngineError {
                    return Err(failure);
                }
                let hint = error::hint_on_settings(&failure.message.to_ascii_lowercase());
                Err(Failure {
                    code: Code::StartFailed,
                    hint: hint.map(str::to_owned),
                    ..failure
                })
            }
        }
    }

    /// Whether a container has the file, whether it runs or not.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn has_file(&self, id: &str, path: &str) -> Result<bool> {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        match self
            .docker
            .get_container_archive_info(id, Some(options))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error::answer(&error).is_some_and(|(status, _)| status == 404) => {
                Ok(false)
            }
            Err(error) => Err(self.failure(
                format_args!("look for `{path}` in the container `{id}`"),
                error,
            )),
        }
    }

    /// Starts a container.
    ///
    /// # Errors
    /// `port_taken`, `wrong_binary` or `start_failed`, with the engine's reason.
    pub async fn start(&self, id: &str, name: &str) -> Result<()> {
        match self
            .docker
            .start_container(id, None::<StartContainerOptions>)
            .await
        {
            Ok(()) => Ok(()),
            Err(error) => {
                let failure = self.failure(format_args!("start the container `{name}`"), error);
                Err(if failure.code == Code::EngineError {
                    start_failure(failure)
                } else {
                    failure
                })
            }
        }
    }

    /// Stops a container: SIGTERM, and SIGKILL after `timeout`. One that is gone or does not run is
    /// stopped already. It stays stopped, whatever its restart policy says of the engine's next start.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn stop(&self, container: &Container, timeout: Duration) -> Result<()> {
        let id = &container.id;
        let policy = container.identity.as_ref().map(|identity| identity.restart);
        if policy.is_some_and(Restart::outlives_a_stop) {
            self.set_restart(id, Restart::UnlessStopped).await?;
        }
        self.terminate(id, timeout).await
    }

    /// The same for a container that has no restart policy.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn terminate(&self, id: &str, timeout: Duration) -> Result<()> {
        let seconds = i32::try_from(spec::whole_seconds(timeout)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let docker = self
            .docker
            .clone()
            .with_timeout(self.docker.timeout() + timeout);
        match docker.stop_container(id, Some(options)).await {
            Err(error)
                if !error::answer(&error)
                    .is_some_and(|(status, _)| matches!(status, 304 | 404)) =>
            {
                Err(self.failure(format_args!("stop the container `{id}`"), error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a container that is to serve again the restart policy that [`Engine::stop`] took.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn rearm(&self, id: &str, identity: &Identity) -> Result<()> {
        if identity.restart.outlives_a_stop() {
            self.set_restart(id, identity.restart).await?;
        }
        Ok(())
    }

    async fn set_restart(&self, id: &str, restart: Restart) -> Result<()> {
        let body = ContainerUpdateBody {
            restart_policy: Some(spec::restart_policy(restart)),
            ..ContainerUpdateBody::default()
        };
        match self.docker.update_container(id, body).await {
            Err(error) if error::answer(&error).is_none_or(|(status, _)| status != 404) => {
                let what = format_args!("set the restart policy of the container `{id}`");
                Err(self.failure(what, error))
            }
            _ => Ok(()),
        }
    }

    /// Removes a container, running or not, with its anonymous volumes. One that is gone is removed
    /// already; one that is just going, on a killed sdp's behalf say, is waited for.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn remove(&self, id: &str) -> Result<()> {
        let until = Instant::now() + GOING;
        loop {
            let options = RemoveContainerOptionsBuilder::new()
                .force(true)
                .v(true)
                .build();
            let Err(error) = self.docker.remove_container(id, Some(options)).await else {
                return Ok(());
            };
            match error::answer(&error) {
                Some((404, _)) => return Ok(()),
                Some((409, _)) if Instant::now() < until => sleep(Duration::from_millis(20)).await,
                _ => {
                    return Err(self.failure(format_args!("remove the container `{id}`"), error));
                }
            }
        }
    }

    /// What a container was given that may be secret: its variables, and the files of the engine's host
    /// that it sees below `folder`, by their names in there.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn given(&self, id: &str, folder: &str) -> Result<Given> {
        let found = self.found(id).await?.unwrap_or_default();
        let env = found.config.and_then(|config| config.env);
        let env = env.unwrap_or_default();
        let pairs = env.iter().filter_map(|pair| pair.split_once('='));
        // Every image sets it, and masking it would take paths out of messages.
        let pairs = pairs.filter(|(name, _)| *name != "PATH");
        let mounts = found.mounts.unwrap_or_default().into_iter();
        let files = mounts.filter_map(|mount| {
            let target = mount.destination?;
            let name = target.strip_prefix(folder)?.trim_start_matches('/');
            Some((name.to_owned(), mount.source?))
        });
        Ok(Given {
            variables: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            files: files.collect(),
        })
    }

    async fn found(&self, id: &str) -> Result<Option<ContainerInspectResponse>> {
        let until = Instant::now() + GOING;
        loop {
            let options = None::<InspectContainerOptions>;
            match self.docker.inspect_container(id, options).await {
                Ok(found) => return Ok(Some(found)),
                Err(error) if error::answer(&error).is_some_and(|(status, _)| status == 404) => {
                    return Ok(None);
                }
                Err(error) if is_between_states(&error) && Instant::now() < until => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(error) => {
                    return Err(self.failure(format_args!("inspect the container `{id}`"), error));
                }
            }
        }
    }

    /// Describes a container. `None`: there is no such one.
    ///
    /// # Errors
    /// Those of any call to the engine.
    pub async fn inspect(&self, id: &str) -> Result<Option<Details>> {
        let Some(found) = self.found(id).await? else {
            return Ok(None);
        };
        let state = found.state.unwrap_or_default();
        let network = found.network_settings.unwrap_or_default();
        let address = network
            .networks
            .into_iter()
            .flatten()
            .find_map(|(_, endpoint)| {
                endpoint
                    .ip_address
                    .as_deref()
                    .and_then(|ip| ip.parse().ok())
            });
        let config = found.host_config.unwrap_or_default();
        let network_mode = config.network_mode.as_deref().unwrap_or_default();
        let program = found.config.unwrap_or_default();
        Ok(Some(Details {
            tty: program.tty == Some(true),
            user: program.user.unwrap_or_default(),
            root_is_read_only: config.readonly_rootfs == Some(true),
            address,
            host_network: network_mode == "host",
            in_others_network: is_others_network(network_mode),
            publish: config
                .port_bindings
                .map(spec::publish_of_map)
                .unwrap_or_default(),
            pid: state.pid.filter(|pid| *pid > 0),
            running: state.running == Some(true) && state.restarting != Some(true),
            restarting: state.restarting == Some(true),
            exit_code: state.exit_code.unwrap_or_default(),
            out_of_memory: state.oom_killed == Some(true),
            restarts: found.restart_count.unwrap_or_default(),
            started_at: state.started_at.unwrap_or_default(),
            finished_at: state.finished_at.unwrap_or_default(),
            bindings: network.ports.map(bindings_of_map).unwrap_or_default(),
        }))
    }
}

impl From<ContainerSummary> for Container {
    fn from(listed: ContainerSummary) -> Container {
        let state = listed.state.unwrap_or(ContainerSummaryStateEnum::EMPTY);
        let identity = listed.labels.as_ref().and_then(Identity::from_labels);
        let created = match &identity {
            Some(identity) if identity.created > 0 => identity.created,
            _ => listed
                .created
                .unwrap_or_default()
                .saturating_mul(1_000_000_000),
        };
        let networks = listed
            .network_settings
            .and_then(|settings| settings.networks);
        let networks = networks.unwrap_or_default();
        let bindings = listed
            .ports
            .unwrap_or_default()
            .into_iter()
            .filter_map(|port| {
                Some(Binding {
                    ip: port.ip.and_then(|ip| ip.parse().ok()),
                    host: port.public_port?,
                    port: port.private_port,
                    protocol: port
                        .typ
                        .map_or_else(|| "tcp".to_owned(), |typ| typ.to_string()),
                })
            });
        let name = listed
            .names
            .unwrap_or_default()
            .into_iter()
            .next()
            .unwrap_or_default();
        Container {
            id: listed.id.unwrap_or_default(),
            name: name.trim_start_matches('/').to_owned(),
            identity,
            running: matches!(
                state,
                ContainerSummaryStateEnum::RUNNING
                    | ContainerSummaryStateEnum::RESTARTING
                    | ContainerSummaryStateEnum::PAUSED
            ),
            state: state.to_string(),
            created,
            bindings: bindings.collect(),
            networks: networks.into_keys().collect(),
        }
    }
}

impl Binding {
    /// As people read it: `0.0.0.0:8080->8080/tcp`.
    pub fn display(&self) -> String {
        let ip = self.ip.map_or_else(
            || "0.0.0.0".to_owned(),
            |ip| match ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            },
        );
        format!("{ip}:{}->{}/{}", self.host, self.port, self.protocol)
    }
}

/// Whether `--network` names the host's network, or another container's.
pub fn is_others_network(network: &str) -> bool {
    network == "host" || network.starts_with("container:")
}

/// The first port of the host that `container` holds and `publish` asks for.
pub fn shared_host_port(container: &Container, publish: &[Publish]) -> Option<u16> {
    publish
        .iter()
        .find(|publish| {
            container
                .bindings
                .iter()
                .any(|binding| publish.wants(binding.ip, binding.host, &binding.protocol))
        })
        .and_then(|publish| publish.host)
}

fn bindings_of_map(ports: PortMap) -> Vec<Binding> {
    let mut bindings: Vec<Binding> = ports
        .into_iter()
        .flat_map(|(port, bindings)| {
            bindings.into_iter().flatten().filter_map(move |binding| {
                let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
                Some(Binding {
                    ip: binding.host_ip.and_then(|ip| ip.parse().ok()),
                    host: binding.host_port?.parse().ok()?,
                    port: number.parse().ok()?,
                    protocol: protocol.to_owned(),
                })
            })
        })
        .collect();
    bindings.sort_by_key(|binding| (binding.port, binding.host, binding.ip));
    bindings
}

/// Podman has a state that Docker has not: `stopped`, after the end of a container's process until it is
/// cleaned up, when it becomes `exited`.
fn is_between_states(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::JsonDataError { message, .. } if message.contains("`stopped`"))
}

/// The engine reports all of these with status 400 or 500 and a sentence (moby, runc).
fn start_failure(failure: Failure) -> Failure {
    let message = failure.message.to_ascii_lowercase();
    let has = |text: &str| message.contains(text);
    if has("port is already allocated") || has("address already in use") {
        return Failure {
            code: Code::PortTaken,
            ..failure
        };
    }
    let failure = Failure {
        code: Code::StartFailed,
        ..failure
    };
    if let Some(hint) = error::hint_on_settings(&message) {
        failure.hint(hint)
    } else if has("no such file or directory") || has("executable file not found") {
        failure.hint("the program, or the loader it was linked against, is not in the image: `--image` names another one")
    } else if has("permission denied") {
        failure.hint("`ls -l` the file in `.sdp/build`: it must be executable, and its directory not mounted noexec")
    } else {
        failure
    }
}
