//! One file per stage: a function that takes what the former stage made. A wrong order does not
//! compile.

pub mod build;
pub mod checkout;
mod complete;
pub mod fetch;
pub mod health;
pub mod hook;
pub mod package;
pub mod pull;
mod sampled;
pub mod start;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::event::StageEmitter;
use crate::interrupt::Interrupt;

/// What every stage is given beside its input.
#[derive(Clone, Debug)]
pub struct Context {
    pub events: StageEmitter,
    pub interrupt: Interrupt,
    /// How long git's remote was waited for.
    pub remote: Rc<Cell<Duration>>,
}

impl Context {
    /// Adds to the time that git's remote was waited for.
    pub fn waited_for_remote(&self, time: Duration) {
        self.remote.set(self.remote.get() + time);
    }
}
