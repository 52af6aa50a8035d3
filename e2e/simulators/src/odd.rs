//! The zoo of odd printers: answers of IPP that real printers gave, or that RFC 8010 and RFC 8011
//! leave room for, as data.
//!
//! A row says how an answer is odd, and the right verdict on it in words. It decides the octets of
//! an answer, given what the printer really has; it never decides what a client should do, and
//! knows none. Called by simulated printers (fault `Odd`), by the tests of the IPP driver in
//! process, and by end-to-end tests. To add one, add a row to `odd/rows.rs` or `odd/endings.rs`.

mod endings;
mod rows;
mod wire;

pub use wire::{Sent, Truth};

/// Text setting on which rows are odd: a name that the printer has to have.
pub const TEXT: &str = "nw-alert-unit";
/// Integer setting on which rows are odd.
pub const NUMBER: &str = "nw-alert-threshold";
/// An attribute that nobody asks for.
pub(crate) const UNASKED: &str = "media-supported";
pub(crate) const UUID: &str = "printer-uuid";
pub(crate) const MODEL: &str = "printer-make-and-model";

/// One odd printer.
#[derive(Debug)]
pub struct Odd {
    /// Its name, which is the only one.
    pub name: &'static str,
    /// Public report of such a printer as owner/repository#number, or the section of a standard;
    /// empty: nobody reported it yet.
    pub seen: &'static str,
    /// Requests that are answered oddly.
    pub on: On,
    /// The answer.
    pub answer: Answer,
    /// The right verdict.
    pub verdict: Verdict,
    /// True if the row is also tried through the operator.
    pub e2e: bool,
    /// Place where the right verdict is not reached yet. Tests require that it fails there.
    pub known: Known,
}

/// Requests that a printer answers oddly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Get-Printer-Attributes.
    Read,
    /// Get-Printer-Attributes, after the printer was sane and all was set.
    ReadLater,
    /// Set-Printer-Attributes and CUPS-Add-Modify-Printer.
    Write,
}

/// Shape of an answer.
#[derive(Debug)]
pub enum Answer {
    /// An IPP message over HTTP 200.
    Ipp(Head, &'static [Part]),
    /// Another HTTP answer: status, headers, body.
    Http(u16, &'static [(&'static str, &'static str)], &'static [u8]),
    /// Octets in place of an HTTP answer, before the IPP message if there is one.
    Wire(&'static [u8], Option<&'static [Part]>),
    /// The connection is closed.
    Close,
    /// One answer to version 2, and one to version 1.
    ByVersion(&'static Answer, &'static Answer),
}

/// Header of an IPP message.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Version; `None`: that of the request.
    pub version: Option<[u8; 2]>,
    /// Status code.
    pub status: u16,
    /// Request id; `None`: that of the request.
    pub id: Option<i32>,
}

/// Part of an IPP message behind the header.
#[derive(Debug)]
pub enum Part {
    /// Operation attributes with charset and natural language. A message begins with them, unless it
    /// begins with `Bare`.
    Operation,
    /// No operation attributes.
    Bare,
    /// The beginning of a group.
    Group(u8),
    /// A value: its tag, the name of its attribute, its octets.
    Value(u8, &'static str, &'static [u8]),
    /// A value without a name.
    More(u8, &'static [u8]),
    /// A value of so many equal octets.
    Fill(u8, &'static str, u8, usize),
    /// Octets as they are.
    Raw(&'static [u8]),
    /// Every attribute that was asked for, as it really is.
    Asked,
    /// The same but for one.
    But(&'static str),
    /// An attribute that was asked for, with another tag and its first value restated.
    As(&'static str, u8, fn(&[u8]) -> Vec<u8>),
    /// Other parts so many times.
    Times(usize, &'static [Part]),
    /// No tag at the end. It is the last part.
    NoEnd,
}

/// The right verdict on a printer, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All that was asked for is known, and the printer can be set up.
    Well,
    /// This setting alone has a problem for this reason.
    Item(&'static str, &'static str),
    /// The answer does not say which printer it is: no usable answer, and no other printer.
    Hollow,
    /// The printer is not usable for this reason.
    Device(&'static str),
    /// The write is refused for this reason.
    Refused(&'static str),
    /// The write is accepted.
    Taken,
    /// Another printer is there.
    Mismatch,
}

/// Place where a verdict is not reached yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nowhere.
    No,
    /// Through the operator.
    Operator,
}

/// Returns all rows.
pub fn rows() -> impl Iterator<Item = &'static Odd> {
    rows::ROWS.iter().chain(endings::ROWS)
}

/// Returns the row of that name.
pub fn row(name: &str) -> Option<&'static Odd> {
    rows().find(|row| row.name == name)
}

impl Odd {
    /// True if the printer answers a request oddly.
    pub fn meets(&self, write: bool) -> bool {
        (self.on == On::Write) == write
    }

    /// True if its answer is one of HTTP/1.1, or none.
    pub fn is_http(&self) -> bool {
        !matches!(self.answer, Answer::Wire(..))
    }

    /// True if a write that it answers oddly is carried out.
    pub fn carries_out(&self) -> bool {
        self.verdict == Verdict::Taken
    }

    /// Returns the answer to a request.
    pub fn sent(&self, truth: &Truth<'_>) -> Sent {
        wire::sent(&self.answer, truth)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_zoo_is_large_its_names_are_different_and_a_third_of_it_is_for_the_operator() {
        let names: BTreeSet<&str> = rows().map(|row| row.name).collect();
        assert_eq!(names.len(), rows().count());
        assert!(names.len() >= 60, "{}", names.len());
        let e2e = rows().filter(|row| row.e2e).count();
        assert!(e2e * 3 >= names.len(), "{e2e} of {}", names.len());
    }
}
