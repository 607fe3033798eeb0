//! The last step: registers. After it no code of ours runs in the tasks.

use super::memory::vdso_code;
use crate::error::{At, Error, Result};
use crate::processor;
use crate::snapshot::{Snapshot, Task, TaskState, Tiles};
use images::messages::{CoreEntry, UserX86FpregsEntry};
use inject::{CALL_INSTRUCTION, Registers, Thread};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const STOP: Duration = Duration::from_secs(10);

/// Refuses registers that this processor cannot hold.
pub(super) fn check(snapshot: &Snapshot) -> Result<()> {
    let (supported, _, size) = processor::xsave();
    let mut area = vec![0; size as usize];
    for task in snapshot.tasks.iter().filter(|task| !task.is_zombie()) {
        for (core, tid) in task.threads.iter().zip(&task.entry.threads) {
            let Some(info) = &core.thread_info else { continue };
            if let Some(place) = area.get_mut(SUPPORTED..SUPPORTED + 8) {
                place.copy_from_slice(&supported.to_le_bytes());
            }
            extended_state(&mut area, &info.fpregs, tiles(snapshot, *tid))
                .map_err(|error| Error::new(format!("core-{tid}.img: {error}")))?;
        }
    }
    Ok(())
}

/// Stops all threads, takes the nursery away, and sets registers and signal masks. Tasks that were stopped, and those of
/// which `stops` is true, have SIGSTOP pending then.
pub(super) fn restore(
    snapshot: &Snapshot,
    nursery: &inject::Nursery,
    threads: &[Thread],
    stops: fn(&Task) -> bool,
) -> Result<()> {
    for thread in threads {
        thread.interrupt()?;
    }
    for thread in threads {
        thread.wait(STOP)?;
    }
    let mut next = threads.iter();
    for task in snapshot.tasks.iter().filter(|task| !task.is_zombie()) {
        let own: Vec<&Thread> = next.by_ref().take(task.threads.len()).collect();
        let Some(leader) = own.first() else { continue };
        for (thread, tid) in own.iter().zip(&task.entry.threads) {
            if tiles(snapshot, *tid).is_some() {
                nursery.make_room_for_tiles(thread)?;
            }
        }
        let range = nursery.range();
        // Nobody returns to the nursery: registers of all threads are set below.
        let call = [libc::SYS_munmap as u64, range.start, range.end - range.start, 0, 0, 0, 0];
        let instruction = call_instruction(task, leader)?;
        if leader.call_at(instruction, call)? != 0 {
            return Err(Error::new(format!("task {}: the nursery could not be unmapped", task.entry.pid)));
        }
        for ((thread, core), tid) in own.iter().zip(&task.threads).zip(&task.entry.threads) {
            let named = |error: Error| Error::new(format!("task {}: {error}", task.entry.pid));
            set(thread, core, tiles(snapshot, *tid)).map_err(named)?;
        }
        if task.state() == Some(TaskState::Stopped) || stops(task) {
            let pidfd =
                sys::process::pidfd_open(leader.tid()).at(|| format!("task {}: pidfd", task.entry.pid))?;
            let stopped = sys::process::pidfd_send_signal(pidfd.as_fd(), libc::SIGSTOP);
            stopped.at(|| format!("task {}: stop", task.entry.pid))?;
        }
    }
    Ok(())
}

fn tiles(snapshot: &Snapshot, tid: u32) -> Option<&Tiles> {
    snapshot.side.thread(tid)?.tiles.as_ref()
}

/// The address of a `syscall` instruction of the task's vdso.
fn call_instruction(task: &Task, leader: &Thread) -> Result<u64> {
    let missing = || Error::new(format!("task {}: its vdso is missing", task.entry.pid));
    let range = vdso_code(task).ok_or_else(missing)?;
    let file = format!("/proc/{}/mem", leader.tid());
    let mut code = vec![0; (range.end - range.start) as usize];
    let memory = File::open(&file).at(|| format!("open {file}"))?;
    memory.read_exact_at(&mut code, range.start).at(|| format!("read {file}"))?;
    let at = code.windows(CALL_INSTRUCTION.len()).position(|bytes| bytes == CALL_INSTRUCTION);
    Ok(range.start + at.ok_or_else(missing)? as u64)
}

