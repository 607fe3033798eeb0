//! config.json's seccomp section → a BPF program, compiled by libseccomp before any process exists, or found in the
//! cache.
//!
//! Two things are ours. Rules whose action is the default's are left out, as libseccomp refuses them. And a
//! prologue answers ENOSYS to system calls newer than every one that the profile names: a profile written
//! before a call existed would otherwise answer EPERM, and C libraries only fall back on ENOSYS.

mod cache;

use crate::error::{At, Error, Result};
use cache::Entry;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use nix::sys::memfd::{MFdFlags, memfd_create};
use oci_spec::runtime as oci;
use oci_spec::runtime::LinuxSeccompAction as Action;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::security::{
    SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, SockFilter,
};

/// Who gets the notification descriptor (config-linux.md, seccomp).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) path: PathBuf,
    pub(crate) metadata: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) filter: Vec<SockFilter>,
    pub(crate) flags: u64,
    pub(crate) listener: Option<Listener>,
}

/// `strict` makes a system call that libseccomp does not know an error (`run.oci.seccomp_fail_unknown_syscall`);
/// otherwise it is skipped, as profiles name calls of newer kernels. `root` is where programs are kept.
pub(crate) fn load(root: &Path, seccomp: &oci::LinuxSeccomp, strict: bool) -> Result<Program> {
    let (flags, listener) = settings(seccomp)?;
    let entry = Entry::of(root, seccomp, strict);
    if let Some(filter) = entry.as_ref().and_then(Entry::read) {
        return Ok(Program { filter, flags, listener });
    }
    let filter = compile(seccomp, strict)?;
    if let Some(entry) = entry {
        entry.write(&filter);
    }
    Ok(Program { filter, flags, listener })
}

fn refused(text: String) -> Error {
    Error::new(format!("config.json: linux.seccomp: {text}"))
}

/// What is said beside the rules.
fn settings(seccomp: &oci::LinuxSeccomp) -> Result<(u64, Option<Listener>)> {
    let refuse = |text: &str| Err(refused(text.to_owned()));
    if seccomp.default_action() == Action::ScmpActNotify {
        return refuse("SCMP_ACT_NOTIFY cannot be the default action");
    }
    let notified = || {
        let rules = seccomp.syscalls().iter().flatten();
        rules.filter(|rule| rule.action() == Action::ScmpActNotify).flat_map(|rule| rule.names())
    };
    if let Some(name) = notified().find(|name| matches!(name.as_str(), "write" | "read")) {
        return refuse(&format!("SCMP_ACT_NOTIFY cannot be used for {name}: the start needs it"));
    }
    let notifies = notified().next().is_some();
    let mut flags = match seccomp.flags() {
        // runc's default: without it every program pays for speculative store bypass mitigation.
        None => SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        Some(flags) => flags.iter().fold(0, |flags, flag| flags | flag_bit(*flag)),
    };
    let listener = match (notifies, seccomp.listener_path()) {
        (true, Some(path)) if !path.as_os_str().is_empty() => {
            flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
            // Threads cannot be synchronised to a filter with a listener without TSYNC_ESRCH, and we have one.
            flags &= !SECCOMP_FILTER_FLAG_TSYNC;
            Some(Listener {
                path: path.clone(),
                metadata: seccomp.listener_metadata().clone().unwrap_or_default(),
            })
        }
        (true, _) => return refuse("SCMP_ACT_NOTIFY needs listenerPath"),
        (false, Some(path)) if !path.as_os_str().is_empty() => {
            return refuse("listenerPath is set but no rule has SCMP_ACT_NOTIFY");
        }
        (false, _) => None,
    };
    if listener.is_none() && seccomp.listener_metadata().as_deref().is_some_and(|text| !text.is_empty()) {
        return refuse("listenerMetadata is set without listenerPath");
    }
    if flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0 && listener.is_none() {
        return refuse("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a listener");
    }
    Ok((flags, listener))
}

