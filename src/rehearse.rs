//! `sdp deploy --dry-run`: the whole plan, with nothing touched on disk or engine.

use crate::engine::{BUILTIN, Container, Engine, NO_NEW_PRIVILEGES, Platform, shared_host_port};
use crate::event::{Event, Stage};
use crate::failure::Result;
use crate::git::{Git, Revision};
use crate::handover;
use crate::plan::{Limits, Mount, Plan, Publish, Pull};
use crate::redact::{self, Redactor};
use crate::release;
use crate::run::{self, Ending, Run};
use crate::stage::{build, fetch, package, start};
use crate::{delivery, deploy, upkeep};

/// Says what each stage would do.
///
/// # Errors
/// What would stop the deployment before it began.
pub async fn rehearse(run: &mut Run<'_>, plan: &Plan, engine: &Engine) -> Result<Ending> {
    let emitter = run.emitter;
    let say = |stage, line: String| emitter.emit(Event::Planned { stage, line });
    let url = deploy::url_to_clone(plan)?;
    let (platform, image, toolchain) = deploy::check_host(run, plan, engine).await?;
    let containers = upkeep::containers(engine, &plan.repository).await?;
    let formers = run::serving(&containers);
    let running = engine.running_containers().await?;
    let warn = |line: String, hint| emitter.warn(line, hint);
    deploy::warn_of(upkeep::left_behind(&running, &plan.repository), warn);
    handover::check_ports(&running, &formers, &plan.container.publish)?;

    let path = &plan.repository.path;
    let target = format!(
        "{}/{}, {}, {}",
        platform.os,
        platform.arch,
        if plan.build.cgo { "with cgo" } else { "static" },
        toolchain.version
    );
    let hook = |stage, command: &Option<String>, place: &str| {
        if let Some(command) = command {
            say(stage, format!("`{}` {place}", redact::command(command)));
        }
    };
    if let Some(url) = url {
        let url = redact::url(url);
        say(Stage::Clone, format!("{url} to {}", path.display()));
        hook(Stage::BeforeBuild, &plan.hooks.before_build, "on this host");
        say(
            Stage::Build,
            format!("the main package of what is cloned, {target}"),
        );
    } else {
        let git = deploy::open(plan)?;
        let revision = deploy::revision(plan, &git)?;
        run.branch = revision.name().map(str::to_owned);
        say_git(run, plan, &git, &revision).await?;
        plan.check_stamp(revision.stamp())?;
        hook(Stage::BeforeBuild, &plan.hooks.before_build, "on this host");
        let environment = git.environment();
        let scratch = std::env::temp_dir();
        let go = build::target(path, &platform, &scratch, &environment);
        let repository = &plan.repository;
        let build = toolchain.read_only(go, &plan.build, run.interrupt).await?;
        let (_, package) = package::find(&toolchain, go, &build, repository, run.interrupt).await?;
        say(
            Stage::Build,
            format!("{package} as it is checked out now, {target}"),
        );
    }

    let careless = image
        .as_ref()
        .and_then(|image| start::writable_volumes(plan, image));
    deploy::warn_of(careless, warn);
    let wanted = &plan.container.image;
    let reference = image
        .as_ref()
        .map_or(wanted, |image| &image.reference)
        .clone();
    let image = match (&image, plan.pull) {
        (Some(_), _) if wanted == BUILTIN => "the built-in image, which is there".to_owned(),
        (None, _) if wanted == BUILTIN => "the built-in image, imported first".to_owned(),
        (Some(_), Pull::Missing | Pull::Never) => format!("{wanted}, which is there"),
        (None, _) | (_, Pull::Always) => match &plan.image_archive {
            Some(file) => format!("{wanted}, loaded from {} first", file.display()),
            None => format!("{wanted}, pulled first"),
        },
    };
    let place = "in a container of the new release";
    hook(Stage::BeforeStart, &plan.hooks.before_start, place);
    say(
        Stage::Start,
        format!("{} of {image}", start::container_name(plan)),
    );
    say(
        Stage::Start,
        docker_run(plan, engine, &reference, &platform),
    );
    let proof = match &plan.health.http {
        Some(path) => format!(
            "GET {path} on port {} answers 2xx or 3xx",
            plan.container.port
        ),
        None => format!(
            "port {} answers, or the program stays up for {:?}",
            plan.container.port, plan.health.settle
        ),
    };
    say(
        Stage::Health,
        format!("{proof}; {}", succession(plan, &formers)),
    );
    hook(Stage::AfterDeploy, &plan.hooks.after_deploy, "on this host");
    Ok(Ending::Planned)
}

