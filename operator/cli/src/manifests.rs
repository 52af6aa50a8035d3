//! Manifests: files, folders and standard input become objects, each with its source.
//!
//! Decides what is an object of ours, and takes lists apart. It judges nothing.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use entente_crds::GROUP;
use serde_json::Value;

/// Name of standard input among files.
const STDIN: &str = "-";

/// Reason why a manifest cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// The file, the folder or the input cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        path: String,
        source: std::io::Error,
    },
    /// The text is no YAML. The message quotes nothing of it, since a Secret may be among its objects.
    #[error("{path} is no YAML or JSON: {message}")]
    Parse { path: String, message: String },
    /// There is no object of ours.
    #[error("{paths}: no object of entente.dev is there")]
    Nothing { paths: String },
}

/// An object of ours with its source.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// File, with the number of the document if there are several.
    pub(crate) source: String,
    /// Kind, such as `Contract`.
    pub(crate) kind: String,
    /// Namespace; that of the caller where the object names none, and empty for a kind without.
    pub(crate) namespace: String,
    /// Name of the object.
    pub(crate) name: String,
    /// The whole object.
    pub(crate) object: Value,
}

impl Manifest {
    /// Returns kind, namespace and name for people.
    pub(crate) fn title(&self) -> String {
        if self.namespace.is_empty() {
            format!("{} {}", self.kind, self.name)
        } else {
            format!("{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Manifests that were read.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    /// Objects of ours, in the order of the files.
    pub(crate) objects: Vec<Manifest>,
    /// Number of objects of other groups, which nobody looks at.
    pub(crate) others: usize,
}

/// Reads files, the YAML and JSON files of folders in the order of their names, and standard input.
pub(crate) fn read(paths: &[PathBuf], namespace: &str) -> Result<Manifests, ManifestError> {
    let mut manifests = Manifests::default();
    for path in paths {
        for file in files(path)? {
            let text = text(&file)?;
            let shown = shown(&file);
            let documents: Vec<Value> =
                entente_crds::yaml::values(&text).map_err(|error| ManifestError::Parse {
                    path: shown.clone(),
                    message: error.to_string(),
                })?;
            let many = documents.len() > 1;
            for (index, document) in documents.into_iter().enumerate() {
                let source = if many {
                    format!("{shown}#{}", index + 1)
                } else {
                    shown.clone()
                };
                add(document, &source, namespace, &mut manifests);
            }
        }
    }
    if manifests.objects.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| shown(path)).collect();
        return Err(ManifestError::Nothing {
            paths: paths.join(", "),
        });
    }
    Ok(manifests)
}

fn add(document: Value, source: &str, namespace: &str, manifests: &mut Manifests) {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    let kind = document["kind"].as_str().unwrap_or_default();
    if version == "v1" && kind.ends_with("List")
        || version.starts_with(GROUP) && kind.ends_with("List")
    {
        for item in document["items"].as_array().into_iter().flatten() {
            add(item.clone(), source, namespace, manifests);
        }
        return;
    }
    if version.split('/').next() != Some(GROUP) {
        manifests.others += 1;
        return;
    }
    let metadata = &document["metadata"];
    let is_namespaced = entente_crds::rules::of_kind(kind).is_none_or(|it| it.is_namespaced);
    let own = metadata["namespace"].as_str().unwrap_or(namespace);
    manifests.objects.push(Manifest {
        source: source.to_owned(),
        kind: kind.to_owned(),
        namespace: if is_namespaced { own } else { "" }.to_owned(),
        name: metadata["name"].as_str().unwrap_or_default().to_owned(),
        object: document,
    });
}

/// Returns the name of a file for people.
fn shown(path: &Path) -> String {
    if path == Path::new(STDIN) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    if path == Path::new(STDIN) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| ManifestError::Read {
        path: shown(path),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let extension = file.extension().and_then(|it| it.to_str());
        if file.is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn text(path: &Path) -> Result<String, ManifestError> {
    let read = if path == Path::new(STDIN) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|source| ManifestError::Read {
        path: shown(path),
        source,
    })
}
