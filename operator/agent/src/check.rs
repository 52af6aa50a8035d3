//! A test of a gateway: does it answer as docs/api/gateway.yaml says.
//!
//! Each case names what is required, and keeps what was sent and what came. Besides its own rule, every
//! answer of every case is held against the rules for all answers (`rules`). A case that cannot be run
//! is skipped with the reason, counted, and never taken for one that passed.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use url::Url;

use crate::{
    answer::{Answer, Failure},
    api::Registered,
    args::Check,
    http::{Http, Request, Token},
    table::table,
};

mod activation;
mod credential;
mod data_types;
mod ddi;
mod device;
mod errors;
mod events;
mod messages;
mod region;
mod registration;
mod reported;
pub mod rules;
mod withdrawal;

/// The gateway that is tested, and the means of the test.
pub struct Subject {
    /// Client.
    pub http: Http,
    /// Gateway.
    pub gateway: Url,
    /// Enrolment token.
    pub token: String,
    /// Command line.
    pub arguments: Check,
}

/// Times that a request comes again because there are too many.
const MOST_WAITS: usize = 10;
/// Bytes from which on a body is long.
const LONG: usize = 65_536;
/// Times that a long body may break off before the gateway answers it.
const MOST_BREAKS: usize = 5;
/// Wait after that.
const BREAK: Duration = Duration::from_secs(2);
/// Longest wait for a request that comes again.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Result of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The gateway does what is required.
    Passed,
    /// It does not.
    Failed(String),
    /// The case could not be run.
    Skipped(String),
}

/// A case that was run.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name.
    pub name: &'static str,
    /// Path of the document that requires it.
    pub section: &'static str,
    /// Requirement.
    pub required: &'static str,
    /// Each request and its answer, in turn.
    pub exchanges: Vec<(String, String)>,
    /// Result.
    pub verdict: Verdict,
}

/// All cases that were run.
#[derive(Debug, Default)]
pub struct Report {
    /// The cases, in turn.
    pub cases: Vec<Case>,
}

impl Report {
    /// True if a case was run and none failed.
    pub fn is_passed(&self) -> bool {
        let count = self.counts();
        count.0 > 0 && count.1 == 0
    }

    /// Numbers of those that passed, failed and were skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Verdict) -> bool| {
            let cases = self.cases.iter();
            cases.filter(|case| is(&case.verdict)).count()
        };
        (
            count(|verdict| *verdict == Verdict::Passed),
            count(|verdict| matches!(verdict, Verdict::Failed(_))),
            count(|verdict| matches!(verdict, Verdict::Skipped(_))),
        )
    }

    /// The report for a person: those that failed in full, a table of all, and the counts.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            if let Verdict::Failed(why) = &case.verdict {
                let _ = writeln!(text, "FAILED {} ({})", case.name, case.section);
                let _ = writeln!(text, "  required: {}", case.required);
                for (sent, came) in &case.exchanges {
                    let _ = writeln!(text, "  sent:     {sent}\n  came:     {came}");
                }
                let _ = writeln!(text, "  fault:    {why}\n");
            }
        }
        let rows = self.cases.iter().map(|case| {
            let (word, why) = match &case.verdict {
                Verdict::Passed => ("passed", String::new()),
                Verdict::Failed(why) => ("FAILED", why.clone()),
                Verdict::Skipped(why) => ("skipped", why.clone()),
            };
            let why = why.chars().take(100).collect();
            vec![case.name.into(), word.into(), case.section.into(), why]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        text.push_str(&table(&["CASE", "RESULT", "SECTION", "WHY"], &rows));
        let (passed, failed, skipped) = self.counts();
        let _ = writeln!(
            text,
            "\n{passed} passed, {failed} failed, {skipped} skipped"
        );
        text
    }
}

/// Runs all cases, in an order in which each finds what it needs.
pub async fn run(subject: Subject) -> Report {
    let mut bench = Bench {
        subject,
        report: Report::default(),
        exchanges: Vec::new(),
        faults: Vec::new(),
        device: None,
    };
    region::run(&mut bench).await;
    registration::run(&mut bench).await;
    device::run(&mut bench).await;
    activation::run(&mut bench).await;
    reported::run(&mut bench).await;
    data_types::run(&mut bench).await;
    messages::run(&mut bench).await;
    events::run(&mut bench).await;
    errors::run(&mut bench).await;
    credential::run(&mut bench).await;
    ddi::run(&mut bench).await;
    withdrawal::run(&mut bench).await;
    bench.report
}

/// Place where cases are run.
struct Bench {
    subject: Subject,
    report: Report,
    exchanges: Vec<(String, String)>,
    faults: Vec<String>,
    /// The device of the test, as soon as it is registered, or the reason that it is not.
    device: Option<Result<Registered, String>>,
}

