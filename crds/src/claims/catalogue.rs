//! Claims about what the platform team writes, and about devices.

use serde_json::{Value, json};

use super::ClaimKind::{Connection, Device, DeviceModel, SmartService};
use super::{Table, plain, put};
use crate::example;

/// A Connection for IPP with every optional member.
pub(super) fn connection() -> Value {
    let mut object = plain(&example::hq_ipp());
    put(
        &mut object,
        "/spec/ipp",
        json!({"url": "ipps://{address}:{port}/ipp/print", "ports": [631]}),
    );
    put(
        &mut object,
        "/spec/allow/0/namespaces/matchExpressions",
        json!([{"key": "tier", "operator": "In", "values": ["gold"]}]),
    );
    put(
        &mut object,
        "/spec/tls",
        json!({"trust": "Verify", "caConfigMapRef": {"name": "hq-ca"}, "serverName": "mfp.example"}),
    );
    put(
        &mut object,
        "/spec/credentials",
        json!({"type": "Basic", "secretRef": {"name": "hq-mfp"}}),
    );
    put(
        &mut object,
        "/spec/timeouts",
        json!({"connect": "3s", "request": "10s"}),
    );
    put(
        &mut object,
        "/spec/retry",
        json!({"initial": "1s", "max": "15m"}),
    );
    put(&mut object, "/spec/sync", json!({"period": "24h"}));
    object
}

pub(super) fn device_model() -> Value {
    plain(&example::mfp_500())
}

/// A SmartService with every optional member.
pub(super) fn smart_service() -> Value {
    let mut object = plain(&example::data_backup());
    let when = json!({"parameter": "mode", "in": ["Full"]});
    put(&mut object, "/spec/device/settings/0/when", when.clone());
    put(
        &mut object,
        "/spec/device/settings/0/otherwise",
        json!("none"),
    );
    put(&mut object, "/spec/server/settings/0/when", when);
    put(
        &mut object,
        "/spec/server/settings/0/otherwise",
        json!("sun"),
    );
    put(
        &mut object,
        "/spec/server/settings/0/valueFrom/map",
        json!([{"from": "a", "to": "b"}]),
    );
    put(
        &mut object,
        "/spec/steps",
        json!([{"type": "DeviceSettings", "early": true}, {"type": "ServerSettings"}, {"type": "Activation"}]),
    );
    put(&mut object, "/spec/exclusiveGroup", json!("consumables"));
    put(
        &mut object,
        "/spec/remedies",
        json!([super::contract::credit()]),
    );
    object
}

/// A Device with every optional member.
pub(super) fn device() -> Value {
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
        "/spec/certificateSha256",
        json!("ab".repeat(32)),
    );
    object
}

pub(super) fn claim(table: &mut Table) {
    connections(table);
    credentials(table);
    brokers(table);
    models(table);
    parameters(table);
    settings(table);
    steps(table);
    devices(table);
}

