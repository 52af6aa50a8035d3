//! Cases of the word of a device on its services. A service of the device of the test is switched off and
//! on again.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Bench, Title, Verdict,
    device::FOREIGN,
    json as body_of, path,
    rules::{member, not_allowed, pointed, refused, status},
    with_body,
};
use crate::{
    answer::{self, Answer},
    api::{Registered, Services},
    http::{Request, Token},
};

const SECTION: &str = "/v1/devices/{printerId}/services/{applicationId}/activation";
const JSON: &str = "application/json";
/// Path of a service that no device has.
const NONE: &str = "/services/check.none/activation";

pub(super) async fn run(bench: &mut Bench) {
    strangers(bench).await;
    faults(bench).await;
    malformed(bench).await;
    let required = "200 Inactive, and the same answer to the same request";
    of_a_service(bench, ("activation-off", SECTION, required), "off").await;
    let required = "200 Active, 202 Pending, or 409 with every missing leg";
    of_a_service(bench, ("activation-on", SECTION, required), "on").await;
}

fn put(link: &str, body: &Value) -> Request<'static> {
    with_body(Method::PUT, link, JSON, &body.to_string())
}

fn on() -> Value {
    json!({"active": true, "by": "Command"})
}

async fn strangers(bench: &mut Bench) {
    let required = "404 ApplicationNotFound: the device has no such service";
    let title: Title = ("activation-of-an-unknown-service", SECTION, required);
    let request = |device: &_| put(&path(device, NONE), &on());
    let rule = |answer: &Answer| refused(answer, 404, "ApplicationNotFound");
    bench.of_device(title, request, rule).await;
    let required = "403 DeviceMismatch: no answer tells which devices there are";
    let title: Title = ("activation-of-another-device", SECTION, required);
    let request = |_: &_| put(&format!("{FOREIGN}{NONE}"), &on());
    let rule = |answer: &Answer| refused(answer, 403, "DeviceMismatch");
    bench.of_device(title, request, rule).await;
    let title: Title = (
        "activation-without-a-token",
        SECTION,
        "401 CredentialInvalid",
    );
    let request = put(&format!("{FOREIGN}{NONE}"), &on());
    let rule = |answer: &Answer| refused(answer, 401, "CredentialInvalid");
    bench.one(title, request, rule).await;
}

/// Words that have faults: their names, their bodies, and the pointers to their faults. The faults of
/// content are told before the service is looked for.
async fn faults(bench: &mut Bench) {
    let many: Vec<String> = (0..17).map(|at| format!("ability {at}")).collect();
    let unable = |lacks: Value| json!({"active": true, "by": "Panel", "supported": false, "unsupported": lacks});
    let all: [(&str, Value, &[&str]); 9] = [
        ("activation-without-who", json!({"active": true}), &["/by"]),
        (
            "activation-by-an-unknown-way",
            json!({"active": true, "by": "Nobody"}),
            &["/by"],
        ),
        (
            "activation-without-on-or-off",
            json!({"by": "Panel"}),
            &["/active"],
        ),
        (
            "activation-with-two-faults",
            json!({"active": "yes", "by": 1}),
            &["/active", "/by"],
        ),
        (
            "activation-with-an-unknown-member",
            json!({"active": true, "by": "Panel", "suported": false}),
            &["/suported"],
        ),
        (
            "activation-that-is-supported-and-not",
            json!({"active": true, "by": "Panel", "unsupported": ["no colour"]}),
            &["/unsupported"],
        ),
        (
            "activation-with-too-many-words",
            unable(json!(many)),
            &["/unsupported"],
        ),
        (
            "activation-with-a-text-for-a-list",
            unable(json!("no colour")),
            &["/unsupported"],
        ),
        ("activation-that-is-a-list", json!([]), &[""]),
    ];
    for (name, body, pointers) in all {
        let required = "422 InvalidRequest with a pointer to each fault";
        let request = |device: &_| put(&path(device, NONE), &body);
        let rule = |answer: &Answer| pointed(answer, "InvalidRequest", pointers);
        bench
            .of_device((name, SECTION, required), request, rule)
            .await;
    }
}

