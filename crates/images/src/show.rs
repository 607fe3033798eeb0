//! Prints images as `crit show` does: the same structure, the same words for numbers, the same white space.
//!
//! What crit cannot print is printed plainly: values without a name as numbers, text that is not UTF-8 with U+FFFD in
//! its place. Fields that the table does not have are left out.

use crate::error::{Error, Result};
use crate::format::{INNER, Payload};
use crate::reader::{Entry, Reader, Source};
use crate::schema::{Field, Kind, Label, Message, Show};
use crate::wire::{Fields, Packed, Value};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Prints one image as a JSON object, without a newline at the end.
pub fn image<S: Source>(reader: Reader<S>, out: &mut dyn Write) -> Result<()> {
    let mut json = Json { out, level: 0, is_empty: true };
    show(reader, &mut json)
}

/// Prints an object with a member per file, without a newline at the end.
#[derive(Debug)]
pub struct Files<'a> {
    json: Json<'a>,
}

impl<'a> Files<'a> {
    pub fn begin(out: &'a mut dyn Write) -> Result<Files<'a>> {
        let mut json = Json { out, level: 0, is_empty: true };
        json.open('{')?;
        Ok(Files { json })
    }

    /// Adds an image under its name.
    pub fn image<S: Source>(&mut self, name: &str, reader: Reader<S>) -> Result<()> {
        self.json.key(name)?;
        show(reader, &mut self.json)
    }

    /// Adds a file that has no messages; `size` in bytes.
    pub fn raw(&mut self, name: &str, size: u64) -> Result<()> {
        self.json.key(name)?;
        self.json.open('{')?;
        self.json.key("raw_bytes")?;
        self.json.plain(&size.to_string())?;
        Ok(self.json.close('}')?)
    }

    pub fn end(mut self) -> Result<()> {
        Ok(self.json.close('}')?)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::of_io("write JSON", &error)
    }
}

fn show<S: Source>(mut reader: Reader<S>, json: &mut Json<'_>) -> Result<()> {
    json.open('{')?;
    json.key("magic")?;
    json.text(reader.image().name)?;
    json.key("entries")?;
    json.open('[')?;
    let mut next = reader.entry()?;
    while let Some(entry) = next.take() {
        json.item()?;
        json.open('{')?;
        message(json, entry.schema(), entry.bytes(), false)?;
        next = payload(json, &mut reader, &entry)?;
        json.close('}')?;
    }
    json.close(']')?;
    Ok(json.close('}')?)
}

/// Prints what follows `entry` as its member `extra`, and returns the entry after that.
fn payload<S: Source>(json: &mut Json<'_>, reader: &mut Reader<S>, entry: &Entry) -> Result<Option<Entry>> {
    match entry.payload() {
        Payload::None => {}
        Payload::Bytes { .. } | Payload::Rest => {
            json.key("extra")?;
            base64_of_payload(json, reader, entry, 0, reader.payload_len(entry))?;
        }
        Payload::Queues { received, sent } => {
            json.key("extra")?;
            json.open('{')?;
            json.key("inq")?;
            base64_of_payload(json, reader, entry, 0, received)?;
            json.key("outq")?;
            base64_of_payload(json, reader, entry, received, sent)?;
            json.close('}')?;
        }
        Payload::Semaphores { .. } => {
            json.key("extra")?;
            json.open('[')?;
            for pair in reader.payload(entry, 0, reader.payload_len(entry))?.chunks_exact(2) {
                json.item()?;
                json.plain(&u16::from_le_bytes([pair[0], pair[1]]).to_string())?;
            }
            json.close(']')?;
        }
        Payload::Messages { .. } => {
            json.key("extra")?;
            json.open('[')?;
            let mut next = reader.entry()?;
            while let Some(inner) = next.take_if(|next| std::ptr::eq(next.schema(), INNER)) {
                json.item()?;
                json.open('{')?;
                message(json, inner.schema(), inner.bytes(), false)?;
                json.close('}')?;
                json.item()?;
                base64_of_payload(json, reader, &inner, 0, reader.payload_len(&inner))?;
                next = reader.entry()?;
            }
            json.close(']')?;
            return Ok(next);
        }
    }
    reader.entry()
}

/// A line of base64 as Python's `encodebytes` writes it, from 57 bytes.
const LINE_BYTES: usize = 57;
/// Payloads are read in pieces: they may be as large as a deleted file.
const PIECE_BYTES: u64 = 1024 * LINE_BYTES as u64;

fn base64_of_payload<S: Source>(
    json: &mut Json<'_>,
    reader: &Reader<S>,
    entry: &Entry,
    from: u64,
    len: u64,
) -> Result<()> {
    write!(json.out, "\"")?;
    let mut done = 0;
    while done < len {
        let piece = PIECE_BYTES.min(len - done);
        json.escaped(&base64(&reader.payload(entry, from + done, piece)?))?;
        done += piece;
    }
    Ok(write!(json.out, "\"")?)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 3 / 2);
    for line in bytes.chunks(LINE_BYTES) {
        for group in line.chunks(3) {
            let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for digit in 0..4 {
                let value = bits >> (18 - 6 * digit) & 63;
                text.push(if digit <= group.len() { DIGITS[value as usize].into() } else { '=' });
            }
        }
        text.push('\n');
    }
    text
}

