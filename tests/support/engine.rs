//! The engine as the tests see it: asked directly, past sdp.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, HostConfigLogConfig, PortBinding,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    ListVolumesOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptions,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions, StartContainerOptions,
};
use futures_util::TryStreamExt as _;

use super::BASE;

/// Connects to the engine that sdp talks to as well.
pub fn connect() -> Docker {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => Docker::connect_with_host(&host),
        _ => Docker::connect_with_unix_defaults(),
    }
    .expect("connect to the engine")
}

/// Runs to the end what the engine's client leaves to be awaited.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("start a runtime")
        .block_on(work)
}

/// A container as it was when it was asked for.
#[derive(Debug)]
pub struct Container {
    pub name: String,
    pub inspect: ContainerInspectResponse,
}

impl Container {
    /// `running`, `exited`, `created`, `restarting`, …
    pub fn state(&self) -> String {
        let state = self.inspect.state.as_ref().and_then(|state| state.status);
        state.map(|status| status.to_string()).unwrap_or_default()
    }

    pub fn is_running(&self) -> bool {
        self.state() == "running"
    }

    /// When its program was started last.
    pub fn started_at(&self) -> Option<String> {
        let started = self.inspect.state.as_ref()?.started_at.as_ref()?;
        Some(started.clone())
    }

    /// When its program ended last, in time since 1970.
    pub fn finished_at(&self) -> Duration {
        let state = self.inspect.state.as_ref();
        let finished = state.and_then(|state| state.finished_at.as_ref());
        let finished: jiff::Timestamp = finished
            .and_then(|text| text.parse().ok())
            .expect("the time of an end");
        let millis = finished.as_millisecond();
        Duration::from_millis(millis.try_into().expect("after 1970"))
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        let config = self.inspect.config.as_ref()?;
        config.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// Where `port` of the container is reached without being published.
    pub fn address(&self, port: u16) -> SocketAddr {
        self.reached_at(port)
            .unwrap_or_else(|| panic!("`{}` has no address", self.name))
    }

    /// The same, if it has an address now.
    pub fn reached_at(&self, port: u16) -> Option<SocketAddr> {
        let networks = self.inspect.network_settings.as_ref();
        let networks = networks.and_then(|settings| settings.networks.as_ref());
        let address = networks.and_then(|networks| {
            networks
                .values()
                .filter_map(|network| network.ip_address.as_deref())
                .find_map(|address| address.parse::<IpAddr>().ok())
        });
        address.map(|address| SocketAddr::new(address, port))
    }
}

/// All containers, running or not, that carry the label.
pub fn labelled(docker: &Docker, label: &str) -> Vec<Container> {
    filtered(docker, "label", label)
}

fn filtered(docker: &Docker, key: &str, value: &str) -> Vec<Container> {
    let filters = HashMap::from([(key, vec![value])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    block_on(async {
        let listed = docker.list_containers(Some(options)).await;
        let mut containers = Vec::new();
        for id in listed
            .expect("list containers")
            .into_iter()
            .filter_map(|c| c.id)
        {
            match docker
                .inspect_container(&id, None::<InspectContainerOptions>)
                .await
            {
                Ok(inspect) => containers.push(Container {
                    name: inspect
                        .name
                        .as_deref()
                        .unwrap_or_default()
                        .trim_start_matches('/')
                        .to_owned(),
                    inspect,
                }),
                // Removed since it was listed.
                Err(Error::DockerResponseServerError {
                    status_code: 404, ..
                }) => {}
                Err(error) => panic!("inspect {id}: {error}"),
            }
        }
        containers
    })
}

/// Removes a container, running or not; none may be there.
pub fn remove(docker: &Docker, container: &str) {
    block_on(docker.remove_container(container, Some(forcibly()))).ok();
}

/// The names of the volumes that carry the label, in their order.
pub fn volumes(docker: &Docker, label: &str) -> Vec<String> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let listed = block_on(docker.list_volumes(Some(options))).expect("list volumes");
    let volumes = listed.volumes.unwrap_or_default().into_iter();
    let mut names: Vec<String> = volumes.map(|volume| volume.name).collect();
    names.sort();
    names
}

/// Removes the volumes that carry the label; no container has them any more.
pub fn remove_volumes(docker: &Docker, label: &str) {
    for name in volumes(docker, label) {
        block_on(docker.remove_volume(&name, None::<RemoveVolumeOptions>)).ok();
    }
}

/// Removes what a test run that was killed an hour ago or more has left.
pub fn remove_stale(docker: &Docker) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let hour_ago = i64::try_from(now.as_secs()).expect("a date") - 3600;
    let filters = HashMap::from([("ancestor", vec![BASE])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    block_on(async {
        let listed = docker
            .list_containers(Some(options))
            .await
            .unwrap_or_default();
        let stale = listed
            .iter()
            .filter(|container| container.created < Some(hour_ago));
        for id in stale.filter_map(|container| container.id.as_deref()) {
            docker.remove_container(id, Some(forcibly())).await.ok();
        }
    });
}

/// Removes all containers whose names contain a host's name, running or not.
pub fn remove_all_of(docker: &Docker, host: &str) {
    for container in filtered(docker, "name", host) {
        remove(docker, &container.name);
    }
}

fn forcibly() -> RemoveContainerOptions {
    RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build()
}

/// What the container's program has printed so far.
pub fn logs(docker: &Docker, container: &str) -> String {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let pieces: Vec<_> = block_on(docker.logs(container, Some(options)).try_collect())
        .expect("read a container's log");
    pieces.iter().map(ToString::to_string).collect()
}

/// Starts a container that looks like one of sdp's for a checkout, and runs a shell script.
pub fn start_printer(
    docker: &Docker,
    host: &str,
    checkout: &str,
    tty: bool,
    driver: &str,
    script: &str,
) {
    let name = format!("sdp-{host}-printer");
    let label = |key: &str, value: &str| (format!("sdp.{key}"), value.to_owned());
    let body = ContainerCreateBody {
        image: Some(BASE.to_owned()),
        cmd: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
        tty: Some(tty),
        labels: Some(HashMap::from([
            label("repository", host),
            label("path", checkout),
            label("deployment", "printer"),
        ])),
        host_config: Some(HostConfig {
            log_config: Some(HostConfigLogConfig {
                typ: Some(driver.to_owned()),
                config: None,
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    create_and_start(docker, &name, body);
}

/// Starts a container that is none of sdp's and holds a port of 127.0.0.1.
pub fn start_stranger(docker: &Docker, host: &str, port: u16) -> String {
    let name = format!("stranger-{host}");
    let binding = PortBinding {
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: Some(port.to_string()),
    };
    let body = ContainerCreateBody {
        image: Some(BASE.to_owned()),
        cmd: Some(vec!["sleep".to_owned(), "3600".to_owned()]),
        exposed_ports: Some(vec!["80/tcp".to_owned()]),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([("80/tcp".to_owned(), Some(vec![binding]))])),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    create_and_start(docker, &name, body);
    name
}

fn create_and_start(docker: &Docker, name: &str, body: ContainerCreateBody) {
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    block_on(async {
        docker
            .create_container(Some(options), body)
            .await
            .expect("create a container");
        docker
            .start_container(name, None::<StartContainerOptions>)
            .await
            .expect("start a container");
    });
}