fn connections(table: &mut Table) {
    const MEMBER: &str = "exactly the member that the protocol names must be set";
    table.rejects(
        Connection,
        "no member",
        &[("/spec/ipp", Value::Null)],
        MEMBER,
    );
    let osb = json!({"url": "https://broker.example"});
    table.rejects(Connection, "two members", &[("/spec/osb", osb)], MEMBER);
    table.rejects(
        Connection,
        "another member",
        &[("/spec/protocol", json!("OSB"))],
        MEMBER,
    );

    const PORTS: &str = "ports is required with {port} in url, and only then";
    table.rejects(
        Connection,
        "{port} without ports",
        &[("/spec/ipp/ports", Value::Null)],
        PORTS,
    );
    table.rejects(
        Connection,
        "{port} and no port",
        &[("/spec/ipp/ports", json!([]))],
        PORTS,
    );
    let fixed = json!("ipps://{address}:631/ipp/print");
    table.rejects(
        Connection,
        "ports without {port}",
        &[("/spec/ipp/url", fixed.clone())],
        PORTS,
    );
    let changes = [("/spec/ipp/url", fixed), ("/spec/ipp/ports", Value::Null)];
    table.accepts(Connection, "neither {port} nor ports", &changes);

    const AUTHORITIES: &str = "caConfigMapRef goes with trust Verify only";
    for trust in ["Pin", "FirstUse"] {
        let change = ("/spec/tls/trust", json!(trust));
        table.rejects(
            Connection,
            &format!("authorities with {trust}"),
            std::slice::from_ref(&change),
            AUTHORITIES,
        );
        let changes = [
            change,
            ("/spec/tls/caConfigMapRef", Value::Null),
            ("/spec/credentials", Value::Null),
        ];
        table.accepts(
            Connection,
            &format!("{trust} without authorities"),
            &changes,
        );
    }
    let trust = ("/spec/tls/trust", json!("Insecure"));
    table.rejects_by_schema(
        Connection,
        "verification is never off",
        &[trust],
        "Unsupported value",
    );

    const OPERATOR: &str = "In and NotIn need values; Exists and DoesNotExist take none";
    let place = "/spec/allow/0/namespaces/matchExpressions/0";
    let exists = json!({"key": "tier", "operator": "Exists"});
    table.accepts(Connection, "Exists without values", &[(place, exists)]);
    let exists = json!({"key": "tier", "operator": "Exists", "values": ["gold"]});
    table.rejects(
        Connection,
        "Exists with values",
        &[(place, exists)],
        OPERATOR,
    );
    let not_in = json!({"key": "tier", "operator": "NotIn"});
    table.rejects(
        Connection,
        "NotIn without values",
        &[(place, not_in)],
        OPERATOR,
    );

    let everyone = ("/spec/allow/0/namespaces", json!({}));
    table.accepts(
        Connection,
        "the empty selector allows every namespace",
        &[everyone],
    );
    table.rejects_by_schema(
        Connection,
        "nobody is allowed",
        &[("/spec/allow", json!([]))],
        "should have at least 1 items",
    );
    let none = ("/spec/allow/0/networks", json!([]));
    table.rejects_by_schema(
        Connection,
        "no network",
        &[none],
        "should have at least 1 items",
    );
    let limit = ("/spec/limits/perHost/inFlight", json!(0));
    table.rejects_by_schema(
        Connection,
        "a limit of nothing",
        &[limit],
        "greater than or equal to 1",
    );
}

/// shows K4: a login of the platform team goes to no host that a tenant names.
fn login_of_any_host(table: &mut Table) {
    const ANY_HOST: &str = "credentials go to whatever host a Device names";
    let at = |url: &str| ("/spec/ipp", json!({"url": url}));
    let tls = |tls: Value| ("/spec/tls", tls);
    let refused = [
        ("in the clear", at("ipp://{address}:631/ipp/print")),
        (
            "in the clear at a part of the name",
            at("ipp://mfp-{address}.example/"),
        ),
        (
            "in the clear, that is a queue",
            at("ipp://{queue}.example/"),
        ),
        ("without tls", tls(Value::Null)),
        (
            "with the system's authorities",
            tls(json!({"trust": "Verify"})),
        ),
        ("with a pinned certificate", tls(json!({"trust": "Pin"}))),
        (
            "with the certificate seen first",
            tls(json!({"trust": "FirstUse"})),
        ),
    ];
    for (how, change) in refused {
        let name = format!("a login for any host {how}");
        table.rejects(Connection, &name, std::slice::from_ref(&change), ANY_HOST);
        let without = [change, ("/spec/credentials", Value::Null)];
        table.accepts(
            Connection,
            &format!("no login for any host {how}"),
            &without,
        );
    }
    let fixed = [at("ipp://mfp.example/ipp/print"), tls(Value::Null)];
    table.accepts(Connection, "a login for one host", &fixed);
    let queues = [at("ipp://cups.example/printers/{queue}"), tls(Value::Null)];
    table.accepts(Connection, "a login for one host of many queues", &queues);
}

