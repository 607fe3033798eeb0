//! The vdso (vdso(7)) of another kernel. Programs know the addresses of its functions, and they read data whose layout only
//! their own kernel knows. So it becomes memory like any other, at its place, where each function jumps to our kernel's of
//! the same name; that one lies where all tasks have room.
//!
//! Where the data was are zeros. To a function that goes on in its middle, or that our kernel does not have, they say that
//! there is no clock and no random state, and it makes the system call instead.

use super::build::Build;
use super::layout::{addresses, hole};
use super::memory::{vdso, vdso_code};
use super::pages::PageFiles;
use crate::arch::jump;
use crate::error::{At, Error, Result};
use crate::snapshot::vma::{ANON_PRIVATE, GUARD, REGULAR, VDSO, VVAR};
use crate::snapshot::{Snapshot, Task};
use images::messages::VmaEntry;
use inject::Batch;
use inject::vdso::{functions, loaded_size};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Code that tasks get, by their index: where, and what.
pub(super) type Jumps = BTreeMap<usize, Vec<(u64, Vec<u8>)>>;

/// What every process of our kernel has.
struct Own {
    /// With its data.
    range: Range<u64>,
    code: Range<u64>,
    /// All of the code's pages.
    content: Vec<u8>,
}

impl Own {
    fn read() -> Result<Own> {
        let text = std::fs::read_to_string("/proc/self/maps").at(|| "read /proc/self/maps".to_owned())?;
        let missing = || Error::new("/proc/self/maps: this kernel gives no vdso");
        let ranges = |name: &str| -> Vec<Range<u64>> {
            let lines = text
                .lines()
                .filter(|line| line.rsplit(' ').next().is_some_and(|last| last.starts_with(name)));
            lines.filter_map(addresses).collect()
        };
        let code = ranges("[vdso]").first().cloned().ok_or_else(missing)?;
        let start = ranges("[vvar").iter().map(|range| range.start).min().unwrap_or(code.start);
        let mut content = vec![0; (code.end - code.start) as usize];
        let memory = File::open("/proc/self/mem").at(|| "open /proc/self/mem".to_owned())?;
        memory.read_exact_at(&mut content, code.start).at(|| "read our vdso".to_owned())?;
        Ok(Own { range: start..code.end, code, content })
    }

    /// Whether a task had the same. Behind the loaded segment may be what a supervisor has left that died there.
    fn is(&self, range: &Range<u64>, code: &Range<u64>, content: &[u8]) -> bool {
        let size = loaded_size(&self.content).unwrap_or(self.content.len()).min(self.content.len());
        range.end - range.start == self.range.end - self.range.start
            && code.end - code.start == self.code.end - self.code.start
            && content[..size] == self.content[..size]
    }

