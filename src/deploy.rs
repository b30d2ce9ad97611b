//! The pipeline: the order of the stages, their times, and what is said at the end.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine::{Binding, Container, Details, Engine};
use crate::event::{Commit, Emitter, Event, Outcome, Running, Stage, State, Summary};
use crate::failure::{Code, Failure, Result};
use crate::git::Git;
use crate::golang::Toolchain;
use crate::handover::{self, Handed, Handover};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::provision::Provision;
use crate::redact;
use crate::release::{self, Store};
use crate::stage::build::Binary;
use crate::stage::pull::Pulled;
use crate::stage::start::Origin;
use crate::stage::{Context, build, checkout, fetch, health, pull, start};
use crate::upkeep;

/// What is left to do after a deployment: which container to follow, and what to exit with.
#[derive(Debug)]
pub struct Deployed {
    pub exit_code: u8,
    /// The new container's id; `None` if the deployment failed.
    pub container: Option<String>,
}

/// Runs a deployment from its first check to its last `status` event.
pub async fn deploy(
    plan: &Plan,
    host: Option<&str>,
    emitter: &Emitter,
    interrupt: &Interrupt,
) -> Deployed {
    let mut run = Run {
        plan,
        begun: Instant::now(),
        stages: Stages {
            emitter,
            interrupt,
            times: Vec::new(),
        },
        branch: plan.branch.clone(),
        commit: None,
        downtime: None,
    };
    let (summary, container) = match Engine::connect(host) {
        Err(failure) => (run.failure(&failure, Serving::Unknown), None),
        Ok(engine) => match run.pipeline(&engine).await {
            Ok(handed) => (run.success(&handed), Some(handed.id)),
            Err(failure) => (run.failure(&failure, what_runs(&engine, plan).await), None),
        },
    };
    let exit_code = summary.exit_code;
    emitter.emit(Event::Status(Box::new(summary)));
    Deployed {
        exit_code,
        container,
    }
}

struct Run<'a> {
    plan: &'a Plan,
    begun: Instant,
    stages: Stages<'a>,
    branch: Option<String>,
    commit: Option<Commit>,
    downtime: Option<Duration>,
}

