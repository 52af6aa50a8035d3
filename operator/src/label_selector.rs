//! The flag `--selector`: decides whether a text is a label selector, as the API server reads one.
//!
//! A watch with a selector that the API server refuses would be tried again for ever, so the text is
//! refused at the start. The grammar is that of `labels.Parse` of apimachinery. It never decides what
//! a selector selects: the API server does. Called by `args`.

use std::{iter::Peekable, str::CharIndices};

/// Longest name of a label, and longest value, in bytes.
const LONGEST: usize = 63;
/// Longest prefix of a label's name (a domain), in bytes.
const LONGEST_PREFIX: usize = 253;

/// Returns the text if it is a label selector; an empty one selects everything.
pub(crate) fn label_selector(text: &str) -> Result<String, String> {
    let mut tokens = Tokens(text, text.char_indices().peekable()).peekable();
    let read = match tokens.peek() {
        None => Ok(()),
        Some(_) => requirements(&mut tokens),
    };
    read.map(|()| text.to_owned()).map_err(|fault| {
        format!(
            "\"{text}\" must be a label selector such as team=print, tier in (gold,silver) or !test, \
             with a comma between several; {fault}"
        )
    })
}

/// A word, or one of the signs of the grammar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token<'t> {
    Word(&'t str),
    Sign(&'t str),
}

/// The tokens of a text, with what is left of it.
struct Tokens<'t>(&'t str, Peekable<CharIndices<'t>>);

const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

fn is_sign(found: char) -> bool {
    "=!(),><".contains(found)
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let Self(text, chars) = self;
        while chars.next_if(|(_, it)| " \t\r\n".contains(*it)).is_some() {}
        let (begin, first) = *chars.peek()?;
        let rest = &text[begin..];
        if is_sign(first) {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign))?;
            for _ in sign.chars() {
                chars.next();
            }
            return Some(Token::Sign(sign));
        }
        let is_end = |it: char| is_sign(it) || " \t\r\n".contains(it);
        let word = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        for _ in word.chars() {
            chars.next();
        }
        Some(Token::Word(word))
    }
}

type Rest<'t> = Peekable<Tokens<'t>>;

/// Reads one requirement, and all that follow after commas.
fn requirements(tokens: &mut Rest<'_>) -> Result<(), String> {
    loop {
        requirement(tokens)?;
        match tokens.next() {
            None => return Ok(()),
            Some(Token::Sign(",")) => {}
            found => return Err(unexpected(found, "a comma or the end")),
        }
    }
}

fn requirement(tokens: &mut Rest<'_>) -> Result<(), String> {
    let is_absent = tokens.next_if_eq(&Token::Sign("!")).is_some();
    match tokens.next() {
        Some(Token::Word(key)) => name(key)?,
        found => return Err(unexpected(found, "the name of a label")),
    }
    if is_absent {
        return Ok(());
    }
    let operator = match tokens.peek() {
        None | Some(Token::Sign(",")) => return Ok(()),
        Some(operator) => *operator,
    };
    tokens.next();
    match operator {
        Token::Sign("=" | "==" | "!=") => match tokens.peek() {
            // The value may be empty.
            None | Some(Token::Sign(",")) => Ok(()),
            Some(_) => one(tokens, value),
        },
        Token::Sign(">" | "<") => one(tokens, number),
        Token::Word("in" | "notin") => list(tokens),
        found => Err(unexpected(
            Some(found),
            "one of =, ==, !=, in, notin, < and >",
        )),
    }
}

/// Reads one word.
fn one(tokens: &mut Rest<'_>, check: fn(&str) -> Result<(), String>) -> Result<(), String> {
    match tokens.next() {
        Some(Token::Word(word)) => check(word),
        found => Err(unexpected(found, "a value")),
    }
}

/// Reads values in parentheses, each of which may be empty.
fn list(tokens: &mut Rest<'_>) -> Result<(), String> {
    if tokens.next_if_eq(&Token::Sign("(")).is_none() {
        return Err("in and notin need values in parentheses".to_owned());
    }
    let mut after_word = false;
    loop {
        match tokens.next() {
            Some(Token::Sign(")")) => return Ok(()),
            Some(Token::Sign(",")) => after_word = false,
            Some(Token::Word(word)) if !after_word => {
                value(word)?;
                after_word = true;
            }
            found => return Err(unexpected(found, "a comma or a closing parenthesis")),
        }
    }
}

