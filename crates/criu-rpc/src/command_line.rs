//! criu's command line: actions with the options of criu(8) before or behind their names (`words.rs`). Options mean what
//! they mean in a request; those below are the command line's alone.

use crate::options::{NOBODY_LISTENS, Options, Result, lines};
use crate::words::Words;
use crate::{Host, check, cpuinfo, dump, lazy_pages, page_server, restore, service};
use checkpoint::{LogFile, WorkDirectory};
use images::messages::{DumpStatsEntry, RestoreStatsEntry};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Check,
    Dump,
    PreDump,
    Restore,
    /// Fill the memory of a restore.
    LazyPages,
    /// Give up pages that a later dump has, too.
    Dedup,
    /// Do what clients of a socket ask for.
    Service,
    /// Take the pages of a dump.
    PageServer,
    /// Write down what the processor can do.
    CpuinfoDump,
    /// Compare it with what was written down.
    CpuinfoCheck,
}

impl Action {
    /// The action that these operands name, and how many of them do.
    fn of(operands: &[String]) -> Option<(Action, usize)> {
        let second = operands.get(1).map(String::as_str);
        Some(match operands.first()?.as_str() {
            "cpuinfo" if second == Some("dump") => (Action::CpuinfoDump, 2),
            "cpuinfo" if second == Some("check") => (Action::CpuinfoCheck, 2),
            "check" => (Action::Check, 1),
            "dump" => (Action::Dump, 1),
            "pre-dump" => (Action::PreDump, 1),
            "restore" => (Action::Restore, 1),
            "lazy-pages" => (Action::LazyPages, 1),
            "dedup" => (Action::Dedup, 1),
            "service" => (Action::Service, 1),
            "page-server" => (Action::PageServer, 1),
            _ => return None,
        })
    }
}

/// What is to be printed, and the exit status.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    pub status: u8,
}

/// All that configuration files and words say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) options: Options,
    /// The working directory, unless it is told.
    images: Option<PathBuf>,
    pub(crate) work: Option<PathBuf>,
    pub(crate) detached: bool,
    pub(crate) pidfile: Option<PathBuf>,
    scripts: Vec<String>,
    pub(crate) asked: check::Asked,
    /// The command of `--exec-cmd`: a restore ends as that.
    executes: bool,
    command: Vec<String>,
}

/// What a service takes; the rest is for its clients to say.
const OF_SERVICE: [&str; 10] = [
    "address",
    "config",
    "daemon",
    "images-dir",
    "log-file",
    "no-default-config",
    "pidfile",
    "restore-detached",
    "verbosity",
    "work-dir",
];

/// Does what the words behind `criu` ask for; `None` when they name none of these actions. `files` are the default
/// configuration files, with their texts. A restore that is not detached ends with the first task, a service that is not
/// one never.
///
/// # Errors
/// One line, which is also in the log; the tasks of a dump go on, and there are none of a restore.
pub fn run(
    words: &[String],
    files: &[(PathBuf, String)],
    host: &dyn Host,
) -> Option<std::result::Result<Answer, String>> {
    let mut taken = Words::default();
    let made_sense = taken.take(words);
    let (action, length) = Action::of(&taken.operands)?;
    let mut line = Line::default();
    let ready = || -> Result<Vec<(PathBuf, String)>> {
        let files = configuration(&taken, files)?;
        let of_requests = action == Action::Service;
        line.read(&taken, if of_requests { &[] } else { &files })?;
        made_sense?;
        line.check(action)?;
        let foreign =
            taken.options.iter().find(|(name, _)| of_requests && !OF_SERVICE.contains(&name.as_str()));
        let rest = &taken.operands[length..];
        if line.executes && action == Action::Restore {
            line.command = rest.to_vec();
            return if rest.is_empty() {
                Err("exec-cmd: a command is missing".to_owned())
            } else {
                Ok(files)
            };
        }
        match (foreign, rest.first()) {
            (Some((name, _)), _) => Err(format!("{name}: not an option of service, but of a request")),
            (None, Some(word)) => Err(format!("{word}: not an option")),
            (None, None) => Ok(files),
        }
    };
    Some(match ready() {
        Ok(files) => line.act(action, &files, host),
        Err(why) => {
            // Those who look for the log do so after every end.
            let _ = line.log("").map(|log| log.map(|mut log| log.error(&why)));
            Err(why)
        }
    })
}

/// The configuration files that count.
fn configuration(words: &Words, files: &[(PathBuf, String)]) -> Result<Vec<(PathBuf, String)>> {
    let has_default = words.options.iter().all(|(name, _)| name != "no-default-config");
    let mut files = if has_default { files.to_vec() } else { Vec::new() };
    for (_, path) in words.options.iter().filter(|(name, _)| name == "config") {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        files.push((path.into(), text));
    }
    Ok(files)
}

