//! Cases of services and twin: who may read them, tags, and requests that are held.

use std::time::Duration;

use reqwest::Method;

use super::{
    Bench, Title, Verdict, json, path,
    rules::{for_polls, has, header, not_allowed, refused, status},
};
use crate::{
    answer::{self, Answer},
    api::{Registered, Services, Twin},
    http::{Request, Token},
};

const SERVICES: &str = "/v1/devices/{printerId}/services";
const TWIN: &str = "/v1/devices/{printerId}/twin";
/// Id that no device has: another namespace of UUIDs.
pub(super) const FOREIGN: &str = "/v1/devices/00000000-0000-5000-8000-000000000000";

pub(super) async fn run(bench: &mut Bench) {
    documents(bench).await;
    strangers(bench).await;
    for (rest, names) in [
        (
            "/services",
            ["services-that-have-not-changed", "services-that-are-held"],
        ),
        ("/twin", ["twin-that-has-not-changed", "twin-that-is-held"]),
    ] {
        tags(bench, rest, names).await;
    }
}

async fn documents(bench: &mut Bench) {
    let title: Title = (
        "services",
        SERVICES,
        "200 with a tag, no-cache, and Entente-Poll-Next",
    );
    let request = |device: &_| Request::get(&path(device, "/services"), Token::None);
    let rule = |answer: &Answer| {
        status(answer, 200)?;
        for_polls(answer)?;
        has(answer, "cache-control", "no-cache")?;
        let read: Services = answer::body(answer).map_err(|failure| failure.to_string())?;
        let body = json(answer)?;
        for at in 0..read.services.len() {
            for member in ["activation", "requires", "missing"] {
                let place = format!("/services/{at}/{member}");
                let found = body.pointer(&place);
                found.ok_or_else(|| format!("there is no {place}"))?;
            }
        }
        Ok(())
    };
    bench.of_device(title, request, rule).await;
    let required = "200 with its version as tag, no-store, and Entente-Poll-Next";
    let title: Title = ("twin", TWIN, required);
    let request = |device: &_| Request::get(&path(device, "/twin"), Token::None);
    let rule = |answer: &Answer| {
        status(answer, 200)?;
        for_polls(answer)?;
        has(answer, "cache-control", "no-store")?;
        let twin: Twin = answer::body(answer).map_err(|failure| failure.to_string())?;
        has(answer, "etag", &format!("\"{}\"", twin.version))?;
        let body = json(answer)?;
        for list in [
            "/desired/dataTypes",
            "/delta/settings",
            "/delta/dataTypes/add",
            "/delta/dataTypes/remove",
        ] {
            let found = body.pointer(list);
            found
                .and_then(|found| found.as_array())
                .ok_or_else(|| format!("there is no list {list}"))?;
        }
        Ok(())
    };
    bench.of_device(title, request, rule).await;
    for (name, rest) in [("services-by-post", "/services"), ("twin-by-put", "/twin")] {
        let method = if rest == "/twin" {
            Method::PUT
        } else {
            Method::POST
        };
        let request = |device: &_| Request::new(method, &path(device, rest), Token::None);
        let title: Title = (name, "Rules", "405 with Allow: GET");
        bench
            .of_device(title, request, |answer| not_allowed(answer, "GET"))
            .await;
    }
}