async fn say_git(run: &Run<'_>, plan: &Plan, git: &Git, revision: &Revision) -> Result<()> {
    let say = |stage, line: String| run.emitter.emit(Event::Planned { stage, line });
    let asked = {
        let (git, revision) = (git.clone(), revision.clone());
        tokio::task::spawn_blocking(move || git.tip(&revision))
    };
    let upstream = tokio::select! {
        asked = asked => asked.map_err(anyhow::Error::from)??,
        signal = run.interrupt.cancelled() => return Err(signal.into()),
        () = tokio::time::sleep(plan.source.timeout) => return Err(fetch::timed_out(plan.source.timeout, &redact::url(&git.origin().unwrap_or_default()))),
    };
    let local = match revision {
        Revision::Branch(branch) => git.local_tip(branch)?,
        Revision::Tag(_) | Revision::Commit(_) => None,
    };
    say(
        Stage::Fetch,
        match upstream {
            Some(there) if local == upstream => {
                format!("nothing new: {revision} is at {}", there.short())
            }
            Some(there) => format!("{revision}, which is at {}", there.short()),
            None => format!("{revision}, if the remote has it"),
        },
    );
    let force = if plan.force {
        ", dropping local changes"
    } else {
        ""
    };
    say(Stage::Checkout, format!("{revision}{force}"));
    say(
        Stage::Pull,
        match (revision, local, upstream) {
            (Revision::Tag(_), ..) => "a tag has nothing to pull".to_owned(),
            (Revision::Commit(_), ..) => "a commit has nothing to pull".to_owned(),
            (_, Some(local), Some(there)) if local == there => "up to date".to_owned(),
            (_, Some(local), Some(there)) => format!("from {} to {}", local.short(), there.short()),
            (_, _, there) => format!(
                "a new local branch at {}",
                there.map(|id| id.short()).unwrap_or_default()
            ),
        },
    );
    Ok(())
}

fn succession(plan: &Plan, formers: &[Container]) -> String {
    let Some(former) = formers.first() else {
        return "nothing runs that it would replace".to_owned();
    };
    let name = &former.name;
    match shared_host_port(former, &plan.container.publish) {
        _ if !plan.canary => format!("{name} stops first"),
        Some(port) => {
            format!("a canary first, then {name} stops and the new one takes port {port}")
        }
        None => format!("then {name} stops"),
    }
}

/// The docker command that comes nearest. Values of variables are left out: docker takes them from
/// its own environment then. Where they stand in other words, they are masked before a shell's quotes
/// come between.
fn docker_run(plan: &Plan, engine: &Engine, image: &str, platform: &Platform) -> String {
    let container = &plan.container;
    let mut words: Vec<String> = ["docker", "run", "-d", "--name"]
        .map(str::to_owned)
        .to_vec();
    words.push(start::container_name(plan));
    let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
    for (name, value) in limits(&container.limits, platform) {
        flag(name, value);
    }
    flag("--workdir", "/src".to_owned());
    let path = &plan.repository.path;
    flag(
        "--mount",
        match container.mount {
            Mount::Release if delivery::is_upload(engine, container.deliver) => {
                let volume = start::container_name(plan);
                format!("type=volume,src={volume},dst=/src,readonly,volume-nocopy")
            }
            Mount::Release => {
                let release = path
                    .join(release::DIRECTORY)
                    .join("releases")
                    .join(&plan.id);
                format!("type=bind,src={},dst=/src,readonly", release.display())
            }
            Mount::Checkout => format!("type=bind,src={},dst=/src", path.display()),
        },
    );
    for volume in container.mounts() {
        let read_only = if volume.read_only { ":ro" } else { "" };
        flag(
            "-v",
            format!("{}:{}{read_only}", volume.source, volume.target),
        );
    }
    flag("--expose", format!("{}/tcp", container.port));
    for publish in &container.publish {
        flag("-p", publish.to_string());
    }
    for (name, _) in container.variables() {
        flag("-e", name);
    }
    for (name, value) in &container.labels {
        flag("--label", format!("{name}={value}"));
    }
    if let Some(network) = &container.network {
        flag("--network", network.clone());
    }
    flag(
        "--stop-timeout",
        container.stop_timeout.as_secs().to_string(),
    );
    if container.limits.hardened {
        words.push("--read-only".to_owned());
    }
    let program = format!("/src/{}", release::program(&plan.repository.name));
    words.extend(["--entrypoint".to_owned(), program, image.to_owned()]);
    words.extend(container.args.iter().cloned());
    redact::mask_named_in(&mut words);
    let redactor = Redactor::new(plan.secrets());
    for word in &mut words {
        redactor.scrub(word);
    }
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

fn limits(limits: &Limits, platform: &Platform) -> Vec<(&'static str, String)> {
    let mut flags = vec![
        ("--restart", limits.restart.to_string()),
        ("--security-opt", NO_NEW_PRIVILEGES.to_owned()),
    ];
    if limits.hardened {
        flags.push(("--cap-drop", "ALL".to_owned()));
    }
    let tmpfs = limits.tmpfs();
    flags.extend(tmpfs.map(|(path, options)| ("--tmpfs", format!("{path}:{options}"))));
    let number = |name, value: Option<i64>| value.map(|value| (name, value.to_string()));
    flags.extend(limits.user.clone().map(|user| ("--user", user)));
    flags.extend(number("--memory", limits.memory));
    flags.extend(limits.nano_cpus.map(|nano| {
        let (whole, part) = (nano / 1_000_000_000, nano % 1_000_000_000);
        ("--cpus", format!("{whole}.{part:09}"))
    }));
    flags.extend(number("--pids-limit", limits.pids));
    let ulimits = limits.ulimits.iter();
    flags.extend(ulimits.map(|limit| ("--ulimit", limit.to_string())));
    let log_options = limits.log_options(platform.logs_grow).into_iter();
    flags.extend(log_options.map(|(name, value)| ("--log-opt", format!("{name}={value}"))));
    flags
}

impl std::fmt::Display for Publish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.ip {
            Some(ip) if ip.contains(':') => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        if let Some(host) = self.host {
            write!(f, "{host}")?;
        }
        if self.ip.is_some() || self.host.is_some() {
            f.write_str(":")?;
        }
        write!(f, "{}/{}", self.port, self.protocol)
    }
}
