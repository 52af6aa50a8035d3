//! The objects of an agent: some by their names, or all of a part of its tree.
//!
//! Asks for less where the answer is too big, and goes on without an object by its name that the agent
//! stumbles over. A part of the tree that is not read whole says so: the agent refused, went round in circles
//! or never ended. Decides nothing of what the values mean. Called by the driver.

use std::collections::BTreeMap;

use entente_domain::remote::Failure;

use super::exchange::Exchange;
use super::message::{GET, GET_BULK, GET_NEXT, Pdu, Value};
use super::oid::Oid;
use super::refusal;

/// Objects that are asked for at once: their answer fits a datagram that is not divided on the way.
const AT_ONCE: usize = 16;
/// Objects that are asked for at once by the attempts of one GetBulkRequest: a device whose answer is
/// lost on the way, because it is long, gives a shorter one. One means GetNextRequest.
const REPETITIONS: [u32; 3] = [24, 8, 1];
/// The most objects that are read of one part of the tree. Real tables have some hundred.
const MOST_OBJECTS: usize = 4096;
/// Most octets of values that are read of a tree: what comes from an agent is bounded (K4).
const MOST_OCTETS: usize = 1 << 20;

/// Objects by their names.
pub(super) type Objects = BTreeMap<Oid, Value>;

/// Returns those of the objects that the agent has.
pub(super) async fn get(exchange: &mut Exchange<'_>, oids: &[Oid]) -> Result<Objects, Failure> {
    let mut found = Objects::new();
    let mut left: Vec<Vec<Oid>> = oids.chunks(AT_ONCE).rev().map(<[Oid]>::to_vec).collect();
    while let Some(mut asked) = left.pop() {
        let request = |_| Pdu::about(GET, &asked);
        let (answer, _) = exchange.ask(&request, false).await?;
        if answer.status == 0 {
            let values = answer.bindings.into_iter();
            found.extend(values.filter(|(oid, value)| asked.contains(oid) && is_there(value)));
            continue;
        }
        let blamed = usize::try_from(answer.index).unwrap_or_default();
        if is_about_the_login(answer.status) {
            return Err(refusal::of_status(answer.status, false));
        } else if answer.status != refusal::TOO_BIG && (1..=asked.len()).contains(&blamed) {
            // Of version 1, whose agents answer so for an object that they do not have.
            asked.remove(blamed - 1);
            left.extend((!asked.is_empty()).then_some(asked));
        } else if asked.len() > 1 {
            let half = asked.split_off(asked.len() / 2);
            left.extend([half, asked]);
        }
    }
    Ok(found)
}

/// Objects of a part of the tree.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) objects: Objects,
    /// True if the agent may have more of them.
    pub(super) is_cut: bool,
    /// The refusal before the end of the part, if it was cut by one: what the agent has not told is not known
    /// to be missing.
    pub(super) refusal: Option<Failure>,
}

/// Returns the objects of a part of the tree, in its order.
///
/// # Errors
/// There is no answer, or one that is about the login.
pub(super) async fn walk(exchange: &mut Exchange<'_>, tree: &Oid) -> Result<Walked, Failure> {
    let mut found = Objects::new();
    let mut last = tree.clone();
    let mut shortest = 0;
    let mut octets = 0;
    while found.len() < MOST_OBJECTS && octets < MOST_OCTETS {
        let request = |attempt| next(&last, shortest + attempt);
        let (answer, attempt) = exchange.ask(&request, false).await?;
        shortest += attempt;
        if answer.status != 0 {
            if is_about_the_login(answer.status) {
                return Err(refusal::of_status(answer.status, false));
            }
            // It cannot answer at this length, or has no more, in the words of version 1.
            if usize::try_from(shortest).is_ok_and(|it| it + 1 < REPETITIONS.len()) {
                shortest += 1;
                continue;
            }
            if answer.status == refusal::NO_SUCH_NAME {
                return Ok(whole(found));
            }
            return Ok(Walked {
                refusal: Some(refusal::of_walk(answer.status, &last)),
                ..cut(found)
            });
        }
        let before = last.clone();
        for (oid, value) in answer.bindings {
            let is_end = value == Value::EndOfView || oid <= last && !is_there(&value);
            if oid.below(tree).is_none() || is_end {
                return Ok(whole(found));
            }
            // An agent that gives the same name again would never end.
            if oid <= last {
                return Ok(cut(found));
            }
            last = oid.clone();
            if is_there(&value) {
                octets += size(&value);
                found.insert(oid, value);
            }
        }
        if last == before {
            break;
        }
    }
    Ok(cut(found))
}

fn whole(objects: Objects) -> Walked {
    Walked {
        objects,
        ..Walked::default()
    }
}

fn cut(objects: Objects) -> Walked {
    Walked {
        objects,
        is_cut: true,
        refusal: None,
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Octets(octets) => octets.len(),
        _ => 0,
    }
}

/// Returns the request for what is behind an object, of that many objects or less.
fn next(last: &Oid, shortest: u32) -> Pdu {
    let index = usize::try_from(shortest).unwrap_or_default();
    let repetitions = REPETITIONS.get(index).copied().unwrap_or(1);
    let oids = std::slice::from_ref(last);
    if repetitions == 1 {
        return Pdu::about(GET_NEXT, oids);
    }
    Pdu {
        index: repetitions.into(),
        ..Pdu::about(GET_BULK, oids)
    }
}

fn is_there(value: &Value) -> bool {
    !matches!(value, Value::Missing | Value::EndOfView | Value::Null)
}

/// True if an error-status says that the login may not ask (authorizationError).
fn is_about_the_login(status: i64) -> bool {
    status == 16
}
