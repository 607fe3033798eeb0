//! x86-64: general registers, and the XSAVE area by its components.

use crate::snapshot::Tiles;
use images::messages::core_entry::March;
use images::messages::{
    ThreadInfoX86, UserDescT, UserX86CetEntry, UserX86FpregsEntry, UserX86RegsEntry, UserX86RegsMode,
    UserX86XsaveEntry,
};
use inject::{Batch, Place, Registers};
use std::arch::x86_64::__cpuid_count;

pub(crate) const MARCH: March = March::X8664;

/// Bytes of the legacy area of XSAVE (FXSAVE), and where XSTATE_BV is behind it.
const XSTATE_BV: usize = 512;

/// State components of XSAVE (Intel SDM vol. 1, 13.1).
const YMM: u32 = 2;
const BNDREGS: u32 = 3;
const BNDCSR: u32 = 4;
const OPMASK: u32 = 5;
const ZMM_HI256: u32 = 6;
const HI16_ZMM: u32 = 7;
const PKRU: u32 = 9;
const CET: u32 = 11;
const TILE_CONFIGURATION: u32 = 17;
const TILE_DATA: u32 = 18;

/// Components that a process has to ask for.
const TO_BE_ASKED_FOR: u64 = 1 << TILE_DATA;

/// Reads memory of a process, or `false` where not all of it can be read.
pub(crate) type Memory<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

/// A thread's registers as images have them. `xsave` is its XSAVE area in the standard format, `tid_address` what
/// set_tid_address(2) was told.
pub(crate) fn thread_info(
    registers: &Registers,
    xsave: &[u8],
    tid_address: u64,
    memory: Memory<'_>,
) -> ThreadInfoX86 {
    ThreadInfoX86 {
        clear_tid_addr: tid_address,
        gpregs: general(&restarted(registers, memory)),
        fpregs: extended(xsave),
        // Segments of set_thread_area(2), which 64-bit programs do not use.
        tls: (12..=14).map(unused_segment).collect(),
    }
}

/// Code of a jump to an address, which a function may begin with: it uses a register that is nobody's then.
pub(crate) fn jump(to: u64) -> [u8; 12] {
    // movabs $to, %rax; jmp *%rax
    let mut code = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0];
    code[2..10].copy_from_slice(&to.to_le_bytes());
    code
}

/// Adds the call that tells which components of XSAVE a process may use.
pub(crate) fn ask_for_permitted_components(batch: &mut Batch) -> Place {
    const ARCH_GET_XCOMP_PERM: u64 = 0x1022;
    let place = batch.space(8);
    let arguments = [ARCH_GET_XCOMP_PERM.into(), place.into()];
    // Before 5.16 there is no such call, and nothing to ask for.
    batch.call_may_fail("ARCH_GET_XCOMP_PERM", libc::SYS_arch_prctl, &arguments);
    place
}

/// Those of them that it had to ask for.
pub(crate) fn asked_for(permitted: u64) -> u64 {
    permitted & TO_BE_ASKED_FOR
}

/// Adds the calls that ask for components of XSAVE, a bit each.
pub(crate) fn permit_components(batch: &mut Batch, components: u64) {
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    for component in (0..64).filter(|bit| components & TO_BE_ASKED_FOR & 1 << bit != 0) {
        let arguments = [ARCH_REQ_XCOMP_PERM.into(), component.into()];
        batch.call("ARCH_REQ_XCOMP_PERM", libc::SYS_arch_prctl, &arguments);
    }
}

/// What a thread has in the tiles of AMX, which CRIU's format does not know.
pub(crate) fn tiles(xsave: &[u8]) -> Option<Tiles> {
    let component = |number: u32| {
        let leaf = __cpuid_count(0xd, number);
        let (size, offset) = (leaf.eax as usize, leaf.ebx as usize);
        let is_used = xsave.len() > XSTATE_BV + 8 && u64_at(xsave, XSTATE_BV) & 1 << number != 0;
        is_used.then(|| xsave.get(offset..offset + size)).flatten().map(<[u8]>::to_vec)
    };
    let (configuration, data) = (component(TILE_CONFIGURATION), component(TILE_DATA));
    (configuration.is_some() || data.is_some())
        .then(|| Tiles { configuration: configuration.unwrap_or_default(), data: data.unwrap_or_default() })
}