fn unexpected(found: Option<Token<'_>>, wanted: &str) -> String {
    match found {
        None => format!("it ends where {wanted} was expected"),
        Some(Token::Word(text) | Token::Sign(text)) => {
            format!("found \"{text}\" where {wanted} was expected")
        }
    }
}

/// Checks the name of a label, which may begin with a domain and a slash.
fn name(text: &str) -> Result<(), String> {
    let (prefix, name) = text
        .split_once('/')
        .map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let is_name = is_plain(name, |it| "-_.".contains(it)) && name.len() <= LONGEST;
    let is_domain = prefix.is_none_or(|prefix| {
        prefix.len() <= LONGEST_PREFIX
            && prefix == prefix.to_ascii_lowercase()
            && prefix.split('.').all(|part| is_plain(part, |it| it == '-'))
    });
    (is_name && is_domain).then_some(()).ok_or_else(|| {
        format!("\"{text}\" is no name of a label, such as team or example.com/team")
    })
}

fn value(text: &str) -> Result<(), String> {
    let is_value = is_plain(text, |it| "-_.".contains(it)) && text.len() <= LONGEST;
    is_value.then_some(()).ok_or_else(|| {
        format!(
            "\"{text}\" is no value of a label: at most {LONGEST} letters, digits, hyphens, \
             underscores and dots, with a letter or digit at both ends"
        )
    })
}

fn number(text: &str) -> Result<(), String> {
    value(text)?;
    let read = text.parse::<i64>();
    read.map(drop)
        .map_err(|_| format!("\"{text}\" is no whole number, as < and > need one"))
}

/// True if a text has letters and digits, at both ends too, and between them also others.
fn is_plain(text: &str, other: fn(char) -> bool) -> bool {
    let is_alphanumeric = |it: char| it.is_ascii_alphanumeric();
    text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.chars().all(|it| is_alphanumeric(it) || other(it))
}

#[cfg(test)]
mod tests {
    use super::label_selector;

    /// Each of these and of those below was sent to an API server.
    const TAKEN: [&str; 25] = [
        "",
        "  ",
        "team",
        "!team",
        "! team",
        "team=print",
        "team==print",
        "team!=print",
        "team=",
        "team!=,other",
        " team = print , other ",
        "team in (a)",
        "team in (a,b)",
        "team notin(a, b)",
        "team in (,)",
        "team in (a,)",
        "team in (in,notin)",
        "in in (in)",
        "size>1",
        "size<1",
        "a in ()",
        "example.com/team=A_b.c-D",
        "a,b=c,!d,e in (f)",
        "team=in",
        "1=2",
    ];

    const REFUSED: [&str; 25] = [
        "a=b=c",
        "!!",
        "!",
        ",",
        "a,",
        ",a",
        "a,,b",
        "=b",
        "a b",
        "a=b c",
        "a in",
        "a in b",
        "a<-1",
        "a in (b",
        "a in (b c)",
        "!a=b",
        "a=!b",
        "a=(b)",
        "a>b",
        "-a=b",
        "a=-b",
        "Example.com/a",
        "x/y/z",
        "a=b/c",
        "a=é",
    ];

    #[test]
    fn a_selector_is_read_as_the_api_server_reads_it() {
        let longest = ["a".repeat(63), format!("a={}", "b".repeat(63))];
        for text in TAKEN.into_iter().chain(longest.iter().map(|it| &**it)) {
            assert_eq!(label_selector(text).as_deref(), Ok(text));
        }
        let longer = ["a".repeat(64), format!("a={}", "b".repeat(64))];
        for text in REFUSED.into_iter().chain(longer.iter().map(|it| &**it)) {
            let said = label_selector(text).unwrap_err();
            let begin = format!("\"{text}\" must be a label selector such as ");
            assert!(said.starts_with(&begin), "{said}");
        }
    }

    #[test]
    fn a_fault_says_what_was_found_and_what_was_expected() {
        let said = label_selector("a=b=c").unwrap_err();
        let end = "found \"=\" where a comma or the end was expected";
        assert!(said.ends_with(end), "{said}");
    }
}
