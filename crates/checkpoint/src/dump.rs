//! The dump: kernel to images. The phases, in their order; what each resource takes is in its module.

use crate::aio;
use crate::check::check;
use crate::collect::{Collection, Written, collect};
use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use crate::lazy_dump::PageSource;
use crate::live::Live;
use crate::pre_dump::{Parent, pre_dump};
use crate::release::Half;
use crate::target::{Afterwards, DumpOptions, NamespaceKind, Target};
use crate::tcp::Held;
use crate::tree::Tree;
use crate::{Event, Log, Notify, Progress};
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
    Last,
    Merge,
    Images,
    Serve,
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
            Phase::Last => "look at message queues and connections",
            Phase::Merge => "put memory together",
            Phase::Images => "write images",
            Phase::Serve => "serve memory",
            Phase::End => "end",
        })
    }
}

/// A container to dump, and where its images go.
#[derive(Debug)]
pub struct Part<'a> {
    /// What errors and the log call it; empty for one that is dumped alone.
    pub name: &'a str,
    pub target: &'a Target<'a>,
    pub images: BorrowedFd<'a>,
}

/// Writes the container's images to the directory `images` and, unless `afterwards` or `pre_dump` say otherwise, kills
/// it. After an error, also one of `notify`, it runs on, or stays paused, as before, and there are no images.
pub fn dump(
    target: &Target<'_>,
    images: BorrowedFd<'_>,
    options: &DumpOptions<'_>,
    log: &mut Log<'_>,
    progress: &mut Progress<'_>,
    notify: &mut Notify<'_>,
) -> Result<DumpStatsEntry> {
    if options.page_source.is_some() && (options.pre_dump || options.page_server.is_some()) {
        return Err(Error::new("memory that is served goes without a pre-dump and a page server"));
    }
    if options.pre_dump {
        return pre_dump(target, images, options, log);
    }
    let parent = Parent::open(images, target, options)?;
    if let Some(path) = options.parent.filter(|_| parent.is_none()) {
        log(&format!("all pages: nobody has kept track of writes since {}", path.display()));
    }
    let part = Part { name: "", target, images };
    part.check(options, log)?;
    let directory = begin(target, images, options)?;
    let supervisor = Supervisor::new().at(|| "set a robust list".to_owned())?;
    let mut clock = Clock::default();
    let live = Live::begin(target, options, images, &supervisor, &mut clock);
    let mut live = live.unwrap_or_else(|error| {
        log(&format!("no copy of memory before the pause: {error}"));
        None
    });
    let mut dump = Dump::stop(&part, directory, clock, log)?;
    tell(notify, Event::Stopped)?;
    dump.write_content(options, &supervisor, parent.as_ref(), live.as_mut(), log, progress)?;
    dump.look_at_last(options, log)?;
    if let Some(live) = live {
        dump.resume()?;
        dump.merge(&live, log)?;
    }
    finish(vec![dump], options, log, notify).map(|mut all| all.remove(0))
}

/// The same for several containers, as of one moment, at which none of them runs. After an error all of them are as they
/// were. None can have `pre_dump`, a parent, a page server or memory that is served.
pub fn dump_as_one(
    parts: &[Part<'_>],
    options: &DumpOptions<'_>,
    log: &mut Log<'_>,
    progress: &mut Progress<'_>,
    notify: &mut Notify<'_>,
) -> Result<Vec<DumpStatsEntry>> {
    let is_alone = options.pre_dump || options.parent.is_some() || options.page_server.is_some();
    assert!(!is_alone && options.page_source.is_none(), "these are a single container's");
    parts.iter().try_for_each(|part| part.check(options, log))?;
    let supervisor = Supervisor::new().at(|| "set a robust list".to_owned())?;
    let mut dumps = Vec::new();
    for part in parts {
        let directory = part.named(begin(part.target, part.images, options))?;
        dumps.push(part.named(Dump::stop(part, directory, Clock::default(), log))?);
    }
    // That is the moment.
    tell(notify, Event::Stopped)?;
    for dump in &mut dumps {
        let part = dump.part;
        part.named(dump.write_content(options, &supervisor, None, None, log, progress))?;
    }
    for dump in &mut dumps {
        let part = dump.part;
        part.named(dump.look_at_last(options, log))?;
    }
    finish(dumps, options, log, notify)
}

/// Completes the images of all, and ends all or none.
fn finish(
    mut dumps: Vec<Dump<'_>>,
    options: &DumpOptions<'_>,
    log: &mut Log<'_>,
    notify: &mut Notify<'_>,
) -> Result<Vec<DumpStatsEntry>> {
    let mut commit = || -> Result<()> {
        for dump in &mut dumps {
            let part = dump.part;
            if options.afterwards == Afterwards::Killed {
                part.named(dump.lock_for_later())?;
            }
            part.named(dump.write_images(log))?;
        }
        tell(notify, Event::Written)?;
        if let Some(source) = options.page_source {
            tell(notify, Event::Serving)?;
            dumps.iter().try_for_each(|dump| dump.serve(source, log))?;
        }
        // One after the other would be half of them if we died in between.
        let mut condemned = dumps.iter().filter(|_| options.afterwards == Afterwards::Killed);
        condemned.try_for_each(|dump| dump.part.named(dump.condemn()))
    };
    if let Err(error) = commit() {
        let directories: Vec<BorrowedFd<'_>> = dumps.iter().map(|dump| dump.part.images).collect();
        drop(dumps);
        // It takes away what is there, complete or not.
        directories
            .into_iter()
            .for_each(|images| drop(images.try_clone_to_owned().map(DirectoryWriter::new)));
        return Err(error);
    }
    let end = |mut dump: Dump<'_>| {
        dump.part.log(log, Phase::End);
        dump.part.named(match options.afterwards {
            Afterwards::Killed => dump.kill(),
            Afterwards::Running => dump.resume(),
            Afterwards::Stopped => dump.let_go(Tree::leave_stopped),
        })?;
        Ok(statistics(&dump.clock, &dump.written))
    };
    dumps.into_iter().map(end).collect()
}

