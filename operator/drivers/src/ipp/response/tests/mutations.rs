//! Answers that nobody thought of: those of the zoo and of the corpus, mutated.

use std::ops::Range;

use entente_crds::v1alpha1::IppSyntax;
use entente_domain::protocol::IppObject;
use entente_domain::remote::Value;
use entente_simulators::odd::{self, NUMBER, Sent, TEXT, Truth};
use ipp::model::IppVersion;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::ipp::codec;

/// Mutated answers in one run.
const MUTATED: u32 = 20_000;
/// Answers in one run of a property that needs fewer.
const FEW: u32 = 2000;

fn asked() -> BTreeSet<&'static str> {
    BTreeSet::from([TEXT, NUMBER, "printer-make-and-model", "printer-uuid"])
}

/// Returns a sane answer, one attribute at a time.
fn sane() -> Vec<(String, Vec<u8>)> {
    let attributes: [Octets<'static>; 4] = [
        (0x41, "printer-make-and-model", b"NW MFP 500"),
        (
            0x45,
            "printer-uuid",
            b"urn:uuid:3c5e8a10-7b1d-8f00-9a2b-4d6e8f0a1b2c",
        ),
        (0x21, NUMBER, &[0, 0, 0, 15]),
        (0x42, TEXT, b"all"),
    ];
    let wire = |of: &Octets<'static>| (of.1.to_owned(), value(*of));
    attributes.iter().map(wire).collect()
}

/// Returns the answers that are mutated: every IPP message of the zoo, and the files.
fn corpus() -> Vec<Vec<u8>> {
    let asked = sane();
    let truth = Truth {
        version: [2, 0],
        id: 7,
        asked: &asked,
    };
    let of_zoo = odd::rows().filter_map(|row| match row.sent(&truth) {
        Sent::Http { body, .. } if !body.is_empty() => Some(body),
        _ => None,
    });
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/ipp");
    let files = std::fs::read_dir(folder).unwrap();
    let octets = |file: std::io::Result<std::fs::DirEntry>| std::fs::read(file.unwrap().path());
    let mut all: Vec<Vec<u8>> = of_zoo.collect();
    all.extend(files.map(octets).map(Result::unwrap));
    all.sort();
    all
}

/// One change of an answer.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
    Splice(Index, Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use Mutation::{Cut, Flip, Insert, Remove, Repeat, Splice};
    prop_oneof![
        4 => (any::<Index>(), 1_u8..).prop_map(|(at, by)| Flip(at, by)),
        1 => any::<Index>().prop_map(Cut),
        2 => (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Remove(at, length)),
        2 => (any::<Index>(), vec(any::<u8>(), 1..8)).prop_map(|(at, it)| Insert(at, it)),
        1 => (any::<Index>(), 1_usize..60).prop_map(|(at, length)| Repeat(at, length)),
        1 => any::<(Index, Index, Index)>().prop_map(|(of, from, at)| Splice(of, from, at)),
    ]
}

fn stretch(at: Index, length: usize, octets: &[u8]) -> Range<usize> {
    let begin = at.index(octets.len());
    begin..(begin + length).min(octets.len())
}

fn mutate(octets: &mut Vec<u8>, mutation: &Mutation, corpus: &[Vec<u8>]) {
    if octets.is_empty() {
        return;
    }
    match mutation {
        Mutation::Flip(at, by) => {
            let at = at.index(octets.len());
            octets[at] ^= by;
        }
        Mutation::Cut(at) => octets.truncate(at.index(octets.len())),
        Mutation::Remove(at, length) => {
            let stretch = stretch(*at, *length, octets);
            drop(octets.drain(stretch));
        }
        Mutation::Insert(at, more) => {
            let at = at.index(octets.len());
            drop(octets.splice(at..at, more.iter().copied()));
        }
        Mutation::Repeat(at, length) => {
            let stretch = stretch(*at, *length, octets);
            let again = octets[stretch.clone()].to_vec();
            drop(octets.splice(stretch.end..stretch.end, again));
        }
        Mutation::Splice(of, from, at) => {
            let other = &corpus[of.index(corpus.len())];
            let from = from.index(other.len());
            octets.truncate(at.index(octets.len()));
            octets.extend_from_slice(&other[from..]);
        }
    }
}

