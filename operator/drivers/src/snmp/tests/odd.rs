//! Agents that keep to the standard in no way: each row has the public report of one like it, or the
//! section that it breaks.

use std::time::Instant;

use entente_domain::protocol::Place;
use entente_domain::remote::{DeviceReading, FailureKind, Scalar};

use super::super::SnmpDriver;
use super::super::message::{GET, GET_BULK, GET_NEXT, Pdu, Value};
use super::super::oid::Oid;
use super::agent::{Agent, LIMIT, answer, objects, proper, refusal};
use super::*;

const SERIAL_NUMBER: &str = "1.3.6.1.2.1.43.5.1.1.17.1";
const NAME: &str = "1.3.6.1.2.1.1.5.0";

/// A printer with a jam and one supply.
const PRINTER: &str = r#"
    1.1.0 = "NW Label 7"
    1.5.0 = "lobby"
    25.3.5.1.1.1 = 3
    43.5.1.1.17.1 = "NW7-0042"
    43.11.1.1.5.1.1 = 3
    43.11.1.1.8.1.1 = 100
    43.11.1.1.9.1.1 = 40
    43.18.1.1.7.1.1 = 8
"#;

fn place(oid: &str) -> Place {
    Place::Snmp {
        oid: oid.to_owned(),
        r#type: SnmpType::OctetString,
    }
}

fn driver() -> SnmpDriver {
    SnmpDriver::new(Arc::new(Transport::new()))
}

async fn status(agent: &Agent) -> Result<StatusReport, Failure> {
    driver()
        .status(&agent.target(), &place(SERIAL_NUMBER))
        .await
}

async fn reading(agent: &Agent) -> Result<DeviceReading, Failure> {
    let request = DeviceReadRequest {
        identity: place(SERIAL_NUMBER),
        places: [place(NAME), place("1.3.6.1.4.1.9.9.0")].into(),
    };
    driver().observe(&agent.target(), &request).await
}

/// Returns the answer of an agent of version 1 behind a proxy (RFC 1157 section 4.1.2), which refuses a
/// request for an object that it does not have.
fn as_version_1(request: &Pdu, good: &Pdu) -> Pdu {
    let is_missing = |value: &Value| matches!(value, Value::Missing | Value::EndOfView);
    let mut values = good.bindings.iter().map(|(_, value)| value);
    match values.position(is_missing) {
        Some(at) => refusal(request, 2, i64::try_from(at + 1).unwrap()),
        None => good.clone(),
    }
}

