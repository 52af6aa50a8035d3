//! Names and ids that follow from a serial number, the same each time.
//!
//! Decides the name of a Device that is made, that of a twin of which there is no Device, and the id
//! under which a device calls. Called by `registration`.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The space of the names that become ids of devices (RFC 9562, version 5). It is our own, and is never
/// changed: every id follows from it.
const PRINTER_NAMESPACE: Uuid = Uuid::from_u128(0x3a5f_61d4_9c0b_4a53_8d8e_5c1f_2b7e_90a6);
/// Beginning of the name of a twin of which there is no Device yet.
pub(super) const PENDING: &str = "pending-";
/// The most characters of the name of a Device.
const MOST: usize = 63;
/// Characters of a digest in a name.
const OF_DIGEST: usize = 8;

/// Returns the id under which a device calls: a UUID of version 5 of namespace, name of the Device and
/// serial number.
pub fn printer_id(namespace: &str, device: &str, serial_number: &str) -> String {
    // Neither name can have a slash.
    let name = format!("{namespace}/{device}/{serial_number}");
    Uuid::new_v5(&PRINTER_NAMESPACE, name.as_bytes()).to_string()
}

/// Returns the id of a registration that waits: 16 hexadecimal digits of the digest of its serial
/// number.
pub fn registration_id(serial_number: &str) -> String {
    digits(serial_number, 16)
}

/// Returns the name of the twin that keeps a registration that waits.
pub fn pending_name(serial_number: &str) -> String {
    format!("{PENDING}{}", registration_id(serial_number))
}

fn digits(serial_number: &str, most: usize) -> String {
    let mut digits = hex::encode(Sha256::digest(serial_number.as_bytes()));
    digits.truncate(most);
    digits
}

/// Returns the name of a Device: the prefix and the serial number in lower case, with '-' for what a name
/// cannot have; with a digest behind it if that would be cut, is none, or `is_taken` by another serial
/// number.
pub(super) fn device_name(
    prefix: &str,
    serial_number: &str,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    let letters = serial_number.chars().flat_map(char::to_lowercase);
    let spelled: String = letters
        .map(|it| if it.is_ascii_alphanumeric() { it } else { '-' })
        .collect();
    let plain = format!("{prefix}{spelled}");
    let is_name = plain.len() <= MOST
        && plain.ends_with(|last: char| last.is_ascii_alphanumeric())
        && spelled.contains(|it: char| it.is_ascii_alphanumeric());
    if is_name && !is_taken(&plain) {
        return plain;
    }
    let kept: String = plain.chars().take(MOST - OF_DIGEST - 1).collect();
    let kept = kept.trim_end_matches('-');
    format!("{kept}-{}", digits(serial_number, OF_DIGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // shows C2
    #[test]
    fn names_and_ids_are_the_same_each_time() {
        let id = printer_id("acme", "lobby-mfp", "A1B2C3");
        assert_eq!(id, printer_id("acme", "lobby-mfp", "A1B2C3"));
        assert_eq!(&id[14..15], "5", "{id}");
        assert_ne!(id, printer_id("acme", "lobby-mfp", "A1B2C4"));
        assert_ne!(id, printer_id("acme", "lobby", "mfp/A1B2C3"));
        assert_eq!(pending_name("A1B2C3").len(), "pending-".len() + 16);
        let name = |serial_number: &str| device_name("acme-", serial_number, |_| false);
        assert_eq!(name("A1B2C3"), "acme-a1b2c3");
        assert_eq!(name("A_1 B"), "acme-a-1-b");
        assert!(name("A_").starts_with("acme-a-"), "{}", name("A_"));
        assert!(name("é").starts_with("acme-"), "{}", name("é"));
        let other = device_name("acme-", "A_1", |name| name == "acme-a-1");
        assert!(other.starts_with("acme-a-1-"), "{other}");
    }

    proptest! {
        #[test]
        fn a_name_is_a_label_whatever_the_serial_number(
            prefix in "[a-z0-9][-a-z0-9]{0,29}",
            serial_number in "\\PC{1,64}",
            is_taken in any::<bool>(),
        ) {
            let name = device_name(&prefix, &serial_number, |_| is_taken);
            prop_assert!(name.len() <= 63, "{name}");
            let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
            prop_assert!(name.starts_with(is_plain) && name.ends_with(is_plain), "{name}");
            prop_assert!(name.chars().all(|it| is_plain(it) || it == '-'), "{name}");
        }
    }
}
