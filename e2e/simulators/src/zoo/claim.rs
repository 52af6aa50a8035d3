//! A claim of the zoo: something that must hold of the platform that talked to a broker.
//!
//! Decides the form of claims, and those that follow from the requests alone. The words of
//! conditions and failures are not known here. Called by the parser and by the judges of tests.

use jiff::SignedDuration;

use super::{
    Asked, Carried, Heard, Pace, Span,
    rule::{carried, carries},
    tokens::{Problem, Tokens},
};

/// Something that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Number of its line.
    pub line: usize,
    /// Its line.
    pub text: String,
    /// Content of the claim.
    pub fact: Fact,
}

/// Content of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A condition of the subscription, or of the Connection, is this one.
    Says {
        /// True if it is the Connection's.
        connection: bool,
        /// The condition, such as `Delivered=False(Busy)`.
        condition: String,
    },
    /// The condition of the subscription was never this one.
    NeverSays(String),
    /// A message of the subscription, or of the Connection, has the text or lacks it.
    Text {
        /// True if it is the Connection's.
        connection: bool,
        /// The text.
        text: String,
        /// True if it must be there.
        there: bool,
    },
    /// An item is in this state, with this reason of its problem.
    Item {
        /// Key of the item.
        key: String,
        /// Its state.
        state: String,
        /// Reason of its problem.
        reason: Option<String>,
    },
    /// Number of requests.
    Requests {
        /// The operation.
        asked: Asked,
        /// Texts of those that count.
        carried: Vec<Carried>,
        /// Bound of the number.
        bound: Bound,
    },
    /// Number of instances at the broker.
    Instances(Bound),
    /// Number of orphans that the Connection lists.
    Orphans(Bound),
    /// Number of instances that no status names.
    Lost(Bound),
    /// The subscription is gone.
    Gone,
    /// Between two requests of one operation there is one of another.
    Between {
        /// The operation that is between.
        between: Asked,
        /// The operation of the two.
        each: Asked,
    },
    /// Longest time between two requests of one operation.
    Longest(Asked, Compare, Span),
    /// Shortest time between two requests of one operation.
    Shortest(Asked, Compare, Span),
    /// Time of the first request since the start.
    First(Asked, Compare, Span),
    /// Time of the last request since the start.
    Last(Asked, Compare, Span),
    /// A request failed like this.
    Driver {
        /// The operation.
        asked: Asked,
        /// Kind of the failure.
        kind: String,
        /// True if the broker may have acted all the same.
        doubtful: bool,
    },
}

/// Bound of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Comparison of the number with the bound.
    pub compare: Compare,
    /// The bound.
    pub number: usize,
}

/// Comparison with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// At most.
    AtMost,
    /// At least.
    AtLeast,
    /// Exactly.
    Exactly,
}

impl Compare {
    /// True if the number is as the bound says.
    pub fn holds<T: PartialOrd + Copy>(self, number: T, bound: T) -> bool {
        match self {
            Self::AtMost => number <= bound,
            Self::AtLeast => number >= bound,
            Self::Exactly => number == bound,
        }
    }

    fn parse(tokens: &mut Tokens<'_>) -> Result<Self, Problem> {
        match tokens.word("<=, >= or =")? {
            "<=" => Ok(Self::AtMost),
            ">=" => Ok(Self::AtLeast),
            "=" => Ok(Self::Exactly),
            other => Err(format!("no comparison: {other}")),
        }
    }
}

impl Bound {
    const NONE: Self = Self {
        compare: Compare::Exactly,
        number: 0,
    };

    /// True if the number is as the bound says.
    pub fn holds(self, number: usize) -> bool {
        self.compare.holds(number, self.number)
    }

    fn parse(tokens: &mut Tokens<'_>) -> Result<Self, Problem> {
        Ok(Self {
            compare: Compare::parse(tokens)?,
            number: tokens.parsed("the bound")?,
        })
    }
}

impl Fact {
    /// Reads a claim; its first word was taken. `None`: no claim begins with this word.
    pub(super) fn parse(word: &str, tokens: &mut Tokens<'_>) -> Result<Option<Self>, Problem> {
        let fact = match word {
            "says" => Self::Says {
                connection: false,
                condition: condition(tokens)?,
            },
            "text" => text(false, tokens)?,
            "connection" => match tokens.word("says or text")? {
                "says" => Self::Says {
                    connection: true,
                    condition: condition(tokens)?,
                },
                "text" => text(true, tokens)?,
                other => return Err(format!("a Connection has no claim `{other}`")),
            },
            "item" => item(tokens)?,
            "never" if tokens.takes("says") => Self::NeverSays(condition(tokens)?),
            "never" => Self::Requests {
                asked: asked(tokens)?,
                carried: carried(tokens)?,
                bound: Bound::NONE,
            },
            "instances" => Self::Instances(Bound::parse(tokens)?),
            "orphans" => Self::Orphans(Bound::parse(tokens)?),
            "lost" => Self::Lost(Bound::parse(tokens)?),
            "gone" => Self::Gone,
            "between" => Self::Between {
                each: asked(tokens)?,
                between: asked(tokens)?,
            },
            "longest" => Self::Longest(asked(tokens)?, Compare::parse(tokens)?, bound(tokens)?),
            "shortest" => Self::Shortest(asked(tokens)?, Compare::parse(tokens)?, bound(tokens)?),
            "first" => Self::First(asked(tokens)?, Compare::parse(tokens)?, bound(tokens)?),
            "last" => Self::Last(asked(tokens)?, Compare::parse(tokens)?, bound(tokens)?),
            "driver" => driver(tokens)?,
            _ => return Ok(None),
        };
        tokens.end()?;
        Ok(Some(fact))
    }