/// Answers of an agent with the objects of a printer, by its manner.
fn manner(name: &'static str) -> impl FnMut(&Pdu) -> Vec<Pdu> + Send + 'static {
    let objects = objects(PRINTER);
    let mut count = 0;
    let mut last: Option<Pdu> = None;
    move |request| {
        count += 1;
        let good = proper(&objects, request);
        match name {
            "it is proper" => vec![good.clone()],
            // https://github.com/prometheus/snmp_exporter/pull/31
            "it does not know GetBulkRequest" => match request.tag {
                GET_BULK => vec![refusal(request, 5, 0)],
                _ => vec![good.clone()],
            },
            // https://github.com/FreeDSx/SNMP/issues/12
            "its long answers are lost" => match request.tag {
                GET_BULK if request.index > 8 => vec![],
                _ => vec![good.clone()],
            },
            // RFC 3416 section 4.2.1: tooBig.
            "it has room for three objects" => {
                let most = if request.tag == GET_BULK {
                    request.index
                } else {
                    1
                };
                if request.bindings.len() > 3 || most > 10 {
                    vec![refusal(request, 1, 0)]
                } else {
                    vec![good.clone()]
                }
            }
            "it answers as version 1 does" => vec![as_version_1(request, &good)],
            "each answer comes twice" => vec![good.clone(), good.clone()],
            "the answer to the request before comes first" => {
                let late = last.replace(good.clone());
                late.into_iter().chain([good.clone()]).collect()
            }
            "every second request is lost" => {
                if count % 2 == 1 {
                    vec![]
                } else {
                    vec![good.clone()]
                }
            }
            // https://github.com/exhuma/puresnmp/issues/94,
            // https://github.com/easysnmp/easysnmp/issues/205
            "it goes round in circles" => match request.tag {
                GET_BULK | GET_NEXT if good.bindings[0].1 != Value::EndOfView => {
                    let first = good.bindings[0].clone();
                    vec![answer(request, vec![first.clone(), first])]
                }
                _ => vec![good.clone()],
            },
            _ => panic!("{name}"),
        }
    }
}

// shows A2 D1
#[tokio::test]
async fn an_odd_agent_is_read_all_the_same() {
    for name in [
        "it is proper",
        "it does not know GetBulkRequest",
        "its long answers are lost",
        "it has room for three objects",
        "it answers as version 1 does",
        "each answer comes twice",
        "the answer to the request before comes first",
        "every second request is lost",
    ] {
        let agent = Agent::start(manner(name)).await;
        let reading = reading(&agent).await.unwrap();
        assert_eq!(
            reading.product_name.as_deref(),
            Some("NW Label 7"),
            "{name}"
        );
        assert_eq!(reading.identity.as_deref(), Some("NW7-0042"), "{name}");
        let values = [(place(NAME), vec![Scalar::Text("lobby".to_owned())])];
        assert_eq!(reading.values, values.into(), "{name}");
        if name == "every second request is lost" {
            // A whole look would take longer than it may.
            continue;
        }
        let report = status(&agent).await.unwrap();
        let found = (report.faults.len(), report.supplies.len());
        assert_eq!(found, (1, 1), "{name}: {report:?}");
        assert!(!report.is_partial, "{name}: {report:?}");
    }
}

/// Returns the reading of an agent that refuses one object by an error-status, and has no other fault; with
/// `names_it` it says which one, too.
async fn reading_without(
    object: &str,
    status: i64,
    names_it: bool,
) -> Result<DeviceReading, Failure> {
    let refused = Oid::parse(object).unwrap();
    let objects = objects(PRINTER);
    let agent = Agent::start(move |request| {
        let mut names = request.bindings.iter().map(|(oid, _)| oid);
        vec![match names.position(|oid| *oid == refused) {
            Some(at) if names_it => refusal(request, status, i64::try_from(at + 1).unwrap()),
            Some(_) => refusal(request, status, 0),
            None => proper(&objects, request),
        }]
    });
    reading(&agent.await).await
}

// shows D1 K5
#[tokio::test]
async fn an_object_is_missing_only_if_the_agent_says_so() {
    const PRODUCT: &str = "1.3.6.1.2.1.25.3.2.1.3.1";
    for status in 1..=18 {
        for names_it in [true, false] {
            let name = format!("{status}, {names_it}");
            let found = reading_without(NAME, status, names_it).await;
            let found = found.map(|reading| (reading.identity.is_some(), reading.values.len()));
            match status {
                2 => assert_eq!(found, Ok((true, 0)), "{name}"),
                16 => assert_eq!(found.unwrap_err().kind, FailureKind::Unauthorized),
                _ => {
                    let failure = found.unwrap_err();
                    let said = format!("the device answered {status}, ");
                    assert!(failure.message.starts_with(&said), "{failure:?}");
                    let place = format!("when it was asked for {NAME}");
                    assert!(failure.message.ends_with(&place), "{failure:?}");
                    assert!(!failure.doubtful, "a reading changes nothing");
                }
            }
            // The identity is no less a part of the reading.
            let found = reading_without(SERIAL_NUMBER, status, names_it).await;
            assert_eq!(found.is_ok(), status == 2, "{name}: {found:?}");
            // The name of the product is only shown.
            let found = reading_without(PRODUCT, status, names_it).await;
            assert_eq!(found.is_ok(), status != 16, "{name}: {found:?}");
        }
    }
}

// shows D1
#[tokio::test]
async fn what_an_answer_leaves_out_is_asked_for_again_and_is_not_taken_for_missing() {
    for (most, is_read) in [(1, true), (0, false)] {
        let objects = objects(PRINTER);
        let agent = Agent::start(move |request| {
            let mut good = proper(&objects, request);
            good.bindings.truncate(most);
            vec![good]
        });
        match reading(&agent.await).await {
            Ok(reading) => {
                assert!(is_read);
                assert_eq!(reading.identity.as_deref(), Some("NW7-0042"));
                assert_eq!(reading.values.len(), 1, "the other one it does not have");
            }
            Err(failure) => {
                assert!(!is_read, "{failure:?}");
                assert_eq!(failure.kind, FailureKind::ProtocolError);
                assert!(failure.message.contains("nothing of"), "{failure:?}");
            }
        }
    }
}

// shows A9
#[tokio::test]
async fn a_table_that_an_agent_refuses_in_its_middle_is_not_read_as_one_without_the_rest() {
    for (code, kind, said) in [
        (1, FailureKind::ProtocolError, "answered 1, tooBig"),
        (5, FailureKind::ProtocolError, "answered 5, genErr"),
        (13, FailureKind::Busy, "answered 13, resourceUnavailable"),
    ] {
        let objects = objects(PRINTER);
        let table = Oid::parse("1.3.6.1.2.1.43.18.1.1").unwrap();
        let agent = Agent::start(move |request| match request.tag {
            GET_BULK | GET_NEXT if request.bindings[0].0.below(&table).is_some() => {
                vec![refusal(request, code, 1)]
            }
            _ => vec![proper(&objects, request)],
        });
        let agent = agent.await;
        let failure = status(&agent).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.contains(said), "{failure:?}");
        let place = "behind 1.3.6.1.2.1.43.18.1.1";
        assert!(failure.message.ends_with(place), "{failure:?}");
        let asked = agent.asked();
        let last = asked.last().map(|pdu| pdu.tag);
        assert_eq!(last, Some(GET_NEXT), "it was asked for one object only");
    }
}

