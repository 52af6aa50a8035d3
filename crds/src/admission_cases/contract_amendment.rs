//! Cases about amendments of contracts.

use serde_json::{Value, json};

use super::CaseKind::ContractAmendment;
use super::{Table, plain, put};
use crate::example;

/// The entry that changes in every way.
const CHANGED: &str = "/spec/services/0";
/// The entry that ends.
const ENDED: &str = "/spec/services/2";

/// An amendment with every optional member: two entries that change, one that ends.
pub(super) fn complete() -> Value {
    let mut object = plain(&example::banco_sul_2027_july());
    let changed: [(&str, Value); 7] = [
        ("serviceRef", json!({"name": "data-backup"})),
        (
            "devices",
            json!({
                "selector": {
                    "matchLabels": {"contract": "banco-sul"},
                    "matchExpressions": [{"key": "site", "operator": "NotIn", "values": ["osasco"]}]
                },
                "names": ["lobby-mfp"],
                "add": ["branch-04-mfp"],
                "remove": ["branch-01-mfp"],
                "expect": 4
            }),
        ),
        ("secretParameters", super::contract::secrets_of_a_service()),
        (
            "overrides",
            json!([{
                "name": "osasco",
                "devices": {
                    "selector": {
                        "matchLabels": {"site": "osasco-01"},
                        "matchExpressions": [{"key": "floor", "operator": "Exists"}]
                    },
                    "names": ["lobby-mfp"]
                },
                "parameters": {"weekdays": "sun"}
            }]),
        ),
        (
            "fee",
            json!({"amount": "14.00", "per": "Month", "of": "EachDevice"}),
        ),
        (
            "serviceLevel",
            json!({"allowed": "2h", "count": "FromPromise"}),
        ),
        ("remedies", json!([super::contract::credit()])),
    ];
    for (field, value) in changed {
        put(&mut object, &format!("{CHANGED}/{field}"), value);
    }
    put(&mut object, "/spec/services/1/elect", json!("pro-rata"));
    let ended = json!({"name": "cloud", "end": true});
    put(&mut object, "/spec/services/-", ended);
    object
}

pub(super) fn case(table: &mut Table) {
    dates(table);
    entries(table);
    parameters(table);
    devices(table);
    overrides(table);
    remedies(table);
    scale(table);
    names(table);
    changes(table);
}

fn dates(table: &mut Table) {
    const ONE: &str = "exactly one of effectiveDate and effectiveTime must be set";
    let (date, time) = ("/spec/effectiveDate", "/spec/effectiveTime");
    let instant = json!("2027-07-01T09:00:00-03:00");
    table.accepts(
        ContractAmendment,
        "a time in place of a date",
        &[(date, Value::Null), (time, instant.clone())],
    );
    table.rejects(
        ContractAmendment,
        "a date and a time",
        &[(time, instant)],
        ONE,
    );
    table.rejects(
        ContractAmendment,
        "neither a date nor a time",
        &[(date, Value::Null)],
        ONE,
    );
    table.rejects_by_schema(
        ContractAmendment,
        "30 February",
        &[(date, json!("2027-02-30"))],
        "must be of type date",
    );
    table.rejects_by_schema(
        ContractAmendment,
        "a time without a zone",
        &[(date, Value::Null), (time, json!("2027-07-01T09:00:00"))],
        "must be of type date-time",
    );
}

fn entries(table: &mut Table) {
    const SOMETHING: &str = "must change something of the entry, or end it";
    table.rejects(
        ContractAmendment,
        "an entry that does not change",
        &[(ENDED, json!({"name": "cloud"}))],
        SOMETHING,
    );
    const ALONE: &str = "an entry that ends cannot change in another way";
    let devices = json!({"remove": ["lobby-mfp"]});
    let override_ = json!([{"name": "o", "devices": {"names": ["a"]}, "parameters": {"b": "c"}}]);
    let others = [
        ("serviceRef", json!({"name": "data-backup"})),
        ("devices", devices),
        ("parameters", json!({"mode": "Full"})),
        ("unset", json!(["mode"])),
        ("overrides", override_),
        ("secretParameters", super::contract::secrets_of_a_service()),
        (
            "fee",
            json!({"amount": "1", "per": "Month", "of": "EachDevice"}),
        ),
        ("serviceLevel", json!({"allowed": "2h"})),
        ("remedies", json!([super::contract::credit()])),
        ("elect", json!("credit")),
    ];
    for (field, value) in others {
        let place = format!("{ENDED}/{field}");
        let name = format!("an entry that ends, with {field}");
        table.rejects(ContractAmendment, &name, &[(&place, value.clone())], ALONE);
        let end = format!("{ENDED}/end");
        let name = format!("an entry that does not end, with {field}");
        table.accepts(
            ContractAmendment,
            &name,
            &[(&place, value), (&end, json!(false))],
        );
    }
    table.rejects_by_schema(
        ContractAmendment,
        "two changes of one entry",
        &[("/spec/services/-", json!({"name": "backup", "end": true}))],
        "Duplicate value",
    );
    table.rejects_by_schema(
        ContractAmendment,
        "no entries",
        &[("/spec/services", json!([]))],
        "should have at least 1 items",
    );
}

