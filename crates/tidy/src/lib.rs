//! Tests of the repository itself: what no compiler checks and every change could break.
//!
//! Each test reads the tracked files and names all offenders at once. No dependencies: it must be quick to
//! build, and it looks at everybody else's.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// More than any text needs; pictures, binaries and recordings belong elsewhere.
const SIZE_LIMIT_BYTES: u64 = 1 << 20;

/// The lint's name in two halves, so that this file is not its own offender.
const UNSAFE_CODE: &str = concat!("unsafe", "_code");

/// Where the lint may be opened, per module and with a reason (CONTRIBUTING.md, Unsafe).
const UNSAFE_PLACES: [&str; 4] =
    ["crates/sys/", "crates/inject/", "crates/container/src/init/", "runtime-tests/"];

/// Directories of somebody's machine. In halves for the same reason.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// JSON pointers into config.json that look like such a path.
const JSON_POINTERS: [&str; 2] = [concat!("/ro", "ot/path"), concat!("/ro", "ot/readonly")];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn top() -> PathBuf {
    let top =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/tidy is two levels down");
    top.to_owned()
}

/// Standard output of a program, run at the top of the repository.
fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).current_dir(top()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).expect("UTF-8"));
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
}

/// All tracked files, relative to the top. In a source archive there is nothing to check: `None`.
fn tracked() -> Option<Vec<PathBuf>> {
    // CI runs as root in a checkout that may be another user's, which git takes for an attack.
    match output("git", &["-c", "safe.directory=*", "ls-files", "-z"]) {
        Ok(list) => {
            let files = list.split_terminator('\0').map(PathBuf::from);
            // Deleted, but not yet in the index.
            Some(files.filter(|file| top().join(file).symlink_metadata().is_ok()).collect())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            println!("skip: not a git checkout: {error}");
            None
        }
    }
}

fn read(file: impl AsRef<Path>) -> String {
    let bytes = std::fs::read(top().join(file.as_ref())).expect("a tracked file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}

fn assert_none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

/// Names of the dependencies in a manifest, of all three kinds.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut within = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            within = section.ends_with("dependencies");
            // `[dependencies.name]`
            if let Some((_, name)) = section.rsplit_once("dependencies.") {
                names.insert(name.to_owned());
            }
        } else if within && !line.starts_with('#') {
            let name: String =
                line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
            names.extend(Some(name).filter(|name| !name.is_empty()));
        }
    }
    names
}

/// Directory of each crate and the manifest in it.
fn crates(files: &[PathBuf]) -> BTreeMap<String, String> {
    let manifests = files.iter().filter(|file| file.ends_with("Cargo.toml") && file.components().count() > 1);
    let directory = |file: &Path| file.parent().expect("it has one").to_string_lossy().into_owned();
    manifests.map(|file| (directory(file), read(file))).collect()
}

/// The words in code quotes.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// ARCHITECTURE.md has the table of crates: directory, purpose, the crates of ours that it depends on.
#[test]
fn crates_depend_on_each_other_as_architecture_says() {
    let Some(files) = tracked() else { return };
    let crates = crates(&files);
    let names: BTreeSet<String> =
        crates.keys().map(|dir| dir.rsplit('/').next().unwrap_or(dir).to_owned()).collect();
    let architecture = read("ARCHITECTURE.md");
    let mut table = BTreeMap::new();
    for line in architecture.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", dir, _, arrows, ""] = cells[..] {
            table.extend(quoted(dir).first().map(|dir| (dir.clone(), quoted(arrows))));
        }
    }
    let mut offenders = Vec::new();
    for (dir, manifest) in &crates {
        let found: BTreeSet<String> = dependencies(manifest).intersection(&names).cloned().collect();
        match table.get(dir) {
            None => offenders.push(format!("{dir} is not in the table")),
            Some(arrows) if *arrows != found => {
                offenders.push(format!("{dir} depends on {found:?}, the table says {arrows:?}"));
            }
            Some(_) => {}
        }
    }
    offenders.extend(
        table.keys().filter(|dir| !crates.contains_key(*dir)).map(|dir| format!("{dir} is no crate")),
    );
    assert_none("the table of crates in ARCHITECTURE.md", &offenders);
}

