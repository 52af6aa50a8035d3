//! Cases of messages that a device reports. They leave none behind.

use serde_json::{Value, json};

use super::{
    Bench, Title,
    reported::{Fault, SECTION, each, patch, twin},
    rules::{member, status},
};
use crate::api::Registered;

pub(super) async fn run(bench: &mut Bench) {
    let required = "204; a message that is reported and not wanted is in delta.messages.clear until it is \
        Cleared, what is absent stays, and null removes";
    let title: Title = ("report-of-messages", SECTION, required);
    if let Some(device) = bench.device(title).await {
        let result = messages(bench, &device).await;
        bench.ends(title, result);
    }
    each(bench, faults()).await;
}

async fn messages(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    let (_, read) = twin(bench, device).await?;
    for list in [
        "/desired/messages",
        "/delta/messages/show",
        "/delta/messages/clear",
    ] {
        if !read.pointer(list).is_some_and(Value::is_array) {
            return Err(format!("{list} is no list"));
        }
    }
    let one = json!({"state": "Shown", "at": "2027-04-01T00:00:02Z", "text": "a test"});
    let two = json!({"state": "Undeliverable", "detail": "a test"});
    let first = json!({"messages": {"check.one": one, "check.two": two}});
    status(&patch(bench, device, &first, None).await?, 204)?;
    let (_, read) = twin(bench, device).await?;
    member(&read, "/reported/messages/check.one", &one)?;
    member(&read, "/reported/messages/check.two", &two)?;
    is_to_clear(&read, true)?;
    let down = json!({"state": "Cleared"});
    let second = json!({"messages": {"check.one": down, "check.two": null}});
    status(&patch(bench, device, &second, None).await?, 204)?;
    let (_, read) = twin(bench, device).await?;
    member(&read, "/reported/messages/check.one", &down)?;
    if let Some(found) = read.pointer("/reported/messages/check.two") {
        return Err(format!("null did not remove: {found}"));
    }
    is_to_clear(&read, false)?;
    let last = json!({"messages": {"check.one": null}});
    status(&patch(bench, device, &last, None).await?, 204)
}

/// Looks at whether the message of the test is to be taken down.
fn is_to_clear(read: &Value, required: bool) -> Result<(), String> {
    let clear = &read["delta"]["messages"]["clear"];
    let clear = clear.as_array().map_or(&[][..], Vec::as_slice);
    if clear.contains(&json!("check.one")) == required {
        return Ok(());
    }
    Err(format!("delta.messages.clear is {clear:?}"))
}

fn faults() -> [Fault; 6] {
    let one = |said: Value| json!({"messages": {"check.one": said}});
    [
        (
            "report-of-a-message-without-a-state",
            one(json!({"at": "2027-04-01T00:00:02Z"})),
            "/messages/check.one/state",
        ),
        (
            "report-of-a-message-in-an-unknown-state",
            one(json!({"state": "Read"})),
            "/messages/check.one/state",
        ),
        (
            "report-of-a-message-at-no-instant",
            one(json!({"state": "Shown", "at": "now"})),
            "/messages/check.one/at",
        ),
        (
            "report-of-a-message-with-an-unknown-member",
            one(json!({"state": "Shown", "by": "Panel"})),
            "/messages/check.one/by",
        ),
        (
            "report-of-a-message-with-an-odd-id",
            json!({"messages": {"a/b": {"state": "Shown"}}}),
            "/messages/a~1b",
        ),
        (
            "report-of-messages-as-a-list",
            json!({"messages": ["check.one"]}),
            "/messages",
        ),
    ]
}
