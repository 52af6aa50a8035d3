//! Digests of values: the same value gives the same digest on every machine and for ever.

use entente_crds::digest::Digest;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Returns the first 32 hexadecimal digits of the SHA-256 of the value's JSON.
///
/// # Panics
/// Never for values of the domain, whose maps have string keys only.
pub fn digest<T: Serialize + ?Sized>(value: &T) -> Digest {
    let bytes = serde_json::to_vec(value).expect("values of the domain have string keys only");
    let whole: [u8; 32] = Sha256::digest(bytes).into();
    whole.into()
}
