//! Cases of reports: merge patches, preconditions, and pointers to faults. They leave no setting behind.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Bench, Title, json as body_of, path,
    rules::{for_polls, member, not_allowed, pointed, refused, status},
    with_body,
};
use crate::{
    answer::Answer,
    api::Registered,
    http::{Request, Token},
};

pub(super) const SECTION: &str = "/v1/devices/{printerId}/twin/reported";
pub(super) const PATCH: &str = "application/merge-patch+json";

pub(super) async fn run(bench: &mut Bench) {
    let required = "204 with the tag; what is absent stays, null removes, lists are replaced";
    let title: Title = ("report-as-a-merge-patch", SECTION, required);
    if let Some(device) = bench.device(title).await {
        let result = merge(bench, &device).await;
        bench.ends(title, result);
    }
    let required = "412 for another tag and a weak one, 204 for the current one and for *";
    let title: Title = ("report-with-if-match", SECTION, required);
    if let Some(device) = bench.device(title).await {
        let result = preconditions(bench, &device).await;
        bench.ends(title, result);
    }
    faults(bench).await;
    malformed(bench).await;
}

pub(super) async fn patch(
    bench: &mut Bench,
    device: &Registered,
    body: &Value,
    tag: Option<&str>,
) -> Result<Answer, String> {
    let link = path(device, "/twin/reported");
    let request = with_body(Method::PATCH, &link, PATCH, &body.to_string());
    let request = Request {
        token: Token::Bearer(&device.credential.token),
        ..request
    };
    bench
        .send(request.with("If-Match", tag.map(String::from)))
        .await
}

/// Reads the twin: its tag and its body.
pub(super) async fn twin(
    bench: &mut Bench,
    device: &Registered,
) -> Result<(String, Value), String> {
    let answer = bench.twin(device, &device.credential.token).await?;
    status(&answer, 200)?;
    Ok((answer.etag.clone().unwrap_or_default(), body_of(&answer)?))
}

async fn merge(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    let (one, two) = (
        json!({"value": "1", "by": "Default"}),
        json!({"value": "2", "by": "Panel"}),
    );
    let refused = json!([{"key": "check.one", "reason": "Busy", "detail": "a test"}]);
    let first = json!({"settings": {"check.one": one, "check.two": two}, "refused": refused});
    let answer = patch(bench, device, &first, None).await?;
    status(&answer, 204)?;
    for_polls(&answer)?;
    let (_, read) = twin(bench, device).await?;
    member(&read, "/reported/settings/check.one", &one)?;
    member(&read, "/reported/refused", &refused)?;
    let changed = json!({"value": "3", "by": "Technician"});
    let second = json!({"settings": {"check.one": null, "check.two": changed}, "refused": []});
    status(&patch(bench, device, &second, None).await?, 204)?;
    let (_, read) = twin(bench, device).await?;
    if let Some(found) = read.pointer("/reported/settings/check.one") {
        return Err(format!("null did not remove: {found}"));
    }
    member(&read, "/reported/settings/check.two", &changed)?;
    status(&patch(bench, device, &json!({}), None).await?, 204)?;
    let (_, read) = twin(bench, device).await?;
    member(&read, "/reported/settings/check.two", &changed)?;
    let last = json!({"settings": {"check.two": null}, "refused": null});
    status(&patch(bench, device, &last, None).await?, 204)
}

async fn preconditions(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    let (tag, read) = twin(bench, device).await?;
    let version = read["version"].clone();
    for other in [String::from("\"none\""), format!("W/{tag}")] {
        let answer = patch(bench, device, &json!({}), Some(&other)).await?;
        refused(&answer, 412, "PreconditionFailed")?;
        super::rules::has(&answer, "etag", &tag)?;
    }
    let current = json!({"desiredVersion": version});
    status(&patch(bench, device, &current, Some(&tag)).await?, 204)?;
    status(&patch(bench, device, &json!({}), Some("*")).await?, 204)?;
    let (_, read) = twin(bench, device).await?;
    member(&read, "/reported/version", &version)
}

/// A report with a fault: its name, its body, and the pointer to the fault.
pub(super) type Fault = (&'static str, Value, &'static str);