fn set(thread: &Thread, core: &CoreEntry, tiles: Option<&Tiles>) -> Result<()> {
    let Some(info) = &core.thread_info else { return Ok(()) };
    let mut state = thread.extended_state()?;
    extended_state(&mut state, &info.fpregs, tiles)?;
    thread.set_extended_state(&state)?;
    let own = core.thread_core.as_ref().and_then(|state| state.blk_sigset);
    let mask = own.or_else(|| core.tc.as_ref().map(|tc| tc.blk_sigset)).unwrap_or(0);
    thread.set_signal_mask(mask)?;
    let from = &info.gpregs;
    let registers = Registers {
        r15: from.r15,
        r14: from.r14,
        r13: from.r13,
        r12: from.r12,
        rbp: from.bp,
        rbx: from.bx,
        r11: from.r11,
        r10: from.r10,
        r9: from.r9,
        r8: from.r8,
        rax: from.ax,
        rcx: from.cx,
        rdx: from.dx,
        rsi: from.si,
        rdi: from.di,
        // No call is to be restarted: the images have it done.
        orig_rax: u64::MAX,
        rip: from.ip,
        cs: from.cs,
        eflags: from.flags,
        rsp: from.sp,
        ss: from.ss,
        fs_base: from.fs_base,
        gs_base: from.gs_base,
        ds: from.ds,
        es: from.es,
        fs: from.fs,
        gs: from.gs,
    };
    Ok(thread.set_registers(&registers)?)
}

/// Components of XSAVE: their number, and the bytes that they have.
const YMM: (u32, usize) = (2, 256);
const OPMASK: (u32, usize) = (5, 64);
const ZMM: (u32, usize) = (6, 512);
const HIGH_ZMM: (u32, usize) = (7, 1024);
const PKRU: (u32, usize) = (9, 8);
const TILE_CONFIGURATION: u32 = 17;
const TILE_DATA: u32 = 18;
/// What the legacy area has: x87 and SSE.
const LEGACY: u64 = 0b11;

/// Offsets in the area: the header's xstate_bv, and, in the legacy area, what this processor and kernel support.
const HEADER: usize = 512;
const SUPPORTED: usize = 464;

/// Changes an XSAVE area in its standard format to what the images say.
fn extended_state(area: &mut [u8], from: &UserX86FpregsEntry, tiles: Option<&Tiles>) -> Result<()> {
    if area.len() < HEADER + 64 {
        return Err(Error::new("this processor has no XSAVE, which the image was made with"));
    }
    fn put(area: &mut [u8], at: usize, words: impl IntoIterator<Item = u64>, bytes: usize) {
        for (nth, word) in words.into_iter().enumerate() {
            area[at + nth * bytes..][..bytes].copy_from_slice(&word.to_le_bytes()[..bytes]);
        }
    }
    let supported = u64::from_le_bytes(area[SUPPORTED..SUPPORTED + 8].try_into().expect("eight bytes"));
    put(area, 0, [from.cwd, from.swd, from.twd, from.fop].map(u64::from), 2);
    put(area, 8, [from.rip, from.rdp], 8);
    put(area, 24, [from.mxcsr].map(u64::from), 4);
    put(area, 32, from.st_space.iter().take(32).map(|word| u64::from(*word)), 4);
    put(area, 160, from.xmm_space.iter().take(64).map(|word| u64::from(*word)), 4);
    let Some(xsave) = &from.xsave else {
        put(area, HEADER, [LEGACY], 8);
        return Ok(());
    };
    let narrow = |words: &[u32]| words.iter().map(|word| u64::from(*word)).collect::<Vec<u64>>();
    let components: [((u32, usize), Vec<u64>, usize); 5] = [
        (YMM, narrow(&xsave.ymmh_space), 4),
        (OPMASK, xsave.opmask_reg.clone(), 8),
        (ZMM, xsave.zmm_upper.clone(), 8),
        (HIGH_ZMM, xsave.hi16_zmm.clone(), 8),
        (PKRU, narrow(&xsave.pkru), 4),
    ];
    let mut present = xsave.xstate_bv & LEGACY;
    for ((number, size), words, bytes) in components {
        if xsave.xstate_bv & 1 << number == 0 || words.is_empty() {
            continue;
        }
        if supported & 1 << number == 0 {
            return Err(Error::new(format!(
                "the image has state {number} of XSAVE, which this processor lacks"
            )));
        }
        // EAX is the size, EBX the offset in the standard format.
        let place = std::arch::x86_64::__cpuid_count(0xd, number);
        let at = place.ebx as usize;
        if at + size > area.len() || words.len() * bytes > size {
            return Err(Error::new(format!(
                "state {number} of XSAVE has another size than this processor's"
            )));
        }
        put(area, at, words, bytes);
        present |= 1 << number;
    }
    for (number, bytes) in tiles
        .iter()
        .flat_map(|tiles| [(TILE_CONFIGURATION, &tiles.configuration), (TILE_DATA, &tiles.data)])
        .filter(|(_, bytes)| !bytes.is_empty())
    {
        let place = std::arch::x86_64::__cpuid_count(0xd, number);
        let (size, at) = (place.eax as usize, place.ebx as usize);
        if bytes.len() != size || at + size > area.len() {
            return Err(Error::new("the image has tiles of AMX that this processor lacks"));
        }
        area[at..at + size].copy_from_slice(bytes);
        present |= 1 << number;
    }
    put(area, HEADER, [present], 8);
    Ok(())
}