fn parameters(table: &mut Table) {
    let place = |field: &str| format!("{CHANGED}/{field}");
    let rejects = |table: &mut Table, name: &str, field: &str, value: Value, message| {
        table.rejects(ContractAmendment, name, &[(&place(field), value)], message);
    };
    rejects(
        table,
        "a parameter that is also a secret",
        "parameters/account-key",
        json!("1"),
        "a parameter must not be both in parameters and in secretParameters",
    );
    rejects(
        table,
        "a parameter that is set and unset",
        "parameters/mode",
        json!("Full"),
        "a parameter must not be both in parameters and in unset",
    );
    rejects(
        table,
        "a secret that is set and unset",
        "unset/-",
        json!("account-key"),
        "a parameter must not be both in secretParameters and in unset",
    );
    rejects(
        table,
        "an override of a secret",
        "overrides/0/parameters/account-key",
        json!("1"),
        "a parameter must not be both in overrides and in secretParameters, whose secrets are \
         those of all devices",
    );
    let twice = json!({"name": "account-key", "secretKeyRef": {"name": "a", "key": "b"}});
    table.rejects_by_schema(
        ContractAmendment,
        "two secrets of one name",
        &[(&place("secretParameters/-"), twice)],
        "Duplicate value",
    );
    table.rejects_by_schema(
        ContractAmendment,
        "a value that is not quoted",
        &[(&place("parameters/threshold"), json!(10))],
        "must be of type string",
    );
}

fn devices(table: &mut Table) {
    let place = |field: &str| format!("{CHANGED}/devices{field}");
    for field in ["selector", "names", "add", "remove", "expect"] {
        let mut alone = json!({});
        alone[field] = complete()["spec"]["services"][0]["devices"][field].clone();
        let name = format!("devices with {field} alone");
        table.accepts(ContractAmendment, &name, &[(&place(""), alone)]);
    }
    const EMPTY: &str =
        "must require at least one label: the empty selector would match every device";
    table.rejects(
        ContractAmendment,
        "the empty selector",
        &[(&place("/selector"), json!({}))],
        EMPTY,
    );
    let none = json!({"key": "a", "operator": "In", "values": []});
    table.rejects(
        ContractAmendment,
        "In with an empty list",
        &[(&place("/selector/matchExpressions/0"), none)],
        "In and NotIn need values; Exists and DoesNotExist take none",
    );
    const PATTERN: &str = "should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'";
    for list in ["/names", "/add", "/remove"] {
        table.rejects_by_schema(
            ContractAmendment,
            &format!("a device in upper case in {list}"),
            &[(&place(list), json!(["Lobby"]))],
            PATTERN,
        );
    }
    table.rejects_by_schema(
        ContractAmendment,
        "a negative number of devices",
        &[(&place("/expect"), json!(-1))],
        "should be greater than or equal to 0",
    );
}

fn overrides(table: &mut Table) {
    let place = |field: &str| format!("{CHANGED}/overrides/0{field}");
    let cases = [
        (
            "an override of no devices",
            "/devices",
            json!({}),
            "selector or names must be set",
        ),
        (
            "an override of every device",
            "/devices/selector",
            json!({}),
            "must require at least one label: the empty selector would match every device",
        ),
        (
            "an override with Exists and values",
            "/devices/selector/matchExpressions/0/values",
            json!(["1"]),
            "In and NotIn need values; Exists and DoesNotExist take none",
        ),
        (
            "an override of nothing",
            "/parameters",
            json!({}),
            "must set at least one parameter",
        ),
    ];
    for (name, field, value, message) in cases {
        table.rejects(ContractAmendment, name, &[(&place(field), value)], message);
    }
}

