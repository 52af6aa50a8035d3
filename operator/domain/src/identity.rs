//! The text by which a machine identifies itself, in one spelling, so that two readings of one
//! machine are equal.
//!
//! Decides what is an identity at all, and which names of products a model has: firmware without an
//! identity reports zeros or "unknown", and machines that do so must not be taken for one. Never
//! sees a status or a spec as a whole. Called where a reading enters, and wherever a stored identity
//! is compared: statuses from before this module have other spellings.

use std::fmt;

use crate::bounded::{is_unseen, token};

/// The largest number of characters of an identity (its schema).
const MOST: usize = 127;

/// Words that say that there is no identity.
const NONE: [&str; 4] = ["unknown", "none", "n/a", "null"];

/// Characters between the digits of an identity, such as those of a MAC address.
const SEPARATORS: [char; 4] = ['-', ':', '.', ' '];

/// The smallest number of characters of which all are F, so that they mean no identity: the digits of
/// a MAC address.
const SHORTEST_GREATEST: usize = 12;

/// Identity of a machine: a UUID as "urn:uuid:" and lower case (RFC 9562), any other text without
/// blanks and unseen characters at its ends, a digest of one that is too long for a status or has
/// unseen characters inside.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identity(String);

impl Identity {
    /// Returns the identity that a text is; `None` if it is none.
    pub fn of(text: &str) -> Option<Self> {
        let is_blank = |c: char| c.is_whitespace() || is_unseen(c);
        let text = text.trim_matches(is_blank);
        let bare = ["urn:uuid:", "uuid:"]
            .into_iter()
            .find_map(|prefix| strip_prefix(text, prefix))
            .unwrap_or(text);
        let unbraced = bare.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        let bare = unbraced.unwrap_or(bare).trim_matches(is_blank);
        let is_filled = |with: [char; 2]| {
            let mut chars = bare.chars();
            chars.all(|c| with.contains(&c) || SEPARATORS.contains(&c))
        };
        let is_greatest = is_filled(['f', 'F']) && bare.chars().count() >= SHORTEST_GREATEST;
        if is_filled(['0', '0'])
            || is_greatest
            || NONE.iter().any(|none| bare.eq_ignore_ascii_case(none))
        {
            return None;
        }
        let identity = match uuid(bare) {
            Some(uuid) => format!("urn:uuid:{uuid}"),
            None => token(text, MOST),
        };
        Some(Self(identity))
    }

    /// True if it has the form of a UUID, which says nothing but which machine it is. Some firmware
    /// leaves digits out.
    pub fn is_a_uuid(&self) -> bool {
        let is_of_uuid = |octet: u8| octet.is_ascii_hexdigit() || octet == b'-';
        let digits = self.0.strip_prefix("urn:uuid:");
        digits.is_some_and(|digits| digits.len() <= 36 && digits.bytes().all(is_of_uuid))
    }

