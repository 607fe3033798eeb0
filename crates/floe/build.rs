//! Names the commit for `floe --version`: outside a checkout of floe itself it stays `unknown`; a packager sets
//! `FLOE_COMMIT`. And tells the linker in which order functions lie in the release binary.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    order_functions();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=FLOE_COMMIT");
    let commit = std::env::var("FLOE_COMMIT").ok().or_else(described).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=FLOE_COMMIT={commit}");
}

/// Only where the order was made for: a name that is not found is passed over, so elsewhere it would do nothing.
fn order_functions() {
    println!("cargo::rerun-if-changed=order.ld");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_ARCH", "x86_64") {
        println!("cargo::rustc-link-arg-bin=floe=-Wl,-T,{}/order.ld", env!("CARGO_MANIFEST_DIR"));
    }
}

fn described() -> Option<String> {
    // A tarball unpacked inside somebody else's repository must not be named after that repository.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    if PathBuf::from(git(&["rev-parse", "--show-toplevel"])?) != workspace {
        return None;
    }
    // The reflog changes with every commit and checkout.
    let reflog = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])?;
    if Path::new(&reflog).exists() {
        println!("cargo::rerun-if-changed={reflog}");
    }
    git(&["describe", "--always", "--abbrev=12"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}
