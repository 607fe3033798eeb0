//! How a test ends: it returns, panics with what it expected, or skips with a reason.

use std::cell::RefCell;

/// Payload of the unwinding that `skip` starts.
#[derive(Debug)]
pub(crate) struct Skip(pub String);

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Ends the test: what it needs is not there.
pub(crate) fn skip(reason: impl Into<String>) -> ! {
    std::panic::resume_unwind(Box::new(Skip(reason.into())))
}

/// Keeps the message for the report at the end instead of printing it between other tests' lines.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("panic");
        let place = panic.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
        LAST_PANIC.with(|last| *last.borrow_mut() = format!("{place}: {message}"));
    }));
}

pub(crate) fn last_panic() -> String {
    LAST_PANIC.with(|last| last.take())
}
