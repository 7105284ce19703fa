//! Calls into an engine, with its errors and its panics made into [`IndexError`].
//!
//! A damaged folder makes both engines panic now and then; the process must live on and rebuild. Nothing is retried here.

use super::{Engine, IndexError};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `call`, which asks `engine` to do what `doing` says.
///
/// Unwind safety: after a panic the engine is never called again, since the store gives the index up.
pub(super) fn guarded<T, E: std::error::Error + Send + Sync + 'static>(
    engine: Engine,
    doing: &'static str,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|source| IndexError::Broken { engine, doing, source: Box::new(source) }),
        Err(panic) => Err(IndexError::Panicked { engine, doing, message: message_of(panic.as_ref()) }),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[test]
fn a_panic_becomes_an_error_with_its_message() {
    let panicked = guarded::<(), std::io::Error>(Engine::Sled, "open", || panic!("page {} is gone", 7));
    assert_eq!(panicked.unwrap_err().to_string(), "the sled index panicked while it was asked to open: page 7 is gone");
}
