//! Cases about contracts.

mod exclusions;
mod overrides;

use serde_json::{Value, json};

use super::CaseKind::Contract;
use super::{Table, UNAVAILABLE, plain, put};
use crate::example;

/// A contract with every optional member.
pub(super) fn complete() -> Value {
    let mut object = plain(&example::banco_sul_2027());
    put(
        &mut object,
        "/spec/preparation",
        json!({"leadTime": "336h"}),
    );
    put(&mut object, "/spec/promisesFrom", json!("2027-04-01"));
    let before = json!({"name": "banco-sul-2024"});
    put(&mut object, "/spec/succeeds", before);
    put(
        &mut object,
        "/spec/exclusions",
        json!([{
            "name": "osasco-closed",
            "from": "2027-04-01",
            "until": "2027-04-05",
            "devices": {
                "selector": {
                    "matchLabels": {"site": "osasco-01"},
                    "matchExpressions": [{"key": "floor", "operator": "NotIn", "values": ["1"]}]
                },
                "names": ["lobby-mfp"]
            },
            "reason": "closed by the customer"
        }]),
    );
    put(&mut object, "/spec/services/0/elect", json!("credit"));
    put(
        &mut object,
        "/spec/services/0/secretParameters",
        secrets_of_a_service(),
    );
    put(
        &mut object,
        "/spec/services/0/devices/selector/matchExpressions",
        json!([{"key": "site", "operator": "NotIn", "values": ["osasco"]}]),
    );
    put(
        &mut object,
        "/spec/services/0/overrides",
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
    );
    object
}

/// The `secretParameters` of a service whose parameter is of type Secret.
pub(super) fn secrets_of_a_service() -> Value {
    json!([{"name": "account-key", "secretKeyRef": {"name": "backup", "key": "token"}}])
}

/// A remedy with every optional member.
pub(super) fn credit() -> Value {
    json!({
        "name": "credit",
        "type": "FeeCredit",
        "credit": {"basis": "StartedDays", "percent": "5", "cap": {"percent": "50", "of": "Period"}}
    })
}

pub(super) fn case(table: &mut Table) {
    terms(table);
    terms_by_notice(table);
    money(table);
    devices(table);
    overrides::case(table);
    remedies(table);
    secrets(table);
    scale(table);
    exclusions::case(table);
    changes(table);
}

fn terms(table: &mut Table) {
    let term = |mut term: Value| {
        term["timeZone"] = json!("UTC");
        [("/spec/term", term)]
    };
    const START: &str = "exactly one of startDate, startTime and startOn must be set";
    const END: &str = "at most one of endDate, endTime and duration may be set";
    let (date, time) = ("2027-04-01", "2027-04-01T09:00:00-03:00");
    table.accepts(
        Contract,
        "a date without end",
        &term(json!({"startDate": date})),
    );
    table.accepts(
        Contract,
        "a time without end",
        &term(json!({"startTime": time})),
    );
    table.rejects(Contract, "no start", &term(json!({"endDate": date})), START);
    table.rejects(
        Contract,
        "two starts",
        &term(json!({"startDate": date, "startTime": time})),
        START,
    );
    let ends = json!({"startDate": "2026-01-01", "endDate": date, "endTime": time});
    table.rejects(Contract, "two ends", &term(ends), END);
    table.accepts(
        Contract,
        "a date and a time",
        &term(json!({"startDate": date, "endTime": time})),
    );

    let dates = |start: &str, end: &str| term(json!({"startDate": start, "endDate": end}));
    table.accepts(
        Contract,
        "a term of one day",
        &dates("2027-04-01", "2027-04-01"),
    );
    table.accepts(Contract, "a leap day", &dates("2028-02-29", "2028-02-29"));
    const DATES: &str = "endDate must not be before startDate";
    table.rejects(
        Contract,
        "an end before the start",
        &dates("2027-04-01", "2027-03-31"),
        DATES,
    );
    const INVALID: &str = "must be of type date";
    table.rejects_by_schema(
        Contract,
        "30 February",
        &dates("2027-02-30", "2027-04-01"),
        INVALID,
    );

    let times = |start: &str, end: &str| term(json!({"startTime": start, "endTime": end}));
    const TIMES: &str = "endTime must be after startTime";
    let instant = "2027-04-01T12:00:00Z";
    table.accepts(
        Contract,
        "one hour",
        &times(instant, "2027-04-01T10:00:00-03:00"),
    );
    table.rejects(
        Contract,
        "one instant in two zones",
        &times(instant, "2027-04-01T09:00:00-03:00"),
        TIMES,
    );
    table.rejects(
        Contract,
        "a time before the start",
        &times(instant, "2027-04-01T11:59:59Z"),
        TIMES,
    );
    const INVALID_TIME: &str = "must be of type date-time";
    let without_zone = term(json!({"startTime": "2027-04-01T12:00:00"}));
    table.rejects_by_schema(
        Contract,
        "a time without a zone",
        &without_zone,
        INVALID_TIME,
    );
}