/// Members of the object that is open: the fields that are there, by number. `bytes` have been checked, so whatever
/// does not fit the table is not met here.
fn message(json: &mut Json<'_>, message: &'static Message, bytes: &[u8], is_hex: bool) -> io::Result<()> {
    for field in message.fields {
        let values = || Fields::new(bytes).flatten().filter(|found| found.number == field.number);
        let Some(first) = values().next() else { continue };
        if field.label != Label::Repeated {
            json.key(field.name)?;
            value(json, field, first.value, is_hex)?;
            continue;
        }
        if field.show == Show::Ip {
            let words: Vec<u32> =
                values().flat_map(|found| numbers(field, found.value)).map(|word| word as u32).collect();
            if let Some(address) = address(&words) {
                json.key(field.name)?;
                json.open('[')?;
                json.item()?;
                json.text(&address)?;
                json.close(']')?;
                continue;
            }
        }
        json.key(field.name)?;
        json.open('[')?;
        for found in values() {
            if matches!(field.kind, Kind::Nested(_) | Kind::Bytes) {
                json.item()?;
                value(json, field, found.value, is_hex)?;
                continue;
            }
            for number in numbers(field, found.value) {
                json.item()?;
                value(json, field, Value::Number(number), is_hex)?;
            }
        }
        json.close(']')?;
    }
    Ok(())
}

/// The numbers of a field of a list: one, or all that are packed in it.
fn numbers(field: &Field, value: Value<'_>) -> Vec<u64> {
    match value {
        Value::Number(number) => vec![number],
        Value::Bytes(bytes) => Packed::new(field, bytes).flatten().collect(),
    }
}

fn address(words: &[u32]) -> Option<String> {
    match *words {
        [word] => Some(Ipv4Addr::from(word.to_le_bytes()).to_string()),
        [a, b, c, d] => {
            let bytes = [a, b, c, d].map(u32::to_le_bytes).concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).expect("sixteen bytes")).to_string())
        }
        _ => None,
    }
}

fn value(json: &mut Json<'_>, field: &Field, value: Value<'_>, is_hex: bool) -> io::Result<()> {
    let is_hex = is_hex || field.show == Show::Hex;
    match (value, field.kind) {
        (Value::Bytes(bytes), Kind::Nested(nested)) => {
            json.open('{')?;
            message(json, nested, bytes, is_hex)?;
            json.close('}')
        }
        (Value::Bytes(bytes), _) => match field.show {
            Show::Text => json.text(&String::from_utf8_lossy(bytes)),
            Show::QuotedPrintable => json.text(&quoted_printable(bytes)),
            _ => json.text(&base64(bytes)),
        },
        (Value::Number(number), Kind::Bool) => json.plain(if number == 0 { "false" } else { "true" }),
        (Value::Number(number), Kind::Named(list)) => {
            match list.0.iter().find(|(value, _)| *value == number as i32) {
                Some((_, name)) => json.text(name),
                None => json.plain(&(number as i32).to_string()),
            }
        }
        (Value::Number(number), kind) => integer(json, field.show, decoded(kind, number), is_hex),
    }
}

/// The number that is meant: types differ in width and sign.
fn decoded(kind: Kind, number: u64) -> i128 {
    let zigzag = (number >> 1) as i64 ^ -((number & 1) as i64);
    match kind {
        Kind::Int32 => (number as i32).into(),
        Kind::Int64 => (number as i64).into(),
        Kind::Uint32 => (number as u32).into(),
        Kind::Sint32 => (zigzag as i32).into(),
        Kind::Sint64 => zigzag.into(),
        _ => number.into(),
    }
}

