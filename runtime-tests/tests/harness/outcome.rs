//! How a test ends: it returns, panics with what it expected, or skips with a reason.

use libtest_mimic::{Completion, Failed};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// Skips that CI accepts: `pattern: reason` per line, `*` at the end of a pattern matches the rest.
const ALLOWED_SKIPS: &str = include_str!("../../skips.txt");

static SKIPPED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Payload of the unwinding that `skip` starts.
#[derive(Debug)]
struct Skip(String);

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Ends the test: what it needs is not there.
pub(crate) fn skip(reason: impl Into<String>) -> ! {
    std::panic::resume_unwind(Box::new(Skip(reason.into())))
}

/// Runs a test to its end and remembers a skip for the report.
pub(crate) fn of(name: &str, test: impl FnOnce()) -> Result<Completion, Failed> {
    catch_unwind(AssertUnwindSafe(test)).map(|()| Completion::Completed).or_else(|payload| {
        match payload.downcast::<Skip>() {
            Ok(skip) => {
                SKIPPED.lock().expect("not poisoned").push((name.to_owned(), skip.0.clone()));
                Ok(Completion::ignored_with(skip.0))
            }
            Err(_) => Err(Failed::from(last_panic())),
        }
    })
}

/// Prints every skip; false when CI must not accept one of them.
pub(crate) fn report_skips() -> bool {
    let mut acceptable = true;
    for (name, reason) in SKIPPED.lock().expect("not poisoned").iter() {
        let expected = is_allowed(name);
        println!("skip {name}: {reason}{}", if expected { "" } else { " (not in runtime-tests/skips.txt)" });
        acceptable &= expected || std::env::var_os("CI").is_none();
    }
    acceptable
}

fn is_allowed(name: &str) -> bool {
    let lines = ALLOWED_SKIPS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": ")).any(|(pattern, _)| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    })
}

/// Keeps the message for the report at the end instead of printing it between other tests' lines.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("panic");
        let place = panic.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
        LAST_PANIC.with(|last| *last.borrow_mut() = format!("{place}: {message}"));
    }));
}

fn last_panic() -> String {
    LAST_PANIC.with(|last| last.take())
}