fn tell(notify: &mut Notify<'_>, event: Event) -> Result<()> {
    notify(event).map_err(Error::new)
}

impl Part<'_> {
    fn log(&self, log: &mut Log<'_>, phase: Phase) {
        match self.name {
            "" => log(&phase.to_string()),
            name => log(&format!("{name}: {phase}")),
        }
    }

    fn named<T>(&self, result: Result<T>) -> Result<T> {
        match self.name {
            "" => result,
            name => result.map_err(|error| Error::new(format!("{name}: {error}"))),
        }
    }

    fn check(&self, options: &DumpOptions<'_>, log: &mut Log<'_>) -> Result<()> {
        self.log(log, Phase::Check);
        match self.named(check(self.target, options))?.first() {
            Some(blocker) => self.named(Err(Error::new(blocker.to_string()))),
            None => Ok(()),
        }
    }
}

/// A container that is being dumped. Dropped, it goes on as if nothing had happened: what is undone first comes first.
struct Dump<'a> {
    connections: Option<Held>,
    collection: Option<Collection>,
    /// Until it goes on, or is killed.
    tree: Option<Tree<'a>>,
    directory: Option<DirectoryWriter>,
    part: &'a Part<'a>,
    written: Written,
    clock: Clock,
    stopped: Instant,
}

