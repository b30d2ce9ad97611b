//! The two ends of an event stream.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;

use super::{Amount, Event, LogLines, Stage, Stream};

/// An event with its place in the stream.
#[derive(Debug)]
pub struct Record {
    pub deployment_id: Arc<str>,
    /// 0, 1, 2, … without a hole; of log lines the first one's, and each has its own.
    pub seq: u64,
    /// Unix milliseconds; never goes back within a stream.
    pub at: u64,
    pub event: Event,
}

/// How many bytes of log lines may wait for the report before whoever reads them has to wait.
const LOG_QUEUE: u32 = 256 * 1024;

/// The sending end of the event stream; cheap to clone.
#[derive(Clone, Debug)]
pub struct Emitter {
    tail: Arc<Mutex<Tail>>,
    log_slots: Arc<Semaphore>,
    /// What its events are about; `None`: what the stream is about.
    deployment_id: Option<Arc<str>>,
}

#[derive(Debug)]
struct Tail {
    /// `None` until it is known which deployment the stream is about.
    deployment_id: Option<Arc<str>>,
    /// What was said before that, and when.
    held: Vec<(u64, Event)>,
    seq: u64,
    at: u64,
    records: Sender<Record>,
}

impl Tail {
    fn send(&mut self, deployment_id: Arc<str>, at: u64, event: Event) {
        let record = Record {
            deployment_id,
            seq: self.seq,
            at,
            event,
        };
        self.seq += match &record.event {
            Event::Log(lines) => lines.count() as u64,
            _ => 1,
        };
        self.records.send(record).ok();
    }
}

impl Emitter {
    /// A new event stream and its receiving end. Without an id it holds everything back until
    /// [`Emitter::about`] tells the one that all events of a stream carry.
    pub fn new(deployment_id: Option<&str>) -> (Emitter, Receiver<Record>) {
        let (records, receiver) = channel();
        let emitter = Emitter {
            tail: Arc::new(Mutex::new(Tail {
                deployment_id: deployment_id.map(Arc::from),
                held: Vec::new(),
                seq: 0,
                at: 0,
                records,
            })),
            log_slots: Arc::new(Semaphore::new(LOG_QUEUE as usize)),
            deployment_id: None,
        };
        (emitter, receiver)
    }

    /// Sends an event. Never blocks, and never fails: a report that is gone must not stop the work.
    pub fn emit(&self, event: Event) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock may be set back.
        tail.at = tail.at.max(unix_millis());
        let at = tail.at;
        match self.deployment_id.as_ref().or(tail.deployment_id.as_ref()) {
            Some(id) => {
                let id = Arc::clone(id);
                tail.send(id, at, event);
            }
            None => tail.held.push((at, event)),
        }
    }

    /// Tells which deployment the stream is about, if that is not known yet; empty if it is about no
    /// single one.
    pub fn about(&self, deployment_id: &str) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.deployment_id.is_none() {
            let id: Arc<str> = deployment_id.into();
            for (at, event) in std::mem::take(&mut tail.held) {
                tail.send(Arc::clone(&id), at, event);
            }
            tail.deployment_id = Some(id);
        }
    }

    /// Sends lines of the program's, once the report has room for them, and leaves none behind.
    pub async fn log(&self, lines: &mut LogLines) {
        let size = u32::try_from(lines.size()).unwrap_or(LOG_QUEUE);
        let slots = Arc::clone(&self.log_slots);
        lines.slot = slots.acquire_many_owned(size.min(LOG_QUEUE)).await.ok();
        self.emit(Event::Log(std::mem::take(lines)));
    }

    /// The same stream, for lines of another deployment's.
    pub fn of(&self, deployment_id: &str) -> Emitter {
        Emitter {
            deployment_id: Some(deployment_id.into()),
            ..self.clone()
        }
    }

    /// Sends a warning that belongs to no stage.
    pub fn warn(&self, line: impl Into<String>, hint: Option<String>) {
        self.emit(Event::Warning {
            stage: None,
            line: line.into(),
            hint,
        });
    }

    /// An emitter for the events of one stage.
    pub fn stage(&self, stage: Stage) -> StageEmitter {
        StageEmitter {
            emitter: self.clone(),
            stage,
        }
    }
}

/// What a stage tells while it runs. Its beginning and end are told by the pipeline.
#[derive(Clone, Debug)]
pub struct StageEmitter {
    emitter: Emitter,
    stage: Stage,
}

impl StageEmitter {
    /// A remark: what the stage found out or waits for.
    pub fn note(&self, line: impl Into<String>) {
        self.emitter.emit(Event::Note {
            stage: self.stage,
            line: line.into(),
        });
    }

    /// How far the stage has come.
    pub fn update(&self, amount: Amount) {
        self.emitter.emit(Event::Update {
            stage: self.stage,
            amount,
        });
    }

    /// A line from a tool that the stage runs.
    pub fn output(&self, stream: Stream, line: impl Into<String>) {
        self.emitter.emit(Event::Output {
            stage: self.stage,
            stream,
            line: line.into(),
        });
    }

    /// Something that did not stop the stage but should be known.
    pub fn warn(&self, line: impl Into<String>, hint: Option<String>) {
        self.emitter.emit(Event::Warning {
            stage: Some(self.stage),
            line: line.into(),
            hint,
        });
    }
}

/// The time, in Unix milliseconds.
pub fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_take_the_stream_along() {
        let (emitter, records) = Emitter::new(Some("id"));
        let ahead = unix_millis() + 3_600_000;
        emitter.tail.lock().unwrap().at = ahead;
        emitter.warn("one", None);
        emitter.warn("two", None);
        drop(emitter);
        let told: Vec<(u64, u64)> = records.iter().map(|r| (r.seq, r.at)).collect();
        assert_eq!(told, [(0, ahead), (1, ahead)]);
    }

    #[test]
    fn all_events_carry_the_id_that_is_told_first() {
        let (emitter, records) = Emitter::new(None);
        emitter.warn("early", None);
        assert!(records.try_recv().is_err());
        emitter.about("id");
        emitter.about("other");
        emitter.warn("late", None);
        drop(emitter);
        let told: Vec<(u64, String)> = records
            .iter()
            .map(|r| (r.seq, r.deployment_id.to_string()))
            .collect();
        assert_eq!(told, [(0, "id".to_owned()), (1, "id".to_owned())]);
    }
}
