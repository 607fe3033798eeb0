//! A batch: system calls that a task makes one after the other without us, and the mailbox through which it gets them.
//!
//! ```text
//! mailbox (128 bytes, one for each thread)          operation (64 bytes)
//!   0 u32 number of the batch that is wanted          0 u32 kind    4 u32 number of the call
//!   4 u32 number of the batch that is done            8 u64 × 6 arguments
//!   8 u64 address of its first operation             56 i64 result
//!  16 u64 where to go when the supervisor is gone
//!  24 u64 address of the word that tells              kinds: 0 end, 1 call, 2 copy 8 bytes, 3 copy 4 bytes,
//!  32 two futex_waitv: that word, and the first       4 call that may fail, 5 clone
//!  80 u32 1 when it has gone there
//! ```
//!
//! An argument may be the result of an earlier call: it is copied into its place between the two. A call that fails ends
//! the batch, unless it was added as one that may.

use crate::error::{Error, Result};
use sys::Errno;

pub(crate) const MAILBOX: usize = 128;
pub(crate) const HOME: usize = 80;
const OPERATION: usize = 64;
const RESULT: usize = 56;

const CALL: u32 = 1;
const COPY_8: u32 = 2;
const COPY_4: u32 = 3;
const CALL_MAY_FAIL: u32 = 4;
const CLONE: u32 = 5;

/// What a result is before its call was made.
const NOT_MADE: i64 = i64::MIN;

/// Calls to make, and memory of the batch for what they point to.
#[derive(Debug, Default)]
pub struct Batch {
    operations: Vec<Operation>,
    data: Vec<u8>,
    /// Places that hold the address of others.
    pointers: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Operation {
    kind: u32,
    number: u32,
    arguments: [Value; 6],
    /// For errors.
    name: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Number(u64),
    /// Address of a byte of `data`.
    Data(usize),
    /// Address of an operation's result, or of an argument of it.
    Result(usize),
    Argument(usize, usize),
}

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    Value(u64),
    /// The address of memory of the batch.
    At(Place),
    /// What an earlier call will have returned.
    Of(Call),
}

/// Memory of the batch: bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub(crate) usize);

/// A call of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call(usize);

macro_rules! arguments {
    ($($number:ty)*) => {
        $(impl From<$number> for Arg {
            fn from(value: $number) -> Arg {
                Arg::Value(value as u64)
            }
        })*
    };
}
arguments!(i32 u32 i64 u64 usize);

impl From<Place> for Arg {
    fn from(place: Place) -> Arg {
        Arg::At(place)
    }
}

impl From<Call> for Arg {
    fn from(call: Call) -> Arg {
        Arg::Of(call)
    }
}

impl Place {
    /// `bytes` further on.
    pub fn plus(self, bytes: usize) -> Place {
        Place(self.0 + bytes)
    }
}

impl Batch {
    pub fn new() -> Batch {
        Batch::default()
    }

    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Memory with a copy of `bytes`, aligned for any structure.
    pub fn bytes(&mut self, bytes: &[u8]) -> Place {
        let at = self.data.len().next_multiple_of(16);
        self.data.resize(at, 0);
        self.data.extend_from_slice(bytes);
        Place(at)
    }

    /// Memory of `len` zeros.
    pub fn space(&mut self, len: usize) -> Place {
        let at = self.data.len().next_multiple_of(16);
        self.data.resize(at + len, 0);
        Place(at)
    }

