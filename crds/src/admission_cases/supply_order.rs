//! Cases about orders of supplies.

use serde_json::{Value, json};

use super::CaseKind::SupplyOrder;
use super::{Table, plain, put};
use crate::example;

/// An order with every member that a rule looks at.
pub(super) fn whole() -> Value {
    let mut object = plain(&example::supply_order());
    put(&mut object, "/spec/found", json!({"orderId": "PO-88123"}));
    object
}

pub(super) fn case(table: &mut Table) {
    record(table);
    by_a_person(table);
    causes(table);
}

fn record(table: &mut Table) {
    // shows A5: a record is never edited afterwards
    const RECORD: &str = "the record of an order cannot be changed: cancel it with spec.cancelled, and make another order";
    let fields: [(&str, &str, Value); 4] = [
        ("more pieces", "/spec/record/lines/0/quantity", json!(2)),
        (
            "another connection",
            "/spec/record/connectionRef/name",
            json!("other"),
        ),
        ("a dropped field", "/spec/record/shipTo", Value::Null),
        (
            "another occurrence",
            "/spec/record/error/id",
            json!("lobby-mfp/TonerEmpty/black-toner/8"),
        ),
    ];
    for (name, place, value) in fields {
        table.rejects_update(SupplyOrder, name, &[], &[(place, value)], RECORD);
    }
    let plate = [("/spec/record/device/serialNumber", json!(" A1"))];
    let serial = "must be what stands on the device";
    table.rejects(SupplyOrder, "a serial number after a blank", &plate, serial);
    let country = [("/spec/record/shipTo/country", json!("br"))];
    let iso = "must be a country of ISO 3166-1";
    table.rejects(SupplyOrder, "a country in small letters", &country, iso);
    let lines = |number: usize| {
        let line = json!({"partNumber": "TN-500K", "quantity": 1});
        [("/spec/record/lines", json!(vec![line; number]))]
    };
    table.accepts(SupplyOrder, "16 lines", &lines(16));
    let most = "must have at most 16 items";
    table.rejects_by_schema(SupplyOrder, "17 lines", &lines(17), most);
    let least = "should have at least 1 items";
    table.rejects_by_schema(SupplyOrder, "no line", &lines(0), least);
    let none = [("/spec/record/lines/0/quantity", json!(0))];
    let least = "should be greater than or equal to 1";
    table.rejects_by_schema(SupplyOrder, "no piece", &none, least);
}

fn by_a_person(table: &mut Table) {
    const CANCELLED: &str = "an order is cancelled once, and stays so";
    let cancelled = |reason: &str| [("/spec/cancelled", json!({"reason": reason}))];
    table.accepts_update(SupplyOrder, "is cancelled", &[], &cancelled("not needed"));
    table.accepts_update(
        SupplyOrder,
        "stays cancelled",
        &cancelled("not needed"),
        &cancelled("not needed"),
    );
    table.rejects_update(
        SupplyOrder,
        "is no longer cancelled",
        &cancelled("not needed"),
        &[],
        CANCELLED,
    );
    table.rejects_update(
        SupplyOrder,
        "is cancelled for another reason",
        &cancelled("not needed"),
        &cancelled("too late"),
        CANCELLED,
    );
    let empty = "should be at least 1 chars long";
    table.rejects_by_schema(SupplyOrder, "no reason", &cancelled(""), empty);

    let found = |id: &str| [("/spec/found", json!({"orderId": id}))];
    table.accepts_update(
        SupplyOrder,
        "is found",
        &[("/spec/found", Value::Null)],
        &found("PO-1"),
    );
    table.accepts_update(SupplyOrder, "stays found", &found("PO-1"), &found("PO-1"));
    let once = "found is set once, and stays as it is";
    table.rejects_update(
        SupplyOrder,
        "another is found",
        &found("PO-1"),
        &found("PO-2"),
        once,
    );
    let id = "must be the id that the order server gave, without blanks at its ends and without control characters";
    table.rejects(
        SupplyOrder,
        "an id with a blank at its end",
        &found("PO-1 "),
        id,
    );
}

fn causes(table: &mut Table) {
    let by_hand = |reference: Value| {
        [
            ("/spec/record/cause", json!("Manual")),
            ("/spec/record/error", Value::Null),
            ("/spec/record/reference", reference),
        ]
    };
    table.accepts(SupplyOrder, "an order by hand", &by_hand(Value::Null));
    let reference = "reference is set by the operator: leave it out with cause Manual, where it follows from namespace and name";
    let chosen = by_hand(json!("a".repeat(64)));
    table.rejects(
        SupplyOrder,
        "an order by hand with a reference",
        &chosen,
        reference,
    );
    let without = [("/spec/record/reference", Value::Null)];
    table.rejects(
        SupplyOrder,
        "an order without a reference",
        &without,
        reference,
    );

    let error = "error is required with cause Error, and only then";
    let without = [("/spec/record/error", Value::Null)];
    table.rejects(SupplyOrder, "cause Error without an error", &without, error);
    let gives = |compensation: Value| {
        [
            ("/spec/record/cause", json!("Compensation")),
            ("/spec/record/error", Value::Null),
            ("/spec/record/compensation", compensation),
        ]
    };
    let named = gives(json!({"name": "banco-sul-2027.backup.lobby-mfp.20270401t030000z.toner"}));
    table.accepts(SupplyOrder, "an order of a compensation", &named);
    let compensation = "compensation is required with cause Compensation, and only then";
    let without = gives(Value::Null);
    table.rejects(
        SupplyOrder,
        "cause Compensation without one",
        &without,
        compensation,
    );
}
