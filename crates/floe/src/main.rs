//! The `floe` command: arguments in, one call into `container`, answer, log and exit status out.
//!
//! The only place that prints, exits and reads the environment.

#![cfg_attr(not(test), no_main)]
// A binary exports nothing: here `pub` says what a module offers to the others.
#![allow(unreachable_pub)]

mod args;
mod command_line;
mod commands;
mod compat;
mod environment;
mod host;
mod log;
mod output;
mod progress;
mod values;
mod version;

use anyhow::{Context, Result, bail};
use args::{Args, Command, Global};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use command_line::CommandLine;
use container::{CgroupDriver, Runtime};
use log::{Format, Level, Log};
use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

sys::main!(start);

fn start() -> u8 {
    let started = Instant::now();
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let is_criu = |name: &OsString| Path::new(name).file_name() == Some(OsStr::new("criu"));
    if arguments.first().is_some_and(is_criu) {
        arguments.splice(..1, ["floe".into(), "criu".into()]);
    }
    if let [_, name, words @ ..] = arguments.as_slice()
        && name == "criu"
        && let Some(done) = commands::criu_command_line(words)
    {
        return match done {
            Ok(status) => status,
            Err(error) => {
                eprintln!("Error: {error:#}");
                1
            }
        };
    }
    match read_quickly(&arguments) {
        Some(args) => dispatch(&args, started),
        None => read_carefully(arguments, started),
    }
}

/// Reads the arguments with the definitions of the command that they seem to name. Where this does not lead to a
/// command, nothing is lost: the complete definitions have the last word.
fn read_quickly(arguments: &[OsString]) -> Option<Args> {
    let mut program = arguments.iter().skip(1).find_map(|word| Args::one_command(word.to_str()?))?;
    let line = command_line::read(&program, arguments.iter().cloned());
    if line.help {
        return None;
    }
    let matches = program.try_get_matches_from_mut(line.arguments.ok()?).ok()?;
    Args::from_arg_matches(&matches).ok()
}

fn read_carefully(arguments: Vec<OsString>, started: Instant) -> u8 {
    let mut program = Args::command();
    let line = command_line::read(&program, arguments);
    let arguments = match &line.arguments {
        Ok(arguments) => arguments,
        Err(complaint) => return misuse(&mut program, &line, complaint),
    };
    let parsed =
        program.try_get_matches_from_mut(arguments).and_then(|matches| Args::from_arg_matches(&matches));
    match parsed {
        Ok(args) => dispatch(&args, started),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => answer(&error.to_string()),
        Err(error) => {
            let text = error.to_string();
            let complaint = text.strip_prefix("error: ").unwrap_or(&text);
            let complaint = complaint.split("\n\n").next().unwrap_or_default();
            misuse(&mut program, &line, &complaint.replace("\n  ", " "))
        }
    }
}

fn dispatch(args: &Args, started: Instant) -> u8 {
    match &args.command {
        _ if args.global.version => answer(&version::text()),
        Some(command) => execute(&args.global, command, started),
        None => answer(&Args::command().render_help().to_string()),
    }
}

fn execute(global: &Global, command: &Command, started: Instant) -> u8 {
    let (name, id) = command.subject();
    let debug = global.debug || global.log_level.as_deref() == Some("debug");
    let mut log = match open_log(global.log.as_deref(), Some(OsStr::new(&global.log_format))) {
        Ok(log) => log,
        Err(error) => {
            complain(&compat::line(name, id, &error));
            return compat::FAILURE;
        }
    };
    let say_debug = |log: &mut Log, text: String| match (debug, log.is_open()) {
        (false, _) => {}
        (true, true) => log.write(Level::Debug, &text),
        (true, false) => complain(&text),
    };
    say_debug(&mut log, format!("version {} commit {}: {name}", version::VERSION, version::COMMIT));
    let mut warnings = Vec::new();
    let result = runtime(global, command).and_then(|rt| {
        let status = command.run(&rt)?;
        warnings = rt.warnings.take();
        Ok(status)
    });
    say_debug(&mut log, format!("{name} took {} µs", started.elapsed().as_micros()));
    match result {
        Ok(status) => {
            if global.log_level.as_deref() != Some("error") {
                warn(&mut log, debug, &warnings);
            }
            status as u8
        }
        Err(error) => {
            let line = compat::line(name, id, &error);
            log.write(Level::Error, &line);
            complain(&line);
            if name == "exec" { compat::EXEC_FAILURE } else { compat::FAILURE }
        }
    }
}

fn runtime(global: &Global, command: &Command) -> Result<Runtime> {
    let manager = match global.cgroup_manager.as_deref() {
        _ if global.systemd_cgroup => "systemd",
        None => "cgroupfs",
        Some(manager @ ("cgroupfs" | "disabled" | "systemd")) => manager,
        Some(manager) => {
            bail!("unknown cgroup manager {manager:?}; cgroupfs, systemd and disabled are known")
        }
    };
    let rootless = match global.rootless.as_str() {
        "auto" | "" => None,
        text => Some(
            command_line::parse_bool(text)
                .with_context(|| format!("invalid value {text:?} for --rootless"))?,
        ),
    };
    let mut rt = Runtime {
        root: environment::root(global.root.as_deref())?,
        cgroup_driver: if manager == "disabled" { CgroupDriver::Disabled } else { CgroupDriver::Cgroupfs },
        rootless,
        warnings: RefCell::new(Vec::new()),
    };
    // CRI-O sends --systemd-cgroup with every command; all but these find the cgroup in the container's state.
    if manager == "systemd" && matches!(command, Command::Create(_) | Command::Run(_) | Command::Restore(_)) {
        rt.cgroup_driver = CgroupDriver::Systemd(environment::systemd_manager(rt.is_rootless())?);
    }
    Ok(rt)
}

fn open_log(target: Option<&OsStr>, format: Option<&OsStr>) -> Result<Log> {
    let format = Format::named(&format.unwrap_or_default().to_string_lossy())?;
    match target {
        Some(target) if !target.is_empty() => Log::open(target, format),
        _ => Ok(Log::none()),
    }
}

/// Callers take stderr of a command that worked for a part of its answer, so only people get to see warnings there.
fn warn(log: &mut Log, debug: bool, warnings: &[String]) {
    let is_seen = !log.is_open() && !warnings.is_empty() && (debug || std::io::stderr().is_terminal());
    for warning in warnings {
        log.write(Level::Warning, &compat::one_line(warning));
        if is_seen {
            complain(&format!("warning: {}", compat::one_line(warning)));
        }
    }
}

fn answer(text: &str) -> u8 {
    match output::print(text) {
        Ok(()) => compat::SUCCESS,
        Err(error) => {
            complain(&compat::chain(&error));
            compat::FAILURE
        }
    }
}

/// A command line that makes no sense: the complaint comes first, then the usage.
fn misuse(program: &mut clap::Command, line: &CommandLine, complaint: &str) -> u8 {
    program.build();
    let (complaint, usage) = match &line.command {
        Some(name) => {
            let command = program.find_subcommand_mut(name).expect("it was found before");
            (format!("{name}: {}", compat::one_line(complaint)), command.render_usage())
        }
        None => (compat::one_line(complaint), program.render_usage()),
    };
    if let Ok(mut log) = open_log(line.log.as_deref(), line.log_format.as_deref()) {
        log.write(Level::Error, &complaint);
    }
    complain(&format!("{complaint}\n\n{usage}"));
    compat::FAILURE
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "floe: {text}");
}
