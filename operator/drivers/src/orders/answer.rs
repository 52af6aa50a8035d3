//! The meaning of an order server's answer: the table of docs/api/orders.yaml, as one pure function.
//!
//! Of a problem (RFC 9457) only `reason`, `title` and `detail` are read, and quoted at the one gate.
//! An order without an id that fits is none: an id that is cut could not be asked for again. Neither an id
//! nor the place of an operation is taken that has a secret of the request in it, since both stand in
//! statuses and messages as they came.

use entente_crds::v1alpha1::{MAX_OPERATION, MAX_ORDER_ID, OrderState};
use entente_domain::bounded::is_unseen;
use entente_domain::remote::{Failure, FailureKind};
use entente_domain::supply_order::{OrderAnswer, OrderRequest, ServerOrder};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::text::{Gate, PrivateTexts};

/// The most orders of a search that are read.
const MOST_ORDERS: usize = 256;
/// The most lines of an order that are read.
const MOST_LINES: usize = 64;

/// An id of an order that can be used.
const USABLE_ID: &str =
    "orderId of 1 to 128 characters that can be seen and are no secret of the request";

/// Words for a key that was used with another body: ours, and those of others.
const OTHER_CONTENT: &[&str] = &[
    "IdempotencyKeyReused",
    "idempotency_error",
    "idempotency_key_payload_mismatch",
];

/// An answer as it came.
pub(super) struct Answered<'a> {
    pub(super) status: StatusCode,
    pub(super) body: &'a [u8],
    /// Place of the operation, below the URL of the Connection.
    pub(super) operation: Option<String>,
    pub(super) retry_after: Option<SignedDuration>,
}

/// Returns the length in bytes of the longest answer that is read.
pub(super) fn most_bytes(request: &OrderRequest) -> usize {
    match request {
        OrderRequest::FindByReference { .. } | OrderRequest::FindOpen { .. } => 1024 * 1024,
        _ => 64 * 1024,
    }
}

/// Reads the table.
pub(super) fn judge(
    request: &OrderRequest,
    answered: &Answered<'_>,
    private: PrivateTexts<'_>,
) -> Result<OrderAnswer, Failure> {
    let (status, gate) = (answered.status, &private.gate());
    if status.is_success() {
        return success(request, answered, gate);
    }
    let problem = Problem::of(answered.body);
    let message = || problem.sentence(status, gate);
    let retry_after = answered.retry_after;
    let searches = matches!(
        request,
        OrderRequest::FindByReference { .. } | OrderRequest::FindOpen { .. }
    );
    let places = matches!(request, OrderRequest::Place(_));
    let cancels = matches!(request, OrderRequest::Cancel { .. });
    Ok(match status.as_u16() {
        // A refused parameter is one that the server does not know.
        400 | 404 | 405 | 410 | 422 | 501 if searches => OrderAnswer::NotSearchable,
        404 | 410 if !places => OrderAnswer::Missing,
        409 if cancels => OrderAnswer::TooLate(message()),
        403 | 405 | 501 if cancels && !problem.is_about_a_login() => {
            OrderAnswer::NotCancellable(message())
        }
        // Which of these three it is differs from server to server.
        400 | 409 | 422 if places && problem.has(OTHER_CONTENT) => {
            OrderAnswer::OtherContent(message())
        }
        409 if places => OrderAnswer::InFlight { retry_after },
        422 if problem.has(&["UnknownPartNumber"]) => OrderAnswer::ItemUnknown(message()),
        400 | 404 | 405 | 410 | 413 | 415 | 422 if places => OrderAnswer::Refused(message()),
        422 if matches!(request, OrderRequest::ReadOperation { .. }) => {
            OrderAnswer::Refused(message())
        }
        code => return Err(failure(code, message(), request.writes(), retry_after)),
    })
}