/// Requests without a token, with another one, and for another device.
async fn strangers(bench: &mut Bench) {
    let required = "401 CredentialInvalid with WWW-Authenticate: Bearer";
    let rule = |answer: &Answer| {
        refused(answer, 401, "CredentialInvalid")?;
        has(answer, "www-authenticate", "Bearer realm=\"entente\"")
    };
    let title: Title = ("twin-without-a-token", TWIN, required);
    let twin = format!("{FOREIGN}/twin");
    bench
        .one(title, Request::get(&twin, Token::None), rule)
        .await;
    let title: Title = ("twin-with-a-wrong-token", TWIN, required);
    let wrong = Token::Bearer("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    bench.one(title, Request::get(&twin, wrong), rule).await;
    let title: Title = ("twin-with-the-enrolment-token", TWIN, required);
    let enrolment = bench.subject.token.clone();
    let request = Request::get(&twin, Token::Bearer(&enrolment));
    bench.one(title, request, rule).await;
    let required = "403 DeviceMismatch: no answer tells which devices there are";
    for (name, rest) in [
        ("twin-of-another-device", "/twin"),
        ("services-of-another-device", "/services"),
    ] {
        let request = |_: &_| Request::get(&format!("{FOREIGN}{rest}"), Token::None);
        let rule = |answer: &Answer| refused(answer, 403, "DeviceMismatch");
        bench.of_device((name, TWIN, required), request, rule).await;
    }
    let title: Title = ("twin-of-what-is-no-id", TWIN, required);
    let request = |_: &_| Request::get("/v1/devices/me/twin", Token::None);
    let rule = |answer: &Answer| refused(answer, 403, "DeviceMismatch");
    bench.of_device(title, request, rule).await;
}

async fn tags(bench: &mut Bench, rest: &'static str, [name, held]: [&'static str; 2]) {
    let required = "304 without a body, with the tag and Entente-Poll-Next; 200 for another tag";
    let title: Title = (name, TWIN, required);
    if let Some(device) = bench.device(title).await {
        let result = unchanged(bench, &device, rest).await;
        bench.ends(title, result);
    }
    let required = "held for the 2 seconds of Prefer: wait=2, then 304 with Preference-Applied";
    let title: Title = (held, TWIN, required);
    if let Some(device) = bench.device(title).await {
        match hold(bench, &device, rest).await {
            Ok(true) => bench.ends(title, Ok(())),
            Ok(false) => {
                let why = "the gateway holds no more requests now";
                bench.record(title, Verdict::Skipped(why.into()));
            }
            Err(why) => bench.ends(title, Err(why)),
        }
    }
}

/// Reads a document of the device, with a tag and a preference.
async fn ask(
    bench: &mut Bench,
    device: &Registered,
    rest: &str,
    tag: Option<&str>,
    prefer: Option<&str>,
) -> Result<(Answer, Duration), String> {
    let token = Token::Bearer(&device.credential.token);
    let request = Request::get(&path(device, rest), token)
        .with("If-None-Match", tag.map(String::from))
        .with("Prefer", prefer.map(String::from));
    bench.timed(request).await
}

async fn unchanged(bench: &mut Bench, device: &Registered, rest: &str) -> Result<(), String> {
    let (answer, _) = ask(bench, device, rest, None, None).await?;
    let tag = answer.etag.unwrap_or_default();
    let list = format!("\"other\", W/{tag}");
    for same in [&tag, &list] {
        let (answer, _) = ask(bench, device, rest, Some(same), None).await?;
        status(&answer, 304)?;
        for_polls(&answer)?;
        if !answer.body.is_empty() {
            return Err("304 with a body".into());
        }
    }
    for other in ["\"other\"", "not a tag"] {
        status(&ask(bench, device, rest, Some(other), None).await?.0, 200)?;
    }
    Ok(())
}

/// True if the request was held, false if the gateway reports that it holds none.
async fn hold(bench: &mut Bench, device: &Registered, rest: &str) -> Result<bool, String> {
    let (answer, _) = ask(bench, device, rest, None, None).await?;
    let tag = answer.etag.unwrap_or_default();
    for prefer in ["wait=2", "wait=soon"] {
        let (answer, took) = ask(bench, device, rest, None, Some(prefer)).await?;
        status(&answer, 200)?;
        if took > Duration::from_secs(1) {
            return Err(format!("held for {took:?} without If-None-Match"));
        }
    }
    let (answer, took) = ask(bench, device, rest, Some(&tag), Some("wait=2")).await?;
    status(&answer, 304)?;
    let Some(applied) = header(&answer, "preference-applied") else {
        return Ok(false);
    };
    if applied != "wait=2" {
        return Err(format!("Preference-Applied is {applied:?}"));
    }
    let bounds = Duration::from_millis(1500)..Duration::from_secs(10);
    if bounds.contains(&took) {
        Ok(true)
    } else {
        Err(format!("held for {took:?} and not for 2 s"))
    }
}
