//! Cases about errors of devices: the words of a model, orders that follow, texts for panels, and the
//! address of a Device.

use serde_json::{Value, json};

use super::CaseKind::{Device, DeviceModel, MessageText, Site, SmartService};
use super::{Table, plain, put};
use crate::example;

/// Adds a supply with its row and an error, with every member, to a DeviceModel.
pub(super) fn add_to_model(object: &mut Value) {
    put(
        object,
        "/spec/supplies/0/match",
        json!({"type": "toner", "colorant": "black"}),
    );
    put(object, "/spec/errors", json!([error()]));
}

fn error() -> Value {
    json!({"type": "TonerEmpty",
           "match": {"stateReasons": ["toner-empty"], "alerts": ["markerTonerEmpty"],
                     "detectedErrors": ["noToner"]},
           "unit": "Supply", "settle": {"begin": "30s", "end": "10m"},
           "order": {"when": "Always", "quantity": 1}})
}

/// A Site with every optional member.
pub(super) fn site() -> Value {
    let mut object = plain(&example::osasco_site());
    object["spec"]["connections"] = super::device::whole()["spec"]["connections"].take();
    object
}

pub(super) fn message_text() -> Value {
    plain(&example::toner_empty_text())
}

pub(super) fn case(table: &mut Table) {
    words(table);
    orders(table);
    texts(table);
    addresses(table);
    sites(table);
}

fn sites(table: &mut Table) {
    for (field, value, message) in [
        (
            "/spec/timeZone",
            json!("Sao Paulo"),
            "must be a name of the time zone database",
        ),
        (
            "/spec/language",
            json!("português"),
            "must be a language tag of BCP 47",
        ),
        (
            "/spec/shipTo/country",
            json!("br"),
            "must be a country of ISO 3166-1",
        ),
        (
            "/spec/maintenanceWindows/0/start",
            json!("2 am"),
            "must be a time of day",
        ),
        (
            "/spec/maintenanceWindows/0/duration",
            json!("0s"),
            "must be a duration longer than zero",
        ),
        (
            "/metadata/name",
            json!("osasco.01"),
            "metadata.name must be a DNS label",
        ),
    ] {
        let name = format!("{field} must not be {value}");
        table.rejects(Site, &name, &[(field, value)], message);
    }
    table.accepts(
        Site,
        "nothing but a language",
        &[("/spec", json!({"language": "ja"}))],
    );
    let site = |name: &str| [("/spec/siteRef", json!({"name": name}))];
    table.accepts(Device, "a site", &site("osasco-01"));
    table.rejects(
        Device,
        "a site of no name",
        &site("Osasco 01"),
        "must be a DNS label",
    );
}

fn words(table: &mut Table) {
    let with = |member: &str, value: Value| {
        let mut error = error();
        put(&mut error, member, value);
        [("/spec/errors", json!([error]))]
    };
    for (member, value) in [
        (
            "/match/stateReasons",
            json!(["marker-supply-empty", "com.example_odd.reason"]),
        ),
        ("/match/alerts", json!(["markerInkEmpty"])),
        ("/settle/begin", json!("0s")),
        ("/order/when", json!("Requested")),
        ("/order/quantity", json!(100)),
    ] {
        table.accepts(
            DeviceModel,
            &format!("{member} {value}"),
            &with(member, value),
        );
    }
    const TYPE: &str = "must begin with an upper case letter";
    const REASON: &str = "must be a keyword of printer-state-reasons";
    const NAME: &str = "must be a name of the IANA-PRINTER-MIB";
    const DURATION: &str = "must be a duration such as";
    for (member, value, message) in [
        ("/type", json!("toner-empty"), TYPE),
        ("/type", json!("Toner Empty"), TYPE),
        ("/match/stateReasons", json!(["toner-empty-error"]), REASON),
        ("/match/stateReasons", json!(["toner-low-report"]), REASON),
        ("/match/stateReasons", json!(["Toner"]), REASON),
        ("/match/alerts", json!(["1101"]), NAME),
        ("/match/alerts", json!(["MarkerTonerEmpty"]), NAME),
        ("/settle/begin", json!("a while"), DURATION),
        ("/settle/end", json!("soon"), DURATION),
        ("/match", json!({}), "at least one of stateReasons, alerts"),
        ("/unit", json!("Device"), "order goes with unit Supply only"),
    ] {
        let name = format!("{member} must not be {value}");
        table.rejects(DeviceModel, &name, &with(member, value), message);
    }
    for (member, value, message) in [
        (
            "/match/detectedErrors",
            json!(["outOfToner"]),
            "Unsupported value",
        ),
        (
            "/order/quantity",
            json!(0),
            "should be greater than or equal to 1",
        ),
        ("/order/when", json!("Sometimes"), "Unsupported value"),
    ] {
        let name = format!("{member} must not be {value}");
        table.rejects_by_schema(DeviceModel, &name, &with(member, value), message);
    }
    // shows A2
    const SUPPLIES: &str = "an error of unit Supply needs supplies: name in spec.supplies those that can have it, or let its unit be Device";
    let of_unit = |unit: &str, supplies: Value| {
        let mut error = error();
        put(&mut error, "/order", Value::Null);
        put(&mut error, "/unit", json!(unit));
        [
            ("/spec/errors", json!([error])),
            ("/spec/supplies", supplies),
        ]
    };
    for (name, supplies) in [
        ("without supplies", Value::Null),
        ("of an empty list", json!([])),
    ] {
        let device = of_unit("Device", supplies.clone());
        table.accepts(
            DeviceModel,
            &format!("an error of the device {name}"),
            &device,
        );
        let supply = of_unit("Supply", supplies);
        let name = format!("an error of a supply {name}");
        table.rejects(DeviceModel, &name, &supply, SUPPLIES);
    }
    let row = "/spec/supplies/0/match";
    table.accepts(
        DeviceModel,
        "a row of any colorant",
        &[(row, json!({"type": "wasteToner"}))],
    );
    table.rejects(
        DeviceModel,
        "a row by its number",
        &[(row, json!({"type": "3"}))],
        NAME,
    );
}

