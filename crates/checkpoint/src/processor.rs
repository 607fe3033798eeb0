//! What this processor can do, as `cpuinfo.img` has it, and whether it can do what another could. Programs find out what
//! a processor can do when they start and go by that for ever: after a restore they use instructions that may not be there.
//!
//! Not here: whether registers can hold what images have for them, which every restore asks (`restore/registers.rs`).

use crate::error::{At, Error, Result};
use images::messages::cpuinfo_x86_entry::Vendor;
use images::messages::{CpuinfoEntry, CpuinfoX86Entry};
use images::{Directory, Writer, format};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::fs::File;
use std::os::fd::BorrowedFd;

const CPUINFO: &str = "cpuinfo.img";

/// Words of features; an image of version 1 has fewer. The kernel once had them in this order, CRIU still has.
const VERSION: u32 = 2;
const WORDS: usize = 19;
const WORDS_OF_VERSION_1: usize = 12;

/// What is compared of two processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The state that XSAVE saves: all that was there is, and the area has the same size, because programs have asked
    /// for it.
    pub fpu: bool,
    /// Instructions of programs: all that were there are.
    pub instructions: bool,
    /// Every feature: all that were there are, and no other.
    pub all: bool,
}

impl Default for Compared {
    /// What CRIU compares where nobody says.
    fn default() -> Compared {
        Compared { fpu: true, instructions: true, all: false }
    }
}

/// This processor, of which all of the host are.
///
/// # Errors
/// It is not Intel's or AMD's: the format has no word for others.
pub fn processor() -> Result<CpuinfoEntry> {
    let first = __cpuid(0);
    let mut name = [first.ebx, first.edx, first.ecx].map(u32::to_le_bytes).concat();
    let vendor = match name.as_slice() {
        b"GenuineIntel" => Vendor::Intel,
        b"AuthenticAMD" => Vendor::Amd,
        _ => return Err(Error::new(format!("processor: made by {}", name.escape_ascii()))),
    };
    let leaf = |number, sub| match number {
        _ if number < 0x8000_0000 && number > first.eax => None,
        _ if number > 0x8000_0000 && number > __cpuid(0x8000_0000).eax => None,
        _ => Some(__cpuid_count(number, sub)),
    };
    let signature = __cpuid(1).eax;
    let mut family = signature >> 8 & 0xf;
    let mut model = signature >> 4 & 0xf;
    if family == 0xf {
        family += signature >> 20 & 0xff;
    }
    if family >= 6 {
        model += (signature >> 16 & 0xf) << 4;
    }
    let mut words = [0; WORDS];
    for (word, number, sub, register) in LEAVES {
        words[word] = leaf(number, sub).map_or(0, |values| match register {
            Register::Eax => values.eax,
            Register::Ebx => values.ebx,
            Register::Ecx => values.ecx,
            Register::Edx => values.edx,
        });
    }
    // Monitoring of the cache (CQM_LLC) has a leaf of its own.
    if words[16] & 1 << 1 == 0 {
        words[12] = 0;
    }
    // NOPL and CPUID, which x86-64 always has.
    words[3] |= 1 << 20 | 1 << 25;
    match vendor {
        Vendor::Intel if family == 15 => words[9] &= !(1 << 9),
        Vendor::Intel if family == 6 => words[3] |= REP_GOOD,
        // Bit 31 is 3DNow!, which is in another word.
        _ => words[0] &= !(1 << 31),
    }
    if vendor == Vendor::Amd && family >= 0x10 {
        words[3] |= REP_GOOD;
    }
    name = [0x8000_0002, 0x8000_0003, 0x8000_0004]
        .into_iter()
        .filter_map(|number| leaf(number, 0))
        .flat_map(|values| [values.eax, values.ebx, values.ecx, values.edx])
        .flat_map(u32::to_le_bytes)
        .skip_while(|byte| *byte == b' ')
        .take_while(|byte| *byte != 0)
        .collect();
    let (states, size, size_of_all) = xsave();
    let entry = CpuinfoX86Entry {
        vendor_id: vendor as i32,
        cpu_family: family,
        model,
        stepping: signature & 0xf,
        capability_ver: VERSION,
        capability: words.to_vec(),
        model_id: Some(name).filter(|name| !name.is_empty()),
        xfeatures_mask: Some(states & STATES),
        xsave_size: Some(size),
        xsave_size_max: Some(size_of_all),
    };
    Ok(CpuinfoEntry { x86_entry: vec![entry] })
}

