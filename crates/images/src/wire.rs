//! Protobuf's encoding, as far as it must be understood to say where a message is damaged and to print it without its
//! Rust type. prost reads the messages themselves, after `check` has passed them.
//!
//! Bytes come from a stranger: nothing is allocated for them, and nesting ends at `DEPTH`.

use crate::schema::{Field, Kind, Label, Message};

/// Deeper than any cgroup tree of CRIU's, and less than prost's own limit of 100.
const DEPTH: usize = 64;

/// One field of a message as it is encoded. Numbers of all widths are in `Number`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// What is wrong, and the byte of the message at which it shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) why: String,
}

/// A field with its place: `at` is the byte of its tag, `body` that of its value.
pub(crate) struct Found<'a> {
    pub(crate) number: u32,
    pub(crate) wire_type: u8,
    pub(crate) value: Value<'a>,
    pub(crate) at: usize,
    body: usize,
}

/// The fields of a message, one after the other.
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED_32: u8 = 5;

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, at: 0 }
    }

    fn fault(&self, why: &str) -> Fault {
        Fault { at: self.at, why: why.to_owned() }
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for index in 0..10 {
            let Some(byte) = self.bytes.get(self.at + index) else { return Err(self.fault("cut off")) };
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                // The tenth byte has one bit that counts.
                if index == 9 && *byte > 1 {
                    return Err(self.fault("a number of more than 64 bits"));
                }
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(self.fault("a number of more than ten bytes"))
    }

    fn slice(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let length = usize::try_from(length).ok().filter(|length| *length <= rest.len());
        let Some(length) = length else { return Err(self.fault("cut off")) };
        self.at += length;
        Ok(&rest[..length])
    }

    fn read(&mut self) -> Result<Found<'a>, Fault> {
        let at = self.at;
        let tag = self.varint()?;
        let wire_type = (tag & 7) as u8;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let Some(number) = number else { return Err(Fault { at, why: "no field's number".to_owned() }) };
        let mut body = self.at;
        let little_endian =
            |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let value = match wire_type {
            VARINT => Value::Number(self.varint()?),
            FIXED_64 => Value::Number(little_endian(self.slice(8)?)),
            FIXED_32 => Value::Number(little_endian(self.slice(4)?)),
            LENGTH => {
                let length = self.varint()?;
                body = self.at;
                Value::Bytes(self.slice(length)?)
            }
            _ => {
                return Err(Fault {
                    at,
                    why: format!("field {number} has the unknown encoding {wire_type}"),
                });
            }
        };
        Ok(Found { number, wire_type, value, at, body })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Found<'a>, Fault>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let found = self.read();
        if found.is_err() {
            self.at = self.bytes.len();
        }
        Some(found)
    }
}

/// Whether `bytes` are a `message`: well-formed to the last byte, with all required fields and none of the single ones
/// twice, as no writer of images does. Fields that the table does not have are another version's and pass.
pub(crate) fn check(message: &'static Message, bytes: &[u8]) -> Result<(), Fault> {
    check_nested(message, bytes, 0)
}

fn check_nested(message: &'static Message, bytes: &[u8], depth: usize) -> Result<(), Fault> {
    if depth > DEPTH {
        return Err(Fault { at: 0, why: format!("{}: nested more than {DEPTH} deep", message.name) });
    }
    // A bit per field of the table.
    let mut seen = 0_u64;
    for found in Fields::new(bytes) {
        let found =
            found.map_err(|fault| Fault { why: format!("{}: {}", message.name, fault.why), ..fault })?;
        let Some(index) = message.fields.iter().position(|field| field.number == found.number) else {
            continue;
        };
        let field = &message.fields[index];
        let here = |why: &str| Fault { at: found.at, why: format!("{}.{}: {why}", message.name, field.name) };
        if seen & 1 << index != 0 && field.label != Label::Repeated {
            return Err(here("there twice"));
        }
        seen |= 1 << index;
        match (found.value, field.kind) {
            (Value::Bytes(bytes), Kind::Nested(nested)) => {
                check_nested(nested, bytes, depth + 1).map_err(|fault| {
                    // The path is one of fields: only the outermost message is named by its type.
                    let rest = &fault.why[nested.name.len()..];
                    Fault { at: found.body + fault.at, why: format!("{}.{}{rest}", message.name, field.name) }
                })?;
            }
            (Value::Bytes(_), Kind::Bytes) => {}
            // Numbers of a list may be packed.
            (Value::Bytes(bytes), _) if field.label == Label::Repeated => {
                for number in Packed::new(field, bytes) {
                    number.map_err(|fault| Fault { at: found.body + fault.at, ..here(&fault.why) })?;
                }
            }
            _ if found.wire_type == wire_type(field) => {}
            _ => return Err(here("not of its type")),
        }
    }
    let is_missing =
        |(index, field): &(usize, &Field)| field.label == Label::Required && seen & 1 << index == 0;
    match message.fields.iter().enumerate().find(is_missing) {
        Some((_, field)) => {
            Err(Fault { at: bytes.len(), why: format!("{}.{}: missing", message.name, field.name) })
        }
        None => Ok(()),
    }
}

