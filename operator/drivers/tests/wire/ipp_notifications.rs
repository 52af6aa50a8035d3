//! Notifications of printers on the wire: answers as they are in octets, with the gaps and lies of those that
//! were met.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::Protocol;
use entente_domain::remote::{
    Failure, FailureKind, FetchedEvent, FetchedEvents, NotificationAnswer, NotificationRequest,
    PrinterEvent,
};
use entente_drivers::Drivers;
use jiff::SignedDuration;

use super::{
    ipp::{contains, group, reply, target, value},
    server::{Reply, Server},
};

const OPERATION: u8 = 0x01;
const PRINTER: u8 = 0x04;
const SUBSCRIPTION: u8 = 0x06;
const EVENT: u8 = 0x07;
const KEYWORD: u8 = 0x44;
const LEASE: SignedDuration = SignedDuration::from_mins(15);

fn number(tag: u8, name: &str, number: i32) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&u16::try_from(name.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&[0, 4]);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes
}

fn integer(name: &str, value: i32) -> Vec<u8> {
    number(0x21, name, value)
}

/// Returns an attribute with these values; all but the first have no name.
fn set(tag: u8, name: &str, values: &[&str]) -> Vec<u8> {
    let named =
        |(place, text): (usize, &&str)| value(tag, if place == 0 { name } else { "" }, text);
    values.iter().enumerate().flat_map(named).collect()
}

/// Sends a request to a printer that answers by this status and these groups.
async fn ask(
    request: NotificationRequest,
    status: u16,
    groups: Vec<u8>,
) -> (Result<NotificationAnswer, Failure>, Vec<u8>) {
    let server = Server::start(move |arrived| reply(arrived, status, &groups)).await;
    let answer = send(&server, &request).await;
    let arrived = server.arrived();
    (answer, arrived.last().expect("a request").body.clone())
}

async fn send(
    server: &Server,
    request: &NotificationRequest,
) -> Result<NotificationAnswer, Failure> {
    let drivers = Drivers::real();
    let device = drivers.device(Protocol::IPP).unwrap();
    device.notifications(&target(server), request).await
}

fn subscribe() -> NotificationRequest {
    NotificationRequest::Subscribe {
        events: PrinterEvent::ALL.into(),
        lease: LEASE,
    }
}

fn fetch(waits: bool) -> NotificationRequest {
    NotificationRequest::Fetch {
        subscription: 7,
        from: 3,
        waits,
    }
}

fn kind(answer: Result<NotificationAnswer, Failure>) -> FailureKind {
    answer.expect_err("a failure").kind
}

/// Returns each request with the code of its operation, and what has to be in it.
fn requests() -> [(NotificationRequest, u8, Vec<Vec<u8>>); 5] {
    let lease = integer("notify-lease-duration", 900);
    let id = integer("notify-subscription-id", 7);
    let events = ["printer-state-changed", "printer-config-changed"];
    let template = [
        set(KEYWORD, "notify-events", &events),
        value(KEYWORD, "notify-pull-method", "ippget"),
        lease.clone(),
    ];
    let user = value(0x42, "requesting-user-name", "entente");
    let renew = NotificationRequest::Renew {
        subscription: 7,
        lease: LEASE,
    };
    let cancel = NotificationRequest::Cancel { subscription: 7 };
    let fetched = vec![
        integer("notify-subscription-ids", 7),
        integer("notify-sequence-numbers", 3),
        [&[0x22, 0, 11][..], b"notify-wait", &[0, 1, 1]].concat(),
    ];
    let asked = vec![b"notify-pull-method-supported".to_vec()];
    [
        (NotificationRequest::Support, 0x0B, asked),
        (
            subscribe(),
            0x16,
            vec![group(SUBSCRIPTION, &template), user],
        ),
        (renew, 0x1A, vec![id.clone(), group(SUBSCRIPTION, &[lease])]),
        (cancel, 0x1B, vec![id]),
        (fetch(true), 0x1C, fetched),
    ]
}

// shows A1
#[tokio::test]
async fn each_request_has_its_operation_and_its_groups() {
    for (request, operation, parts) in requests() {
        let words = format!("{request:?}");
        let made = group(SUBSCRIPTION, &[integer("notify-subscription-id", 7)]);
        let (_, body) = ask(request, 0, made).await;
        assert_eq!(body[2..4], [0, operation], "{words}");
        for part in parts {
            assert!(contains(&body, &part), "{words}: {part:?} in {body:?}");
        }
    }
    let (_, body) = ask(fetch(false), 0, Vec::new()).await;
    assert!(!contains(&body, b"notify-wait"));
}