fn integer(json: &mut Json<'_>, show: Show, number: i128, is_hex: bool) -> io::Result<()> {
    if is_hex {
        let sign = if number < 0 { "-" } else { "" };
        return json.text(&format!("{sign}{:#x}", number.unsigned_abs()));
    }
    // All fields that are printed in a way of their own are unsigned.
    let unsigned = number as u64;
    let names: &[(u64, &str)] = match show {
        Show::Dev => return json.text(&format!("{}:{}", unsigned >> 20, unsigned & 0xf_ffff)),
        Show::Odev => {
            let major = unsigned >> 8 & 0xfff | unsigned >> 32 & !0xfff;
            let minor = unsigned & 0xff | unsigned >> 12 & !0xff;
            return json.text(&format!("{}:{}", major as u32, minor as u32));
        }
        Show::Prot => return json.text(&flags(unsigned, PROT)),
        Show::Map => return json.text(&flags(unsigned, MAP)),
        Show::Vma => return json.text(&flags(unsigned, VMA)),
        Show::Open => return json.text(&flags(unsigned, OPEN)),
        Show::Seal => return json.text(&flags(unsigned, SEAL)),
        Show::Pagemap => return json.text(&flags(unsigned, PAGEMAP)),
        Show::TaskState => TASK_STATE,
        Show::SocketFamily => SOCKET_FAMILY,
        Show::SocketType => SOCKET_TYPE,
        Show::SocketState => SOCKET_STATE,
        Show::SocketProto => SOCKET_PROTO,
        _ => &[],
    };
    match names.iter().find(|(value, _)| *value == unsigned) {
        Some((_, name)) => json.text(name),
        None => json.plain(&number.to_string()),
    }
}

fn flags(mut number: u64, names: &[(u64, &str)]) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(names.iter().filter(|(bit, _)| number & bit != 0).map(|(_, name)| (*name).to_owned()));
    number &= !names.iter().fold(0, |all, (bit, _)| all | bit);
    if number != 0 {
        words.push(format!("{number:#x}"));
    }
    words.join(" | ")
}

// The words are crit's.
const PROT: &[(u64, &str)] = &[(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")];
const MAP: &[(u64, &str)] = &[
    (0x1, "MAP_SHARED"),
    (0x2, "MAP_PRIVATE"),
    (0x8, "MAP_DROPPABLE"),
    (0x20, "MAP_ANON"),
    (0x100, "MAP_GROWSDOWN"),
];
const VMA: &[(u64, &str)] = &[
    (1 << 0, "VMA_AREA_REGULAR"),
    (1 << 1, "VMA_AREA_STACK"),
    (1 << 2, "VMA_AREA_VSYSCALL"),
    (1 << 3, "VMA_AREA_VDSO"),
    (1 << 5, "VMA_AREA_HEAP"),
    (1 << 6, "VMA_FILE_PRIVATE"),
    (1 << 7, "VMA_FILE_SHARED"),
    (1 << 8, "VMA_ANON_SHARED"),
    (1 << 9, "VMA_ANON_PRIVATE"),
    (1 << 10, "VMA_AREA_SYSVIPC"),
    (1 << 11, "VMA_AREA_SOCKET"),
    (1 << 12, "VMA_AREA_VVAR"),
    (1 << 13, "VMA_AREA_AIORING"),
    (1 << 14, "VMA_AREA_MEMFD"),
    (1 << 15, "VMA_AREA_SHSTK"),
    (1 << 17, "VMA_AREA_UPROBES"),
    (1 << 31, "VMA_UNSUPP"),
];
const OPEN: &[(u64, &str)] = &[
    (0o1, "O_WRONLY"),
    (0o2, "O_RDWR"),
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o10000, "O_DSYNC"),
    (0o20000, "FASYNC"),
    (0o40000, "O_DIRECT"),
    (0o100000, "O_LARGEFILE"),
    (0o200000, "O_DIRECTORY"),
    (0o400000, "O_NOFOLLOW"),
    (0o1000000, "O_NOATIME"),
    (0o2000000, "O_CLOEXEC"),
];
const SEAL: &[(u64, &str)] = &[
    (0x1, "F_SEAL_SEAL"),
    (0x2, "F_SEAL_SHRINK"),
    (0x4, "F_SEAL_GROW"),
    (0x8, "F_SEAL_WRITE"),
    (0x10, "F_SEAL_FUTURE_WRITE"),
];
const PAGEMAP: &[(u64, &str)] = &[(1, "PE_PARENT"), (2, "PE_LAZY"), (4, "PE_PRESENT")];
const TASK_STATE: &[(u64, &str)] = &[(1, "Alive"), (3, "Zombie"), (6, "Stopped")];
const SOCKET_FAMILY: &[(u64, &str)] =
    &[(1, "UNIX"), (2, "INET"), (10, "INET6"), (16, "NETLINK"), (17, "PACKET")];
const SOCKET_TYPE: &[(u64, &str)] =
    &[(1, "STREAM"), (2, "DGRAM"), (3, "RAW"), (5, "SEQPACKET"), (10, "PACKET")];
const SOCKET_STATE: &[(u64, &str)] = &[
    (1, "ESTABLISHED"),
    (2, "SYN_SENT"),
    (3, "SYN_RECV"),
    (4, "FIN_WAIT1"),
    (5, "FIN_WAIT2"),
    (6, "TIME_WAIT"),
    (7, "CLOSE"),
    (8, "CLOSE_WAIT"),
    (9, "LAST_ACK"),
    (10, "LISTEN"),
];
const SOCKET_PROTO: &[(u64, &str)] = &[(0, "IP"), (6, "TCP"), (17, "UDP"), (136, "UDPLITE")];

/// RFC 2045 as Python's `quopri` writes it: lines of at most 75 characters before the `=` that continues them.
fn quoted_printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let is_last = at + 1 == bytes.len();
        let next = bytes.get(at + 1);
        let is_lone_dot = *byte == b'.' && column == 0 && matches!(next, None | Some(b'\n' | b'\r' | 0));
        let is_quoted = match *byte {
            b'\n' | b'\r' => false,
            b'=' | 127.. => true,
            b' ' | b'\t' => is_last,
            control @ ..32 => control != b'\n',
            _ => is_lone_dot,
        };
        let width = if is_quoted { 3 } else { 1 };
        if column + width >= 76 && (is_quoted || (!is_last && next != Some(&b'\n'))) {
            text.push_str("=\n");
            column = 0;
        }
        if is_quoted {
            text.push_str(&format!("={byte:02X}"));
        } else {
            text.push((*byte).into());
        }
        column = if *byte == b'\n' { 0 } else { column + width };
    }
    text
}