fn failure(
    code: u16,
    message: String,
    writes: bool,
    retry_after: Option<SignedDuration>,
) -> Failure {
    let kind = match code {
        401 | 403 | 407 => FailureKind::Unauthorized,
        408 => FailureKind::TimedOut,
        429 | 503 => FailureKind::Busy,
        _ => FailureKind::ProtocolError,
    };
    Failure {
        retry_after,
        // A server error may come after the order was made; so may a timeout.
        doubtful: writes && matches!(code, 408 | 500..=599),
        ..Failure::new(kind, message)
    }
}

fn success(
    request: &OrderRequest,
    answered: &Answered<'_>,
    gate: &Gate<'_>,
) -> Result<OrderAnswer, Failure> {
    let senseless = |what: &str| Failure {
        doubtful: request.writes(),
        retry_after: answered.retry_after,
        ..Failure::new(
            FailureKind::ProtocolError,
            format!("HTTP {}: {what}", answered.status),
        )
    };
    let under_way = || OrderAnswer::UnderWay {
        path: answered
            .operation
            .clone()
            .filter(|path| path.chars().count() <= MAX_OPERATION && is_fit(path, gate)),
        retry_after: answered.retry_after,
    };
    if answered.status == StatusCode::ACCEPTED {
        return Ok(under_way());
    }
    if matches!(request, OrderRequest::Cancel { .. }) {
        let order = object(answered.body).and_then(|body| order(&body, gate));
        return Ok(order.map_or_else(under_way, |order| OrderAnswer::Order(Box::new(order))));
    }
    let body = object(answered.body).ok_or_else(|| senseless("the answer is no JSON object"))?;
    match request {
        OrderRequest::FindByReference { .. } | OrderRequest::FindOpen { .. } => {
            let orders = body.get("orders").and_then(Value::as_array);
            let orders = orders.ok_or_else(|| senseless("the answer has no list \"orders\""))?;
            let read = |entry: &&Value| order(entry.as_object()?, gate);
            let (asked_for, others): (Vec<&Value>, _) = orders
                .iter()
                .partition(|entry| is_asked_for(request, entry));
            let by_reference = matches!(request, OrderRequest::FindByReference { .. });
            if by_reference && asked_for.iter().any(|entry| read(entry).is_none()) {
                let what = format!("an order under the reference has no {USABLE_ID}");
                return Err(senseless(&what));
            }
            // Those that nobody asked for say that the server does not look at the parameter: a few will do.
            let found = asked_for.iter().chain(&others);
            Ok(OrderAnswer::Orders(
                found.filter_map(read).take(MOST_ORDERS).collect(),
            ))
        }
        OrderRequest::ReadOperation { .. } => operation(&body, answered, gate)
            .ok_or_else(|| senseless("the answer is neither an operation nor an order")),
        _ => match order(&body, gate) {
            Some(order) => Ok(OrderAnswer::Order(Box::new(order))),
            None => Err(senseless(&format!("the answer has no {USABLE_ID}"))),
        },
    }
}

