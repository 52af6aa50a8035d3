//! Cases about Connections.

use serde_json::{Value, json};

use super::CaseKind::Connection;
use super::{Table, plain, put};
use crate::example;

/// A Connection for IPP with every optional member.
pub(super) fn whole() -> Value {
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

pub(super) fn case(table: &mut Table) {
    connections(table);
    credentials(table);
    brokers(table);
}

fn connections(table: &mut Table) {
    order_servers(table);
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

    const PLACEHOLDERS: &str = "no other placeholders than {address}, {port} and {queue}";
    let url = |url: &str| {
        [
            ("/spec/ipp/url", json!(url)),
            ("/spec/ipp/ports", Value::Null),
        ]
    };
    for template in [
        "ipps://{address}/ipp/{queue}",
        "ipps://{queue}.example/{address}",
    ] {
        table.accepts(Connection, &format!("the url {template}"), &url(template));
    }
    for template in [
        "ipps://{adress}/ipp/print",
        "ipps://{address}/ipp/{que}",
        "ipps://{address/ipp/print",
        "ipps://address}/ipp/print",
        "ipps://{address}/{{queue}}",
        "ipps://{}/ipp/print",
        "ipps://{address}:99999/ipp/print",
        "ipps://{address}:0/ipp/print",
        "ipps://{address}:/ipp/print",
    ] {
        let case = format!("the placeholder in {template}");
        table.rejects(Connection, &case, &url(template), PLACEHOLDERS);
    }

    let far = [("/spec/ipp/ports", json!([65536]))];
    table.rejects_by_schema(
        Connection,
        "ports too far",
        &far,
        "less than or equal to 65535",
    );

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
    table.accepts(
        Connection,
        "authorities without a trust, which is Verify then",
        &[("/spec/tls/trust", Value::Null)],
    );
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
    let type_alone = [
        at("ipp://{address}:631/ipp/print"),
        tls(Value::Null),
        ("/spec/credentials", json!({"type": "Digest"})),
    ];
    table.accepts(
        Connection,
        "the type of each Device's own login",
        &type_alone,
    );
    let fixed = [at("ipp://mfp.example/ipp/print"), tls(Value::Null)];
    table.accepts(Connection, "a login for one host", &fixed);
    let queues = [at("ipp://cups.example/printers/{queue}"), tls(Value::Null)];
    table.accepts(Connection, "a login for one host of many queues", &queues);
}

fn credentials(table: &mut Table) {
    const PLACE: &str = "/spec/credentials";
    let of = |kind: &str| json!({"type": kind, "secretRef": {"name": "login"}});
    for known in ["Bearer", "Digest"] {
        let name = format!("a login by {known}");
        table.accepts(Connection, &name, &[(PLACE, of(known))]);
    }
    table.rejects_by_schema(
        Connection,
        "a login by a scheme that is not known",
        &[(PLACE, of("Negotiate"))],
        "Unsupported value",
    );

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

    let [osb, ipp, url, _] = broker("https://broker.example");
    table.rejects(
        Connection,
        "a login for a broker without a Secret",
        &[osb, ipp, url, (PLACE, json!({"type": "Basic"}))],
        "credentials.secretRef is required, but for Devices",
    );

    let of_each = |url: &str| {
        [
            ("/spec/ipp", Value::Null),
            ("/spec/protocol", json!("HTTP")),
            ("/spec/http", json!({ "url": url })),
            (PLACE, json!({"type": "Bearer"})),
        ]
    };
    table.accepts(
        Connection,
        "a settings distribution server to which each Device brings a login",
        &of_each("https://settings.example"),
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
    let place = |place: &str| ("/spec/credentials/clientAuthentication", json!(place));
    for known in ["Basic", "Body"] {
        let [client, url] = with("https://login.example/token");
        table.accepts(
            Connection,
            &format!("a client that is authenticated by {known}"),
            &[client, url, place(known)],
        );
    }
    let [client_of, url] = with("https://login.example/token");
    table.rejects_by_schema(
        Connection,
        "a client that is authenticated in the query",
        &[client_of, url, place("Query")],
        "Unsupported value",
    );
    table.rejects(
        Connection,
        "an authentication of a client for a password",
        &[place("Body")],
        "clientAuthentication goes with type OAuth2ClientCredentials only",
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
        "https://login.example:99999/",
        "http://127.0.0.256/token",
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
    for url in [
        "https://broker.example",
        "http://broker.example:8080/osb",
        "https://10.20.3.4:65535/",
        "https://[fd00::1]:8443/osb",
    ] {
        table.accepts(Connection, &format!("a broker at {url}"), &broker(url));
    }
    for url in [
        "ftp://broker.example",
        "https://user:password@broker.example",
        "https://{address}/",
        "broker.example",
        "https://broker.example/?x=1",
        "https://broker.example:99999",
        "https://broker.example:0/",
        "https://256.1.1.1",
        "https://0x7f000001/",
    ] {
        table.rejects(Connection, &format!("a broker at {url}"), &broker(url), URL);
    }
    const MOVED: &str = "movedFrom must have URLs such as \"https://broker.example\", without user \
                         and without a template, with a port from 1 to 65535";
    let moved = |from: &str| {
        let [protocol, ipp, _] = broker("");
        let osb = json!({"url": "https://new.example", "movedFrom": [from]});
        [protocol, ipp, ("/spec/osb", osb)]
    };
    let good = "http://old.example:8080/osb";
    table.accepts(Connection, "a broker that has moved", &moved(good));
    for bad in [
        "old.example",
        "http://old.example:99999",
        "http://127.0.0.256/",
    ] {
        table.rejects(
            Connection,
            &format!("a broker that moved from {bad}"),
            &moved(bad),
            MOVED,
        );
    }
}

fn order_servers(table: &mut Table) {
    let orders = json!({"idempotencyKey": "Ignored", "keptFor": "72h"});
    let of_http = [
        ("/spec/protocol", json!("HTTP")),
        ("/spec/ipp", Value::Null),
        ("/spec/http", json!({"url": "https://orders.example/"})),
        ("/spec/orders", orders.clone()),
    ];
    table.accepts(Connection, "an order server without keys", &of_http);
    let mut forgetful = of_http.clone();
    forgetful[3].1["keptFor"] = json!("0s");
    table.rejects(
        Connection,
        "an order server that keeps a key for no time",
        &forgetful,
        "must be a duration longer than zero",
    );
    table.rejects(
        Connection,
        "promises of an order server for IPP",
        &[("/spec/orders", orders)],
        "orders goes with protocol HTTP only: it says what can be relied on of an order server",
    );
}
