//! Answers to a challenge of HTTP Digest (RFC 7616, and RFC 2069 for one without `qop`).
//!
//! Pure. Chooses the challenge that is answered and calculates the header; never sends and never
//! keeps. MD5 is here because devices ask for nothing else: it proves a password to them and
//! protects nothing of ours. Called by `transport`.

use md5::Md5;
use sha2::digest::{Digest as Hash, Output};
use sha2::{Sha256, Sha512_256};
use zeroize::Zeroizing;

use super::challenge::Challenge;

/// Scheme of the challenges.
pub(super) const SCHEME: &str = "Digest";

/// A challenge that can be answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct DigestChallenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm in the words of the challenge; `None` if it names none.
    named: Option<String>,
    /// True if `qop=auth` is offered; otherwise the answer is that of RFC 2069.
    with_qop: bool,
    userhash: bool,
    /// True if only the nonce was refused, and not the login.
    pub(super) stale: bool,
}

/// A hash, and whether the nonces are a part of the session key (`-sess`).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Algorithm {
    hash: HashName,
    session: bool,
}

/// A hash, the better one last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum HashName {
    Md5,
    Sha512_256,
    Sha256,
}

/// Request that is to be authorized.
#[derive(Clone, Copy)]
pub(super) struct Authorized<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    /// Target of the request: path and query.
    pub(super) uri: &'a str,
    /// Number of the requests that used the nonce, with this one.
    pub(super) count: u32,
    /// Random text of ours.
    pub(super) cnonce: &'a str,
}

/// True if one of the challenges is of Digest and can be answered.
pub(crate) fn can_be_answered(challenges: &[Challenge]) -> bool {
    choose(challenges).is_some()
}

/// Returns the best of the challenges that can be answered; of several with one hash the first.
pub(super) fn choose(challenges: &[Challenge]) -> Option<DigestChallenge> {
    let mut best: Option<DigestChallenge> = None;
    for read in challenges.iter().filter_map(read) {
        if best
            .as_ref()
            .is_none_or(|best| best.algorithm < read.algorithm)
        {
            best = Some(read);
        }
    }
    best
}

fn read(challenge: &Challenge) -> Option<DigestChallenge> {
    if !challenge.is_of(SCHEME) {
        return None;
    }
    let parameter = |wanted: &str| {
        let mut all = challenge.parameters.iter();
        all.find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str())
    };
    let is_true = |name| parameter(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let named = parameter("algorithm");
    let algorithm = algorithm(named.unwrap_or("MD5"))?;
    let with_qop = match parameter("qop") {
        None => false,
        Some(offered) => {
            let mut offered = offered.split([',', ' ']);
            offered
                .any(|one| one.eq_ignore_ascii_case("auth"))
                .then_some(true)?
        }
    };
    // RFC 2069 knows no nonce of ours, which a session needs.
    if algorithm.session && !with_qop {
        return None;
    }
    Some(DigestChallenge {
        realm: parameter("realm").unwrap_or_default().to_owned(),
        nonce: parameter("nonce")?.to_owned(),
        opaque: parameter("opaque").map(str::to_owned),
        algorithm,
        named: named.map(str::to_owned),
        with_qop,
        userhash: is_true("userhash"),
        stale: is_true("stale"),
    })
}

fn algorithm(name: &str) -> Option<Algorithm> {
    let name = name.to_ascii_uppercase();
    let (hash, session) = match name.strip_suffix("-SESS") {
        Some(hash) => (hash, true),
        None => (name.as_str(), false),
    };
    let hash = match hash {
        "MD5" => HashName::Md5,
        "SHA-256" => HashName::Sha256,
        "SHA-512-256" => HashName::Sha512_256,
        _ => return None,
    };
    Some(Algorithm { hash, session })
}

/// Returns the value of the header Authorization (RFC 7616 section 3.4). The password is not in it.
pub(super) fn authorization(challenge: &DigestChallenge, request: Authorized<'_>) -> String {
    match challenge.algorithm.hash {
        HashName::Md5 => by::<Md5>(challenge, request),
        HashName::Sha256 => by::<Sha256>(challenge, request),
        HashName::Sha512_256 => by::<Sha512_256>(challenge, request),
    }
}

