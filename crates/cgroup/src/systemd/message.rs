//! D-Bus messages as bytes (D-Bus specification, "Marshaling" and "Message Protocol"): of what is sent the few kinds of
//! calls that the driver makes, of what comes back the header and strings. Pure; `bus` sends and receives.
//!
//! ```text
//! fixed header: byte order 'l', type, flags, version 1, body length u32, serial u32
//! fields:       array of (code byte, variant), then padding to 8
//! body:         values one after the other, each aligned to its size, structures and dictionaries to 8
//! ```

/// A value, with the type that it has on the bus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Byte(u8),
    Bool(bool),
    Int16(i16),
    Uint16(u16),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    String(String),
    ObjectPath(String),
    Signature(String),
    /// The elements' type and the elements, which all have it.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

impl Value {
    pub(crate) fn string(text: impl Into<String>) -> Value {
        Value::String(text.into())
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Value {
        Value::Array("y".into(), bytes.iter().map(|byte| Value::Byte(*byte)).collect())
    }

    /// The type as a signature: `u`, `as`, `(sv)`.
    pub(crate) fn signature(&self) -> String {
        let basic = match self {
            Value::Byte(_) => "y",
            Value::Bool(_) => "b",
            Value::Int16(_) => "n",
            Value::Uint16(_) => "q",
            Value::Int32(_) => "i",
            Value::Uint32(_) => "u",
            Value::Int64(_) => "x",
            Value::Uint64(_) => "t",
            Value::Double(_) => "d",
            Value::String(_) => "s",
            Value::ObjectPath(_) => "o",
            Value::Signature(_) => "g",
            Value::Variant(_) => "v",
            Value::Array(element, _) => return format!("a{element}"),
            Value::Struct(fields) => {
                return format!("({})", fields.iter().map(Value::signature).collect::<String>());
            }
        };
        basic.to_owned()
    }
}

/// The call of a method.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The name on the bus that it goes to; none without a bus between.
    pub(crate) destination: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) method: &'a str,
    pub(crate) arguments: &'a [Value],
}

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

impl Call<'_> {
    /// `serial` is not 0 and is that of no other message of the connection.
    pub(crate) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        for argument in self.arguments {
            body.value(argument);
        }
        let mut fields = vec![
            (PATH, Value::ObjectPath(self.path.into())),
            (INTERFACE, Value::string(self.interface)),
            (MEMBER, Value::string(self.method)),
        ];
        if let Some(destination) = self.destination {
            fields.push((DESTINATION, Value::string(destination)));
        }
        if !self.arguments.is_empty() {
            let signature = self.arguments.iter().map(Value::signature).collect();
            fields.push((SIGNATURE, Value::Signature(signature)));
        }
        let field = |(code, value)| Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))]);
        let mut message = Writer { bytes: vec![b'l', METHOD_CALL, 0, 1] };
        message.u32(body.bytes.len() as u32);
        message.u32(serial);
        message.value(&Value::Array("(yv)".into(), fields.into_iter().map(field).collect()));
        message.align(8);
        message.bytes.extend(body.bytes);
        message.bytes
    }
}

#[derive(Debug, Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, size: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(size), 0);
    }

    fn number(&mut self, bytes: &[u8]) {
        self.align(bytes.len());
        self.bytes.extend(bytes);
    }

    fn u32(&mut self, number: u32) {
        self.number(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.bytes.extend(text.bytes().chain([0]));
    }

    fn signature(&mut self, signature: &str) {
        self.bytes.push(signature.len() as u8);
        self.bytes.extend(signature.bytes().chain([0]));
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Byte(number) => self.bytes.push(*number),
            Value::Bool(truth) => self.u32(u32::from(*truth)),
            Value::Int16(number) => self.number(&number.to_le_bytes()),
            Value::Uint16(number) => self.number(&number.to_le_bytes()),
            Value::Int32(number) => self.number(&number.to_le_bytes()),
            Value::Uint32(number) => self.number(&number.to_le_bytes()),
            Value::Int64(number) => self.number(&number.to_le_bytes()),
            Value::Uint64(number) => self.number(&number.to_le_bytes()),
            Value::Double(number) => self.number(&number.to_le_bytes()),
            Value::String(text) | Value::ObjectPath(text) => self.text(text),
            Value::Signature(signature) => self.signature(signature),
            Value::Array(element, values) => {
                self.u32(0);
                let length_at = self.bytes.len() - 4;
                // The padding before the first element does not count, and is there without one, too.
                self.align(alignment(element));
                let start = self.bytes.len();
                for value in values {
                    self.value(value);
                }
                let length = (self.bytes.len() - start) as u32;
                self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
            }
            Value::Struct(fields) => {
                self.align(8);
                for field in fields {
                    self.value(field);
                }
            }
            Value::Variant(value) => {
                self.signature(&value.signature());
                self.value(value);
            }
        }
    }
}

fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'y' | b'g' | b'v') => 1,
        Some(b'n' | b'q') => 2,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 4,
    }
}

/// A message that has come, with what of it the driver looks at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Its arguments as far as they are strings, object paths and numbers of 32 bits; strings in variants, too.
    Return {
        reply_to: u32,
        arguments: Vec<String>,
    },
    Error {
        reply_to: u32,
        name: String,
        text: String,
    },
    Signal {
        member: String,
        arguments: Vec<String>,
    },
    /// A call, which is for others to answer.
    Call,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Far above what systemd says to a client.
const MAX_MESSAGE: usize = 16 << 20;

/// The length of the message that begins the bytes, once enough of them are there to know.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(header) = bytes.first_chunk::<16>() else { return Ok(None) };
    // The byte order is the sender's, which runs on this machine.
    if header[0] != b'l' || header[3] != 1 {
        return Err(Malformed);
    }
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (body, fields) = (number(4) as usize, number(12) as usize);
    if body > MAX_MESSAGE || fields > MAX_MESSAGE {
        return Err(Malformed);
    }
    Ok(Some((16 + fields).next_multiple_of(8) + body))
}

/// One whole message, of the length that `length` has said.
pub(crate) fn decode(message: &[u8]) -> Result<Incoming, Malformed> {
    let mut reader = Reader { bytes: message, at: 1 };
    let kind = reader.byte()?;
    reader.at = 12;
    let fields_end = reader.u32()? as usize + reader.at;
    let (mut reply_to, mut name, mut member, mut signature) =
        (0, String::new(), String::new(), String::new());
    while reader.at < fields_end {
        reader.align(8)?;
        let code = reader.byte()?;
        let field_type = reader.signature()?;
        match (code, field_type.as_str()) {
            (REPLY_SERIAL, "u") => reply_to = reader.u32()?,
            (ERROR_NAME, "s") => name = reader.text()?,
            (MEMBER, "s") => member = reader.text()?,
            (SIGNATURE, "g") => signature = reader.signature()?,
            (_, "u") => drop(reader.u32()?),
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            _ => return Err(Malformed),
        }
    }
    reader.align(8)?;
    // Positions in the body count from its start.
    let mut body = Reader { bytes: message.get(reader.at..).ok_or(Malformed)?, at: 0 };
    let arguments = body.arguments(&signature)?;
    Ok(match kind {
        METHOD_CALL => Incoming::Call,
        METHOD_RETURN => Incoming::Return { reply_to, arguments },
        ERROR => Incoming::Error { reply_to, name, text: arguments.into_iter().next().unwrap_or_default() },
        SIGNAL => Incoming::Signal { member, arguments },
        _ => return Err(Malformed),
    })
}

#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, size: usize) -> Result<(), Malformed> {
        self.at = self.at.next_multiple_of(size);
        if self.at <= self.bytes.len() { Ok(()) } else { Err(Malformed) }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.align(4)?;
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Malformed)?))
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let count = self.u32()? as usize;
        self.terminated(count)
    }

    fn signature(&mut self) -> Result<String, Malformed> {
        let count = self.byte()?.into();
        self.terminated(count)
    }

    fn terminated(&mut self, count: usize) -> Result<String, Malformed> {
        let text = String::from_utf8(self.take(count)?.to_vec()).map_err(|_| Malformed)?;
        if self.byte()? == 0 { Ok(text) } else { Err(Malformed) }
    }

    /// Up to the first argument of another type.
    fn arguments(&mut self, signature: &str) -> Result<Vec<String>, Malformed> {
        let mut arguments = Vec::new();
        for code in signature.bytes() {
            match code {
                b's' | b'o' => arguments.push(self.text()?),
                b'u' => arguments.push(self.u32()?.to_string()),
                b'v' if self.signature()? == "s" => arguments.push(self.text()?),
                _ => break,
            }
        }
        Ok(arguments)
    }
}

