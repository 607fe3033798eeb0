//! Images as another kernel would have made them: their vdso is none of ours.

use images::messages::{MmEntry, PagemapEntry, PagemapHead};
use images::{MANIFEST, Reader};
use inject::vdso::functions;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const PAGE: u64 = 4096;
/// Bits of `vma_entry.status` and of `pagemap_entry.flags`, as CRIU has them.
const VDSO: u32 = 1 << 3;
const PRESENT: u32 = 4;

/// In the vdso of each task, all functions end the program that enters them. Returns how many there are.
pub(super) fn change_vdsos(images: &Path) -> usize {
    // The manifest says what the pages were.
    fs::remove_file(images.join(MANIFEST)).expect("a manifest");
    let names = fs::read_dir(images).expect("images").map(|entry| entry.expect("an entry").file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let pid = |name: String| Some(name.strip_prefix("mm-")?.strip_suffix(".img")?.to_owned());
    names.filter_map(pid).map(|pid| change_vdso(images, &pid)).sum()
}

fn change_vdso(images: &Path, pid: &str) -> usize {
    let (path, mut mm) = reader(images, &format!("mm-{pid}.img"));
    let mm: MmEntry = mm.entry().expect("an entry").expect("an address space").decode(&path).expect("mm");
    let Some(vdso) = mm.vmas.iter().find(|vma| vma.status & VDSO != 0) else { return 0 };

    let (path, mut map) = reader(images, &format!("pagemap-{pid}.img"));
    let head = map.entry().expect("an entry").expect("a head").decode::<PagemapHead>(&path).expect("head");
    let mut at = 0;
    while let Some(run) = map.entry().expect("an entry") {
        let run: PagemapEntry = run.decode(&path).expect("a run");
        let size = run.nr_pages.expect("pages") * PAGE;
        if (run.vaddr..run.vaddr + size).contains(&vdso.start) {
            at += vdso.start - run.vaddr;
            break;
        }
        at += if run.flags.unwrap_or(0) & PRESENT != 0 { size } else { 0 };
    }
    let pages = images.join(format!("pages-{}.img", head.pages_id));
    let pages = OpenOptions::new().read(true).write(true).open(pages).expect("pages");
    let mut content = vec![0; (vdso.end - vdso.start) as usize];
    pages.read_exact_at(&mut content, at).expect("the vdso");
    let functions: Vec<_> = functions(&content).into_values().collect();
    for function in &functions {
        // ud2, as far as a jump reaches.
        pages.write_all_at(&[0x0f, 0x0b].repeat(6), at + function.start as u64).expect("write");
    }
    functions.len()
}

fn reader(images: &Path, name: &str) -> (String, Reader<File>) {
    let file = File::open(images.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    (name.to_owned(), Reader::new(name, file).expect("an image"))
}
