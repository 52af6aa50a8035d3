//! Cases of the look-up of a region, and of paths and methods that there are not.

use reqwest::Method;

use super::{
    Bench, Title, Verdict, json,
    rules::{not_allowed, pointed, refused, status},
};
use crate::{
    http::{Request, Token},
    link,
};

const SECTION: &str = "/v1/region";

pub(super) async fn run(bench: &mut Bench) {
    known(bench).await;
    let title: Title = ("region-unknown", SECTION, "404 RegionUnknown");
    if let Some(country) = bench.subject.arguments.no_country.clone() {
        let link = format!("/v1/region?country={country}");
        let request = Request::get(&link, Token::None);
        bench
            .one(title, request, |answer| {
                refused(answer, 404, "RegionUnknown")
            })
            .await;
    } else if bench.begins(title) {
        let why = "no country without a region was named (--no-country)";
        bench.record(title, Verdict::Skipped(why.into()));
    }
    let required = "422 InvalidRequest with a pointer to /country";
    let wrong: [(&str, &str); 4] = [
        ("region-without-a-country", ""),
        ("region-of-a-country-in-lower-case", "?country=jp"),
        ("region-of-a-country-in-words", "?country=Japan"),
        ("region-of-two-countries", "?country=JP&country=DE"),
    ];
    for (name, query) in wrong {
        let link = format!("/v1/region{query}");
        let request = Request::get(&link, Token::None);
        let rule = |answer: &_| pointed(answer, "InvalidRequest", &["/country"]);
        bench.one((name, SECTION, required), request, rule).await;
    }
    let title = ("region-by-post", SECTION, "405 with Allow: GET");
    let request = Request::new(Method::POST, "/v1/region", Token::None);
    bench
        .one(title, request, |answer| not_allowed(answer, "GET"))
        .await;
    let title = ("path-that-is-not-there", "Rules", "404 NotFound");
    let request = Request::get("/v1/nothing", Token::None);
    bench
        .one(title, request, |answer| refused(answer, 404, "NotFound"))
        .await;
}

async fn known(bench: &mut Bench) {
    let required = "200 with region, validUntil ahead, and the https URL of a gateway";
    let title = ("region-known", SECTION, required);
    let link = format!("/v1/region?country={}", bench.subject.arguments.country);
    let request = Request::get(&link, Token::None);
    let rule = |answer: &crate::answer::Answer| {
        status(answer, 200)?;
        let region: crate::api::Region =
            serde_json::from_value(json(answer)?).map_err(|error| error.to_string())?;
        link::gateway(&region.url).map_err(|fault| fault.to_string())?;
        if answer.date.is_some_and(|date| date >= region.valid_until) {
            return Err(format!("validUntil is over: {}", region.valid_until));
        }
        Ok(())
    };
    bench.one(title, request, rule).await;
}
