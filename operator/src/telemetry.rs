//! The log: its destination and its format.

use std::io::{IsTerminal as _, stderr};

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
    Ok(())
}
