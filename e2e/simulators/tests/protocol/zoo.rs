//! The form of the zoo's rows, and the broker that plays them.

use entente_simulators::zoo::{Asked, Pace, Reply, Request, Row, ZooBroker, rows, rows_of};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Returns the message for a row that cannot be used.
fn refused(text: &str) -> String {
    rows_of(text).unwrap_err().to_string()
}

fn row(text: &str) -> Row {
    rows_of(text).unwrap().pop().unwrap()
}

/// A broker and the requests that a test sends to it.
struct Played {
    broker: ZooBroker,
    now: Timestamp,
}

impl Played {
    fn of(text: &str) -> Self {
        Self {
            broker: ZooBroker::new(&row(text), Pace::Virtual, Timestamp::UNIX_EPOCH),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        let request = Request::new(method, path, body.to_string());
        self.broker.answer(&request, self.now)
    }

    /// Returns status and body of an answer.
    fn said(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        match self.ask(method, path, body) {
            Reply::Http(reply) => {
                let body = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
                (reply.status, body)
            }
            other => panic!("{other:?}"),
        }
    }

    fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }
}

const INSTANCE: &str = "/v2/service_instances/i-1";

fn wish(size: u32) -> Value {
    json!({ "service_id": "zoo-id", "plan_id": "standard-id", "parameters": { "size": size } })
}

#[test]
fn every_row_of_the_repository_can_be_read() {
    let rows = rows().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        ZooBroker::new(&row, Pace::Real, Timestamp::UNIX_EPOCH);
    }
}

#[test]
fn a_row_that_cannot_be_used_is_named_with_its_line() {
    let place = "e2e/simulators/zoo/brokers.txt:2: odd: ";
    let said = |line: &str| refused(&format!("row odd\n{line}\nsays Ready=True\n"));
    for (line, problem) in [
        ("POLL : 99 {}", "no status of HTTP: 99"),
        ("POLL 0 : well", "`:` is missing before `0 : well`"),
        ("PUT : 200 {\"a\":", "the body is no JSON"),
        ("PUT : well twice", "nothing may follow here: twice"),
        ("PUT < 3", "no comparison: <"),
        (
            "says Ready",
            "no condition such as Ready=True(Succeeded): Ready",
        ),
        ("edit size at 1m", "no edit such as size=20: size"),
        (
            "cure at noon",
            "the time of the cure is no length of time: noon",
        ),
        ("known:", "known: needs the fault of the product"),
        ("roars", "unknown word: roars"),
    ] {
        let said = said(line);
        assert!(said.starts_with(&format!("{place}{problem}")), "{said}");
    }
}

#[test]
fn a_row_that_nothing_could_fail_is_refused() {
    let problem = "e2e/simulators/zoo/brokers.txt:1: idle: it has no claim";
    assert!(refused("row idle\nPUT : 500 {}\n").contains("it has no claim"));
    assert!(refused("row idle\n\nrow next\nsays Ready=True").contains("idle: it has no claim"));
    assert!(refused("row idle").starts_with(&problem[..34]));
    assert!(refused("row a\ngone\nrow a\ngone").contains("line 1 has a row a too"));
    assert!(refused("row a\ncure at 1m\ngone").contains("`cure` and `then`"));
    assert!(refused("row a\nend at 2h\ngone").contains("it ends before everything"));
    assert!(refused("row a e2e\nend at 5m\ngone").contains("write it as 10m/9s"));
}