    /// Returns the text of the identity.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the rest of a text after a prefix in any case.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Returns the one spelling of a UUID: hexadecimal digits in lower case, in groups of 8, 4, 4, 4 and
/// 12. Some firmware leaves the hyphens out. `None` if the text is no UUID.
fn uuid(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    let digits = groups.concat().to_ascii_lowercase();
    if !lengths.clone().eq([8, 4, 4, 4, 12]) && !lengths.eq([32])
        || !digits.bytes().all(|octet| octet.is_ascii_hexdigit())
    {
        return None;
    }
    let group = |from: usize, to: usize| digits.get(from..to);
    let groups = [
        group(0, 8)?,
        group(8, 12)?,
        group(12, 16)?,
        group(16, 20)?,
        group(20, 32)?,
    ];
    Some(groups.join("-"))
}

/// True if a device of this product name is of a model with these names. Blanks at the ends do not
/// count; a name that ends in `*` stands for all that begin with what is before it.
pub fn is_product(names: &[String], product: &str) -> bool {
    let product = product.trim();
    names
        .iter()
        .any(|name| match name.trim().strip_suffix('*') {
            Some(prefix) => !prefix.is_empty() && product.starts_with(prefix),
            None => name.trim() == product,
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = "urn:uuid:4509a320-00a0-008f-00b6-00559a327d32";

    // shows K4
    #[test]
    fn a_uuid_has_one_spelling_and_blanks_at_the_ends_do_not_count() {
        for text in [
            PLAIN,
            "URN:UUID:4509A320-00A0-008F-00B6-00559A327D32",
            "uuid:4509a320-00a0-008f-00b6-00559a327d32",
            "4509a320-00a0-008f-00b6-00559a327d32",
            "{4509A320-00a0-008f-00b6-00559a327d32}",
            "urn:uuid:{4509a320-00a0-008f-00b6-00559a327d32}",
            " urn:uuid:4509a320-00a0-008f-00b6-00559a327d32\0\0",
            "urn:uuid: 4509a320-00a0-008f-00b6-00559a327d32\n",
            "\u{feff}urn:uuid:4509a320-00a0-008f-00b6-00559a327d32\u{202e}",
        ] {
            let found = Identity::of(text).expect(text);
            assert_eq!(found.as_str(), PLAIN, "{text:?}");
        }
    }

    // shows K4
    #[test]
    fn what_is_no_uuid_is_an_identity_as_it_is() {
        for (text, kept) in [
            (" SN-000123 ", "SN-000123"),
            ("Sn-000123", "Sn-000123"),
            ("urn:uuid:1", "urn:uuid:1"),
            ("00:1e:8f:00:00:01", "00:1e:8f:00:00:01"),
            ("ffff", "ffff"),
            ("unknown-7", "unknown-7"),
            ("é", "é"),
        ] {
            assert_eq!(Identity::of(text).expect(text).as_str(), kept);
        }
    }

    // shows K4
    #[test]
    fn what_firmware_without_an_identity_reports_is_none() {
        for text in [
            "",
            "  \0",
            "urn:uuid:",
            "urn:uuid:00000000-0000-0000-0000-000000000000",
            "00000000-0000-0000-0000-000000000000",
            "{00000000-0000-0000-0000-000000000000}",
            "URN:UUID:FFFFFFFF-FFFF-ffff-FFFF-FFFFFFFFFFFF",
            "0",
            "0000000000",
            "00000000000000000000000000000000",
            "00:00:00:00:00:00",
            "00-00-00-00-00-00",
            "0000.0000.0000",
            "ff:ff:ff:ff:ff:ff",
            "FFFFFFFFFFFF",
            "unknown",
            "Unknown",
            "uuid:UNKNOWN",
            "none",
            "N/A",
            "null",
        ] {
            assert_eq!(Identity::of(text), None, "{text:?}");
        }
    }

    // shows K7
    #[test]
    fn an_identity_that_is_too_long_is_told_from_another_such() {
        let long = "x".repeat(MOST + 1);
        let (one, other) = (Identity::of(&long), Identity::of(&format!("{long}y")));
        let one = one.expect("it is one");
        assert!(one.as_str().chars().count() <= MOST);
        assert_ne!(Some(one), other);
    }

    // shows K4
    #[test]
    fn a_product_is_named_whole_or_by_what_it_begins_with() {
        let names = ["NW MFP 500", "NW MFP 600*", "*", " NW 7 "].map(str::to_owned);
        for (product, known) in [
            ("NW MFP 500", true),
            ("NW MFP 500 ", true),
            ("NW MFP 500 v2", false),
            ("NW MFP 600", true),
            ("NW MFP 600 v2.01", true),
            ("nw mfp 600", false),
            ("NW 7", true),
            ("", false),
            ("anything", false),
        ] {
            assert_eq!(is_product(&names, product), known, "{product:?}");
        }
    }

    proptest! {
        // shows K4
        #[test]
        fn an_identity_is_the_identity_of_its_own_text(text in "\\PC{0,160}") {
            if let Some(identity) = Identity::of(&text) {
                prop_assert_eq!(Identity::of(identity.as_str()), Some(identity));
            }
        }

        // shows K4
        #[test]
        fn every_spelling_of_a_uuid_is_one_identity(
            uuid in "[1-9a-e][0-9a-f]{7}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            prefix in prop::sample::select(vec!["", "urn:uuid:", "uuid:", "URN:UUID:"]),
            braces in any::<bool>(),
            hyphens in any::<bool>(),
            upper in any::<bool>(),
            blanks in "[ \t\0]{0,3}",
        ) {
            let plain = Identity::of(&uuid);
            prop_assert!(plain.is_some());
            let mut text = if upper { uuid.to_uppercase() } else { uuid };
            if !hyphens {
                text = text.replace('-', "");
            }
            if braces {
                text = format!("{{{text}}}");
            }
            prop_assert_eq!(Identity::of(&format!("{blanks}{prefix}{text}{blanks}")), plain);
        }
    }
}
