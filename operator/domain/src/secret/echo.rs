//! Echoes of secrets: the ways in which a remote side may say a secret that it was sent.
//!
//! For tests of this crate and of the drivers (feature `echo`); never part of a program. Decides
//! which spellings the redaction promises to know, and finds what it left (K4): a run of eight
//! characters of a secret, in any of these spellings. Knows nothing of how the redaction works.

use base64::{Engine as _, engine::general_purpose};

/// Secrets of one line, such as passwords and tokens, as a regular expression.
pub const OF_ONE_LINE: &str = "[!-~é😀]{8,40}( [!-~]{8,20})?";

/// Secrets of words, some of which are not of ASCII, as a regular expression.
pub const OF_WORDS: &str = "([!-~]{1,6}[ \\t\u{a0}éÉß]){3,8}[!-~]{4}";

/// Secrets of several lines, as a regular expression.
pub const OF_LINES: &str = "[!-~é😀]{8,40}( [!-~]{8,20})?(\n[!-~]{12,40}){1,2}";

/// Keys in PEM (RFC 7468), as a regular expression.
pub const OF_PEM: &str = "-----BEGIN PRIVATE KEY-----(\r?\n[A-Za-z0-9+/]{64}){1,3}\n[A-Za-z0-9+/]{8,60}={0,2}\n-----END PRIVATE KEY-----\n?";

/// Number of characters of a secret that must not be shown one after the other.
const RUN: usize = 8;

/// One way to spell a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spelling {
    /// As it is.
    Plain,
    /// In capital letters.
    Capitals,
    /// In small letters.
    Small,
    /// As JSON, with the escapes that are necessary (RFC 8259 section 7).
    Json,
    /// As JSON of PHP, which escapes slashes as well.
    JsonOfPhp,
    /// As JSON, every character escaped.
    JsonOfCodes,
    /// Percent-encoded in whole (RFC 3986 section 2.1).
    Percent,
    /// The same with small digits.
    PercentSmall,
    /// Percent-encoded where that is necessary, and a plus for a space.
    Form,
    /// In base64 (RFC 4648 section 4).
    Base64,
    /// In base64 for URLs (RFC 4648 section 5), without padding.
    Base64Url,
    /// In hexadecimal.
    Hex,
    /// In hexadecimal with capital digits.
    HexCapitals,
}

impl Spelling {
    /// All spellings.
    pub const ALL: [Self; 13] = [
        Self::Plain,
        Self::Capitals,
        Self::Small,
        Self::Json,
        Self::JsonOfPhp,
        Self::JsonOfCodes,
        Self::Percent,
        Self::PercentSmall,
        Self::Form,
        Self::Base64,
        Self::Base64Url,
        Self::Hex,
        Self::HexCapitals,
    ];

    /// Spellings that another may be wrapped in: a form in JSON, JSON in a URL.
    const WRAPPING: [Self; 8] = [
        Self::Plain,
        Self::Json,
        Self::JsonOfPhp,
        Self::JsonOfCodes,
        Self::Percent,
        Self::PercentSmall,
        Self::Form,
        Self::Capitals,
    ];

    /// Spells a text.
    pub fn spell(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Capitals => text.to_uppercase(),
            Self::Small => text.to_lowercase(),
            Self::Json => json(text),
            Self::JsonOfPhp => json(text).replace('/', "\\/"),
            Self::JsonOfCodes => joined(text.encode_utf16(), |unit| format!("\\u{unit:04x}")),
            Self::Percent => joined(text.bytes(), |byte| format!("%{byte:02X}")),
            Self::PercentSmall => joined(text.bytes(), |byte| format!("%{byte:02x}")),
            Self::Form => joined(text.bytes(), form),
            Self::Base64 => general_purpose::STANDARD.encode(text),
            Self::Base64Url => general_purpose::URL_SAFE_NO_PAD.encode(text),
            Self::Hex => hex::encode(text),
            Self::HexCapitals => hex::encode_upper(text),
        }
    }

    /// True if white space of the text does not show in it.
    fn is_encoding(self) -> bool {
        matches!(
            self,
            Self::Base64 | Self::Base64Url | Self::Hex | Self::HexCapitals
        )
    }

    /// Spells a run as it may be found inside the spelling of a longer text.
    fn spell_inside(self, run: &str) -> Vec<String> {
        if !matches!(self, Self::Base64 | Self::Base64Url) {
            return vec![self.spell(run)];
        }
        let shifted = |before: usize| {
            let text = format!("{}{run}", &"xx"[..before]);
            let first = (before * 8).div_ceil(6);
            self.spell(&text)[first..text.len() * 8 / 6].to_owned()
        };
        (0..3).map(shifted).collect()
    }
}

fn joined<T>(all: impl Iterator<Item = T>, spell: impl Fn(T) -> String) -> String {
    all.map(spell).collect::<Vec<_>>().concat()
}