impl Run<'_> {
    async fn pipeline(&mut self, engine: &Engine) -> Result<Handed> {
        let plan = self.plan;
        let path = &plan.repository.path;
        let is_new = !Git::exists(path);
        let url = match (&plan.repository.url, is_new) {
            (Some(url), true) => Some(url.as_str()),
            (None, true) => return Err(no_checkout(plan)),
            (_, false) => None,
        };

        // All that can be known before anything is touched.
        let (platform, image, toolchain, running) = tokio::try_join!(
            engine.platform(),
            engine.image(&plan.container.image),
            Toolchain::find(plan.build.go.as_deref()),
            engine.running_containers(),
        )?;
        let existed = path.exists();
        let store = Store::lock(path, &plan.id)?;
        let containers = engine.containers(Some(&plan.repository.name)).await?;
        if containers
            .iter()
            .any(|container| container.name == start::container_name(plan))
            || store.release(&plan.id).exists()
        {
            return Err(Failure::new(
                Code::Usage,
                format!("there is a deployment `{}` already", plan.id),
            )
            .hint("leave out `--id`, or choose another one"));
        }
        upkeep::clear_leftovers(
            engine,
            &store,
            &plan.repository,
            &containers,
            self.stages.emitter,
        )
        .await?;
        let formers = start::formers(&containers, plan);
        handover::check_ports(&running, &formers, &plan.container.publish)?;
        let mut image = Provision::begin(engine, plan, image);

        let git = match url {
            Some(url) => {
                let cloned = self
                    .stages
                    .run(Stage::Clone, async |cx| {
                        fetch::clone(&cx, url, path, plan.branch.as_deref()).await
                    })
                    .await;
                if cloned.is_err() {
                    discard(path, existed);
                }
                cloned?
            }
            None => open(plan)?,
        };
        let branch = self.resolve_branch(&git)?;
        let fetched = self
            .stages
            .run(Stage::Fetch, async |cx| {
                fetch::fetch(&cx, git, &branch).await
            })
            .await?;
        let checked_out = self
            .stages
            .run(Stage::Checkout, async |cx| {
                checkout::checkout(&cx, fetched, plan.force).await
            })
            .await?;
        let pulled = self
            .stages
            .run(Stage::Pull, async |cx| {
                pull::pull(&cx, checked_out, plan.force).await
            })
            .await?;
        self.commit = Some(pulled.commit.clone());
        image.fail_early().await?;

        let output = store.binary(&plan.repository.name);
        let binary = self
            .stages
            .run(Stage::Build, async |cx| {
                build::build(
                    &cx,
                    &toolchain,
                    &platform,
                    &plan.repository,
                    &plan.build,
                    &output,
                )
                .await
            })
            .await?;

        let handed = self
            .replace(engine, &store, &pulled, &binary, image, formers)
            .await;
        match &handed {
            Ok(_) => upkeep::retire(engine, &store, plan, self.stages.emitter).await,
            Err(_) => store.remove(&plan.id)?,
        }
        handed
    }

    /// From the built program to the proven container.
    async fn replace(
        &mut self,
        engine: &Engine,
        store: &Store,
        pulled: &Pulled,
        binary: &Binary,
        mut image: Provision,
        formers: Vec<Container>,
    ) -> Result<Handed> {
        let plan = self.plan;
        let mut handover = None;
        let started = self
            .stages
            .run(Stage::Start, async |cx| {
                let image = image.wait(&cx).await?;
                let origin = Origin {
                    git: &pulled.git,
                    branch: &pulled.branch,
                    commit: &pulled.commit,
                };
                let spec = start::prepare(plan, store, origin, binary, &image)?;
                let handover = handover.insert(Handover::new(engine, &plan.health, spec, formers));
                start::start(&cx, handover, plan.canary).await
            })
            .await;
        let handed = match (started, &mut handover) {
            (Ok(started), Some(handover)) => {
                self.stages
                    .run(Stage::Health, async |cx| {
                        health::health(&cx, handover, started).await
                    })
                    .await
            }
            (Err(failure), _) => Err(failure),
            (Ok(_), None) => Err(Failure::new(
                Code::Internal,
                "a container without a hand-over",
            )),
        };
        self.downtime = handover.map(|handover| handover.downtime());
        handed
    }

    fn resolve_branch(&mut self, git: &Git) -> Result<String> {
        if let Some(branch) = &self.plan.branch {
            return Ok(branch.clone());
        }
        let branch = git.current_branch()?.ok_or_else(|| {
            Failure::new(Code::Usage, "no branch is checked out, and none is named")
                .hint("`--branch main` names one")
        })?;
        self.branch = Some(branch.clone());
        Ok(branch)
    }

    fn success(&self, handed: &Handed) -> Summary {
        Summary {
            replaced: handed.replaced.first().cloned(),
            container: Some(running(
                &handed.name,
                &handed.id,
                &handed.proof.details,
                self.plan.container.port,
            )),
            ..self.summary(State::Running, Outcome::Deployed)
        }
    }

    fn failure(&self, failure: &Failure, serving: Serving) -> Summary {
        let (state, outcome) = match failure.code {
            Code::Interrupted | Code::Terminated => (State::Cancelled, Outcome::Cancelled),
            Code::FormerLost => (State::Failed, Outcome::FailedDown),
            Code::Locked => (State::Failed, Outcome::Locked),
            _ => (State::Failed, Outcome::FailedOldServing),
        };
        Summary {
            exit_code: failure.exit_code(),
            nothing_runs: matches!(serving, Serving::Nothing),
            container: match serving {
                Serving::This(running) => Some(running),
                Serving::Nothing | Serving::Unknown => None,
            },
            problem: Some(failure.problem()),
            ..self.summary(state, outcome)
        }
    }

    fn summary(&self, state: State, outcome: Outcome) -> Summary {
        Summary {
            state,
            outcome,
            exit_code: 0,
            elapsed: self.begun.elapsed(),
            branch: self.branch.clone(),
            commit: self.commit.clone(),
            container: None,
            nothing_runs: false,
            replaced: None,
            downtime: self.downtime,
            stages: self.stages.times.clone(),
            problem: None,
        }
    }
}

