//! The vdso (vdso(7)): what is in it, and where code of ours lies in a task before there is memory for it: at its end.
//!
//! The kernel maps its image of the vdso in whole pages. Programs use the loaded segment at its start, which has functions,
//! symbols and unwind tables. What is behind that, in order: a comment, names and headers of sections, about 1250
//! bytes together that only debuggers read; and zeros to the end of the page. So the last bytes are the right ones. What
//! is not zero there is known, as all tasks have the same image, and can be written back by whoever comes next.
#![allow(unsafe_code)] // getauxval(3).

use crate::arch::{SLOT, SLOT_MARK};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Places for a slot: one may still be needed by a task whose supervisor has died.
const PLACES: usize = 2;

/// A place for a slot.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) at: u64,
    /// What the kernel's image has there.
    pub(crate) image: [u8; SLOT],
}

/// A free place. Where each has what a supervisor has left that died there, the first is taken. None where the end of the
/// vdso is not that of our kernel's image, or is used.
pub(crate) fn place(vdso: &Range<u64>, memory: &File) -> Option<Place> {
    let read = |memory: &File, at: u64| {
        let mut bytes = vec![0; (vdso.end - vdso.start) as usize];
        memory.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
    };
    // SAFETY: no pointers.
    let own_at = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    let own = read(&File::open("/proc/self/mem").ok()?, own_at)?;
    let found = read(memory, vdso.start)?;
    let first = found.len().checked_sub(PLACES * SLOT)?;
    if loaded_size(&found)? > first {
        return None;
    }
    let slots = found[first..].chunks_exact(SLOT).zip(own[first..].chunks_exact(SLOT));
    let is_free = |(found, own): (&[u8], &[u8])| found == own;
    let is_left = |(found, _): (&[u8], &[u8])| found.ends_with(&SLOT_MARK.to_le_bytes());
    if !slots.clone().all(|slot| is_free(slot) || is_left(slot)) {
        return None;
    }
    let at = first + slots.clone().position(is_free).unwrap_or(0) * SLOT;
    Some(Place {
        at: vdso.start + at as u64,
        image: own[at..at + SLOT].try_into().expect("the length of a slot"),
    })
}

/// The places of a vdso, without a look at it.
pub(crate) fn places(vdso: &Range<u64>) -> [Range<u64>; PLACES] {
    let start = |nth: usize| vdso.end - ((PLACES - nth) * SLOT) as u64;
    std::array::from_fn(|nth| start(nth)..start(nth + 1))
}

/// Bytes at the start of a vdso that a program may use: those of its loaded segment. None where it is no ELF file.
pub fn loaded_size(vdso: &[u8]) -> Option<usize> {
    let elf = Elf::of(vdso)?;
    let ends = elf.segments(libc::PT_LOAD).map(|segment| segment.offset.checked_add(segment.size));
    ends.max().flatten()
}

/// The functions of a vdso (vdso(7)): the names of each, and where it is from the start. Empty where there are none that
/// can be found.
pub fn functions(vdso: &[u8]) -> BTreeMap<&[u8], Range<usize>> {
    Elf::of(vdso).and_then(|elf| elf.functions()).unwrap_or_default()
}

/// An ELF file (elf(5)) as it lies in memory. Nothing in it is believed.
struct Elf<'a>(&'a [u8]);

struct Segment {
    offset: usize,
    address: usize,
    size: usize,
}

impl<'a> Elf<'a> {
    fn of(bytes: &'a [u8]) -> Option<Elf<'a>> {
        bytes.starts_with(b"\x7fELF").then_some(Elf(bytes))
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn half(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_le_bytes)
    }

    fn word(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    fn xword(&self, at: usize) -> Option<usize> {
        self.bytes(at).map(|bytes| u64::from_le_bytes(bytes) as usize)
    }

    /// Elf64_Ehdr and Elf64_Phdr.
    fn segments(&self, kind: u32) -> impl Iterator<Item = Segment> {
        let table = (self.xword(32), self.half(54), self.half(56));
        let (headers, size, count) = match table {
            (Some(headers), Some(size), Some(count)) => (headers, usize::from(size), count),
            _ => (0, 0, 0),
        };
        (0..usize::from(count)).filter_map(move |nth| {
            let at = headers.checked_add(nth * size)?;
            let field = |offset| self.xword(at.checked_add(offset)?);
            (self.word(at)? == kind).then_some(())?;
            Some(Segment { offset: field(8)?, address: field(16)?, size: field(32)? })
        })
    }

    fn functions(&self) -> Option<BTreeMap<&'a [u8], Range<usize>>> {
        const STRING_TABLE: usize = 5;
        const SYMBOL_TABLE: usize = 6;
        /// Bytes of Elf64_Sym, and STT_FUNC in its st_info.
        const SYMBOL: usize = 24;
        const FUNCTION: u8 = 2;
        let loaded = self.segments(libc::PT_LOAD).next()?;
        let from_start = |address: usize| address.checked_sub(loaded.address)?.checked_add(loaded.offset);
        let dynamic = self.segments(libc::PT_DYNAMIC).next()?;
        let entries = (0..dynamic.size / 16).filter_map(|nth| dynamic.offset.checked_add(nth * 16));
        let entry = |tag| {
            let at = entries.clone().find(|at| self.xword(*at) == Some(tag))?;
            from_start(self.xword(at.checked_add(8)?)?)
        };
        let (symbols, strings) = (entry(SYMBOL_TABLE)?, entry(STRING_TABLE)?);
        // The linker puts the strings behind the symbols; nothing else says in all of them how many there are.
        let symbols = (symbols..strings.min(self.0.len())).step_by(SYMBOL);
        let function = |at: usize| {
            let [info] = self.bytes(at + 4)?;
            let is_function = info & 0xf == FUNCTION && self.half(at + 6)? != 0;
            let name = self.0.get(strings.checked_add(self.word(at)? as usize)?..)?;
            let name = name.split(|byte| *byte == 0).next()?;
            let (start, size) = (from_start(self.xword(at + 8)?)?, self.xword(at + 16)?);
            let range = start..start.checked_add(size)?;
            (is_function && range.end <= self.0.len()).then_some((name, range))
        };
        Some(symbols.filter_map(function).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(len: usize) -> Vec<u8> {
        // SAFETY: no pointers.
        let at = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
        let mut bytes = vec![0; len];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    #[test]
    fn the_loaded_segment_of_our_vdso_has_an_end() {
        let mut page = own(4096);
        let size = loaded_size(&page).unwrap();
        // Headers, symbols and code of five functions at least.
        assert!((1024..=64 << 10).contains(&size), "{size}");
        // The headers are within it, and no claim of them leads out of what was read.
        for len in [0, 3, 63, 100] {
            assert_eq!(loaded_size(&page[..len]), None);
        }
        page[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(loaded_size(&page), None);
    }

    #[test]
    fn functions_of_our_vdso() {
        // The first page has all headers.
        let size = loaded_size(&own(4096)).unwrap();
        let vdso = own(size);
        let found = functions(&vdso);
        let time = &found[b"__vdso_clock_gettime".as_slice()];
        assert!(time.start > 64 && time.len() > 16 && time.end <= size, "{time:?}");
        assert_eq!(found[b"clock_gettime".as_slice()], *time);
        assert!(found.keys().all(|name| name.is_ascii() && !name.is_empty()));
        for len in 0..size {
            let _ = functions(&vdso[..len]);
        }
        // Whatever a header claims.
        for at in 0..1024 {
            let mut damaged = vdso.clone();
            damaged[at] = !damaged[at];
            let _ = functions(&damaged);
        }
    }
}
