//! Secret texts: carried to a driver, and shown to nobody else.
//!
//! Decides the representation of a secret wherever something is compared, stored or shown: a digest
//! with a key of the operator (HMAC-SHA-256, RFC 2104), so that a reader of a status cannot try
//! guesses against it. A text shows itself through [`SecretText::expose`] only, which drivers call
//! when they write a request. Made by the observe stage of delivery from Secrets.

use std::{collections::BTreeMap, fmt, sync::Arc};

use entente_crds::{condition::Reason, digest::Digest, v1alpha1::SecretKeyReference};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroizing;

#[cfg(any(test, feature = "echo"))]
pub mod echo;
mod redaction;

pub use redaction::{HIDDEN, Redactions};

/// The operator's own key for digests of secrets.
#[derive(Clone)]
pub struct DigestKey(Arc<Zeroizing<Vec<u8>>>);

impl DigestKey {
    /// Returns a key of these bytes, of any number.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// Returns the first 32 hexadecimal digits of the HMAC of a text.
    ///
    /// # Panics
    /// Never: HMAC takes keys of every length.
    fn digest(&self, text: &str) -> Digest {
        let mut code = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        code.update(text.as_bytes());
        let whole: [u8; 32] = code.finalize().into_bytes().into();
        whole.into()
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DigestKey(redacted)")
    }
}

/// A text that is sent to the remote side that needs it, and shown nowhere else. Two are equal if
/// their keyed digests are; it serializes to that digest.
#[derive(Clone)]
pub struct SecretText {
    text: Arc<Zeroizing<String>>,
    key: DigestKey,
    digest: Digest,
}

impl SecretText {
    /// Returns a text that came from a Secret.
    pub fn new(text: String, key: &DigestKey) -> Self {
        Self {
            digest: key.digest(&text),
            text: Arc::new(Zeroizing::new(text)),
            key: key.clone(),
        }
    }

    /// Returns a text of the catalogue, where everybody can read it: it is only kept out of
    /// messages.
    pub fn of_catalogue(text: &str) -> Self {
        Self::new(text.to_owned(), &DigestKey::new(Vec::new()))
    }

    /// Returns the text itself, for the request that carries it and for the comparison with a
    /// reading.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the keyed digest of the text.
    pub fn digest(&self) -> Digest {
        self.digest
    }
    /// Returns the keyed digest of a value that was read in its place.
    pub fn digest_of<T: Serialize + ?Sized>(&self, found: &T) -> Digest {
        let text = serde_json::to_string(found).unwrap_or_default();
        self.key.digest(&text)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText(redacted)")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for SecretText {}

impl PartialOrd for SecretText {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SecretText {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.digest.cmp(&other.digest)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.digest.serialize(serializer)
    }
}

/// The secrets that the subscriptions of one device name, by reference; one that could not be read
/// is there with the reason.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub BTreeMap<SecretKeyReference, Result<SecretText, (Reason, String)>>);

impl Secrets {
    /// Returns the texts themselves, to be kept out of messages.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.0.values().filter_map(|entry| entry.as_ref().ok());
        texts.map(SecretText::expose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K4
    #[test]
    fn a_secret_shows_neither_in_debug_nor_in_json() {
        let text = SecretText::new("s3cr3t-token".to_owned(), &DigestKey::new(b"key".to_vec()));
        let json = serde_json::to_string(&text).expect("a string");
        let debug = format!("{text:?} {:?}", DigestKey::new(b"key".to_vec()));
        assert!(
            !json.contains("s3cr3t") && !debug.contains("s3cr3t"),
            "{json} {debug}"
        );
        assert!(!debug.contains("107, 101, 121"), "{debug}");
        assert_eq!(text.expose(), "s3cr3t-token");
    }

    // shows K4
    #[test]
    fn secrets_are_the_same_by_their_digests_and_a_reading_is_compared_by_the_same_key() {
        let (one, other) = (DigestKey::new(vec![1; 32]), DigestKey::new(vec![2; 32]));
        let text = |text: &str, key: &DigestKey| SecretText::new(text.to_owned(), key);
        assert_eq!(text("a", &one), text("a", &one));
        assert_ne!(text("a", &one), text("b", &one));
        assert_ne!(text("a", &one), text("a", &other));
        let mut sorted = [text("a", &one), text("b", &one), text("c", &one)];
        sorted.sort();
        assert!(sorted.windows(2).all(|two| two[0] < two[1]));
        assert!(
            sorted
                .windows(2)
                .all(|two| two[0].digest() < two[1].digest())
        );
        let secret = text("a", &one);
        assert_eq!(secret.digest_of("x"), text("z", &one).digest_of("x"));
        assert_ne!(secret.digest_of("x"), secret.digest_of("y"));
        assert_ne!(secret.digest_of("x"), text("a", &other).digest_of("x"));
    }

    #[test]
    fn the_texts_of_all_secrets_that_were_read_are_known_for_redaction() {
        let reference = |key: &str| SecretKeyReference {
            name: "login".to_owned(),
            key: key.to_owned(),
        };
        let key = DigestKey::new(vec![1; 32]);
        let read = [
            (reference("a"), Ok(SecretText::new("one".to_owned(), &key))),
            (
                reference("b"),
                Err((Reason::SecretNotFound, "it is missing".to_owned())),
            ),
            (reference("c"), Ok(SecretText::new("two".to_owned(), &key))),
        ];
        let secrets = Secrets(read.into());
        let texts: Vec<&str> = secrets.texts().collect();
        assert_eq!(texts, ["one", "two"]);
    }

    #[test]
    fn who_does_not_have_the_key_cannot_try_guesses_against_a_digest() {
        let with = |key: &[u8]| {
            let key = DigestKey::new(key.to_vec());
            SecretText::new("1234".to_owned(), &key).digest()
        };
        assert_eq!(with(b"one"), with(b"one"));
        assert_ne!(with(b"one"), with(b"two"));
    }
}