/// JSON as Python's `json.dump(indent=4)` lays it out.
struct Json<'a> {
    out: &'a mut dyn Write,
    level: usize,
    /// Whether nothing is in the innermost object or list yet.
    is_empty: bool,
}

impl std::fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Json").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Json<'_> {
    fn open(&mut self, bracket: char) -> io::Result<()> {
        self.level += 1;
        self.is_empty = true;
        write!(self.out, "{bracket}")
    }

    fn close(&mut self, bracket: char) -> io::Result<()> {
        self.level -= 1;
        if !self.is_empty {
            self.line()?;
        }
        self.is_empty = false;
        write!(self.out, "{bracket}")
    }

    fn line(&mut self) -> io::Result<()> {
        write!(self.out, "\n{:width$}", "", width = 4 * self.level)
    }

    /// Begins an element of a list.
    fn item(&mut self) -> io::Result<()> {
        if !self.is_empty {
            write!(self.out, ",")?;
        }
        self.is_empty = false;
        self.line()
    }

    /// Begins a member of an object.
    fn key(&mut self, name: &str) -> io::Result<()> {
        self.item()?;
        self.text(name)?;
        write!(self.out, ": ")
    }

    fn plain(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "{text}")
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "\"")?;
        self.escaped(text)?;
        write!(self.out, "\"")
    }

    /// In ASCII, as Python does.
    fn escaped(&mut self, text: &str) -> io::Result<()> {
        let mut units = [0; 2];
        for character in text.chars() {
            match character {
                '"' => write!(self.out, "\\\"")?,
                '\\' => write!(self.out, "\\\\")?,
                '\n' => write!(self.out, "\\n")?,
                '\r' => write!(self.out, "\\r")?,
                '\t' => write!(self.out, "\\t")?,
                '\u{8}' => write!(self.out, "\\b")?,
                '\u{c}' => write!(self.out, "\\f")?,
                ' '..='\u{7f}' => write!(self.out, "{character}")?,
                _ => {
                    for unit in character.encode_utf16(&mut units) {
                        write!(self.out, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_python_does() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"a"), "YQ==\n");
        assert_eq!(base64(&[0; 58]), format!("{}\nAA==\n", "A".repeat(76)));
        assert_eq!(quoted_printable(b"\0/run/x=y \t"), "=00/run/x=3Dy =09");
        assert_eq!(quoted_printable(&[b'a'; 80]), format!("{}=\n{}", "a".repeat(75), "a".repeat(5)));
        assert_eq!(quoted_printable(&[b'a'; 76]), "a".repeat(76));
    }

    #[test]
    fn numbers_are_written_as_crit_does() {
        assert_eq!(flags(0x8000_0102, VMA), "VMA_AREA_STACK | VMA_ANON_SHARED | VMA_UNSUPP");
        assert_eq!(flags(0x18, PROT), "0x18");
        assert_eq!(flags(0, PROT), "");
        assert_eq!(address(&[0x0100_007f]).as_deref(), Some("127.0.0.1"));
        assert_eq!(address(&[0, 0, 0, 0x0100_0000]).as_deref(), Some("::1"));
        assert_eq!(address(&[1, 2]), None);
        assert_eq!(decoded(Kind::Sint32, 1), -1);
        assert_eq!(decoded(Kind::Int32, u64::MAX), -1);
    }
}
