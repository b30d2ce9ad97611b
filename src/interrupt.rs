//! Signals become one cancellation. The first SIGINT or SIGTERM asks; the second one kills.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::child;
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
}

impl Interrupt {
    /// Starts to listen. The second signal kills the children and ends the process on the spot.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn listen() -> anyhow::Result<Interrupt> {
        let mut interrupts = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let mut terminations = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        // A terminal that is closed must not leave a hand-over half-way.
        let mut hangups = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
        let (sender, receiver) = watch::channel(None);
        tokio::task::spawn(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = interrupts.recv() => Signal::Interrupt,
                    Some(()) = terminations.recv() => Signal::Terminate,
                    Some(()) = hangups.recv() => Signal::Terminate,
                    else => return,
                };
                if sender.send_replace(Some(signal)).is_some() {
                    kill(signal);
                }
            }
        });
        Ok(Interrupt { signal: receiver })
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

    /// Does `work`, which may be cut at any point, unless a signal comes first.
    ///
    /// # Errors
    /// Those of the work, `interrupted` or `terminated`.
    pub async fn or<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            signal = self.cancelled() => Err(signal.into()),
            result = work => result,
        }
    }

    /// Does `work`, which should not be cut: after a signal it gets `grace` to end by itself.
    ///
    /// # Errors
    /// Those of the work, `interrupted` or `terminated`.
    pub async fn or_after<T>(
        &self,
        grace: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::pin!(work);
        tokio::select! {
            biased;
            result = &mut work => result,
            signal = self.cancelled() => {
                tokio::time::timeout(grace, work).await.unwrap_or_else(|_| Err(signal.into()))
            }
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

/// Kills every child process that is left with all that it has started, those with a process group of
/// their own with all of it. Not all of them are sdp's own to wait for: a fetch through ssh is gix's, and
/// a shell may stand in between. Whoever waits for one on another thread may start the next one meanwhile,
/// as gix does after it has asked ssh of which kind it is.
pub fn kill_children() {
    let mut quiet = 0;
    for round in 0..20 {
        quiet = if kill_those_there_are() { 0 } else { quiet + 1 };
        if (round, quiet) == (0, 1) || quiet == 6 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Says whether there were any.
fn kill_those_there_are() -> bool {
    use rustix::process::{Pid, Signal as Number, getpid, kill_process, kill_process_group};
    let all = procfs::process::all_processes();
    let all = all.into_iter().flatten().flatten();
    let all: Vec<_> = all.filter_map(|process| process.stat().ok()).collect();
    let mut parents = vec![getpid().as_raw_nonzero().get()];
    let mut found = false;
    while let Some(parent) = parents.pop() {
        let is_child = |stat: &&procfs::process::Stat| stat.ppid == parent && stat.state != 'Z';
        for stat in all.iter().filter(is_child) {
            let Some(pid) = Pid::from_raw(stat.pid) else {
                continue;
            };
            if child::is_tethered(stat.pid) {
                // Its parent is killed, which is enough for all of it.
                continue;
            }
            if stat.pgrp == stat.pid {
                kill_process_group(pid, Number::KILL).ok();
            } else {
                kill_process(pid, Number::KILL).ok();
            }
            parents.push(stat.pid);
            found = true;
        }
    }
    found
}

#[allow(clippy::exit)] // whoever asks twice does not want to wait for anything
fn kill(signal: Signal) -> ! {
    kill_children();
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