fn directory(path: &Path) -> Result<OwnedFd> {
    let opened = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
        true => Ok(file.into()),
        false => Err(std::io::ErrorKind::NotADirectory.into()),
    });
    opened.map_err(|error| format!("open {}: {error}", path.display()))
}

impl Line {
    fn read(&mut self, words: &Words, files: &[(PathBuf, String)]) -> Result<()> {
        for (path, text) in files {
            for (name, value) in lines(text) {
                self.set(name, value).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        // All of them, so that the log of a refusal goes where it is to go.
        let mut result = Ok(());
        for (name, value) in &words.options {
            result = result.and(self.set(name, value));
        }
        result
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "images-dir" => self.images = Some(value.into()),
            "work-dir" => self.work = Some(value.into()),
            "restore-detached" | "daemon" => self.detached = true,
            "no-restore-detached" | "no-daemon" => self.detached = false,
            "pidfile" => self.pidfile = Some(value.into()),
            "action-script" => self.scripts.push(value.to_owned()),
            "feature" => self.asked.features.push(value.to_owned()),
            "extra" | "all" => self.asked.extra = true,
            // Nothing is experimental here. The others were read before.
            "exec-cmd" => self.executes = true,
            "experimental" | "config" | "no-default-config" => {}
            _ => self.options.set(name, value)?,
        }
        Ok(())
    }

    /// Refuses what only another action could hold to.
    fn check(&self, action: Action) -> Result<()> {
        match action {
            Action::LazyPages | Action::PageServer | Action::Dump => Ok(()),
            _ if self.options.status_fd.is_some() => Err(NOBODY_LISTENS.to_owned()),
            _ => Ok(()),
        }
    }

    pub(crate) fn images(&self) -> &Path {
        self.images.as_deref().unwrap_or(Path::new("."))
    }

    fn work(&self) -> Result<WorkDirectory> {
        Ok(WorkDirectory::from(directory(self.work.as_deref().unwrap_or(self.images()))?))
    }

    /// Other paths that are not whole are below it, and scripts run there, as with CRIU.
    fn enter_work(&self) -> Result<WorkDirectory> {
        let path = self.work.as_deref().unwrap_or(self.images());
        let work = directory(path)?;
        nix::unistd::fchdir(&work).map_err(|error| format!("enter {}: {error}", path.display()))?;
        Ok(WorkDirectory::from(work))
    }

    /// The log of what has none otherwise, if one is named.
    pub(crate) fn log(&self, name: &str) -> Result<Option<LogFile>> {
        match self.options.log_file {
            Some(_) => self.options.log(&self.work()?, name).map(Some),
            None => Ok(None),
        }
    }

    fn act(&self, action: Action, files: &[(PathBuf, String)], host: &dyn Host) -> Result<Answer> {
        match action {
            Action::Check => {
                let mut log = self.log("")?;
                let answer = check::check(&self.asked, host);
                if let (Some(log), Err(why)) = (&mut log, &answer) {
                    log.error(why);
                }
                answer
            }
            Action::Dump => self.dump(false),
            Action::PreDump => self.dump(true),
            Action::Restore => self.restore(),
            Action::LazyPages => {
                let images = directory(self.images())?;
                let work = self.enter_work()?;
                lazy_pages::run(self, &images, &work).map(|()| Answer::default())
            }
            Action::Dedup => {
                self.logged(|images| checkpoint::dedup(images).map_err(|error| error.to_string()))
            }
            Action::CpuinfoDump => self.logged(cpuinfo::dump),
            Action::CpuinfoCheck => self.logged(|images| cpuinfo::check(&self.options, images)),
            Action::Service => service::run(self, files, host).map(|()| Answer::default()),
            Action::PageServer => {
                let (images, log) = (directory(self.images())?, self.log("")?);
                self.enter_work()?;
                page_server::run(self, images.as_fd(), log).map(|()| Answer::default())
            }
        }
    }

    /// In the working directory, which is the work directory.
    pub(crate) fn write_pidfile(&self, pid: u32) -> Result<()> {
        match &self.pidfile {
            Some(path) => {
                fs::write(path, pid.to_string()).map_err(|error| format!("write {}: {error}", path.display()))
            }
            None => Ok(()),
        }
    }

    /// What needs the images alone; only its error is in the log.
    fn logged(&self, act: impl FnOnce(BorrowedFd<'_>) -> Result<()>) -> Result<Answer> {
        let mut log = self.log("")?;
        let done = directory(self.images()).and_then(|images| act(images.as_fd()));
        if let (Some(log), Err(why)) = (&mut log, &done) {
            log.error(why);
        }
        done.map(|()| Answer::default())
    }

    fn dump(&self, pre_dump: bool) -> Result<Answer> {
        let images = directory(self.images())?;
        let work = self.enter_work()?;
        let pid = self.options.tree;
        let mut notify = |name: &str| self.run_scripts(name, pid, images.as_fd());
        let counted = dump::dump(&self.options, pre_dump, images.as_fd(), &work, &mut notify)?;
        Ok(self.statistics(|| of_dump(&counted)))
    }

    fn restore(&self) -> Result<Answer> {
        let images = directory(self.images())?;
        let work = self.enter_work()?;
        let mut notify =
            |name: &str, pid, _: Option<BorrowedFd<'_>>| self.run_scripts(name, pid, images.as_fd());
        let (pid, counted) = restore::restore(&self.options, images.as_fd(), &work, &mut notify)?;
        self.write_pidfile(pid as u32)?;
        if let [program, arguments @ ..] = self.command.as_slice() {
            // It is the parent of the tasks from here on.
            let error = Command::new(program).args(arguments).exec();
            return Err(format!("exec-cmd {program}: {error}"));
        }
        if !self.detached && !self.options.restore_sibling {
            let pid = nix::unistd::Pid::from_raw(pid);
            while let Err(nix::Error::EINTR) = nix::sys::wait::waitpid(pid, None) {}
        }
        Ok(self.statistics(|| of_restore(&counted)))
    }

    fn statistics(&self, text: impl FnOnce() -> String) -> Answer {
        Answer { text: if self.options.display_stats { text() } else { String::new() }, status: 0 }
    }

    /// Tells scripts how far we are, as criu(8) has it. One that fails ends the dump or the restore.
    fn run_scripts(&self, action: &str, pid: Option<i32>, images: BorrowedFd<'_>) -> Result<()> {
        let images = format!("/proc/{}/fd/{}", std::process::id(), images.as_raw_fd());
        for script in &self.scripts {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", script]).env("CRTOOLS_SCRIPT_ACTION", action).env("CRTOOLS_IMAGE_DIR", &images);
            if let Some(pid) = pid {
                shell.env("CRTOOLS_INIT_PID", pid.to_string());
            }
            let status = shell.status().map_err(|error| format!("action-script {script}: {error}"))?;
            if !status.success() {
                return Err(format!("action-script {script}: {action}: {status}"));
            }
        }
        Ok(())
    }
}

/// As CRIU has it, without what is always zero here.
fn of_dump(counted: &DumpStatsEntry) -> String {
    format!(
        "Displaying dump stats:\nFreezing time: {} us\nFrozen time: {} us\nMemory dump time: {} us\n\
         Memory write time: {} us\n{}{}{}",
        counted.freezing_time,
        counted.frozen_time,
        counted.memdump_time,
        counted.memwrite_time,
        pages("Memory pages scanned", counted.pages_scanned),
        pages("Memory pages skipped from parent", counted.pages_skipped_parent),
        pages("Memory pages written", counted.pages_written),
    )
}

fn of_restore(counted: &RestoreStatsEntry) -> String {
    format!(
        "Displaying restore stats:\n{}{}Restore time: {} us\nForking time: {} us\n",
        pages("Pages compared", counted.pages_compared),
        pages("Pages restored", counted.pages_restored.unwrap_or_default()),
        counted.restore_time,
        counted.forking_time,
    )
}

fn pages(what: &str, count: u64) -> String {
    format!("{what}: {count} (0x{count:x})\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, files: &[(PathBuf, String)]) -> Result<Line> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let mut taken = Words::default();
        taken.take(&words)?;
        let mut line = Line::default();
        line.read(&taken, &configuration(&taken, files)?).map(|()| line)
    }

    #[test]
    fn what_a_harness_sends() {
        let text = "--no-default-config --log-file dump.log --images-dir /i --verbosity=4 --tree 42 --timeout 10 \
            --pidfile /p --pre-dump-mode splice --tcp-established --no-file-locks --manage-cgroups=soft -vvv -v4 -W/w -d \
            --external mnt[/dev]:DEV";
        let line = read(text, &[("/etc/criu/default.conf".into(), "shell-job".to_owned())]).expect("options");
        let mut options = Options::default();
        for (name, value) in [
            ("log-file", "dump.log"),
            ("tree", "42"),
            ("tcp-established", ""),
            ("manage-cgroups", "soft"),
            ("external", "mnt[/dev]:DEV"),
        ] {
            options.set(name, value).expect(name);
        }
        let expected = Line {
            options,
            images: Some("/i".into()),
            work: Some("/w".into()),
            detached: true,
            pidfile: Some("/p".into()),
            ..Line::default()
        };
        assert_eq!(line, expected);
    }

    #[test]
    fn words_come_after_configuration_files() {
        let file = |text: &str| [("/etc/criu/default.conf".into(), text.to_owned())];
        let text = "images-dir /of-file\nwork-dir /w\nshell-job\ntcp-close\n";
        let line = read("-D /of-words --no-shell-job", &file(text)).expect("options");
        assert_eq!((line.images(), line.work.as_deref()), (Path::new("/of-words"), Some(Path::new("/w"))));
        assert!(!line.options.shell_job && line.options.tcp_close);
        let why = read("", &file("stream")).expect_err("not supported");
        assert!(why.starts_with("/etc/criu/default.conf: stream: the option is not supported"), "{why}");
    }
}
