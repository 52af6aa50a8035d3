//! Cases about Devices.

use serde_json::{Value, json};

use super::CaseKind::{self, Device, Site};
use super::{Table, plain, put};
use crate::example;

/// A Device with every optional member.
pub(super) fn whole() -> Value {
    let mut object = plain(&example::devices().remove(0));
    put(
        &mut object,
        "/spec/connections/0/credentialsRef",
        json!({"name": "lobby-mfp-login"}),
    );
    put(&mut object, "/spec/connections/0/port", json!(631));
    put(&mut object, "/spec/connections/0/queue", json!("lab1"));
    put(
        &mut object,
        "/spec/connections/0/printerUri",
        json!("ipp://localhost/ipp/print"),
    );
    put(
        &mut object,
        "/spec/certificateSha256",
        json!("ab".repeat(32)),
    );
    put(
        &mut object,
        "/spec/maintenanceWindows",
        json!([{"days": ["Sat", "Sun"], "start": "02:00", "duration": "4h"}]),
    );
    put(&mut object, "/spec/driftPolicy", json!("Report"));
    put(
        &mut object,
        "/spec/disabledServices",
        json!(["data-backup"]),
    );
    object
}

/// Cases about connections, which a Device and a Site have alike.
fn connections(table: &mut Table, kind: CaseKind) {
    let port = |port: i32| [("/spec/connections/0/port", json!(port))];
    table.accepts(kind, "the last port", &port(65535));
    table.rejects_by_schema(kind, "port zero", &port(0), "greater than or equal to 1");
    table.rejects_by_schema(
        kind,
        "a port too far",
        &port(65536),
        "less than or equal to 65535",
    );
    let uri = |uri: &str| [("/spec/connections/0/printerUri", json!(uri))];
    for good in ["ipps://[::1]:60000/ipp/print", "ipp://mfp.local"] {
        table.accepts(kind, &format!("a printer-uri {good}"), &uri(good));
    }
    for odd in [
        "http://localhost/ipp/print",
        "ipp://user@localhost/",
        "ipp://{address}/ipp/print",
        "ipp:///ipp/print",
        "/ipp/print",
        "ipp://localhost:99999/ipp/print",
        "ipp://localhost:0/ipp/print",
        "ipp://127.0.0.256/ipp/print",
    ] {
        table.rejects(
            kind,
            &format!("a printer-uri {odd}"),
            &uri(odd),
            "must be a URI such as",
        );
    }
    let many = vec![json!({"name": "hq-ipp"}); 9];
    let many = ("/spec/connections", json!(many));
    table.rejects_by_schema(
        kind,
        "nine connections",
        &[many],
        "must have at most 8 items",
    );
}

/// Cases about a Device that may take the connections of its Site.
fn of_its_site(table: &mut Table) {
    let site = || ("/spec/siteRef", json!({"name": "osasco-01"}));
    let nothing = "connections must have at least one entry, unless siteRef names a Site";
    for (words, none) in [("no", Value::Null), ("an empty list of", json!([]))] {
        let none = || ("/spec/connections", none.clone());
        let name = format!("{words} connections at a site");
        table.accepts(Device, &name, &[none(), site()]);
        let name = format!("{words} connections and no site");
        table.rejects(Device, &name, &[none()], nothing);
    }
    table.accepts(Device, "connections of its own at a site", &[site()]);
    table.rejects_update(
        Device,
        "a device without connections leaves its site",
        &[("/spec/connections", Value::Null), site()],
        &[("/spec/connections", Value::Null)],
        nothing,
    );
}

pub(super) fn case(table: &mut Table) {
    for kind in [Device, Site] {
        connections(table, kind);
    }
    of_its_site(table);
    for identity in [
        "urn:uuid:4509a320-00a0-008f-00b6-00559a327d32",
        "{4509A320-00A0-008F-00B6-00559A327D32}",
        "NW MFP 000017",
        "unknown-7",
    ] {
        let identity = [("/spec/identity", json!(identity))];
        table.accepts(Device, &format!("an identity {identity:?}"), &identity);
    }
    const NO_IDENTITY: &str = "must be what the device reports";
    for identity in [
        "urn:uuid:00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "0000",
        "Unknown",
        " blank at the start",
        "blank at the end ",
    ] {
        let named = [("/spec/identity", json!(identity))];
        let case = format!("an identity that is none: {identity:?}");
        table.rejects(Device, &case, &named, NO_IDENTITY);
    }
    let serial = ("/spec/serialNumber", Value::Null);
    table.rejects_by_schema(Device, "no serial number", &[serial], "Required value");
    for serial in ["NW500-0001", "CN 51 7", "№ 7"] {
        let named = [("/spec/serialNumber", json!(serial))];
        table.accepts(Device, &format!("a serial number {serial:?}"), &named);
    }
    for serial in [" ", "NW500 ", " NW500", "NW\t500", "NW500\u{7}"] {
        let named = [("/spec/serialNumber", json!(serial))];
        let case = format!("a serial number that nobody can read off: {serial:?}");
        table.rejects(Device, &case, &named, "must be what stands on the device");
    }
    let unknown = ("/spec/serialNo", json!("x"));
    table.rejects_by_schema(
        Device,
        "an unknown field",
        &[unknown],
        "unknown field \"spec.serialNo\"",
    );
    let other = ("/spec/serialNumber", json!("NW500-9999"));
    table.accepts_update(Device, "another machine takes the place", &[], &[other]);
    for policy in ["Revert", "Report"] {
        let named = [("/spec/driftPolicy", json!(policy))];
        table.accepts(Device, &format!("the drift policy {policy}"), &named);
        table.accepts(Site, &format!("the drift policy {policy}"), &named);
    }
    for policy in ["Ignore", "report", ""] {
        let named = [("/spec/driftPolicy", json!(policy))];
        let case = format!("a drift policy that there is not: {policy:?}");
        table.rejects_by_schema(Device, &case, &named, "Unsupported value");
        table.rejects_by_schema(Site, &case, &named, "Unsupported value");
    }
}
