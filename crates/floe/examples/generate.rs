//! Writes the man pages and shell completions, from the definitions in `args.rs`, to two directories:
//! `cargo run -p floe --example generate -- MAN_DIR COMPLETIONS_DIR`.
//!
//! An example and not a command of floe, so that the released binary carries none of it.

#[allow(dead_code, unreachable_pub)]
#[path = "../src/args.rs"]
mod args;

use clap::CommandFactory;
use clap_complete::Shell;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let mut directories = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(man), Some(completions)) = (directories.next(), directories.next()) else {
        eprintln!("usage: generate MAN_DIR COMPLETIONS_DIR");
        std::process::exit(1);
    };
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(args::Args::command(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut args::Args::command(), "floe", &completions)?;
    }
    Ok(())
}
