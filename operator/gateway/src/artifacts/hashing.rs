//! The digests of a file, computed while it is written or read.
//!
//! SHA-256 decides; SHA-1 and MD5 are there because clients of DDI ask for them, and protect from
//! nothing. Decides nothing else. Called by the downloads and for files of a process before.

use std::{
    fmt::Write as _,
    io::{self, Read},
};

use md5::{Digest as _, Md5};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// Bytes that are read at once.
const PIECE: usize = 128 * 1024;

/// Digests of a file in lower case hexadecimal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Digests {
    pub(crate) sha256: String,
    pub(crate) sha1: String,
    pub(crate) md5: String,
}

/// The digests of the bytes so far.
pub(crate) struct Hashing {
    sha256: Context,
    sha1: Context,
    md5: Md5,
}

impl Hashing {
    pub(crate) fn new() -> Self {
        Self {
            sha256: Context::new(&SHA256),
            sha1: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            md5: Md5::new(),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.sha1.update(bytes);
        self.md5.update(bytes);
    }

    pub(crate) fn finish(self) -> Digests {
        Digests {
            sha256: hexadecimal(self.sha256.finish().as_ref()),
            sha1: hexadecimal(self.sha1.finish().as_ref()),
            md5: hexadecimal(&self.md5.finalize()),
        }
    }
}

/// Returns the digests of everything that can be read.
pub(crate) fn digests(mut from: impl Read) -> io::Result<Digests> {
    let mut hashing = Hashing::new();
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hashing.finish()),
            length => hashing.update(&piece[..length]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// True if a text is a SHA-256 in lower case hexadecimal.
pub(crate) fn is_sha256(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows B6
    #[test]
    fn the_digests_are_those_that_others_publish() {
        let empty = digests(&b""[..]).unwrap();
        assert_eq!(
            empty.sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let abc = digests(&b"abc"[..]).unwrap();
        assert_eq!(abc.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(abc.md5, "900150983cd24fb0d6963f7d28e17f72");
        assert!(is_sha256(&empty.sha256) && !is_sha256(&abc.sha1));
        assert!(!is_sha256(&empty.sha256.to_uppercase()));
    }
}
