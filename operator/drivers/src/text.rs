//! The remote side's own words, made fit for a message.
//!
//! Cuts, and takes out what is not printable. Called wherever text from outside enters a Failure.

use crate::profile::CredentialsValue;

/// How many bytes of the remote side's words a message may carry (design.md section 4).
const MOST_BYTES: usize = 256;

/// At most 256 bytes, on a character boundary, without control characters and without the
/// credentials that were sent: some servers give back what they refused.
pub(crate) fn quote(text: &str, credentials: Option<&CredentialsValue>) -> String {
    let redacted = credentials.map(|credentials| redact(text, credentials));
    cut(redacted.as_deref().unwrap_or(text))
}

fn redact(text: &str, credentials: &CredentialsValue) -> String {
    let secret = match credentials {
        CredentialsValue::Basic { password, .. } => password,
        CredentialsValue::Bearer { token } => token,
    };
    // A shorter one would tear words apart, and is told by its own length.
    if secret.len() < 4 { text.to_owned() } else { text.replace(secret.as_str(), "[redacted]") }
}

fn cut(text: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        // Line breaks and tabs separate words; what else cannot be seen is left out.
        let character = if character.is_whitespace() { ' ' } else { character };
        if is_hidden(character) || (character == ' ' && quoted.ends_with(' ')) {
            continue;
        }
        if quoted.len() + character.len_utf8() > MOST_BYTES {
            break;
        }
        quoted.push(character);
    }
    quoted.trim().to_owned()
}

/// Control characters, and those that reorder or hide what stands beside them.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_256_bytes_are_quoted_and_no_character_is_torn() {
        let quoted = quote(&"é".repeat(500), None);
        assert_eq!(quoted.len(), 256);
        assert_eq!(quote(&format!("a{}", "é".repeat(500)), None).len(), 255);
    }

    #[test]
    fn what_cannot_be_seen_is_taken_out() {
        assert_eq!(quote("\u{1b}[31mred\u{7}\r\n\tand\u{202e}\u{200b} more\0", None), "[31mred and more");
    }

    #[test]
    fn credentials_are_not_given_back() {
        let token = "s3cr3t-token".to_owned().into();
        let credentials = CredentialsValue::Bearer { token };
        assert_eq!(
            quote("token s3cr3t-token is unknown", Some(&credentials)),
            "token [redacted] is unknown"
        );
    }
}
