//! `floe-bench order FLOE MAP`: a linker script that puts the functions which a container's life runs next to each
//! other, in the order in which they are first run.
//!
//! A start touches a third of the functions, spread over all of the binary; each page of them is a fault, which costs
//! more than what is done there. FLOE is stepped through single instructions, with all that it forks up to the
//! container's program, and MAP, which the linker has written (lld's -Map), says to which input section an address
//! belongs. Hashes in names become `*`: they change with every version of a crate.

use crate::{Contender, ok};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// The commands whose speed counts, over one container.
const LIFE: [&[&str]; 9] = [
    &["run", "--bundle", "BUNDLE", "SHORT"],
    &["run", "--bundle", "HARDENED", "SHORT"],
    &["create", "--bundle", "SLEEPS", "LONG"],
    &["start", "LONG"],
    &["state", "LONG"],
    &["exec", "LONG", "/bin/true"],
    &["ps", "--format", "json", "LONG"],
    &["kill", "LONG", "KILL"],
    &["delete", "--force", "LONG"],
];

pub(crate) fn script(contender: &Contender, map: &Path) -> io::Result<String> {
    let sections = sections(&fs::read_to_string(map)?);
    let mut tracer = Tracer { program: fs::canonicalize(&contender.program)?, ..Tracer::default() };
    let sleeps = contender.bundle.with_file_name("sleeps");
    fs::create_dir(&sleeps)?;
    let mut spec = contender.spec(&["sleep", "1000"])?;
    spec["root"]["path"] = contender.bundle.join("rootfs").to_string_lossy().into();
    fs::write(sleeps.join("config.json"), spec.to_string())?;
    contender.configure(&["/bin/true"])?;
    // Compiling a seccomp profile is not what happens each time: its program is then kept. The first call makes the
    // root, the second one the program.
    for _ in 0..2 {
        let mut command = contender.command();
        ok(command.args(["run", "--bundle"]).arg(&contender.hardened).arg(&contender.short))?;
    }
    for words in LIFE {
        let mut command = contender.command();
        for word in words {
            match *word {
                "BUNDLE" => command.arg(&contender.bundle),
                "HARDENED" => command.arg(&contender.hardened),
                "SLEEPS" => command.arg(&sleeps),
                "SHORT" => command.arg(&contender.short),
                "LONG" => command.arg(&contender.long),
                word => command.arg(word),
            };
        }
        eprintln!("floe-bench: {}", words.join(" "));
        tracer.follow(&mut command)?;
    }
    let mut seen = HashSet::new();
    let mut lines = String::new();
    for address in &tracer.order {
        let next = sections.partition_point(|(start, _)| start <= address);
        let Some((_, pattern)) = next.checked_sub(1).and_then(|index| sections.get(index)) else { continue };
        if seen.insert(pattern) {
            lines += &format!("    {pattern}\n");
        }
    }
    Ok(format!(
        "/* What a container's life runs, in order. Made by `make order`; see runtime-tests/src/order.rs. */\n\
         SECTIONS {{\n  .text.life : {{\n{lines}  }}\n}}\nINSERT BEFORE .text;\n"
    ))
}

/// Where each input section of code begins, and the pattern that names it in a linker script; sorted.
fn sections(map: &str) -> Vec<(u64, String)> {
    map.lines()
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace();
            let address = u64::from_str_radix(columns.next()?, 16).ok()?;
            // The other address, size and alignment.
            let (file, section) = columns.nth(3)?.rsplit_once(":(")?;
            let section = section.strip_suffix(')').filter(|section| section.starts_with(".text"))?;
            Some((address, pattern(file, section)?))
        })
        .collect()
}

