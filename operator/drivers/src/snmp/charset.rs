//! Texts of agents, whose octets are of the character set of a localization (prtLocalizationCharacterSet
//! of RFC 3805), or of any other.
//!
//! Pure. A text that cannot be read becomes one with signs in place of what cannot; it never fails.
//! Called by `printer` and the driver.

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4,
    ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14,
    ISO_8859_15, KOI8_R, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1251,
    WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257,
    WINDOWS_1258,
};

/// A character set, by its number in the registry of IANA (MIBenum).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct CharacterSet(Option<&'static Encoding>);

impl CharacterSet {
    /// Returns the character set with this number; one that is not known counts as none.
    pub(super) fn of(number: i64) -> Self {
        Self(Some(match number {
            4 | 2252 => WINDOWS_1252,
            5 => ISO_8859_2,
            6 => ISO_8859_3,
            7 => ISO_8859_4,
            8 => ISO_8859_5,
            9 => ISO_8859_6,
            10 => ISO_8859_7,
            11 => ISO_8859_8,
            12 | 2254 => WINDOWS_1254,
            13 => ISO_8859_10,
            17 | 2024 => SHIFT_JIS,
            18 => EUC_JP,
            38 => EUC_KR,
            39 => ISO_2022_JP,
            106 => UTF_8,
            109 => ISO_8859_13,
            110 => ISO_8859_14,
            111 => ISO_8859_15,
            113 | 2025 => GBK,
            114 => GB18030,
            1000 | 1013 | 1015 => UTF_16BE,
            1014 => UTF_16LE,
            2026 => BIG5,
            2084 => KOI8_R,
            2250 => WINDOWS_1250,
            2251 => WINDOWS_1251,
            2253 => WINDOWS_1253,
            2255 => WINDOWS_1255,
            2256 => WINDOWS_1256,
            2257 => WINDOWS_1257,
            2258 => WINDOWS_1258,
            _ => return Self(None),
        }))
    }

    /// True if a text with characters beyond ASCII can be written in it.
    pub(super) fn has_more_than_ascii(self) -> bool {
        self.0.is_some()
    }

    /// Reads a text, without what is behind its first NUL and without blanks at its end.
    pub(super) fn read(self, octets: &[u8]) -> String {
        let is_wide = self.0 == Some(UTF_16BE) || self.0 == Some(UTF_16LE);
        if is_wide && (!octets.is_ascii() || octets.contains(&0)) {
            return decoded(self.0.unwrap_or(UTF_16BE), octets);
        }
        let end = octets.iter().position(|octet| *octet == 0);
        let octets = &octets[..end.unwrap_or(octets.len())];
        // Many agents name a set and write UTF-8: other octets are UTF-8 by the rarest chance.
        if let Ok(text) = str::from_utf8(octets)
            && (self.0 != Some(ISO_2022_JP) || !octets.contains(&0x1b))
        {
            return text.trim_end().to_owned();
        }
        let encoding = self.0.filter(|known| *known != UTF_8);
        decoded(encoding.unwrap_or(WINDOWS_1252), octets)
    }

    /// Returns the octets of a text; `None` if the set does not have one of its characters.
    pub(super) fn write(self, text: &str) -> Option<Vec<u8>> {
        if text.is_ascii() && self.0 != Some(UTF_16BE) && self.0 != Some(UTF_16LE) {
            return Some(text.as_bytes().to_vec());
        }
        match self.0? {
            known if known == UTF_16BE => {
                Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect())
            }
            known if known == UTF_16LE => {
                Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
            }
            known => {
                let (octets, _, has_unmappable) = known.encode(text);
                (!has_unmappable).then(|| octets.into_owned())
            }
        }
    }
}

fn decoded(encoding: &'static Encoding, octets: &[u8]) -> String {
    let (text, _) = encoding.decode_without_bom_handling(octets);
    let end = text.find('\0').unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows A2
    #[test]
    fn a_text_of_any_set_becomes_a_text() {
        let sets = [
            (0, &b"Toner low"[..], "Toner low"),
            (
                106,
                "Tonerkassette fehlt für Büro".as_bytes(),
                "Tonerkassette fehlt für Büro",
            ),
            (4, b"Papier zuf\xfchren", "Papier zuführen"),
            // UTF-8 although the agent says Latin-1.
            (4, "Papier zuführen".as_bytes(), "Papier zuführen"),
            // No set at all, and no UTF-8.
            (0, b"Pap\xe9", "Papé"),
            (17, b"\x83g\x83i\x81[", "トナー"),
            (18, b"\xa5\xc8\xa5\xca\xa1\xbc", "トナー"),
            (1013, b"\x30\xc8\x30\xca", "トナ"),
            (4, b"Ready\0\0\0garbage", "Ready"),
            (106, b"Ready   ", "Ready"),
            (17, b"\x83", "\u{fffd}"),
            (0, b"", ""),
        ];
        for (number, octets, text) in sets {
            assert_eq!(
                CharacterSet::of(number).read(octets),
                text,
                "{number} {octets:?}"
            );
        }
    }

    #[test]
    fn a_text_is_written_in_the_set_of_the_panel_or_not_at_all() {
        for (number, text, octets) in [
            (17, "トナー PO-1", Some(&b"\x83g\x83i\x81[ PO-1"[..])),
            (4, "Büro", Some(b"B\xfcro")),
            (4, "トナー", None),
            (0, "PO-1", Some(b"PO-1")),
            (3, "Büro", None),
            (0, "Büro", None),
            (106, "Büro", Some("Büro".as_bytes())),
            (1013, "A", Some(b"\0A")),
        ] {
            let written = CharacterSet::of(number).write(text);
            assert_eq!(written.as_deref(), octets, "{number} {text}");
        }
    }
}
