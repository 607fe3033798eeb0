//! What is known of a message beside its Rust type: the names of its fields, which of them must be there, how each is
//! printed. The table itself is generated.

/// A message's fields, by ascending number.
#[derive(Debug)]
pub struct Message {
    /// As in the .proto file and in CRIU.
    pub name: &'static str,
    pub fields: &'static [Field],
}

#[derive(Debug)]
pub struct Field {
    pub number: u32,
    pub name: &'static str,
    pub label: Label,
    pub kind: Kind,
    pub show: Show,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Required,
    Optional,
    Repeated,
}

/// The type of a field's value. Those that the format does not use are not here.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed64,
    Bytes,
    Named(&'static Enum),
    Nested(&'static Message),
}

/// Names of an enumeration's values.
#[derive(Debug)]
pub struct Enum(pub &'static [(i32, &'static str)]);

/// How a value is printed, `proto/show.proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    Plain,
    Hex,
    Ip,
    Dev,
    Odev,
    Text,
    QuotedPrintable,
    TaskState,
    SocketFamily,
    SocketType,
    SocketState,
    SocketProto,
    Prot,
    Map,
    Vma,
    Open,
    Seal,
    Pagemap,
}

/// Ties a Rust type to its row in the table.
pub trait Schema: prost::Message + Default {
    const SCHEMA: &'static Message;
}
