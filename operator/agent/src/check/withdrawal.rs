//! Cases of the withdrawal of consent, which also tidy up: afterwards the device of the test sends and
//! gets nothing.

use reqwest::Method;

use super::{
    Bench, Title, path,
    registration::{body, request},
    rules::{pointed, refused, status},
    with_body,
};
use crate::{
    answer::{self, Answer},
    api::Registered,
    http::{Request, Token},
};

const SECTION: &str = "/v1/devices/{printerId}";

pub(super) async fn run(bench: &mut Bench) {
    let title: Title = (
        "withdrawal-without-who",
        SECTION,
        "422 with a pointer to /by",
    );
    let request = |device: &_| delete(&path(device, ""), Token::None);
    let rule = |answer: &Answer| pointed(answer, "InvalidRequest", &["/by"]);
    bench.of_device(title, request, rule).await;
    let required = "204, and again 204; 403 ConsentWithdrawn for everything else";
    let title: Title = ("withdrawal", SECTION, required);
    if let Some(device) = bench.device(title).await {
        let result = withdrawn(bench, &device).await;
        bench.ends(title, result);
    }
    let required = "201 with the same printerId after a new consent";
    let title: Title = (
        "registration-after-a-withdrawal",
        "/v1/registrations",
        required,
    );
    if let Some(device) = bench.device(title).await {
        let result = again(bench, &device).await;
        bench.ends(title, result);
    }
}

fn delete<'a>(link: &str, token: Token<'a>) -> Request<'a> {
    Request::new(Method::DELETE, link, token)
}

async fn withdrawn(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    let bearer = Token::Bearer(&device.credential.token);
    let link = path(device, "?by=Command");
    for _ in 0..2 {
        status(&bench.send(delete(&link, bearer)).await?, 204)?;
    }
    for rest in ["/twin", "/services"] {
        let answer = bench
            .send(Request::get(&path(device, rest), bearer))
            .await?;
        refused(&answer, 403, "ConsentWithdrawn")?;
    }
    let events = with_body(
        Method::POST,
        &path(device, "/events"),
        "application/cloudevents-batch+json",
        "[]",
    );
    let events = Request {
        token: bearer,
        ..events
    };
    refused(&bench.send(events).await?, 403, "ConsentWithdrawn")?;
    if let Some(base) = &device.links.ddi {
        let target = Token::Target(&device.credential.token);
        let answer = bench.send(Request::get(base, target)).await?;
        refused(&answer, 403, "ConsentWithdrawn")?;
    }
    Ok(())
}

async fn again(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    let (token, body) = (bench.subject.token.clone(), body(bench, |_| ()));
    let key = uuid::Uuid::new_v4().to_string();
    let answer = bench.send(request(&token, &body, &key)).await?;
    status(&answer, 201)?;
    let new: Registered = answer::body(&answer).map_err(|failure| failure.to_string())?;
    if new.printer_id != device.printer_id {
        return Err(format!("{} and not {}", new.printer_id, device.printer_id));
    }
    // Nothing is left behind that could be used.
    let bearer = Token::Bearer(&new.credential.token);
    let request = delete(&path(&new, "?by=Command"), bearer);
    status(&bench.send(request).await?, 204)
}
