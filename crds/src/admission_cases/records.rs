//! Cases about the objects that only the operator writes.

use serde_json::{Value, json};

use super::CaseKind::{Compensation, ServiceSubscription};
use super::{Table, plain, put};
use crate::example;

/// A subscription with every member that a rule looks at.
pub(super) fn subscription() -> Value {
    let mut object = plain(&example::service_subscription());
    put(
        &mut object,
        "/spec/revisions/0/secretParameters",
        super::contract::secrets_of_a_service(),
    );
    let first = json!({
        "contract": "banco-sul-2024",
        "serviceName": "backup",
        "start": "2024-04-01T03:00:00Z"
    });
    put(&mut object, "/spec/origin", first);
    object
}

pub(super) fn case(table: &mut Table) {
    // shows D8: a record is never edited afterwards
    const RECORD: &str = "a record cannot be changed: void it with spec.voided, and with reissue Same it is issued again";
    let fields: [(&str, &str, Value); 5] = [
        ("another amount", "/spec/record/fee/amount", json!("13.00")),
        (
            "another instant",
            "/spec/record/promised",
            json!("2027-04-02T03:00:00Z"),
        ),
        ("a dropped field", "/spec/record/currency", Value::Null),
        ("a dropped object", "/spec/record/fee", Value::Null),
        (
            "an added field",
            "/spec/record/share",
            json!({"devices": 2}),
        ),
    ];
    for (name, place, value) in fields {
        table.rejects_update(Compensation, name, &[], &[(place, value)], RECORD);
    }

    const VOIDED: &str = "a compensation is voided once, and stays so";
    let voided = |reason: &str| [("/spec/voided", json!({"reason": reason}))];
    table.accepts_update(Compensation, "is voided", &[], &voided("wrong fee"));
    table.accepts_update(
        Compensation,
        "stays voided",
        &voided("wrong fee"),
        &voided("wrong fee"),
    );
    table.rejects_update(
        Compensation,
        "is no longer voided",
        &voided("wrong fee"),
        &[],
        VOIDED,
    );
    table.rejects_update(
        Compensation,
        "another reason",
        &voided("wrong"),
        &voided("late"),
        VOIDED,
    );
    let again = [(
        "/spec/voided",
        json!({"reason": "wrong fee", "reissue": "Same"}),
    )];
    table.accepts_update(Compensation, "is voided and issued again", &[], &again);
    table.rejects_update(
        Compensation,
        "is issued again after it was cancelled",
        &voided("wrong fee"),
        &again,
        VOIDED,
    );
    let empty = voided("");
    table.rejects_by_schema(
        Compensation,
        "voided without a reason",
        &empty,
        "should be at least 1 chars long",
    );

    let next = json!({
        "effective": "2028-04-01T03:00:00Z", "promised": true, "serviceRef": {"name": "data-backup"},
        "serviceLevel": {"allowed": "4h", "count": "FromPromise"}
    });
    let more = ("/spec/revisions/-", next.clone());
    table.accepts_update(ServiceSubscription, "another revision", &[], &[more]);
    let revisions = |number: usize| {
        let revisions: Vec<Value> = (0..number)
            .map(|year| {
                let mut revision = next.clone();
                revision["effective"] = json!(format!("{}-01-01T00:00:00Z", 2028 + year));
                revision
            })
            .collect();
        [("/spec/revisions", json!(revisions))]
    };
    table.accepts(ServiceSubscription, "4 revisions", &revisions(4));
    let most = "must have at most 4 items";
    table.rejects_by_schema(ServiceSubscription, "5 revisions", &revisions(5), most);
}