fn terms_by_notice(table: &mut Table) {
    let term = |mut term: Value| {
        term["timeZone"] = json!("UTC");
        [("/spec/term", term)]
    };
    let noticed = |more: Value| {
        let mut whole = json!({"startOn": "Notice"});
        for (field, value) in more.as_object().expect("an object") {
            whole[field] = value.clone();
        }
        term(whole)
    };
    let (date, time) = ("2027-04-01", "2027-04-01T09:00:00-03:00");
    let accepted = [
        ("a notice without end", json!({})),
        (
            "a notice, a last day for it, and a length",
            json!({"startBy": date, "duration": "P3Y"}),
        ),
        (
            "a notice until a date",
            json!({"startBy": date, "endDate": date}),
        ),
        ("a notice until a time", json!({"endTime": time})),
    ];
    for (name, more) in accepted {
        table.accepts(Contract, name, &noticed(more));
    }
    const START: &str = "exactly one of startDate, startTime and startOn must be set";
    table.rejects(
        Contract,
        "a notice and a date",
        &noticed(json!({"startDate": date})),
        START,
    );
    table.rejects(
        Contract,
        "a notice and a time",
        &noticed(json!({"startTime": time})),
        START,
    );
    const END: &str = "at most one of endDate, endTime and duration may be set";
    table.rejects(
        Contract,
        "a length and a last day",
        &noticed(json!({"duration": "P3Y", "endDate": date})),
        END,
    );
    table.rejects(
        Contract,
        "a length and an end",
        &noticed(json!({"duration": "P3Y", "endTime": time})),
        END,
    );
    table.rejects(
        Contract,
        "a last day for the start of a contract by date",
        &term(json!({"startDate": date, "startBy": date})),
        "startBy goes with startOn only",
    );
    table.rejects(
        Contract,
        "a length of a contract by date",
        &term(json!({"startDate": date, "duration": "P3Y"})),
        "duration goes with startOn only",
    );
    table.rejects(
        Contract,
        "an end before the last day for the start",
        &noticed(json!({"startBy": date, "endDate": "2027-03-31"})),
        "endDate must not be before startBy",
    );
    table.rejects_by_schema(
        Contract,
        "another event than a notice",
        &term(json!({"startOn": "Payment"})),
        "Unsupported value",
    );
    for length in ["P1M", "P18M", "P1Y6M", "P999Y"] {
        let name = format!("a length of {length}");
        table.accepts(Contract, &name, &noticed(json!({"duration": length})));
    }
    const PERIOD: &str = "must be whole years and months such as";
    for length in ["P", "P0Y", "P1D", "P1Y2W", "PT1H", "3Y", "P1.5Y", "P6M1Y"] {
        let name = format!("a length of {length}");
        let change = noticed(json!({"duration": length}));
        table.rejects(Contract, &name, &change, PERIOD);
    }
}

fn money(table: &mut Table) {
    const CURRENCY: &str = "currency is required where a service has a fee";
    let none = ("/spec/currency", Value::Null);
    table.rejects(
        Contract,
        "a fee without a currency",
        std::slice::from_ref(&none),
        CURRENCY,
    );
    let first = ("/spec/services/0/fee", Value::Null);
    let second = ("/spec/services/1/fee", Value::Null);
    table.rejects(
        Contract,
        "one fee without a currency",
        &[none.clone(), first.clone()],
        CURRENCY,
    );
    table.accepts(Contract, "no fees and no currency", &[none, first, second]);
    let number = ("/spec/services/0/fee/amount", json!(12.5));
    table.rejects_by_schema(
        Contract,
        "an amount that is not quoted",
        &[number],
        "must be of type string",
    );
}

