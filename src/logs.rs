//! `sdp logs`, and the end of `sdp deploy --follow`: what a container prints.
//!
//! Following goes on over restarts of the container and of the engine, and from a container to the one
//! that takes its place. The engine ends the log whenever the process ends, so each time it is asked
//! for the rest once more, and then for what comes after: [`place`] knows what has been seen.

mod place;

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::engine::{Container, Details, Engine, Identity, LogQuery, LogReader, goes_on};
use crate::event::{Emitter, LogLine, LogLines};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::release;
use place::Place;

/// How often a container between two attempts, or the place of one that has gone, is looked at.
const RESTART: Duration = Duration::from_millis(100);

/// How often an engine that is away is asked whether it is back.
const AWAY: Duration = Duration::from_millis(500);

/// How long an engine that goes away may leave a question without an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// By how much a program's first line may be earlier than its start, as the engine tells it.
const EARLY: Duration = Duration::from_secs(5);

/// After so much silence, or at most twice as much, it is looked whether there would be something to hear: the
/// engine can lose track of a log that it rotates, and then it tells of no end, either. As long as there
/// is nothing, that is looked for ever less often.
const SILENCE: Duration = Duration::from_secs(1);
const LONG_SILENCE: Duration = Duration::from_secs(16);

/// Lines go to the report together: when a moment has passed since the last ones went, or so many
/// bytes are there.
const MOMENT: Duration = Duration::from_millis(1);
const ENOUGH: usize = 64 * 1024;

/// The engine sends each line by itself, and whoever waits for each line of a flood is woken for each, which
/// costs more than the line, on both sides. So where so many lines have just come, some may gather.
const MANY: usize = 8;
const GATHER: Duration = Duration::from_micros(200);

/// So often the connection may run before nothing more is there: once to read, and once to pass it on.
const TURNS: usize = 3;

/// A container whose program prints.
#[derive(Clone, Debug)]
pub struct Program {
    /// The container's id.
    pub id: String,
    /// The service whose next container is followed in its turn; `None`: this container only.
    pub service: Option<Identity>,
}

/// Sends the `wanted` ones of a container's lines to the report; following goes on until Ctrl-C, until
/// the moment that was named, or until the program has ended for good. Neither Ctrl-C nor the program's end is an error.
///
/// # Errors
/// `log_unreadable`, and those of any call to the engine.
pub async fn logs(
    engine: &Engine,
    program: Program,
    wanted: LogQuery,
    emitter: &Emitter,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut reading = Reading {
        engine: if wanted.follow {
            engine.impatient(PATIENCE)
        } else {
            engine.clone()
        },
        began: Timestamp::now(),
        program,
        emitter: emitter.clone(),
        place: Place::beginning(wanted.since),
        others: HashMap::new(),
        batch: LogLines::default(),
        sent: Instant::now(),
        wanted,
    };
    tokio::select! {
        biased;
        _ = interrupt.cancelled() => Ok(()),
        result = reading.run() => result,
    }
}

/// A log that is being read. What has been read is kept here, not in the futures that read it: they
/// may be dropped at any point.
struct Reading {
    engine: Engine,
    /// Its `tail` is of the first reading only.
    wanted: LogQuery,
    began: Timestamp,
    program: Program,
    /// Tells of the program's deployment.
    emitter: Emitter,
    place: Place,
    /// The places of containers that were followed before.
    others: HashMap<String, Place>,
    /// The lines that have not gone to the report yet.
    batch: LogLines,
    /// When the last ones went.
    sent: Instant,
}

impl Reading {
    async fn run(&mut self) -> Result<()> {
        let found = self.engine.inspect(&self.program.id).await?;
        let found = found.ok_or_else(|| Failure::not_deployed(&self.program.id))?;
        self.wanted.tty = found.tty;
        match (self.wanted.follow, self.wanted.until) {
            (false, _) => self.read_all().await,
            (true, None) => self.follow().await,
            (true, Some(until)) => {
                let left = until.duration_since(Timestamp::now());
                let left = Duration::try_from(left).unwrap_or_default();
                match timeout_at(Instant::now() + left, self.follow()).await {
                    Ok(result) => result,
                    Err(_) => self.read_all().await,
                }
            }
        }
    }

    /// Reads what there is, a line that is still without its newline included.
    async fn read_all(&mut self) -> Result<()> {
        let reader = self.read(false).await?;
        self.finish(reader, |_| false).await;
        Ok(())
    }

