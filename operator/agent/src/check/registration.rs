//! Cases of registration. The device of the test is registered here; what comes after needs it.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Bench, Title, Verdict, path,
    rules::{not_allowed, pointed, refused, status},
    with_body,
};
use crate::{
    answer::{self, Answer},
    api::Registered,
    http::{Request, Token},
};

const SECTION: &str = "/v1/registrations";
const JSON: &str = "application/json";
/// Name of the case that registers the device of the test.
const LOST: &str = "registration-whose-answer-was-lost";

pub(super) async fn run(bench: &mut Bench) {
    unauthorised(bench).await;
    malformed(bench).await;
    faulty(bench).await;
    if bench.begins((LOST, SECTION, "")) {
        lost_answer(bench).await;
    }
    second_machine(bench).await;
}

/// The registration of the test, changed.
pub(super) fn body(bench: &Bench, change: impl FnOnce(&mut Value)) -> String {
    let arguments = &bench.subject.arguments;
    let plate = &arguments.plate;
    let mut body = json!({
        "serialNumber": plate.serial, "productName": plate.product,
        "shipDestination": plate.ship_destination, "timeZone": plate.time_zone,
        "software": plate.software, "capabilities": {"ddi": true},
        "consent": {"by": "Command", "at": bench.subject.http.now(),
            "textVersion": arguments.consent_text},
    });
    if let Some(manufacturer) = &plate.manufacturer {
        body["manufacturer"] = json!(manufacturer);
    }
    change(&mut body);
    body.to_string()
}

/// A request to register.
pub(super) fn request<'a>(token: &'a str, body: &str, key: &str) -> Request<'a> {
    let request = with_body(Method::POST, SECTION, JSON, body);
    Request {
        token: Token::Bearer(token),
        ..request
    }
    .with("Idempotency-Key", Some(key.to_owned()))
}

fn key() -> String {
    Uuid::new_v4().to_string()
}

async fn unauthorised(bench: &mut Bench) {
    let body = body(bench, |_| ());
    let required = "401 EnrollmentTokenInvalid with WWW-Authenticate: Bearer";
    let rule = |answer: &Answer| {
        refused(answer, 401, "EnrollmentTokenInvalid")?;
        super::rules::has(answer, "www-authenticate", "Bearer realm=\"entente\"")
    };
    let title = ("registration-without-a-token", SECTION, required);
    bench
        .one(title, with_body(Method::POST, SECTION, JSON, &body), rule)
        .await;
    let title = ("registration-with-a-wrong-token", SECTION, required);
    let wrong = "a-token-that-no-enrolment-has-0123456789";
    bench.one(title, request(wrong, &body, &key()), rule).await;
    let title = ("registration-by-put", SECTION, "405 with Allow: POST");
    let put = with_body(Method::PUT, SECTION, JSON, &body);
    bench
        .one(title, put, |answer| not_allowed(answer, "POST"))
        .await;
}

async fn malformed(bench: &mut Bench) {
    let token = bench.subject.token.clone();
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let deep = format!("{{\"serialNumber\":{deep}}}");
    let twice = r#"{"serialNumber":"A","serialNumber":"B"}"#;
    let long = format!("{{\"serialNumber\":\"{}\"}}", "x".repeat(300 * 1024));
    let cases: [(&str, &'static str, &str, u16, &str); 5] = [
        (
            "registration-that-is-no-json",
            JSON,
            "{\"serialNumber\":",
            400,
            "BadRequest",
        ),
        ("registration-that-is-deep", JSON, &deep, 400, "BadRequest"),
        (
            "registration-with-a-member-twice",
            JSON,
            twice,
            400,
            "BadRequest",
        ),
        ("registration-of-300-kib", JSON, &long, 413, "TooLarge"),
        (
            "registration-as-text",
            "text/plain",
            "{}",
            415,
            "UnsupportedMediaType",
        ),
    ];
    for (name, media, body, required, reason) in cases {
        let title: Title = (name, SECTION, "the status of this fault, and its reason");
        let request = with_body(Method::POST, SECTION, media, body);
        let request = Request {
            token: Token::Bearer(&token),
            ..request
        };
        bench
            .one(title, request, |answer| refused(answer, required, reason))
            .await;
    }
}

/// A registration with a fault: its name, the change that makes it, the reason and the pointers.
type Fault = (
    &'static str,
    fn(&mut Value),
    &'static str,
    &'static [&'static str],
);

const FAULTS: [Fault; 8] = [
    (
        "registration-with-a-misspelt-member",
        |body| body["timezone"] = json!("UTC"),
        "InvalidRequest",
        &["/timezone"],
    ),
    (
        "registration-with-a-number-for-a-text",
        |body| body["serialNumber"] = json!(5),
        "InvalidRequest",
        &["/serialNumber"],
    ),
    (
        "registration-with-a-long-serial-number",
        |body| body["serialNumber"] = json!("x".repeat(65)),
        "InvalidRequest",
        &["/serialNumber"],
    ),
    (
        "registration-with-two-faults",
        |body| {
            body["shipDestination"] = json!("Japan");
            body["capabilities"] = json!({"dd": true});
        },
        "InvalidRequest",
        &["/shipDestination", "/capabilities/dd"],
    ),
    (
        "registration-with-a-display-without-lines",
        |body| body["capabilities"] = json!({"display": {"columns": 24}}),
        "InvalidRequest",
        &["/capabilities/display/lines"],
    ),
    (
        "registration-in-an-unknown-time-zone",
        |body| body["timeZone"] = json!("Asia/Edo"),
        "UnknownTimeZone",
        &["/timeZone"],
    ),
    (
        "registration-of-an-unknown-model",
        |body| body["productName"] = json!("No such model 0"),
        "UnknownModel",
        &["/productName"],
    ),
    (
        "registration-with-half-a-consent",
        |body| body["consent"] = json!({"by": "Panel"}),
        "InvalidRequest",
        &["/consent/at", "/consent/textVersion"],
    ),
];

