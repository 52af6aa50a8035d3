//! `entente-agent error`: the device gets an error, or has it no more, as its engine would say.
//!
//! `events` decides whether that is news. The event is put into the outbox of the device; one that runs sends
//! it at once.

use std::process::ExitCode;

use super::{Result, event::NOT_SENT, now, text};
use crate::{
    args::{Clear, Error, Raise},
    device::{OUTBOX, STATE, WITHDRAWAL, Withdrawal},
    events::{Named, NotSent, Outbox},
    state::State,
    store::{Store, StoreError},
};

/// Raises or clears an error.
pub(super) fn change(error: Error) -> Result {
    match error {
        Error::Raise(raise) => raised(raise),
        Error::Clear(clear) => cleared(clear),
    }
}

fn raised(arguments: Raise) -> Result {
    let store = Store::open(&arguments.error.state).map_err(text)?;
    let named = Named {
        reason: arguments.error.reason,
        subject: arguments.error.subject,
    };
    let (requested, pages) = (arguments.request_order, arguments.impressions);
    told(&store, |outbox, state| {
        outbox.raise(named, requested, pages, now(state))
    })
}

fn cleared(arguments: Clear) -> Result {
    let store = Store::open(&arguments.error.state).map_err(text)?;
    let named = Named {
        reason: arguments.error.reason,
        subject: arguments.error.subject,
    };
    told(&store, |outbox, state| {
        outbox.clear(&named, arguments.replaced, now(state))
    })
}

/// Changes the errors of a device that may send them, and tells what became of it.
fn told(
    store: &Store,
    change: impl FnOnce(&mut Outbox, &State) -> std::result::Result<String, NotSent>,
) -> Result {
    let done = store.locked(|| {
        if store.read::<Withdrawal>(WITHDRAWAL)?.is_some() {
            return Ok(Err("consent was withdrawn".into()));
        }
        let state: State = store.read(STATE)?.unwrap_or_default();
        let outbox = store.read::<Outbox>(OUTBOX)?;
        let (Some(_), Some(mut outbox)) = (&state.registration, outbox) else {
            return Ok(Err("the device is not registered".into()));
        };
        let id = change(&mut outbox, &state);
        if id.is_ok() {
            store.write(OUTBOX, &outbox)?;
        }
        Ok::<_, StoreError>(id.map_err(|why| why.to_string()))
    });
    Ok(match done.map_err(text)? {
        Ok(id) => {
            println!("event {id} of error waits to be sent");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("not sent: {why}");
            ExitCode::from(NOT_SENT)
        }
    })
}