fn credentials(table: &mut Table) {
    const PLACE: &str = "/spec/credentials";
    let of = |kind: &str| json!({"type": kind, "secretRef": {"name": "login"}});
    table.accepts(Connection, "a Bearer token", &[(PLACE, of("Bearer"))]);

    const PLAIN: &str = "the url must begin with ipps:// or https://";
    let certificate = (PLACE, of("ClientCertificate"));
    let at = |url: &str| ("/spec/ipp", json!({"url": url}));
    table.rejects(
        Connection,
        "a client certificate without TLS",
        &[certificate.clone(), at("ipp://mfp.example/ipp/print")],
        PLAIN,
    );
    table.accepts(
        Connection,
        "a client certificate over ipps",
        std::slice::from_ref(&certificate),
    );
    login_of_any_host(table);
    let broker = |url: &str| {
        [
            ("/spec/protocol", json!("OSB")),
            ("/spec/ipp", Value::Null),
            ("/spec/osb", json!({"url": url})),
            certificate.clone(),
        ]
    };
    table.accepts(
        Connection,
        "a client certificate for a broker over https",
        &broker("https://broker.example"),
    );
    table.rejects(
        Connection,
        "a client certificate for a broker without TLS",
        &broker("http://broker.example"),
        PLAIN,
    );

    const TOKEN_URL: &str = "tokenURL is required with type OAuth2ClientCredentials, and only then";
    let client = of("OAuth2ClientCredentials");
    table.rejects(
        Connection,
        "a client of no token endpoint",
        &[(PLACE, client.clone())],
        TOKEN_URL,
    );
    let with = |url: &str| {
        [
            (PLACE, client.clone()),
            ("/spec/credentials/tokenURL", json!(url)),
        ]
    };
    table.accepts(
        Connection,
        "a client of a token endpoint",
        &with("https://login.example:8443/oauth2/token?tenant=1"),
    );
    table.rejects(
        Connection,
        "a token endpoint for a password",
        &[("/spec/credentials/tokenURL", json!("https://login.example"))],
        TOKEN_URL,
    );
    const URL: &str = "http only to a loopback address";
    for url in ["http://127.0.0.1:8080/token", "http://[::1]/token"] {
        table.accepts(
            Connection,
            &format!("a token endpoint at {url}"),
            &with(url),
        );
    }
    for url in [
        "http://login.example/token",
        "http://127.0.0.1.evil.example/token",
        "http://127.0.0.1:80@evil.example/",
        "https://user@login.example/token",
        "https://login.example/token#x",
        "ftp://login.example/",
        "login.example",
    ] {
        table.rejects(
            Connection,
            &format!("a token endpoint at {url}"),
            &with(url),
            URL,
        );
    }
}

fn brokers(table: &mut Table) {
    const URL: &str =
        "must be a URL such as \"https://broker.example\", without user and without a template";
    let broker = |url: &str| {
        [
            ("/spec/protocol", json!("OSB")),
            ("/spec/ipp", Value::Null),
            ("/spec/osb", json!({"url": url})),
        ]
    };
    for url in ["https://broker.example", "http://broker.example:8080/osb"] {
        table.accepts(Connection, &format!("a broker at {url}"), &broker(url));
    }
    for url in [
        "ftp://broker.example",
        "https://user:password@broker.example",
        "https://{address}/",
        "broker.example",
        "https://broker.example/?x=1",
    ] {
        table.rejects(Connection, &format!("a broker at {url}"), &broker(url), URL);
    }
}