fn pattern(file: &str, section: &str) -> Option<String> {
    if section.starts_with(".text._R") {
        return Some(format!("*({})", without_hashes(section)));
    }
    // The standard library still has the old mangling: 17h, 16 hexadecimal digits and E at the end.
    if let Some((name, _)) = section.rsplit_once("17h").filter(|_| section.starts_with(".text._ZN")) {
        return Some(format!("*({name}17h*)"));
    }
    let (archive, member) = file.rsplit('/').next()?.strip_suffix(')')?.split_once('(')?;
    // The standard library's archive has a hash in its name, its members too.
    if archive.ends_with(".rlib") {
        return (section.len() > ".text.".len()).then(|| format!("*({section})"));
    }
    Some(format!("*{archive}:{member}({section})"))
}

/// A crate is `Cs`, a number to the base of 62, `_` and its name (RFC 2603).
fn without_hashes(section: &str) -> String {
    let mut parts = section.split("Cs");
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('_') {
            Some((hash, rest)) if hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                pattern += "Cs*_";
                pattern += rest;
            }
            _ => {
                pattern += "Cs";
                pattern += part;
            }
        }
    }
    // LLVM's suffix of a function that it has made from another.
    pattern.find(".llvm.").map_or(pattern.clone(), |end| pattern[..end].to_owned() + "*")
}

/// Steps through a program and what it forks, and keeps where its code was first run.
#[derive(Default)]
struct Tracer {
    program: std::path::PathBuf,
    /// Where the program is loaded: always at the same address, as it is not randomised.
    base: u64,
    seen: HashSet<u64>,
    /// Addresses as the linker knows them.
    order: Vec<u64>,
    /// Processes that have not run the program of a container yet.
    inside: HashSet<i32>,
}

impl Tracer {
    /// Runs `command` to its end. What it leaves behind is stepped on during the next call.
    fn follow(&mut self, command: &mut Command) -> io::Result<()> {
        // SAFETY: both calls are system calls and touch no memory.
        unsafe {
            command.pre_exec(|| {
                libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong);
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                Ok(())
            })
        };
        let first = command.spawn()?.id() as i32;
        loop {
            let mut status = 0;
            // SAFETY: the pointer is to a live local.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
            if pid == -1 {
                return Err(io::Error::last_os_error());
            }
            if !libc::WIFSTOPPED(status) {
                self.inside.remove(&pid);
                if pid == first {
                    return Ok(());
                }
                continue;
            }
            let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
            if self.inside.insert(pid) && pid == first {
                self.begin(pid)?;
            } else if event == libc::PTRACE_EVENT_EXEC {
                self.inside.remove(&pid);
                ptrace(libc::PTRACE_DETACH, pid, 0);
                continue;
            }
            let ours = [libc::SIGTRAP, libc::SIGSTOP].contains(&signal);
            if ours {
                self.note(pid);
            }
            ptrace(libc::PTRACE_SINGLESTEP, pid, if ours { 0 } else { signal as usize });
        }
    }

    /// The stop after execve.
    fn begin(&mut self, pid: i32) -> io::Result<()> {
        let forks = libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACECLONE;
        ptrace(libc::PTRACE_SETOPTIONS, pid, (forks | libc::PTRACE_O_TRACEEXEC) as usize);
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let program = self.program.to_string_lossy();
        let first = maps.lines().find(|line| line.ends_with(program.as_ref()));
        let start = first.and_then(|line| u64::from_str_radix(line.split('-').next()?, 16).ok());
        self.base = start.ok_or_else(|| io::Error::other(format!("{program}: not mapped")))?;
        Ok(())
    }

    fn note(&mut self, pid: i32) {
        // SAFETY: user_regs_struct is plain integers, and the kernel fills one in.
        let registers = unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers);
            registers
        };
        if let Some(address) = registers.rip.checked_sub(self.base)
            && self.seen.insert(address)
        {
            self.order.push(address);
        }
    }
}

/// A process that has died meanwhile is no error: waitpid tells.
fn ptrace(request: libc::c_uint, pid: i32, data: usize) {
    // SAFETY: none of the requests used here takes a pointer.
    unsafe { libc::ptrace(request, pid, 0, data) };
}