fn compile(seccomp: &oci::LinuxSeccomp, strict: bool) -> Result<Vec<SockFilter>> {
    let default = action(seccomp.default_action(), seccomp.default_errno_ret());
    let mut filter = ScmpFilterContext::new(default).at(|| "seccomp: new filter")?;
    // We set no_new_privs ourselves, and only when config.json says so.
    filter.set_ctl_nnp(false).at(|| "seccomp: set nnp")?;
    // A binary tree over the call numbers instead of a list: three times fewer instructions per call.
    let _ = filter.set_ctl_optimize(2);
    let mut archs = vec![ScmpArch::native()];
    for arch in seccomp.architectures().iter().flatten() {
        let arch = arch_of(*arch);
        // An architecture of another machine cannot be compiled in together with ours; it never runs here.
        if !archs.contains(&arch) && filter.add_arch(arch).is_ok() {
            archs.push(arch);
        }
    }

    let mut names = HashSet::new();
    for rule in seccomp.syscalls().iter().flatten() {
        let act = action(rule.action(), rule.errno_ret());
        for name in rule.names() {
            names.insert(name.as_str());
            let Ok(syscall) = ScmpSyscall::from_name(name) else {
                if strict {
                    return Err(refused(format!("unknown system call \"{name}\"")));
                }
                continue;
            };
            if act == default {
                continue;
            }
            for conditions in conditions(rule.args().as_deref().unwrap_or_default()) {
                filter
                    .add_rule_conditional(act, syscall, &conditions)
                    .at(|| format!("config.json: linux.seccomp: rule for {name}"))?;
            }
        }
    }

    let denies = !matches!(seccomp.default_action(), Action::ScmpActAllow | Action::ScmpActLog);
    let answers_enosys = default == ScmpAction::Errno(libc::ENOSYS);
    let mut program = Vec::new();
    if denies && !answers_enosys && !names.is_empty() {
        program = enosys_prologue(&archs, &names);
    }
    program.extend(export(&filter)?);
    Ok(program)
}

fn action(action: Action, errno: Option<u32>) -> ScmpAction {
    let data = errno.unwrap_or(libc::EPERM as u32);
    match action {
        Action::ScmpActKill | Action::ScmpActKillThread => ScmpAction::KillThread,
        Action::ScmpActKillProcess => ScmpAction::KillProcess,
        Action::ScmpActTrap => ScmpAction::Trap,
        Action::ScmpActErrno => ScmpAction::Errno(data as i32),
        Action::ScmpActNotify => ScmpAction::Notify,
        Action::ScmpActTrace => ScmpAction::Trace(data as u16),
        Action::ScmpActLog => ScmpAction::Log,
        Action::ScmpActAllow => ScmpAction::Allow,
    }
}

fn flag_bit(flag: oci::LinuxSeccompFilterFlag) -> u64 {
    use oci::LinuxSeccompFilterFlag as F;
    match flag {
        F::SeccompFilterFlagLog => SECCOMP_FILTER_FLAG_LOG,
        F::SeccompFilterFlagTsync => SECCOMP_FILTER_FLAG_TSYNC,
        F::SeccompFilterFlagSpecAllow => SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        F::SeccompFilterFlagWaitKillableRecv => SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
    }
}

fn arch_of(arch: oci::Arch) -> ScmpArch {
    use oci::Arch as A;
    match arch {
        A::ScmpArchNative => ScmpArch::native(),
        A::ScmpArchX86 => ScmpArch::X86,
        A::ScmpArchX86_64 => ScmpArch::X8664,
        A::ScmpArchX32 => ScmpArch::X32,
        A::ScmpArchArm => ScmpArch::Arm,
        A::ScmpArchAarch64 => ScmpArch::Aarch64,
        A::ScmpArchMips => ScmpArch::Mips,
        A::ScmpArchMips64 => ScmpArch::Mips64,
        A::ScmpArchMips64n32 => ScmpArch::Mips64N32,
        A::ScmpArchMipsel => ScmpArch::Mipsel,
        A::ScmpArchMipsel64 => ScmpArch::Mipsel64,
        A::ScmpArchMipsel64n32 => ScmpArch::Mipsel64N32,
        A::ScmpArchPpc => ScmpArch::Ppc,
        A::ScmpArchPpc64 => ScmpArch::Ppc64,
        A::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        A::ScmpArchS390 => ScmpArch::S390,
        A::ScmpArchS390x => ScmpArch::S390X,
        A::ScmpArchParisc => ScmpArch::Parisc,
        A::ScmpArchParisc64 => ScmpArch::Parisc64,
        A::ScmpArchRiscv64 => ScmpArch::Riscv64,
        A::ScmpArchLoongarch64 => ScmpArch::Loongarch64,
        A::ScmpArchM68k => ScmpArch::M68k,
        A::ScmpArchSh => ScmpArch::Sh,
        A::ScmpArchSheb => ScmpArch::Sheb,
    }
}

