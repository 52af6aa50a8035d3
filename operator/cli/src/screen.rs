//! The screen: its width, and whether it shows colours.

use std::io::IsTerminal as _;

use anstyle::{AnsiColor, Style};

/// Properties of the place where an answer is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Number of columns; `None` if the answer goes to a file or a program, where lines are not broken.
    pub(crate) width: Option<usize>,
    /// True if colours are shown.
    pub(crate) colours: bool,
}

impl Screen {
    /// Returns that of standard output. `COLUMNS` decides the width if it is set; colours are shown on
    /// a terminal only, and not with `NO_COLOR` (<https://no-color.org>) nor on a dumb one.
    pub(crate) fn of_process() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_terminal = std::io::stdout().is_terminal();
        let columns = set("COLUMNS").and_then(|text| text.parse().ok());
        let width = columns.or_else(|| {
            let table = comfy_table::Table::new();
            is_terminal.then(|| table.width().map(usize::from))?
        });
        let is_dumb = set("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: width.filter(|columns| *columns > 0),
            colours: is_terminal && set("NO_COLOR").is_none() && !is_dumb,
        }
    }

    /// Returns a text in the colours of a tone.
    pub(crate) fn paint(&self, text: &str, tone: Tone) -> String {
        if !self.colours || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}

/// Meaning of a text, which decides its colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// Well.
    Good,
    /// Under way.
    Busy,
    /// Wrong.
    Bad,
    /// Beside the point.
    Dim,
    /// A name or a heading.
    Bold,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Busy => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Dim => Style::new().dimmed(),
            Self::Bold => Style::new().bold(),
        }
    }
}

impl From<entente_domain::views::Health> for Tone {
    fn from(health: entente_domain::views::Health) -> Self {
        use entente_domain::views::Health;
        match health {
            Health::Settled => Self::Good,
            Health::InProgress => Self::Busy,
            Health::Failed => Self::Bad,
        }
    }
}