    /// Reads the claim on a number of requests; the operation was taken.
    pub(super) fn of_requests(asked: Asked, tokens: &mut Tokens<'_>) -> Result<Self, Problem> {
        let carried = carried(tokens)?;
        let bound = Bound::parse(tokens)?;
        tokens.end()?;
        Ok(Self::Requests {
            asked,
            carried,
            bound,
        })
    }

    /// True if the requests say what the claim says; `None` if they do not tell.
    pub fn holds_of_requests(&self, heard: &[Heard], pace: Pace) -> Option<bool> {
        let of = |asked: Asked| heard.iter().filter(move |it| it.asked == asked);
        let gaps = |asked: Asked| {
            let times: Vec<_> = of(asked).map(|it| it.since_start).collect();
            let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
            gaps.collect::<Vec<SignedDuration>>()
        };
        Some(match self {
            Self::Requests {
                asked,
                carried,
                bound,
            } => bound.holds(of(*asked).filter(|it| carries(carried, &it.text)).count()),
            Self::Between { between, each } => {
                let mut seen = true;
                heard.iter().all(|it| {
                    let bad = it.asked == *each && !seen;
                    seen = (seen && it.asked != *each) || it.asked == *between;
                    !bad
                })
            }
            // Without two requests nothing is shown.
            Self::Longest(asked, compare, span) => {
                let gaps = gaps(*asked).into_iter().max();
                gaps.is_some_and(|gap| compare.holds(gap, span.at(pace)))
            }
            Self::Shortest(asked, compare, span) => {
                let gaps = gaps(*asked).into_iter().min();
                gaps.is_some_and(|gap| compare.holds(gap, span.at(pace)))
            }
            Self::First(asked, compare, span) => {
                let first = of(*asked).next().map(|it| it.since_start);
                first.is_some_and(|first| compare.holds(first, span.at(pace)))
            }
            Self::Last(asked, compare, span) => {
                let last = of(*asked).next_back().map(|it| it.since_start);
                last.is_some_and(|last| compare.holds(last, span.at(pace)))
            }
            _ => return None,
        })
    }

    /// True if later requests can make the claim false but never true again.
    pub fn is_an_upper_bound(&self) -> bool {
        match self {
            Self::Requests { bound, .. } => {
                bound.compare == Compare::AtMost || *bound == Bound::NONE
            }
            Self::NeverSays(_) | Self::Between { .. } => true,
            _ => false,
        }
    }
}

fn asked(tokens: &mut Tokens<'_>) -> Result<Asked, Problem> {
    let word = tokens.word("the operation")?;
    Asked::of(word).ok_or_else(|| format!("no operation: {word}"))
}

fn bound(tokens: &mut Tokens<'_>) -> Result<Span, Problem> {
    tokens.span("the bound")
}

/// Reads `TYPE=STATUS` or `TYPE=STATUS(REASON)`.
fn condition(tokens: &mut Tokens<'_>) -> Result<String, Problem> {
    let word = tokens.word("the condition")?;
    let (kind, rest) = word.split_once('=').unwrap_or_default();
    let status = rest.split('(').next().unwrap_or_default();
    let known = ["True", "False", "Unknown"].contains(&status);
    if kind.is_empty() || !known || (rest.contains('(') != rest.ends_with(')')) {
        return Err(format!(
            "no condition such as Ready=True(Succeeded): {word}"
        ));
    }
    Ok(word.to_owned())
}

fn text(connection: bool, tokens: &mut Tokens<'_>) -> Result<Fact, Problem> {
    let there = match tokens.word("contains or lacks")? {
        "contains" => true,
        "lacks" => false,
        other => return Err(format!("a text contains or lacks something: {other}")),
    };
    let text = tokens.text("the text")?;
    Ok(Fact::Text {
        connection,
        text,
        there,
    })
}

fn item(tokens: &mut Tokens<'_>) -> Result<Fact, Problem> {
    let key = tokens.word("the key of the item")?.to_owned();
    let word = tokens.word("the state of the item")?;
    let (state, reason) = match word.split_once('(') {
        None => (word, None),
        Some((state, rest)) => (state, rest.strip_suffix(')').map(str::to_owned)),
    };
    Ok(Fact::Item {
        key,
        state: state.to_owned(),
        reason,
    })
}

fn driver(tokens: &mut Tokens<'_>) -> Result<Fact, Problem> {
    Ok(Fact::Driver {
        asked: asked(tokens)?,
        kind: tokens.word("the kind of failure")?.to_owned(),
        doubtful: match tokens.word("doubt or sure")? {
            "doubt" => true,
            "sure" => false,
            other => return Err(format!("a failure is in doubt or sure: {other}")),
        },
    })
}
