//! Signals become one cancellation. The first SIGINT or SIGTERM asks; the second one kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Code, Failure};

/// Which signal asked sdp to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// The shell's convention: 128 + the signal's number.
    pub const fn exit_code(self) -> u8 {
        match self {
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
        }
    }
}

/// The cancellation that every wait listens to; cheap to clone.
#[derive(Clone, Debug)]
pub struct Interrupt {
    signal: watch::Receiver<Option<Signal>>,
    flag: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts to listen. `kill` runs at the second signal and ends the process.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn listen(kill: impl Fn(Signal) + Send + 'static) -> anyhow::Result<Interrupt> {
        let mut interrupts = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let mut terminations = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let (sender, receiver) = watch::channel(None);
        let flag = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&flag);
        tokio::task::spawn(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = interrupts.recv() => Signal::Interrupt,
                    Some(()) = terminations.recv() => Signal::Terminate,
                    else => return,
                };
                if raised.swap(true, Ordering::SeqCst) {
                    kill(signal);
                }
                sender.send_replace(Some(signal));
            }
        });
        Ok(Interrupt {
            signal: receiver,
            flag,
        })
    }

    /// Set once a signal has come; for code that polls, on other threads.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// The signal, if one has come.
    pub fn signal(&self) -> Option<Signal> {
        *self.signal.borrow()
    }

    /// Waits for the first signal.
    pub async fn cancelled(&self) -> Signal {
        let mut signal = self.signal.clone();
        match signal.wait_for(Option::is_some).await.map(|s| *s) {
            Ok(Some(signal)) => signal,
            _ => std::future::pending().await,
        }
    }

    /// Fails once a signal has come; asked between two steps that must not be torn apart.
    ///
    /// # Errors
    /// `interrupted` or `terminated`.
    pub fn check(&self) -> Result<(), Failure> {
        self.signal().map_or(Ok(()), |signal| Err(signal.into()))
    }
}

impl From<Signal> for Failure {
    fn from(signal: Signal) -> Failure {
        match signal {
            Signal::Interrupt => Failure::new(Code::Interrupted, "interrupted"),
            Signal::Terminate => Failure::new(Code::Terminated, "terminated"),
        }
    }
}
