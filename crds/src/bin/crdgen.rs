//! Writes the generated files of the repository, or tells which of them differ.
//!
//! `crdgen` writes; `crdgen --check` writes nothing, names each file that differs and each change of
//! the definitions since the last release that is not additive, and exits with 1. `crdgen --release`
//! keeps the definitions as those of a release. A directory as argument stands for the root of the
//! repository. The content of the files is decided by `entente_crds::generate`, and which changes are
//! additive by `entente_crds::additive`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use entente_crds::{additive, generate, manifest, yaml};
use serde_json::{Value, json};

/// The definitions of the last release, relative to the root of the repository.
const RELEASED: &str = "crds/released/definitions.yaml";
/// The changes since then that are not additive and that somebody accepted.
const ACCEPTED: &str = "crds/released/accepted.txt";

/// Ways to run.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Mode {
    Write,
    Check,
    Release,
}

fn main() -> ExitCode {
    let mut mode = Mode::Write;
    let mut root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--check") => mode = Mode::Check,
            Some("--release") => mode = Mode::Release,
            Some(flag) if flag.starts_with('-') => {
                eprintln!("usage: crdgen [--check | --release] [ROOT]");
                return ExitCode::from(2);
            }
            _ => root = PathBuf::from(argument),
        }
    }
    let result = match mode {
        Mode::Write => write(&root).map(|()| true),
        Mode::Check => compare(&root).and_then(|same| Ok(is_additive(&root)? && same)),
        Mode::Release => release(&root).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err((path, error)) => {
            eprintln!("crdgen: {}: {error}", path.display());
            ExitCode::from(2)
        }
    }
}

type Failed = (PathBuf, io::Error);

fn write(root: &Path) -> Result<(), Failed> {
    for file in generate::files() {
        let path = root.join(&file.path);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| (directory.to_owned(), error))?;
        }
        fs::write(&path, &file.content).map_err(|error| (path, error))?;
    }
    for path in surplus(root)? {
        fs::remove_file(&path).map_err(|error| (path, error))?;
    }
    Ok(())
}

fn compare(root: &Path) -> Result<bool, Failed> {
    let mut same = true;
    for file in generate::files() {
        if fs::read_to_string(root.join(&file.path)).ok().as_deref() != Some(&*file.content) {
            eprintln!("{} differs: run crdgen", file.path);
            same = false;
        }
    }
    for path in surplus(root)? {
        let path = path.strip_prefix(root).unwrap_or(&path);
        eprintln!("{} is no longer generated: run crdgen", path.display());
        same = false;
    }
    Ok(same)
}

fn definitions() -> Vec<Value> {
    manifest::all()
        .iter()
        .map(|definition| json!(definition))
        .collect()
}

/// Compares the definitions with those of the last release, which must be there to be compared with.
fn is_additive(root: &Path) -> Result<bool, Failed> {
    let read = |path: &str| {
        let path = root.join(path);
        fs::read_to_string(&path).map_err(|error| (path, error))
    };
    let released: Vec<Value> = yaml::read_all(&read(RELEASED)?)
        .map_err(|error| (root.join(RELEASED), io::Error::other(error)))?;
    let accepted = read(ACCEPTED)?;
    let complaints = additive::unaccepted(&additive::faults(&released, &definitions()), &accepted);
    for complaint in &complaints {
        eprintln!("not additive: {complaint}");
    }
    if !complaints.is_empty() {
        eprintln!("objects of the last release ({RELEASED}) would meet that; see {ACCEPTED}");
    }
    Ok(complaints.is_empty())
}

/// Keeps the definitions as those of a release, of which no change is accepted yet.
fn release(root: &Path) -> Result<(), Failed> {
    for (path, content) in [(RELEASED, kept()), (ACCEPTED, ACCEPTED_NOTICE.to_owned())] {
        let path = root.join(path);
        fs::write(&path, content).map_err(|error| (path, error))?;
    }
    Ok(())
}

fn kept() -> String {
    let mut text = RELEASED_NOTICE.to_owned();
    for definition in definitions() {
        let definition = yaml::write(&additive::kept(&definition));
        text.push_str("---\n");
        text.push_str(
            &definition.expect("a CRD is plain data, and YAML can say all that JSON can"),
        );
    }
    text
}

const RELEASED_NOTICE: &str = "\
# The definitions of the last release, without texts for people, with which `make check` compares those
# of today. Written by `crdgen --release`, and by nothing else.
";

const ACCEPTED_NOTICE: &str = "\
# Changes of the definitions since the last release that `crdgen --check` cannot prove to be additive,
# and that are: one a line, in its words, below a comment with the reason, which holds until an empty
# line. A change that objects or clients of the last release would meet is no reason: it needs another
# version of the API.
";

/// Returns the files that are in a directory of generated files and are none of them.
fn surplus(root: &Path) -> Result<Vec<PathBuf>, Failed> {
    let wanted: Vec<PathBuf> = generate::files()
        .into_iter()
        .map(|file| root.join(file.path))
        .collect();
    let mut surplus = Vec::new();
    for directory in generate::DIRECTORIES {
        let directory = root.join(directory);
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.map_err(|error| (directory.clone(), error))?.path();
            if !wanted.contains(&path) {
                surplus.push(path);
            }
        }
    }
    Ok(surplus)
}
