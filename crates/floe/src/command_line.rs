//! Reads the command line the way runc's callers write it and brings it into one canonical form for clap.
//!
//! Callers rely on what runc's parser lets pass: `-no-subreaper` with one dash (containerd), the same flag twice
//! (Podman, conmon-rs), `--flag=true`, options after the id. Pure: definitions and arguments in, arguments out.

use clap::{Arg, ArgAction, Command};
use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What the arguments say. `command` and the log are known even when the rest makes no sense, so that the complaint
/// reaches the caller's log.
#[derive(Debug)]
pub struct CommandLine {
    pub command: Option<String>,
    pub help: bool,
    pub log: Option<OsString>,
    pub log_format: Option<OsString>,
    /// For clap: each flag once, in the form `--flag` or `--flag=value`, then `--` and the rest.
    pub arguments: Result<Vec<OsString>, String>,
}

/// Reads `arguments`, the name of the program first, by the definitions of `program`.
pub fn read(program: &Command, arguments: impl IntoIterator<Item = OsString>) -> CommandLine {
    let mut reader = Reader {
        program,
        command: None,
        globals: Vec::new(),
        options: Vec::new(),
        positionals: Vec::new(),
        help: false,
    };
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let result = reader.read(&mut arguments);
    let global = |long: &str| {
        let given = reader.globals.iter().find(|given| given.definition.get_long() == Some(long))?;
        given.values.last().cloned()
    };
    CommandLine {
        command: reader.command.map(|command| command.get_name().to_owned()),
        help: reader.help,
        log: global("log"),
        log_format: global("log-format"),
        arguments: result.map(|()| reader.canonical(name)),
    }
}

struct Given<'a> {
    definition: &'a Arg,
    values: Vec<OsString>,
}

