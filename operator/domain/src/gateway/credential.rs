//! Tokens of devices and enrolments (C17): stored as SHA-256, renewed, replaced, revoked.
//!
//! Decides which token counts, and what is stored of one. It makes none: 32 random bytes come from the
//! edge. Never holds a token longer than it takes to digest it. Called at each request of a device.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use entente_crds::v1alpha1::TwinCredential;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// Bytes of a token of a device.
pub const TOKEN_BYTES: usize = 32;
/// Time after which a device renews its token.
const RENEWED_AFTER: SignedDuration = SignedDuration::from_hours(180 * 24);
/// The longest time for which the token before a renewal counts.
const PREVIOUS_COUNTS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Returns the text of a token that consists of these random bytes.
pub fn token(bytes: &[u8; TOKEN_BYTES]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the SHA-256 of a token in hexadecimal.
pub fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// True if two digests are equal; it takes the same time wherever they differ.
pub fn is_same(one: &str, other: &str) -> bool {
    let differ = |differences, (a, b): (u8, u8)| differences | (a ^ b);
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, differ) == 0
}

/// Returns the instant from which on a device renews a token that is issued now.
pub fn renew_after(issued: Timestamp) -> Timestamp {
    let after = issued.saturating_add(RENEWED_AFTER);
    let after = after.unwrap_or(Timestamp::MAX).as_second();
    Timestamp::from_second(after).unwrap_or(issued)
}

/// Returns the credential of a device that registers.
pub fn first(sha256: String, now: Timestamp) -> TwinCredential {
    TwinCredential {
        sha256,
        issued: now,
        used: None,
        previous_sha256: None,
        previous_until: None,
    }
}

/// Token of a device that a request has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The one that was answered last.
    Current,
    /// The one before, until that is used.
    Previous,
}

/// Returns the token of a device that has this digest; `None` if none that counts has.
pub fn standing(credential: &TwinCredential, sha256: &str, now: Timestamp) -> Option<Standing> {
    if is_same(&credential.sha256, sha256) {
        return Some(Standing::Current);
    }
    let previous = credential.previous_sha256.as_deref()?;
    let counts = credential.previous_until.is_some_and(|until| until > now);
    (counts && is_same(previous, sha256)).then_some(Standing::Previous)
}

/// True if a device has used a token of this credential: nobody else gets one by registering.
pub fn was_used(credential: &TwinCredential) -> bool {
    credential.used.is_some() || credential.previous_sha256.is_some()
}

/// Returns the credential after a use of one of its tokens: the first use of the current one ends the
/// previous one.
pub fn after_use(
    credential: &TwinCredential,
    standing: Standing,
    now: Timestamp,
) -> TwinCredential {
    let mut after = credential.clone();
    if standing == Standing::Current && after.used.is_none() {
        after.used = Some(now);
        after.previous_sha256 = None;
        after.previous_until = None;
    }
    after
}

/// Returns the credential after a renewal that was asked for with one of its tokens. A token that was
/// answered and never used is dead then.
pub fn renewed(
    credential: &TwinCredential,
    standing: Standing,
    sha256: String,
    now: Timestamp,
) -> TwinCredential {
    let (previous, until) = match standing {
        Standing::Current => {
            let until = now.saturating_add(PREVIOUS_COUNTS);
            let until = until.unwrap_or(Timestamp::MAX);
            (Some(credential.sha256.clone()), Some(until))
        }
        Standing::Previous => (
            credential.previous_sha256.clone(),
            credential.previous_until,
        ),
    };
    TwinCredential {
        sha256,
        issued: now,
        used: None,
        previous_sha256: previous,
        previous_until: until,
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    #[test]
    fn a_token_is_43_characters_and_its_digest_is_that_of_its_text() {
        assert_eq!(token(&[0; 32]).len(), 43);
        assert_eq!(token(&[255; 32]), "_".repeat(42) + "8");
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest("abc"), of_abc);
        assert!(is_same(of_abc, of_abc) && !is_same(of_abc, "") && !is_same("ab", "ac"));
    }

    // shows C17
    #[test]
    fn a_renewal_keeps_the_token_before_until_the_new_one_is_used_or_thirty_days_are_over() {
        let one = first("1".into(), at(0));
        assert!(!was_used(&one));
        let used = after_use(&one, Standing::Current, at(1));
        assert_eq!((used.used, was_used(&used)), (Some(at(1)), true));
        let two = renewed(&used, Standing::Current, "2".into(), at(10));
        let which =
            |credential: &TwinCredential, token: &str, day| standing(credential, token, at(day));
        assert_eq!(which(&two, "1", 39), Some(Standing::Previous));
        assert_eq!(which(&two, "1", 40), None);
        assert_eq!(which(&two, "2", 400), Some(Standing::Current));
        assert!(was_used(&two), "also before the first use of the new one");

        // The answer was lost, and the renewal is repeated by the token before.
        let three = renewed(&two, Standing::Previous, "3".into(), at(20));
        assert_eq!(
            which(&three, "2", 20),
            None,
            "it was answered and never used"
        );
        assert_eq!(which(&three, "1", 39), Some(Standing::Previous));
        assert_eq!(
            which(&three, "1", 40),
            None,
            "30 days from the first renewal"
        );
        let same = after_use(&three, Standing::Previous, at(21));
        assert_eq!(same, three);
        let last = after_use(&three, Standing::Current, at(21));
        assert_eq!(which(&last, "1", 21), None);
        assert_eq!((&last.previous_sha256, last.previous_until), (&None, None));
        assert_eq!(after_use(&last, Standing::Current, at(22)), last, "once");
    }

    #[test]
    fn a_token_is_renewed_after_half_a_year() {
        assert_eq!(renew_after(at(0)), at(180));
        assert_eq!(renew_after(at(0) + 5.milliseconds()), at(180));
    }
}