fn remedies(table: &mut Table) {
    const ELECT: &str = "elect must name one of the remedies";
    let elect = format!("{CHANGED}/elect");
    table.accepts(
        ContractAmendment,
        "one of its remedies",
        &[(&elect, json!("credit"))],
    );
    table.rejects(
        ContractAmendment,
        "none of its remedies",
        &[(&elect, json!("toner"))],
        ELECT,
    );
    let credit = format!("{CHANGED}/remedies/0/credit");
    table.rejects(
        ContractAmendment,
        "a remedy without its member",
        &[(&credit, Value::Null)],
        "a remedy of type FeeCredit needs the member credit",
    );
}

/// Cases of sizes at their limits.
fn scale(table: &mut Table) {
    let entries = |count: usize| -> Value {
        let entry = |number: usize| json!({"name": format!("entry-{number}"), "end": true});
        (0..count).map(entry).collect()
    };
    let names = |count: usize| -> Value {
        let name = |number: usize| format!("mfp-{number}");
        (0..count).map(name).collect()
    };
    let most = |table: &mut Table, what: &str, place: &str, of: &dyn Fn(usize) -> Value, most| {
        let accepted = format!("{most} {what}");
        table.accepts(ContractAmendment, &accepted, &[(place, of(most))]);
        let message: &'static str = match most {
            32 => "must have at most 32 items",
            64 => "must have at most 64 items",
            _ => "must have at most 1000 items",
        };
        let refused = format!("{} {what}", most + 1);
        table.rejects_by_schema(
            ContractAmendment,
            &refused,
            &[(place, of(most + 1))],
            message,
        );
    };
    most(table, "entries", "/spec/services", &entries, 32);
    for list in ["names", "add", "remove"] {
        let place = format!("{CHANGED}/devices/{list}");
        most(table, &format!("devices in {list}"), &place, &names, 1000);
    }
    most(
        table,
        "parameters in unset",
        &format!("{CHANGED}/unset"),
        &names,
        64,
    );
}

/// Cases of the number of devices that all entries name together.
fn names(table: &mut Table) {
    const NAMES: &str = "all entries and their overrides together may name at most 4,000 devices; \
                         use a selector";
    let names = |count: usize| -> Vec<String> {
        (0..count).map(|number| format!("mfp-{number}")).collect()
    };
    let services = |of_the_last: usize| {
        let override_ = json!({
            "name": "o",
            "devices": {"names": names(100)},
            "parameters": {"weekdays": "sun"}
        });
        let services = json!([
            {"name": "one", "devices": {"names": names(1000), "add": names(1000)}},
            {"name": "two", "devices": {"remove": names(1000)}, "overrides": [override_]},
            {"name": "three", "devices": {"add": names(of_the_last)}},
            {"name": "four", "end": true}
        ]);
        [("/spec/services", services)]
    };
    table.accepts(ContractAmendment, "4,000 names", &services(900));
    table.rejects(ContractAmendment, "4,001 names", &services(901), NAMES);
}

/// Updates, which the API server refuses whatever they change.
fn changes(table: &mut Table) {
    const RECORD: &str = "an amendment cannot be changed: before its date delete it and make \
                          another one; after it make another one";
    let fields: [(&str, &str, Value); 6] = [
        ("another date", "/spec/effectiveDate", json!("2027-08-01")),
        (
            "another contract",
            "/spec/contractRef/name",
            json!("banco-sul-2030"),
        ),
        (
            "another value",
            "/spec/services/0/parameters/weekdays",
            json!("mon"),
        ),
        ("a dropped field", "/spec/services/0/fee", Value::Null),
        (
            "one more device",
            "/spec/services/0/devices/add/-",
            json!("branch-05-mfp"),
        ),
        (
            "one more entry",
            "/spec/services/-",
            json!({"name": "scan", "end": true}),
        ),
    ];
    for (name, place, value) in fields {
        table.rejects_update(ContractAmendment, name, &[], &[(place, value)], RECORD);
    }
    let labels = ("/metadata/labels", json!({"desk": "south"}));
    table.accepts_update(ContractAmendment, "another label", &[], &[labels]);
}
