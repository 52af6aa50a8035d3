//! The judge of the zoo: whether the claims of a row hold of what was seen, and the story of one
//! that does not.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use entente_crds::v1alpha1::{Condition, Connection, ServiceSubscription};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_simulators::zoo::{Asked, Claim, Fact, Heard, Pace, Row};

/// Requests that are shown of a story, at its begin and at its end.
const SHOWN: usize = 25;

/// Everything that was seen until an instant.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The subscription; `None` if it is gone.
    pub(super) subscription: Option<ServiceSubscription>,
    /// The Connection of the broker.
    pub(super) connection: Option<Connection>,
    /// Every condition that the subscription ever had.
    pub(super) history: BTreeSet<String>,
    /// Failures of requests: operation, kind, and true if in doubt.
    pub(super) failures: Vec<(Asked, String, bool)>,
    /// Requests to the broker.
    pub(super) heard: Vec<Heard>,
    /// Ids of the instances at the broker.
    pub(super) instances: Vec<String>,
    /// Lines of the rules that no request met; not known through the operator.
    pub(super) unmatched: Vec<usize>,
}

/// Verdict on a row.
pub(super) struct Judged {
    pub(super) name: String,
    /// True if it fails, as it is known to do.
    pub(super) waits: bool,
    /// Story of what is wrong.
    pub(super) wrong: Option<String>,
}

impl Judged {
    /// Returns the verdict on a row whose story ended in a panic.
    pub(super) fn panicked(row: &Row, panic: &str) -> Self {
        let story = format!(
            "\n=== {}, line {}: {panic}\n{}",
            row.name, row.line, row.text
        );
        Self {
            name: row.name.clone(),
            waits: row.known.is_some(),
            wrong: Some(story).filter(|_| row.known.is_none()),
        }
    }
}

/// Returns a condition as a claim names it.
pub(super) fn in_words(condition: &Condition) -> String {
    format!(
        "{}={}({})",
        condition.type_, condition.status, condition.reason
    )
}

impl Seen {
    fn conditions(&self, connection: bool) -> &[Condition] {
        if connection {
            self.connection.as_ref().map_or(&[], |it| it.conditions())
        } else {
            self.subscription.as_ref().map_or(&[], |it| it.conditions())
        }
    }

    /// Adds the conditions of now to the history.
    pub(super) fn remember(&mut self) {
        let now: Vec<String> = self.conditions(false).iter().map(in_words).collect();
        self.history.extend(now);
    }

    fn orphans(&self) -> Vec<&str> {
        let status = self.connection.as_ref().and_then(|it| it.status.as_ref());
        let orphans = status.into_iter().flat_map(|status| &status.orphans);
        orphans.map(|orphan| orphan.instance_id.as_str()).collect()
    }

    fn messages(&self, connection: bool) -> Vec<&str> {
        let conditions = self.conditions(connection).iter();
        let mut messages: Vec<&str> = conditions.map(|it| it.message.as_str()).collect();
        if let Some(subscription) = self.subscription.as_ref().filter(|_| !connection) {
            let problems = subscription
                .items()
                .iter()
                .filter_map(|it| it.problem.as_ref());
            messages.extend(problems.map(|problem| problem.message.as_str()));
        }
        messages
    }

    /// Returns the instances that no status names.
    fn lost(&self) -> usize {
        let status = self.subscription.as_ref().and_then(|it| it.status.as_ref());
        let recorded = status.and_then(|status| status.server.as_ref());
        let recorded = recorded.map(|it| it.instance_id.as_str());
        let orphans = self.orphans();
        let is_known = |id: &&String| recorded == Some(id) || orphans.contains(&id.as_str());
        self.instances.iter().filter(|id| !is_known(id)).count()
    }

    /// True if the claim holds.
    pub(super) fn holds(&self, claim: &Claim, pace: Pace) -> bool {
        if let Some(holds) = claim.fact.holds_of_requests(&self.heard, pace) {
            return holds;
        }
        match &claim.fact {
            Fact::Says {
                connection,
                condition,
            } => self
                .conditions(*connection)
                .iter()
                .any(|found| is_said(&in_words(found), condition)),
            Fact::NeverSays(condition) => !self.history.iter().any(|it| is_said(it, condition)),
            Fact::Text {
                connection,
                text,
                there,
            } => {
                let messages = self.messages(*connection);
                messages.iter().any(|it| it.contains(text)) == *there
            }
            Fact::Item { key, state, reason } => {
                let found = self.subscription.as_ref().and_then(|it| it.item(key));
                found.is_some_and(|item| {
                    let problem = item.problem.as_ref().map(|it| it.outcome.as_str());
                    let same = reason.is_none() || problem == reason.as_deref();
                    same && format!("{:?}", item.state) == *state
                })
            }
            Fact::Instances(bound) => bound.holds(self.instances.len()),
            Fact::Orphans(bound) => bound.holds(self.orphans().len()),
            Fact::Lost(bound) => bound.holds(self.lost()),
            Fact::Gone => self.subscription.is_none(),
            Fact::Driver {
                asked,
                kind,
                doubtful,
            } => {
                let mut failures = self.failures.iter();
                failures.any(|(on, found, doubt)| on == asked && found == kind && doubt == doubtful)
            }
            Fact::Requests { .. }
            | Fact::Between { .. }
            | Fact::Longest(..)
            | Fact::Shortest(..)
            | Fact::First(..)
            | Fact::Last(..) => false,
        }
    }