struct Reader<'a> {
    program: &'a Command,
    command: Option<&'a Command>,
    globals: Vec<Given<'a>>,
    options: Vec<Given<'a>>,
    positionals: Vec<OsString>,
    help: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self, arguments: &mut dyn Iterator<Item = OsString>) -> Result<(), String> {
        while let Some(argument) = arguments.next() {
            let rest = self.rest();
            if rest == Rest::Everything {
                if argument != "--" {
                    self.positionals.push(argument);
                }
                self.positionals.extend(arguments);
                return Ok(());
            }
            let bytes = argument.as_bytes();
            if bytes == b"--" && self.command.is_some() {
                self.positionals.extend(arguments);
                return Ok(());
            }
            if bytes.len() > 1 && bytes[0] == b'-' {
                self.flag(&argument, arguments)?;
                if self.help {
                    return Ok(());
                }
            } else if self.command.is_none() {
                self.command_name(&argument)?;
            } else {
                self.positionals.push(argument);
                if rest == Rest::AfterNextWord {
                    self.positionals.extend(arguments);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// How much of what follows belongs to somebody else's command line.
    fn rest(&self) -> Rest {
        let next = self.command.and_then(|command| command.get_positionals().nth(self.positionals.len()));
        match next {
            Some(next) if next.is_allow_hyphen_values_set() => Rest::Everything,
            Some(next) if next.is_trailing_var_arg_set() => Rest::AfterNextWord,
            _ => Rest::Nothing,
        }
    }

    fn command_name(&mut self, name: &OsStr) -> Result<(), String> {
        if (name == "help" || name == "h") && !self.help {
            self.help = true;
            return Ok(());
        }
        match self.program.find_subcommand(name) {
            Some(command) => self.command = Some(command),
            None => return Err(format!("unknown command {:?}", name.to_string_lossy())),
        }
        Ok(())
    }

    fn flag(
        &mut self,
        argument: &OsStr,
        arguments: &mut dyn Iterator<Item = OsString>,
    ) -> Result<(), String> {
        let bytes = argument.as_bytes();
        let dashes = if bytes.starts_with(b"--") { 2 } else { 1 };
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => (&bytes[dashes..at], Some(&bytes[at + 1..])),
            None => (&bytes[dashes..], None),
        };
        let unknown = || format!("unknown flag {:?}", argument.to_string_lossy());
        let name = std::str::from_utf8(name).map_err(|_| unknown())?;
        let value = value.map(|value| OsStr::from_bytes(value).to_owned());
        if let Some((is_global, definition)) = self.definition(name) {
            return self.set(is_global, definition, argument, value, arguments);
        }
        if name == "help" || name == "h" {
            self.help = true;
            return Ok(());
        }
        // Several one-letter flags in one word, as getopt reads them; the last may take the next word as its value.
        let letters: Vec<String> = name.chars().map(String::from).collect();
        let known: Vec<_> = letters.iter().filter_map(|letter| self.definition(letter)).collect();
        let all_but_last_are_switches =
            known.iter().rev().skip(1).all(|(_, definition)| !definition.get_action().takes_values());
        if dashes == 2 || letters.len() < 2 || known.len() < letters.len() || !all_but_last_are_switches {
            return Err(unknown());
        }
        let last = known.len() - 1;
        for (index, (is_global, definition)) in known.into_iter().enumerate() {
            let value = if index == last { value.clone() } else { None };
            self.set(is_global, definition, argument, value, arguments)?;
        }
        Ok(())
    }

    /// The flag called `name` of the command, or else of the program.
    fn definition(&self, name: &str) -> Option<(bool, &'a Arg)> {
        let mut letters = name.chars();
        let letter = letters.next().filter(|_| letters.next().is_none());
        let named = |definition: &&Arg| {
            definition.get_long() == Some(name) || (letter.is_some() && definition.get_short() == letter)
        };
        let in_command = self.command.and_then(|command| command.get_arguments().find(named));
        match in_command {
            Some(definition) => Some((false, definition)),
            None => self.program.get_arguments().find(named).map(|definition| (true, definition)),
        }
    }

    fn set(
        &mut self,
        is_global: bool,
        definition: &'a Arg,
        argument: &OsStr,
        value: Option<OsString>,
        arguments: &mut dyn Iterator<Item = OsString>,
    ) -> Result<(), String> {
        let value = if !definition.get_action().takes_values() {
            let text = value.unwrap_or_else(|| "true".into());
            let switch = text.to_str().and_then(parse_bool).ok_or_else(|| {
                format!("invalid boolean value {:?} for {}", text.to_string_lossy(), spelled(definition))
            })?;
            if switch { "true".into() } else { "false".into() }
        } else {
            // Podman, CRI-O: they look for either phrase to learn that a runtime knows a flag.
            value.or_else(|| arguments.next()).ok_or_else(|| {
                let argument = argument.to_string_lossy();
                format!("flag needs an argument: {argument} ({} requires an argument)", spelled(definition))
            })?
        };
        let list = if is_global { &mut self.globals } else { &mut self.options };
        let given = match list.iter_mut().position(|given| given.definition.get_id() == definition.get_id()) {
            Some(at) => &mut list[at],
            None => {
                list.push(Given { definition, values: Vec::new() });
                list.last_mut().expect("just pushed")
            }
        };
        if !matches!(definition.get_action(), ArgAction::Append) {
            given.values.clear();
        }
        given.values.push(value);
        Ok(())
    }

    fn canonical(self, name: OsString) -> Vec<OsString> {
        let mut line = vec![name];
        let is_version = |given: &&Given| given.definition.get_long() == Some("version");
        if let Some(version) = self.globals.iter().find(is_version) {
            // Whatever else is missing does not matter then.
            version.write(&mut line);
            if line.len() > 1 {
                return line;
            }
        }
        self.globals.iter().for_each(|given| given.write(&mut line));
        line.extend(self.command.map(|command| command.get_name().into()));
        if self.help {
            line.push("--help".into());
            return line;
        }
        self.options.iter().for_each(|given| given.write(&mut line));
        if !self.positionals.is_empty() {
            line.push("--".into());
            line.extend(self.positionals);
        }
        line
    }
}

#[derive(PartialEq)]
enum Rest {
    Nothing,
    AfterNextWord,
    Everything,
}

impl Given<'_> {
    fn write(&self, line: &mut Vec<OsString>) {
        let flag = spelled(self.definition);
        if !self.definition.get_action().takes_values() {
            if self.values.iter().any(|value| value == "true") {
                line.push(flag.into());
            }
            return;
        }
        for value in &self.values {
            // An empty value means "not given", as in Go. Only lists keep it.
            let is_list = matches!(self.definition.get_action(), ArgAction::Append);
            if value.is_empty() && !is_list && is_text(self.definition) {
                continue;
            }
            let mut word = flag.clone().into_bytes();
            word.push(b'=');
            word.extend_from_slice(value.as_bytes());
            line.push(OsString::from_vec(word));
        }
    }
}

fn is_text(definition: &Arg) -> bool {
    let value_type = definition.get_value_parser().type_id();
    [TypeId::of::<String>(), TypeId::of::<OsString>(), TypeId::of::<PathBuf>()]
        .iter()
        .any(|text| value_type == *text)
}

fn spelled(definition: &Arg) -> String {
    format!("--{}", definition.get_long().expect("every flag has a long name"))
}

/// The spellings that Go's strconv.ParseBool takes.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::{CommandFactory, Parser};

    fn read_words(line: &str) -> CommandLine {
        read(&Args::command(), line.split_whitespace().map(OsString::from))
    }

    fn check(line: &str, expected: &str) {
        let line_read = read_words(line);
        if let Some(one) = line_read.command.as_deref().and_then(Args::one_command) {
            let line_of_one = read(&one, line.split_whitespace().map(OsString::from));
            assert_eq!(line_of_one.arguments, line_read.arguments, "{line}");
        }
        let words = line_read.arguments.unwrap_or_else(|error| panic!("{line}: {error}"));
        let words: Vec<_> = words.iter().map(|word| word.to_str().expect("UTF-8")).collect();
        assert_eq!(words.join(" "), expected, "{line}");
        if !expected.ends_with("--help") {
            Args::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    fn check_error(line: &str, expected: &str) {
        assert_eq!(read_words(line).arguments.expect_err(line), expected, "{line}");
    }

    #[test]
    fn definitions_are_sound() {
        Args::command().debug_assert();
        for complete in Args::command().get_subcommands() {
            let name = complete.get_name();
            let mut program = Args::one_command(name).unwrap_or_else(|| panic!("{name}"));
            let one = program.find_subcommand(name).expect("the command itself");
            let ids = |command: &Command| {
                command.get_arguments().map(|argument| argument.get_id().to_string()).collect::<Vec<_>>()
            };
            assert_eq!(ids(complete), ids(one), "{name}");
            assert_eq!(ids(&Args::command()), ids(&program), "{name}");
            program.build();
        }
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        check("floe run -no-subreaper -bundle /b web1", "floe run --no-subreaper --bundle=/b -- web1");
        check("floe -root=/r -log-format json state web1", "floe --root=/r --log-format=json state -- web1");
        check("floe delete --f web1", "floe delete --force -- web1");
    }

    #[test]
    fn value_follows_or_is_attached() {
        check("floe create --bundle /b --pid-file=/p web1", "floe create --bundle=/b --pid-file=/p -- web1");
        check("floe create -b /b -b=/c web1", "floe create --bundle=/c -- web1");
        check(
            "floe update --memory -1 --pids-limit=-1 web1",
            "floe update --memory=-1 --pids-limit=-1 -- web1",
        );
        check("floe update --resources - web1", "floe update --resources=- -- web1");
        check("floe exec --env A=B=C web1 env", "floe exec --env=A=B=C -- web1 env");
    }

    #[test]
    fn last_one_wins_but_lists_grow() {
        check(
            "floe --root /a --systemd-cgroup --root /b --systemd-cgroup create --bundle /b web1",
            "floe --root=/b --systemd-cgroup create --bundle=/b -- web1",
        );
        check("floe run --detach --detach web1", "floe run --detach -- web1");
        check(
            "floe exec -e A=1 -e B=2 -c X --cap Y web1 a",
            "floe exec --env=A=1 --env=B=2 --cap=X --cap=Y -- web1 a",
        );
    }

    #[test]
    fn booleans_take_a_value() {
        check("floe run --detach=true web1", "floe run --detach -- web1");
        check("floe run --detach --detach=false web1", "floe run -- web1");
        check("floe run -d=0 web1", "floe run -- web1");
        check_error("floe run --detach=maybe web1", "invalid boolean value \"maybe\" for --detach");
    }

    #[test]
    fn empty_text_is_not_given() {
        check("floe create --pid-file= --console-socket= web1", "floe create -- web1");
        check("floe exec --env= web1 a", "floe exec --env= -- web1 a");
    }

    #[test]
    fn options_follow_the_id() {
        check("floe delete web1 --force", "floe delete --force -- web1");
        check("floe kill web1 KILL -a", "floe kill --all -- web1 KILL");
        check("floe exec web1 --cwd /tmp ls -l", "floe exec --cwd=/tmp -- web1 ls -l");
        check("floe state web1 --root /r", "floe --root=/r state -- web1");
    }

    #[test]
    fn command_of_exec_is_left_alone() {
        check("floe exec -d web1 ls --detach=no -- -x", "floe exec --detach -- web1 ls --detach=no -- -x");
        check("floe exec web1 -- ls -x", "floe exec -- web1 ls -x");
        check("floe exec web1 sh --help", "floe exec -- web1 sh --help");
        check_error("floe exec web1 --bogus", "unknown flag \"--bogus\"");
    }

    #[test]
    fn options_of_ps_are_left_alone() {
        check("floe ps -f json web1", "floe ps --format=json -- web1");
        check("floe ps web1 -e -o pid,comm", "floe ps -- web1 -e -o pid,comm");
        check("floe ps web1 -- -e", "floe ps -- web1 -e");
    }

    #[test]
    fn letters_share_a_word() {
        check("floe exec -td web1 sh", "floe exec --tty --detach -- web1 sh");
        check("floe exec -tu 1:2 web1 sh", "floe exec --tty --user=1:2 -- web1 sh");
        check_error("floe exec -ut 1:2 web1 sh", "unknown flag \"-ut\"");
    }

    #[test]
    fn what_callers_send() {
        check(
            "floe --root /r/ns --log /b/log.json --log-format json --systemd-cgroup create --bundle /b \
             --pid-file /b/init.pid --no-pivot --no-new-keyring web1",
            "floe --root=/r/ns --log=/b/log.json --log-format=json --systemd-cgroup create --bundle=/b \
             --pid-file=/b/init.pid --no-pivot --no-new-keyring -- web1",
        );
        check("floe --cgroup-manager disabled create web1", "floe --cgroup-manager=disabled create -- web1");
        check(
            "floe exec -d --tty --pid-file=/p web1 cat",
            "floe exec --detach --tty --pid-file=/p -- web1 cat",
        );
        check("floe events --interval=5s web1", "floe events --interval=5s -- web1");
        check(
            "floe checkpoint --image-path /b/checkpoint --work-path /b --leave-running --tcp-established \
             --leave-running --pre-dump --parent-path ../pre-checkpoint web1",
            "floe checkpoint --image-path=/b/checkpoint --work-path=/b --leave-running --tcp-established \
             --pre-dump --parent-path=../pre-checkpoint -- web1",
        );
        check(
            "floe checkpoint --image-path /i --work-path /w --empty-ns network --status-fd 3 \
             --manage-cgroups-mode ignore web1",
            "floe checkpoint --image-path=/i --work-path=/w --empty-ns=network --status-fd=3 \
             --manage-cgroups-mode=ignore -- web1",
        );
        check(
            "floe restore --image-path /i --work-path /w --detach --pid-file /p --no-pivot -no-subreaper \
             --bundle /b web1",
            "floe restore --image-path=/i --work-path=/w --detach --pid-file=/p --no-pivot --no-subreaper \
             --bundle=/b -- web1",
        );
        check(
            "floe restore --bundle /b --pid-file /p --no-new-keyring --detach --image-path /i --work-path /b \
             --tcp-close --file-locks --lsm-profile=selinux:a:b:c --lsm-mount-context=a:b:c \
             --console-socket /s web1",
            "floe restore --bundle=/b --pid-file=/p --no-new-keyring --detach --image-path=/i --work-path=/b \
             --tcp-close --file-locks --lsm-profile=selinux:a:b:c --lsm-mount-context=a:b:c \
             --console-socket=/s -- web1",
        );
    }

    #[test]
    fn help_needs_nothing_else() {
        check("floe create --help", "floe create --help");
        check("floe create --bundle /b -h x y z", "floe create --help");
        check("floe help update", "floe update --help");
        check("floe help", "floe --help");
        check("floe", "floe");
        check("floe -v", "floe --version");
        check("floe --root /r --version kill", "floe --version");
    }

    #[test]
    fn errors_name_the_culprit_and_keep_the_log() {
        check_error("floe frob", "unknown command \"frob\"");
        check_error("floe run --frob web1", "unknown flag \"--frob\"");
        check_error("floe run --bundle", "flag needs an argument: --bundle (--bundle requires an argument)");
        let line = read_words("floe --log /l --log-format json create --frob web1");
        assert_eq!(line.command.as_deref(), Some("create"));
        assert_eq!(line.log.as_deref(), Some(OsStr::new("/l")));
        assert_eq!(line.log_format.as_deref(), Some(OsStr::new("json")));
    }

    #[test]
    fn not_utf8_is_kept() {
        let path = OsString::from_vec(b"/b\xff".to_vec());
        let words = ["floe".into(), "create".into(), "--bundle".into(), path, "web1".into()];
        let line = read(&Args::command(), words).arguments.expect("a valid line");
        assert_eq!(line[2].as_bytes(), b"--bundle=/b\xff");
    }
}
