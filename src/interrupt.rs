//! Signals become one cancellation. The first SIGINT or SIGTERM asks; the second one kills.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    children: Arc<Mutex<BTreeSet<u32>>>,
}

impl Interrupt {
    /// Starts to listen. The second signal kills the children and ends the process on the spot.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn listen() -> anyhow::Result<Interrupt> {
        let mut interrupts = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let mut terminations = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let (sender, receiver) = watch::channel(None);
        let flag = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&flag);
        let children = Arc::new(Mutex::new(BTreeSet::new()));
        let orphans = Arc::clone(&children);
        tokio::task::spawn(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = interrupts.recv() => Signal::Interrupt,
                    Some(()) = terminations.recv() => Signal::Terminate,
                    else => return,
                };
                if raised.swap(true, Ordering::SeqCst) {
                    kill(&orphans, signal);
                }
                sender.send_replace(Some(signal));
            }
        });
        Ok(Interrupt {
            signal: receiver,
            flag,
            children,
        })
    }

    /// Remembers a child that leads a process group of its own, until the result is dropped.
    pub fn child(&self, pid: u32) -> Child {
        lock(&self.children).insert(pid);
        Child {
            pid,
            children: Arc::clone(&self.children),
        }
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

/// A child process that the second signal kills.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    children: Arc<Mutex<BTreeSet<u32>>>,
}

impl Drop for Child {
    fn drop(&mut self) {
        lock(&self.children).remove(&self.pid);
    }
}

fn lock(children: &Mutex<BTreeSet<u32>>) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
    children.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::exit)] // whoever asks twice does not want to wait for anything
fn kill(children: &Mutex<BTreeSet<u32>>, signal: Signal) -> ! {
    use rustix::process::{Pid, Signal as Number, kill_process_group};
    for pid in lock(children).iter() {
        if let Some(group) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
            kill_process_group(group, Number::KILL).ok();
        }
    }
    std::process::exit(i32::from(signal.exit_code()))
}

impl From<Signal> for Failure {
    fn from(signal: Signal) -> Failure {
        match signal {
            Signal::Interrupt => Failure::new(Code::Interrupted, "interrupted"),
            Signal::Terminate => Failure::new(Code::Terminated, "terminated"),
        }
    }
}
