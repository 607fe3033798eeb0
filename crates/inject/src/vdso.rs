//! Where code of ours lies in a task before there is memory for it: at the end of its vdso.
//!
//! The kernel maps its image of the vdso in whole pages. Programs use the loaded segment at its start, which has functions,
//! symbols and unwind tables. What is behind that, in order: a comment, names and headers of sections, about 1250
//! bytes together that only debuggers read; and zeros to the end of the page. So the last bytes are the right ones. What
//! is not zero there is known, as all tasks have the same image, and can be written back by whoever comes next.
#![allow(unsafe_code)] // getauxval(3).

use crate::arch::{SLOT, SLOT_MARK};
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
    // Elf64_Ehdr and Elf64_Phdr, elf(5).
    let half = |at: usize| Some(u16::from_le_bytes(vdso.get(at..at.checked_add(2)?)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(vdso.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let xword =
        |at: usize| Some(u64::from_le_bytes(vdso.get(at..at.checked_add(8)?)?.try_into().ok()?) as usize);
    if !vdso.starts_with(b"\x7fELF") {
        return None;
    }
    let (headers, size, count) = (xword(32)?, half(54)?, half(56)?);
    let mut end = None;
    for nth in 0..usize::from(count) {
        let header = headers.checked_add(nth * usize::from(size))?;
        if word(header)? == libc::PT_LOAD {
            end = end.max(xword(header.checked_add(8)?)?.checked_add(xword(header.checked_add(32)?)?));
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_segment_of_our_vdso_has_an_end() {
        // SAFETY: no pointers.
        let at = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
        let mut page = vec![0; 4096];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut page, at).unwrap();
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
}
