//! Tests with real containers: every test runs the real binary and looks from inside the container.
//!
//! `FLOE_BIN` names the binary (default: the one this workspace builds). Needs root; enters namespaces of its own
//! before the first thread exists (harness/environment.rs), so a crash leaves nothing behind.

mod as_criu;
mod bad_input;
mod callers;
mod capabilities;
mod cgroups;
mod check;
mod checkpoint;
mod connections;
mod contract;
mod contract_of_checkpoints;
mod criu_cgroups;
mod criu_command;
mod criu_externals;
mod delegation;
mod descriptors;
mod devices;
mod escapes;
mod exec;
mod features;
mod fixtures;
mod forged;
mod hardening;
mod harness;
mod hooks;
#[path = "../src/hosts.rs"]
mod hosts;
mod life_cycle;
mod mounts;
mod namespaces;
mod nested;
mod network;
mod page_server;
mod pods;
mod process;
mod programs;
mod races;
mod refused;
mod resources;
mod rootfs;
mod rootless;
mod seccomp;
mod streams;
mod stress;
mod sysctl;
mod system;
mod systemd;
mod terminal;
mod user_namespace;
mod workloads;

use harness::{Case, environment, runner};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let cases: Vec<Case> = [
        life_cycle::cases(),
        process::cases(),
        capabilities::cases(),
        namespaces::cases(),
        rootfs::cases(),
        mounts::cases(),
        devices::cases(),
        sysctl::cases(),
        seccomp::cases(),
        hooks::cases(),
        cgroups::cases(),
        systemd::cases(),
        resources::cases(),
        delegation::cases(),
        system::cases(),
        terminal::cases(),
        network::cases(),
        exec::cases(),
        rootless::cases(),
        escapes::cases(),
        descriptors::cases(),
        user_namespace::cases(),
        nested::cases(),
        races::cases(),
        hardening::cases(),
        fixtures::cases(),
        callers::cases(),
        contract::cases(),
        contract_of_checkpoints::cases(),
        criu_cgroups::cases(),
        criu_command::cases(),
        criu_externals::cases(),
        page_server::cases(),
        check::cases(),
        checkpoint::cases(),
        as_criu::cases(),
        connections::cases(),
        pods::cases(),
        streams::cases(),
        features::cases(),
        bad_input::cases(),
        programs::cases(),
        refused::cases(),
        forged::cases(),
        workloads::cases(),
        stress::cases(),
    ]
    .into_iter()
    .flatten()
    .collect();
    if arguments.list {
        return runner::run(arguments, cases);
    }
    if !nix::unistd::geteuid().is_root() {
        println!("skip containers: needs root");
        return if std::env::var_os("CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let inputs = environment::Inputs::find();
    environment::within(&inputs, || runner::run(arguments, cases))
}
