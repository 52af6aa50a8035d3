//! Challenges of an answer: the schemes by which a remote side asks for a login (RFC 9110 section
//! 11.6.1).
//!
//! Pure. Never decides which of them is answered, and never fails: a header that cannot be read is
//! the scheme with which it begins. Called by `transport` for every answer.

use http::header::{HeaderMap, WWW_AUTHENTICATE};
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;

/// Number of challenges of an answer that are kept.
const MOST_CHALLENGES: usize = 16;

/// One challenge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Challenge {
    /// The scheme as it was sent; compared without regard to case.
    pub(crate) scheme: String,
    /// The parameters without quotes, in their order.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Challenge {
    /// True if it asks for this scheme.
    pub(crate) fn is_of(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }
}

/// Returns the challenges of an answer in their order, at most [`MOST_CHALLENGES`].
pub(super) fn parse(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .flat_map(|value| of_header(&String::from_utf8_lossy(value.as_bytes())))
        .take(MOST_CHALLENGES)
        .collect()
}

fn of_header(text: &str) -> Vec<Challenge> {
    let read: Vec<Challenge> = ChallengeParser::new(text)
        .map_while(Result::ok)
        .map(|challenge| owned(&challenge))
        .collect();
    let first = text.split([' ', ',']).find(|word| !word.is_empty());
    match first {
        Some(first) if read.is_empty() => vec![Challenge {
            scheme: first.to_owned(),
            parameters: Vec::new(),
        }],
        _ => read,
    }
}

fn owned(challenge: &ChallengeRef<'_>) -> Challenge {
    let parameters = challenge.params.iter();
    Challenge {
        scheme: challenge.scheme.to_owned(),
        parameters: parameters
            .map(|(name, value)| ((*name).to_owned(), value.to_unescaped()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn schemes(values: &[&'static [u8]]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value).unwrap();
            headers.append(WWW_AUTHENTICATE, value);
        }
        let challenges = parse(&headers);
        challenges.into_iter().map(|found| found.scheme).collect()
    }

    #[test]
    fn the_schemes_of_one_header_and_of_several_are_read_in_their_order() {
        let digest: &[u8] = br#"Digest realm="a, b", nonce="x", qop="auth,auth-int""#;
        assert_eq!(schemes(&[digest]), ["Digest"]);
        assert_eq!(schemes(&[b"Negotiate, Basic realm=\"x\""]).len(), 2);
        assert_eq!(schemes(&[b"Negotiate", digest]), ["Negotiate", "Digest"]);
        assert!(schemes(&[]).is_empty());
        assert!(schemes(&[b""]).is_empty());
    }

    #[test]
    fn a_header_that_cannot_be_read_still_has_its_scheme() {
        for odd in [
            &b"Basic realm=\"caf\xc3\xa9\""[..],
            b"Basic realm=\"caf\xe9\"",
            b"Basic realm=\"open",
            b"Basic",
        ] {
            assert_eq!(schemes(&[odd]), ["Basic"], "{odd:?}");
        }
        assert_eq!(schemes(&[&b"Basic"[..]; 40]).len(), MOST_CHALLENGES);
    }

    #[test]
    fn a_parameter_has_no_quotes() {
        let read = of_header(r#"Digest realm="a \"b\"", algorithm=MD5"#);
        let parameters = [("realm", r#"a "b""#), ("algorithm", "MD5")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read[0].parameters, parameters);
        assert!(read[0].is_of("DIGEST"));
    }
}
