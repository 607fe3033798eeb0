//! How a test ends: it returns, panics with what it expected, or skips with a reason.

use libtest_mimic::{Completion, Failed};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// Skips that CI accepts: `PATTERN [@PLACE...]: REASON` per line. A `*` in a pattern stands for anything; the places are
/// `host` and the kernels of vm.sh (`FLOE_VM`), and without one a line holds everywhere.
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

/// Tests that CI runs again in a run: more than that is no accident.
const SECOND_CHANCES: usize = 3;

static FAILED_ONCE: Mutex<Vec<(String, Failed)>> = Mutex::new(Vec::new());

/// Runs a test, and in CI once more when it fails: thousands of tests with real engines and kernels share a busy machine, and
/// one that fails now and then must neither stop a change that it has nothing to do with nor be forgotten.
pub(crate) fn with_second_chance(
    name: &str,
    test: impl Fn() -> Result<Completion, Failed>,
) -> Result<Completion, Failed> {
    let first = test();
    let Err(failure) = &first else { return first };
    {
        let mut failed_once = FAILED_ONCE.lock().expect("not poisoned");
        if std::env::var_os("CI").is_none() || failed_once.len() == SECOND_CHANCES {
            return first;
        }
        failed_once.push((name.to_owned(), failure.clone()));
    }
    test()
}

/// Prints what failed the first time, whatever came of it then.
pub(crate) fn report_first_failures() {
    for (name, failure) in FAILED_ONCE.lock().expect("not poisoned").iter() {
        println!("failed once {name}: {}", failure.message().unwrap_or_default());
    }
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
    let here = std::env::var("FLOE_VM").unwrap_or_else(|_| "host".to_owned());
    let lines = ALLOWED_SKIPS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": ")).any(|(rule, _)| {
        let mut words = rule.split(' ');
        let pattern = words.next().expect("a first word");
        let mut places = words.map(|place| place.strip_prefix('@').expect("a place")).peekable();
        let matches = match pattern.split_once('*') {
            Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
            None => name == pattern,
        };
        matches && (places.peek().is_none() || places.any(|place| place == here))
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
