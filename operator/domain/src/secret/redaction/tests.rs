//! Secrets in the words of others, in every spelling that was met.

use proptest::prelude::*;

use super::*;

const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtM\nDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----";

fn hide(secret: &str, words: &str) -> String {
    Redactions::new([secret]).hide(words)
}

/// Returns the spellings of a secret in an echo: the name, the words, and the words that may be
/// shown.
#[rustfmt::skip] // One row a line.
fn echoes(secret: &str) -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("as it is", format!("no {secret} here"), "no [redacted] here"),
        ("in capitals", "no S3CR3T/\"TOK EN+ here".to_owned(), "no [redacted] here"),
        ("as JSON", r#"{"token":"s3cr3t/\"tok en+"}"#.to_owned(), r#"{"token":"[redacted]"}"#),
        ("as JSON of PHP", r#"s3cr3t\/\"tok en\u002b!"#.to_owned(), "[redacted]!"),
        ("in a URL", "?t=s3cr3t%2F%22tok%20en%2B&x".to_owned(), "?t=[redacted]&x"),
        ("in a URL, in small letters", "?t=s3cr3t%2f%22tok%20en%2b&x".to_owned(), "?t=[redacted]&x"),
        ("in a form", "t=s3cr3t%2F%22tok+en%2B&x".to_owned(), "t=[redacted]&x"),
        ("in base64", format!("({})", general_purpose::STANDARD.encode(secret)), "([redacted])"),
        ("in hexadecimal", format!("({})", hex::encode_upper(secret)), "([redacted])"),
        ("folded", "no s3cr3t/\"tok\r\n  en+ here".to_owned(), "no [redacted] here"),
        ("cut off by the one that says it", "no s3cr3t/\"tok… here".to_owned(), "no [redacted]… here"),
        ("cut off at the end", "no s3cr3".to_owned(), "no [redacted]"),
        ("cut off inside an escape", "no s3cr3t\\u00".to_owned(), "no [redacted]"),
        ("cut off inside a pair", "no s3cr3t%2F%2".to_owned(), "no [redacted]"),
        ]
}

// shows K4
#[test]
fn an_echo_is_hidden_in_every_spelling() {
    let secret = "s3cr3t/\"tok en+";
    let pair = format!("entente:{secret}");
    for (how, words, shown) in echoes(secret) {
        assert_eq!(hide(secret, &words), shown, "{how}");
    }
    let basic = format!("Basic {}", general_purpose::STANDARD.encode(&pair));
    let shown = hide(secret, &basic);
    assert!(
        shown.starts_with("Basic ZW50ZW50ZT") && shown.contains(HIDDEN),
        "{shown}"
    );
    let shown = Redactions::new([secret, &pair]).hide(&basic);
    assert!(
        shown.starts_with("Basic [redacted]") && shown.len() < 19,
        "{shown}"
    );
}

// shows K4
#[test]
fn a_secret_of_many_lines_is_hidden_line_by_line() {
    let one = hide(PEM, "bad key DoQikTmiCqirVv9mWG9qfSnF given");
    assert_eq!(one, "bad key [redacted] given");
    for words in [
        PEM.to_owned(),
        PEM.replace('\n', "\\n"),
        PEM.replace('\n', " "),
    ] {
        let shown = hide(PEM, &format!("<{words}>"));
        assert_eq!(shown, "<[redacted]>");
    }
}

#[test]
fn what_is_no_secret_stays_and_short_texts_are_not_looked_for() {
    assert_eq!(
        hide("abc", "abc is too short to hide"),
        "abc is too short to hide"
    );
    assert_eq!(hide("s3cr3t-token", "refused: s3c"), "refused: s3c");
    assert_eq!(
        hide("s3cr3t-token", "100 % of all + 1 \\u12 %zz \\"),
        "100 % of all + 1 \\u12 %zz \\"
    );
    assert_eq!(Redactions::new([]).hide("é"), "é");
    assert_eq!(hide("s3cr3t-token", &"é".repeat(5_000)).len(), 8_192);
}

/// Returns a text as it is between the quotation marks of JSON.
fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("a text");
    quoted[1..quoted.len() - 1].to_owned()
}

/// Number of the ways in which [`spelled`] spells a text.
const SPELLINGS: u8 = 13;

/// Spells a text in one of the ways in which a remote side may echo it.
fn spelled(text: &str, how: u8) -> String {
    let percent = |text: &str, upper: bool| -> String {
        let digits = |byte: u8| {
            if upper {
                format!("%{byte:02X}")
            } else {
                format!("%{byte:02x}")
            }
        };
        text.bytes().map(digits).collect::<Vec<_>>().concat()
    };
    match how % SPELLINGS {
        0 => text.to_owned(),
        1 => json(text),
        2 => json(text).replace('/', "\\/"),
        3 => percent(text, true),
        4 => percent(text, false),
        5 => general_purpose::STANDARD.encode(text),
        6 => general_purpose::URL_SAFE_NO_PAD.encode(text),
        7 => text.to_ascii_uppercase(),
        // As a proxy shows a login (RFC 7617), or a dump shows bytes.
        9 => general_purpose::STANDARD.encode(format!("operator:{text}")),
        10 => {
            let digits =
                |byte: u8| [byte >> 4, byte & 15].map(|it| char::from_digit(it.into(), 16));
            text.bytes().flat_map(digits).flatten().collect()
        }
        // As a log cuts it, or a reader of PEM quotes the line that it does not understand.
        11 => {
            let whole = text.chars().count();
            text.chars().take(8.max(whole * 2 / 3)).collect()
        }
        12 => text.lines().last().unwrap_or_default().to_owned(),
        _ => {
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
            units.collect::<Vec<_>>().concat()
        }
    }
}

// shows K4
#[test]
fn a_secret_that_begins_like_what_stands_before_it_is_hidden_whole() {
    let secret = "éééé!aéa😀😀Aa";
    assert_eq!(hide(secret, &format!("é{secret}")), "[redacted]");
}

// shows K4
#[test]
fn a_backslash_before_an_echo_hides_nothing_of_it() {
    for secret in ["r3d\\token", "n0\"\\token", "u0041\\token", "\\\\token\""] {
        let shown = hide(secret, &format!("bad \\{}!", json(secret)));
        assert!(
            !shown.contains("token") && shown.ends_with("[redacted]!"),
            "{shown}"
        );
    }
}

// shows K4
proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_secret_is_never_shown_however_it_is_spelled_and_whatever_stands_around_it(
        secret in "[!-~é😀]{8,40}( [!-~]{8,20})?(\n[!-~]{12,40}){0,2}",
        before in "[ -~é]{0,40}",
        after in "[ -~é]{0,40}",
        how in any::<u8>(),
        width in 0..40_usize,
    ) {
        let mut echo = spelled(&secret, how);
        let how = how % SPELLINGS;
        if width > 10 && echo.is_ascii() && (5..9).contains(&how) {
            // Some fold what they print; not inside what an escape is made of.
            let lines: Vec<&str> = echo.as_bytes().chunks(width).map(|line| {
                std::str::from_utf8(line).expect("it is ASCII")
            }).collect();
            if how != 8 {
                echo = lines.join("\r\n ");
            }
        }
        let shown = hide(&secret, &format!("{before}{echo}{after}"));
        // The middle half of the echo: fragments at an end reveal too little.
        let quarter = echo.chars().count() / 4;
        let middle: String = echo.chars().skip(quarter).take(quarter * 2).collect();
        prop_assert!(!shown.contains(&middle), "{} in {}", middle, shown);
    }
}
