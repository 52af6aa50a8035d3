//! The SHA-256 of a file, as manifests and statuses name it.
//!
//! Called by servers of files.

use sha2::{Digest as _, Sha256};

/// Returns the digest in hexadecimal digits, in lower case.
pub(crate) fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
