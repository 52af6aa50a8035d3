//! Cases of DDI that need no firmware: the base, reports of versions, and actions that there are not.

use reqwest::Method;
use serde_json::json;

use super::{
    Bench, Title, Verdict, json as body_of,
    rules::{has, member, not_allowed, pointed, refused, status},
    with_body,
};
use crate::{
    answer::{self, Answer},
    api::Registered,
    ddi::Controller,
    http::{Request, Token},
};

const SECTION: &str = "/{namespace}/controller/v1/{controllerId}";
const JSON: &str = "application/json";

pub(super) async fn run(bench: &mut Bench) {
    let title: Title = (
        "ddi-link",
        "/v1/registrations",
        "links.ddi, since capabilities.ddi is true",
    );
    let Some(device) = bench.device(title).await else {
        return;
    };
    let Some(base) = device.links.ddi.clone() else {
        bench.ends(title, Err("there is no links.ddi".into()));
        return;
    };
    let required = format!("/{}/controller/v1/{}", device.namespace, device.device);
    let result = if base.ends_with(&required) {
        Ok(())
    } else {
        Err(format!(
            "links.ddi is {base} and does not end in {required}"
        ))
    };
    bench.ends(title, result);
    reads(bench, &device, &base).await;
    versions(bench, &device, &base).await;
    actions(bench, &device, &base).await;
}

/// The same request, with the scheme of DDI.
fn target<'a>(device: &'a Registered, request: Request<'a>) -> Request<'a> {
    Request {
        token: Token::Target(&device.credential.token),
        ..request
    }
}

async fn reads(bench: &mut Bench, device: &Registered, base: &str) {
    let title: Title = (
        "ddi-base",
        SECTION,
        "200 with config.polling.sleep as HH:MM:SS",
    );
    let request = target(device, Request::get(base, Token::None));
    let rule = |answer: &Answer| {
        status(answer, 200)?;
        let read: Controller = answer::body(answer).map_err(|failure| failure.to_string())?;
        let sleep = &read.config.polling.sleep;
        let seconds = crate::ddi::sleep(&read).map_or(0, |period| period.0.as_secs());
        if sleep.len() == 8 && (1..86_400).contains(&seconds) {
            return Ok(());
        }
        Err(format!(
            "sleep is {sleep:?} and not from 00:00:01 to 23:59:59"
        ))
    };
    bench.one(title, request, rule).await;
    let title: Title = (
        "ddi-base-of-firmware-alone",
        SECTION,
        "200 for NAME.firmware",
    );
    let link = format!("{base}.firmware");
    let request = target(device, Request::get(&link, Token::None));
    bench
        .one(title, request, |answer| status(answer, 200))
        .await;
    let required = "401 CredentialInvalid with WWW-Authenticate: TargetToken";
    let rule = |answer: &Answer| {
        refused(answer, 401, "CredentialInvalid")?;
        has(answer, "www-authenticate", "TargetToken realm=\"entente\"")
    };
    let title: Title = ("ddi-without-a-token", SECTION, required);
    bench
        .one(title, Request::get(base, Token::None), rule)
        .await;
    let title: Title = ("ddi-with-bearer", SECTION, required);
    let bearer = Token::Bearer(&device.credential.token);
    bench.one(title, Request::get(base, bearer), rule).await;
    let title: Title = ("ddi-of-another-device", SECTION, "403 DeviceMismatch");
    let link = format!("{base}-other");
    let request = target(device, Request::get(&link, Token::None));
    let rule = |answer: &Answer| refused(answer, 403, "DeviceMismatch");
    bench.one(title, request, rule).await;
    let title: Title = ("ddi-base-by-post", SECTION, "405 with Allow: GET");
    let request = target(device, with_body(Method::POST, base, JSON, "{}"));
    bench
        .one(title, request, |answer| not_allowed(answer, "GET"))
        .await;
}