/// Registers with which an interrupted call goes on elsewhere: it is made again.
///
/// What is left of a relative time limit only the kernel knows, unless the call writes it for the program: then that is
/// what it is made again with. Otherwise it gets all of its time once more, which is late but no error; EINTR is one to
/// many programs.
fn restarted(registers: &Registers, memory: Memory<'_>) -> Registers {
    const SYSCALL: u64 = inject::CALL_INSTRUCTION.len() as u64;
    let again = Registers { rip: registers.rip - SYSCALL, rax: registers.orig_rax, ..*registers };
    if (registers.orig_rax as i64) < 0 {
        return *registers;
    }
    match -(registers.rax as i64) {
        // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND
        512..=514 => again,
        // ERESTART_RESTARTBLOCK
        516 if registers.orig_rax == libc::SYS_restart_syscall as u64 => {
            match restarted_before(registers, memory) {
                Some(call) => restarted(&Registers { orig_rax: call as u64, ..*registers }, memory),
                None => Registers { rax: -i64::from(libc::EINTR) as u64, ..*registers },
            }
        }
        516 => match registers.orig_rax as i64 {
            libc::SYS_nanosleep if registers.rsi != 0 => Registers { rdi: registers.rsi, ..again },
            libc::SYS_clock_nanosleep if registers.r10 != 0 => Registers { rdx: registers.r10, ..again },
            _ => again,
        },
        _ => *registers,
    }
}

/// Which call a thread makes that was restarted before, by a stop or an earlier dump: the kernel only says that it was
/// (restart_syscall(2)), but of the few calls that it may be, many programs move the number into `eax` just before.
fn restarted_before(registers: &Registers, memory: Memory<'_>) -> Option<i64> {
    const MOV_EAX: u8 = 0xb8;
    let calls = [libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_futex, libc::SYS_poll];
    let moved = |bytes: &[u8]| {
        let number = i64::from(i32::from_le_bytes(bytes[1..].try_into().expect("four bytes")));
        (bytes[0] == MOV_EAX && calls.contains(&number)).then_some(number)
    };
    let mut code = [0; 24];
    let at = registers.rip.wrapping_sub((inject::CALL_INSTRUCTION.len() + code.len()) as u64);
    let moved = memory(at, &mut code).then(|| code.windows(5).rev().find_map(moved)).flatten();
    moved.or_else(|| restarted_by_arguments(registers, memory))
}

/// The same where the number has come another way, as with syscall(2), and all of glibc's calls since 2.41 that can be
/// cancelled: the one whose arguments these are.
fn restarted_by_arguments(r: &Registers, memory: Memory<'_>) -> Option<i64> {
    const FUTEX_FLAGS: i32 = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;
    /// Larger than any clock of clock_gettime(2).
    const CLOCKS: i32 = 16;
    let word = |at: u64| {
        let mut bytes = [0; 4];
        memory(at, &mut bytes).then(|| u32::from_le_bytes(bytes))
    };
    let is_time = |at: u64| {
        let mut bytes = [0; 16];
        memory(at, &mut bytes) && u64_at(&bytes, 0) <= i64::MAX as u64 && u64_at(&bytes, 8) < 1_000_000_000
    };
    // The kernel has written there what is left.
    let is_rest = |at: u64| at == 0 || is_time(at);
    // Those of processes and threads are below zero.
    let is_clock = (r.rdi as i32) < CLOCKS && (r.rdi >> 32 == 0 || r.rdi as i64 == i64::from(r.rdi as i32));
    let waits = [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].contains(&(r.rsi as i32 & !FUTEX_FLAGS))
        && r.rdi.is_multiple_of(4)
        && word(r.rdi).is_some()
        && is_time(r.r10);
    let is_limit = (1..=i32::MAX as u64).contains(&r.rdx);
    let possible = [
        (libc::SYS_clock_nanosleep, is_clock && r.rsi as u32 == 0 && is_time(r.rdx) && is_rest(r.r10)),
        (libc::SYS_futex, waits && word(r.rdi) == Some(r.rdx as u32)),
        (libc::SYS_nanosleep, is_time(r.rdi) && is_rest(r.rsi)),
        // Its value was changed just now.
        (libc::SYS_futex, waits),
        (libc::SYS_poll, is_limit && (r.rsi == 0 || word(r.rdi).is_some())),
    ];
    possible.into_iter().find_map(|(call, is_it)| is_it.then_some(call))
}

