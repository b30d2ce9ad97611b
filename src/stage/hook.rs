//! The commands that people have set before the build, before the start and after the deployment.

use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

use tokio::time::sleep;

use super::build::Binary;
use super::pull::Pulled;
use super::{Context, package};
use crate::child;
use crate::delivery;
use crate::engine::{Engine, Exit, LogQuery, Spec, uploader};
use crate::event::LogLine;
use crate::failure::{Code, Failure, Result};
use crate::handover::{Handed, check_loader};
use crate::plan::{Mount, Plan, Restart, Volume};
use crate::redact;
use crate::release;

/// How many of the last lines explain a failure.
const SHOWN: usize = 20;

/// How long a call to the engine is still waited for after a signal, and how long a hook's container
/// may then take to end.
const GRACE: Duration = Duration::from_secs(5);
const TO_END: Duration = Duration::from_secs(2);

/// How often it is looked whether a container has ended whose log has.
const POLL: Duration = Duration::from_millis(100);

/// How long the removal of a hook's container may take.
const WAY_BACK: Duration = Duration::from_secs(20);

/// What a hook does not get of sdp's own variables, nor what another deployment's hook was told: the
/// token is git's alone, and an `sdp` that a hook runs has no hooks of its own accord.
const WITHHELD: [&str; 5] = [
    "SDP_GIT_USER",
    "SDP_GIT_TOKEN",
    "SDP_BEFORE_BUILD",
    "SDP_BEFORE_START",
    "SDP_AFTER_DEPLOY",
];

