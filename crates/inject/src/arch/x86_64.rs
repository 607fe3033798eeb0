//! x86-64: the code that runs in tasks. None of it uses the stack, floating point or a call instruction, so red zones,
//! vector registers and shadow stacks stay as they are.
#![allow(unsafe_code)] // The code is assembly; taking its bytes needs their addresses.

use std::arch::global_asm;

pub type Registers = libc::user_regs_struct;

/// Bytes of a slot: the way home of one thread.
pub(crate) const SLOT: usize = 352;

/// Where in a slot the results of its calls are noted, for a later visitor.
pub(crate) const SLOT_RESULTS: usize = SLOT - 24;

/// The last word of a slot, so that a later visitor knows it: "floeslot".
pub(crate) const SLOT_MARK: u64 = u64::from_le_bytes(*b"floeslot");

/// The `cs` of a 64-bit program.
const CS_64: u64 = 0x33;

// The slot: a call whose registers the supervisor has set, then home. It is copied to where it runs, once for each thread,
// with that thread's values in the data behind the code; so a jump without a register can end it.
//
// Signals are blocked first: the supervisor may have died before it could do that, and while `rsp` points to our data a
// handler would have no stack. Unblocking them is the last call, with the program's own stack pointer: a handler that
// runs there sees what it would have seen at the place where the program was stopped.
//
// A handler that runs there returns to the slot: only a thread that has set its mark is gone from it for good.
//
// rt_sigreturn would be shorter. It is not used because it turns every pending restart into EINTR.
global_asm!(
    ".pushsection .rodata.inject,\"a\",@progbits",
    ".balign 16",
    ".global inject_slot, inject_slot_home, inject_slot_mark, inject_slot_last, inject_slot_data, inject_slot_end",
    "inject_slot:",
    "syscall",
    "inject_slot_home:",
    "mov eax, 14", // rt_sigprocmask
    "mov edi, 2",  // SIG_SETMASK
    "lea rsi, [rip + 4f]",
    "xor edx, edx",
    "mov r10d, 8",
    "syscall",
    "lea rsp, [rip + 5f]",
    "popfq",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "pop r9",
    "pop r8",
    "pop rsp",
    // A call changes `rax`, `rcx` and `r11` only. No flag changes any more.
    "mov eax, 14",
    "lea rsi, [rsi + 8]",
    "syscall",
    "mov r11, qword ptr [rip + 6f]",
    "mov r10, qword ptr [rip + 6f + 8]",
    "mov rcx, qword ptr [rip + 6f + 16]",
    "mov rdx, qword ptr [rip + 6f + 24]",
    "mov rsi, qword ptr [rip + 6f + 32]",
    "mov rdi, qword ptr [rip + 6f + 40]",
    "jmp qword ptr [rip + 8f]",
    "inject_slot_mark:",
    "mov rax, qword ptr [rip + 8f + 8]",
    "mov dword ptr [rax], 1",
    "inject_slot_last:",
    "mov rax, qword ptr [rip + 6f + 48]",
    "jmp qword ptr [rip + 7f]",
    ".balign 8",
    "inject_slot_data:",
    "4: .quad -1, 0",    // all signals; the program's mask
    "5: .fill 10, 8, 0", // what is popped
    "6: .fill 7, 8, 0",
    "7: .quad 0", // rip
    "8: .quad 0", // inject_slot_mark or inject_slot_last
    ".quad 0",    // where the mark is
    "inject_slot_end:",
    ".popsection",
);

