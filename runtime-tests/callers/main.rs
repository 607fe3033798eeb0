//! Unmodified engines with floe: Podman, Buildah, containerd, Docker and LXC from Debian, each case with its own expected
//! outcome.
//!
//! `make test-callers`; the arguments are libtest's, a case is `CALLER::NAME`. Needs root and the tree that `make
//! peers` makes. The engines find floe through the files in contrib.

mod buildah;
mod buildkit;
mod case;
mod containerd;
mod cri;
mod docker;
#[path = "../tests/harness/isolation.rs"]
mod isolation;
mod lxc;
#[path = "../tests/harness/outcome.rs"]
mod outcome;
mod podman;
mod rootless;
mod world;

use case::Caller;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = libtest_mimic::Arguments::from_args();
    let callers = [
        podman::caller(),
        rootless::caller(),
        buildah::caller(),
        containerd::caller(),
        cri::caller(),
        docker::caller(),
        buildkit::caller(),
        lxc::caller(),
    ];
    if arguments.list {
        let trials = callers.into_iter().flat_map(Caller::into_trials).collect();
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    if !nix::unistd::geteuid().is_root() {
        println!("skip callers: needs root");
        return if std::env::var_os("CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    // Most of a case is waiting for the engine.
    arguments.test_threads.get_or_insert(4);
    world::within(|| run(&arguments, callers))
}

fn run(arguments: &libtest_mimic::Arguments, callers: impl IntoIterator<Item = Caller>) -> ExitCode {
    outcome::install_panic_hook();
    let mut good = true;
    let mut counts = String::new();
    for mut caller in callers {
        caller.cases.retain(|case| {
            let selects = |filter: &String| {
                if arguments.exact { case.name == *filter } else { case.name.contains(filter.as_str()) }
            };
            arguments.filter.as_ref().is_none_or(selects) && !arguments.skip.iter().any(selects)
        });
        if caller.cases.is_empty() {
            continue;
        }
        let (name, leftovers) = (caller.name, caller.leftovers);
        let versions = case::versions(caller.packages);
        println!("{name}: {versions}");
        caller.start();
        let result = libtest_mimic::run(arguments, caller.into_trials());
        let left = case::leftovers(leftovers);
        if !left.is_empty() {
            println!("{name}: left behind: {left}");
        }
        good &= !result.has_failed() && left.is_empty();
        counts += &format!(
            "caller {name}: {} passed, {} failed, {} skipped ({versions})\n",
            result.num_passed, result.num_failed, result.num_ignored
        );
    }
    outcome::report_first_failures();
    good &= outcome::report_skips();
    print!("{counts}");
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