/// Returns the state of an operation: it goes on, it has failed, or it has the order.
fn operation(
    body: &Map<String, Value>,
    answered: &Answered<'_>,
    gate: &Gate<'_>,
) -> Option<OrderAnswer> {
    let of_order = body.get("order").and_then(Value::as_object).unwrap_or(body);
    match body.get("state").and_then(Value::as_str) {
        Some("InProgress") => Some(OrderAnswer::UnderWay {
            path: None,
            retry_after: answered.retry_after,
        }),
        Some("Failed") => {
            let problem = body.get("problem").and_then(Value::as_object);
            let problem = Problem::of_object(problem?);
            let message = problem.sentence(answered.status, gate);
            Some(if problem.has(&["UnknownPartNumber"]) {
                OrderAnswer::ItemUnknown(message)
            } else {
                OrderAnswer::Refused(message)
            })
        }
        _ => order(of_order, gate).map(|order| OrderAnswer::Order(Box::new(order))),
    }
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

/// True if a text that is sent back as it came may stand in a status.
fn is_fit(text: &str, gate: &Gate<'_>) -> bool {
    !text.contains(is_unseen) && !gate.reveals(text)
}

/// True for an entry of a search that was searched for. One of the reference must not count as absent,
/// since the order would be placed again.
fn is_asked_for(request: &OrderRequest, entry: &Value) -> bool {
    match request {
        OrderRequest::FindByReference { reference } => entry["reference"] == **reference,
        OrderRequest::FindOpen { serial_number } => {
            entry["device"]["serialNumber"] == **serial_number
        }
        _ => false,
    }
}

/// Returns an order of the server; `None` if its id cannot be used.
fn order(body: &Map<String, Value>, gate: &Gate<'_>) -> Option<ServerOrder> {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let id = match body.get("orderId")? {
        Value::String(id) => id.clone(),
        // Some count their orders, and write the number as one.
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    let fits = !id.trim().is_empty() && id.chars().count() <= MAX_ORDER_ID;
    if !fits || id.trim() != id || !is_fit(&id, gate) || matches!(&*id, "." | "..") {
        return None;
    }
    let quoted = |field: &str| text(field).map(|text| gate.quote(text));
    let lines = body.get("lines").and_then(Value::as_array);
    let lines = lines.into_iter().flatten().take(MOST_LINES);
    let part = |line: &Value| line["partNumber"].as_str().map(str::to_owned);
    let device = body.get("device").and_then(Value::as_object);
    let serial = device.and_then(|device| device.get("serialNumber"));
    Some(ServerOrder {
        id,
        reference: text("reference").map(str::to_owned),
        state: text("state").map_or(Some(OrderState::Accepted), state),
        serial_number: serial.and_then(Value::as_str).map(str::to_owned),
        customer_id: text("customerId").map(str::to_owned),
        part_numbers: lines.filter_map(part).collect(),
        placed: text("placed").and_then(|at| at.parse::<Timestamp>().ok()),
        expected: quoted("expected"),
        tracking: quoted("tracking"),
        reason: quoted("reason"),
    })
}

fn state(word: &str) -> Option<OrderState> {
    Some(match word {
        "Accepted" => OrderState::Accepted,
        "Shipped" => OrderState::Shipped,
        "Delivered" => OrderState::Delivered,
        "Cancelled" => OrderState::Cancelled,
        "Rejected" => OrderState::Rejected,
        _ => return None,
    })
}

/// Words of a server about a failure (RFC 9457).
#[derive(Default)]
struct Problem {
    reason: Option<String>,
    title: Option<String>,
    detail: Option<String>,
}

impl Problem {
    /// Reads a body. A field of another form is one that is not there.
    fn of(body: &[u8]) -> Self {
        object(body).map_or_else(Self::default, |body| Self::of_object(&body))
    }

    fn of_object(body: &Map<String, Value>) -> Self {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let of_type = text("type").and_then(|uri| {
            let last = uri.rsplit(['/', '#', ':']).next();
            last.map(str::to_owned)
        });
        Self {
            reason: text("reason").or_else(|| text("code")).or(of_type),
            title: text("title"),
            detail: text("detail"),
        }
    }

    fn has(&self, reasons: &[&str]) -> bool {
        self.reason
            .as_deref()
            .is_some_and(|it| reasons.contains(&it))
    }

    /// True if a refusal is about the login, and not about what was asked for.
    fn is_about_a_login(&self) -> bool {
        self.reason.is_none()
    }

    /// Returns the sentence for people.
    fn sentence(&self, status: StatusCode, gate: &Gate<'_>) -> String {
        let words = [&self.reason, &self.title, &self.detail];
        let mut known: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        known.retain(|word| !word.is_empty());
        known.dedup();
        let said = known.join(": ");
        if said.is_empty() {
            return format!("the order server answered HTTP {status}");
        }
        format!(
            "the order server answered HTTP {status}: {}",
            gate.quote(&said)
        )
    }
}

#[cfg(test)]
mod tests;
