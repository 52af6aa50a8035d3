//! Notifications of IPP: subscriptions of a printer (RFC 3995) and their events by `ippget` (RFC 3996).
//!
//! Pure. Says what a printer answered, with the gaps that printers leave: a lease that is not told, events
//! without numbers, statuses that stand beside a success. Keeps of an event what it is about and never what it
//! says, since that proves nothing. Called by the driver.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_domain::remote::{
    Failure, FailureKind, FetchedEvent, FetchedEvents, NotificationAnswer, NotificationRequest,
    PrinterEvent, Scalar,
};
use ipp::model::DelimiterTag;
use jiff::SignedDuration;

use super::GET_PRINTER_ATTRIBUTES;
use super::response::{Attribute, EVENT_GROUP, OPERATION_GROUP, Response, SUBSCRIPTION_GROUP};
use super::status::{self, Purpose, SubscriptionRefusal};

/// Create-Printer-Subscriptions (RFC 3995 section 11.1.2).
const CREATE_PRINTER_SUBSCRIPTIONS: u16 = 0x0016;
/// Renew-Subscription (RFC 3995 section 11.2.6).
const RENEW_SUBSCRIPTION: u16 = 0x001A;
/// Cancel-Subscription (RFC 3995 section 11.2.7).
const CANCEL_SUBSCRIPTION: u16 = 0x001B;
/// Get-Notifications (RFC 3996 section 5).
const GET_NOTIFICATIONS: u16 = 0x001C;
/// The pull method of RFC 3996.
pub(super) const PULL_METHOD: &str = "ippget";
/// Time for which a printer may hold an answer that is waited for, besides the usual one.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// successful-ok-events-complete (RFC 3996 section 10.1).
const EVENTS_COMPLETE: u16 = 0x0007;
/// The most events that are taken of one answer.
const MOST_EVENTS: usize = 200;

const OPERATIONS: &str = "operations-supported";
const PULL_METHODS: &str = "notify-pull-method-supported";
const EVENTS: &str = "notify-events-supported";
const ID: &str = "notify-subscription-id";
const LEASE: &str = "notify-lease-duration";
const STATUS_CODE: &str = "notify-status-code";
const INTERVAL: &str = "notify-get-interval";
const NUMBER: &str = "notify-sequence-number";
const EVENT: &str = "notify-subscribed-event";

/// Attributes that tell whether a printer has notifications.
pub(super) const ATTRIBUTES: [&str; 3] = [OPERATIONS, PULL_METHODS, EVENTS];

/// Returns the code of the operation of a request.
pub(super) fn operation(request: &NotificationRequest) -> u16 {
    match request {
        NotificationRequest::Support => GET_PRINTER_ATTRIBUTES,
        NotificationRequest::Subscribe { .. } => CREATE_PRINTER_SUBSCRIPTIONS,
        NotificationRequest::Renew { .. } => RENEW_SUBSCRIPTION,
        NotificationRequest::Cancel { .. } => CANCEL_SUBSCRIPTION,
        NotificationRequest::Fetch { .. } => GET_NOTIFICATIONS,
    }
}

/// Returns the purpose of a request, by which its status is judged.
pub(super) fn purpose(request: &NotificationRequest) -> Purpose<'static> {
    match request {
        NotificationRequest::Support => Purpose::Read {
            group: Some(DelimiterTag::PrinterAttributes as u8),
        },
        other => Purpose::Notify {
            writes: other.writes(),
        },
    }
}

/// Returns the meaning of an answer that speaks of notifications.
///
/// # Errors
/// The printer is busy, or made no subscription.
pub(super) fn answer(
    request: &NotificationRequest,
    response: &Response,
) -> Result<NotificationAnswer, Failure> {
    if status::is_busy(response) {
        return Err(Failure {
            retry_after: interval(response),
            ..Failure::new(FailureKind::Busy, "server-error-busy")
        });
    }
    match (request, status::subscription_refused(response)) {
        (NotificationRequest::Support, _) => Ok(NotificationAnswer::Support(support(response))),
        (_, Some(SubscriptionRefusal::TooMany)) => Ok(NotificationAnswer::TooManySubscriptions),
        // Of a request that makes one the printer itself is not there.
        (NotificationRequest::Subscribe { .. }, Some(SubscriptionRefusal::None)) => {
            let message = "no printer is at the path of the URL";
            Err(Failure::new(FailureKind::ProtocolError, message))
        }
        (_, Some(SubscriptionRefusal::None)) => Ok(NotificationAnswer::NoSuchSubscription),
        (NotificationRequest::Subscribe { .. }, _) => subscribed(response),
        (NotificationRequest::Renew { .. }, _) => Ok(NotificationAnswer::Renewed {
            lease: lease(response),
        }),
        (NotificationRequest::Cancel { .. }, _) => Ok(NotificationAnswer::Cancelled),
        (NotificationRequest::Fetch { .. }, _) => Ok(NotificationAnswer::Events(FetchedEvents {
            events: events(response),
            interval: interval(response),
            is_complete: response.status == EVENTS_COMPLETE,
        })),
    }
}

