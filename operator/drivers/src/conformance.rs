//! Promises of every driver, as checks that run against any implementation.
//!
//! The same checks run on the fake, our simulators and servers that others wrote: a fake that
//! passes the checks of the real ones is a fake worth testing with. A check that cannot be run on a
//! subject is skipped and counted, never passed. Called from tests alone.

pub mod device;
pub mod server;

use std::fmt;

pub use device::{DeviceSubject, SettingWrite, ipp_probe, judge_device};
pub use server::{ServerSubject, judge_server};

/// Result of one check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The promise was kept.
    Passed,
    /// The check cannot be run on the subject, with the reason.
    Skipped(&'static str),
    /// The promise was broken, with the observation that shows it.
    Broken(String),
}

/// Results of all checks of one subject.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Name of the subject.
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

    /// Returns the number of checks that passed.
    pub fn passed(&self) -> usize {
        self.verdicts
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Passed)
            .count()
    }

    /// Returns the checks that were skipped, with the reason.
    pub fn skipped(&self) -> Vec<(&'static str, &'static str)> {
        self.verdicts
            .iter()
            .filter_map(|(check, verdict)| match verdict {
                Verdict::Skipped(why) => Some((*check, *why)),
                Verdict::Passed | Verdict::Broken(_) => None,
            })
            .collect()
    }

    /// Returns the checks whose promise was broken.
    pub fn broken(&self) -> Vec<&'static str> {
        self.verdicts
            .iter()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Broken(_)))
            .map(|(check, _)| *check)
            .collect()
    }

    /// Fails the test if a promise was broken, or if no check ran at all.
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

/// Checks a promise; the error is the observation that broke it.
fn ensure(kept: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if kept { Ok(()) } else { Err(seen()) }
}

/// Returns the answer, or a broken promise if the request failed.
fn well<T>(what: &str, result: Result<T, entente_domain::remote::Failure>) -> Result<T, String> {
    result.map_err(|failure| format!("{what} failed: {failure:?}"))
}

/// Returns the failure that was expected, or a broken promise.
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

/// Checks that a message of a failure is not too long, has no invisible characters and does not
/// contain the URL.
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