/// The rules that one entry means. libseccomp takes one condition per argument and joins them with AND; an
/// entry with several conditions on one argument means OR, as with runc.
fn conditions(args: &[oci::LinuxSeccompArg]) -> Vec<Vec<ScmpArgCompare>> {
    use oci::LinuxSeccompOperator as O;
    let compares: Vec<ScmpArgCompare> = args
        .iter()
        .map(|arg| {
            let (mut datum, operator) = (
                arg.value(),
                match arg.op() {
                    O::ScmpCmpNe => ScmpCompareOp::NotEqual,
                    O::ScmpCmpLt => ScmpCompareOp::Less,
                    O::ScmpCmpLe => ScmpCompareOp::LessOrEqual,
                    O::ScmpCmpEq => ScmpCompareOp::Equal,
                    O::ScmpCmpGe => ScmpCompareOp::GreaterEqual,
                    O::ScmpCmpGt => ScmpCompareOp::Greater,
                    // value is the mask, valueTwo what remains of the argument under it.
                    O::ScmpCmpMaskedEq => ScmpCompareOp::MaskedEqual(arg.value()),
                },
            );
            if arg.op() == O::ScmpCmpMaskedEq {
                datum = arg.value_two().unwrap_or(0);
            }
            ScmpArgCompare::new(arg.index() as u32, operator, datum)
        })
        .collect();
    let mut indexes = HashSet::new();
    if args.iter().all(|arg| indexes.insert(arg.index())) {
        vec![compares]
    } else {
        compares.into_iter().map(|compare| vec![compare]).collect()
    }
}

fn export(filter: &ScmpFilterContext) -> Result<Vec<SockFilter>> {
    let mut file: File =
        memfd_create(c"seccomp", MFdFlags::MFD_CLOEXEC).map_err(Errno::from).at(|| "memfd_create")?.into();
    filter.export_bpf(&mut file).at(|| "seccomp: compile")?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut bytes))
        .map_err(Errno::from)
        .at(|| "seccomp: read program")?;
    Ok(cache::instructions(&bytes))
}

// Classic BPF (linux/bpf_common.h) over struct seccomp_data: the call number is at 0, the architecture at 4.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQ: u16 = 0x15;
const JUMP_GT: u16 = 0x25;
const JUMP_GE: u16 = 0x35;
const RETURN: u16 = 0x06;
const SECCOMP_RET_ERRNO: u32 = 0x0005_0000;
const X32_BIT: u32 = 0x4000_0000;

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> SockFilter {
    SockFilter { code, jt, jf, k }
}

