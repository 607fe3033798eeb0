//! The dump: kernel to images. The phases, in their order; what each resource takes is in its module.

use crate::check::check;
use crate::collect::{Written, collect};
use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use crate::pre_dump::{Parent, pre_dump};
use crate::target::{DumpOptions, Target};
use crate::tree::Tree;
use crate::{Log, Progress};
use images::DirectoryWriter;
use images::messages::DumpStatsEntry;
use inject::Supervisor;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// What is being done, for the log and for errors.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Check,
    Stop,
    Enter,
    Collect,
    Content,
    Images,
    End,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Check => "check",
            Phase::Stop => "stop the tasks",
            Phase::Enter => "enter the tasks",
            Phase::Collect => "collect",
            Phase::Content => "write pages and files",
            Phase::Images => "write images",
            Phase::End => "end",
        })
    }
}

/// Writes the container's images to the directory `images` and, unless `leave_running` or `pre_dump` say otherwise, kills
/// it. After an error it runs on, or stays paused, as before.
pub fn dump(
    target: &Target<'_>,
    images: BorrowedFd<'_>,
    options: &DumpOptions<'_>,
    log: &mut Log<'_>,
    progress: &mut Progress<'_>,
) -> Result<DumpStatsEntry> {
    let mut clock = Clock::default();
    if options.pre_dump {
        return pre_dump(target, images, options, log);
    }
    let parent = options.parent.map(|path| Parent::open(images, path, target)).transpose()?;
    if let Some(parent) = parent.as_ref().filter(|parent| !parent.is_tracked) {
        log(&format!("all pages: nobody has kept track of writes since {}", parent.path.display()));
    }
    let parent = parent.filter(|parent| parent.is_tracked);
    let mut phase = |phase: Phase| log(&phase.to_string());
    phase(Phase::Check);
    if let Some(blocker) = check(target, options)?.first() {
        return Err(Error::new(blocker.to_string()));
    }
    let mut directory = begin(target, images)?;
    let supervisor = Supervisor::new().at(|| "set a robust list".to_owned())?;

    phase(Phase::Stop);
    let start = Instant::now();
    let mut tree = Tree::stop(target)?;
    clock.freezing = start.elapsed();
    phase(Phase::Enter);
    tree.enter(&supervisor)?;
    phase(Phase::Collect);
    let mut collection = collect(target, options, &mut tree)?;
    phase(Phase::Content);
    let start_of_content = Instant::now();
    let written = collection.write_content(&mut tree, &mut directory, parent.as_ref(), progress)?;
    if let Some(parent) = &parent {
        directory.link_parent(parent.path, &parent.directory)?;
    }
    clock.content = start_of_content.elapsed();
    phase(Phase::Images);
    collection.snapshot.write(&mut directory)?;
    directory.commit(&collection.snapshot.inventory)?;
    phase(Phase::End);
    if options.leave_running {
        // Before anybody sees them.
        collection.links.remove();
        tree.resume()?;
        clock.frozen = start.elapsed();
    } else {
        collection.links.keep();
        // Until nobody waits any more: the kernel takes long to give much memory back.
        clock.frozen = start.elapsed();
        tree.kill(target)?;
    }
    Ok(statistics(&clock, &written))
}

/// Begins to write images. CRIU opens them in the user namespace that it restores, where root is nobody outside.
pub(crate) fn begin(target: &Target<'_>, images: BorrowedFd<'_>) -> Result<DirectoryWriter> {
    let images = images.try_clone_to_owned().at(|| "open the directory of images".to_owned())?;
    let mut directory = DirectoryWriter::new(images)?;
    if let Some(gid) = IdMaps::of(target.init)?.outer_gid(0).filter(|gid| *gid != 0) {
        directory.readable_by(gid);
    }
    Ok(directory)
}

/// How long the tasks waited for what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    pub(crate) freezing: Duration,
    pub(crate) frozen: Duration,
    pub(crate) content: Duration,
}

pub(crate) fn statistics(clock: &Clock, written: &Written) -> DumpStatsEntry {
    let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    DumpStatsEntry {
        freezing_time: micros(clock.freezing),
        frozen_time: micros(clock.frozen),
        // Pages are written as they are read.
        memdump_time: micros(clock.content),
        memwrite_time: micros(clock.content),
        pages_scanned: written.pages.scanned,
        pages_skipped_parent: written.pages.skipped,
        pages_written: written.pages.written,
        irmap_resolve: Some(0),
        pages_lazy: 0,
        page_pipes: Some(0),
        page_pipe_bufs: Some(0),
        shpages_scanned: Some(written.shared.scanned),
        shpages_skipped_parent: Some(0),
        shpages_written: Some(written.shared.written),
    }
}
