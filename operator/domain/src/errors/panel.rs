//! The text on the panel of a device: its language, and the form that has room there (A6, A7).
//!
//! The id of the order is never cut. Where the long text has no room, or has characters that the panel
//! lacks, the short one is taken, then those of the fallback, then the id alone.

use entente_crds::v1alpha1::{MAX_TWIN_TEXT, MessageTextSpec, PanelText};
use unicode_width::UnicodeWidthStr as _;

/// Room on a panel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capacity {
    /// Number of columns of a line; a wide character takes two.
    pub columns: Option<u16>,
    /// Number of lines that one message may take.
    pub lines: Option<u16>,
    /// Number of octets of a message.
    pub octets: Option<usize>,
    /// True if it shows characters of ASCII only.
    pub is_ascii: bool,
}

impl Capacity {
    /// True if a text has room.
    fn has_room_for(&self, text: &str) -> bool {
        let lines = self.lines.unwrap_or(1).max(1);
        let room = self
            .columns
            .map(|columns| usize::from(columns) * usize::from(lines));
        (!self.is_ascii || text.is_ascii())
            && room.is_none_or(|room| text.width() <= room)
            && self.octets.is_none_or(|most| text.len() <= most)
    }
}

/// Words that take their places in a text.
#[derive(Clone, Copy, Debug)]
pub struct PanelWords<'a> {
    /// Id of the order.
    pub order: &'a str,
    /// Name of the supply.
    pub supply: &'a str,
    /// Name of the Device.
    pub device: &'a str,
}

/// Reason for which a panel cannot have a text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextFault {
    /// No MessageText has the type of error.
    #[error("no MessageText has texts for errors of type {0}")]
    NoText(String),
    /// The panel is smaller than the id of the order.
    #[error("the panel has no room for the id {0} of the order")]
    NoRoom(String),
}

/// Returns language and text for a panel.
///
/// # Errors
/// Not even the id of the order has room.
pub fn panel_text(
    texts: &MessageTextSpec,
    language: Option<&str>,
    words: PanelWords<'_>,
    capacity: Capacity,
) -> Result<(String, String), TextFault> {
    let own = language.and_then(|language| in_language(texts, language));
    let fallback = in_language(texts, &texts.fallback);
    for found in [own, fallback].into_iter().flatten() {
        let forms = std::iter::once(&found.text).chain(&found.short);
        for form in forms {
            let text = filled(form, words);
            if capacity.has_room_for(&text) {
                return Ok((found.language.clone(), text));
            }
        }
    }
    if capacity.has_room_for(words.order) {
        return Ok((texts.fallback.clone(), words.order.to_owned()));
    }
    Err(TextFault::NoRoom(words.order.to_owned()))
}

/// Returns language, text and short text for a device that chooses between both by itself. `capacity` is the
/// room that it says it has.
///
/// # Errors
/// Not even the id of the order has room.
pub fn twin_texts(
    texts: &MessageTextSpec,
    language: Option<&str>,
    words: PanelWords<'_>,
    capacity: Capacity,
) -> Result<(String, String, String), TextFault> {
    let own = language.and_then(|language| in_language(texts, language));
    let found = own.or_else(|| in_language(texts, &texts.fallback));
    let found = found.ok_or_else(|| TextFault::NoText(texts.error_type.clone()))?;
    let bounded = |form: &str| {
        let text = filled(form, words);
        let is_long = text.chars().count() > MAX_TWIN_TEXT;
        if is_long {
            words.order.to_owned()
        } else {
            text
        }
    };
    let text = bounded(&found.text);
    let short = bounded(found.short.as_ref().unwrap_or(&found.text));
    // One language for both: the short one is that of the fallback, or the id alone, only where it must be.
    let fitting = [&text, &short]
        .into_iter()
        .find(|it| capacity.has_room_for(it));
    let short = match fitting {
        Some(_) if capacity.has_room_for(&short) => short,
        Some(fitting) => fitting.clone(),
        None => panel_text(texts, language, words, capacity)?.1,
    };
    Ok((found.language.clone(), text, short))
}

/// Returns the text of a language: that of its whole tag, else that of a shorter one (RFC 4647, "Lookup").
fn in_language<'a>(texts: &'a MessageTextSpec, language: &str) -> Option<&'a PanelText> {
    let mut tag = language;
    loop {
        let mut all = texts.texts.iter();
        if let Some(found) = all.find(|text| text.language.eq_ignore_ascii_case(tag)) {
            return Some(found);
        }
        (tag, _) = tag.rsplit_once('-')?;
    }
}

/// Fills the places of a text in one go: nothing that is filled in is a place again.
fn filled(form: &str, words: PanelWords<'_>) -> String {
    let mut text = String::new();
    let mut rest = form;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let places = [
            ("{orderId}", words.order),
            ("{supply}", words.supply),
            ("{device}", words.device),
        ];
        let place = places
            .into_iter()
            .find(|(place, _)| rest.starts_with(place));
        let (place, word) = place.unwrap_or(("{", "{"));
        text.push_str(word);
        rest = &rest[place.len()..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(long: &str, short: Option<&str>) -> MessageTextSpec {
        MessageTextSpec {
            error_type: "TonerEmpty".to_owned(),
            texts: vec![PanelText {
                language: "en".to_owned(),
                text: long.to_owned(),
                short: short.map(str::to_owned),
            }],
            fallback: "en".to_owned(),
        }
    }

    fn of_twin(
        texts: &MessageTextSpec,
        order: &str,
        room: Option<(u16, u16)>,
    ) -> Result<(String, String), TextFault> {
        let words = PanelWords {
            order,
            supply: "black-toner",
            device: "lobby-mfp",
        };
        let capacity = Capacity {
            columns: room.map(|it| it.0),
            lines: room.map(|it| it.1),
            ..Capacity::default()
        };
        let found = twin_texts(texts, Some("fr"), words, capacity)?;
        assert_eq!(found.0, "en", "it is that of the fallback");
        Ok((found.1, found.2))
    }

    // shows A7
    #[test]
    fn a_device_that_chooses_gets_both_texts_whole_and_a_short_one_that_has_room() {
        let both = texts("{supply} is empty: {orderId}", Some("Ordered {orderId}"));
        let long = "black-toner is empty: PO-1".to_owned();
        for (room, short) in [
            (None, "Ordered PO-1"),
            (Some((24, 2)), "Ordered PO-1"),
            (Some((12, 1)), "Ordered PO-1"),
            (Some((6, 1)), "PO-1"),
        ] {
            let expected = Ok((long.clone(), short.to_owned()));
            assert_eq!(of_twin(&both, "PO-1", room), expected, "{room:?}");
        }
        let no_room = Err(TextFault::NoRoom("PO-1".to_owned()));
        assert_eq!(of_twin(&both, "PO-1", Some((3, 1))), no_room);
        let one = texts("Ordered {orderId}", None);
        let same = "Ordered PO-1".to_owned();
        assert_eq!(of_twin(&one, "PO-1", None), Ok((same.clone(), same)));
    }

    // shows A7 K4
    #[test]
    fn a_text_that_is_too_long_for_a_twin_is_the_id_of_the_order_and_never_a_part_of_it() {
        let order = "P".repeat(128);
        let long = texts(&"{orderId} ".repeat(25), Some("{orderId}"));
        assert_eq!(of_twin(&long, &order, None), Ok((order.clone(), order)));
    }
}
