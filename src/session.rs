//! An event stream with its report, from the first word to the exit code.

use std::time::Duration;

use crate::event::{Emitter, Event};
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::panics;
use crate::redact::Redactor;
use crate::report::{self, Shown};

/// After a signal, a reader that has stopped reading is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// The exit code of a command that has nothing to do but show something, and could not.
pub const LOST: u8 = 3;

/// An event stream with its report.
pub struct Session {
    pub emitter: Emitter,
    report: report::Report,
}

impl Session {
    /// Without an id nothing is shown until [`Emitter::about`] tells it, or the session ends.
    pub fn new(id: Option<&str>, options: report::Options, redactor: Redactor) -> Session {
        let (emitter, records) = Emitter::new(id);
        Session {
            emitter,
            report: report::start(records, options, redactor),
        }
    }

    /// Says the last word, and returns the exit code.
    pub async fn end(self, result: Result<Event>, interrupt: &Interrupt) -> u8 {
        let (code, last) = match result {
            Ok(last) => (0, last),
            Err(failure) => {
                let exit_code = failure.exit_code();
                let problem = failure.problem();
                (exit_code, Event::Aborted { exit_code, problem })
            }
        };
        self.emitter.emit(last);
        self.finish(code, LOST, interrupt).await
    }

    /// Does work that only shows something, for as long as somebody looks.
    pub async fn while_read(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::select! {
            result = work => result,
            () = self.report.gone() => Ok(()),
        }
    }

    /// Waits until everything is written; after a signal, not much longer. Returns the exit code: that
    /// of the work, unless it went well and the report did not; `lost` if only standard output could not
    /// be written to.
    pub async fn finish(self, code: u8, lost: u8, interrupt: &Interrupt) -> u8 {
        self.emitter.about("");
        drop(self.emitter);
        let report = self.report;
        let mut written = tokio::task::spawn_blocking(move || report.finish());
        let shown = tokio::select! {
            shown = &mut written => shown.unwrap_or(Shown::Broken),
            _ = interrupt.cancelled() => match tokio::time::timeout(PATIENCE, written).await {
                Ok(shown) => shown.unwrap_or(Shown::Broken),
                // Its reader is the one who does not read.
                Err(_) => Shown::All,
            },
        };
        match (code, shown) {
            (0, Shown::Broken) => Failure::new(Code::Internal, "nothing was shown").exit_code(),
            (0, Shown::Lost) => lost,
            (code, _) => code,
        }
    }
}

/// Runs a command that a signal may cut at any point, and returns its exit code. `id` is that of the
/// deployment which it is about, as for [`Session::new`].
pub async fn answer(
    id: Option<&str>,
    options: report::Options,
    interrupt: &Interrupt,
    work: impl AsyncFnOnce(&Emitter) -> Result<Event>,
) -> u8 {
    let session = Session::new(id, options, Redactor::default());
    let work = panics::caught(work(&session.emitter));
    let result = interrupt.or(work).await;
    session.end(result, interrupt).await
}

/// Tells of a failure before there is anything to tell it with.
pub fn abort(options: report::Options, redactor: Redactor, failure: &Failure) -> u8 {
    let exit_code = failure.exit_code();
    let problem = failure.problem();
    let (emitter, records) = Emitter::new(Some(""));
    emitter.emit(Event::Aborted { exit_code, problem });
    drop(emitter);
    report::start(records, options, redactor).finish();
    exit_code
}