fn general(r: &Registers) -> UserX86RegsEntry {
    UserX86RegsEntry {
        r15: r.r15,
        r14: r.r14,
        r13: r.r13,
        r12: r.r12,
        bp: r.rbp,
        bx: r.rbx,
        r11: r.r11,
        r10: r.r10,
        r9: r.r9,
        r8: r.r8,
        ax: r.rax,
        cx: r.rcx,
        dx: r.rdx,
        si: r.rsi,
        di: r.rdi,
        orig_ax: r.orig_rax,
        ip: r.rip,
        cs: r.cs,
        flags: r.eflags,
        sp: r.rsp,
        ss: r.ss,
        fs_base: r.fs_base,
        gs_base: r.gs_base,
        ds: r.ds,
        es: r.es,
        fs: r.fs,
        gs: r.gs,
        mode: Some(UserX86RegsMode::Native as i32),
    }
}

fn extended(xsave: &[u8]) -> UserX86FpregsEntry {
    let u16_at = |at: usize| u32::from(u16::from_le_bytes([xsave[at], xsave[at + 1]]));
    // FXSAVE with 64-bit pointers.
    UserX86FpregsEntry {
        cwd: u16_at(0),
        swd: u16_at(2),
        twd: u16_at(4),
        fop: u16_at(6),
        rip: u64_at(xsave, 8),
        rdp: u64_at(xsave, 16),
        mxcsr: u32_at(xsave, 24),
        mxcsr_mask: u32_at(xsave, 28),
        st_space: words_u32(&xsave[32..160]),
        xmm_space: words_u32(&xsave[160..416]),
        padding: Vec::new(),
        xsave: (xsave.len() > XSTATE_BV + 8).then(|| components(xsave)),
    }
}

fn components(xsave: &[u8]) -> UserX86XsaveEntry {
    // What the processor does not have is missing; what is in its initial state is there, as the kernel shows it.
    let component = |number: u32| {
        let leaf = __cpuid_count(0xd, number);
        let (size, offset) = (leaf.eax as usize, leaf.ebx as usize);
        let is_there = size != 0 && offset != 0;
        is_there.then(|| xsave.get(offset..offset + size)).flatten()
    };
    let u32s = |number| component(number).map(words_u32).unwrap_or_default();
    let u64s = |number| component(number).map(words_u64).unwrap_or_default();
    UserX86XsaveEntry {
        xstate_bv: u64_at(xsave, XSTATE_BV),
        ymmh_space: u32s(YMM),
        bndreg_state: u64s(BNDREGS),
        bndcsr_state: u64s(BNDCSR),
        opmask_reg: u64s(OPMASK),
        zmm_upper: u64s(ZMM_HI256),
        hi16_zmm: u64s(HI16_ZMM),
        pkru: u32s(PKRU),
        // A supervisor's state, which the area of ptrace(2) does not have: without a shadow stack it is zero, and with
        // one the task is not dumped.
        cet: (__cpuid_count(0xd, CET).eax != 0).then_some(UserX86CetEntry { cet: 0, ssp: 0 }),
    }
}

