//! How far git has come: counters that gix feeds on its threads and a stage samples on a tick.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gix::progress::{Count, Id, MessageLevel, NestedProgress, Progress, Step, StepShared, Unit};

use crate::event;

/// gix's ids of the tasks that are worth a number.
const RECEIVED_BYTES: Id = *b"BWRB";
const INDEXED_OBJECTS: Id = *b"IWIO";

/// Shared counters; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    bytes: StepShared,
    objects: Tally,
    files: Tally,
    /// What is not shown; that it changes says that something happens. One for each task: gix reads
    /// them, too.
    others: Mutex<Vec<StepShared>>,
    texts: AtomicUsize,
    waited: Mutex<Duration>,
}

#[derive(Debug, Default)]
struct Tally {
    done: StepShared,
    /// Zero while it is not known.
    total: AtomicUsize,
}

impl Tally {
    fn sample(&self, unit: event::Unit) -> Option<event::Amount> {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed);
        // gix counts the bases that it adds to a thin pack, but does not announce them.
        (total > 0).then(|| event::Amount {
            done: done as u64,
            total: Some(total.max(done) as u64),
            unit,
        })
    }
}

impl Meter {
    /// What there is to show now: files that are written, else objects that are received.
    pub fn sample(&self) -> Option<event::Amount> {
        let files = self.0.files.sample(event::Unit::Files);
        files.or_else(|| self.0.objects.sample(event::Unit::Objects))
    }

    /// Differs from what it was if anything has happened since.
    pub fn pulse(&self) -> impl PartialEq + use<> {
        let Counters {
            bytes,
            objects,
            files,
            others,
            texts,
            waited: _,
        } = &*self.0;
        let others = others.lock().unwrap_or_else(PoisonError::into_inner);
        [bytes, &objects.done, &files.done]
            .into_iter()
            .chain(&*others)
            .map(|counter| counter.load(Ordering::Relaxed))
            .chain([texts.load(Ordering::Relaxed)])
            .collect::<Vec<_>>()
    }

    /// Does `work`, most of which is waiting for the remote.
    pub(super) fn waiting<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        *self.lock_waited() += begun.elapsed();
        done
    }

    /// How long the remote was waited for.
    pub fn waited(&self) -> Duration {
        *self.lock_waited()
    }

    fn lock_waited(&self) -> MutexGuard<'_, Duration> {
        self.0.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes of packs have come in.
    pub(super) fn received(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed) as u64
    }

    /// Announces that `total` files are about to be written; the counter is for the writer.
    pub(super) fn files(&self, total: usize) -> Task {
        self.0.files.total.store(total, Ordering::Relaxed);
        self.task(Counter::Files)
    }

    /// The root of the task tree that gix reports to.
    pub(super) fn root(&self) -> Task {
        let steps = StepShared::default();
        let mut others = self.0.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.push(Arc::clone(&steps));
        self.task(Counter::Other(steps))
    }

    fn task(&self, counter: Counter) -> Task {
        Task {
            meter: self.clone(),
            counter,
        }
    }
}

/// A task in gix's tree of tasks.
pub(super) struct Task {
    meter: Meter,
    counter: Counter,
}

/// Where a task counts.
enum Counter {
    Bytes,
    Objects,
    Files,
    /// Nothing that is shown.
    Other(StepShared),
}

impl Task {
    fn steps(&self) -> &StepShared {
        match &self.counter {
            Counter::Bytes => &self.meter.0.bytes,
            Counter::Objects => &self.meter.0.objects.done,
            Counter::Files => &self.meter.0.files.done,
            Counter::Other(steps) => steps,
        }
    }
}

impl Count for Task {
    fn set(&self, step: Step) {
        self.steps().store(step, Ordering::Relaxed);
    }

    fn step(&self) -> Step {
        self.steps().load(Ordering::Relaxed)
    }

    fn inc_by(&self, step: Step) {
        self.steps().fetch_add(step, Ordering::Relaxed);
    }

    fn counter(&self) -> StepShared {
        Arc::clone(self.steps())
    }
}

impl Progress for Task {
    fn init(&mut self, max: Option<Step>, _unit: Option<Unit>) {
        self.set_max(max);
    }

    fn set_max(&mut self, max: Option<Step>) -> Option<Step> {
        if let Counter::Objects = self.counter {
            let total = &self.meter.0.objects.total;
            total.store(max.unwrap_or(0), Ordering::Relaxed);
        }
        None
    }

    // Texts, the remote's among them, come faster than anyone reads; numbers say enough.
    fn set_name(&mut self, _name: String) {
        self.meter.0.texts.fetch_add(1, Ordering::Relaxed);
    }

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        gix::progress::UNKNOWN
    }

    fn message(&self, _level: MessageLevel, _message: String) {
        self.meter.0.texts.fetch_add(1, Ordering::Relaxed);
    }
}

impl NestedProgress for Task {
    type SubProgress = Task;

    fn add_child(&mut self, _name: impl Into<String>) -> Task {
        self.meter.root()
    }

    fn add_child_with_id(&mut self, _name: impl Into<String>, id: Id) -> Task {
        match id {
            RECEIVED_BYTES => self.meter.task(Counter::Bytes),
            INDEXED_OBJECTS => {
                self.meter.0.objects.done.store(0, Ordering::Relaxed);
                self.meter.task(Counter::Objects)
            }
            _ => self.meter.root(),
        }
    }
}