/// Answers ENOSYS to a call whose number is above all those named; everything else falls through to the
/// filter that follows.
fn enosys_prologue(archs: &[ScmpArch], names: &HashSet<&str>) -> Vec<SockFilter> {
    let mut program = vec![instruction(LOAD, 0, 0, 4)];
    // x32 shares x86_64's architecture value and has a bit in its numbers; it is left to the filter.
    let limits: Vec<(u32, u32)> = archs
        .iter()
        .filter(|arch| **arch != ScmpArch::X32)
        .filter_map(|arch| Some((audit_arch(*arch)?, highest_named(*arch, names)?)))
        .collect();
    if limits.is_empty() {
        return Vec::new();
    }
    // Each block is four instructions; the return is after the last block and the jump over it.
    for (index, (arch, highest)) in limits.iter().enumerate() {
        let blocks_left = (limits.len() - index - 1) as u8;
        program.extend([
            instruction(JUMP_EQ, 0, 3, *arch),
            instruction(LOAD, 0, 0, 0),
            instruction(JUMP_GE, blocks_left * 4 + 1, 0, X32_BIT),
            instruction(JUMP_GT, blocks_left * 4 + 1, blocks_left * 4, *highest),
        ]);
    }
    program.extend([
        instruction(JUMP, 0, 0, 1),
        instruction(RETURN, 0, 0, SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ]);
    program
}

/// The highest call number whose name the profile has. Numbers are tried from above, which is far cheaper
/// than looking up every name.
fn highest_named(arch: ScmpArch, names: &HashSet<&str>) -> Option<u32> {
    (0..=600)
        .rev()
        .find(|number| {
            ScmpSyscall::from_raw_syscall(*number)
                .get_name_by_arch(arch)
                .is_ok_and(|name| names.contains(name.as_str()))
        })
        .map(|number| number as u32)
}

/// `AUDIT_ARCH_*` of linux/audit.h, for the architectures that share a machine with one we run on.
fn audit_arch(arch: ScmpArch) -> Option<u32> {
    match arch {
        ScmpArch::X8664 => Some(0xc000_003e),
        ScmpArch::X86 => Some(0x4000_0003),
        ScmpArch::Aarch64 => Some(0xc000_00b7),
        ScmpArch::Arm => Some(0x4000_0028),
        _ => None,
    }
}

/// A profile that is accepted gives a program that the kernel's checker takes (`bpf_check_classic`), and the same
/// one each time.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(profile) = serde_json::from_slice::<oci::LinuxSeccomp>(bytes) else { return };
    let (Ok(_), Ok(program)) = (settings(&profile), compile(&profile, false)) else { return };
    for (at, instruction) in program.iter().enumerate() {
        let left = program.len() - at - 1;
        match instruction.code & 7 {
            5 if instruction.code == JUMP => assert!((instruction.k as usize) < left),
            5 => assert!(usize::from(instruction.jt.max(instruction.jf)) < left),
            _ => {}
        }
    }
    assert_eq!(program.last().map(|last| last.code), Some(RETURN));
    assert_eq!(compile(&profile, false).expect("it was accepted before"), program);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(json: &str) -> oci::LinuxSeccomp {
        serde_json::from_str(json).unwrap()
    }

    /// Runs a program over a call as the kernel does.
    fn run(program: &[SockFilter], arch: u32, number: u32, args: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(number.to_ne_bytes());
        data.extend(arch.to_ne_bytes());
        data.extend(0u64.to_ne_bytes());
        args.iter().for_each(|arg| data.extend(arg.to_ne_bytes()));
        let (mut pc, mut a) = (0usize, 0u32);
        loop {
            let i = program[pc];
            pc += 1;
            let mut jump = |taken: bool| pc += usize::from(if taken { i.jt } else { i.jf });
            match i.code {
                0x20 => {
                    let at = i.k as usize;
                    a = u32::from_ne_bytes(data[at..at + 4].try_into().unwrap());
                }
                0x05 => pc += i.k as usize,
                0x15 => jump(a == i.k),
                0x25 => jump(a > i.k),
                0x35 => jump(a >= i.k),
                0x45 => jump(a & i.k != 0),
                0x54 => a &= i.k,
                0x06 => return i.k,
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    const X86_64: u32 = 0xc000_003e;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn newer_calls_get_enosys_and_older_ones_the_default() {
        let program = compile(
            &profile(
                r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],
                "syscalls":[{"names":["read","close_range","no_such_call"],"action":"SCMP_ACT_ALLOW"}]}"#,
            ),
            false,
        )
        .unwrap();
        assert_eq!(run(&program, X86_64, 0, [0; 6]), 0x7fff_0000, "read");
        assert_eq!(run(&program, X86_64, 436, [0; 6]), 0x7fff_0000, "close_range");
        assert_eq!(run(&program, X86_64, 1, [0; 6]), SECCOMP_RET_ERRNO | libc::EPERM as u32, "write");
        assert_eq!(run(&program, X86_64, 450, [0; 6]), SECCOMP_RET_ERRNO | libc::ENOSYS as u32, "newer");
        assert_eq!(run(&program, 0x4000_0003, 3, [0; 6]), 0x7fff_0000, "read of i386");
        assert_eq!(run(&program, 0x4000_0003, 450, [0; 6]), SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn conditions_on_one_argument_are_alternatives() {
        let program = compile(
            &profile(
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["personality"],"action":"SCMP_ACT_ERRNO",
                "errnoRet":7,"args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]}]}"#,
            ),
            false,
        )
        .unwrap();
        let call = |arg| run(&program, X86_64, 135, [arg, 0, 0, 0, 0, 0]);
        assert_eq!((call(1), call(2), call(3)), (0x0005_0007, 0x0005_0007, 0x7fff_0000));
    }

    #[test]
    fn contradictions_are_refused() {
        for (json, text) in [
            (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, "default"),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#,
                "listenerPath",
            ),
            (r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}"#, "SCMP_ACT_NOTIFY"),
        ] {
            let error = settings(&profile(json)).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let unknown = profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["nope"],"action":"SCMP_ACT_ERRNO"}]}"#,
        );
        assert!(compile(&unknown, false).is_ok());
        assert!(compile(&unknown, true).unwrap_err().to_string().contains("\"nope\""));
    }
}
