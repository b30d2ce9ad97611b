//! One file per stage: a function that takes what the former stage made. A wrong order does not
//! compile.

pub mod build;
pub mod checkout;
mod complete;
pub mod fetch;
pub mod health;
pub mod pull;
mod sampled;
pub mod start;

use crate::event::StageEmitter;
use crate::interrupt::Interrupt;

/// What every stage is given beside its input.
#[derive(Clone, Debug)]
pub struct Context {
    pub events: StageEmitter,
    pub interrupt: Interrupt,
}