// The stub: takes batches. `rbx` is the thread's mailbox (batch.rs has its layout), `r12` the operation.
//
// It waits for two words at once: the number of the next batch, and the supervisor's life. There is no time limit in the
// wait, because a wait with one overwrites the thread's restart block when it is interrupted.
global_asm!(
    ".pushsection .rodata.inject,\"a\",@progbits",
    ".balign 16",
    ".global inject_stub, inject_stub_end",
    "inject_stub:",
    "2:",
    "mov eax, dword ptr [rbx]",     // the batch that is wanted
    "mov ecx, dword ptr [rbx + 4]", // the batch that is done
    "cmp eax, ecx",
    "jne 3f",
    "mov rdx, qword ptr [rbx + 24]",
    "test dword ptr [rdx], 0x40000000", // FUTEX_OWNER_DIED
    "jnz 8f",
    "mov qword ptr [rbx + 56], rcx",
    "mov eax, 449", // futex_waitv
    "lea rdi, [rbx + 32]",
    "mov esi, 2",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "syscall",
    "jmp 2b",
    // A batch.
    "3:",
    "mov r12, qword ptr [rbx + 8]",
    "4:",
    "mov ecx, dword ptr [r12]",
    "test ecx, ecx",
    "jz 7f",
    "cmp ecx, 2",
    "je 5f",
    "cmp ecx, 3",
    "je 6f",
    // A call. The child of a clone finds all it needs in registers: by the time it runs, the operation may be another.
    "mov r13d, ecx",
    "mov eax, dword ptr [r12 + 4]",
    "mov rdi, qword ptr [r12 + 8]",
    "mov rsi, qword ptr [r12 + 16]",
    "mov rdx, qword ptr [r12 + 24]",
    "mov r10, qword ptr [r12 + 32]",
    "mov r8, qword ptr [r12 + 40]",
    "mov r9, qword ptr [r12 + 48]",
    "syscall",
    "cmp r13d, 5",
    "jne 9f",
    "test rax, rax",
    "jnz 9f",
    "mov rbx, r9", // the child's own mailbox
    "jmp 2b",
    "9:",
    "mov qword ptr [r12 + 56], rax",
    "cmp r13d, 4", // one that may fail
    "je 10f",
    "cmp rax, -4095",
    "jae 7f",
    "10:",
    "add r12, 64",
    "jmp 4b",
    // Copies eight bytes.
    "5:",
    "mov rax, qword ptr [r12 + 8]",
    "mov rcx, qword ptr [r12 + 16]",
    "mov rax, qword ptr [rax]",
    "mov qword ptr [rcx], rax",
    "add r12, 64",
    "jmp 4b",
    // Copies four bytes.
    "6:",
    "mov rax, qword ptr [r12 + 8]",
    "mov rcx, qword ptr [r12 + 16]",
    "mov eax, dword ptr [rax]",
    "mov dword ptr [rcx], eax",
    "add r12, 64",
    "jmp 4b",
    // The end of a batch.
    "7:",
    "mov eax, dword ptr [rbx]",
    "mov dword ptr [rbx + 4], eax",
    "mov eax, 202", // futex
    "lea rdi, [rbx + 4]",
    "mov esi, 1", // FUTEX_WAKE
    "mov edx, 1",
    "syscall",
    "jmp 2b",
    // The supervisor is gone. The kernel has woken one of those who wait; the others are woken here.
    "8:",
    "mov eax, 202",
    "mov rdi, rdx",
    "mov esi, 1",
    "mov edx, 0x7fffffff",
    "syscall",
    "jmp qword ptr [rbx + 16]",
    "inject_stub_end:",
    ".popsection",
);

// What a task of a restore does instead of going home: it has none yet.
global_asm!(
    ".pushsection .rodata.inject,\"a\",@progbits",
    ".global inject_end, inject_end_end",
    "inject_end:",
    "mov eax, 231", // exit_group
    "mov edi, 137",
    "syscall",
    "jmp inject_end",
    "inject_end_end:",
    ".popsection",
);

unsafe extern "C" {
    static inject_end: u8;
    static inject_end_end: u8;
    static inject_slot: u8;
    static inject_slot_home: u8;
    static inject_slot_mark: u8;
    static inject_slot_last: u8;
    static inject_slot_data: u8;
    static inject_slot_end: u8;
    static inject_stub: u8;
    static inject_stub_end: u8;
}

fn between(from: &'static u8, to: &'static u8) -> &'static [u8] {
    let len = to as *const u8 as usize - from as *const u8 as usize;
    // SAFETY: both are labels in the same read-only section, `from` first.
    unsafe { std::slice::from_raw_parts(from, len) }
}

/// The code of the stub.
pub(crate) fn stub() -> &'static [u8] {
    // SAFETY: the labels' addresses are taken, nothing is read through them.
    unsafe { between(&inject_stub, &inject_stub_end) }
}

/// Code that ends the process.
pub(crate) fn end() -> &'static [u8] {
    // SAFETY: as in `stub`.
    unsafe { between(&inject_end, &inject_end_end) }
}

/// Code that loads the configuration of the tiles of AMX that `r8` points to, uses the first tile, and makes the call that
/// the other registers say. In bytes: not every assembler knows AMX.
pub(crate) const USE_TILE: &[u8] = &[
    0xc4, 0xc2, 0x78, 0x49, 0x00, // ldtilecfg [r8]
    0xc4, 0xe2, 0x7b, 0x49, 0xc0, // tilezero tmm0
    0x0f, 0x05, // syscall
];

/// A configuration of tiles: palette 1, the first one with 16 rows of 64 bytes (Intel SDM vol. 1, 18.3).
pub(crate) const fn one_tile() -> [u8; 64] {
    let mut configuration = [0; 64];
    configuration[0] = 1;
    configuration[16] = 64;
    configuration[48] = 16;
    configuration
}

/// Goes on in the stub, and has no other memory any more that matters. Nothing is pushed and nothing returns.
///
/// # Safety
/// `stub` is the address of executable memory with the stub, `mailbox` that of a mailbox.
pub(crate) unsafe fn become_stub(stub: usize, mailbox: usize) -> ! {
    // SAFETY: the caller's promise. `rbx` cannot be named as an operand; the others are, because either could be put there.
    unsafe {
        std::arch::asm!("mov rbx, rdi", "jmp rsi", in("rdi") mailbox, in("rsi") stub, options(noreturn))
    }
}