#[test]
fn the_first_rule_that_matches_decides_and_without_one_it_is_a_good_broker() {
    let mut played = Played::of(
        "row some\nPUT 1 : 500 \"oops\"\nPUT 2 : cut\nGET without \"plan_id\" : hang\n\
         POLL after 1m : 200 Retry-After: 7 {\"state\": \"in progress\"}\ngone\n",
    );
    assert_eq!(played.said("PUT", INSTANCE, &wish(1)), (500, Value::Null));
    assert_eq!(played.ask("PUT", INSTANCE, &wish(1)), Reply::Cut);
    assert_eq!(played.said("PUT", INSTANCE, &wish(1)), (201, json!({})));
    assert_eq!(played.ask("GET", INSTANCE, &Value::Null), Reply::Hang);
    let path = format!("{INSTANCE}?plan_id=standard-id");
    let (status, body) = played.said("GET", &path, &Value::Null);
    assert_eq!((status, &body["parameters"]), (200, &json!({ "size": 1 })));
    let poll = format!("{INSTANCE}/last_operation");
    assert_eq!(
        played.said("GET", &poll, &Value::Null).1["state"],
        "succeeded"
    );
    assert_eq!(played.broker.unmatched(), [5]);
    played.later(60);
    let Reply::Http(reply) = played.ask("GET", &poll, &Value::Null) else {
        panic!("no answer");
    };
    assert_eq!(reply.headers, [("Retry-After".to_owned(), "7".to_owned())]);
    assert!(played.broker.unmatched().is_empty());
    let heard = played.broker.heard();
    let last = heard.last().unwrap();
    assert_eq!(
        (last.asked, last.number, last.rule),
        (Asked::Poll, 2, Some(5))
    );
}

#[test]
fn a_good_broker_keeps_what_it_was_given_until_it_is_removed() {
    let mut played = Played::of("row good\ntakes 10s\nstrict\ngone\n");
    let catalog = played.said("GET", "/v2/catalog", &Value::Null).1;
    assert_eq!(catalog["services"][0]["plans"][0]["id"], "standard-id");
    let operation = json!({ "operation": "operation-1" });
    assert_eq!(played.said("PUT", INSTANCE, &wish(1)), (202, operation));
    let query = format!("{INSTANCE}?plan_id=standard-id");
    assert_eq!(played.said("GET", &query, &Value::Null).0, 404);
    assert_eq!(played.said("DELETE", &query, &Value::Null).0, 422);
    played.later(10);
    assert_eq!(played.said("PUT", INSTANCE, &wish(1)).0, 200);
    assert_eq!(played.said("PUT", INSTANCE, &wish(2)).0, 409);
    assert_eq!(played.said("PATCH", INSTANCE, &wish(2)).0, 202);
    let size = |found: &(u16, Value)| found.1["parameters"]["size"].clone();
    assert_eq!(size(&played.said("GET", &query, &Value::Null)), json!(1));
    played.later(10);
    assert_eq!(size(&played.said("GET", &query, &Value::Null)), json!(2));
    let other = format!("{INSTANCE}?plan_id=premium-id");
    assert_eq!(played.said("GET", &other, &Value::Null).0, 400);
    assert_eq!(played.said("DELETE", &query, &Value::Null).0, 202);
    played.later(10);
    assert_eq!(played.said("DELETE", &query, &Value::Null).0, 410);
    assert!(played.broker.instances(played.now).is_empty());
}

#[test]
fn what_comes_late_comes_and_what_is_ignored_is_not_taken() {
    let mut played = Played::of("row late\nPUT : well late 90s\nPATCH : ignore size\ngone\n");
    assert_eq!(played.ask("PUT", INSTANCE, &wish(1)), Reply::Hang);
    played.later(89);
    assert_eq!(played.said("GET", INSTANCE, &Value::Null).0, 404);
    played.later(1);
    assert_eq!(played.broker.instances(played.now), ["i-1"]);
    assert_eq!(played.said("PATCH", INSTANCE, &wish(2)), (200, json!({})));
    let found = played.said("GET", INSTANCE, &Value::Null).1;
    assert_eq!(found["parameters"], json!({ "size": 1 }));
    played.broker.cure();
    assert_eq!(played.said("PATCH", INSTANCE, &wish(2)).0, 200);
    let found = played.said("GET", INSTANCE, &Value::Null).1;
    assert_eq!(found["parameters"], json!({ "size": 2 }));
}
