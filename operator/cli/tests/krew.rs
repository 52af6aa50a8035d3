//! The manifest for krew, by the rules of its validation (krew `internal/index/validation`), as far as they
//! hold for a template without sums.

use std::path::Path;

use serde_json::Value;

fn manifest() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/krew/entente.yaml");
    let text = std::fs::read_to_string(path).expect("the manifest is there");
    entente_crds::yaml::read(&text).expect("it is YAML")
}

/// Faults that were found.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn check(&mut self, holds: bool, fault: &str) {
        if !holds {
            self.0.push(fault.to_owned());
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn version() -> String {
    format!("v{}", env!("CARGO_PKG_VERSION"))
}

/// Returns every fault of a manifest.
fn faults(manifest: &Value) -> Vec<String> {
    let mut faults = Faults::default();
    let is_version = manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2";
    faults.check(is_version, "apiVersion");
    faults.check(manifest["kind"] == "Plugin", "kind");
    let is_named = manifest["metadata"]["name"] == "entente";
    faults.check(is_named, "metadata.name: that of the file");
    let spec = &manifest["spec"];
    faults.check(
        spec["version"] == *version(),
        "spec.version: that of the crate",
    );
    let short = text(&spec["shortDescription"]);
    let is_short =
        !short.is_empty() && short.chars().count() <= 50 && !short.contains(['\r', '\n']);
    faults.check(
        is_short,
        "spec.shortDescription: one line of at most 50 characters",
    );
    let platforms = spec["platforms"].as_array().cloned().unwrap_or_default();
    faults.check(!platforms.is_empty(), "spec.platforms: at least one");
    let mut seen = Vec::new();
    for platform in &platforms {
        let labels = platform["selector"]["matchLabels"].clone();
        faults.check(!seen.contains(&labels), "selector: twice");
        of_platform(platform, &mut faults);
        seen.push(labels);
    }
    faults.0
}

fn of_platform(platform: &Value, faults: &mut Faults) {
    let labels = &platform["selector"]["matchLabels"];
    let (os, arch) = (text(&labels["os"]), text(&labels["arch"]));
    faults.check(
        !os.is_empty() && !arch.is_empty(),
        "selector.matchLabels: os and arch",
    );
    let uri = text(&platform["uri"]);
    let name = format!("/download/{}/kubectl-entente-{os}-{arch}.tar.gz", version());
    let is_there = uri.starts_with("https://") && uri.ends_with(&name);
    faults.check(is_there, "uri: of version and platform");
    let sum = format!("SHA256_{}_{}", os.to_uppercase(), arch.to_uppercase());
    faults.check(
        platform["sha256"] == *sum,
        "sha256: the placeholder of the platform",
    );
    let bin = text(&platform["bin"]);
    faults.check(
        bin == "kubectl-entente",
        "bin: the name that kubectl looks for",
    );
    let files = platform["files"].as_array().cloned().unwrap_or_default();
    let has = |name: &str| files.iter().any(|it| it["from"] == name && it["to"] == ".");
    faults.check(
        has(&bin) && has("LICENSE"),
        "files: the program and its licence",
    );
    let paths = files
        .iter()
        .flat_map(|it| [text(&it["from"]), text(&it["to"])]);
    let is_inside = |path: String| !path.contains("..") && !path.starts_with('/');
    faults.check(
        paths.into_iter().all(is_inside),
        "files: inside the archive",
    );
}

#[test]
fn the_manifest_is_one_that_krew_accepts_once_it_has_its_sums() {
    assert_eq!(faults(&manifest()), [""; 0]);
}

#[test]
fn a_manifest_with_a_fault_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 4] = [
        (|it| it["spec"]["version"] = "0.1.0".into(), "spec.version"),
        (
            |it| it["spec"]["shortDescription"] = "x".repeat(51).into(),
            "spec.shortDescription",
        ),
        (
            |it| it["spec"]["platforms"][0]["bin"] = "entente".into(),
            "bin",
        ),
        (
            |it| it["spec"]["platforms"][0]["files"][0]["to"] = "../..".into(),
            "files",
        ),
    ];
    for (change, fault) in changes {
        let mut manifest = manifest();
        change(&mut manifest);
        let found = faults(&manifest);
        assert!(
            found.iter().any(|it| it.starts_with(fault)),
            "{fault}: {found:?}"
        );
    }
}