#[test]
fn unsafe_is_opened_only_where_it_belongs() {
    let Some(files) = tracked() else { return };
    let allowed = |file: &Path| UNSAFE_PLACES.iter().any(|place| file.starts_with(place));
    // A crate may forbid it for good.
    let forbidden = format!("#![forbid({UNSAFE_CODE})]");
    let opens = |file: &Path| read(file).replace(&forbidden, "").contains(UNSAFE_CODE);
    let mut offenders: Vec<String> = files
        .iter()
        .filter(|file| has_extension(file, "rs") && !allowed(file) && opens(file))
        .map(|file| file.display().to_string())
        .collect();
    // Without this the workspace's lints say nothing about the crate.
    for (dir, manifest) in crates(&files) {
        if !manifest.contains("[lints]\nworkspace = true") {
            offenders.push(format!("{dir}/Cargo.toml: no `[lints] workspace = true`"));
        }
    }
    assert_none("unsafe code outside of sys, inject, container/src/init and runtime-tests", &offenders);
}

#[test]
fn every_source_file_says_what_it_is() {
    let Some(files) = tracked() else { return };
    let offenders: Vec<String> = files
        .iter()
        .filter(|file| has_extension(file, "rs") && !read(file).starts_with("//! "))
        .map(|file| file.display().to_string())
        .collect();
    assert_none("files that do not begin with a `//!` head", &offenders);
}

#[test]
fn no_file_is_big() {
    let Some(files) = tracked() else { return };
    let size = |file: &PathBuf| top().join(file).symlink_metadata().expect("it exists").len();
    let offenders: Vec<String> = files
        .iter()
        .filter(|file| size(file) > SIZE_LIMIT_BYTES)
        .map(|file| format!("{}: {} bytes", file.display(), size(file)))
        .collect();
    assert_none("files of more than 1 MiB", &offenders);
}

/// Targets of the links in a document, relative to the top; those to other sites and within the page left out.
fn links(file: &Path) -> Vec<PathBuf> {
    let text = read(file);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let local = targets.filter(|target| !target.is_empty() && !target.contains("://"));
    local.map(|target| normal(&file.parent().unwrap_or(Path::new("")).join(target))).collect()
}

fn normal(path: &Path) -> PathBuf {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name),
            _ => {}
        }
    }
    parts.iter().collect()
}

#[test]
fn documents_are_reachable_and_links_lead_somewhere() {
    let Some(files) = tracked() else { return };
    let mut offenders = Vec::new();
    let mut reached = BTreeSet::new();
    let mut todo = vec![PathBuf::from("README.md"), PathBuf::from("ARCHITECTURE.md")];
    while let Some(file) = todo.pop() {
        if !reached.insert(file.clone()) {
            continue;
        }
        for target in links(&file) {
            if !top().join(&target).exists() {
                offenders.push(format!("{}: {} does not exist", file.display(), target.display()));
            } else if has_extension(&target, "md") {
                todo.push(target);
            }
        }
    }
    for file in files.iter().filter(|file| has_extension(file, "md") && !reached.contains(*file)) {
        offenders.push(format!("{}: no link leads to it from README.md or ARCHITECTURE.md", file.display()));
    }
    assert_none("documents", &offenders);
}

/// What `text` names as a test, in code quotes: `module::function`.
fn named_tests(text: &str) -> BTreeSet<(String, String)> {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    quoted(text)
        .iter()
        .filter_map(|word| word.split_once("::"))
        .filter(|(module, function)| is_name(module) && is_name(function))
        .map(|(module, function)| (module.to_owned(), function.to_owned()))
        .collect()
}

