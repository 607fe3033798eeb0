//! What tells the content of a file from any other: XXH3 of 128 bits, as `xxh128sum` prints it.
//!
//! It protects against accidents, not against people (manifest.rs), so it may be the fastest there is: hashing is part of
//! the pause of a dump, and a cryptographic digest of all memory took a quarter of the processor's time.
//!
//! A file of more than one piece has the digest of its pieces' digests, so that they can be hashed in any order and by any
//! number of threads.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use twox_hash::XxHash3_128;

/// Bytes of all pieces of a file but the last: little enough for a processor's own cache.
pub const PIECE: u64 = 256 << 10;

/// Of bytes, or of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Digest {
        Digest(XxHash3_128::oneshot(bytes))
    }

    /// Of a file, by those of its pieces.
    pub(crate) fn of_pieces(pieces: &[Digest]) -> Digest {
        match pieces {
            [] => Digest::of(&[]),
            [only] => *only,
            _ => Digest::of(&pieces.iter().flat_map(|piece| piece.0.to_be_bytes()).collect::<Vec<u8>>()),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let digest =
            u128::from_str_radix(text, 16).ok().map(Digest).filter(|digest| digest.to_string() == text);
        digest.ok_or_else(|| de::Error::custom("no XXH3 digest of 32 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are what `xxh128sum` of Debian prints.
    #[test]
    fn as_xxh128sum() {
        assert_eq!(Digest::of(b"").to_string(), "99aa06d3014798d86001c324468d497f");
        assert_eq!(Digest::of(b"floe\n").to_string(), "91676c186e311e5dd09319ad3c8cce6a");
    }

    #[test]
    fn text_of_another_form_is_refused() {
        let text = serde_json::to_string(&Digest(10)).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), Digest(10));
        for text in [text.to_uppercase(), text.replace("\"0", "\"+"), text.replace("\"0", "\"")] {
            assert!(serde_json::from_str::<Digest>(&text).is_err(), "{text}");
        }
    }
}