    async fn follow(&mut self) -> Result<()> {
        loop {
            let exit_code = self.follow_program().await?;
            match self.successor().await? {
                Some(next) if next.id == self.program.id => {}
                Some(next) => self.turn_to(next).await?,
                None => {
                    let line = match exit_code {
                        Some(code) => format!("the program ended with exit code {code}"),
                        None => "the container was removed".to_owned(),
                    };
                    self.emitter.warn(line, None);
                    return Ok(());
                }
            }
        }
    }

    /// Follows a container until the engine will not start it again; its exit code, or `None` if it
    /// was removed.
    async fn follow_program(&mut self) -> Result<Option<i64>> {
        loop {
            let ended = match self.read(true).await {
                Ok(_) => self.read(false).await,
                failed => failed,
            };
            let mut found = self.inspect().await?;
            let broken = match ended {
                Ok(reader) => {
                    // What a program that runs again has begun to print is read again as a whole.
                    let again = found.as_ref().filter(|found| found.running);
                    let again = again.map(|found| found.started_at.clone());
                    // The engine takes the time of a start when the program may have begun to print.
                    let stays = |line: &LogLine<'_>| {
                        let (time, start) = (moment(line.time), moment(again.as_deref()));
                        start.is_some() && (time >= start || goes_on(line))
                    };
                    self.finish(reader, stays).await;
                    false
                }
                Err(failure) if found.is_some() && failure.code != Code::EngineUnreachable => {
                    return Err(failure);
                }
                Err(_) => true,
            };
            sleep(RESTART).await;
            while let Some(true) = found.as_ref().map(|found| found.restarting) {
                sleep(RESTART).await;
                found = self.inspect().await?;
            }
            match found {
                None => return Ok(None),
                Some(found) if !found.running && !broken => return Ok(Some(found.exit_code)),
                Some(_) => {}
            }
        }
    }

    /// The container that has taken the ended one's place, once nobody is at work on the service any more
    /// or it runs.
    async fn successor(&self) -> Result<Option<Container>> {
        let Some(service) = &self.program.service else {
            return Ok(None);
        };
        loop {
            let at_work = release::is_locked(&service.path);
            let containers = self
                .patiently(async || self.engine.containers().await)
                .await?;
            let next = containers.into_iter().find(|container| {
                let fits = |other: &Identity| {
                    (&other.repository, &other.path) == (&service.repository, &service.path)
                        && !other.canary
                };
                container.running && container.identity.as_ref().is_some_and(fits)
            });
            if next.is_some() || !at_work {
                return Ok(next);
            }
            sleep(RESTART).await;
        }
    }

    /// Goes on with another container, from its first line on; one that was there before, from its
    /// start on.
    async fn turn_to(&mut self, next: Container) -> Result<()> {
        let Some(found) = self
            .patiently(async || self.engine.inspect(&next.id).await)
            .await?
        else {
            return Ok(());
        };
        let place = self.others.remove(&next.id).unwrap_or_else(|| {
            let is_new = i128::from(next.created) >= self.began.as_nanosecond();
            let start = first_words(&found);
            Place::beginning(start.filter(|_| !is_new).or(self.wanted.since))
        });
        let left = std::mem::replace(&mut self.place, place);
        self.others
            .insert(std::mem::take(&mut self.program.id), left);
        if let Some(identity) = &next.identity {
            self.emitter = self.emitter.of(&identity.deployment);
        }
        self.emitter
            .warn(format!("`{}` has taken over", next.name), None);
        self.wanted.tty = found.tty;
        self.program = Program {
            id: next.id,
            service: next.identity,
        };
        Ok(())
    }

    /// Describes the container; waits for an engine that is away.
    async fn inspect(&self) -> Result<Option<Details>> {
        self.patiently(async || self.engine.inspect(&self.program.id).await)
            .await
    }

    /// Asks the engine until it answers.
    async fn patiently<T>(&self, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
        let mut told = false;
        loop {
            match ask().await {
                Err(failure) if failure.code == Code::EngineUnreachable => {
                    if !told {
                        let line = format!("waiting for the engine: {failure}");
                        self.emitter.warn(line, failure.hint);
                        told = true;
                    }
                }
                answered => return answered,
            }
            sleep(AWAY).await;
        }
    }

    /// Reads on from where reading ended, until the engine has no more.
    async fn read(&mut self, follow: bool) -> Result<LogReader> {
        let shown = self.wanted.timestamps;
        let query = LogQuery {
            follow,
            since: self.place.resume(),
            // Where to go on is known from the last line's time.
            timestamps: shown || self.wanted.follow,
            ..self.wanted
        };
        if self.wanted.tail.take().is_some() {
            self.place.floor = self.place.floor.max(Some(self.began));
        }
        let mut reader = self.engine.read_log(&self.program.id, &query);
        // One timer for all lines: a million of them would be set and taken back.
        let mut silence = std::pin::pin!(sleep(SILENCE));
        let (mut heard, mut patience) = (false, SILENCE);
        loop {
            if self.batch.size() >= ENOUGH {
                self.send().await;
            }
            let (place, batch) = (&mut self.place, &mut self.batch);
            let (waits, is_flood) = (batch.count() > 0, batch.count() >= MANY);
            let due = self.sent + MOMENT;
            let more = tokio::select! {
                biased;
                more = reader.more(|line| take(line, shown, place, batch)) => more,
                () = nothing_more(due, is_flood), if waits => {
                    if Instant::now() >= due {
                        self.send().await;
                    } else {
                        // No timer of the runtime is as short, and nothing else is to be done on this thread.
                        std::thread::sleep(GATHER);
                    }
                    continue;
                }
                () = &mut silence, if follow => {
                    let again = std::mem::take(&mut heard);
                    if !again && self.has_lost_track().await {
                        self.send().await;
                        return Ok(reader);
                    }
                    patience = if again { SILENCE } else { LONG_SILENCE.min(patience * 2) };
                    silence.as_mut().reset(Instant::now() + patience);
                    continue;
                }
            };
            heard = true;
            if !matches!(more, Ok(true)) {
                self.send().await;
            }
            if !more? {
                return Ok(reader);
            }
        }
    }

    /// Whether the engine tells nothing more of a log that it follows, though the container has ended or
    /// has printed more.
    async fn has_lost_track(&self) -> bool {
        match self.engine.inspect(&self.program.id).await {
            Ok(Some(found)) if found.running => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
        let newest = LogQuery {
            tail: Some(1),
            timestamps: true,
            only: self.wanted.only,
            tty: self.wanted.tty,
            ..LogQuery::default()
        };
        let mut reader = self.engine.read_log(&self.program.id, &newest);
        let mut is_behind = false;
        // A line without its newline is not shown yet, either.
        while let Ok(true) = reader
            .more(|line| is_behind |= self.place.is_behind(&line))
            .await
        {}
        is_behind
    }

    async fn finish(&mut self, reader: LogReader, stays: impl Fn(&LogLine<'_>) -> bool) {
        let (place, batch) = (&mut self.place, &mut self.batch);
        let shown = self.wanted.timestamps;
        reader.finish(stays, |line| take(line, shown, place, batch));
        self.send().await;
    }

    async fn send(&mut self) {
        if self.batch.count() > 0 {
            self.emitter.log(&mut self.batch).await;
            self.sent = Instant::now();
        }
    }
}

/// Returns when nothing more has come for now: of a flood at once, else when the lines at hand are due.
async fn nothing_more(due: Instant, is_flood: bool) {
    for _ in 0..TURNS {
        yield_now().await;
    }
    if !is_flood {
        sleep_until(due).await;
    }
}

fn take(mut line: LogLine<'_>, shown: bool, place: &mut Place, batch: &mut LogLines) {
    if place.is_new(&line) {
        line.time = line.time.filter(|_| shown);
        batch.push(line);
    }
}

/// From when on lines are of a container's present run: the engine takes the time of a start when the program
/// may have printed something, but not before the run before had ended.
fn first_words(found: &Details) -> Option<Timestamp> {
    let ended = moment(Some(&found.finished_at));
    let early = moment(Some(&found.started_at))?.checked_sub(EARLY).ok();
    early.max(ended)
}

fn moment(time: Option<&str>) -> Option<Timestamp> {
    time.and_then(|time| time.parse().ok())
}

/// The container whose log a repository's name stands for: the one that runs, else the newest.
///
/// # Errors
/// `not_deployed`.
pub fn choose<'a>(containers: &'a [Container], repository: &str) -> Result<&'a Container> {
    let canary = |container: &&Container| {
        container
            .identity
            .as_ref()
            .is_some_and(|identity| identity.canary)
    };
    let mut own = containers.iter().filter(|container| !canary(container));
    let newest = own.clone().next();
    own.find(|container| container.running)
        .or(newest)
        .ok_or_else(|| Failure::not_deployed(repository))
}
