//! Objects of the guides about devices that call, as somebody copies them.

use std::path::Path;

use super::{judge, messages, now};
use crate::manifests::read;

/// Returns the blocks of a guide that are YAML.
fn blocks(guide: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    let text = std::fs::read_to_string(folder.join(guide)).expect("a guide");
    let blocks = text.split("\n```yaml\n").skip(1);
    let ends = blocks.filter_map(|block| block.split_once("\n```"));
    ends.map(|(block, _)| block.to_owned()).collect()
}

#[test]
fn every_object_of_the_guides_about_devices_that_call_is_without_a_fault() {
    for (guide, number) in [
        ("devices-that-call.md", 2),
        ("firmware.md", 4),
        ("activation-and-data.md", 4),
    ] {
        let blocks = blocks(guide);
        assert_eq!(blocks.len(), number, "{guide}");
        for block in blocks {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("object.yaml");
            std::fs::write(&file, &block).expect("a file");
            let verdict = judge(&read(&[file], "acme").expect("YAML"), now());
            assert_eq!(messages(&verdict), [""; 0], "{guide}: {block}");
            assert_eq!(verdict.objects, 1, "{guide}: {block}");
        }
    }
}
