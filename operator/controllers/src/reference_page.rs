//! A page of `docs/reference` that a test compares with the code, and writes if it is asked to.
//!
//! Decides nothing about the content. Only compiled for tests.

/// Fails unless the page of this name is `text`; writes it first if the variable UPDATE is set.
pub(crate) fn compare(name: &str, text: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference");
    let path = format!("{folder}/{name}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{path} is not up to date: UPDATE=1 writes it\n{text}"
    );
}
