//! Writes an image: the magics, then entries.

use crate::format::{self, Frame, Type};
use crate::schema::Schema;
use crate::wire;
use std::io::{self, Write};

/// An image that is being written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    image: &'static Type,
}

impl<W: Write> Writer<W> {
    pub fn new(mut out: W, image: &'static Type) -> io::Result<Writer<W>> {
        match image.frame {
            Frame::Common => out.write_all(&format::COMMON.to_le_bytes())?,
            Frame::Service => out.write_all(&format::SERVICE.to_le_bytes())?,
            Frame::Bare => {}
        }
        out.write_all(&image.magic.to_le_bytes())?;
        Ok(Writer { out, image })
    }

    /// Writes `message`; what its payload must be, `Payload` says.
    pub fn entry<M: Schema>(&mut self, message: &M) -> io::Result<()> {
        let is_of_type = self.image.messages.iter().any(|known| std::ptr::eq(*known, M::SCHEMA));
        assert!(
            is_of_type || std::ptr::eq(format::INNER, M::SCHEMA),
            "{} in {}",
            M::SCHEMA.name,
            self.image.name
        );
        let bytes = message.encode_to_vec();
        debug_assert_eq!(wire::check(M::SCHEMA, &bytes), Ok(()));
        let size = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&bytes)
    }

    /// Writes the payload of the last entry, padding included.
    pub fn payload(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Writes what is buffered and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