/// Returns the events that can be subscribed to. A printer lists its operations, or leaves them out; it has to
/// name the pull method.
fn support(response: &Response) -> BTreeSet<PrinterEvent> {
    let names = BTreeSet::from(ATTRIBUTES);
    let values = response.values(DelimiterTag::PrinterAttributes as u8, &names);
    let has = |name: &str, wanted: &Scalar| values.get(name).map(|it| it.contains(wanted));
    let operations = [CREATE_PRINTER_SUBSCRIPTIONS, GET_NOTIFICATIONS];
    let has_operations = operations.iter().all(|operation| {
        let operation = Scalar::Integer(i64::from(*operation));
        has(OPERATIONS, &operation) != Some(false)
    });
    let pulls = has(PULL_METHODS, &Scalar::Text(PULL_METHOD.to_owned())) == Some(true);
    if !has_operations || !pulls {
        return BTreeSet::new();
    }
    let is_supported = |event: &PrinterEvent| {
        let keyword = Scalar::Text(event.keyword().to_owned());
        // Every printer with notifications has this one (RFC 3995 section 5.3.3.4.1).
        has(EVENTS, &keyword).unwrap_or(*event == PrinterEvent::StateChanged)
    };
    let events = PrinterEvent::ALL.into_iter();
    events.filter(is_supported).collect()
}

/// Returns the subscription that was made.
///
/// # Errors
/// None was made, whatever the status of the answer.
fn subscribed(response: &Response) -> Result<NotificationAnswer, Failure> {
    let mut groups = response.groups(SUBSCRIPTION_GROUP).into_iter();
    let group = groups.next().unwrap_or_default();
    if let Some(subscription) = number(&group, ID).filter(|id| *id > 0) {
        return Ok(NotificationAnswer::Subscribed {
            subscription,
            lease: number(&group, LEASE).and_then(length),
        });
    }
    let status = number(&group, STATUS_CODE).and_then(|it| u16::try_from(it).ok());
    match status {
        Some(status) if status::is_too_many(status) => Ok(NotificationAnswer::TooManySubscriptions),
        Some(status) => Err(status::of_one_subscription(status)),
        None => {
            let message = "the answer names no subscription to notifications";
            Err(Failure::new(FailureKind::ProtocolError, message))
        }
    }
}

/// Returns the lease of an answer, in whichever group it is.
fn lease(response: &Response) -> Option<SignedDuration> {
    let groups = [SUBSCRIPTION_GROUP, OPERATION_GROUP];
    let mut groups = groups.into_iter().flat_map(|tag| response.groups(tag));
    groups
        .find_map(|group| number(&group, LEASE))
        .and_then(length)
}

/// Returns the wait that the printer asks for before the next request.
fn interval(response: &Response) -> Option<SignedDuration> {
    let mut groups = response.groups(OPERATION_GROUP).into_iter();
    groups
        .find_map(|group| number(&group, INTERVAL))
        .and_then(length)
}

fn events(response: &Response) -> Vec<FetchedEvent> {
    let groups = response.groups(EVENT_GROUP).into_iter();
    let event = |group: Vec<Attribute>| FetchedEvent {
        subscription: number(&group, ID),
        number: number(&group, NUMBER),
        event: PrinterEvent::of_keyword(&text(&group, EVENT).unwrap_or_default()),
    };
    let mut events: Vec<FetchedEvent> = groups.map(event).collect();
    // The last ones have the highest numbers.
    let surplus = events.len().saturating_sub(MOST_EVENTS);
    events.drain(..surplus);
    events
}

fn value(group: &[Attribute], name: &str) -> Option<Scalar> {
    let found = group.iter().find(|attribute| attribute.name() == name)?;
    found.scalars().into_iter().next()
}

fn number(group: &[Attribute], name: &str) -> Option<i32> {
    match value(group, name)? {
        Scalar::Integer(number) => i32::try_from(number).ok(),
        _ => None,
    }
}

fn text(group: &[Attribute], name: &str) -> Option<String> {
    match value(group, name)? {
        Scalar::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns a number of seconds as a length; none if it is negative.
fn length(seconds: i32) -> Option<SignedDuration> {
    (seconds >= 0).then(|| SignedDuration::from_secs(seconds.into()))
}
