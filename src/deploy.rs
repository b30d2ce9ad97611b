//! `sdp deploy`: the pipeline, from a revision to a container that serves.

mod replace;

use std::path::Path;
use std::rc::Rc;

use crate::engine::{Container, Engine, Image, Place, Platform};
use crate::event::{Emitter, Outcome, Stage};
use crate::failure::{Code, Failure, Result};
use crate::git::{self, Git, Revision};
use crate::golang::Toolchain;
use crate::handover;
use crate::interrupt::Interrupt;
use crate::panics;
use crate::plan::{Plan, Warning};
use crate::provision::{self, Provision};
use crate::redact;
use crate::rehearse;
use crate::release::{self, Store};
use crate::run::{self, Ended, Ending, Run};
use crate::shell::quoted;
use crate::stage::build::Binary;
use crate::stage::hook::{self, Facts};
use crate::stage::pull::Pulled;
use crate::stage::{Context, build, checkout, fetch, pull, start};
use crate::upkeep;
use replace::{Made, replace, settings};

/// Runs a deployment from its first check to its last `status` event.
pub async fn deploy(
    plan: &Plan,
    host: Option<&str>,
    emitter: &Emitter,
    interrupt: &Interrupt,
) -> Ended {
    let mut run = Run::begin("deploy", &plan.id, &plan.repository, emitter, interrupt);
    let wanted = plan.source.revision.as_ref();
    run.branch = wanted.and_then(Revision::label);
    for warning in &plan.warnings {
        emitter.warn(&warning.line, Some(warning.hint.clone()));
    }
    // Without a checkout, an engine that does not answer is not waited for to say what serves.
    let engine = Engine::connect(host);
    match engine.and_then(|engine| url_to_clone(plan).map(|_| engine)) {
        Ok(engine) => {
            let (result, busy) = run::measured(panics::caught(async {
                if plan.dry_run {
                    rehearse::rehearse(&mut run, plan, &engine).await
                } else {
                    pipeline(&mut run, plan, &engine).await
                }
            }))
            .await;
            run.busy = busy;
            run.end(Some(&engine), result).await
        }
        Err(failure) => run.end(None, Err(failure)).await,
    }
}

async fn pipeline(run: &mut Run<'_>, plan: &Plan, engine: &Engine) -> Result<Ending> {
    let path = &plan.repository.path;
    // All that can be known before anything is touched.
    let (platform, image, toolchain) = check_host(run, plan, engine).await?;
    let existed = path.exists();
    let locked = Store::wait(path, &plan.id, plan.lock_wait, run.emitter, run.interrupt).await?;
    let store = Rc::clone(run.store.insert(Rc::new(locked)));
    // Who held the lock may have cloned it meanwhile.
    let url = url_to_clone(plan)?;
    let recovered = upkeep::recover(engine, &store, &plan.repository, run.emitter);
    let containers = run.interrupt.or(recovered).await?;
    check_id(plan, &containers)?;
    let formers = run::serving(&containers);
    let running = run.interrupt.or(engine.running_containers()).await?;
    let left_behind = upkeep::left_behind(&running, &plan.repository);
    warn_of(left_behind, |line, hint| run.emitter.warn(line, hint));
    handover::check_ports(&running, &formers, &plan.container.publish)?;
    let mut image = Provision::begin(engine, plan, image, &platform);

    let git = match url {
        Some(url) => {
            warn_of_clear(run, Git::would_tell_in_clear(url, &plan.source.credentials));
            let cloned = run
                .stage(Stage::Clone, async |cx| {
                    fetch::clone(&cx, &plan.source, url, path).await
                })
                .await;
            if cloned.is_err() {
                run.store = None;
                if store.is_new {
                    discard(path, existed);
                }
            }
            cloned?
        }
        None => {
            let git = open(plan)?;
            if plan.force
                && let Some(id) = store.cut_build()
            {
                git.refuse_unready(None, true)?;
                let changed = upkeep::put_back(&git, &store, &id)?;
                warn_of(changed, |line, hint| run.emitter.warn(line, hint));
            }
            warn_of_clear(run, git.tells_in_clear());
            git
        }
    };
    let revision = revision(plan, &git)?;
    run.branch = revision.label();
    plan.check_stamp(revision.stamp())?;
    let fetched = run
        .stage(Stage::Fetch, async |cx| {
            fetch::fetch(&cx, &plan.source, git, revision, plan.force).await
        })
        .await?;
    let checked_out = run
        .stage(Stage::Checkout, async |cx| {
            let done = checkout::checkout(&cx, fetched, plan.force, plan.submodules).await;
            done.map_err(|failure| upkeep::after_cut_build(store.cut_build(), failure))
        })
        .await?;
    store.end_build()?;
    let pulled = run
        .stage(Stage::Pull, async |cx| {
            pull::pull(&cx, checked_out, plan.force, plan.submodules).await
        })
        .await?;
    run.commit = Some(pulled.commit.clone());
    image.fail_early().await?;
    if plan.if_changed {
        let image = run.interrupt.or(image.arrive()).await?;
        if let Some(same) = unchanged(engine, plan, &toolchain, &image, &pulled, &formers).await {
            return Ok(Ending::Unchanged(Box::new(same)));
        }
    }

    let facts = Facts::new(plan, &pulled);
    let built = program(run, plan, &store, &toolchain, &platform, &pulled, &facts);
    let binary = built.await?;
    let made = Made {
        pulled: &pulled,
        binary: &binary,
        toolchain: &toolchain,
        facts: &facts,
        platform: &platform,
    };
    let ending = replace(run, plan, engine, &store, made, image, formers).await;
    if let (Ok(Ending::Handed { handed, .. }), Some(command)) = (&ending, &plan.hooks.after_deploy)
    {
        let facts = facts.and_outcome(handed, run.downtime);
        // The hook may take its time, and be cut: the deployment stands already.
        run.remember(Outcome::Deployed, 0, None);
        after_deploy(run, plan, command, &facts).await;
    }
    // A container that could not be removed still needs it.
    if ending.is_err()
        && store.underway().is_none()
        && let Err(failure) = store.remove(&plan.id)
    {
        run.emitter.warn(failure.to_string(), failure.hint);
    }
    ending
}

