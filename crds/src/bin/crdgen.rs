//! Writes the generated files of the repository, or tells which of them differ.
//!
//! `crdgen` writes; `crdgen --check` writes nothing, names each file that differs and exits with 1.
//! A directory as argument stands for the root of the repository. What is in the files is decided
//! by `entente_crds::generate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use entente_crds::generate;

fn main() -> ExitCode {
    let mut check = false;
    let mut root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for argument in env::args_os().skip(1) {
        match argument.to_str() {
            Some("--check") => check = true,
            Some(flag) if flag.starts_with('-') => {
                eprintln!("usage: crdgen [--check] [ROOT]");
                return ExitCode::from(2);
            }
            _ => root = PathBuf::from(argument),
        }
    }
    let result = if check {
        compare(&root)
    } else {
        write(&root).map(|()| true)
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
