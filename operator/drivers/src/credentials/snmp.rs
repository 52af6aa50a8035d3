//! The login of a user of SNMPv3, as a Secret holds it: always authenticated and encrypted.
//!
//! Pure. Refuses every protocol that is not among those of RFC 7860 and RFC 3826 and its longer keys,
//! and never says what a Secret has in place of one.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{CredentialsError, text};

/// The fewest characters of a password (RFC 3414 section 11.2).
const SHORTEST_PASSWORD: usize = 8;

/// A user of SNMPv3.
#[derive(Clone)]
pub struct SnmpUser {
    /// The name of the user.
    pub username: Zeroizing<String>,
    /// The protocol by which messages are authenticated.
    pub authentication: SnmpAuthentication,
    /// The password from which its key is made.
    pub authentication_password: Zeroizing<String>,
    /// The protocol by which messages are encrypted.
    pub privacy: SnmpPrivacy,
    /// The password from which its key is made.
    pub privacy_password: Zeroizing<String>,
    /// The context of the objects; empty for the default one.
    pub context: String,
}

/// Authentication of messages by HMAC (RFC 7860).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SnmpAuthentication {
    /// HMAC-128-SHA-224.
    Sha224,
    /// HMAC-192-SHA-256.
    Sha256,
    /// HMAC-256-SHA-384.
    Sha384,
    /// HMAC-384-SHA-512.
    Sha512,
}

/// Encryption of messages by AES in CFB mode (RFC 3826; longer keys in the same way).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SnmpPrivacy {
    /// AES with 128 bits.
    Aes128,
    /// AES with 192 bits.
    Aes192,
    /// AES with 256 bits.
    Aes256,
}

impl SnmpUser {
    /// Reads the login of a Secret.
    ///
    /// # Errors
    /// `MissingKey`, `Unprintable`, or `NotAllowed` with what is allowed.
    pub(super) fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, CredentialsError> {
        let refused = |key, allowed| CredentialsError::NotAllowed { key, allowed };
        let word = |key| text(data, key).map(|it| it.to_ascii_uppercase().replace(['-', '_'], ""));
        let password = |key| match text(data, key)? {
            short if short.chars().count() < SHORTEST_PASSWORD => {
                Err(refused(key, "a password of at least 8 characters"))
            }
            password => Ok(password),
        };
        let authentication = match word("authProtocol")?.as_str() {
            "SHA224" => SnmpAuthentication::Sha224,
            "SHA256" => SnmpAuthentication::Sha256,
            "SHA384" => SnmpAuthentication::Sha384,
            "SHA512" => SnmpAuthentication::Sha512,
            _ => {
                let allowed = "SHA-224, SHA-256, SHA-384 or SHA-512; MD5 and SHA-1 are not used";
                return Err(refused("authProtocol", allowed));
            }
        };
        let privacy = match word("privProtocol")?.as_str() {
            "AES" | "AES128" => SnmpPrivacy::Aes128,
            "AES192" => SnmpPrivacy::Aes192,
            "AES256" => SnmpPrivacy::Aes256,
            _ => {
                let allowed = "AES-128, AES-192 or AES-256; DES is not used";
                return Err(refused("privProtocol", allowed));
            }
        };
        if authentication == SnmpAuthentication::Sha224 && privacy == SnmpPrivacy::Aes256 {
            let allowed = "AES-128 or AES-192 with SHA-224, whose keys are too short for AES-256";
            return Err(refused("privProtocol", allowed));
        }
        Ok(Self {
            username: text(data, "username")?,
            authentication,
            authentication_password: password("authPassword")?,
            privacy,
            privacy_password: password("privPassword")?,
            context: match text(data, "contextName") {
                Err(CredentialsError::MissingKey { .. }) => String::new(),
                context => context?.to_string(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<SnmpUser, String> {
        let plain = [
            ("username", "entente"),
            ("authProtocol", "SHA-256"),
            ("authPassword", "a long password"),
            ("privProtocol", "AES-128"),
            ("privPassword", "another password\n"),
        ];
        let all = plain.iter().chain(changes);
        let mut data: BTreeMap<String, Vec<u8>> = all
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
            .collect();
        data.retain(|_, value| !value.is_empty());
        SnmpUser::from_secret(&data).map_err(|error| error.to_string())
    }

    #[test]
    fn a_login_is_read_with_every_protocol_that_is_used() {
        let user = read(&[]).unwrap();
        assert_eq!(user.privacy_password.as_str(), "another password");
        assert_eq!(user.context, "");
        for (key, value) in [
            ("authProtocol", "sha512"),
            ("authProtocol", "SHA_384"),
            ("privProtocol", "aes-256"),
            ("privProtocol", "AES"),
            ("contextName", "tray-2"),
        ] {
            assert!(read(&[(key, value)]).is_ok(), "{key} {value}");
        }
    }

    // shows K4
    #[test]
    fn a_login_that_is_weak_or_incomplete_is_refused_by_its_key_and_without_its_value() {
        for (changes, said) in [
            (
                vec![("authProtocol", "MD5")],
                "authProtocol must be SHA-224",
            ),
            (
                vec![("authProtocol", "SHA")],
                "authProtocol must be SHA-224",
            ),
            (
                vec![("privProtocol", "DES")],
                "privProtocol must be AES-128",
            ),
            (
                vec![("authPassword", "s3cr3t!")],
                "authPassword must be a password of at least 8",
            ),
            (vec![("privPassword", "")], "no key privPassword"),
            (vec![("username", "")], "no key username"),
            (
                vec![("authProtocol", "SHA-224"), ("privProtocol", "AES-256")],
                "AES-128 or AES-192 with SHA-224",
            ),
        ] {
            let refused = read(&changes).err().unwrap_or_default();
            assert!(refused.contains(said), "{changes:?}: {refused}");
            assert!(!refused.contains("s3cr3t"), "{refused}");
        }
    }
}