    /// Memory with these numbers one after the other.
    pub fn words(&mut self, words: &[u64]) -> Place {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    /// Memory with a string and its NUL.
    pub fn string(&mut self, text: &[u8]) -> Place {
        let place = self.bytes(text);
        self.data.push(0);
        place
    }

    /// A call that must not fail: when it does, nothing after it is done. `name` is for errors.
    pub fn call(&mut self, name: &'static str, number: libc::c_long, arguments: &[Arg]) -> Call {
        self.add(CALL, name, number, arguments)
    }

    /// A call whose failure is an answer.
    pub fn call_may_fail(&mut self, name: &'static str, number: libc::c_long, arguments: &[Arg]) -> Call {
        self.add(CALL_MAY_FAIL, name, number, arguments)
    }

    /// clone3(2), whose child waits for batches at `mailbox`, an address.
    pub fn clone3(&mut self, arguments: Place, size: usize, mailbox: u64) -> Call {
        let zero = Arg::Value(0);
        let arguments = [arguments.into(), size.into(), zero, zero, zero, Arg::Value(mailbox)];
        self.add(CLONE, "clone3", libc::SYS_clone3, &arguments)
    }

    /// Copies the result of an earlier call into memory of the batch, as a number of 8 bytes.
    pub fn store(&mut self, result: Call, place: Place) {
        self.copy(COPY_8, Value::Result(result.0), Value::Data(place.0));
    }

    /// The same as a number of 4 bytes.
    pub fn store_u32(&mut self, result: Call, place: Place) {
        self.copy(COPY_4, Value::Result(result.0), Value::Data(place.0));
    }

    /// Copies four bytes of memory of the batch, which an earlier call has written.
    pub fn copy_u32(&mut self, from: Place, to: Place) {
        self.copy(COPY_4, Value::Data(from.0), Value::Data(to.0));
    }

    /// Makes memory of the batch point to other memory of it.
    pub fn point(&mut self, pointer: Place, to: Place) {
        self.pointers.push((pointer.0, to.0));
    }

    /// Writes a number of 8 bytes into memory of the batch.
    pub fn set(&mut self, place: Place, number: u64) {
        self.data[place.0..place.0 + 8].copy_from_slice(&number.to_le_bytes());
    }

    fn copy(&mut self, kind: u32, from: Value, to: Value) {
        let zero = Value::Number(0);
        self.operations.push(Operation {
            kind,
            number: 0,
            arguments: [from, to, zero, zero, zero, zero],
            name: "copy",
        });
    }

    fn add(&mut self, kind: u32, name: &'static str, number: libc::c_long, arguments: &[Arg]) -> Call {
        // Results are copied by operations in front of the call.
        let results = arguments.iter().filter(|arg| matches!(arg, Arg::Of(_))).count();
        let call = self.operations.len() + results;
        let mut values = [Value::Number(0); 6];
        for (nth, argument) in arguments.iter().enumerate() {
            match *argument {
                Arg::Value(number) => values[nth] = Value::Number(number),
                Arg::At(place) => values[nth] = Value::Data(place.0),
                Arg::Of(earlier) => self.copy(COPY_8, Value::Result(earlier.0), Value::Argument(call, nth)),
            }
        }
        self.operations.push(Operation { kind, number: number as u32, arguments: values, name });
        Call(call)
    }

    /// Bytes that the batch takes.
    pub(crate) fn size(&self) -> usize {
        self.data_at() + self.data.len()
    }

    pub(crate) fn data_at(&self) -> usize {
        (self.operations.len() + 1) * OPERATION
    }

    /// The batch as it lies at `base`, an address of the task.
    pub(crate) fn encode(&self, base: u64) -> Vec<u8> {
        let data = base + self.data_at() as u64;
        let operation = |nth: usize| base + (nth * OPERATION) as u64;
        let mut bytes = Vec::with_capacity(self.size());
        for each in &self.operations {
            bytes.extend_from_slice(&each.kind.to_le_bytes());
            bytes.extend_from_slice(&each.number.to_le_bytes());
            for value in &each.arguments {
                let word = match *value {
                    Value::Number(number) => number,
                    Value::Data(at) => data + at as u64,
                    Value::Result(nth) => operation(nth) + RESULT as u64,
                    Value::Argument(nth, argument) => operation(nth) + 8 + 8 * argument as u64,
                };
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes.extend_from_slice(&NOT_MADE.to_le_bytes());
        }
        bytes.resize(self.data_at(), 0);
        bytes.extend_from_slice(&self.data);
        for (pointer, to) in &self.pointers {
            let at = self.data_at() + pointer;
            bytes[at..at + 8].copy_from_slice(&(data + *to as u64).to_le_bytes());
        }
        bytes
    }

    /// What has become of the batch; `bytes` as they lie in the task's memory now.
    pub(crate) fn outcome(&self, task: i32, bytes: Vec<u8>) -> Result<Outcome> {
        let outcome = Outcome { data_at: self.data_at(), bytes };
        for (nth, each) in self.operations.iter().enumerate() {
            let result = outcome.raw(nth);
            if [CALL, CLONE].contains(&each.kind) && (-4095..0).contains(&result) {
                return Err(Error::of_kernel(
                    format!("task {task}: {}", each.name),
                    Errno::from_raw(-result as i32),
                ));
            }
            if [CALL, CALL_MAY_FAIL, CLONE].contains(&each.kind) && result == NOT_MADE {
                return Err(Error::new(format!("task {task}: {}: the batch ended before it", each.name)));
            }
        }
        Ok(outcome)
    }
}

/// Results of a batch that was done to its end.
#[derive(Debug)]
pub struct Outcome {
    data_at: usize,
    bytes: Vec<u8>,
}

impl Outcome {
    fn raw(&self, nth: usize) -> i64 {
        let at = nth * OPERATION + RESULT;
        i64::from_le_bytes(self.bytes[at..at + 8].try_into().expect("eight bytes"))
    }

    /// What a call has returned; its errno if that is an error.
    pub fn result(&self, call: Call) -> sys::Result<u64> {
        match self.raw(call.0) {
            error @ -4095..0 => Err(Errno::from_raw(-error as i32)),
            value => Ok(value as u64),
        }
    }

    /// Memory of the batch as the calls have left it.
    pub fn bytes(&self, place: Place, len: usize) -> &[u8] {
        &self.bytes[self.data_at + place.0..][..len]
    }

    pub fn u64(&self, place: Place) -> u64 {
        u64::from_le_bytes(self.bytes(place, 8).try_into().expect("eight bytes"))
    }

    pub fn u32(&self, place: Place) -> u32 {
        u32::from_le_bytes(self.bytes(place, 4).try_into().expect("four bytes"))
    }
}
