//! Words of a command line as options and operands, as getopt_long(3) takes them for CRIU 4.2: options anywhere, long ones
//! also by a beginning that only one has, and `--no-NAME` for switches; letters together behind one dash. `--` ends the
//! options.

use crate::options::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// Behind `=`, or the next word.
    Value,
    /// Behind `=` only.
    PerhapsValue,
}
use Takes::{Nothing, PerhapsValue, Value};

/// All options of CRIU 4.2, those too that are refused: otherwise their values would be taken for operands.
const OPTIONS: [(&str, Option<char>, Takes); 83] = [
    ("action-script", None, Value),
    ("address", None, Value),
    ("all", None, Nothing),
    ("allow-uprobes", None, Nothing),
    ("auto-dedup", None, Nothing),
    ("cgroup-dump-controller", None, Value),
    ("cgroup-props", None, Value),
    ("cgroup-props-file", None, Value),
    ("cgroup-root", None, Value),
    ("cgroup-yard", None, Value),
    ("config", None, Value),
    ("cpu-cap", None, PerhapsValue),
    ("daemon", None, Nothing),
    ("deprecated", None, Nothing),
    ("display-stats", None, Nothing),
    ("empty-ns", None, Value),
    ("enable-external-masters", None, Nothing),
    ("enable-external-sharing", None, Nothing),
    ("enable-fs", None, Value),
    ("evasive-devices", None, Nothing),
    ("exec-cmd", None, Nothing),
    ("experimental", None, Nothing),
    ("ext-mount-map", Some('M'), Value),
    ("ext-unix-sk", Some('x'), PerhapsValue),
    ("external", None, Value),
    ("extra", None, Nothing),
    ("feature", None, Value),
    ("file-locks", Some('l'), Nothing),
    ("file-validation", None, Value),
    ("force-irmap", None, Nothing),
    ("freeze-cgroup", None, Value),
    ("ghost-fiemap", None, Nothing),
    ("ghost-limit", None, Value),
    ("help", Some('h'), Nothing),
    ("images-dir", Some('D'), Value),
    ("inherit-fd", None, Value),
    ("irmap-scan-path", None, Value),
    ("join-ns", Some('J'), Value),
    ("lazy-pages", None, Nothing),
    ("leave-running", Some('R'), Nothing),
    ("leave-stopped", Some('s'), Nothing),
    ("libdir", Some('L'), Value),
    ("link-remap", None, Nothing),
    ("log-file", Some('o'), Value),
    ("log-pid", None, Nothing),
    ("lsm-mount-context", None, Value),
    ("lsm-profile", None, Value),
    ("manage-cgroups", None, PerhapsValue),
    ("mntns-compat-mode", None, Nothing),
    ("network-lock", None, Value),
    ("no-default-config", None, Nothing),
    ("page-server", None, Nothing),
    ("pidfile", None, Value),
    ("port", None, Value),
    ("pre-dump-mode", None, Value),
    ("prev-images-dir", None, Value),
    ("ps-socket", None, Value),
    ("restore-detached", Some('d'), Nothing),
    ("restore-sibling", Some('S'), Nothing),
    ("root", Some('r'), Value),
    ("shell-job", Some('j'), Nothing),
    ("skip-file-rwx-check", None, Nothing),
    ("skip-in-flight", None, Nothing),
    ("skip-mnt", None, Value),
    ("status-fd", None, Value),
    ("stream", None, Nothing),
    ("tcp-close", None, Nothing),
    ("tcp-established", None, Nothing),
    ("timeout", None, Value),
    ("tls", None, Nothing),
    ("tls-cacert", None, Value),
    ("tls-cacrl", None, Value),
    ("tls-cert", None, Value),
    ("tls-key", None, Value),
    ("tls-no-cn-verify", None, Nothing),
    ("track-mem", None, Nothing),
    ("tree", Some('t'), Value),
    ("unprivileged", None, Nothing),
    ("verbosity", Some('v'), PerhapsValue),
    ("version", Some('V'), Nothing),
    ("veth-pair", None, Value),
    ("weak-sysctls", None, Nothing),
    ("work-dir", Some('W'), Value),
];

/// Whether this is an option without a value, which `no-` takes back.
pub(crate) fn is_switch(name: &str) -> bool {
    OPTIONS.iter().any(|(known, _, takes)| *known == name && *takes == Nothing)
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// Long names with their values. Of an option without one, the value is empty.
    pub(crate) options: Vec<(String, String)>,
    pub(crate) operands: Vec<String>,
}