/// Returns a text as it is between the quotation marks of JSON.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Returns a byte as a form has it (`application/x-www-form-urlencoded`).
fn form(byte: u8) -> String {
    match byte {
        b' ' => "+".to_owned(),
        b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

/// Numbers that choose an [`Echo`]; all zero are the secret as it is.
pub type Choices = [u8; 8];

/// An echo of a secret.
#[derive(Debug)]
pub struct Echo {
    /// The words of the remote side.
    pub words: String,
    spelling: Spelling,
    wrapping: Spelling,
}

impl Echo {
    /// Returns the echo of a secret that these numbers choose; `user` is the one of a login with it.
    pub fn new(secret: &str, user: &str, choices: Choices) -> Self {
        let [part, from, length, spelling, wrapping, cut, between, width] = choices;
        let spelling = chosen(&Spelling::ALL, spelling);
        let wrapping = chosen(&Spelling::WRAPPING, wrapping);
        let part = part_of(secret, user, part, from.into(), length.into());
        let words = wrapping.spell(&spelling.spell(&part));
        let words = cut_off(&words, cut);
        Self {
            words: folded(&words, between, width.into()),
            spelling,
            wrapping,
        }
    }

    /// Returns the first run of eight characters of a secret that a text still shows, in any spelling
    /// or in that of this echo, as it is found there.
    pub fn found_in(&self, shown: &str, secret: &str) -> Option<String> {
        let shown = comparable(shown);
        let found = |run: &Run| {
            let wrapped = run.spelled(self.spelling);
            let wrapped = wrapped.map(|inner| self.wrapping.spell(&inner));
            let spelled = Spelling::ALL.into_iter();
            let mut spelled = spelled.flat_map(|it| run.spelled(it)).chain(wrapped);
            spelled.find(|it| shown.contains(&comparable(it)))
        };
        runs(secret).iter().find_map(found)
    }
}

fn chosen<T: Copy>(all: &[T], number: u8) -> T {
    all[usize::from(number) % all.len()]
}

/// Returns the part of a secret that is echoed: all of it, its beginning, one of its lines, a run of
/// it, or a login with it.
fn part_of(secret: &str, user: &str, part: u8, from: usize, length: usize) -> String {
    let characters: Vec<char> = secret.chars().collect();
    let most = characters.len().saturating_sub(RUN);
    let run = |from: usize| {
        let rest = &characters[from..];
        let length = RUN + length % (rest.len().saturating_sub(RUN) + 1);
        rest.iter().take(length).collect()
    };
    match part % 5 {
        0 => secret.to_owned(),
        1 => run(0),
        2 => {
            let lines: Vec<&str> = secret.lines().collect();
            lines[from % lines.len()].to_owned()
        }
        3 => run(from % (most + 1)),
        _ => format!("{user}:{secret}"),
    }
}

/// Returns the beginning of an echo, or all of it.
fn cut_off(words: &str, cut: u8) -> String {
    let whole = words.chars().count();
    let kept = if cut.is_multiple_of(2) {
        whole
    } else {
        whole * usize::from(cut) / usize::from(u8::MAX)
    };
    words.chars().take(kept).collect()
}

/// Returns an echo with something that is not seen between its pieces of this width.
fn folded(words: &str, between: u8, width: usize) -> String {
    let between = chosen(
        &["", "\r\n ", " ", "\0", "\u{200b}", "\u{a0}", "\u{feff}\t"],
        between,
    );
    let characters: Vec<char> = words.chars().collect();
    let pieces = characters.chunks(width.max(1));
    let pieces: Vec<String> = pieces.map(|piece| piece.iter().collect()).collect();
    pieces.join(between)
}

/// True for a character that a fold may add or take away.
fn is_white(found: char) -> bool {
    found.is_whitespace() || entente_crds::bounded::is_unseen(found)
}

/// Returns a text without what a fold adds and what a change of case changes.
fn comparable(text: &str) -> String {
    let seen = text.chars().filter(|found| !is_white(*found));
    seen.collect::<String>().to_ascii_lowercase()
}

/// Eight characters of a secret, one after the other.
struct Run {
    text: String,
    /// True if two of them are white: too few are left where white space is not compared.
    has_fold: bool,
}

impl Run {
    /// Returns the run in a spelling, as it may be found inside that of a longer text.
    fn spelled(&self, spelling: Spelling) -> impl Iterator<Item = String> {
        let is_compared = spelling.is_encoding() || !self.has_fold;
        let spelled = is_compared.then(|| spelling.spell_inside(&self.text));
        spelled.into_iter().flatten()
    }
}

/// Returns every run of eight characters of a secret, as it is and with one space for each of its
/// white spaces; the frame of a PEM text is no secret.
fn runs(secret: &str) -> Vec<Run> {
    let mut bodies = vec![String::new()];
    for line in secret.split_inclusive('\n') {
        match bodies.last_mut() {
            Some(body) if !line.starts_with("-----") => body.push_str(line),
            _ => bodies.push(String::new()),
        }
    }
    let one_space = |body: &String| {
        let words = body.split(is_white).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    };
    let mut texts: Vec<String> = bodies.iter().map(one_space).collect();
    texts.extend(bodies.iter().map(|body| body.trim().to_owned()));
    let mut found = Vec::new();
    for text in texts {
        let characters: Vec<char> = text.chars().collect();
        found.extend(characters.windows(RUN).map(|run| Run {
            text: run.iter().collect(),
            has_fold: run.windows(2).any(|two| two.iter().all(|it| is_white(*it))),
        }));
    }
    found
}