/// What a hook is told of the deployment, as variables; no flag of sdp's has one of these names.
#[derive(Clone, Debug)]
pub struct Facts(Vec<(&'static str, String)>);

impl Facts {
    pub fn new(plan: &Plan, pulled: &Pulled) -> Facts {
        let mut facts = vec![
            ("SDP_HOOK_DEPLOYMENT_ID", plan.id.clone()),
            ("SDP_HOOK_REPOSITORY", plan.repository.name.clone()),
            ("SDP_HOOK_COMMIT", pulled.commit.id.clone()),
        ];
        if let Some(branch) = pulled.revision.label() {
            facts.push(("SDP_HOOK_BRANCH", branch));
        }
        Facts(facts)
    }

    /// The same, and what became of the deployment.
    #[must_use]
    pub fn and_outcome(mut self, handed: &Handed, downtime: Option<Duration>) -> Facts {
        let downtime = downtime.unwrap_or_default().as_millis();
        self.0.extend([
            ("SDP_HOOK_OUTCOME", "deployed".to_owned()),
            ("SDP_HOOK_CONTAINER", handed.name.clone()),
            ("SDP_HOOK_CONTAINER_ID", handed.id.clone()),
            ("SDP_HOOK_DOWNTIME_MS", downtime.to_string()),
        ]);
        if let Some(replaced) = handed.replaced.first() {
            self.0.push(("SDP_HOOK_REPLACED", replaced.clone()));
        }
        self
    }
}

/// Runs a command on the host, in the directory that is built in. It ends with sdp, however that ends,
/// and what it leaves running ends with it.
///
/// # Errors
/// `hook_failed` with the last lines, `no_module` without that directory, or the interruption.
pub async fn on_host(cx: &Context, plan: &Plan, command: &str, facts: &Facts) -> Result<()> {
    let root = &plan.repository.path;
    let directory = package::workdir(root, &plan.build)?;
    let mut shell = child::on_short_leash("sh");
    for (name, _) in std::env::vars_os() {
        let is_fact = name.as_encoded_bytes().starts_with(b"SDP_HOOK_");
        if is_fact || WITHHELD.iter().any(|withheld| name == *withheld) {
            shell.env_remove(name);
        }
    }
    shell
        .args(["-c", command])
        .current_dir(&directory)
        .env("PWD", &directory)
        .env("SDP_HOOK_PATH", root)
        .envs(facts.0.iter().map(|(name, value)| (name, value)));
    let mut last = VecDeque::new();
    let ran = child::run(shell, Code::HookFailed, &cx.interrupt, |stream, line| {
        if last.len() == SHOWN {
            last.pop_front();
        }
        last.push_back(line.clone());
        cx.events.output(stream, line);
    });
    let ended = ran.await?;
    if ended.success() {
        return Ok(());
    }
    let code = ended.code().map_or(-1, i64::from);
    Err(failed(command, code, last.into()))
}

/// Runs a command in a container of the release that is like the one to come, but without host ports,
/// and gone when the command has ended. Where the release has to be uploaded for that, `like` has its
/// volume afterwards, for the container to come; a failure leaves none.
///
/// # Errors
/// `hook_failed` with the last lines or because the image has no shell, `wrong_binary`, `start_failed`,
/// those of any call to the engine, or the interruption.
pub async fn in_container(
    cx: &Context,
    engine: &Engine,
    plan: &Plan,
    like: &mut Spec,
    program: &Binary,
    command: &str,
    facts: &Facts,
) -> Result<()> {
    let hooked = |like: &Spec| hooked(plan, like, program, command, facts);
    let repository = &plan.repository;
    let placed = repository.path.join(release::program(&repository.name));
    let is_first = plan.container.mount == Mount::Checkout && placed.symlink_metadata().is_err();
    let ran = deliver_and_run(cx, engine, like, command, hooked).await;
    if ran.is_err() && is_first && placed.metadata().is_ok_and(|made| made.len() == 0) {
        // The engine makes a file where one is to be mounted.
        fs::remove_file(placed).ok();
    }
    if ran.is_err()
        && let Some(volume) = like.identity.volume.take()
    {
        clear(cx, engine.impatient(WAY_BACK).remove_volume(&volume).await);
    }
    ran
}

/// `hooked` says what the hook's container is to be like, of the one to come.
async fn deliver_and_run(
    cx: &Context,
    engine: &Engine,
    like: &mut Spec,
    command: &str,
    hooked: impl Fn(&Spec) -> Spec,
) -> Result<()> {
    if delivery::is_upload(engine, like.deliver) {
        upload(cx, engine, like).await?;
    }
    match create_and_run(cx, engine, &hooked(like), command).await {
        Err(failure) => {
            delivery::upload_after(failure, like)?;
            upload(cx, engine, like).await?;
            create_and_run(cx, engine, &hooked(like), command).await
        }
        Ok(()) => Ok(()),
    }
}

async fn upload(cx: &Context, engine: &Engine, like: &mut Spec) -> Result<()> {
    like.identity.volume = Some(like.name.clone());
    let uploaded = delivery::upload(engine, like, &cx.events);
    let uploaded = cx.interrupt.or(uploaded).await;
    let filled = uploader(&like.name);
    clear(cx, engine.impatient(WAY_BACK).remove(&filled).await);
    uploaded
}

/// What is left behind is no failure of the hook's.
fn clear(cx: &Context, removed: Result<()>) {
    if let Err(failure) = removed {
        let hint = "the next command that changes something removes it";
        cx.events.warn(failure.to_string(), Some(hint.to_owned()));
    }
}

/// What the hook's container is to be like.
fn hooked(plan: &Plan, like: &Spec, program: &Binary, command: &str, facts: &Facts) -> Spec {
    let mut spec = like.clone();
    spec.name += "-before-start";
    // Whatever clears a canary that a killed run left clears this.
    spec.identity.canary = true;
    spec.publish.clear();
    spec.limits.restart = Restart::No;
    spec.command = ["sh", "-c", command].map(str::to_owned).to_vec();
    if plan.container.mount == Mount::Checkout {
        // What serves may be started again from there as long as the hook has not done its work.
        spec.volumes.push(Volume {
            source: program.path.display().to_string(),
            target: format!("/src/{}", release::program(&plan.repository.name)),
            read_only: true,
        });
    }
    let facts = facts.0.iter().cloned();
    spec.env
        .extend(facts.map(|(name, value)| (name.to_owned(), value)));
    spec
}

/// Leaves no container behind.
async fn create_and_run(cx: &Context, engine: &Engine, spec: &Spec, command: &str) -> Result<()> {
    let ran = create_and_wait(cx, engine, spec, command).await;
    clear(cx, engine.impatient(WAY_BACK).remove(&spec.name).await);
    ran
}

async fn create_and_wait(cx: &Context, engine: &Engine, spec: &Spec, command: &str) -> Result<()> {
    cx.interrupt.check()?;
    let created = engine.create(spec);
    let id = cx.interrupt.or_after(GRACE, created).await?;
    let checked = async {
        delivery::refuse_unseen(engine, &id, spec).await?;
        check_loader(engine, &id, spec).await
    };
    cx.interrupt.or(checked).await?;
    match run(cx, engine, &id, &spec.name).await {
        Ok(Exit { code: 0, .. }) => Ok(()),
        Ok(Exit { code, .. }) => {
            let last = engine.last_lines(&id, SHOWN, None).await;
            Err(failed(command, code, last))
        }
        Err(failure) if failure.code == Code::StartFailed => {
            match engine.has_file(&id, "/bin/sh").await {
                Ok(false) => Err(no_shell(&spec.image, command).source(failure)),
                _ => Err(failure),
            }
        }
        Err(failure) => {
            // A migration is asked to end before it is killed.
            if cx.interrupt.signal().is_some() {
                let timeout = spec.identity.stop_timeout.min(TO_END);
                engine
                    .impatient(WAY_BACK)
                    .terminate(&id, timeout)
                    .await
                    .ok();
            }
            Err(failure)
        }
    }
}

/// Starts the container and tells what it prints until it has ended.
async fn run(cx: &Context, engine: &Engine, id: &str, name: &str) -> Result<Exit> {
    let mut watch = engine.watch(id).await?;
    let started = engine.start(id, name);
    cx.interrupt.or_after(GRACE, started).await?;
    let mut told = Told::default();
    let query = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    let mut log = engine.read_log(id, &query);
    let mut trouble = None;
    let mut is_open = true;
    let ended = watch.exit();
    tokio::pin!(ended);
    let exit = loop {
        tokio::select! {
            biased;
            signal = cx.interrupt.cancelled() => return Err(signal.into()),
            more = log.more(|line| told.tell(cx, line)), if is_open => match more {
                Ok(more) => is_open = more,
                Err(failure) => (is_open, trouble) = (false, Some(failure)),
            },
            exit = &mut ended => break exit?,
            // The event of a command that ends at once can be missed where clocks differ.
            () = sleep(POLL), if !is_open => match engine.inspect(id).await? {
                Some(details) if details.running => {}
                details => break Exit {
                    code: details.map_or(-1, |details| details.exit_code),
                    at: None,
                },
            },
        }
    };
    // Following loses a last line without its newline, and what came while the end was told.
    let mut rest = engine.read_log(id, &LogQuery::default());
    let mut all = told.over_again();
    let reading = async {
        while rest.more(|line| all.tell(cx, line)).await? {}
        rest.finish(|_| false, |line| all.tell(cx, line));
        Ok(())
    };
    if let Err(failure) = cx.interrupt.or(reading).await {
        trouble = Some(failure);
    }
    if let Some(failure) = trouble {
        let line = format!("what the hook printed is not shown: {failure}");
        cx.events.warn(line, failure.hint);
    }
    Ok(exit)
}

/// How many lines of each stream have been told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    lines: [usize; 2],
    /// So many of them come again.
    again: [usize; 2],
}

impl Told {
    /// For a reader that begins anew.
    fn over_again(self) -> Told {
        Told {
            lines: [0; 2],
            again: self.lines,
        }
    }

    fn tell(&mut self, cx: &Context, line: LogLine<'_>) {
        let stream = line.stream as usize;
        self.lines[stream] += 1;
        if self.lines[stream] > self.again[stream] {
            let text = String::from_utf8_lossy(line.bytes);
            cx.events.output(line.stream, text);
        }
    }
}

fn failed(command: &str, code: i64, last: Vec<String>) -> Failure {
    let command = redact::command(command);
    // As shells have it, and the engine.
    let message = match code {
        129..=192 => format!("`{command}` was killed by signal {}", code - 128),
        code => format!("`{command}` ended with exit code {code}"),
    };
    let hint = if last.is_empty() {
        "`set -x;` in front of it prints each step; fix it, and deploy again"
    } else {
        "what it printed last is above; fix that, and deploy again"
    };
    Failure::new(Code::HookFailed, message)
        .hint(hint)
        .detail(last)
}

fn no_shell(image: &str, command: &str) -> Failure {
    let command = redact::command(command);
    let message = format!("the image `{image}` has no shell to run `{command}` with");
    Failure::new(Code::HookFailed, message).hint(
        "`--image alpine:3.20` has one; without `--before-start`, the program itself can do it when it starts",
    )
}
