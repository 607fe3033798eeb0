//! CRIU's image files and floe's own beside them: bytes in, messages out, and back.
//!
//! Not here: what the messages mean, which of them belong together, and whether they may be believed. No path or name in
//! an image is ever looked up. docs/images.md has the files and what is read and written of them.
#![forbid(unsafe_code)]

mod directory;
mod directory_writer;
mod error;
pub mod format;
mod generated;
mod manifest;
mod reader;
pub mod schema;
pub mod show;
mod wire;
mod writer;

pub use directory::{Directory, INVENTORY, ImageFile, STATE, open_parent};
pub use directory_writer::{DirectoryWriter, Output, Pages};
pub use error::{Error, Kind, Result};
pub use generated::messages;
pub use manifest::{Digest, MANIFEST};
pub use reader::{Entry, Reader, Source, is_image};
pub use writer::Writer;