    /// Its mappings at another address.
    fn mappings(&self, at: u64) -> [VmaEntry; 2] {
        let mapping = |start, end, prot: i32, status| VmaEntry {
            start,
            end,
            prot: prot as u32,
            flags: (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u32,
            status: REGULAR | ANON_PRIVATE | status,
            fd: -1,
            ..VmaEntry::default()
        };
        let (code, end) =
            (at + (self.code.start - self.range.start), at + (self.range.end - self.range.start));
        [
            mapping(at, code, libc::PROT_READ, VVAR),
            mapping(code, end, libc::PROT_READ | libc::PROT_EXEC, VDSO),
        ]
    }
}

/// Gives tasks whose vdso is not our kernel's one that is, and makes memory of their own of what they had. Says which code
/// they get; nothing where there is no such task.
pub(super) fn adopt(snapshot: &mut Snapshot, pages: &PageFiles) -> Result<Jumps> {
    let own = Own::read()?;
    let mut foreign = BTreeMap::new();
    for (index, task) in snapshot.tasks.iter().enumerate() {
        let (Some(range), Some(code)) = (vdso(task), vdso_code(task)) else { continue };
        let content = content(task, pages, &code)?;
        if !own.is(&range, &code, &content) {
            foreign.insert(index, (code, content));
        }
    }
    if foreign.is_empty() {
        return Ok(Jumps::new());
    }
    let at = hole(snapshot, own.range.end - own.range.start)?;
    let start = at + (own.code.start - own.range.start);
    let target = functions(&own.content);
    let mut jumps = Jumps::new();
    for (index, (code, content)) in foreign {
        let task = &mut snapshot.tasks[index];
        let Some(mm) = &mut task.mm else { continue };
        for mapping in mm.vmas.iter_mut().filter(|mapping| mapping.status & (VDSO | VVAR) != 0) {
            mapping.status = REGULAR | ANON_PRIVATE;
            mapping.flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u32;
            mapping.madv = None;
        }
        let is_behind = |mapping: &VmaEntry| mapping.start > at || mapping.status & GUARD != 0;
        let place = mm.vmas.iter().position(is_behind).unwrap_or(mm.vmas.len());
        mm.vmas.splice(place..place, own.mappings(at));
        let jump = |(name, function): (&&[u8], &Range<usize>)| {
            let jump = jump(start + target.get(name)?.start as u64);
            (function.len() >= jump.len()).then(|| (code.start + function.start as u64, jump.to_vec()))
        };
        // A function has several names.
        let of_task: BTreeMap<u64, Vec<u8>> = functions(&content).iter().filter_map(jump).collect();
        check_threads(task, &of_task)?;
        jumps.insert(index, of_task.into_iter().collect());
    }
    Ok(jumps)
}

/// Nobody can go on in the middle of a jump.
fn check_threads(task: &Task, jumps: &BTreeMap<u64, Vec<u8>>) -> Result<()> {
    for (core, tid) in task.threads.iter().zip(&task.entry.threads) {
        let Some(info) = &core.thread_info else { continue };
        let at = info.gpregs.ip;
        if let Some((start, code)) = jumps.range(..at).next_back()
            && at < start + code.len() as u64
        {
            return Err(Error::new(format!(
                "task {tid}: its vdso is that of another kernel, and it is about to begin one of its functions; make                  another dump, or restore it on the same kernel"
            )));
        }
    }
    Ok(())
}

/// The pages of a task's vdso, which a dump always has.
fn content(task: &Task, pages: &PageFiles, code: &Range<u64>) -> Result<Vec<u8>> {
    let (content, found) = pages.of_task(task).content(code)?;
    if found < content.len() {
        let pid = task.entry.pid;
        return Err(Error::new(format!("pagemap-{pid}.img: pages of the vdso are missing")));
    }
    Ok(content)
}

/// Has the functions of a task's old vdso lead to the kernel's, when it has its memory.
pub(super) fn redirect(build: &mut Build<'_>, index: usize) -> Result<()> {
    let Some(jumps) = build.layout.jumps.get(&index) else { return Ok(()) };
    let task = &build.snapshot.tasks[index];
    let (pid, vmas) = (task.entry.pid, task.mm.iter().flat_map(|mm| &mm.vmas));
    let has_jump =
        |mapping: &&VmaEntry| jumps.iter().any(|(at, _)| (mapping.start..mapping.end).contains(at));
    let changed: Vec<&VmaEntry> = vmas.filter(has_jump).collect();
    let protect = |build: &mut Build<'_>, more: i32| {
        let mut batch = Batch::new();
        for mapping in &changed {
            let (len, prot) = (mapping.end - mapping.start, mapping.prot | more as u32);
            batch.call("mprotect", libc::SYS_mprotect, &[mapping.start.into(), len.into(), prot.into()]);
        }
        build.run(index, &batch)
    };
    // Kernels need not let anybody write where the task itself cannot (CONFIG_PROC_MEM_FORCE_PTRACE).
    protect(build, libc::PROT_WRITE)?;
    let memory = OpenOptions::new().write(true).open(format!("/proc/{}/mem", build.host_pid(index)?));
    let memory = memory.at(|| format!("task {pid}: open its memory"))?;
    for (at, code) in jumps {
        memory.write_all_at(code, *at).at(|| format!("task {pid}: write to its vdso"))?;
    }
    protect(build, 0)?;
    Ok(())
}