/// Reports the versions that run, as they were registered, in both forms.
async fn versions(bench: &mut Bench, device: &Registered, base: &str) {
    let link = format!("{base}/configData");
    let title: Title = (
        "ddi-versions-in-both-forms",
        "/{namespace}/controller/v1/{controllerId}/configData",
        "200 for each form, and the twin shows the versions",
    );
    let software = bench.subject.arguments.plate.software.clone();
    if software.is_empty() {
        if bench.begins(title) {
            let why = "no software was named (--software)";
            bench.record(title, Verdict::Skipped(why.into()));
        }
    } else if bench.begins(title) {
        let result = both_forms(bench, device, &link).await;
        bench.ends(title, result);
    }
    let cases = [
        (
            "ddi-versions-that-are-no-texts",
            json!({"data": {"firmware.main": 4}}),
            "/data/firmware.main",
        ),
        (
            "ddi-versions-in-an-unknown-mode",
            json!({"mode": "add", "data": {}}),
            "/mode",
        ),
        (
            "ddi-versions-without-data",
            json!({"mode": "merge"}),
            "/data",
        ),
    ];
    for (name, body, pointer) in cases {
        let title: Title = (
            name,
            title.1,
            "422 InvalidRequest with a pointer to the fault",
        );
        let request = target(
            device,
            with_body(Method::PUT, &link, JSON, &body.to_string()),
        );
        let rule = |answer: &Answer| pointed(answer, "InvalidRequest", &[pointer]);
        bench.one(title, request, rule).await;
    }
}

async fn both_forms(bench: &mut Bench, device: &Registered, link: &str) -> Result<(), String> {
    let software = bench.subject.arguments.plate.software.clone();
    let today = crate::ddi::config_data(&software);
    let former = json!({"id": "", "time": "20270331T140000", "data": today["data"],
        "status": {"result": {"finished": "success"}, "execution": "closed", "details": [""]}});
    for body in [today, former] {
        let request = with_body(Method::PUT, link, JSON, &body.to_string());
        status(&bench.send(target(device, request)).await?, 200)?;
    }
    let read = body_of(&bench.twin(device, &device.credential.token).await?)?;
    for wanted in &software {
        let found = read
            .pointer("/reported/software")
            .and_then(|list| list.as_array());
        let wanted = json!(wanted);
        if !found.is_some_and(|list| list.contains(&wanted)) {
            return member(&read, "/reported/software", &json!([wanted]));
        }
    }
    Ok(())
}

/// Actions that the device never had.
async fn actions(bench: &mut Bench, device: &Registered, base: &str) {
    let none = "999999999999999999";
    let required = "404 ActionNotFound";
    let fine =
        json!({"id": none, "status": {"execution": "closed", "result": {"finished": "success"}}});
    let cases = [
        ("ddi-deployment-that-is-not-there", "deploymentBase", false),
        ("ddi-feedback-of-no-deployment", "deploymentBase", true),
        ("ddi-cancellation-that-is-not-there", "cancelAction", false),
        ("ddi-feedback-of-no-cancellation", "cancelAction", true),
    ];
    for (name, kind, is_feedback) in cases {
        let link = format!("{base}/{kind}/{none}");
        let request = if is_feedback {
            let link = format!("{link}/feedback");
            with_body(Method::POST, &link, JSON, &fine.to_string())
        } else {
            Request::get(&link, Token::None)
        };
        let rule = |answer: &Answer| refused(answer, 404, "ActionNotFound");
        bench
            .one((name, SECTION, required), target(device, request), rule)
            .await;
    }
    let title: Title = (
        "ddi-artifact-that-is-not-there",
        SECTION,
        "404 ArtifactNotFound",
    );
    let link = format!("{base}/softwaremodules/1/artifacts/none.swu");
    let request = target(device, Request::get(&link, Token::None));
    let rule = |answer: &Answer| refused(answer, 404, "ArtifactNotFound");
    bench.one(title, request, rule).await;
}