fn support(operations: Option<&[i32]>, method: Option<&str>, events: Option<&[&str]>) -> Vec<u8> {
    let mut values = vec![value(KEYWORD, "printer-state-reasons", "none")];
    if let Some(operations) = operations {
        let named = |(place, code): (usize, &i32)| {
            number(
                0x23,
                if place == 0 {
                    "operations-supported"
                } else {
                    ""
                },
                *code,
            )
        };
        values.extend(operations.iter().enumerate().map(named));
    }
    values.extend(method.map(|it| value(KEYWORD, "notify-pull-method-supported", it)));
    values.extend(events.map(|it| set(KEYWORD, "notify-events-supported", it)));
    group(PRINTER, &values)
}

// shows A1
#[tokio::test]
async fn a_printer_has_notifications_if_it_names_the_pull_method_and_lists_no_other_operations() {
    let all = Some(&[0x0B, 0x16, 0x1C][..]);
    let both = Some(&["none", "printer-config-changed", "printer-state-changed"][..]);
    let state = BTreeSet::from([PrinterEvent::StateChanged]);
    let every = BTreeSet::from(PrinterEvent::ALL);
    for (groups, expected) in [
        (support(all, Some("ippget"), both), every.clone()),
        (support(None, Some("ippget"), both), every),
        (
            support(
                all,
                Some("ippget"),
                Some(&["printer-state-changed", "job-completed"]),
            ),
            state.clone(),
        ),
        (support(all, Some("ippget"), None), state),
        (
            support(all, Some("ippget"), Some(&["job-completed"])),
            BTreeSet::new(),
        ),
        (
            support(Some(&[0x0B, 0x16]), Some("ippget"), both),
            BTreeSet::new(),
        ),
        (support(all, Some("mailto"), both), BTreeSet::new()),
        (support(all, None, both), BTreeSet::new()),
    ] {
        let (answer, _) = ask(NotificationRequest::Support, 0, groups).await;
        assert_eq!(answer.unwrap(), NotificationAnswer::Support(expected));
    }
}

// shows A1
#[tokio::test]
async fn a_subscription_is_made_if_the_answer_names_it_whatever_its_status() {
    let made = |lease: Option<i64>| {
        Ok(NotificationAnswer::Subscribed {
            subscription: 7,
            lease: lease.map(SignedDuration::from_secs),
        })
    };
    let id = integer("notify-subscription-id", 7);
    let refused = |status: i32| group(SUBSCRIPTION, &[number(0x23, "notify-status-code", status)]);
    let with = |lease: i32| {
        group(
            SUBSCRIPTION,
            &[id.clone(), integer("notify-lease-duration", lease)],
        )
    };
    // cupsd and lprint leave the lease out.
    for (groups, lease) in [
        (group(SUBSCRIPTION, std::slice::from_ref(&id)), None),
        (with(900), Some(900)),
        (with(0), Some(0)),
        (with(-1), None),
    ] {
        assert_eq!(ask(subscribe(), 0, groups).await.0, made(lease));
    }
    let too_many = Ok(NotificationAnswer::TooManySubscriptions);
    assert_eq!(ask(subscribe(), 0x0415, Vec::new()).await.0, too_many);
    assert_eq!(ask(subscribe(), 0x0414, refused(0x0415)).await.0, too_many);
    assert_eq!(ask(subscribe(), 3, refused(0x0415)).await.0, too_many);
    for (status, groups, expected) in [
        (0, Vec::new(), FailureKind::ProtocolError),
        (0x0414, Vec::new(), FailureKind::ProtocolError),
        (0x0414, refused(0x040B), FailureKind::RejectedValue),
        (0x0414, refused(0x0403), FailureKind::Unauthorized),
        (0x0400, Vec::new(), FailureKind::ProtocolError),
        (0x0403, Vec::new(), FailureKind::Unauthorized),
        (0x0406, Vec::new(), FailureKind::ProtocolError),
        (0x040D, Vec::new(), FailureKind::ProtocolError),
        (0x0501, Vec::new(), FailureKind::Unsupported),
        (0x0507, Vec::new(), FailureKind::Busy),
    ] {
        let (answer, _) = ask(subscribe(), status, groups).await;
        assert_eq!(kind(answer), expected, "0x{status:04x}");
    }
}

// shows A1
#[tokio::test]
async fn a_renewal_tells_the_lease_in_either_group_or_not_at_all() {
    let renew = || NotificationRequest::Renew {
        subscription: 7,
        lease: LEASE,
    };
    let lease = [integer("notify-lease-duration", 600)];
    for (groups, lease) in [
        (Vec::new(), None),
        (group(OPERATION, &lease), Some(600)),
        (group(SUBSCRIPTION, &lease), Some(600)),
    ] {
        let lease = lease.map(SignedDuration::from_secs);
        let (answer, _) = ask(renew(), 0, groups).await;
        assert_eq!(answer, Ok(NotificationAnswer::Renewed { lease }));
    }
    let (answer, _) = ask(renew(), 0x0406, Vec::new()).await;
    assert_eq!(answer, Ok(NotificationAnswer::NoSuchSubscription));
    // lprint wants the lease in the group of the operation.
    let (answer, _) = ask(renew(), 0x0400, Vec::new()).await;
    assert_eq!(kind(answer), FailureKind::ProtocolError);
}

