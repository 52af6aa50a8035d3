//! Secrets in the words of others, in every spelling that was met.

use base64::{Engine as _, engine::general_purpose};
use proptest::prelude::*;

use super::*;
use crate::secret::echo::{Choices, Echo, OF_LINES, OF_ONE_LINE, OF_PEM, OF_WORDS};

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
    let body = PEM.replace("-----BEGIN PRIVATE KEY-----\n", "<");
    let body = body.replace("\n-----END PRIVATE KEY-----", ">");
    for words in [
        body.clone(),
        body.replace('\n', "\\n"),
        body.replace('\n', " "),
        body.replace('\n', "\\u000a"),
        body.replace('\n', "%0A"),
    ] {
        assert_eq!(hide(PEM, &words), "<[redacted]>");
    }
}

#[test]
fn the_frame_of_pem_is_no_secret() {
    let words = "this private key is not a -----BEGIN PRIVATE KEY-----";
    assert_eq!(hide(PEM, words), words);
    let shown = "-----BEGIN PRIVATE KEY-----\n[redacted]\n-----END PRIVATE KEY-----";
    assert_eq!(hide(PEM, PEM), shown);
    // Of what only looks like one all is secret.
    for secret in [
        "-----s3cr3t-token-----",
        "-----BEGIN s3cr3t-----",
        "-----BEGIN S3CR3T TOKEN",
    ] {
        assert_eq!(hide(secret, &format!("<{secret}>")), "<[redacted]>");
    }
}

// shows K4
#[test]
fn eight_characters_from_the_middle_of_a_secret_are_hidden() {
    let secret = "correct horse battery staple";
    assert_eq!(hide(secret, "no …battery st…"), "no …[redacted]…");
    assert_eq!(hide(secret, "no horse staple"), "no horse staple");
    let digits = general_purpose::STANDARD.encode("se battery s");
    assert_eq!(hide(secret, &digits), "[redacted]");
    // Eight characters of which one is a space.
    assert_eq!(hide("my pass wrd", "<pass wrd>"), "<[redacted]>");
}

// shows K4
#[test]
fn capitals_that_are_not_of_ascii_are_hidden() {
    assert_eq!(
        hide("pâté-größe-ñandú", "<PÂTÉ-GRÖSSE-ÑANDÚ>"),
        "<[redacted]>"
    );
    assert_eq!(hide("PÂTÉ-ÑANDÚ", "<pâté-ñandú>"), "<[redacted]>");
    assert_eq!(
        hide("pâté-ñandú", "<P\\u00c2T\\u00c9-%C3%91AND%C3%9A>"),
        "<[redacted]>"
    );
}

// shows K4
#[test]
fn nothing_that_is_not_seen_hides_a_secret() {
    let secret = "s3cr3t-token";
    let with = |between: &str| {
        let characters: Vec<String> = secret.chars().map(String::from).collect();
        format!("<{}>", characters.join(between))
    };
    // As UTF-16 is read as bytes, or with marks of direction.
    for between in [
        "\0", "\u{200b}", "\u{202e}", "\u{a0}", "\r\n\t", "\\u200b", "%0D%0A",
    ] {
        assert_eq!(hide(secret, &with(between)), "<[redacted]>", "{between:?}");
    }
    assert_eq!(
        hide(secret, "<s%3\n3cr\\u0\r\n 033t-token>"),
        "<[redacted]>"
    );
}

// shows K4
#[test]
fn an_escape_that_is_escaped_again_is_read() {
    let secret = "a\"b\\c/d é😀 token";
    let twice = json(&json(secret));
    assert_eq!(hide(secret, &format!("<{twice}>")), "<[redacted]>");
    assert_eq!(
        hide(
            secret,
            "<%2561%2522%2562%255Cc%252Fd+%25C3%25A9%F0%9F%98%80+token>"
        ),
        "<[redacted]>"
    );
    assert_eq!(
        hide(
            secret,
            "<a%5C%22b%5C%5Cc%2Fd%20%5Cu00e9%5Cud83d%5Cude00+token>"
        ),
        "<[redacted]>"
    );
}

// shows K4
#[test]
fn a_secret_of_any_length_is_hidden_at_every_place() {
    let numbers = (0..11_700).map(|number| format!("{number:05}-"));
    let secret = numbers.collect::<Vec<_>>().concat();
    let end = secret.len() - 12;
    assert!(end > MOST_AT_ONCE);
    let near_the_cut = MOST_AT_ONCE - 20..MOST_AT_ONCE;
    let echoes = near_the_cut.chain([0, end]).flat_map(|from| {
        let run = &secret[from..from + 12];
        let digits = general_purpose::STANDARD.encode(run);
        [run.to_owned(), hex::encode(run), digits]
    });
    let words: Vec<String> = echoes.collect();
    let shown = vec![HIDDEN; words.len() + 1].join("|");
    let redactions = Redactions::new(["s3cr3t-token", &secret]);
    let words = format!("s3cr3t-token|{}", words.join("|"));
    assert_eq!(redactions.hide(&words), shown);
}

#[test]
fn words_of_nothing_but_escapes_are_read_as_fast_as_others() {
    let secret = "++++++++++\\\\\\\\\\\\\\\\%%%%%%%%%%%%";
    for odd in [
        "+", "\\", "%", "%2B", "%25", "\\u005c", "\\u0025", "%5C", "+\\",
    ] {
        let words = odd.repeat(MOST_WORDS / odd.len());
        assert!(hide(secret, &words).len() < 30, "{odd}");
    }
    let words = "\\n".repeat(MOST_WORDS / 2);
    assert_eq!(hide(secret, &words), words);
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
    #[test]
    fn no_eight_characters_of_a_secret_are_shown_however_they_are_spelled(
        secret in prop_oneof![3 => OF_ONE_LINE, 3 => OF_LINES, 1 => OF_WORDS, 1 => OF_PEM],
        user in "[a-z]{1,12}",
        // A mark is in place of what was hidden, so nothing around it completes a run.
        before in "[ -~é]{0,40}",
        after in "[ -~é]{0,40}",
        choices in any::<Choices>(),
    ) {
        let echo = Echo::new(&secret, &user, choices);
        let shown = hide(&secret, &format!("{before}{}{after}", echo.words));
        prop_assert_eq!(echo.found_in(&shown, &secret), None, "{} in {}", echo.words, shown);
    }
}
