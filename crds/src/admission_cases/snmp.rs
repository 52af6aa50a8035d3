//! Cases about SNMP: Connections to agents, settings and identities by the names of objects.

use serde_json::{Value, json};

use super::CaseKind::{Connection, DeviceModel};
use super::{Table, plain, put};
use crate::example;

pub(super) fn case(table: &mut Table) {
    connections(table);
    logins(table);
    objects(table);
    syntaxes(table);
}

/// Returns the changes that make a Connection to agents, with one more.
fn agent(pointer: &str, value: Value) -> [(&'static str, Value); 1] {
    let mut spec = plain(&example::hq_snmp())["spec"].take();
    if !pointer.is_empty() {
        put(&mut spec, pointer, value);
    }
    [("/spec", spec)]
}

fn connections(table: &mut Table) {
    table.accepts(Connection, "agents", &agent("", Value::Null));
    table.accepts(Connection, "agents by defaults", &agent("/snmp", json!({})));
    let bare = agent("/credentials", Value::Null);
    table.accepts(Connection, "agents without a type of login", &bare);
    table.rejects(
        Connection,
        "agents without the member",
        &agent("/snmp", Value::Null),
        "exactly the member that the protocol names must be set",
    );
    for port in [0, 65_536] {
        let name = format!("agents at port {port}");
        let change = agent("/snmp/port", json!(port));
        table.rejects_by_schema(Connection, &name, &change, "than or equal to");
    }
    let version = agent("/snmp/version", json!("V1"));
    table.rejects_by_schema(
        Connection,
        "agents by version 1",
        &version,
        "Unsupported value",
    );
    table.rejects(
        Connection,
        "agents with trust in a certificate",
        &agent("/tls", json!({"trust": "Verify"})),
        "tls does not go with protocol SNMP",
    );
}

/// shows K4: no login of the platform team is used with a host that a tenant names.
fn logins(table: &mut Table) {
    table.rejects(
        Connection,
        "a login for any agent",
        &agent("/credentials/secretRef", json!({"name": "login"})),
        "credentials.secretRef does not go with protocol SNMP",
    );
    const TYPE: &str = "credentials.type SNMPv3 goes with protocol SNMP and snmp.version V3";
    let by = |version: &str, kind: &str| {
        let mut spec = plain(&example::hq_snmp())["spec"].take();
        put(&mut spec, "/snmp/version", json!(version));
        put(&mut spec, "/credentials", json!({"type": kind}));
        [("/spec", spec)]
    };
    table.accepts(
        Connection,
        "a community by version 2c",
        &by("V2C", "SNMPv2c"),
    );
    for (version, kind) in [
        ("V2C", "SNMPv3"),
        ("V3", "SNMPv2c"),
        ("V3", "Basic"),
        ("V2C", "Basic"),
    ] {
        let name = format!("a login of type {kind} by version {version}");
        table.rejects(Connection, &name, &by(version, kind), TYPE);
    }
    let of_ipp = json!({"type": "SNMPv3", "secretRef": {"name": "login"}});
    table.rejects(
        Connection,
        "a user of SNMP for IPP",
        &[("/spec/credentials", of_ipp)],
        TYPE,
    );
}

/// Returns the changes that add a setting to a DeviceModel.
fn setting(kind: &str, oid: &str, syntax: &str) -> [(&'static str, Value); 1] {
    let snmp = json!({"oid": oid, "type": syntax});
    let setting = json!({"name": "another", "type": kind, "via": {"snmp": snmp}});
    [("/spec/settings/-", setting)]
}

fn objects(table: &mut Table) {
    const OID: &str = "must be numbers with points between them that begin with 1.3.6.1";
    for oid in [
        "1.3.6.1.2.1.1.6.0",
        "1.3.6.1.4.1.32473.7.1.4.0",
        "1.3.6.1.4.1.4199999999",
    ] {
        let name = format!("the object {oid}");
        table.accepts(DeviceModel, &name, &setting("String", oid, "OctetString"));
        let identity = [("/spec/identity", json!({"snmp": {"oid": oid}}))];
        table.accepts(DeviceModel, &format!("the identity at {oid}"), &identity);
    }
    for oid in [
        "sysLocation.0",
        ".1.3.6.1.2.1.1.6.0",
        "1.3.6.1",
        "1.3.6.1.2.1.1.6.",
        "1.3.6.1.02",
        "1.3.6.1.4.1.9999999999",
        "2.3.6.1.2",
    ] {
        let name = format!("the object {oid:?}");
        table.rejects(
            DeviceModel,
            &name,
            &setting("String", oid, "OctetString"),
            OID,
        );
        let identity = [("/spec/identity", json!({"snmp": {"oid": oid}}))];
        table.rejects(
            DeviceModel,
            &format!("the identity at {oid:?}"),
            &identity,
            OID,
        );
    }
}

fn syntaxes(table: &mut Table) {
    const FITS: &str = "type String goes with via.snmp.type OctetString or IpAddress";
    let object = "1.3.6.1.2.1.1.6.0";
    for (kind, syntax) in [
        ("String", "IpAddress"),
        ("Secret", "OctetString"),
        ("Keyword", "OctetString"),
        ("Integer", "Gauge32"),
        ("Integer", "TimeTicks"),
        ("Boolean", "TruthValue"),
    ] {
        let name = format!("a {kind} as {syntax}");
        table.accepts(DeviceModel, &name, &setting(kind, object, syntax));
    }
    for (kind, syntax) in [
        ("String", "Integer32"),
        ("Secret", "IpAddress"),
        ("KeywordSet", "OctetString"),
        ("Integer", "OctetString"),
        ("Boolean", "Integer32"),
    ] {
        let name = format!("a {kind} as {syntax}");
        table.rejects(DeviceModel, &name, &setting(kind, object, syntax), FITS);
    }
    table.rejects_by_schema(
        DeviceModel,
        "a syntax that cannot be set",
        &setting("Integer", object, "Counter32"),
        "Unsupported value",
    );
}
