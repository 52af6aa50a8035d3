//! What every driver promises, as checks that run against anything that claims to keep it.
//!
//! The same checks judge the fake, our simulators and servers that others wrote: a fake that
//! passes what the real ones pass is a fake worth testing with. A check that a subject cannot be
//! put to is skipped and counted, never passed. Called from tests alone.

pub mod device;
pub mod server;

use std::fmt;

pub use device::{DeviceSubject, SettingWrite, ipp_probe, judge_device};
pub use server::{ServerSubject, judge_server};

/// How one check ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The promise was kept.
    Passed,
    /// The subject cannot be put to it, and why.
    Skipped(&'static str),
    /// The promise was broken: what was seen.
    Broken(String),
}

/// How all checks ended for one subject.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Who was judged.
    pub subject: String,
    /// Each check by its name, in the order in which they ran.
    pub verdicts: Vec<(&'static str, Verdict)>,
}

impl Report {
    fn new(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            verdicts: Vec::new(),
        }
    }

    fn record(&mut self, check: &'static str, result: Result<Verdict, String>) {
        self.verdicts
            .push((check, result.unwrap_or_else(Verdict::Broken)));
    }

    /// How many checks passed.
    pub fn passed(&self) -> usize {
        self.verdicts
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Passed)
            .count()
    }

    /// The checks that were skipped, and why.
    pub fn skipped(&self) -> Vec<(&'static str, &'static str)> {
        self.verdicts
            .iter()
            .filter_map(|(check, verdict)| match verdict {
                Verdict::Skipped(why) => Some((*check, *why)),
                Verdict::Passed | Verdict::Broken(_) => None,
            })
            .collect()
    }

    /// The checks whose promise was broken.
    pub fn broken(&self) -> Vec<&'static str> {
        self.verdicts
            .iter()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Broken(_)))
            .map(|(check, _)| *check)
            .collect()
    }

    /// Ends the test where a promise was broken, or where nothing was judged at all.
    ///
    /// # Panics
    /// With the whole report.
    pub fn assert_kept(&self) {
        assert!(self.broken().is_empty() && self.passed() > 0, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, skipped) = (self.passed(), self.skipped().len());
        let broken = self.broken().len();
        writeln!(
            formatter,
            "{}: {passed} passed, {broken} broken, {skipped} skipped",
            self.subject
        )?;
        for (check, verdict) in &self.verdicts {
            match verdict {
                Verdict::Passed => writeln!(formatter, "  passed   {check}")?,
                Verdict::Skipped(why) => writeln!(formatter, "  skipped  {check}: {why}")?,
                Verdict::Broken(seen) => writeln!(formatter, "  BROKEN   {check}: {seen}")?,
            }
        }
        Ok(())
    }
}

/// A promise, and what was seen instead.
fn ensure(kept: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if kept { Ok(()) } else { Err(seen()) }
}

/// What went well, or a broken promise that says what failed.
fn well<T>(what: &str, result: Result<T, entente_domain::remote::Failure>) -> Result<T, String> {
    result.map_err(|failure| format!("{what} failed: {failure:?}"))
}

/// A failure that was expected, or a broken promise.
fn ill<T: fmt::Debug>(
    what: &str,
    result: Result<T, entente_domain::remote::Failure>,
) -> Result<entente_domain::remote::Failure, String> {
    match result {
        Err(failure) => Ok(failure),
        Ok(answer) => Err(format!(
            "{what} should have failed, and answered {answer:?}"
        )),
    }
}

/// What no message may ever hold: more than the allowed bytes, or what cannot be seen.
fn fit_to_show(failure: &entente_domain::remote::Failure, url: &str) -> Result<(), String> {
    let message = &failure.message;
    ensure(!message.is_empty() && message.len() <= 512, || {
        format!("a message of odd length: {message:?}")
    })?;
    ensure(!message.chars().any(char::is_control), || {
        format!("control characters: {message:?}")
    })?;
    ensure(!message.contains(url), || {
        format!("the URL is told: {message:?}")
    })
}
