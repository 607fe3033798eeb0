//! The log that callers read: `--log`, in the formats of logrus.
//!
//! A failed command writes exactly one error entry and no warning, because Podman decodes the whole file as one JSON
//! object. The file may be there before us and is only ever appended to.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::time::SystemTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
    Debug,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

impl Format {
    pub fn named(name: &str) -> Result<Format> {
        match name {
            "text" | "" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => bail!("unknown log format {name:?}; text and json are known"),
        }
    }
}

#[derive(Debug)]
enum Sink {
    Nothing,
    File(File),
    Journal { socket: UnixDatagram, identifier: String },
    Syslog { socket: UnixDatagram, identifier: String },
}

#[derive(Debug)]
pub struct Log {
    sink: Sink,
    format: Format,
}

impl Log {
    pub fn none() -> Log {
        Log { sink: Sink::Nothing, format: Format::Text }
    }

    /// Opens `target`: a path, or one of crun's `file:PATH`, `journald:IDENTIFIER`, `syslog:IDENTIFIER`.
    pub fn open(target: &OsStr, format: Format) -> Result<Log> {
        let rest = |prefix: &str| target.as_bytes().strip_prefix(prefix.as_bytes()).map(OsStr::from_bytes);
        let socket = |path: &str| -> Result<UnixDatagram> {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path).with_context(|| format!("open log: connect to {path}"))?;
            Ok(socket)
        };
        let identifier = |text: &OsStr| match text.to_string_lossy() {
            text if text.is_empty() => "floe".to_owned(),
            text => text.replace('\n', " "),
        };
        let sink = if let Some(text) = rest("journald:") {
            Sink::Journal { socket: socket("/run/systemd/journal/socket")?, identifier: identifier(text) }
        } else if let Some(text) = rest("syslog:") {
            Sink::Syslog { socket: socket("/dev/log")?, identifier: identifier(text) }
        } else {
            let path = rest("file:").unwrap_or(target);
            let mode = std::os::unix::fs::OpenOptionsExt::mode;
            let file = mode(OpenOptions::new().append(true).create(true), 0o644).open(path);
            Sink::File(file.with_context(|| format!("open log {}", path.display()))?)
        };
        Ok(Log { sink, format })
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.sink, Sink::Nothing)
    }

    /// Writes one entry. There is nobody left to tell when that does not work.
    pub fn write(&mut self, level: Level, message: &str) {
        match &mut self.sink {
            Sink::Nothing => {}
            // One write, so that a second process's entry is not mixed in.
            Sink::File(file) => {
                let _ = file.write_all(
                    entry(self.format, level, message, &container::rfc3339(SystemTime::now())).as_bytes(),
                );
            }
            Sink::Journal { socket, identifier } => {
                let message = message.replace('\n', " ");
                let priority = priority(level);
                let datagram =
                    format!("SYSLOG_IDENTIFIER={identifier}\nPRIORITY={priority}\nMESSAGE={message}\n");
                let _ = socket.send(datagram.as_bytes());
            }
            Sink::Syslog { socket, identifier } => {
                // 3 is the facility "daemon".
                let datagram = format!("<{}>{identifier}: {message}", 3 << 3 | priority(level));
                let _ = socket.send(datagram.as_bytes());
            }
        }
    }
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Debug => 7,
    }
}

fn entry(format: Format, level: Level, message: &str, time: &str) -> String {
    let level = match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Debug => "debug",
    };
    // JSON's quoting is a subset of Go's %q, which logrus uses for text.
    let message = serde_json::Value::from(message);
    match format {
        Format::Json => format!("{{\"level\":\"{level}\",\"msg\":{message},\"time\":\"{time}\"}}\n"),
        Format::Text => format!("time=\"{time}\" level={level} msg={message}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_look_like_logrus() {
        let time = "2026-11-21T22:50:28Z";
        let message = "create web1: exec: \"nope\": not found\n";
        assert_eq!(
            entry(Format::Json, Level::Error, message, time),
            "{\"level\":\"error\",\"msg\":\"create web1: exec: \\\"nope\\\": not found\\n\",\"time\":\"2026-11-21T22:50:28Z\"}\n"
        );
        assert_eq!(
            entry(Format::Text, Level::Warning, message, time),
            "time=\"2026-11-21T22:50:28Z\" level=warning msg=\"create web1: exec: \\\"nope\\\": not found\\n\"\n"
        );
    }

    #[test]
    fn file_is_appended_to() {
        let path = std::env::temp_dir().join(format!("floe-log-test-{}", std::process::id()));
        std::fs::write(&path, "before\n").expect("write");
        let target = format!("file:{}", path.display());
        for target in [target.as_str(), path.to_str().expect("UTF-8")] {
            let mut log = Log::open(target.as_ref(), Format::Json).expect("open");
            log.write(Level::Error, "x");
        }
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::remove_file(&path).expect("remove");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, "before"));
        let entry: serde_json::Value = serde_json::from_str(lines[2]).expect("JSON");
        assert_eq!((&entry["level"], &entry["msg"]), (&"error".into(), &"x".into()));
    }

    #[test]
    fn error_names_the_file() {
        let error = Log::open("/nowhere/log".as_ref(), Format::Text).expect_err("no such directory");
        assert!(
            format!("{error:#}").starts_with("open log /nowhere/log: No such file or directory"),
            "{error:#}"
        );
    }
}