fn models(table: &mut Table) {
    let operation = "/spec/settings/0/via/ipp/operation";
    table.accepts(
        DeviceModel,
        "a setting of the host's System Service",
        &[(operation, json!("SetSystemAttributes"))],
    );
    table.rejects_by_schema(
        DeviceModel,
        "an operation that there is not",
        &[(operation, json!("SetAttributes"))],
        "Unsupported value",
    );

    let place = "/spec/settings/-";
    let setting = |kind: &str, more: Value| {
        let mut setting = json!({"name": "another", "type": kind, "via": {}});
        for (key, value) in more.as_object().into_iter().flatten() {
            setting[key] = value.clone();
        }
        [(place, setting)]
    };
    const NUMBERS: &str = "minimum, maximum and unit go with type Integer only";
    for field in [
        json!({"minimum": 1}),
        json!({"maximum": 1}),
        json!({"unit": "percent"}),
    ] {
        let name = field.to_string();
        table.accepts(
            DeviceModel,
            &format!("{name} of an Integer"),
            &setting("Integer", field.clone()),
        );
        table.rejects(
            DeviceModel,
            &format!("{name} of a String"),
            &setting("String", field),
            NUMBERS,
        );
    }
    const WORDS: &str = "allowed goes with type Keyword or KeywordSet only";
    let words = json!({"allowed": ["a"]});
    table.accepts(
        DeviceModel,
        "allowed of a Keyword",
        &setting("Keyword", words.clone()),
    );
    table.rejects(
        DeviceModel,
        "allowed of a Boolean",
        &setting("Boolean", words),
        WORDS,
    );
    const UNSEEN: &str = "writeOnly goes with takesEffect Immediately only";
    let unseen = json!({"writeOnly": true});
    table.accepts(
        DeviceModel,
        "a secret that cannot be read",
        &setting("Secret", unseen),
    );
    let late = json!({"writeOnly": true, "takesEffect": "AfterRestart"});
    table.rejects(
        DeviceModel,
        "a restart that nothing could tell",
        &setting("String", late),
        UNSEEN,
    );
    const ORDER: &str = "minimum must not be above maximum";
    let range = |minimum: i32, maximum: i32| {
        setting("Integer", json!({"minimum": minimum, "maximum": maximum}))
    };
    table.accepts(DeviceModel, "a range of one number", &range(2, 2));
    table.rejects(DeviceModel, "a range upside down", &range(2, 1), ORDER);
    let twice = [(
        place,
        json!({"name": "backup.endpoint", "type": "String", "via": {}}),
    )];
    table.rejects_by_schema(
        DeviceModel,
        "two settings of one name",
        &twice,
        "Duplicate value",
    );
}

fn parameters(table: &mut Table) {
    let parameter = |value: Value| [("/spec/parameters/-", value)];
    const WORDS: &str = "allowed goes with type Keyword or KeywordSet only";
    let words = json!({"name": "another", "type": "String", "allowed": ["a"]});
    table.rejects(
        SmartService,
        "allowed of a String",
        &parameter(words),
        WORDS,
    );
    const NUMBERS: &str = "minimum and maximum go with type Integer only";
    let range = |kind: &str| {
        parameter(json!({"name": "another", "type": kind, "minimum": 1, "maximum": 2}))
    };
    table.accepts(SmartService, "a range of an Integer", &range("Integer"));
    table.rejects(
        SmartService,
        "a range of a Keyword",
        &range("Keyword"),
        NUMBERS,
    );
    const OPEN: &str =
        "a parameter of type Secret has no default: contracts give it in secretParameters";
    let secret = json!({"name": "another", "type": "Secret"});
    table.accepts(SmartService, "a secret", &parameter(secret));
    let told = json!({"name": "another", "type": "Secret", "default": "a"});
    table.rejects(
        SmartService,
        "a default of a secret",
        &parameter(told),
        OPEN,
    );
    const DEFAULT: &str = "default must be one of allowed";
    let default = |kind: &str, default: &str| {
        parameter(
            json!({"name": "another", "type": kind, "allowed": ["a", "b"], "default": default}),
        )
    };
    table.accepts(
        SmartService,
        "a default that is allowed",
        &default("Keyword", "b"),
    );
    table.accepts(
        SmartService,
        "a default of several words",
        &default("KeywordSet", "a,b"),
    );
    table.rejects(
        SmartService,
        "a default that is not allowed",
        &default("Keyword", "c"),
        DEFAULT,
    );
}

