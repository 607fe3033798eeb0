//! CRIU's image files and floe's own beside them: bytes in, messages out, and back.
//!
//! Not here: what the messages mean, which of them belong together, and whether they may be believed. No path or name in
//! an image is ever looked up. docs/images.md has the files and what is read and written of them.
#![forbid(unsafe_code)]

mod compression;
mod digest;
mod directory;
mod directory_writer;
mod error;
pub mod format;
mod generated;
mod holes;
mod manifest;
pub mod page_server;
mod pages;
mod reader;
pub mod schema;
pub mod show;
mod stream;
mod wire;
mod writer;

pub use digest::{Digest, PIECE};
pub use directory::{Directory, INVENTORY, ImageFile, STATE, open_parent};
pub use directory_writer::{DirectoryWriter, Output};
pub use error::{Error, Kind, Result};
pub use generated::messages;
pub use manifest::MANIFEST;
pub use pages::{PagesReader, PagesWriter};
pub use reader::{Entry, Reader, Source, is_image};
#[cfg(fuzzing)]
pub use stream::fuzz as fuzz_stream;
pub use stream::{StreamReader, write_compressed_stream, write_stream};
pub use writer::Writer;