#[tokio::test]
async fn a_table_of_other_things_that_an_agent_refuses_costs_what_it_tells_and_no_error() {
    for (table, has_supplies) in [
        ("1.3.6.1.2.1.43.16.5.1", true),
        ("1.3.6.1.2.1.43.12.1.1", true),
        ("1.3.6.1.2.1.43.11.1.1", false),
    ] {
        let objects = objects(PRINTER);
        let table = Oid::parse(table).unwrap();
        let agent = Agent::start(move |request| match request.tag {
            GET_BULK | GET_NEXT if request.bindings[0].0.below(&table).is_some() => {
                vec![refusal(request, 5, 1)]
            }
            _ => vec![proper(&objects, request)],
        });
        let report = status(&agent.await).await.unwrap();
        assert!(
            !report.faults.is_empty() && !report.is_partial,
            "{report:?}"
        );
        assert_eq!(!report.supplies.is_empty(), has_supplies, "{report:?}");
    }
}

// shows K5
#[tokio::test]
async fn an_agent_that_goes_round_in_circles_or_never_ends_is_left() {
    let circles = Agent::start(manner("it goes round in circles")).await;
    let report = status(&circles).await.unwrap();
    assert!(
        report.supplies.is_empty(),
        "a part of the table names the wrong one"
    );
    assert!(report.is_partial, "what is behind it nobody knows");
    assert!(circles.asked().len() < 40, "{}", circles.asked().len());

    let mut next = 0;
    let endless = Agent::start(move |request| {
        if request.tag == GET {
            return vec![proper(&objects(PRINTER), request)];
        }
        let tree = &request.bindings[0].0;
        let most = if request.tag == GET_BULK {
            request.index
        } else {
            1
        };
        let bindings = (0..most).map(|_| {
            next += 1;
            // Below the tree that is asked for, however long that name is by now.
            let base = Oid::parse("1.3.6.1.2.1.43.11.1.1").unwrap();
            let base = if tree.below(&base).is_some() {
                base
            } else {
                tree.clone()
            };
            (base.child(&[9, 1, next]), Value::Integer(1))
        });
        vec![answer(request, bindings.collect())]
    });
    let endless = endless.await;
    let report = status(&endless).await;
    let asked = endless.asked().len();
    assert!(asked < 2_000, "{asked} requests: {report:?}");
}

