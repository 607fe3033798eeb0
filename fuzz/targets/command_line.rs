//! Arguments, one to a line: the definitions of one command read a line as the complete ones do.
#![no_main]

// The binary has no library; these two modules stand alone.
#[path = "../../crates/floe/src/args.rs"]
mod args;
#[path = "../../crates/floe/src/command_line.rs"]
#[allow(dead_code)] // Where the complaint about a wrong line goes.
mod command_line;
#[path = "../../crates/floe/src/values.rs"]
mod values;

use clap::{CommandFactory, FromArgMatches};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// What the arguments mean by these definitions; `None` when they are refused or ask for help.
fn meaning(program: &mut clap::Command, words: &[OsString]) -> Option<String> {
    let line = command_line::read(program, words.iter().cloned());
    let arguments = line.arguments.ok().filter(|_| !line.help)?;
    // A word is given once or twice: the flag and its value, or the command and `--`.
    assert!(arguments.len() <= 2 * words.len() + 1);
    let matches = program.try_get_matches_from_mut(arguments).ok()?;
    Some(format!("{:?}", args::Args::from_arg_matches(&matches).ok()?))
}

thread_local! {
    static PROGRAM: RefCell<clap::Command> = RefCell::new(args::Args::command());
}

fuzz_target!(|bytes: &[u8]| {
    let mut words = vec![OsString::from("floe")];
    words.extend(bytes.split(|byte| *byte == b'\n').map(|word| OsString::from_vec(word.to_vec())));
    let quick = words[1..].iter().find_map(|word| args::Args::one_command(word.to_str()?));
    if let Some(quick) = quick.and_then(|mut program| meaning(&mut program, &words)) {
        assert_eq!(PROGRAM.with_borrow_mut(|program| meaning(program, &words)), Some(quick));
    }
    for word in words.iter().filter_map(|word| word.to_str()) {
        let _ = values::duration_ms(word);
        assert!(values::size_bytes(word).is_ok_and(|size| size >= -1) || values::size_bytes(word).is_err());
        assert!(
            values::signal(word).is_ok_and(|signal| (0..=64).contains(&signal))
                || values::signal(word).is_err()
        );
        if let Ok((uid, gid)) = values::user(word) {
            assert!(uid != u32::MAX && gid != Some(u32::MAX));
        }
    }
});
