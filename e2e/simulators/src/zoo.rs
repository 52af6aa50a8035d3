//! The zoo of odd service brokers: behaviours as data, and the broker that plays them.
//!
//! A row of `zoo/brokers.txt` is a broker with rules, the actions of people meanwhile, and the claims
//! that must hold of the platform that talks to it. The parser decides the form of a row;
//! [`ZooBroker`] decides every answer, without a clock or a socket. Nothing here knows the operator:
//! claims are words and numbers. Called by the end-to-end tests, which judge the claims, and by the
//! program `simulators`.

mod broker;
mod claim;
mod instances;
mod listener;
mod parse;
mod rule;
mod tokens;

use jiff::SignedDuration;
use serde_json::{Map, Value};

pub use broker::{Heard, Reply, Request, ZooBroker, merge};
pub use claim::{Bound, Claim, Compare, Fact};
pub use listener::ZooListener;
pub use rule::{Asked, Carried, Given, HttpReply, Rule, Times};

/// The rows as they are in the repository.
const BROKERS: &str = include_str!("../zoo/brokers.txt");

/// The place of the rows, for messages.
const FILE: &str = "e2e/simulators/zoo/brokers.txt";

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{FILE}:{line}: {row}: {problem}")]
pub struct ZooError {
    /// Number of the line.
    pub line: usize,
    /// Name of the row; empty before the first.
    pub row: String,
    /// Description of what is wrong.
    pub problem: String,
}

/// Clock by which a row is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// A clock that jumps: times are as they are in life.
    Virtual,
    /// The clock on the wall: the second of two times is used.
    Real,
}

/// A length of time: `10m`, or `10m/9s` if it is another one by the clock on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    in_life: SignedDuration,
    on_the_wall: Option<SignedDuration>,
}

impl Span {
    /// Returns a span that is the same by both clocks.
    pub const fn of(length: SignedDuration) -> Self {
        Self {
            in_life: length,
            on_the_wall: None,
        }
    }

    /// Returns the length by a clock.
    pub fn at(self, pace: Pace) -> SignedDuration {
        match pace {
            Pace::Virtual => self.in_life,
            Pace::Real => self.on_the_wall.unwrap_or(self.in_life),
        }
    }

    /// True if it can be waited for by the clock on the wall.
    fn is_short(self) -> bool {
        self.on_the_wall.unwrap_or(self.in_life) <= SignedDuration::from_secs(30)
    }
}

/// One behaviour of a broker, and its right verdict.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name, unique in the file: a label of DNS.
    pub name: String,
    /// Number of its first line.
    pub line: usize,
    /// Its lines, for messages.
    pub text: String,
    /// True if it is also played to the real operator.
    pub end_to_end: bool,
    /// Description of the fault of the product because of which it fails today.
    pub known: Option<String>,
    /// Parts of the broker and of the service.
    pub setup: Setup,
    /// Actions of people, in order.
    pub story: Vec<Event>,
    /// Rules, of which the first that matches decides.
    pub rules: Vec<Rule>,
    /// Instant at which all rules are dropped.
    pub cure: Option<Span>,
    /// Length of the story.
    pub lasts: Span,
    /// Claims that hold before the cure, or at the end if there is none.
    pub claims: Vec<Claim>,
    /// Claims that hold at the end, after the cure.
    pub then: Vec<Claim>,
}

/// Parts of the broker and of the service that a row changes.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Members of the offering that differ; `null` removes one.
    pub offering: Option<Value>,
    /// Further offerings, each as its difference from the first.
    pub further: Vec<Value>,
    /// Duration of operations; absent: everything is done at once.
    pub takes: Option<Span>,
    /// True if the plan in every query must be that of the instance.
    pub strict: bool,
    /// Members of the service's server side that differ.
    pub service: Option<Map<String, Value>>,
    /// Value of a secret parameter that is sent to the broker.
    pub secret: Option<String>,
}

/// Something that a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Instant since the start.
    pub at: Span,
    /// The action.
    pub action: Action,
}

/// Action of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The customer changes a parameter of the contract.
    Edit {
        /// Name of the parameter.
        parameter: String,
        /// Its new value.
        value: String,
    },
    /// The platform team names another plan in the service.
    Plan(String),
    /// The platform team names another value that turns the service on.
    Activation(String),
    /// The contract is deleted.
    End,
    /// The Connection is touched, so that the catalog is read again.
    Look,
    /// Somebody asks for everything to be read back.
    Reconcile,
}

impl Row {
    /// Returns the claims by their place in the story.
    pub fn phases(&self) -> impl Iterator<Item = &[Claim]> {
        [&self.claims, &self.then].into_iter().map(Vec::as_slice)
    }
}

/// Returns the rows of the repository.
///
/// # Errors
/// The first row that cannot be used.
pub fn rows() -> Result<Vec<Row>, ZooError> {
    parse::rows(BROKERS)
}

/// Returns the rows of a text, for tests of the format.
///
/// # Errors
/// The first row that cannot be used.
pub fn rows_of(text: &str) -> Result<Vec<Row>, ZooError> {
    parse::rows(text)
}
