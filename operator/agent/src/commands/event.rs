//! `entente-agent event`: something happens at the device, as a person or its engine would cause it.
//!
//! `events` decides whether that is asked for. The event is put into the outbox of the device; one that runs
//! sends it at once.

use std::process::ExitCode;

use super::{Result, now, text};
use crate::{
    args::Happens,
    device::{OUTBOX, SERVICES, STATE, TWIN, WITHDRAWAL, Withdrawal},
    events::{self, Cause, Loss, Outbox, Wants},
    services::Kept,
    state::State,
    store::{Store, StoreError},
    twin::Held,
};

/// Exit code if there is no event.
pub(super) const NOT_SENT: u8 = 5;

/// Lets something happen.
pub(super) fn happen(arguments: Happens) -> Result {
    let store = Store::open(&arguments.state).map_err(text)?;
    let data = arguments.data.as_deref().map(serde_json::from_str);
    let data = data.transpose().map_err(|error| {
        format!("--data: found no JSON ({error}); allowed: JSON such as {{\"level\": 18}}")
    })?;
    let cause = Cause {
        kind: arguments.kind,
        on: arguments.on,
        data,
        subject: arguments.subject,
        application_id: arguments.application_id,
    };
    let done = store.locked(|| added(&store, &cause)).map_err(text)?;
    Ok(match done {
        Ok(id) => {
            println!("event {id} of {} waits to be sent", cause.kind);
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("not sent: {why}");
            ExitCode::from(NOT_SENT)
        }
    })
}

/// Adds an event to the outbox, and returns its id, or why there is none.
fn added(
    store: &Store,
    cause: &Cause,
) -> std::result::Result<std::result::Result<String, String>, StoreError> {
    if store.read::<Withdrawal>(WITHDRAWAL)?.is_some() {
        return Ok(Err("consent was withdrawn".into()));
    }
    let state: State = store.read(STATE)?.unwrap_or_default();
    let held: Held = store.read(TWIN)?.unwrap_or_default();
    let outbox = store.read::<Outbox>(OUTBOX)?;
    let (Some(_), Some(_), Some(mut outbox)) = (&state.registration, held.version, outbox) else {
        return Ok(Err(
            "the device does not know yet what its services want".into()
        ));
    };
    let services: Vec<Kept> = store.read(SERVICES)?.unwrap_or_default();
    let wants = Wants {
        sends: Some(&held.sends),
        services: &services,
    };
    let before = outbox.clone();
    let added = events::occur(&mut outbox, &wants, cause, now(&state));
    if outbox != before {
        store.write(OUTBOX, &outbox)?;
    }
    Ok(added.map_err(|why| why.to_string()))
}

/// Empties the outbox of a device whose owner has withdrawn the consent. Returns the number of events.
pub(super) fn emptied(store: &Store) -> std::result::Result<usize, StoreError> {
    store.locked(|| {
        let Some(mut outbox) = store.read::<Outbox>(OUTBOX)? else {
            return Ok(0);
        };
        let gone = outbox.empty(Loss::ConsentWithdrawn);
        store.write(OUTBOX, &outbox)?;
        Ok(gone)
    })
}
