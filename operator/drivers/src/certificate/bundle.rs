//! Bundles of authorities in PEM (RFC 7468): every block that can be read counts.
//!
//! Pure. A block that cannot be read costs that block alone, since a bundle comes from several
//! hands; which ones these are is told, and the Connection says it. Called by `profile` when a
//! Connection is used and by `certificate` when a client is made.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Beginning of every block.
const BEGIN: &str = "-----BEGIN ";

/// Authorities of a bundle.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The authorities that could be read.
    pub(crate) roots: RootCertStore,
    /// Numbers of the certificates that could not be read, from 1.
    pub(crate) unreadable: Vec<usize>,
    /// Number of certificates, with those that could not be read.
    pub(crate) total: usize,
}

/// Reads a bundle. Blocks of other kinds, such as keys, and text between blocks do not count.
pub(crate) fn read_bundle(pem: &str) -> Bundle {
    let mut bundle = Bundle {
        roots: RootCertStore::empty(),
        unreadable: Vec::new(),
        total: 0,
    };
    for block in blocks(pem) {
        bundle.total += 1;
        let read = CertificateDer::from_pem_slice(block.as_bytes()).ok();
        let added = read.is_some_and(|certificate| bundle.roots.add(certificate).is_ok());
        if !added {
            bundle.unreadable.push(bundle.total);
        }
    }
    bundle
}

/// Returns the blocks of certificates, each from its beginning to that of the next block: one
/// without an end takes none of its neighbours with it.
fn blocks(pem: &str) -> impl Iterator<Item = &str> {
    let begins: Vec<usize> = pem.match_indices(BEGIN).map(|(begin, _)| begin).collect();
    let ends: Vec<usize> = begins.iter().skip(1).copied().chain([pem.len()]).collect();
    begins
        .into_iter()
        .zip(ends)
        .map(|(begin, end)| &pem[begin..end])
        .filter(|block| {
            let label = block[BEGIN.len()..].lines().next().unwrap_or_default();
            label.contains("CERTIFICATE") && !label.contains("REQUEST")
        })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn authority() -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["authority".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    fn read(parts: &[&str]) -> (usize, Vec<usize>, usize) {
        let bundle = read_bundle(&parts.concat());
        (bundle.roots.len(), bundle.unreadable, bundle.total)
    }

    // shows K7
    #[test]
    fn a_block_that_cannot_be_read_costs_no_other() {
        let (one, two) = (authority(), authority());
        assert_eq!(read(&[&one, &two]), (2, vec![], 2));
        let letters = one.replace("MII", "@@@");
        let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let open = "-----BEGIN CERTIFICATE-----\nMIIB\n";
        let cut = "-----BEGIN CERTIFICATE";
        let other_end = one.replace("END CERTIFICATE", "END SOMETHING");
        for broken in [&letters, not_der, open, cut, &other_end] {
            assert_eq!(read(&[broken, &one, &two]), (2, vec![1], 3), "{broken}");
            assert_eq!(read(&[&one, broken, &two]), (2, vec![2], 3), "{broken}");
            assert_eq!(read(&[&one, &two, broken]), (2, vec![3], 3), "{broken}");
            assert_eq!(read(&[broken]), (0, vec![1], 1), "{broken}");
        }
    }

    #[test]
    fn what_is_no_certificate_does_not_count() {
        let key = KeyPair::generate().unwrap().serialize_pem();
        let one = authority();
        assert_eq!(read(&["# ours\n", &key, &one, "end\n"]), (1, vec![], 1));
        assert_eq!(read(&[&key]), (0, vec![], 0));
        assert_eq!(read(&["garbage"]), (0, vec![], 0));
    }
}
