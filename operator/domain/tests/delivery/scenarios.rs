//! Golden scenarios: each `tests/scripts/*.txt` is run against the simulated world, and what the
//! run says must be the `.out` beside it. With `UPDATE=1` in the environment the `.out` files are
//! written instead, to be read in the diff.

#![allow(
    clippy::disallowed_methods,
    reason = "a test reads its scripts and its one option"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

mod script;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(scripts())
        .expect("the scripts are there")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

// shows B3 B6 B7 B9 C10 C11 C14 D1 D2 D3 D4 D9 K2 K5: each script says which
#[test]
fn every_script_tells_the_story_that_is_written_beside_it() {
    let catalogue = fs::read_to_string(scripts().join("catalogue.yaml")).expect("the catalogue");
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let names = names();
    assert!(names.len() > 20, "the scripts are there");
    let mut different = Vec::new();
    for name in names {
        let script = fs::read_to_string(scripts().join(format!("{name}.txt"))).expect("a script");
        let found = match std::panic::catch_unwind(|| script::run(&script, &catalogue)) {
            Ok(found) => found,
            Err(payload) => {
                let text = payload.downcast_ref::<String>().map_or("", String::as_str);
                different.push(format!("{name} panics: {text}"));
                continue;
            }
        };
        let golden = scripts().join(format!("{name}.out"));
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if update {
            fs::write(&golden, &found).expect("the golden file is written");
        } else if found != expected {
            different.push(format!("{name}:\n{}", difference(&expected, &found)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

/// Returns the first line that differs, with some lines around it.
fn difference(expected: &str, found: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (expected, found) = (lines(expected), lines(found));
    let at = expected
        .iter()
        .zip(&found)
        .take_while(|(a, b)| a == b)
        .count();
    let around = |lines: &[String]| {
        let from = at.saturating_sub(4).min(lines.len());
        let until = (at + 6).min(lines.len());
        lines[from..until].join("\n")
    };
    format!(
        "--- expected\n{}\n--- found\n{}",
        around(&expected),
        around(&found)
    )
}