fn settings(table: &mut Table) {
    const ONE_VALUE: &str = "exactly one of value and valueFrom must be set";
    const OTHERWISE: &str = "otherwise goes with when only";
    const ONE_SOURCE: &str = "exactly one of parameter, device and contract must be set";
    const MAP: &str = "map goes with parameter only";
    for side in ["device", "server"] {
        let place = format!("/spec/{side}/settings/-");
        let claim = |table: &mut Table,
                     name: &str,
                     setting: Value,
                     message: Option<&'static str>| {
            let mut named = json!({"name": "another"});
            for (key, value) in setting.as_object().into_iter().flatten() {
                named[key] = value.clone();
            }
            let name = format!("{name}, {side}");
            match message {
                None => table.accepts(SmartService, &name, &[(&place, named)]),
                Some(message) => table.rejects(SmartService, &name, &[(&place, named)], message),
            }
        };
        let source = json!({"parameter": "mode"});
        claim(table, "a value", json!({"value": "1"}), None);
        claim(table, "an empty value", json!({"value": ""}), None);
        claim(table, "no value", json!({}), Some(ONE_VALUE));
        claim(
            table,
            "two values",
            json!({"value": "1", "valueFrom": source}),
            Some(ONE_VALUE),
        );
        claim(
            table,
            "otherwise without when",
            json!({"value": "1", "otherwise": "0"}),
            Some(OTHERWISE),
        );
        for source in [json!({"device": "Model"}), json!({"contract": "Name"})] {
            claim(
                table,
                &source.to_string(),
                json!({ "valueFrom": source }),
                None,
            );
        }
        claim(
            table,
            "no source",
            json!({"valueFrom": {}}),
            Some(ONE_SOURCE),
        );
        let two = json!({"valueFrom": {"parameter": "mode", "device": "Model"}});
        claim(table, "two sources", two, Some(ONE_SOURCE));
        let mapped = json!({"valueFrom": {"device": "Model", "map": [{"from": "a", "to": "b"}]}});
        claim(table, "a map of a fact", mapped, Some(MAP));
    }
    const DIFFER: &str = "active and inactive must differ";
    let same = ("/spec/server/activation/inactive", json!("true"));
    table.rejects(
        SmartService,
        "an activation that changes nothing",
        &[same],
        DIFFER,
    );
}

fn steps(table: &mut Table) {
    let steps = |value: Value| [("/spec/steps", value)];
    const ONCE: &str = "each type of step may be named once";
    let twice = json!([{"type": "DeviceSettings"}, {"type": "DeviceSettings", "early": true}]);
    table.rejects(SmartService, "a step twice", &steps(twice), ONCE);
    const LAST: &str = "Activation must be the last step";
    let first = json!([{"type": "Activation"}, {"type": "ServerSettings"}]);
    table.rejects(
        SmartService,
        "Activation before another step",
        &steps(first),
        LAST,
    );
    const EARLY: &str = "Activation is never early";
    let early = json!([{"type": "Activation", "early": true}]);
    table.rejects(SmartService, "an early Activation", &steps(early), EARLY);
    let explicit = json!([{"type": "Activation", "early": false}]);
    table.accepts(SmartService, "Activation alone", &steps(explicit));
    table.accepts(SmartService, "no steps at all", &steps(json!([])));
    table.accepts(
        SmartService,
        "without a device",
        &[("/spec/device", Value::Null)],
    );
    table.accepts(
        SmartService,
        "without a server",
        &[("/spec/server", Value::Null)],
    );
}

fn devices(table: &mut Table) {
    let port = |port: i32| [("/spec/connections/0/port", json!(port))];
    table.accepts(Device, "the last port", &port(65535));
    table.rejects_by_schema(Device, "port zero", &port(0), "greater than or equal to 1");
    table.rejects_by_schema(
        Device,
        "a port too far",
        &port(65536),
        "less than or equal to 65535",
    );
    let none = ("/spec/connections", json!([]));
    table.rejects_by_schema(
        Device,
        "no connection",
        &[none],
        "should have at least 1 items",
    );
    let serial = ("/spec/serialNumber", Value::Null);
    table.rejects_by_schema(Device, "no serial number", &[serial], "Required value");
    let unknown = ("/spec/serialNo", json!("x"));
    table.rejects_by_schema(
        Device,
        "an unknown field",
        &[unknown],
        "unknown field \"spec.serialNo\"",
    );
    let other = ("/spec/serialNumber", json!("NW500-9999"));
    table.accepts_update(Device, "another machine takes the place", &[], &[other]);
}
