//! Objects of another version, and the words of errors.

use entente_crds::v1alpha1::ServiceSubscription;
use serde_json::{Value, json};

use super::{ClusterError, Listed, is_unserved};

fn subscription(name: &str, outcome: &str) -> Value {
    let mut value =
        serde_json::to_value(entente_crds::example::service_subscription()).expect("JSON");
    value["metadata"]["name"] = name.into();
    value["status"]["items"] = json!([{"key": "DeviceSetting/x", "state": "Pending", "problem":
        {"outcome": outcome, "since": "2027-04-01T03:00:00Z", "message": ""}}]);
    value
}

/// A plugin of an older version than the operator shows what it can read, and names the rest
/// (cert-manager/cert-manager#4568).
#[test]
fn an_object_of_a_later_version_is_named_and_hides_no_other() {
    let all = vec![
        subscription("a", "Unreachable"),
        subscription("b", "ReasonOfTheFuture"),
        subscription("c", "Busy"),
    ];
    let listed: Listed<ServiceSubscription> = Listed::of(all);
    let names = listed.items.iter().map(|it| it.metadata.name.as_deref());
    assert_eq!(names.collect::<Vec<_>>(), [Some("a"), Some("c")]);
    let [unread] = listed.unread.as_slice() else {
        panic!("{:?}", listed.unread);
    };
    let expected = "ServiceSubscription banco-sul/b cannot be read by this version of the plugin: ";
    assert!(unread.starts_with(expected), "{unread}");
    assert!(unread.contains("ReasonOfTheFuture"), "{unread}");
}

/// An error names the kind, the namespace and the name (crossplane/crossplane#7158), and no more of the
/// others than fit a line.
#[test]
fn a_missing_object_is_told_with_some_of_the_others() {
    let told = |others: &[&str]| {
        let error = ClusterError::NotFound {
            what: "Contract acme/x".to_owned(),
            others: others.iter().map(|it| (*it).to_owned()).collect(),
        };
        error.to_string()
    };
    assert_eq!(told(&[]), "Contract acme/x does not exist");
    assert_eq!(
        told(&["a", "b"]),
        "Contract acme/x does not exist; there are a, b"
    );
    let many = ["a", "b", "c", "d", "e", "f", "g"];
    let expected = "Contract acme/x does not exist; there are a, b, c, d, e and 2 more";
    assert_eq!(told(&many), expected);
}

#[test]
fn a_kind_that_is_not_served_is_no_missing_object() {
    let status = |value: Value| serde_json::from_value(value).expect("a Status");
    let of_kind =
        json!({"code": 404, "message": "404 page not found", "reason": "Failed to parse"});
    assert!(is_unserved(&status(of_kind)));
    let of_object = json!({"code": 404, "reason": "NotFound",
        "details": {"name": "x", "kind": "contracts"}});
    assert!(!is_unserved(&status(of_object)));
    let forbidden = json!({"code": 403, "reason": "Forbidden", "details": {"kind": "contracts"}});
    assert!(!is_unserved(&status(forbidden)));
}
