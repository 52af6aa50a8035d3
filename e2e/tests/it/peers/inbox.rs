//! The inbox of a provider: the verdicts of the SDK of CloudEvents, and our faults.

use entente_e2e::peers::CloudEventsInbox;
use entente_e2e::peers::ipp_client::http_client;
use entente_simulators::{Fault, FaultKind};
use serde_json::{Value, json};

const BATCH: &str = "application/cloudevents-batch+json";

/// Posts a body, and returns the status of the answer; none if the connection ended before.
async fn post(inbox: &CloudEventsInbox, content_type: &str, body: &str) -> Option<u16> {
    let request = http_client().post(format!("{}/v1/events", inbox.url()));
    let request = request.header("content-type", content_type);
    let answer = request.body(body.to_owned()).send().await.ok()?;
    Some(answer.status().as_u16())
}

fn event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "urn:x", "type": "a"})
}

/// Returns an event with another value of a member; `None` takes the member out.
fn with(member: &str, value: Option<Value>) -> Value {
    let mut event = event("1");
    let members = event.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.remove(member),
    };
    event
}

#[tokio::test]
async fn cloudevents_refuses_what_is_no_event() {
    let inbox = CloudEventsInbox::start().await.unwrap();
    let time = |text: &str| with("time", Some(json!(text)));
    for odd in [
        json!(1),
        with("id", None),
        with("source", None),
        with("type", None),
        with("specversion", None),
        with("id", Some(json!(""))),
        with("id", Some(json!(12))),
        with("source", Some(json!(""))),
        with("specversion", Some(json!("0.3"))),
        with("subject", Some(Value::Null)),
        with("subject", Some(json!(""))),
        with("Upper", Some(json!("a"))),
        with("with-hyphen", Some(json!("a"))),
        with("sequence", Some(json!(12))),
        time("2027-04-01T00:00:02"),
        time("2016-12-31T23:59:60Z"),
        time("yesterday"),
    ] {
        let before = inbox.requests().len();
        let body = json!([event("good"), odd]).to_string();
        assert_eq!(post(&inbox, BATCH, &body).await, Some(400), "{body}");
        let requests = inbox.requests();
        assert_eq!(requests.len(), before + 1);
        assert_eq!(requests[before].faults.len(), 1, "{:?}", requests[before]);
    }
    let good = json!([event("1")]).to_string();
    for (content_type, body, status) in [
        ("application/json", &*good, 415),
        ("application/cloudevents+json", &good, 415),
        (BATCH, "{}", 400),
        (BATCH, "[", 400),
        (BATCH, "", 400),
    ] {
        let answer = post(&inbox, content_type, body).await;
        assert_eq!(answer, Some(status), "{content_type}: {body}");
    }
    assert_eq!(inbox.taken(), []);

    let data = r#""data":{"n":993143214321423154315154321.10}"#;
    let body = format!(
        r#" [ {{"specversion":"1.0","id":"a","source":"s","type":"t",{data}}} , {} ]"#,
        event("b")
    );
    assert_eq!(post(&inbox, BATCH, &body).await, Some(202));
    let taken = inbox.taken();
    let ids: Vec<&str> = taken.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(taken[0].text.contains(data), "{}", taken[0].text);
}

#[tokio::test]
async fn cloudevents_are_kept_before_the_answer_and_each_fault_does_what_it_says() {
    let mut inbox = CloudEventsInbox::start().await.unwrap();
    let reject = FaultKind::Reject {
        attributes: vec!["odd".to_owned()],
        status: entente_simulators::Rejection::default(),
    };
    let lost = FaultKind::NotEffective {
        attributes: Vec::new(),
    };
    let mut kept = 0;
    for (fault, id, status, is_kept) in [
        (FaultKind::http_500(), "1", Some(500), false),
        (FaultKind::too_many_requests(7), "1", Some(429), false),
        (FaultKind::Unauthorized, "1", Some(401), false),
        (reject.clone(), "odd", Some(400), false),
        (reject, "even", Some(202), true),
        (lost, "1", Some(202), false),
        (FaultKind::ResetAfterCommit, "2", None, true),
        (FaultKind::Slow { milliseconds: 10 }, "3", Some(202), true),
    ] {
        inbox.set_fault(fault.clone()).await.unwrap();
        let body = json!([event(id)]).to_string();
        assert_eq!(post(&inbox, BATCH, &body).await, status, "{fault:?}");
        kept += usize::from(is_kept);
        assert_eq!(inbox.taken().len(), kept, "{fault:?}");
        inbox.clear_faults().await.unwrap();
    }
    let once = Fault::new(FaultKind::http_500()).for_requests(1);
    inbox.set_fault(once).await.unwrap();
    let body = json!([event("4")]).to_string();
    assert_eq!(post(&inbox, BATCH, &body).await, Some(500));
    assert_eq!(post(&inbox, BATCH, &body).await, Some(202));
    inbox.set_fault(FaultKind::Busy).await.unwrap_err();

    let before = inbox.requests();
    inbox.kill().await.unwrap();
    assert_eq!(post(&inbox, BATCH, &body).await, None);
    inbox.start_again().await.unwrap();
    assert_eq!(post(&inbox, BATCH, &body).await, Some(202));
    assert_eq!(inbox.taken().len(), kept + 2, "a double is a second line");
    assert_eq!(inbox.requests()[..before.len()], before[..]);
    assert_eq!(inbox.requests().last().unwrap().request, 11);
}