fn secrets(table: &mut Table) {
    const ONE_PLACE: &str = "a parameter must not be both in parameters and in secretParameters";
    let parameters = |value: Value| [("/spec/services/0/parameters", value)];
    table.accepts(
        Contract,
        "a secret beside no parameters",
        &parameters(Value::Null),
    );
    table.rejects(
        Contract,
        "a parameter that is also a secret",
        &parameters(json!({"account-key": "1"})),
        ONE_PLACE,
    );
    let twice = json!({"name": "account-key", "secretKeyRef": {"name": "a", "key": "b"}});
    table.rejects_by_schema(
        Contract,
        "two secrets of one name",
        &[("/spec/services/0/secretParameters/-", twice)],
        "Duplicate value",
    );
}

fn devices(table: &mut Table) {
    const SOME: &str = "selector or names must be set";
    let devices = |value: Value| [("/spec/services/0/devices", value)];
    table.accepts(
        Contract,
        "names alone",
        &devices(json!({"names": ["lobby-mfp"]})),
    );
    table.rejects(Contract, "no devices", &devices(json!({})), SOME);
    table.rejects(Contract, "no names", &devices(json!({"names": []})), SOME);

    const EMPTY: &str =
        "must require at least one label: the empty selector would match every device";
    let selector = |value: Value| [("/spec/services/0/devices/selector", value)];
    table.rejects(Contract, "the empty selector", &selector(json!({})), EMPTY);
    let empty = json!({"matchLabels": {}, "matchExpressions": []});
    table.rejects(
        Contract,
        "a selector of empty parts",
        &selector(empty),
        EMPTY,
    );
    let exists = json!({"matchExpressions": [{"key": "contract", "operator": "Exists"}]});
    table.accepts(
        Contract,
        "a selector without matchLabels",
        &selector(exists),
    );

    const OPERATOR: &str = "In and NotIn need values; Exists and DoesNotExist take none";
    let place = "/spec/services/0/devices/selector/matchExpressions/0";
    let absent = |values: Value| {
        [(
            place,
            json!({"key": "a", "operator": "DoesNotExist", "values": values}),
        )]
    };
    table.accepts(
        Contract,
        "DoesNotExist with an empty list",
        &absent(json!([])),
    );
    table.rejects(
        Contract,
        "DoesNotExist with values",
        &absent(json!(["b"])),
        OPERATOR,
    );
    let none = json!({"key": "a", "operator": "In", "values": []});
    table.rejects(
        Contract,
        "In with an empty list",
        &[(place, none)],
        OPERATOR,
    );

    let names = |name: &str| devices(json!({ "names": [name] }));
    const PATTERN: &str = "should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'";
    table.rejects_by_schema(
        Contract,
        "a device name in upper case",
        &names("Lobby"),
        PATTERN,
    );
}

fn remedies(table: &mut Table) {
    let service = "/spec/services/0";
    let elect = |value: Value| (format!("{service}/elect"), value);
    const ELECT: &str = "elect must name one of the remedies";
    let (place, none) = elect(Value::Null);
    let remedies = format!("{service}/remedies");
    let name = format!("{service}/remedies/0/name");
    table.accepts(Contract, "all remedies", &[(&place, none.clone())]);
    table.rejects(
        Contract,
        "an unknown remedy",
        &[(&place, json!("toner"))],
        ELECT,
    );
    table.rejects(
        Contract,
        "one of no remedies",
        &[(&remedies, Value::Null)],
        ELECT,
    );
    table.accepts(
        Contract,
        "no remedies",
        &[(&remedies, Value::Null), (&place, none.clone())],
    );
    const LABEL: &str =
        "must be a DNS label: lower case letters, digits and '-', at most 63 characters";
    table.rejects(
        Contract,
        "elect in upper case",
        &[(&place, json!("Credit"))],
        LABEL,
    );

    const SHORT: &str =
        "must be a DNS label of at most 32 characters: lower case letters, digits and '-'";
    table.rejects(
        Contract,
        "a remedy in upper case",
        &[(&name, json!("Credit")), (&place, none.clone())],
        SHORT,
    );
    let long = [
        (name.as_str(), json!("c".repeat(33))),
        (place.as_str(), none),
    ];
    table.rejects_by_schema(
        Contract,
        "a long name of a remedy",
        &long,
        "may not be more than 32 bytes",
    );

    const MEMBER: &str = "a remedy of type FeeCredit needs the member credit";
    for (kind, place) in [
        (Contract, "/spec/services/0/remedies/0/credit"),
        (super::CaseKind::SmartService, "/spec/remedies/0/credit"),
        (
            super::CaseKind::ServiceSubscription,
            "/spec/revisions/0/remedies/0/credit",
        ),
        (super::CaseKind::Compensation, "/spec/record/remedy/credit"),
    ] {
        table.rejects(
            kind,
            "a remedy without its member",
            &[(place, Value::Null)],
            MEMBER,
        );
    }
}