fn cases_of(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// True if a value that is told is one that the answer has, or is said to be none.
fn is_of(scalar: &Scalar, octets: &[u8]) -> bool {
    let has = |part: &[u8]| part.is_empty() || octets.windows(part.len()).any(|it| it == part);
    match scalar {
        Scalar::Text(text) => has(text.as_bytes()),
        Scalar::Integer(number) => has(&i32::try_from(*number).unwrap().to_be_bytes()),
        Scalar::Boolean(_) | Scalar::Digest(_) | Scalar::Other(_) | Scalar::Malformed(_) => true,
    }
}

proptest! {
    #![proptest_config(cases_of(MUTATED))]

    // shows K7
    #[test]
    fn no_answer_panics_or_tells_what_it_does_not_have(
        seed in any::<Index>(),
        mutations in vec(mutation(), 1..6),
    ) {
        static CORPUS: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(corpus);
        let mut octets = CORPUS[seed.index(CORPUS.len())].clone();
        for mutation in &mutations {
            mutate(&mut octets, mutation, &CORPUS);
        }
        if let Some(response) = Response::read(octets.clone().into()) {
            for group in [OPERATION_GROUP, PRINTER_GROUP, UNSUPPORTED_GROUP] {
                response.attributes(group).for_each(|it| drop((it.scalars(), it.words())));
            }
            let found = response.values(PRINTER_GROUP, &asked());
            for scalar in found.values().flatten() {
                prop_assert!(is_of(scalar, &octets), "{scalar:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases_of(FEW))]

    #[test]
    fn an_attribute_that_nobody_asked_for_changes_no_other(
        at in 0_usize..=4,
        name in "[a-z]{1,9}-x",
        values in vec((0x10_u8.., vec(any::<u8>(), 0..12)), 1..6),
    ) {
        let mut attributes: Vec<Vec<u8>> = sane().into_iter().map(|(_, wire)| wire).collect();
        let before = read(&[&[PRINTER_GROUP][..], &attributes.concat()].concat());
        let unasked: Vec<u8> = values
            .iter()
            .zip(std::iter::once(name.as_str()).chain(std::iter::repeat("")))
            .flat_map(|((tag, octets), name)| value((*tag, name, &octets[..])))
            .collect();
        attributes.insert(at, unasked);
        let after = read(&[&[PRINTER_GROUP][..], &attributes.concat()].concat());
        let of = |response: &Response| response.values(PRINTER_GROUP, &asked());
        prop_assert_eq!(of(&before).len(), 4);
        prop_assert_eq!(of(&before), of(&after));
    }

    #[test]
    fn a_value_that_is_written_is_read_as_it_is(
        text in ".{0,60}",
        number in any::<i32>(),
        truth in any::<bool>(),
        words in proptest::collection::btree_set("[a-z]{1,9}", 1..9),
    ) {
        let scalars = words.iter().cloned().map(Scalar::Text).collect();
        for (syntax, wanted, expected) in [
            (IppSyntax::Text, Value::Text(text.clone()), vec![Scalar::Text(text.clone())]),
            (IppSyntax::Integer, Value::Integer(number.into()), vec![Scalar::Integer(number.into())]),
            (IppSyntax::Boolean, Value::Boolean(truth), vec![Scalar::Boolean(truth)]),
            (IppSyntax::Keyword, Value::Words(words), scalars),
        ] {
            let groups = codec::write_groups("a", syntax, &wanted).unwrap();
            let request = codec::Request {
                version: IppVersion::v2_0(),
                operation: 0x13,
                id: 7,
                object: IppObject::Printer,
                uri: "ipp://printer/ipp",
                groups: &groups,
            };
            let response = Response::read(codec::encode(&request).unwrap()).unwrap();
            let names = BTreeSet::from(["a"]);
            prop_assert_eq!(response.values(PRINTER_GROUP, &names).remove("a"), Some(expected));
        }
    }
}
