//! The objects of an agent: some by their names, or all of a part of its tree.
//!
//! Asks for less where the answer is too big. An object is missing only if the agent says so: any other refusal
//! is a failure, but for objects that one can do without. A part of the tree that is not read whole says so:
//! the agent refused, went round in circles or never ended. Decides nothing of what the values mean. Called by
//! the driver.

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

/// Returns those of the objects that the agent has. Without the objects of `spare` one can do: they are left
/// out where the agent fails over them.
///
/// # Errors
/// The agent did not answer, or it refused. That proves nothing of any object: one is missing only if the agent
/// says so, by noSuchObject, noSuchInstance, or noSuchName, which agents of version 1 say behind a proxy.
pub(super) async fn get(
    exchange: &mut Exchange<'_>,
    oids: &[Oid],
    spare: &[Oid],
) -> Result<Objects, Failure> {
    let mut found = Objects::new();
    let mut left: Vec<Vec<Oid>> = oids.chunks(AT_ONCE).rev().map(<[Oid]>::to_vec).collect();
    while let Some(mut asked) = left.pop() {
        let request = |_| Pdu::about(GET, &asked);
        let (answer, _) = exchange.ask(&request, false).await?;
        if answer.status == 0 {
            let count = asked.len();
            for (oid, value) in answer.bindings {
                let is_asked = asked.contains(&oid);
                asked.retain(|it| *it != oid);
                if is_asked && is_there(&value) {
                    found.insert(oid, value);
                }
            }
            // The agent told a part only, and no word about the rest.
            if let Some(first) = asked.first() {
                if asked.len() == count {
                    return Err(refusal::of_a_gap(first));
                }
                left.push(asked);
            }
            continue;
        }
        if is_about_the_login(answer.status) {
            return Err(refusal::of_status(answer.status, false));
        }
        let Some(at) = blamed(&answer, asked.len()) else {
            let half = asked.split_off(asked.len() / 2);
            left.extend([half, asked]);
            continue;
        };
        let refused = asked.remove(at);
        if answer.status != refusal::NO_SUCH_NAME && !spare.contains(&refused) {
            return Err(refusal::of_reading(answer.status, &refused));
        }
        left.extend((!asked.is_empty()).then_some(asked));
    }
    Ok(found)
}

/// Returns the position of the object that an agent refused, of so many; `None` if that has to be found out.
fn blamed(answer: &Pdu, count: usize) -> Option<usize> {
    if count == 1 {
        return Some(0);
    }
    let index = usize::try_from(answer.index).ok()?;
    let at = index.checked_sub(1).filter(|at| *at < count);
    at.filter(|_| answer.status != refusal::TOO_BIG)
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