/// The instruction that makes a system call, to be looked for in a vdso.
pub const CALL_INSTRUCTION: &[u8] = &[0x0f, 0x05];

/// Registers with which a stopped thread makes one call at the address of a `CALL_INSTRUCTION`, such as that of a slot.
pub(crate) fn calling(registers: &Registers, at: u64, call: RawCall) -> Registers {
    let [number, rdi, rsi, rdx, r10, r8, r9] = call;
    Registers { rip: at, rax: number, rdi, rsi, rdx, r10, r8, r9, orig_rax: u64::MAX, ..*registers }
}

/// Offset in a slot of the way home.
pub(crate) fn slot_home() -> usize {
    // SAFETY: as in `stub`.
    unsafe { between(&inject_slot, &inject_slot_home).len() }
}

/// A system call: its number and six arguments.
pub(crate) type RawCall = [u64; 7];

/// A slot for the address `at`: a `CALL_INSTRUCTION` and the way home. Where `mark` is an address, it writes a 1 there at
/// the end.
pub(crate) fn slot(at: u64, home: &Home, mark: Option<u64>) -> [u8; SLOT] {
    // SAFETY: as in `stub`.
    let (code, data, marking, last) = unsafe {
        (
            between(&inject_slot, &inject_slot_end),
            between(&inject_slot, &inject_slot_data).len(),
            between(&inject_slot, &inject_slot_mark).len() as u64,
            between(&inject_slot, &inject_slot_last).len() as u64,
        )
    };
    let mut bytes = [0; SLOT];
    bytes[..code.len()].copy_from_slice(code);
    let r = &home.registers;
    let end = at + if mark.is_some() { marking } else { last };
    let popped = [r.eflags, r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r9, r.r8, r.rsp];
    let moved = [r.r11, r.r10, r.rcx, r.rdx, r.rsi, r.rdi, r.rax];
    let masks = [u64::MAX, home.signal_mask];
    let words = masks.into_iter().chain(popped).chain(moved).chain([r.rip, end, mark.unwrap_or(0)]);
    for (at, word) in (data..).step_by(8).zip(words) {
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    bytes[SLOT - 8..].copy_from_slice(&SLOT_MARK.to_le_bytes());
    bytes
}

/// Where a thread goes on when we are gone: registers as a program sees them, that is with the restart of an interrupted
/// call decided, and blocked signals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    registers: Registers,
    signal_mask: u64,
}

impl Home {
    /// `registers` are those of a stopped thread. A call that the stop has interrupted is made again, as the kernel does
    /// when no handler runs (arch_do_signal_or_restart).
    pub(crate) fn new(registers: &Registers, signal_mask: u64) -> Home {
        let mut registers = *registers;
        if (registers.orig_rax as i64) >= 0 {
            // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND; ERESTART_RESTARTBLOCK
            let call = match -(registers.rax as i64) {
                512..=514 => Some(registers.orig_rax),
                516 => Some(libc::SYS_restart_syscall as u64),
                _ => None,
            };
            if let Some(call) = call {
                registers.rax = call;
                registers.rip -= 2;
            }
        }
        Home { registers, signal_mask }
    }
}

/// Registers with which a stopped thread runs code of ours. Everything else, the stack pointer above all, stays the
/// program's. `orig_rax` says that no call is to be restarted.
pub(crate) fn running(registers: &Registers, code: u64, mailbox: u64) -> Registers {
    Registers { rip: code, rbx: mailbox, orig_rax: u64::MAX, ..*registers }
}

/// Whether a call has failed with EINTR that the kernel cannot restart: being frozen or stopped is enough to end it
/// (signal(7), "Interruption of system calls by stop signals").
pub(crate) fn is_interrupted(registers: &Registers) -> bool {
    let is_such = matches!(
        registers.orig_rax as i64,
        libc::SYS_epoll_wait
            | libc::SYS_epoll_pwait
            | libc::SYS_epoll_pwait2
            | libc::SYS_rt_sigtimedwait
            | libc::SYS_semop
            | libc::SYS_semtimedop
            | libc::SYS_io_getevents
    );
    is_such && registers.rax as i64 == -i64::from(libc::EINTR)
}

/// Has an interrupted call made again, as if it had said ERESTARTNOHAND. One with a time limit gets all of it once more.
pub(crate) fn make_again(registers: &mut Registers) {
    registers.rax = -514i64 as u64;
}

pub(crate) fn is_64_bit(registers: &Registers) -> bool {
    registers.cs == CS_64
}

pub(crate) fn instruction_pointer(registers: &mut Registers) -> &mut u64 {
    &mut registers.rip
}

pub(crate) fn call_result(registers: &Registers) -> i64 {
    registers.rax as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_room() {
        // SAFETY: as in `stub`.
        let code = unsafe { between(&inject_slot, &inject_slot_end).len() };
        assert!(code <= SLOT_RESULTS, "{code} bytes");
        assert!(stub().len() <= 512, "{} bytes", stub().len());
    }
}