impl Words {
    /// Takes what `words` say.
    ///
    /// # Errors
    /// One makes no sense. All that are there before it have been taken.
    pub(crate) fn take(&mut self, words: &[String]) -> Result<()> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                self.operands.extend(words.cloned());
                return Ok(());
            } else if let Some(long) = word.strip_prefix("--") {
                let (text, given) =
                    long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let (name, takes) = find(text)?;
                let value = match (takes, given) {
                    (Nothing, Some(_)) => return Err(format!("{name}: it takes no value")),
                    (Nothing, None) | (PerhapsValue, None) => String::new(),
                    (_, Some(value)) => value.to_owned(),
                    (Value, None) => next(&name, &mut words)?,
                };
                self.options.push((name, value));
            } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                self.take_letters(letters, &mut words)?;
            } else {
                self.operands.push(word.clone());
            }
        }
        Ok(())
    }

    fn take_letters<'a>(
        &mut self,
        letters: &str,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<()> {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let known = OPTIONS.iter().find(|(_, own, _)| *own == Some(letter));
            let (name, _, takes) = known.ok_or_else(|| format!("-{letter}: the option is not known"))?;
            let value = match (takes, rest.as_str()) {
                (Nothing, _) => String::new(),
                (Value, "") => next(name, words)?,
                (_, value) => {
                    let value = value.to_owned();
                    rest = "".chars();
                    value
                }
            };
            self.options.push(((*name).to_owned(), value));
        }
        Ok(())
    }
}

fn next<'a>(name: &str, words: &mut impl Iterator<Item = &'a String>) -> Result<String> {
    words.next().cloned().ok_or_else(|| format!("{name}: a value is missing"))
}

/// The option with this name, or the only one whose name begins so.
fn find(text: &str) -> Result<(String, Takes)> {
    let switches = OPTIONS.iter().filter(|(.., takes)| *takes == Nothing);
    let off = switches.map(|(name, ..)| (format!("no-{name}"), Nothing));
    let all = OPTIONS.iter().map(|(name, _, takes)| ((*name).to_owned(), *takes)).chain(off);
    let mut found: Vec<(String, Takes)> = all.filter(|(name, _)| name.starts_with(text)).collect();
    if let Some(exact) = found.iter().position(|(name, _)| name == text) {
        return Ok(found.swap_remove(exact));
    }
    match found.len() {
        0 => Err(format!("{text}: the option is not known")),
        1 => Ok(found.remove(0)),
        _ => {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            Err(format!("{text}: it may be any of {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<Words> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let mut taken = Words::default();
        taken.take(&words).map(|()| taken)
    }

    #[test]
    fn every_spelling() {
        let check = |text: &str, expected: &[(&str, &str)], operands: &[&str]| {
            let taken = take(text).expect(text);
            let options: Vec<(&str, &str)> =
                taken.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(options, expected, "{text}");
            assert_eq!(taken.operands, operands, "{text}");
        };
        check("-t 4 dump", &[("tree", "4")], &["dump"]);
        check("-t4 --tree=5 --tree 6", &[("tree", "4"), ("tree", "5"), ("tree", "6")], &[]);
        check(
            "-v -v4 -vvv --verbosity=3 --verbosity",
            &[
                ("verbosity", ""),
                ("verbosity", "4"),
                ("verbosity", "vv"),
                ("verbosity", "3"),
                ("verbosity", ""),
            ],
            &[],
        );
        // As CRIU reads it: the letter v, and what comes after it.
        check("check -verbosity=0", &[("verbosity", "erbosity=0")], &["check"]);
        check(
            "-djRt 4",
            &[("restore-detached", ""), ("shell-job", ""), ("leave-running", ""), ("tree", "4")],
            &[],
        );
        check(
            "--tcp-est --no-tcp-est --no-auto",
            &[("tcp-established", ""), ("no-tcp-established", ""), ("no-auto-dedup", "")],
            &[],
        );
        check(
            "--cgroup-props=a --extern mnt[/a]:b=c",
            &[("cgroup-props", "a"), ("external", "mnt[/a]:b=c")],
            &[],
        );
        check("--manage-cgroups full", &[("manage-cgroups", "")], &["full"]);
        check("--exec-cmd restore -- sh -c true", &[("exec-cmd", "")], &["restore", "sh", "-c", "true"]);
        check("-o - -", &[("log-file", "-")], &["-"]);
    }

    #[test]
    fn what_makes_no_sense() {
        let refused = |text: &str, why: &str| assert_eq!(take(text).expect_err(text), why);
        refused("--tree", "tree: a value is missing");
        refused("-dt", "tree: a value is missing");
        refused("--word", "word: the option is not known");
        refused("-Z", "-Z: the option is not known");
        refused("-dZ", "-Z: the option is not known");
        refused("--leave", "leave: it may be any of leave-running, leave-stopped");
        refused("--shell-job=1", "shell-job: it takes no value");
        refused("--no-tree", "no-tree: the option is not known");
    }

    #[test]
    fn what_was_said_before_is_taken() {
        let mut taken = Words::default();
        let words = ["-o", "d.log", "--word"].map(str::to_owned);
        taken.take(&words).expect_err("not an option");
        assert_eq!(taken.options, [("log-file".to_owned(), "d.log".to_owned())]);
    }
}
