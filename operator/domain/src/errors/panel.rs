//! The text on the panel of a device: its language, and the form that has room there (A6, A7).
//!
//! The id of the order is never cut. Where the long text has no room, or has characters that the panel
//! lacks, the short one is taken, then those of the fallback, then the id alone.

use entente_crds::v1alpha1::{MessageTextSpec, PanelText};
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