/// Cases of numbers and sizes at their limits.
fn scale(table: &mut Table) {
    let unavailable = |value: Value| [("/spec/maxUnavailable", value)];
    for value in [json!(0), json!(3), json!("0%"), json!("100%")] {
        table.accepts(
            Contract,
            &format!("maxUnavailable {value}"),
            &unavailable(value),
        );
    }
    for value in [
        json!(-1),
        json!("101%"),
        json!("3"),
        json!("-1%"),
        json!("2.5%"),
    ] {
        let name = format!("maxUnavailable {value}");
        table.rejects(Contract, &name, &unavailable(value), UNAVAILABLE);
    }

    const NAMES: &str = "all services and their overrides together may name at most 4,000 devices; \
                         use a selector";
    let services = |sizes: &[usize]| {
        let services: Vec<Value> = sizes.iter().enumerate().map(service_of).collect();
        [
            ("/spec/services", json!(services)),
            ("/spec/currency", Value::Null),
            ("/spec/exclusions", Value::Null),
        ]
    };
    table.accepts(Contract, "4,000 names", &services(&[1000; 4]));
    table.rejects(
        Contract,
        "4,001 names",
        &services(&[1000, 1000, 1000, 1000, 1]),
        NAMES,
    );
    table.rejects_by_schema(
        Contract,
        "1,001 names in one entry",
        &services(&[1001]),
        "must have at most 1000 items",
    );
    table.accepts(Contract, "64 services", &services(&[1; 64]));
    table.rejects_by_schema(
        Contract,
        "65 services",
        &services(&[1; 65]),
        "must have at most 64 items",
    );
    table.rejects_by_schema(
        Contract,
        "no services",
        &services(&[]),
        "should have at least 1 items",
    );
}

fn service_of((index, names): (usize, &usize)) -> Value {
    let names: Vec<String> = (0..*names).map(|number| format!("mfp-{number}")).collect();
    json!({
        "name": format!("service-{index}"),
        "serviceRef": {"name": "data-backup"},
        "devices": {"names": names}
    })
}

/// Updates of a Contract that the API server accepts, and those that it refuses as immutable.
fn changes(table: &mut Table) {
    const CUSTOMER: &str = "customer.id cannot be changed; make another contract";
    let customer = ("/spec/customer/id", json!("C-4712"));
    table.rejects_update(Contract, "another customer", &[], &[customer], CUSTOMER);
    let name = ("/spec/customer/name", json!("Banco do Sul"));
    table.accepts_update(Contract, "another name of the customer", &[], &[name]);

    const CURRENCY: &str = "currency cannot be changed once it is set";
    let euro = ("/spec/currency", json!("EUR"));
    table.rejects_update(
        Contract,
        "another currency",
        &[],
        std::slice::from_ref(&euro),
        CURRENCY,
    );
    let free = [
        ("/spec/currency", Value::Null),
        ("/spec/services/0/fee", Value::Null),
        ("/spec/services/1/fee", Value::Null),
    ];
    table.rejects_update(Contract, "no currency any more", &[], &free, CURRENCY);
    table.accepts_update(Contract, "a first currency", &free, &[euro]);
    let zone = ("/spec/term/timeZone", json!("America/Bahia"));
    table.accepts_update(
        Contract,
        "another zone, which the operator judges",
        &[],
        &[zone],
    );
}