/// What the hook before the build and go make of the commit.
async fn program(
    run: &mut Run<'_>,
    plan: &Plan,
    store: &Store,
    toolchain: &Toolchain,
    platform: &Platform,
    pulled: &Pulled,
    facts: &Facts,
) -> Result<Binary> {
    let restore = |cx: &Context| -> Result<()> {
        let changed = upkeep::put_back(&pulled.git, store, &plan.id)?;
        warn_of(changed, |line, hint| cx.events.warn(line, hint));
        Ok(())
    };
    if let Some(command) = &plan.hooks.before_build {
        run.stage(Stage::BeforeBuild, async |cx| {
            store.begin_build(&plan.id)?;
            let ran = hook::on_host(&cx, plan, command, facts).await;
            let ran = ran.and_then(|()| refuse_moved(pulled, command));
            if ran.is_err()
                && let Err(failure) = restore(&cx)
            {
                cx.events.warn(failure.to_string(), failure.hint);
            }
            ran
        })
        .await?;
    }
    let output = store.binary(&plan.repository.name);
    run.stage(Stage::Build, async |cx| {
        store.begin_build(&plan.id)?;
        let built = build::build(&cx, toolchain, platform, plan, pulled, &output).await;
        let restored = restore(&cx);
        let binary = built?;
        restored.map(|()| binary)
    })
    .await
}

/// The build and the labels of what it makes are of the commit that was pulled.
fn refuse_moved(pulled: &Pulled, command: &str) -> Result<()> {
    let head = pulled.git.head()?;
    if head.id == pulled.commit.id {
        return Ok(());
    }
    let (from, to) = (pulled.commit.short(), head.short());
    let command = redact::command(command);
    let message = format!("`{command}` moved HEAD from {from} to {to}");
    let again = match &pulled.revision {
        Revision::Branch(branch) => format!("--force --branch {}", quoted(branch)),
        Revision::Tag(_) | Revision::Commit(_) => "--force".to_owned(),
    };
    Err(Failure::new(Code::HookFailed, message).hint(format!(
        "leave `git commit`, `git checkout` and the like out of it; `{again}` leaves behind what it did"
    )))
}

fn warn_of_clear(run: &Run<'_>, host: Option<String>) {
    warn_of(host.map(|host| told_in_clear(&host)), |line, hint| {
        run.emitter.warn(line, hint);
    });
}

/// The remote's host is told the token without encryption.
pub fn told_in_clear(host: &str) -> Warning {
    Warning {
        line: format!("the token goes to `{host}` over plain http, where others can read it"),
        hint: "`--url https://...`, or `git remote set-url origin https://...`".to_owned(),
    }
}

/// Is the host ready: the engine answers, the image is there or not, go runs.
///
/// # Errors
/// `engine_unreachable` and the like, those of [`provision::check`], `go_missing`, or the interruption.
pub async fn check_host(
    run: &Run<'_>,
    plan: &Plan,
    engine: &Engine,
) -> Result<(Platform, Option<Image>, Toolchain)> {
    let checks = async {
        tokio::try_join!(
            engine.platform(),
            engine.image(&plan.container.image),
            Toolchain::find(plan.build.go.as_deref()),
        )
    };
    let checks = async {
        let found = checks.await?;
        let (platform, image, _) = &found;
        provision::check(plan, image.as_ref(), platform).await?;
        let warnings = unreadable_secrets(plan, engine).await?;
        Ok((found, warnings))
    };
    let (found, warnings) = run.interrupt.or(checks).await?;
    warn_of(warnings, |line, hint| run.emitter.warn(line, hint));
    Ok(found)
}

