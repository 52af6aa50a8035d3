//! Archives as swupdate takes them: cpio in its portable form with check sums (`cpio -H crc`).
//!
//! Decides nothing: the order of the files is the caller's. Called by the builder of images.

/// Returns an archive of these files, by name and content, in this order.
pub(super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut number = 0;
    for (name, content) in files {
        number += 1;
        add(&mut archive, number, name, content);
    }
    add(&mut archive, 0, "TRAILER!!!", b"");
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive
}

fn add(archive: &mut Vec<u8>, number: u32, name: &str, content: &[u8]) {
    const REGULAR: u32 = 0o100_644;
    let size = |length: usize| u32::try_from(length).expect("a file of a test is small");
    let sum = content
        .iter()
        .fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    let mode = if number > 0 { REGULAR } else { 0 };
    let (length, name_length) = (size(content.len()), size(name.len() + 1));
    // Number, mode, user, group, links, time, length, four numbers of devices, length of the name, sum.
    let fields = [
        number,
        mode,
        0,
        0,
        1,
        0,
        length,
        0,
        0,
        0,
        0,
        name_length,
        sum,
    ];
    archive.extend(b"070702");
    for field in fields {
        archive.extend(format!("{field:08X}").into_bytes());
    }
    archive.extend(name.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend(content);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_as_cpio_writes_it() {
        let archive = archive(&[("a", b"bc")]);
        let text = String::from_utf8(archive.clone()).unwrap();
        assert!(text.starts_with("07070200000001000081A4"), "{text}");
        // The sum of its bytes, the name, and both padded to four.
        assert_eq!(&text[102..116], "000000C5a\0bc\0\0");
        assert!(text[116..].starts_with("070702"), "{text}");
        assert_eq!(archive.len(), 512);
    }
}
