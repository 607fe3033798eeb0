//! `images show`: image files as JSON, for people and for the tools that read what crit prints.

use crate::args::ShowImages;
use anyhow::{Context, Result};
use images::Reader;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub fn show(args: &ShowImages) -> Result<()> {
    let path = &args.path;
    let metadata = path.metadata().with_context(|| format!("show {}", path.display()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    if metadata.is_dir() {
        show_directory(path, &mut out)?;
    } else {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        images::show::image(Reader::new(&path.display().to_string(), file)?, &mut out)?;
    }
    writeln!(out).and_then(|()| out.flush()).context("write to standard output")
}

/// All regular files by name. Symbolic links, like the one to the directory of a pre-dump, are left out.
fn show_directory(path: &Path, out: &mut dyn Write) -> Result<()> {
    let context = || format!("read {}", path.display());
    let mut names = Vec::new();
    for entry in path.read_dir().with_context(context)? {
        let entry = entry.with_context(context)?;
        if entry.file_type().with_context(context)?.is_file() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    let mut files = images::show::Files::begin(out)?;
    for name in names {
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path.join(&name));
        let name = name.to_string_lossy();
        let file = open.with_context(|| format!("open {name}"))?;
        if images::is_image(&name, &file).with_context(|| format!("read {name}"))? {
            files.image(&name, Reader::new(&name, file)?)?;
        } else {
            let size = file.metadata().with_context(|| format!("read {name}"))?.len();
            files.raw(&name, size)?;
        }
    }
    Ok(files.end()?)
}