/// Name, section and requirement of a case.
type Title = (&'static str, &'static str, &'static str);

impl Bench {
    /// True if the case is wanted; begins it.
    fn begins(&mut self, title: Title) -> bool {
        self.exchanges.clear();
        self.faults.clear();
        let only = self.subject.arguments.only.as_deref();
        only.is_none_or(|only| title.0.contains(only))
    }

    /// Ends a case by its own rule, and by those for all answers.
    fn ends(&mut self, title: Title, result: Result<(), String>) {
        let fault = result.err().or_else(|| self.faults.first().cloned());
        self.record(title, fault.map_or(Verdict::Passed, Verdict::Failed));
    }

    fn record(&mut self, (name, section, required): Title, verdict: Verdict) {
        self.report.cases.push(Case {
            name,
            section,
            required,
            exchanges: std::mem::take(&mut self.exchanges),
            verdict,
        });
    }

    /// Sends one request, and holds its answer against a rule.
    async fn one(
        &mut self,
        title: Title,
        request: Request<'_>,
        rule: impl FnOnce(&Answer) -> Result<(), String>,
    ) {
        if self.begins(title) {
            let result = match self.send(request).await {
                Ok(answer) => rule(&answer),
                Err(why) => Err(why),
            };
            self.ends(title, result);
        }
    }

    /// Sends a request, and keeps what was sent and what came, without tokens.
    async fn send(&mut self, request: Request<'_>) -> Result<Answer, String> {
        Ok(self.timed(request).await?.0)
    }

    /// Sends a request, and returns its answer and the time that it took. An answer that there are too
    /// many requests is none of the case: it comes again when the gateway wants it.
    async fn timed(&mut self, request: Request<'_>) -> Result<(Answer, Duration), String> {
        let sent = described(&request);
        let length = request.body.as_ref().map_or(0, |(_, body)| body.len());
        let is_long = length > LONG;
        for turn in 0..MOST_WAITS {
            let begun = Instant::now();
            let subject = &self.subject;
            let answer = subject.http.exchange(&subject.gateway, request.clone());
            let answer = match answer.await {
                Ok(answer) => answer,
                // A limit is answered before a long body is read, which may break its connection off.
                Err(Failure::Unreachable { .. }) if is_long && turn < MOST_BREAKS => {
                    tokio::time::sleep(BREAK).await;
                    continue;
                }
                Err(failure) => {
                    self.exchanges.push((sent, "nothing".into()));
                    return Err(failure.to_string());
                }
            };
            self.faults.extend(rules::every(&answer).err());
            let wait = answer.retry_after.filter(|_| answer.status == 429);
            let Some(wait) = wait else {
                self.exchanges.push((sent, rules::shown(&answer)));
                return Ok((answer, begun.elapsed()));
            };
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
        self.exchanges
            .push((sent, format!("429, {MOST_WAITS} times")));
        Err("the gateway never wants the request, in spite of its Retry-After".into())
    }

    /// The device of the test, registered by now; without one the case is skipped.
    async fn device(&mut self, title: Title) -> Option<Registered> {
        if !self.begins(title) {
            return None;
        }
        if self.device.is_none() {
            Box::pin(registration::lost_answer(self)).await;
            self.begins(title);
        }
        let why = match &self.device {
            Some(Ok(device)) => return Some(device.clone()),
            Some(Err(why)) => why.clone(),
            None => "the device could not be registered".into(),
        };
        self.record(title, Verdict::Skipped(why));
        None
    }

    /// Reads the twin of a device, with a token.
    async fn twin(&mut self, device: &Registered, token: &str) -> Result<Answer, String> {
        let request = Request::get(&path(device, "/twin"), Token::Bearer(token));
        self.send(request).await
    }

    /// One request of the device, held against a rule. The request is made of the device.
    async fn of_device(
        &mut self,
        title: Title,
        request: impl FnOnce(&Registered) -> Request<'static>,
        rule: impl FnOnce(&Answer) -> Result<(), String>,
    ) {
        if let Some(device) = self.device(title).await {
            let mut request = request(&device);
            if matches!(request.token, Token::None) {
                request.token = Token::Bearer(&device.credential.token);
            }
            let result = match self.send(request).await {
                Ok(answer) => rule(&answer),
                Err(why) => Err(why),
            };
            self.ends(title, result);
        }
    }
}

/// A request with JSON of a media type.
fn with_body(method: Method, link: &str, media: &'static str, body: &str) -> Request<'static> {
    Request::new(method, link, Token::None).with_body(media, body.to_owned())
}

/// Path of the device, with something behind it.
fn path(device: &Registered, rest: &str) -> String {
    format!("/v1/devices/{}{rest}", device.printer_id)
}

fn described(request: &Request<'_>) -> String {
    let mut text = format!("{} {}", request.method, request.link);
    match request.token {
        Token::None => text.push_str(", no token"),
        Token::Bearer(_) => text.push_str(", Bearer …"),
        Token::Target(_) => text.push_str(", TargetToken …"),
    }
    for (name, value) in &request.headers {
        let _ = write!(text, ", {name}: {value}");
    }
    if let Some((media, body)) = &request.body {
        let begin: String = body.chars().take(160).collect();
        let _ = write!(text, ", {media} of {} bytes: {begin}", body.len());
    }
    text
}

/// Reads the body of an answer as JSON.
fn json(answer: &Answer) -> Result<Value, String> {
    serde_json::from_slice(&answer.body).map_err(|error| format!("the body is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_a_case_that_passed_has_not_passed() {
        let mut report = Report::default();
        assert!(!report.is_passed());
        let mut add = |verdict| {
            report.cases.push(Case {
                name: "one",
                section: "/v1/region",
                required: "something",
                exchanges: Vec::new(),
                verdict,
            });
            (report.is_passed(), report.counts())
        };
        let skipped = Verdict::Skipped("no country".into());
        assert_eq!(add(skipped), (false, (0, 0, 1)));
        assert_eq!(add(Verdict::Passed), (true, (1, 0, 1)));
        assert_eq!(add(Verdict::Failed("no".into())), (false, (1, 1, 1)));
    }
}