/// The secrets that the program cannot read. Where the engine has users of its own, nothing is known.
///
/// # Errors
/// Those of any call to the engine.
pub async fn unreadable_secrets(plan: &Plan, engine: &Engine) -> Result<Vec<Warning>> {
    let unreadable = plan.unreadable_secrets();
    let is_ours = unreadable.is_empty() || engine.place().await? == Place::Here;
    Ok(if is_ours { unreadable } else { Vec::new() })
}

/// Has `warn`, of an emitter's, tell warnings, or one that there may be.
pub fn warn_of(warnings: impl IntoIterator<Item = Warning>, warn: impl Fn(String, Option<String>)) {
    for Warning { line, hint } in warnings {
        warn(line, Some(hint));
    }
}

/// Whatever becomes of the hook, the deployment stands.
async fn after_deploy(run: &mut Run<'_>, plan: &Plan, command: &str, facts: &Facts) {
    let ran = run
        .stage(Stage::AfterDeploy, async |cx| {
            let ran = hook::on_host(&cx, plan, command, facts).await;
            ran.map_err(|failure| match failure.code {
                Code::HookFailed => failure.hint("fix it, and run it by hand: the release serves"),
                _ => failure,
            })
        })
        .await;
    if let Err(failure) = ran {
        // What it printed has been told line by line.
        let line = format!("the deployment stands, but its hook failed: {failure}");
        run.emitter.warn(line, failure.hint);
    }
}

/// The container that serves already what the plan asks for, if it does and is well.
async fn unchanged(
    engine: &Engine,
    plan: &Plan,
    toolchain: &Toolchain,
    image: &Image,
    pulled: &Pulled,
    formers: &[Container],
) -> Option<Container> {
    let [former] = formers else { return None };
    let identity = former.identity.as_ref()?;
    let same = identity.commit == pulled.commit.id
        && identity.branch == pulled.revision.label()
        && identity.settings == settings(plan, toolchain, image);
    let well = same && handover::examine(engine, former, identity).await.is_ok();
    well.then(|| former.clone())
}

/// Where to clone from, if there is no checkout yet.
pub fn url_to_clone(plan: &Plan) -> Result<Option<&str>> {
    match (&plan.repository.url, Git::exists(&plan.repository.path)) {
        (_, true) => Ok(None),
        (Some(url), false) => Ok(Some(url)),
        (None, false) => Err(no_checkout(plan)),
    }
}

/// Whether the deployment's id is free.
///
/// # Errors
/// `usage`.
pub fn check_id(plan: &Plan, containers: &[Container]) -> Result<()> {
    let name = start::container_name(plan);
    if containers.iter().any(|container| container.name == name)
        || release::path(&plan.repository.path, &plan.id).exists()
    {
        let message = format!("there is a deployment `{}` already", plan.id);
        return Err(
            Failure::new(Code::Usage, message).hint("leave out `--id`, or choose another one")
        );
    }
    Ok(())
}

/// What to deploy: what is named, else the branch that is checked out.
pub fn revision(plan: &Plan, git: &Git) -> Result<Revision> {
    if let Some(revision) = &plan.source.revision {
        return Ok(revision.clone());
    }
    git.current_branch()?.map(Revision::Branch).ok_or_else(|| {
        Failure::new(Code::Usage, "no branch is checked out, and none is named")
            .hint("`--branch main`, `--tag NAME` or `--commit ID` says what to deploy")
    })
}

/// Opens the checkout, which must be one of the URL, if one is given.
pub fn open(plan: &Plan) -> Result<Git> {
    let git = Git::open(&plan.repository.path)?;
    let git = git.with(&plan.source.credentials, plan.source.timeout);
    match (&plan.repository.url, git.origin()) {
        (Some(wanted), Some(origin)) if !git::is_same(wanted, &origin) => Err(Failure::new(
            Code::Usage,
            format!(
                "`{}` is a checkout of `{}`, not of `{}`",
                plan.repository.path.display(),
                redact::url(&origin),
                redact::url(wanted)
            ),
        )
        .hint("leave out the URL to deploy that checkout, or give `--path` for another one")),
        _ => Ok(git),
    }
}

/// There is nothing at the path, or something else than a checkout, and no URL to clone from.
fn no_checkout(plan: &Plan) -> Failure {
    let path = plan.repository.path.display();
    if Git::is_bare(&plan.repository.path) {
        return Failure::new(
            Code::NotACheckout,
            format!("`{path}` is a bare repository, which has no checkout"),
        )
        .hint(format!("`sdp deploy file://{path}` clones it"));
    }
    let message = if plan.repository.path.exists() {
        format!("`{path}` is no git checkout")
    } else {
        format!("there is no checkout at `{path}`")
    };
    Failure::new(Code::NotACheckout, message)
        .hint("`--url URL` clones one there; REPO is a path, a git URL, or a name below $SDP_ROOT")
}

/// Takes back the directory of a clone that failed.
fn discard(path: &Path, existed: bool) {
    std::fs::remove_dir_all(path.join(release::DIRECTORY)).ok();
    if !existed {
        std::fs::remove_dir(path).ok();
    }
}