fn event(id: Option<i32>, number: Option<i32>, keyword: Option<&str>) -> Vec<u8> {
    let mut values = vec![value(0x41, "notify-text", "Printer state changed.")];
    values.extend(id.map(|id| integer("notify-subscription-id", id)));
    values.extend(number.map(|number| integer("notify-sequence-number", number)));
    values.extend(keyword.map(|it| value(KEYWORD, "notify-subscribed-event", it)));
    values.push(value(KEYWORD, "printer-state-reasons", "toner-empty"));
    group(EVENT, &values)
}

// shows A1
#[tokio::test]
async fn events_are_told_apart_and_nothing_of_what_they_say_is_kept() {
    let interval = group(OPERATION, &[integer("notify-get-interval", 60)]);
    let groups = [
        interval,
        event(Some(7), Some(3), Some("printer-stopped")),
        event(Some(7), Some(4), Some("printer-config-changed")),
        event(Some(8), Some(1), Some("job-completed")),
        event(None, None, None),
        event(Some(7), Some(5), Some("")),
    ];
    let (answer, _) = ask(fetch(false), 0, groups.concat()).await;
    let found = |subscription, number, event| FetchedEvent {
        subscription,
        number,
        event,
    };
    let state = Some(PrinterEvent::StateChanged);
    let expected = FetchedEvents {
        events: vec![
            found(Some(7), Some(3), state),
            found(Some(7), Some(4), Some(PrinterEvent::ConfigChanged)),
            found(Some(8), Some(1), None),
            found(None, None, state),
            found(Some(7), Some(5), state),
        ],
        interval: Some(SignedDuration::from_secs(60)),
        is_complete: false,
    };
    assert_eq!(answer, Ok(NotificationAnswer::Events(expected)));
}

// shows A1
#[tokio::test]
async fn an_answer_without_events_is_no_failure_and_its_status_counts() {
    let nothing = |is_complete| FetchedEvents {
        is_complete,
        ..FetchedEvents::default()
    };
    for (status, expected) in [
        (0, NotificationAnswer::Events(nothing(false))),
        (5, NotificationAnswer::Events(nothing(false))),
        (7, NotificationAnswer::Events(nothing(true))),
        (0x0406, NotificationAnswer::NoSuchSubscription),
        (0x0407, NotificationAnswer::NoSuchSubscription),
    ] {
        let (answer, _) = ask(fetch(false), status, Vec::new()).await;
        assert_eq!(answer, Ok(expected), "0x{status:04x}");
    }
    let busy = group(OPERATION, &[integer("notify-get-interval", 90)]);
    let (answer, _) = ask(fetch(false), 0x0507, busy).await;
    let failure = answer.expect_err("it is busy");
    let asked = Some(SignedDuration::from_secs(90));
    assert_eq!(
        (failure.kind, failure.retry_after),
        (FailureKind::Busy, asked)
    );
}

// shows A1
#[tokio::test]
async fn of_more_events_than_are_kept_the_last_ones_are() {
    let events: Vec<u8> = (1..=1000)
        .flat_map(|number| event(Some(7), Some(number), Some("printer-state-changed")))
        .collect();
    let (answer, _) = ask(fetch(false), 0, events).await;
    let Ok(NotificationAnswer::Events(fetched)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(fetched.events.len(), 200);
    assert_eq!(fetched.events.last().unwrap().number, Some(1000));
}

// shows A1
#[tokio::test]
async fn a_login_that_is_refused_and_an_answer_that_is_none_of_ipp_are_failures() {
    for (head, body, expected) in [
        ("401 Unauthorized", "", FailureKind::Unauthorized),
        ("403 Forbidden", "", FailureKind::Unauthorized),
        ("404 Not Found", "", FailureKind::ProtocolError),
        (
            "200 OK\r\nContent-Type: multipart/related; boundary=x",
            "--x\r\nContent-Type: application/ipp\r\n\r\n",
            FailureKind::ProtocolError,
        ),
    ] {
        let server = Server::start(move |_| -> Reply { (head.to_owned(), body.into()) }).await;
        for request in [fetch(true), subscribe()] {
            let answer = send(&server, &request).await;
            assert_eq!(kind(answer), expected, "{head} {request:?}");
        }
    }
}