    /// Returns the requests and the status, for people.
    pub(super) fn story(&self) -> String {
        let mut story = String::from("requests:\n");
        let count = self.heard.len();
        for (index, heard) in self.heard.iter().enumerate() {
            if (SHOWN..count.saturating_sub(SHOWN)).contains(&index) {
                if index == SHOWN {
                    let _ = writeln!(story, "  … {} more", count - 2 * SHOWN);
                }
                continue;
            }
            let rule = heard
                .rule
                .map_or_else(String::new, |line| format!(" (line {line})"));
            let text: String = heard.text.chars().take(300).collect();
            let _ = writeln!(
                story,
                "  +{:#} {} {}: {text}\n      -> {}{rule}",
                heard.since_start, heard.asked, heard.number, heard.reply
            );
        }
        let _ = writeln!(story, "instances: {:?}", self.instances);
        let _ = writeln!(story, "failures: {:?}", self.kinds_of_failures());
        match &self.subscription {
            None => story.push_str("the subscription is gone\n"),
            Some(subscription) => story.push_str(&status_of(subscription)),
        }
        for condition in self.conditions(true) {
            let _ = writeln!(
                story,
                "  Connection {}: {}",
                in_words(condition),
                condition.message
            );
        }
        let _ = writeln!(story, "  orphans: {:?}", self.orphans());
        story
    }

    fn kinds_of_failures(&self) -> BTreeSet<String> {
        let failures = self.failures.iter();
        failures
            .map(|(asked, kind, doubtful)| {
                format!(
                    "{asked} {kind} {}",
                    if *doubtful { "doubt" } else { "sure" }
                )
            })
            .collect()
    }
}

/// True if a condition is the one of a claim, whose reason may be missing.
fn is_said(found: &str, claimed: &str) -> bool {
    found == claimed || found.split('(').next() == Some(claimed)
}

fn status_of(subscription: &ServiceSubscription) -> String {
    let mut said = String::from("status at the end:\n");
    for condition in subscription.conditions() {
        let _ = writeln!(said, "  {}: {}", in_words(condition), condition.message);
    }
    for item in subscription.items() {
        let _ = write!(said, "  {} {:?}", item.key, item.state);
        if let Some(problem) = &item.problem {
            let _ = write!(said, " {:?}: {}", problem.outcome, problem.message);
        }
        said.push('\n');
    }
    let server = subscription
        .status
        .as_ref()
        .and_then(|it| it.server.as_ref());
    let _ = writeln!(said, "  server: {server:?}");
    said
}

/// Judges a row by what was seen at the end of each of its phases.
pub(super) fn judge(row: &Row, phases: &[Seen], pace: Pace) -> Judged {
    let failed: Vec<(&Claim, &Seen)> = row
        .phases()
        .zip(phases)
        .flat_map(|(claims, seen)| claims.iter().map(move |claim| (claim, seen)))
        .filter(|(claim, seen)| !seen.holds(claim, pace))
        .collect();
    let unmatched = phases.last().map_or(&[][..], |seen| &seen.unmatched);
    let heading = format!("{}, line {}", row.name, row.line);
    let wrong = match (&row.known, failed.first()) {
        (Some(known), None) => Some(format!(
            "\n=== {heading}: it holds, so that it does not wait any more: remove `known: {known}`"
        )),
        (Some(_), Some(_)) => None,
        (None, None) if unmatched.is_empty() => None,
        (None, None) => Some(format!(
            "\n=== {heading}: no request met the rules of the lines {unmatched:?}\n{}\n{}",
            row.text,
            phases.last().map(Seen::story).unwrap_or_default()
        )),
        (None, Some((_, seen))) => {
            let lines = failed
                .iter()
                .map(|(claim, _)| format!("  line {}: {}\n", claim.line, claim.text));
            Some(format!(
                "\n=== {heading}: these claims do not hold:\n{}\n{}\n\n{}",
                lines.collect::<String>(),
                row.text,
                seen.story()
            ))
        }
    };
    Judged {
        name: row.name.clone(),
        waits: row.known.is_some() && wrong.is_none(),
        wrong,
    }
}
