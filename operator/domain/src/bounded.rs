//! Texts from outside, made to fit the fields of a status (K7).
//!
//! Decides nothing but lengths, counted in characters as the schemas do. A status that is longer
//! than its schema allows is refused as a whole, so that nothing is said at all. Called wherever a
//! text of a device, a server or a person becomes a part of a status.

use sha2::{Digest, Sha256};

/// Returns a text that people read, with an ellipsis in place of what does not fit.
pub fn cut(text: String, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text;
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// Returns a text that is only compared: itself where it fits, else a digest of it, so that two
/// that differ stay different. `most` is 64 or more.
pub fn token(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    format!("sha256:{digest}").chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(cut("é".repeat(64), 64), "é".repeat(64));
        assert_eq!(token(&"é".repeat(64), 64), "é".repeat(64));
    }

    #[test]
    fn what_does_not_fit_is_cut_for_people_and_told_apart_for_comparing() {
        let long = "é".repeat(65);
        assert_eq!(cut(long.clone(), 64), format!("{}…", "é".repeat(63)));
        let (one, other) = (token(&long, 64), token(&format!("{long}!"), 64));
        assert_ne!(one, other);
        assert_eq!((one.chars().count(), &one[..7]), (64, "sha256:"));
    }
}
