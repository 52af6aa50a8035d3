//! Tests of the comparison of readings with wanted values.

use crate::{
    delivery::verify::compare::is_equal,
    remote::{Scalar, Value},
};

fn words(words: &[&str]) -> Value {
    Value::Words(words.iter().map(|word| (*word).to_owned()).collect())
}

fn texts(texts: &[&str]) -> Vec<Scalar> {
    texts
        .iter()
        .map(|text| Scalar::Text((*text).to_owned()))
        .collect()
}

// shows D1
#[test]
fn an_attribute_is_compared_by_type_and_sets_have_no_order() {
    let text = |text: &str| Value::Text(text.to_owned());
    let table = [
        (text("a"), texts(&["a"]), true),
        (text("a"), texts(&["A"]), false),
        (text("a"), texts(&["a", "b"]), false),
        (text("a"), vec![], false),
        (text("1"), vec![Scalar::Integer(1)], false),
        (Value::Integer(1), vec![Scalar::Integer(1)], true),
        (Value::Integer(1), texts(&["1"]), false),
        (Value::Boolean(false), vec![Scalar::Boolean(false)], true),
        (Value::Boolean(false), vec![Scalar::Integer(0)], false),
        (words(&["a", "b"]), texts(&["b", "a"]), true),
        (words(&["a", "b"]), texts(&["a"]), false),
        (words(&["a"]), texts(&["a", "b"]), false),
        (
            words(&["a"]),
            vec![Scalar::Other("no-value".to_owned())],
            false,
        ),
        (
            text("not UTF-8"),
            vec![Scalar::Malformed("not UTF-8".to_owned())],
            false,
        ),
        (
            Value::Integer(1),
            vec![Scalar::Integer(1), Scalar::Malformed("cut off".to_owned())],
            false,
        ),
    ];
    for (wanted, found, equal) in table {
        assert_eq!(is_equal(&wanted, &found), equal, "{wanted:?} {found:?}");
    }
}