async fn malformed(bench: &mut Bench) {
    let cases = [
        ("activation-that-is-no-json", JSON, "{", 400, "BadRequest"),
        (
            "activation-as-text",
            "text/plain",
            "{}",
            415,
            "UnsupportedMediaType",
        ),
    ];
    for (name, media, body, required, reason) in cases {
        let title: Title = (name, SECTION, "the status of this fault, and its reason");
        let request = |device: &_| with_body(Method::PUT, &path(device, NONE), media, body);
        let rule = |answer: &Answer| refused(answer, required, reason);
        bench.of_device(title, request, rule).await;
    }
    let title: Title = ("activation-by-get", SECTION, "405 with Allow: PUT");
    let request = |device: &_| Request::get(&path(device, NONE), Token::None);
    bench
        .of_device(title, request, |answer| not_allowed(answer, "PUT"))
        .await;
}

/// Switches the first service of the device; without one the case is skipped.
async fn of_a_service(bench: &mut Bench, title: Title, word: &str) {
    let Some(device) = bench.device(title).await else {
        return;
    };
    match first(bench, &device).await {
        Ok(Some(id)) => {
            let result = switched(bench, &device, &id, word).await;
            bench.ends(title, result);
        }
        Ok(None) => {
            let why = "the device of the test has no service";
            bench.record(title, Verdict::Skipped(why.into()));
        }
        Err(why) => bench.ends(title, Err(why)),
    }
}

/// Returns the application id of the first service that has one.
async fn first(bench: &mut Bench, device: &Registered) -> Result<Option<String>, String> {
    let token = Token::Bearer(&device.credential.token);
    let answer = bench
        .send(Request::get(&path(device, "/services"), token))
        .await?;
    status(&answer, 200)?;
    let read: Services = answer::body(&answer).map_err(|failure| failure.to_string())?;
    Ok(read.services.into_iter().find_map(|one| one.application_id))
}

async fn switched(
    bench: &mut Bench,
    device: &Registered,
    id: &str,
    word: &str,
) -> Result<(), String> {
    let link = path(device, &format!("/services/{id}/activation"));
    let body = json!({"active": word == "on", "by": "Command"});
    for _ in 0..2 {
        let request = Request {
            token: Token::Bearer(&device.credential.token),
            ..put(&link, &body)
        };
        // The answer is that of now: nobody has to wait for a provider here.
        let request = request.with("Prefer", Some("wait=0".into()));
        let answer = bench.send(request).await?;
        let found = body_of(&answer)?;
        match (word, answer.status) {
            ("on", 202) => {
                member(&found, "/state", &json!("Pending"))?;
                member(&found, "/reason", &json!("ProviderPending"))?;
            }
            ("on", 409) => legs(&found)?,
            _ => {
                status(&answer, 200)?;
                let state = if word == "on" { "Active" } else { "Inactive" };
                member(&found, "/state", &json!(state))?;
            }
        }
        if answer.status < 300 && answer.poll_next.is_none() {
            return Err("there is no Entente-Poll-Next such as PT24H".into());
        }
    }
    Ok(())
}

/// A refusal with its own reason, which is one of the missing legs.
fn legs(found: &Value) -> Result<(), String> {
    let legs = found["missing"].as_array().map_or(&[][..], Vec::as_slice);
    let reason = &found["reason"];
    let known = ["NotInForce", "UnsupportedByDevice", "ExclusiveGroupHeld"];
    if legs.contains(reason) && known.contains(&reason.as_str().unwrap_or_default()) {
        return Ok(());
    }
    Err(format!(
        "reason {reason} is none of {known:?}, or not in missing: {legs:?}"
    ))
}