/// The table of defences is worth what its tests are: each must be a function of a file that is named as the module.
#[test]
fn tests_that_documents_name_exist() {
    let Some(files) = tracked() else { return };
    let mut offenders = Vec::new();
    for (module, function) in named_tests(&read("docs/security.md")) {
        // `module.rs`, or a file in `module/`.
        let is_of_module = |file: &&PathBuf| {
            let directory = file.parent().and_then(Path::file_name);
            has_extension(file, "rs")
                && [file.file_stem(), directory].into_iter().flatten().any(|name| *name == *module)
        };
        // A function, or a line of a table of cases.
        let definitions = [format!("fn {function}("), format!("\"{function}\"")];
        let has_it = |file: &PathBuf| definitions.iter().any(|definition| read(file).contains(definition));
        if !files.iter().filter(is_of_module).any(has_it) {
            offenders.push(format!("docs/security.md: {module}::{function}"));
        }
    }
    assert_none("tests that do not exist", &offenders);
}

/// Whether `text` has `path` where a path begins: `/proc/1` and the like may stand before a directory's name.
fn names_path(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-})".contains(c))
    })
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let Some(files) = tracked() else { return };
    let mut offenders = Vec::new();
    for file in &files {
        for (number, line) in read(file).lines().enumerate() {
            let line = JSON_POINTERS.iter().fold(line.to_owned(), |line, pointer| line.replace(pointer, ""));
            if MACHINE_PATHS.iter().any(|path| names_path(&line, path)) {
                offenders.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert_none("absolute paths of one machine", &offenders);
}

/// The list of `allow` in deny.toml, so that there is one list whether cargo-deny is installed or not.
fn allowed_licenses() -> BTreeSet<String> {
    let deny = read("deny.toml");
    let list =
        deny.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once(']')).expect("deny.toml: allow");
    list.0.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether all parts of an SPDX expression offer something allowed. Nested expressions are read more strictly
/// than they are meant.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|license| allowed.contains(license.trim())))
}

#[test]
fn all_code_in_the_binary_has_an_allowed_license() {
    let arguments = [
        "tree",
        "--locked",
        "--package",
        "floe",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}: {l}",
    ];
    let cargo = std::env::var("CARGO").unwrap_or("cargo".to_owned());
    let tree = output(&cargo, &arguments).expect("cargo tree");
    let allowed = allowed_licenses();
    let mut offenders = BTreeSet::new();
    for line in tree.lines().map(|line| line.trim_end_matches(" (*)")) {
        let (package, license) = line.rsplit_once(": ").unwrap_or((line, ""));
        if !is_allowed(license, &allowed) {
            offenders.insert(format!("{package}: {license:?}"));
        }
    }
    assert!(tree.lines().count() > 10, "cargo tree lists the crates: {tree}");
    assert_none("licences that deny.toml does not allow", &offenders.into_iter().collect::<Vec<_>>());
}

#[test]
fn crates_come_from_crates_io() {
    let lock = read("Cargo.lock");
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let offenders: Vec<String> =
        sources.filter(|source| source.trim_matches('"') != CRATES_IO).map(str::to_owned).collect();
    assert_none("sources in Cargo.lock other than crates.io", &offenders);
}

#[test]
fn the_checks_see_what_they_look_for() {
    let manifest =
        "[dependencies]\nsys.workspace = true\nnix = \"1\"\n[dev-dependencies.tempfile]\nversion = \"3\"\n";
    assert_eq!(dependencies(manifest), ["nix", "sys", "tempfile"].map(str::to_owned).into());

    let tests = named_tests("| `one::first`, `two::second` | `no test`, `a::b::c` |");
    assert_eq!(tests.iter().map(|(module, _)| module.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert!(named_tests(&read("docs/security.md")).len() > 50);

    let machine = MACHINE_PATHS[1];
    assert!(names_path(&format!("see {machine}x"), machine));
    assert!(!names_path(&format!("/proc/1{machine}x"), machine));

    let allowed = ["MIT", "Unicode-3.0"].map(str::to_owned).into();
    assert!(is_allowed("MIT/Apache-2.0", &allowed));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
    assert!(!is_allowed("MIT AND GPL-2.0-only", &allowed));
    assert!(!is_allowed("", &allowed));
}