/// Registrations that have faults. Each would register if the fault were not seen.
async fn faulty(bench: &mut Bench) {
    let token = bench.subject.token.clone();
    for (name, change, reason, pointers) in FAULTS {
        let title: Title = (name, SECTION, "422 with a pointer to each fault");
        let body = body(bench, change);
        let request = request(&token, &body, &key());
        let rule = |answer: &Answer| pointed(answer, reason, pointers);
        bench.one(title, request, rule).await;
    }
    without_consent(bench, &token).await;
}

async fn without_consent(bench: &mut Bench, token: &str) {
    let required = "422 ConsentMissing, if the enrolment requires consent";
    let title: Title = ("registration-without-consent", SECTION, required);
    if !bench.begins(title) {
        return;
    }
    let body = body(bench, |body| {
        body.as_object_mut().map(|body| body.remove("consent"));
    });
    match bench.send(request(token, &body, &key())).await {
        Ok(answer) if matches!(answer.status, 201 | 202) => {
            let why = "the enrolment needs no consent";
            bench.record(title, Verdict::Skipped(why.into()));
        }
        Ok(answer) => bench.ends(title, pointed(&answer, "ConsentMissing", &["/consent"])),
        Err(why) => bench.ends(title, Err(why)),
    }
}

fn registered(answer: &Answer) -> Result<Registered, String> {
    status(answer, 201)?;
    let registered: Registered = answer::body(answer).map_err(|failure| failure.to_string())?;
    let location = super::rules::header(answer, "location").unwrap_or_default();
    if location != path(&registered, "") {
        return Err(format!("Location is {location:?}"));
    }
    super::rules::has(answer, "cache-control", "no-store")?;
    Ok(registered)
}

/// Registers twice with one key, as a device does whose first answer was lost.
pub(super) async fn lost_answer(bench: &mut Bench) {
    let required = "201 twice, with one printerId and two tokens, of which the first is dead";
    let title: Title = (LOST, SECTION, required);
    bench.begins(title);
    let result = twice(bench).await;
    bench.device = Some(match result {
        Ok((first, second)) => {
            let result = dead(bench, &first, &second).await;
            bench.ends(title, result);
            Ok(second)
        }
        Err((true, why)) => {
            bench.record(title, Verdict::Skipped(why.clone()));
            Err(why)
        }
        Err((false, why)) => {
            bench.ends(title, Err(why));
            Err("the device could not be registered".into())
        }
    });
}

async fn twice(bench: &mut Bench) -> Result<(Registered, Registered), (bool, String)> {
    let (token, key, body) = (bench.subject.token.clone(), key(), body(bench, |_| ()));
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = bench.send(request(&token, &body, &key)).await;
        let answer = answer.map_err(|why| (false, why))?;
        if answer.status == 202 {
            let why = "the registration waits for somebody to permit it";
            return Err((true, why.into()));
        }
        answers.push(registered(&answer).map_err(|why| (false, why))?);
    }
    let second = answers.remove(1);
    Ok((answers.remove(0), second))
}

async fn dead(bench: &mut Bench, first: &Registered, second: &Registered) -> Result<(), String> {
    if first.printer_id != second.printer_id {
        return Err(format!("{} and {}", first.printer_id, second.printer_id));
    }
    if first.credential.token == second.credential.token {
        return Err("both answers have one token".into());
    }
    let answer = bench.twin(second, &first.credential.token).await?;
    refused(&answer, 401, "CredentialInvalid")?;
    let answer = bench.twin(second, &second.credential.token).await?;
    status(&answer, 200)
}

/// Registers once more, now that the credential has been used.
async fn second_machine(bench: &mut Bench) {
    let required = "409 AlreadyRegistered, since the credential was used";
    let title: Title = ("registration-of-a-second-machine", SECTION, required);
    if bench.device(title).await.is_some() {
        let (token, body) = (bench.subject.token.clone(), body(bench, |_| ()));
        let result = bench.send(request(&token, &body, &key())).await;
        let result = result.and_then(|answer| refused(&answer, 409, "AlreadyRegistered"));
        bench.ends(title, result);
    }
    let title: Title = (
        "registration-that-does-not-wait",
        "/v1/registrations/{registrationId}",
        "404 RegistrationNotFound",
    );
    let token = bench.subject.token.clone();
    let request = Request::get("/v1/registrations/0123456789abcdef", Token::Bearer(&token));
    let rule = |answer: &Answer| refused(answer, 404, "RegistrationNotFound");
    bench.one(title, request, rule).await;
}
