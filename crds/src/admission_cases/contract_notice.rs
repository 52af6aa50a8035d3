//! Cases about notices of contracts.

use serde_json::{Value, json};

use super::CaseKind::ContractNotice;
use super::Table;

pub(super) fn case(table: &mut Table) {
    values(table);
    changes(table);
}

fn values(table: &mut Table) {
    table.accepts(
        ContractNotice,
        "the end of a contract",
        &[("/spec/type", json!("Ended"))],
    );
    table.accepts(
        ContractNotice,
        "an instant with an offset",
        &[("/spec/at", json!("2027-04-01T09:00:00-03:00"))],
    );
    table.rejects_by_schema(
        ContractNotice,
        "another event",
        &[("/spec/type", json!("Paused"))],
        "Unsupported value",
    );
    let without_zone = json!("2027-04-01T09:00:00");
    table.rejects_by_schema(
        ContractNotice,
        "an instant without a zone",
        &[("/spec/at", without_zone)],
        "must be of type date-time",
    );
    for field in ["contractRef", "type", "at", "source", "eventId"] {
        table.rejects_by_schema(
            ContractNotice,
            &format!("a notice without {field}"),
            &[(&format!("/spec/{field}"), Value::Null)],
            "Required value",
        );
    }
    for field in ["source", "eventId"] {
        let place = format!("/spec/{field}");
        table.rejects_by_schema(
            ContractNotice,
            &format!("an empty {field}"),
            &[(&place, json!(""))],
            "should be at least 1 chars long",
        );
        table.rejects_by_schema(
            ContractNotice,
            &format!("a long {field}"),
            &[(&place, json!("x".repeat(254)))],
            "Too long",
        );
    }
}

fn changes(table: &mut Table) {
    const RECORD: &str = "a notice cannot be changed";
    let fields: [(&str, &str, Value); 5] = [
        ("another instant", "/spec/at", json!("2027-04-02T00:00:00Z")),
        (
            "another contract",
            "/spec/contractRef/name",
            json!("banco-sul-2030"),
        ),
        ("another type", "/spec/type", json!("Ended")),
        (
            "another source",
            "/spec/source",
            json!("https://erp.example"),
        ),
        ("another id", "/spec/eventId", json!("2")),
    ];
    for (name, place, value) in fields {
        let name = format!("{name} of a notice");
        table.rejects_update(ContractNotice, &name, &[], &[(place, value)], RECORD);
    }
    let labels = ("/metadata/labels", json!({"desk": "south"}));
    table.accepts_update(ContractNotice, "another label of a notice", &[], &[labels]);
}
