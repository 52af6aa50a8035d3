//! The report of the figures: a table for people, and JSON with the machine and the command.
//!
//! `docs/benchmarks/NAME.json` is written for each bench that ran; the table in
//! `docs/benchmarks.md`, between its markers, is made from all such files, so that a bench can be
//! run alone. Nothing else of the page is touched.

use std::path::{Path, PathBuf};

use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};
use entente_e2e::operator::workspace;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::figure::Figure;
use super::{Bench, BenchError};

const BEGIN: &str = "<!-- begin: written by make bench -->";
const END: &str = "<!-- end -->";
/// Of the table, in characters.
const WIDTH: u16 = 132;
const HEADER: [&str; 5] = ["Bench", "Figure", "Value", "Budget", ""];

/// Machine of the measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Machine {
    processor: String,
    cores: usize,
    memory: String,
    kernel: String,
}

/// One file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    bench: String,
    date: String,
    command: String,
    machine: Machine,
    /// Load average of the machine over a minute, before the run; absent in older results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load: Option<f64>,
    figures: Vec<Figure>,
}

/// Prints the table.
pub(super) fn print(all: &[(Bench, Vec<Figure>)]) {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header(HEADER);
    for (bench, figures) in all {
        for figure in figures {
            table.add_row([
                bench.name().to_owned(),
                figure.what.clone(),
                figure.shown(),
                figure.shown_budget(),
                figure.verdict(),
            ]);
            if !figure.detail.is_empty() {
                table.add_row(["", &format!("  {}", figure.detail), "", "", ""]);
            }
        }
    }
    for column in [2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
}

/// Circumstances of a run.
pub(super) struct Run {
    began: Timestamp,
    load: Option<f64>,
}

impl Run {
    /// Begins a run now.
    pub(super) fn begin() -> Self {
        let read = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            began: Timestamp::now(),
            load: read
                .split_whitespace()
                .next()
                .and_then(|it| it.parse().ok()),
        }
    }

    /// Returns the seconds since it began.
    pub(super) fn seconds(&self) -> i64 {
        Timestamp::now().duration_since(self.began).as_secs()
    }
}

/// Writes the files of these benches, and the page from the files of all.
pub(super) fn write(
    all: &[(Bench, Vec<Figure>)],
    run: &Run,
    command: &str,
) -> Result<(), BenchError> {
    let directory = workspace().join("docs/benchmarks");
    std::fs::create_dir_all(&directory).map_err(|source| system("make", &directory, source))?;
    for (bench, figures) in all {
        let record = Record {
            bench: bench.name().to_owned(),
            date: run.began.strftime("%Y-%m-%d").to_string(),
            command: command.to_owned(),
            machine: machine(),
            load: run.load,
            figures: figures.clone(),
        };
        let path = file(&directory, *bench);
        let text = serde_json::to_string_pretty(&record).map_err(|source| BenchError::Json {
            what: "cannot write a result".to_owned(),
            source,
        })?;
        std::fs::write(&path, text + "\n").map_err(|source| system("write", &path, source))?;
    }
    let records = records(&directory)?;
    let page = workspace().join("docs/benchmarks.md");
    let text = std::fs::read_to_string(&page).map_err(|source| system("read", &page, source))?;
    let text = with_table(&text, &markdown(&records)).ok_or_else(|| BenchError::System {
        what: format!("{} has lost its markers {BEGIN} and {END}", page.display()),
        source: std::io::ErrorKind::InvalidData.into(),
    })?;
    std::fs::write(&page, text).map_err(|source| system("write", &page, source))
}

fn records(directory: &Path) -> Result<Vec<Record>, BenchError> {
    let paths = Bench::ALL.map(|bench| file(directory, bench));
    let existing = paths.iter().filter(|path| path.is_file());
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|source| system("read", path, source))?;
        serde_json::from_str(&text).map_err(|source| BenchError::Json {
            what: format!("{} is no result of a bench", path.display()),
            source,
        })
    };
    existing.map(read).collect()
}

fn file(directory: &Path, bench: Bench) -> PathBuf {
    directory.join(format!("{}.json", bench.name()))
}

fn with_table(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

fn markdown(records: &[Record]) -> String {
    let mut lines = Vec::new();
    for record in records {
        let Machine {
            processor,
            cores,
            memory,
            kernel,
        } = &record.machine;
        lines.push(format!("### {}\n", record.bench));
        let load = record.load.map(|load| format!(", load {load} before"));
        lines.push(format!(
            "{}, `{}`, {processor}, {cores} cores, {memory}, Linux {kernel}{}.\n",
            record.date,
            record.command,
            load.unwrap_or_default()
        ));
        lines.push("| Figure | Value | Budget | | Of what it is made |".to_owned());
        lines.push("|---|--:|--:|---|---|".to_owned());
        lines.extend(record.figures.iter().map(|figure| {
            format!(
                "| {} | {} | {} | {} | {} |",
                figure.what,
                figure.shown(),
                figure.shown_budget(),
                figure.verdict(),
                figure.detail
            )
        }));
        lines.push(String::new());
    }
    lines.join("\n")
}

fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.map_or_else(
            || "unknown".to_owned(),
            |rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned(),
        )
    };
    let total = line(&read("/proc/meminfo"), "MemTotal");
    let kibibytes: u64 = total
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default();
    Machine {
        processor: line(&read("/proc/cpuinfo"), "model name"),
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        memory: format!("{} GiB", kibibytes.div_ceil(1024 * 1024)),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}

fn system(action: &str, path: &Path, source: std::io::Error) -> BenchError {
    BenchError::System {
        what: format!("cannot {action} {}", path.display()),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_keeps_what_people_wrote_and_takes_the_new_table() {
        let page = format!("# A\n\n{BEGIN}\nold\n{END}\n\nB\n");
        let written = with_table(&page, "new\n").unwrap();
        assert_eq!(written, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nB\n"));
        assert_eq!(with_table(&written, "new\n").unwrap(), written);
        assert_eq!(with_table("no markers", "new"), None);
    }

    #[test]
    fn the_load_before_a_run_is_told_where_it_is_known() {
        let record = |load| Record {
            bench: "calling".to_owned(),
            date: "2026-11-30".to_owned(),
            command: "make bench".to_owned(),
            machine: machine(),
            load,
            figures: Vec::new(),
        };
        let told = markdown(&[record(Some(0.25))]);
        assert!(told.contains(", load 0.25 before.\n"), "{told}");
        assert!(!markdown(&[record(None)]).contains("load"));
        assert!(Run::begin().load.is_some_and(|load| load >= 0.0));
    }

    #[test]
    fn the_machine_is_known() {
        let machine = machine();
        assert!(machine.cores > 0, "{machine:?}");
        assert!(!machine.kernel.is_empty(), "{machine:?}");
        assert_ne!(machine.memory, "0 GiB");
    }
}