fn by<H: Hash>(challenge: &DigestChallenge, request: Authorized<'_>) -> String
where
    Output<H>: AsRef<[u8]>,
{
    let hash = |parts: &[&str]| hex::encode(H::digest(parts.join(":").as_bytes()));
    let DigestChallenge { realm, nonce, .. } = challenge;
    let cnonce = request.cnonce;
    let secret = Zeroizing::new([request.username, realm, request.password].join(":"));
    let mut key = Zeroizing::new(hex::encode(H::digest(secret.as_bytes())));
    if challenge.algorithm.session {
        key = Zeroizing::new(hash(&[key.as_str(), nonce, cnonce]));
    }
    let asked = hash(&[request.method, request.uri]);
    let count = format!("{:08x}", request.count);
    let response = if challenge.with_qop {
        hash(&[key.as_str(), nonce, &count, cnonce, "auth", &asked])
    } else {
        hash(&[key.as_str(), nonce, &asked])
    };
    let username = if challenge.userhash {
        hash(&[request.username, realm])
    } else {
        request.username.to_owned()
    };
    let mut parameters = vec![
        format!("username={}", quoted(&username)),
        format!("realm={}", quoted(realm)),
        format!("nonce={}", quoted(nonce)),
        format!("uri={}", quoted(request.uri)),
        format!("response=\"{response}\""),
    ];
    let named = challenge.named.iter();
    parameters.extend(named.map(|named| format!("algorithm={named}")));
    let opaque = challenge.opaque.iter();
    parameters.extend(opaque.map(|opaque| format!("opaque={}", quoted(opaque))));
    if challenge.with_qop {
        parameters.push(format!("qop=auth, nc={count}, cnonce={}", quoted(cnonce)));
    }
    if challenge.userhash {
        parameters.push("userhash=true".to_owned());
    }
    format!("{SCHEME} {}", parameters.join(", "))
}

/// Returns a text as a quoted-string (RFC 9110 section 5.6.4).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{HeaderMap, WWW_AUTHENTICATE};

    use super::*;
    use crate::transport::challenge;

    fn challenges(headers: &[&str]) -> Vec<Challenge> {
        let mut all = HeaderMap::new();
        for header in headers {
            all.append(WWW_AUTHENTICATE, HeaderValue::from_str(header).unwrap());
        }
        challenge::parse(&all)
    }

    fn chosen(headers: &[&str]) -> Option<DigestChallenge> {
        choose(&challenges(headers))
    }

    /// Returns a parameter of a header of ours.
    fn parameter(header: &str, wanted: &str) -> Option<String> {
        let read = challenges(&[header]).remove(0);
        let mut all = read.parameters.into_iter();
        all.find(|(name, _)| name == wanted).map(|(_, value)| value)
    }

    const MUFASA: Authorized<'static> = Authorized {
        username: "Mufasa",
        password: "Circle of Life",
        method: "GET",
        uri: "/dir/index.html",
        count: 1,
        cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    };

    fn of_mufasa(algorithm: &str) -> String {
        format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    }

    // RFC 7616 section 3.9.1.
    #[test]
    fn the_first_example_of_the_rfc_is_answered_as_it_says() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let challenge = chosen(&[&of_mufasa(algorithm)]).unwrap();
            let header = authorization(&challenge, MUFASA);
            let of = |name| parameter(&header, name);
            assert_eq!(of("response").as_deref(), Some(response), "{header}");
            assert_eq!(of("algorithm").as_deref(), Some(algorithm));
            assert_eq!(of("uri").as_deref(), Some("/dir/index.html"));
            assert_eq!(of("nc").as_deref(), Some("00000001"));
            let opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS";
            assert_eq!(of("opaque").as_deref(), Some(opaque));
            assert!(header.contains(", qop=auth, nc=00000001, "), "{header}");
            assert!(!header.contains("Circle"), "{header}");
        }
    }

    // RFC 7616 section 3.9.2, as corrected by erratum 4897.
    #[test]
    fn the_example_with_a_hashed_name_is_answered_as_it_says() {
        let challenge = chosen(&[
            "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
             nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
             opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", \
             charset=UTF-8, userhash=true",
        ]);
        let request = Authorized {
            username: "J\u{e4}s\u{f8}n Doe",
            password: "Secret, or not?",
            uri: "/doe.json",
            cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
            ..MUFASA
        };
        let header = authorization(&challenge.unwrap(), request);
        let name = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b";
        assert_eq!(parameter(&header, "username").as_deref(), Some(name));
        let response = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5";
        assert_eq!(parameter(&header, "response").as_deref(), Some(response));
        assert_eq!(parameter(&header, "userhash").as_deref(), Some("true"));
    }

    // RFC 2069 section 2.4, as corrected by erratum 749.
    #[test]
    fn a_challenge_without_qop_is_answered_in_the_old_way() {
        let challenge = chosen(&[
            "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        ]);
        let request = Authorized {
            password: "CircleOfLife",
            ..MUFASA
        };
        let header = authorization(&challenge.unwrap(), request);
        let response = "1949323746fe6a43ef61f9606e7febea";
        assert_eq!(parameter(&header, "response").as_deref(), Some(response));
        for absent in ["qop", "nc", "cnonce", "algorithm", "userhash"] {
            assert_eq!(parameter(&header, absent), None, "{header}");
        }
    }

    #[test]
    fn the_best_hash_is_chosen_and_what_cannot_be_answered_is_not() {
        let (md5, sha) = (of_mufasa("MD5"), of_mufasa("SHA-256"));
        for order in [[&md5[..], &sha], [&sha, &md5]] {
            let hash = chosen(&order).unwrap().algorithm.hash;
            assert_eq!(hash, HashName::Sha256);
        }
        assert!(chosen(&[&of_mufasa("md5-sess")]).is_some());
        for odd in [
            "Basic realm=x",
            "Digest",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"",
            "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-3, qop=\"auth\"",
            "Digest realm=\"x\", nonce=\"y\", algorithm=MD5-sess",
        ] {
            assert_eq!(chosen(&[odd]), None, "{odd}");
        }
    }

    #[test]
    fn a_session_has_both_nonces_in_its_key() {
        let challenge = chosen(&[&of_mufasa("MD5-sess")]).unwrap();
        let of = |cnonce| {
            let request = Authorized { cnonce, ..MUFASA };
            let header = authorization(&challenge, request);
            parameter(&header, "response").unwrap()
        };
        // By Python: md5(md5(md5(user:realm:password):nonce:cnonce):nonce:nc:cnonce:auth:A2).
        assert_eq!(of(MUFASA.cnonce), "e783283f46242139c486a698fec7211d");
        assert_ne!(of("other"), of(MUFASA.cnonce));
    }

    #[test]
    fn quotes_and_strokes_are_escaped() {
        let challenge = chosen(&[r#"Digest realm="a \"b\" \\", nonce="n", qop="auth""#]);
        let header = authorization(&challenge.unwrap(), MUFASA);
        assert_eq!(parameter(&header, "realm").unwrap(), r#"a "b" \"#);
    }
}