fn faults_of_settings() -> [Fault; 7] {
    let many: serde_json::Map<String, Value> = (0..129)
        .map(|at| {
            (
                format!("check.n{at}"),
                json!({"value": "", "by": "Default"}),
            )
        })
        .collect();
    let one = |setting: Value| json!({"settings": {"check.one": setting}});
    [
        (
            "report-from-an-unknown-source",
            one(json!({"value": "1", "by": "Nobody"})),
            "/settings/check.one/by",
        ),
        (
            "report-without-a-source",
            one(json!({"value": "1"})),
            "/settings/check.one/by",
        ),
        (
            "report-of-a-number",
            one(json!({"value": 1, "by": "Panel"})),
            "/settings/check.one/value",
        ),
        (
            "report-of-a-long-value",
            one(json!({"value": "x".repeat(1024), "by": "Panel"})),
            "/settings/check.one/value",
        ),
        (
            "report-of-an-odd-name",
            json!({"settings": {"a/b": {"value": "1", "by": "Panel"}}}),
            "/settings/a~1b",
        ),
        (
            "report-of-too-many-settings",
            json!({"settings": many}),
            "/settings",
        ),
        ("report-that-is-a-list", json!([]), ""),
    ]
}

fn faults_of_the_rest() -> [Fault; 5] {
    let software = json!({"part": "firmware", "name": "main", "version": "1"});
    [
        (
            "report-with-an-unknown-member",
            json!({"setings": {}}),
            "/setings",
        ),
        (
            "report-of-a-version-ahead",
            json!({"desiredVersion": 9_007_199_254_740_991_u64}),
            "/desiredVersion",
        ),
        (
            "report-of-software-twice",
            json!({"software": [software, software]}),
            "/software/1",
        ),
        (
            "report-of-an-unknown-refusal",
            json!({"refused": [{"key": "a", "reason": "Why"}]}),
            "/refused/0/reason",
        ),
        (
            "report-of-an-odd-restart",
            json!({"restarted": "now"}),
            "/restarted",
        ),
    ]
}

async fn faults(bench: &mut Bench) {
    let all = faults_of_settings().into_iter().chain(faults_of_the_rest());
    each(bench, all).await;
    secret(bench).await;
}

/// Sends reports that have faults.
pub(super) async fn each(bench: &mut Bench, faults: impl IntoIterator<Item = Fault>) {
    for (name, body, pointer) in faults {
        let title: Title = (
            name,
            SECTION,
            "422 InvalidRequest with a pointer to the fault",
        );
        let body = body.to_string();
        let request =
            |device: &_| with_body(Method::PATCH, &path(device, "/twin/reported"), PATCH, &body);
        let rule = |answer: &Answer| pointed(answer, "InvalidRequest", &[pointer]);
        bench.of_device(title, request, rule).await;
    }
}

async fn secret(bench: &mut Bench) {
    let required = "422 InvalidRequest: the value of a secret is never reported";
    let title: Title = ("report-of-a-secret-with-its-value", SECTION, required);
    let body = json!({"settings": {"check.one": {"secret": true, "value": "x", "by": "Server"}}});
    let body = body.to_string();
    let request =
        |device: &_| with_body(Method::PATCH, &path(device, "/twin/reported"), PATCH, &body);
    let rule = |answer: &Answer| refused(answer, 422, "InvalidRequest");
    bench.of_device(title, request, rule).await;
}

async fn malformed(bench: &mut Bench) {
    let deep = format!("{{\"settings\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let long = format!("{{\"restarted\":\"{}\"}}", "x".repeat(300 * 1024));
    let cases: [(&str, &'static str, &str, u16, &str); 5] = [
        ("report-that-is-no-json", PATCH, "{", 400, "BadRequest"),
        ("report-that-is-deep", PATCH, &deep, 400, "BadRequest"),
        ("report-of-300-kib", PATCH, &long, 413, "TooLarge"),
        (
            "report-as-json",
            "application/json",
            "{}",
            415,
            "UnsupportedMediaType",
        ),
        (
            "report-as-text",
            "text/plain",
            "{}",
            415,
            "UnsupportedMediaType",
        ),
    ];
    for (name, media, body, required, reason) in cases {
        let title: Title = (name, SECTION, "the status of this fault, and its reason");
        let request =
            |device: &_| with_body(Method::PATCH, &path(device, "/twin/reported"), media, body);
        let rule = |answer: &Answer| refused(answer, required, reason);
        bench.of_device(title, request, rule).await;
    }
    let title: Title = ("report-by-put", SECTION, "405 with Allow: PATCH");
    let request = |device: &_| with_body(Method::PUT, &path(device, "/twin/reported"), PATCH, "{}");
    bench
        .of_device(title, request, |answer| not_allowed(answer, "PATCH"))
        .await;
}