/// No bytes are too strange, and none make the reader look beyond them.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(Some(length)) = length(bytes)
        && let Some(message) = bytes.get(..length)
    {
        let _ = decode(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as a bus gives it; `fields` and `body` are marshalled by the writer that is under test for calls.
    fn incoming(kind: u8, fields: &[(u8, Value)], body: &[Value]) -> Vec<u8> {
        let mut arguments = Writer::default();
        body.iter().for_each(|value| arguments.value(value));
        let mut all = fields.to_vec();
        all.push((SIGNATURE, Value::Signature(body.iter().map(Value::signature).collect())));
        let field = |(code, value)| Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))]);
        let mut message = Writer { bytes: vec![b'l', kind, 1, 1] };
        message.u32(arguments.bytes.len() as u32);
        message.u32(7);
        message.value(&Value::Array("(yv)".into(), all.into_iter().map(field).collect()));
        message.align(8);
        message.bytes.extend(arguments.bytes);
        message.bytes
    }

    #[test]
    fn a_call_is_what_the_specification_says() {
        let call = Call {
            destination: None,
            path: "/a",
            interface: "b.c",
            method: "D",
            arguments: &[
                Value::Byte(9),
                Value::Array(
                    "(sv)".into(),
                    vec![Value::Struct(vec![Value::string("x"), Value::Variant(Box::new(Value::Uint64(5)))])],
                ),
                Value::Array("t".into(), Vec::new()),
            ],
        };
        let expected = [
            &b"l\x01\0\x01\x28\0\0\0\x03\0\0\0\x3e\0\0\0"[..],
            b"\x01\x01o\0\x02\0\0\0/a\0\0\0\0\0\0",
            b"\x02\x01s\0\x03\0\0\0b.c\0\0\0\0\0",
            b"\x03\x01s\0\x01\0\0\0D\0\0\0\0\0\0\0",
            b"\x08\x01g\0\x08ya(sv)at\0\0\0",
            b"\x09\0\0\0\x18\0\0\0",
            b"\x01\0\0\0x\0\x01t\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0",
            // An empty array is padded for its elements, too.
            b"\0\0\0\0\0\0\0\0",
        ];
        let encoded = call.encode(3);
        assert_eq!(encoded, expected.concat());
        assert_eq!(length(&encoded), Ok(Some(encoded.len())));
        assert_eq!(decode(&encoded), Ok(Incoming::Call));
    }

    #[test]
    fn answers_are_read() {
        let job = Value::ObjectPath("/org/freedesktop/systemd1/job/7".into());
        let reply = incoming(METHOD_RETURN, &[(REPLY_SERIAL, Value::Uint32(3))], &[job]);
        let arguments = vec!["/org/freedesktop/systemd1/job/7".to_owned()];
        assert_eq!(decode(&reply), Ok(Incoming::Return { reply_to: 3, arguments }));

        let path = Value::Variant(Box::new(Value::string("/user.slice")));
        let reply = incoming(METHOD_RETURN, &[(REPLY_SERIAL, Value::Uint32(4))], &[path]);
        let arguments = vec!["/user.slice".to_owned()];
        assert_eq!(decode(&reply), Ok(Incoming::Return { reply_to: 4, arguments }));

        let fields = [(ERROR_NAME, Value::string("a.B")), (REPLY_SERIAL, Value::Uint32(5))];
        let reply = incoming(ERROR, &fields, &[Value::string("no")]);
        assert_eq!(
            decode(&reply),
            Ok(Incoming::Error { reply_to: 5, name: "a.B".into(), text: "no".into() })
        );

        let body = [Value::Uint32(8), Value::string("a.scope"), Value::Bool(true)];
        let signal = incoming(SIGNAL, &[(MEMBER, Value::string("M"))], &body);
        let arguments = vec!["8".to_owned(), "a.scope".to_owned()];
        assert_eq!(decode(&signal), Ok(Incoming::Signal { member: "M".into(), arguments }));
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let fields = [(ERROR_NAME, Value::string("a.B")), (REPLY_SERIAL, Value::Uint32(5))];
        let reply = incoming(ERROR, &fields, &[Value::string("no")]);
        for end in 0..reply.len() {
            assert_eq!(decode(&reply[..end]), Err(Malformed), "{end}");
        }
        for at in 0..reply.len() {
            let mut changed = reply.clone();
            changed[at] ^= 0xff;
            let _ = (length(&changed), decode(&changed));
        }
        assert_eq!(length(b"B\x01\x00\x01____________"), Err(Malformed));
        assert_eq!(length(b"l\x01\x00\x01\xff\xff\xff\xff________"), Err(Malformed));
        assert_eq!(length(b"l\x01\x00\x01\x00"), Ok(None));
    }
}
