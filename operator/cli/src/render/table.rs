//! Tables without lines, as kubectl prints them: headings in capitals, columns apart by spaces. No cell is
//! broken, so that names can be copied; on a screen that is too narrow the columns that matter least are
//! left out.

use comfy_table::{Attribute, Cell, CellAlignment, Color, Table as Layout, TableStyle};

use super::text::{plain, width};
use crate::screen::{Screen, Tone};

/// Spaces between two columns.
const GAP: u16 = 2;

/// A table.
pub(crate) struct Table {
    /// True if the first column is the namespace.
    with_namespace: bool,
    headings: Vec<&'static str>,
    right: Vec<&'static str>,
    optional: Vec<&'static str>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// Begins a table of objects, with a column of their namespaces in front if several are asked.
    pub(crate) fn new(mut headings: Vec<&'static str>, with_namespace: bool) -> Self {
        if with_namespace {
            headings.insert(0, "NAMESPACE");
        }
        Self {
            with_namespace,
            headings,
            right: Vec::new(),
            optional: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Aligns columns to the right, as numbers are.
    pub(crate) fn right(mut self, headings: &[&'static str]) -> Self {
        self.right = headings.to_vec();
        self
    }

    /// Names the columns that are left out on a screen that is too narrow, the first one first.
    pub(crate) fn optional(mut self, headings: &[&'static str]) -> Self {
        self.optional = headings.to_vec();
        self
    }

    /// Adds a row about an object of this namespace.
    pub(crate) fn row(&mut self, namespace: &str, mut cells: Vec<(String, Tone)>) {
        if self.with_namespace {
            cells.insert(0, plainly(namespace));
        }
        self.rows.push(cells);
    }

    /// Returns the text, each line with its end.
    pub(crate) fn render(&self, screen: &Screen) -> String {
        let mut layout = Layout::new();
        layout.load_style(TableStyle::new());
        if screen.colours {
            layout.enforce_styling();
        } else {
            layout.force_no_tty();
        }
        let shown = self.shown(screen);
        let heading =
            |index: &usize| Cell::new(self.headings[*index]).add_attribute(Attribute::Bold);
        layout.set_header(shown.iter().map(heading));
        for row in &self.rows {
            let cells = shown.iter().filter_map(|index| row.get(*index));
            layout.add_row(cells.map(|(text, tone)| cell(text, *tone)));
        }
        for (column, index) in layout.column_iter_mut().zip(&shown) {
            let last = Some(index) == shown.last();
            column.set_padding((0, if last { 0 } else { GAP }));
            if self.right.contains(&self.headings[*index]) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines = layout.lines().map(|line| line.trim_end().to_owned() + "\n");
        lines.collect()
    }

    /// Returns the columns that fit.
    fn shown(&self, screen: &Screen) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.headings.len()).collect();
        let columns = |shown: &[usize]| {
            let widths = shown.iter().map(|index| {
                let cells = self.rows.iter().filter_map(|row| row.get(*index));
                let cells = cells.map(|(text, _)| width(&plain(text))).max();
                cells.unwrap_or_default().max(width(self.headings[*index]))
            });
            widths.sum::<usize>() + shown.len().saturating_sub(1) * usize::from(GAP)
        };
        for heading in &self.optional {
            if screen.width.is_some_and(|screen| columns(&shown) > screen) {
                shown.retain(|index| self.headings[*index] != *heading);
            }
        }
        shown
    }
}

fn cell(text: &str, tone: Tone) -> Cell {
    let cell = Cell::new(plain(text));
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Busy => cell.fg(Color::DarkYellow),
        Tone::Bad => cell.fg(Color::DarkRed),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
        Tone::Bold => cell.add_attribute(Attribute::Bold),
    }
}

/// Returns a cell without a colour.
pub(crate) fn plainly(text: impl Into<String>) -> (String, Tone) {
    (text.into(), Tone::Plain)
}

/// Returns a cell without a colour; `-` where there is nothing.
pub(crate) fn or_dash(text: Option<&str>) -> (String, Tone) {
    plainly(text.filter(|it| !it.is_empty()).unwrap_or("-"))
}