/// The components of XSAVE that this processor has, and the bytes of an area with those that are enabled and with all
/// (Intel SDM vol. 2, CPUID 0DH).
pub(crate) fn xsave() -> (u64, u32, u32) {
    let values = __cpuid_count(0xd, 0);
    (u64::from(values.edx) << 32 | u64::from(values.eax), values.ebx, values.ecx)
}

/// Writes `cpuinfo.img` alone, over one that is there.
///
/// # Errors
/// There is a dump whose manifest says what its images are.
pub fn write_processor(images: BorrowedFd<'_>) -> Result<()> {
    let entry = processor()?;
    if open(images)?.has_manifest() {
        return Err(Error::new(format!("{CPUINFO}: the dump in the images' directory is complete")));
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(images, CPUINFO, flags, Mode::S_IRUSR | Mode::S_IWUSR);
    let file = File::from(file.at(|| format!("open {CPUINFO}"))?);
    let written = Writer::new(file, &format::CPUINFO).and_then(|mut writer| {
        writer.entry(&entry)?;
        writer.finish().map(drop)
    });
    written.map_err(|error| Error::new(format!("write {CPUINFO}: {error}")))
}

/// Compares this processor with that of `cpuinfo.img`.
///
/// # Errors
/// This one lacks what that one had, or there is no such image. What is missing is named.
pub fn check_processor(images: BorrowedFd<'_>, compared: Compared) -> Result<()> {
    let named = |why: String| Error::new(format!("{CPUINFO}: {why}"));
    let image = open(images)?.image(CPUINFO, &format::CPUINFO)?;
    let there: CpuinfoEntry = image.ok_or_else(|| named("missing".to_owned()))?.message()?;
    let here = processor()?;
    let ([there], [here]) = (there.x86_entry.as_slice(), here.x86_entry.as_slice()) else {
        return Err(named(format!("cpuinfo_entry.x86_entry: {} of them", there.x86_entry.len())));
    };
    compare(there, here, compared).map_err(named)
}

fn open(images: BorrowedFd<'_>) -> Result<Directory> {
    let images = images.try_clone_to_owned().at(|| "images: duplicate the descriptor".to_owned())?;
    Ok(Directory::new(images)?)
}

/// Whether `here` will do for programs that have run on `there`.
fn compare(
    there: &CpuinfoX86Entry,
    here: &CpuinfoX86Entry,
    compared: Compared,
) -> std::result::Result<(), String> {
    if !matches!(Vendor::try_from(there.vendor_id), Ok(Vendor::Intel | Vendor::Amd)) {
        return Err(format!("cpuinfo_x86_entry.vendor_id: {} is not known", there.vendor_id));
    }
    let expected = match there.capability_ver {
        1 => WORDS_OF_VERSION_1,
        VERSION => WORDS,
        version => return Err(format!("cpuinfo_x86_entry.capability_ver: {version} is not known")),
    };
    if there.capability.len() != expected {
        let length = there.capability.len();
        return Err(format!("cpuinfo_x86_entry.capability: {length} words, not {expected}"));
    }
    // What an older image does not have is as it is here.
    let words: Vec<(u32, u32)> = here
        .capability
        .iter()
        .enumerate()
        .map(|(nth, here)| (there.capability.get(nth).copied().unwrap_or(*here), *here))
        .collect();
    let lacks = |(nth, (there, here)): (usize, &(u32, u32)), of: &dyn Fn(usize) -> u32| {
        names(nth, there & !here & of(nth))
    };
    let missing = |of: &dyn Fn(usize) -> u32| -> std::result::Result<(), String> {
        let missing: Vec<String> = words.iter().enumerate().flat_map(|word| lacks(word, of)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("this processor lacks {}", missing.join(", ")))
    };
    if compared.fpu {
        missing(&|nth| OF_FPU.iter().filter(|(word, _)| *word == nth).map(|(_, bits)| bits).sum())?;
        let states = there.xfeatures_mask.unwrap_or(0) & !here.xfeatures_mask.unwrap_or(0);
        if states != 0 {
            return Err(format!("this processor lacks the states {states:#x} of XSAVE"));
        }
        for (what, there, here) in [
            ("enabled", there.xsave_size, here.xsave_size),
            ("supported", there.xsave_size_max, here.xsave_size_max),
        ] {
            if let (Some(there), Some(here)) = (there, here)
                && there != here
            {
                return Err(format!("the {what} state of XSAVE was {there} bytes, and is {here} here"));
            }
        }
    }
    if compared.instructions {
        missing(&instructions)?;
    }
    if compared.all {
        missing(&|_| u32::MAX)?;
        let more: Vec<String> =
            words.iter().enumerate().flat_map(|(nth, (there, here))| names(nth, here & !there)).collect();
        if !more.is_empty() {
            return Err(format!("this processor also has {}", more.join(", ")));
        }
    }
    Ok(())
}

/// The features of a word that `bits` has, by the names of /proc/cpuinfo where programs have a use for them.
fn names(word: usize, bits: u32) -> Vec<String> {
    let name = |bit: u32| {
        let known = FEATURES.iter().find(|known| (known.0, known.1) == (word, bit));
        known.map_or_else(|| format!("bit {bit} of word {word}"), |(_, _, name)| (*name).to_owned())
    };
    (0..32).filter(|bit| bits & 1 << bit != 0).map(name).collect()
}

/// The bits of a word that stand for instructions of programs.
fn instructions(word: usize) -> u32 {
    FEATURES.iter().filter(|known| known.0 == word).map(|(_, bit, _)| 1 << bit).sum()
}

enum Register {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// Words, and the leaves, their subleaves and registers of CPUID that they are.
const LEAVES: [(usize, u32, u32, Register); 14] = [
    (0, 1, 0, Register::Edx),
    (1, 0x8000_0001, 0, Register::Edx),
    (4, 1, 0, Register::Ecx),
    (6, 0x8000_0001, 0, Register::Ecx),
    (9, 7, 0, Register::Ebx),
    (10, 0xd, 1, Register::Eax),
    (11, 7, 0, Register::Ecx),
    (12, 0xf, 1, Register::Edx),
    (13, 0x8000_0008, 0, Register::Ebx),
    (14, 6, 0, Register::Eax),
    (15, 0x8000_000a, 0, Register::Edx),
    (16, 0xf, 0, Register::Edx),
    (17, 0x8000_0007, 0, Register::Ebx),
    (18, 7, 0, Register::Edx),
];

/// In word 3: string instructions are fast, as the kernel says of processors.
const REP_GOOD: u32 = 1 << 16;

/// Components of XSAVE that images tell of: x87, AVX, MPX, AVX-512 and PKRU. CRIU leaves SSE out, which all have, and
/// refuses an image that has it.
const STATES: u64 = 0x2fd;

/// fpu and fxsr, OSXSAVE, xsaves.
const OF_FPU: [(usize, u32); 3] = [(0, 1 << 0 | 1 << 24), (4, 1 << 27), (10, 1 << 3)];

/// Words, bits and names of instructions.
const FEATURES: [(usize, u32, &str); 74] = [
    (0, 0, "fpu"),
    (0, 4, "tsc"),
    (0, 8, "cx8"),
    (0, 11, "sep"),
    (0, 15, "cmov"),
    (0, 19, "clflush"),
    (0, 23, "mmx"),
    (0, 24, "fxsr"),
    (0, 25, "sse"),
    (0, 26, "sse2"),
    (1, 11, "syscall"),
    (1, 22, "mmxext"),
    (1, 27, "rdtscp"),
    (1, 30, "3dnowext"),
    (1, 31, "3dnow"),
    (3, 16, "rep_good"),
    (3, 20, "nopl"),
    (4, 0, "pni"),
    (4, 1, "pclmulqdq"),
    (4, 3, "monitor"),
    (4, 9, "ssse3"),
    (4, 13, "cx16"),
    (4, 19, "sse4_1"),
    (4, 20, "sse4_2"),
    (4, 22, "movbe"),
    (4, 23, "popcnt"),
    (4, 25, "aes"),
    (4, 26, "xsave"),
    (4, 27, "osxsave"),
    (4, 28, "avx"),
    (4, 29, "f16c"),
    (4, 30, "rdrand"),
    (6, 5, "abm"),
    (6, 6, "sse4a"),
    (6, 7, "misalignsse"),
    (6, 8, "3dnowprefetch"),
    (6, 11, "xop"),
    (6, 16, "fma4"),
    (6, 21, "tbm"),
    (9, 0, "fsgsbase"),
    (9, 3, "bmi1"),
    (9, 4, "hle"),
    (9, 5, "avx2"),
    (9, 8, "bmi2"),
    (9, 9, "erms"),
    (9, 11, "rtm"),
    (9, 14, "mpx"),
    (9, 16, "avx512f"),
    (9, 17, "avx512dq"),
    (9, 18, "rdseed"),
    (9, 19, "adx"),
    (9, 23, "clflushopt"),
    (9, 26, "avx512pf"),
    (9, 27, "avx512er"),
    (9, 28, "avx512cd"),
    (9, 29, "sha_ni"),
    (9, 30, "avx512bw"),
    (9, 31, "avx512vl"),
    (10, 0, "xsaveopt"),
    (10, 1, "xsavec"),
    (10, 2, "xgetbv1"),
    (11, 1, "avx512vbmi"),
    (11, 6, "avx512_vbmi2"),
    (11, 8, "gfni"),
    (11, 9, "vaes"),
    (11, 10, "vpclmulqdq"),
    (11, 11, "avx512_vnni"),
    (11, 12, "avx512_bitalg"),
    (11, 13, "tme"),
    (11, 14, "avx512_vpopcntdq"),
    (11, 22, "rdpid"),
    (13, 0, "clzero"),
    (18, 2, "avx512_4vnniw"),
    (18, 3, "avx512_4fmaps"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Compared = Compared { fpu: false, instructions: false, all: false };

    fn check(change: impl Fn(&mut CpuinfoX86Entry), compared: Compared) -> std::result::Result<(), String> {
        let here = processor().expect("a processor").x86_entry.remove(0);
        let mut there = here.clone();
        change(&mut there);
        compare(&there, &here, compared)
    }

    #[test]
    fn instructions_that_are_missing_are_named() {
        let instructions = Compared { instructions: true, ..NOTHING };
        // No processor has these and what this one may be.
        let change = |there: &mut CpuinfoX86Entry| there.capability[6] |= 1 << 16 | 1 << 21;
        assert_eq!(check(change, instructions), Err("this processor lacks fma4, tbm".to_owned()));
        assert_eq!(check(change, NOTHING), Ok(()));
        // One that could do less.
        assert_eq!(check(|there| there.capability[9] = 0, instructions), Ok(()));
    }

    #[test]
    fn the_state_has_its_size() {
        let fpu = Compared { fpu: true, ..NOTHING };
        assert_eq!(check(|_| {}, fpu), Ok(()));
        let why = check(|there| there.xsave_size = Some(1), fpu).expect_err("another size");
        assert!(why.starts_with("the enabled state of XSAVE was 1 bytes, and is "), "{why}");
        let why = check(|there| there.xfeatures_mask = Some(1 << 63), fpu);
        assert_eq!(why, Err("this processor lacks the states 0x8000000000000000 of XSAVE".to_owned()));
    }

    #[test]
    fn what_no_image_has() {
        let refused = |change: fn(&mut CpuinfoX86Entry)| check(change, NOTHING).expect_err("refused");
        assert!(refused(|there| there.vendor_id = 0).starts_with("cpuinfo_x86_entry.vendor_id"));
        assert!(refused(|there| there.capability_ver = 3).starts_with("cpuinfo_x86_entry.capability_ver"));
        assert!(refused(|there| there.capability.clear()).starts_with("cpuinfo_x86_entry.capability: 0"));
    }

    #[test]
    fn an_older_image() {
        let all = Compared { all: true, ..NOTHING };
        let old = |there: &mut CpuinfoX86Entry| {
            (there.capability_ver, there.xfeatures_mask) = (1, None);
            there.capability.truncate(WORDS_OF_VERSION_1);
        };
        assert_eq!(check(old, all), Ok(()));
    }
}
