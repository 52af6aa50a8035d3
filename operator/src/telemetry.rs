//! The log: its destination and its format.

use std::{
    any::Any,
    io::{IsTerminal as _, stderr},
    panic,
};

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::args::LogFormat;

/// Sends the log of this process to standard error. Call it once.
pub(crate) fn start(level: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(level)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.init(),
    }
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string);
        let message = constant(info.payload());
        tracing::error!(location, message, "a panic: this is a defect of Entente");
    }));
    Ok(())
}

/// Returns the message of a panic if it stands in the program. One that was made may quote what was
/// decoded, and so a secret.
fn constant(payload: &(dyn Any + Send)) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K4
    #[test]
    fn the_log_has_the_words_of_a_panic_only_if_they_stand_in_the_program() {
        let met = |panic: fn()| panic::catch_unwind(panic).expect_err("it panics");
        let text = met(|| panic!("unreachable"));
        assert_eq!(constant(&*text), Some("unreachable"));
        let made = met(|| panic!("{} is no number", "hunter2".to_owned()));
        assert_eq!(constant(&*made), None);
    }
}