fn unused_segment(entry_number: u32) -> UserDescT {
    UserDescT {
        entry_number,
        base_addr: 0,
        limit: 0,
        seg_32bit: false,
        contents_h: false,
        contents_l: false,
        read_exec_only: true,
        limit_in_pages: false,
        seg_not_present: true,
        usable: false,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn words_u32(bytes: &[u8]) -> Vec<u32> {
    (0..bytes.len()).step_by(4).map(|at| u32_at(bytes, at)).collect()
}

fn words_u64(bytes: &[u8]) -> Vec<u64> {
    (0..bytes.len()).step_by(8).map(|at| u64_at(bytes, at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupted(call: i64, result: i64) -> Registers {
        Registers { orig_rax: call as u64, rax: result as u64, rip: 0x1002, ..zero() }
    }

    fn zero() -> Registers {
        Registers {
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            orig_rax: 0,
            rip: 0,
            cs: 0,
            eflags: 0,
            rsp: 0,
            ss: 0,
            fs_base: 0,
            gs_base: 0,
            ds: 0,
            es: 0,
            fs: 0,
            gs: 0,
        }
    }

    #[test]
    fn interrupted_calls() {
        let restarted = |r: &Registers| restarted(r, &|_, _| false);
        let again = |r: &Registers| (restarted(r).rip, restarted(r).rax as i64);
        assert_eq!(again(&interrupted(libc::SYS_read, -512)), (0x1000, libc::SYS_read));
        assert_eq!(again(&interrupted(libc::SYS_pause, -514)), (0x1000, libc::SYS_pause));
        assert_eq!(again(&interrupted(libc::SYS_read, -9)), (0x1002, -9));
        // Not in a call: the number in rax is the program's own.
        assert_eq!(again(&interrupted(-1, -512)), (0x1002, -512));

        let block = |call| Registers { rdi: 0x10, rsi: 0x20, rdx: 0x30, r10: 0, ..interrupted(call, -516) };
        assert_eq!(again(&block(libc::SYS_nanosleep)), (0x1000, libc::SYS_nanosleep));
        assert_eq!(restarted(&block(libc::SYS_nanosleep)).rdi, 0x20);
        assert_eq!(restarted(&Registers { rsi: 0, ..block(libc::SYS_nanosleep) }).rdi, 0x10);
        assert_eq!(again(&block(libc::SYS_poll)), (0x1000, libc::SYS_poll));
        assert_eq!(again(&block(libc::SYS_restart_syscall)), (0x1002, -4));
        // mov eax, 230; xor r10d, r10d
        let code = [0x90, 0xb8, 230, 0, 0, 0, 0x45, 0x31, 0xd2];
        let memory = |at: u64, bytes: &mut [u8]| {
            let (start, end) = (bytes.len() - code.len(), bytes.len());
            bytes[start..].copy_from_slice(&code);
            at + end as u64 == 0x1000
        };
        let known = super::restarted(&block(libc::SYS_restart_syscall), &memory);
        assert_eq!((known.rip, known.rax as i64), (0x1000, libc::SYS_clock_nanosleep));
    }

    #[test]
    fn calls_that_are_known_by_their_arguments() {
        /// Two times, and what is none.
        const MEMORY: [u64; 6] = [1, 20_000_000, 0, 0, u64::MAX, 7];
        const TIME: u64 = 0x7fff_0000_4000;
        const REST: u64 = TIME + 16;
        const NO_TIME: u64 = TIME + 32;
        const WORD: u64 = TIME + 40;
        let memory = |at: u64, bytes: &mut [u8]| {
            let all: Vec<u8> = MEMORY.iter().flat_map(|word| word.to_le_bytes()).collect();
            let start = at.wrapping_sub(TIME) as usize;
            let found = start.checked_add(bytes.len()).and_then(|end| all.get(start..end));
            found.inspect(|found| bytes.copy_from_slice(found)).is_some()
        };
        let check = |[rdi, rsi, rdx, r10]: [u64; 4], call: Option<i64>| {
            let registers = Registers { rdi, rsi, rdx, r10, ..interrupted(libc::SYS_restart_syscall, -516) };
            assert_eq!(restarted_before(&registers, &memory), call, "{rdi:#x} {rsi:#x} {rdx:#x} {r10:#x}");
        };
        let sleeps = Some(libc::SYS_clock_nanosleep);
        check([0, 0, TIME, REST], sleeps);
        check([libc::CLOCK_BOOTTIME as u64, 0, TIME, 0], sleeps);
        check([-6_i64 as u64, 0, TIME, 0], sleeps);
        check([-6_i32 as u32 as u64, 0, TIME, 0], sleeps);
        check([0, 0, NO_TIME, 0], None);
        check([0, 0, TIME, NO_TIME], None);
        check([TIME, 0, NO_TIME, 5], Some(libc::SYS_nanosleep));
        check([TIME, REST, 5, 5], Some(libc::SYS_nanosleep));
        let futex = Some(libc::SYS_futex);
        for op in [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG] {
            check([WORD, op as u64, 7, TIME], futex);
            check([WORD, op as u64, 8, TIME], futex);
        }
        // A time, if it were not for the value.
        check([TIME, libc::FUTEX_WAIT as u64, 1, REST], futex);
        let poll = Some(libc::SYS_poll);
        check([NO_TIME, 1, 1500, 5], poll);
        check([0, 0, 1500, 5], poll);
        check([NO_TIME, 1, -1_i32 as u32 as u64, 5], None);
        check([NO_TIME + 64, 1, 1500, 5], None);
    }
}