/// Tells each stage's beginning and end, and keeps its time. A stage that begins always runs, so that
/// what the former one started is taken back by it: an interruption is the stage's own affair.
struct Stages<'a> {
    emitter: &'a Emitter,
    interrupt: &'a Interrupt,
    times: Vec<(Stage, Duration)>,
}

impl Stages<'_> {
    async fn run<T>(
        &mut self,
        stage: Stage,
        work: impl AsyncFnOnce(Context) -> Result<T>,
    ) -> Result<T> {
        self.emitter.emit(Event::Started(stage));
        let begun = Instant::now();
        let cx = Context {
            events: self.emitter.stage(stage),
            interrupt: self.interrupt.clone(),
        };
        let result = work(cx).await;
        let elapsed = begun.elapsed();
        self.times.push((stage, elapsed));
        match result {
            Ok(product) => {
                self.emitter.emit(Event::Finished { stage, elapsed });
                Ok(product)
            }
            Err(mut failure) => {
                failure.stage = Some(stage);
                self.emitter.emit(Event::Failed {
                    stage,
                    elapsed,
                    problem: failure.problem(),
                });
                Err(failure)
            }
        }
    }
}

/// What a container looks like from outside.
pub fn running(name: &str, id: &str, details: &Details, port: u16) -> Running {
    // The engine lists 0.0.0.0 and [::] apart.
    let wildcard = |binding: &Binding, v4: bool| {
        binding
            .ip
            .is_some_and(|ip| ip.is_unspecified() && ip.is_ipv4() == v4)
    };
    let ports = details.bindings.iter().filter(|binding| {
        !wildcard(binding, false)
            || !details
                .bindings
                .iter()
                .any(|other| wildcard(other, true) && other.host == binding.host)
    });
    Running {
        name: name.to_owned(),
        id: id.to_owned(),
        address: details
            .address
            .map(|ip| std::net::SocketAddr::new(ip, port).to_string()),
        ports: ports.map(Binding::display).collect(),
    }
}

/// What serves after a deployment that failed.
enum Serving {
    This(Running),
    Nothing,
    /// The engine could not be asked.
    Unknown,
}

async fn what_runs(engine: &Engine, plan: &Plan) -> Serving {
    let Ok(containers) = engine.containers(Some(&plan.repository.name)).await else {
        return Serving::Unknown;
    };
    let Some(serving) = start::formers(&containers, plan).into_iter().next() else {
        return Serving::Nothing;
    };
    match engine.inspect(&serving.id).await {
        Ok(Some(details)) => {
            let port = serving
                .identity
                .map_or(plan.container.port, |identity| identity.port);
            Serving::This(running(&serving.name, &serving.id, &details, port))
        }
        Ok(None) => Serving::Nothing,
        Err(_) => Serving::Unknown,
    }
}

fn open(plan: &Plan) -> Result<Git> {
    let git = Git::open(&plan.repository.path)?;
    match (&plan.repository.url, git.origin()) {
        (Some(wanted), Some(origin)) if *wanted != origin => Err(Failure::new(
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
    let failure = if plan.repository.path.exists() {
        Failure::new(Code::NotACheckout, format!("`{path}` is no git checkout"))
    } else {
        Failure::new(
            Code::NotACheckout,
            format!("there is no checkout at `{path}`"),
        )
    };
    failure
        .hint("`--url URL` clones one there; REPO is a path, a git URL, or a name below $SDP_ROOT")
}

/// Takes back the directory of a clone that failed.
fn discard(path: &Path, existed: bool) {
    std::fs::remove_dir_all(path.join(release::DIRECTORY)).ok();
    if !existed {
        std::fs::remove_dir(path).ok();
    }
}
