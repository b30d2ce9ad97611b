//! Work on a thread of its own, whose progress is looked at on a tick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::child;
use crate::event::StageEmitter;
use crate::failure::{Code, Failure, Result};
use crate::git::Meter;

/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(100);

/// How long work may take to notice that nobody wants it any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a remote may be silent before people hear of it.
const SILENCE: Duration = Duration::from_secs(10);

/// A terminal's Ctrl-C reaches git's child processes too, whose end may be seen before the signal is.
const NEWS: Duration = Duration::from_millis(50);

/// Runs `work`, telling how far it has come, until it is done or `cancelled`, which gives the reason;
/// its flag is set then. Work that does not notice that it is cancelled, on a connection that stalls
/// for one, is left behind: it must be able to die with the process at any time.
pub async fn run<T: Send + 'static>(
    events: &StageEmitter,
    meter: &Meter,
    cancelled: impl Future<Output = Failure>,
    work: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, mut receiver) = oneshot::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let is_stopped = Arc::clone(&stop);
    // Not a task of the runtime's: that would wait for it before it ends.
    std::thread::Builder::new()
        .name("git".to_owned())
        .spawn(move || {
            let done = child::deaf_to_ctrl_z(|| work(&is_stopped));
            sender.send(done).ok()
        })
        .map_err(|error| Failure::io(Code::Internal, "start a thread", error))?;

    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    let mut shown = None;
    tokio::pin!(cancelled);
    loop {
        tokio::select! {
            // Work fails when it is cancelled; the signal is the reason to give.
            biased;
            reason = &mut cancelled => {
                stop.store(true, Ordering::SeqCst);
                timeout(PATIENCE, receiver).await.ok();
                return Err(reason);
            }
            done = &mut receiver => {
                let done = done.unwrap_or_else(|_| {
                    Err(Failure::new(Code::Internal, "a thread of sdp's ended too early"))
                });
                if done.is_err() && let Ok(reason) = timeout(NEWS, &mut cancelled).await {
                    return Err(reason);
                }
                return done;
            }
            _ = ticks.tick() => {
                let amount = meter.sample();
                if let Some(amount) = amount.filter(|_| amount != shown) {
                    events.update(amount);
                    shown = Some(amount);
                }
            }
        }
    }
}

/// Returns when `meter` has stood still for `limit`; a good while before that, it is told once.
pub async fn stalled(meter: &Meter, limit: Duration, events: &StageEmitter) {
    let mut last = (meter.pulse(), Instant::now());
    let notice = SILENCE.min(limit / 2);
    let mut is_told = false;
    while last.1.elapsed() < limit {
        if !is_told && last.1.elapsed() >= notice {
            events.warn(
                format!(
                    "the remote has sent nothing for {notice:?}; at {limit:?} that is an error"
                ),
                None,
            );
            is_told = true;
        }
        let left = limit.saturating_sub(last.1.elapsed());
        sleep(left.min(TICK)).await;
        let pulse = meter.pulse();
        if pulse != last.0 {
            last = (pulse, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::event::{Emitter, Stage};
    use crate::interrupt::Signal;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn work_that_never_notices_is_left_behind() {
        let (emitter, _records) = Emitter::new(Some("test"));
        let (unblock, blocked) = std::sync::mpsc::channel::<()>();
        let result = block_on(async {
            run(
                &emitter.stage(Stage::Fetch),
                &Meter::default(),
                std::future::ready(Signal::Terminate.into()),
                move |_| {
                    blocked.recv().ok();
                    Ok(())
                },
            )
            .await
        });
        drop(unblock);
        assert_eq!(result.unwrap_err().code, Code::Terminated);
    }

    #[test]
    fn work_that_panics_is_a_failure() {
        let (emitter, _records) = Emitter::new(Some("test"));
        let result = block_on(async {
            run(
                &emitter.stage(Stage::Fetch),
                &Meter::default(),
                std::future::pending(),
                |_| -> Result<()> { std::panic::resume_unwind(Box::new(())) },
            )
            .await
        });
        assert_eq!(result.unwrap_err().code, Code::Internal);
    }
}
