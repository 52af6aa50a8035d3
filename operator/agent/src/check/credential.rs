//! Cases of the credential: its renewal, also when the answer is lost, and its end.

use reqwest::Method;

use super::{
    Bench, Title, Verdict, path,
    rules::{has, not_allowed, refused, status},
};
use crate::{
    answer::{self, Answer},
    api::{Credential, Registered},
    http::{Request, Token},
};

const SECTION: &str = "/v1/devices/{printerId}/credential";

pub(super) async fn run(bench: &mut Bench) {
    let title: Title = ("credential-by-get", SECTION, "405 with Allow: POST");
    let request = |device: &_| Request::get(&path(device, "/credential"), Token::None);
    bench
        .of_device(title, request, |answer| not_allowed(answer, "POST"))
        .await;
    let title: Title = (
        "credential-of-another-device",
        SECTION,
        "403 DeviceMismatch",
    );
    let link = "/v1/devices/00000000-0000-5000-8000-000000000000/credential";
    let request = |_: &_| Request::new(Method::POST, link, Token::None);
    let rule = |answer: &Answer| refused(answer, 403, "DeviceMismatch");
    bench.of_device(title, request, rule).await;
    let required = "201 with a new token; the former one works until the new one was used, and a \
        token that was never used is dead as soon as there is another";
    let title: Title = ("credential-renewed", SECTION, required);
    if let Some(device) = bench.device(title).await {
        let result = renewed(bench, &device).await;
        bench.ends(title, result);
    }
    let title: Title = ("credential-revoked", SECTION, "401 CredentialInvalid");
    if bench.device(title).await.is_some() {
        let why = "only a person can revoke a credential";
        bench.record(title, Verdict::Skipped(why.into()));
    }
}

async fn renewed(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    let first = device.credential.token.clone();
    let lost = renew(bench, device, &first).await?;
    // The answer was lost: the device renews again, with the token that it has.
    let second = renew(bench, device, &first).await?;
    refused(
        &bench.twin(device, &lost.token).await?,
        401,
        "CredentialInvalid",
    )?;
    status(&bench.twin(device, &first).await?, 200)?;
    status(&bench.twin(device, &second.token).await?, 200)?;
    if let Some(Ok(device)) = &mut bench.device {
        device.credential = second;
    }
    refused(&bench.twin(device, &first).await?, 401, "CredentialInvalid")
}

async fn renew(bench: &mut Bench, device: &Registered, token: &str) -> Result<Credential, String> {
    let link = path(device, "/credential");
    let request = Request::new(Method::POST, &link, Token::Bearer(token));
    let answer = bench.send(request).await?;
    status(&answer, 201)?;
    has(&answer, "cache-control", "no-store")?;
    let credential: Credential = answer::body(&answer).map_err(|failure| failure.to_string())?;
    if credential.token == token {
        return Err("the new token is the old one".into());
    }
    Ok(credential)
}