fn orders(table: &mut Table) {
    let orders = "/spec/orders";
    let to = |name: &str| [(orders, json!({"connectionRef": {"name": name}}))];
    table.accepts(SmartService, "orders", &to("northwind-orders"));
    table.rejects(
        SmartService,
        "orders to a Connection of no name",
        &to("North Wind"),
        "must be a DNS label",
    );
}

fn texts(table: &mut Table) {
    const ID: &str = "must have {orderId} where the id of the order goes";
    const BRACES: &str = "must have no other braces";
    const LANGUAGE: &str = "must be a language tag of BCP 47";
    let text = |member: &str, value: &str| {
        let mut text = json!({"language": "en", "text": "{orderId}", "short": "{orderId}"});
        put(&mut text, member, json!(value));
        [
            ("/spec/texts", json!([text])),
            ("/spec/fallback", text["language"].clone()),
        ]
    };
    for (member, value) in [
        ("/text", "{supply} of {device}: {orderId}"),
        ("/short", "注文 {orderId}"),
        ("/language", "pt-BR"),
        ("/language", "zh-Hant-TW"),
    ] {
        table.accepts(
            MessageText,
            &format!("{member} {value}"),
            &text(member, value),
        );
    }
    for (member, value, message) in [
        ("/text", "A new one is ordered.", ID),
        ("/short", "ordered", ID),
        ("/text", "{orderId} {order}", BRACES),
        ("/short", "{orderId} }", BRACES),
        ("/language", "japanese, please", LANGUAGE),
        ("/language", "e", LANGUAGE),
    ] {
        let name = format!("{member} must not be {value}");
        table.rejects(MessageText, &name, &text(member, value), message);
    }
    table.rejects(
        MessageText,
        "a fallback without a text",
        &[("/spec/fallback", json!("fr"))],
        "fallback must be the language of one of texts",
    );
    table.rejects(
        MessageText,
        "an error type that is a keyword",
        &[("/spec/errorType", json!("toner-empty"))],
        "must begin with an upper case letter",
    );
    table.rejects(
        MessageText,
        "a name with a dot",
        &[("/metadata/name", json!("toner.empty"))],
        "metadata.name must be a DNS label",
    );
}

fn addresses(table: &mut Table) {
    let whole = json!({"name": "Banco Sul", "street": "Rua A 1", "city": "Osasco", "country": "BR",
                       "postalCode": "06010-000", "subdivision": "SP", "contact": "Ana", "phone": "+55 11 5555 0100"});
    table.accepts(
        Device,
        "an address for supplies",
        &[("/spec/shipTo", whole.clone())],
    );
    for country in ["Brazil", "br", "B1"] {
        let mut other = whole.clone();
        put(&mut other, "/country", json!(country));
        let change = [("/spec/shipTo", other)];
        let name = format!("an address in {country}");
        if country == "Brazil" {
            table.rejects_by_schema(Device, &name, &change, "Too long");
        } else {
            table.rejects(Device, &name, &change, "must be a country of ISO 3166-1");
        }
    }
    table.accepts(Device, "a language", &[("/spec/language", json!("ja"))]);
    table.rejects(
        Device,
        "a language that is none",
        &[("/spec/language", json!("日本語"))],
        "must be a language tag of BCP 47",
    );
}