// shows D1 K5
#[tokio::test]
async fn what_is_no_answer_is_told_as_what_it_is_and_in_time() {
    type Row = (
        &'static str,
        fn(&[u8]) -> Vec<Vec<u8>>,
        FailureKind,
        &'static str,
    );
    let rows: [Row; 5] = [
        ("it is silent", |_| vec![], FailureKind::TimedOut, "in time"),
        (
            "it answers with something else",
            |_| vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()],
            FailureKind::ProtocolError,
            "cannot be read",
        ),
        (
            "its answers are cut off",
            |datagram| {
                let request = Pdu::of_community(datagram, b"public").unwrap();
                let mut cut = proper(&objects(PRINTER), &request).by_community(b"public");
                cut.truncate(cut.len() / 2);
                vec![cut]
            },
            FailureKind::ProtocolError,
            "it ends before a value does",
        ),
        (
            "it answers by another community",
            |datagram| {
                let request = Pdu::of_community(datagram, b"public").unwrap();
                vec![proper(&objects(PRINTER), &request).by_community(b"other")]
            },
            FailureKind::ProtocolError,
            "another community",
        ),
        (
            "it repeats the request",
            |datagram| vec![datagram.to_vec()],
            FailureKind::TimedOut,
            "in time",
        ),
    ];
    for (name, answer, kind, said) in rows {
        let agent = Agent::raw(answer).await;
        let begun = Instant::now();
        let failure = reading(&agent).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{name}: {failure:?}");
        assert!(failure.message.contains(said), "{name}: {failure:?}");
        assert!(!failure.doubtful, "{name}: a reading changes nothing");
        assert!(begun.elapsed() < LIMIT * 3, "{name}: {:?}", begun.elapsed());
    }
}

// shows D1
#[tokio::test]
async fn an_answer_that_comes_after_its_attempt_counts_for_the_same_request() {
    let mut first: Option<Pdu> = None;
    let objects = objects(PRINTER);
    let agent = Agent::start(move |request| {
        // The device answers the first of three, once the second has come.
        if let Some(first) = &first {
            return vec![proper(&objects, first)];
        }
        first = Some(request.clone());
        vec![]
    });
    let agent = agent.await;
    let reading = reading(&agent).await.unwrap();
    assert_eq!(reading.identity.as_deref(), Some("NW7-0042"));
    let ids: Vec<i32> = agent.asked().iter().map(|pdu| pdu.id).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1], "each is sent under its own id");
}

// shows D1
#[tokio::test]
async fn a_flaw_of_one_object_leaves_the_others_readable() {
    let objects = objects(PRINTER);
    let agent = Agent::raw(move |datagram| {
        let request = Pdu::of_community(datagram, b"public").unwrap();
        let mut bytes = proper(&objects, &request).by_community(b"public");
        // The tag of the text "lobby" becomes one that there is not.
        let at = bytes
            .windows(5)
            .position(|octets| octets == b"lobby")
            .unwrap();
        bytes[at - 2] = 0x99;
        vec![bytes]
    });
    let reading = reading(&agent.await).await.unwrap();
    assert_eq!(reading.identity.as_deref(), Some("NW7-0042"));
    let value = &reading.values[&place(NAME)][0];
    assert!(matches!(value, Scalar::Malformed(_)), "{value:?}");
}
