//! From our cases to libtest's command line, output and exit code, plus skips and the leak check at the end.

use super::{Case, Test, environment, outcome};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::ExitCode;

pub(crate) fn run(mut arguments: Arguments, cases: Vec<Case>) -> ExitCode {
    outcome::install_panic_hook();
    // Most of a test is waiting for the kernel.
    arguments.test_threads.get_or_insert(4);
    // Some tests need the machine for themselves, after the others.
    let ignored: Vec<(String, String)> =
        cases.iter().filter_map(|case| Some((case.name.clone(), case.ignored.clone()?))).collect();
    let (alone, together): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.alone);
    if arguments.list {
        let trials = together.into_iter().chain(alone).map(trial).collect();
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    let before = Traces::now();
    let first = libtest_mimic::run(&arguments, together.into_iter().map(trial).collect());
    arguments.test_threads = Some(1);
    let second = libtest_mimic::run(&arguments, alone.into_iter().map(trial).collect());

    let mut failed = first.has_failed() || second.has_failed();
    outcome::report_first_failures();
    failed |= !outcome::report_skips();
    if !arguments.ignored && !arguments.include_ignored {
        let selects =
            |name: &str| arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
        for (name, reason) in ignored.iter().filter(|(name, _)| selects(name)) {
            println!("not run {name}: {reason}");
        }
    }
    if let Err(leak) = before.compare() {
        println!("leak: {leak}");
        failed = true;
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out; of all container tests",
        if failed { "FAILED" } else { "ok" },
        first.num_passed + second.num_passed,
        first.num_failed + second.num_failed,
        first.num_ignored + second.num_ignored,
        first.num_filtered_out + second.num_filtered_out,
    );
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn trial(case: Case) -> Trial {
    let name = case.name.clone();
    let ignored = case.ignored.is_some();
    let trial = Trial::ignorable_test(name.clone(), move || {
        outcome::with_second_chance(&name, || {
            let mut test = Test::new(&case.name);
            let completion = outcome::of(&name, || (case.body)(&mut test));
            let leaks = test.finish();
            match completion {
                Ok(Completion::Completed) if !leaks.is_empty() => {
                    Err(Failed::from(format!("left behind: {}", leaks.join(", "))))
                }
                completion => completion,
            }
        })
    });
    trial.with_ignored_flag(ignored)
}

/// What a run may not leave behind, beyond what each test checks for itself.
struct Traces {
    mounts: usize,
    descriptors: usize,
}

impl Traces {
    fn now() -> Traces {
        Traces {
            mounts: std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo").lines().count(),
            descriptors: std::fs::read_dir("/proc/self/fd").expect("fd").count(),
        }
    }

    fn compare(&self) -> Result<(), String> {
        let mut problem = String::new();
        for _ in 0..100 {
            problem.clear();
            let now = Traces::now();
            let processes = other_processes();
            let cgroups = super::cgroup_children(&environment::get().cgroup);
            if now.mounts != self.mounts {
                problem += &format!("{} mounts became {}; ", self.mounts, now.mounts);
            }
            if now.descriptors > self.descriptors {
                problem += &format!("{} open files became {}; ", self.descriptors, now.descriptors);
            }
            if !processes.is_empty() {
                problem += &format!("processes: {}; ", processes.join(", "));
            }
            if !cgroups.is_empty() {
                problem += &format!("cgroups: {}; ", cgroups.join(", "));
            }
            if problem.is_empty() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Err(problem)
    }
}

fn other_processes() -> Vec<String> {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()) && *name != own && name != "1")
        .map(|pid| {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            format!("{pid} ({})", command.replace('\0', " ").trim())
        })
        .collect()
}
