//! Headers of requests that a decision depends on: tokens, tags and waits.
//!
//! Decides what they mean (RFC 9110 section 13, RFC 6750, RFC 7240). One that cannot be read counts as
//! absent, as the description of the API says, but for If-Match, which then matches nothing. Called at
//! the beginning of a request.

/// The longest time for which a request is held, in seconds.
pub const LONGEST_WAIT: u32 = 60;

/// Returns the token of a header Authorization that has this scheme, in any case.
pub fn token<'a>(authorization: Option<&'a str>, scheme: &str) -> Option<&'a str> {
    let (found, token) = authorization?.trim().split_once(' ')?;
    let token = token.trim();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (found.eq_ignore_ascii_case(scheme) && is_token).then_some(token)
}

/// Returns the tags of a list, each with true if it is weak; `None` if it is no list of tags.
fn tags(list: &str) -> Option<Vec<(bool, &str)>> {
    let mut rest = list.trim();
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let (is_weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let opaque = quoted.strip_prefix('"')?;
        let (opaque, after) = opaque.split_once('"')?;
        tags.push((is_weak, opaque));
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => "",
            None => return None,
        };
    }
    Some(tags)
}

fn opaque(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// True if a header If-None-Match names this tag, by weak comparison.
pub fn names(if_none_match: Option<&str>, etag: &str) -> bool {
    let Some(list) = if_none_match else {
        return false;
    };
    if list.trim() == "*" {
        return true;
    }
    let tags = tags(list).unwrap_or_default();
    tags.iter().any(|(_, tag)| *tag == opaque(etag))
}

/// True if a header If-Match lets a change of what has this tag through, by strong comparison.
pub fn lets(if_match: Option<&str>, etag: &str) -> bool {
    let Some(list) = if_match.filter(|list| list.trim() != "*") else {
        return true;
    };
    let tags = tags(list).unwrap_or_default();
    tags.iter()
        .any(|(is_weak, tag)| !is_weak && *tag == opaque(etag))
}

/// Returns the greatest number among the tags of a list: the newest version that its sender knows of.
pub fn newest(list: &str) -> Option<i64> {
    let tags = tags(list).unwrap_or_default();
    tags.iter().filter_map(|(_, tag)| tag.parse().ok()).max()
}

/// Returns the seconds for which a request may be held; `None` if it asks for no wait.
pub fn wait<'a>(prefer: impl IntoIterator<Item = &'a str>) -> Option<u32> {
    preferred_wait(prefer).filter(|seconds| *seconds > 0)
}

/// Returns the time that `Prefer` asks to be waited for an answer, in seconds, 0 included; `None` if it
/// asks for none, or in another form.
pub fn preferred_wait<'a>(prefer: impl IntoIterator<Item = &'a str>) -> Option<u32> {
    let preferences = prefer.into_iter().flat_map(|header| header.split(','));
    for preference in preferences {
        let bare = preference.split(';').next().unwrap_or_default();
        let Some((name, value)) = bare.split_once('=') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("wait") {
            let value = value.trim().trim_matches('"');
            let is_number = !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit());
            // More digits than a number has are a long wait, too.
            let seconds = value.parse().unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
            return is_number.then_some(seconds);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows C17
    #[test]
    fn a_token_has_its_scheme_in_any_case_and_no_blank_in_it() {
        for (header, expected) in [
            (Some("Bearer abc"), Some("abc")),
            (Some("bearer   abc "), Some("abc")),
            (Some("Basic abc"), None),
            (Some("Bearer"), None),
            (Some("Bearer "), None),
            (Some("Bearer a b"), None),
            (Some("Bearer ä"), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(token(header, "Bearer"), expected, "{header:?}");
        }
        assert_eq!(token(Some("targettoken x"), "TargetToken"), Some("x"));
    }

    #[test]
    fn tags_are_compared_as_the_standard_says() {
        for (list, weakly, strongly) in [
            ("\"12\"", true, true),
            ("W/\"12\"", true, false),
            ("\"11\", \"12\"", true, true),
            ("\"a,b\",\"12\"", true, true),
            ("*", true, true),
            ("\"13\"", false, false),
            ("12", false, false),
            ("\"12", false, false),
            ("\"12\" \"13\"", false, false),
            ("", false, false),
        ] {
            assert_eq!(names(Some(list), "\"12\""), weakly, "{list}");
            assert_eq!(lets(Some(list), "\"12\""), strongly, "{list}");
        }
        assert!(!names(None, "\"12\"") && lets(None, "\"12\""));
    }

    #[test]
    fn the_newest_version_of_a_list_is_its_greatest_number() {
        for (list, expected) in [
            ("\"12\"", Some(12)),
            ("\"9\", W/\"12\", \"a\"", Some(12)),
            ("\"99999999999999999999\"", None),
            ("\"a\"", None),
            ("12", None),
            ("*", None),
        ] {
            assert_eq!(newest(list), expected, "{list}");
        }
    }

    // shows C9
    #[test]
    fn a_wait_is_a_number_of_seconds_and_a_minute_at_most() {
        for (headers, expected) in [
            (&["wait=60"][..], Some(60)),
            (&["respond-async, Wait = 5; foo"], Some(5)),
            (&["respond-async", "wait=\"7\""], Some(7)),
            (&["wait=86400"], Some(60)),
            (&["wait=99999999999999999999"], Some(60)),
            (&["wait=0"], None),
            (&["wait=-1"], None),
            (&["wait=5.5"], None),
            (&["wait"], None),
            (&["waiting=5"], None),
            (&[], None),
        ] {
            assert_eq!(wait(headers.iter().copied()), expected, "{headers:?}");
        }
    }
}