impl<'a> Dump<'a> {
    fn stop(
        part: &'a Part<'a>,
        directory: DirectoryWriter,
        mut clock: Clock,
        log: &mut Log<'_>,
    ) -> Result<Dump<'a>> {
        part.log(log, Phase::Stop);
        let stopped = Instant::now();
        let tree = Tree::stop(part.target)?;
        clock.freezing += stopped.elapsed();
        let (connections, collection, written) = (None, None, Written::default());
        let (tree, directory) = (Some(tree), Some(directory));
        Ok(Dump { connections, collection, tree, directory, part, written, clock, stopped })
    }

    fn write_content(
        &mut self,
        options: &DumpOptions<'_>,
        supervisor: &Supervisor,
        parent: Option<&Parent<'_>>,
        live: Option<&mut Live>,
        log: &mut Log<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let tree = self.tree.as_mut().expect("it is stopped");
        let directory = self.directory.as_mut().expect("it is not complete");
        self.part.log(log, Phase::Enter);
        tree.enter(supervisor)?;
        self.part.log(log, Phase::Collect);
        aio::settle(tree.members.iter().map(|member| member.pid));
        let mut collection = collect(self.part.target, options, tree)?;
        self.part.log(log, Phase::Content);
        let start = Instant::now();
        let leaves_memory = options.page_source.is_some();
        self.written = collection.write_content(tree, directory, parent, live, leaves_memory, progress)?;
        if let Some(parent) = parent {
            directory.link_parent(parent.path, &parent.directory)?;
        }
        self.clock.content = start.elapsed();
        self.collection = Some(collection);
        Ok(())
    }

    /// The tasks must not find it as it is meanwhile.
    fn look_at_last(&mut self, options: &DumpOptions<'_>, log: &mut Log<'_>) -> Result<()> {
        self.part.log(log, Phase::Last);
        let tree = self.tree.as_mut().expect("it is stopped");
        let collection = self.collection.as_mut().expect("it is collected");
        self.connections = collection.look_at_last(tree, options.lock_network)?;
        Ok(())
    }

    /// When the container is dead, the kernel would tell its peers that there are no such connections. Its own network goes
    /// with it.
    fn lock_for_later(&mut self) -> Result<()> {
        /// CRIU's `NETWORK_LOCK_NFTABLES`: a table with the name of the run is to be removed.
        const NF_TABLES: u32 = 1;
        let Some(connections) = &mut self.connections else { return Ok(()) };
        if self.part.target.externals.owns(NamespaceKind::Net) {
            return Ok(());
        }
        let tree = self.tree.as_ref().expect("it is stopped");
        let collection = self.collection.as_mut().expect("it is collected");
        if let Some(name) = connections.lock_for_later(tree.guardian())? {
            let inventory = &mut collection.snapshot.inventory;
            inventory.dump_criu_run_id = Some(name.to_string().into_bytes());
            inventory.network_lock_method = Some(NF_TABLES);
        }
        Ok(())
    }

    fn resume(&mut self) -> Result<()> {
        self.let_go(Tree::resume)
    }

    fn let_go(&mut self, end: fn(Tree<'a>) -> Result<()>) -> Result<()> {
        let Some(tree) = self.tree.take() else { return Ok(()) };
        self.connections = None;
        // Before anybody sees them.
        self.collection.as_mut().expect("it is collected").links.remove();
        end(tree)?;
        self.clock.frozen += self.stopped.elapsed();
        Ok(())
    }

    fn merge(&mut self, live: &Live, log: &mut Log<'_>) -> Result<()> {
        self.part.log(log, Phase::Merge);
        let collection = self.collection.as_mut().expect("it is collected");
        collection.merge(live, self.directory.as_mut().expect("it is not complete"))?;
        // They are in these images too.
        self.written.pages.written += std::mem::take(&mut self.written.pages.skipped);
        Ok(())
    }

    /// The last of them make it a dump.
    fn write_images(&mut self, log: &mut Log<'_>) -> Result<()> {
        self.part.log(log, Phase::Images);
        let snapshot = &self.collection.as_ref().expect("it is collected").snapshot;
        let mut directory = self.directory.take().expect("it is not complete");
        snapshot.write(&mut directory)?;
        directory.commit(&snapshot.inventory)?;
        Ok(())
    }

    fn serve(&self, source: &PageSource, log: &mut Log<'_>) -> Result<()> {
        self.part.log(log, Phase::Serve);
        let tasks = &self.collection.as_ref().expect("it is collected").snapshot.tasks;
        source.serve(self.tree.as_ref().expect("it is stopped"), tasks)
    }

    /// From here on it is killed even if we die.
    fn condemn(&self) -> Result<()> {
        self.tree.as_ref().expect("it is stopped").condemn(self.part.target)
    }

    fn kill(&mut self) -> Result<()> {
        let collection = self.collection.as_mut().expect("it is collected");
        collection.links.keep();
        let half = Half::of(&collection.snapshot.tasks);
        // Until nobody waits any more: the kernel takes long to give much memory back.
        self.clock.frozen += self.stopped.elapsed();
        self.tree.take().expect("it is stopped").kill(self.part.target, half.as_ref())?;
        // Their packets find nobody from now on.
        if let Some(connections) = self.connections.take() {
            connections.close();
        }
        Ok(())
    }
}

/// Begins to write images. CRIU opens them in the user namespace that it restores, where root is nobody outside.
pub(crate) fn begin(
    target: &Target<'_>,
    images: BorrowedFd<'_>,
    options: &DumpOptions<'_>,
) -> Result<DirectoryWriter> {
    let images = images.try_clone_to_owned().at(|| "open the directory of images".to_owned())?;
    let mut directory = DirectoryWriter::new(images)?;
    if let Some(gid) = IdMaps::of(target.init)?.outer_gid(0).filter(|gid| *gid != 0) {
        directory.readable_by(gid);
    }
    if let Some(server) = options.page_server {
        directory.send_pages_to(server)?;
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
        pages_lazy: written.left,
        page_pipes: Some(0),
        page_pipe_bufs: Some(0),
        shpages_scanned: Some(written.shared.scanned),
        shpages_skipped_parent: Some(0),
        shpages_written: Some(written.shared.written),
    }
}