fn wire_type(field: &Field) -> u8 {
    match field.kind {
        Kind::Bytes | Kind::Nested(_) => LENGTH,
        Kind::Fixed64 => FIXED_64,
        _ => VARINT,
    }
}

/// The numbers of a list that is one field.
pub(crate) struct Packed<'a> {
    rest: Fields<'a>,
    wire_type: u8,
}

impl<'a> Packed<'a> {
    pub(crate) fn new(field: &Field, bytes: &'a [u8]) -> Packed<'a> {
        Packed { rest: Fields::new(bytes), wire_type: wire_type(field) }
    }
}

impl Iterator for Packed<'_> {
    type Item = Result<u64, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.at >= self.rest.bytes.len() {
            return None;
        }
        let number = match self.wire_type {
            FIXED_64 => {
                self.rest.slice(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
            }
            _ => self.rest.varint(),
        };
        if number.is_err() {
            self.rest.at = self.rest.bytes.len();
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{AaNamespace, CgroupDirEntry, PstreeEntry};
    use crate::schema::Schema;
    use prost::Message as _;

    fn check_fault<M: Schema>(bytes: &[u8], at: usize, why: &str) {
        assert_eq!(check(M::SCHEMA, bytes), Err(Fault { at, why: why.to_owned() }));
    }

    #[test]
    fn the_place_and_the_field_are_named() {
        let whole =
            PstreeEntry { pid: 300, ppid: 1, pgid: 300, sid: 300, threads: vec![300] }.encode_to_vec();
        assert_eq!(check(PstreeEntry::SCHEMA, &whole), Ok(()));
        check_fault::<PstreeEntry>(&whole[..2], 1, "pstree_entry: cut off");
        check_fault::<PstreeEntry>(&whole[..3], 3, "pstree_entry.ppid: missing");
        check_fault::<PstreeEntry>(
            &[whole.as_slice(), &[8, 1]].concat(),
            whole.len(),
            "pstree_entry.pid: there twice",
        );
        check_fault::<PstreeEntry>(&[0x0a, 0], 0, "pstree_entry.pid: not of its type");
        check_fault::<PstreeEntry>(&[0x0b], 0, "pstree_entry: field 1 has the unknown encoding 3");
        check_fault::<PstreeEntry>(
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
            1,
            "pstree_entry: a number of more than 64 bits",
        );
        let names_nothing = AaNamespace::default().encode_to_vec();
        assert_eq!(names_nothing, [0x0a, 0]);
        check_fault::<AaNamespace>(
            &[0x0a, 0, 0x1a, 2, 0x12, 0],
            6,
            "aa_namespace.namespaces.policies.name: missing",
        );
    }

    #[test]
    fn what_a_newer_version_adds_passes() {
        let mut bytes = PstreeEntry::default().encode_to_vec();
        bytes.extend([0xf8, 0x07, 1, 0xfa, 0x07, 1, b'x']);
        assert_eq!(check(PstreeEntry::SCHEMA, &bytes), Ok(()));
    }

    #[test]
    fn packed_lists_are_lists() {
        let bytes = [0x08, 1, 0x10, 0, 0x18, 1, 0x20, 1, 0x2a, 3, 1, 0xac, 2];
        assert_eq!(check(PstreeEntry::SCHEMA, &bytes), Ok(()));
        assert_eq!(PstreeEntry::decode(&bytes[..]).expect("packed").threads, [1, 300]);
        check_fault::<PstreeEntry>(
            &[0x08, 1, 0x10, 0, 0x18, 1, 0x20, 1, 0x2a, 1, 0xac],
            10,
            "pstree_entry.threads: cut off",
        );
    }

    #[test]
    fn nesting_ends() {
        let mut dir = CgroupDirEntry::default();
        for _ in 0..=DEPTH {
            dir = CgroupDirEntry { children: vec![dir], ..CgroupDirEntry::default() };
        }
        let fault = check(CgroupDirEntry::SCHEMA, &dir.encode_to_vec()).expect_err("too deep");
        assert!(fault.why.ends_with("nested more than 64 deep"), "{}", fault.why);
        assert_eq!(check(CgroupDirEntry::SCHEMA, &dir.children[0].encode_to_vec()), Ok(()));
    }
}
