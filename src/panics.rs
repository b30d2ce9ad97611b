//! A panic is a fault in sdp like any other: it becomes a failure, and the last word is still said.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use futures_util::FutureExt as _;

use crate::failure::{Code, Failure, Result};

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics off standard error, where they would show what no redactor has seen.
pub fn hush() {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        PLACE.with_borrow_mut(|kept| *kept = place);
    }));
}

/// Does the work; a panic in it is a failure.
///
/// # Errors
/// Those of the work, and `internal`.
pub async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // What the work has touched is only looked at to tell how it ended. On the heap, as it is large:
    // each function that it is handed through would have it on the stack again.
    let result = AssertUnwindSafe(Box::pin(work)).catch_unwind().await;
    result.unwrap_or_else(|payload| Err(failure(payload.as_ref())))
}

/// The same for work of a thread of its own.
///
/// # Errors
/// `internal`.
pub fn caught_here(work: impl FnOnce()) -> Result<()> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| failure(payload.as_ref()))
}

fn failure(payload: &(dyn Any + Send)) -> Failure {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = PLACE.with_borrow_mut(Option::take);
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    let message = format!(
        "sdp panicked{place}: {}",
        text.unwrap_or("without a message")
    );
    Failure::new(Code::Internal, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_failure_that_asks_to_be_reported() {
        let failure = caught::<()>(async { panic!("no {}", "way") })
            .await
            .unwrap_err();
        assert_eq!((failure.code, failure.exit_code()), (Code::Internal, 1));
        let problem = failure.problem();
        assert!(problem.message.ends_with("no way"), "{problem:?}");
        assert!(problem.hint.unwrap().contains("report"));
    }
}
