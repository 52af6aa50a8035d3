//! The log of a gateway in a test.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _, registry};

/// The lines of a log.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Begins a log, which lasts until the second value is dropped. The test has one thread, and so have
    /// the tasks of its gateway.
    pub(super) fn begin() -> (Self, (DefaultGuard, Dispatch)) {
        let lines = Self::default();
        let log = tracing_subscriber::fmt::layer().with_writer(lines.clone());
        let log = log.with_ansi(false);
        let guard = tracing::subscriber::set_default(registry().with(log));
        (lines, (guard, Dispatch::new(registry())))
    }

    pub(super) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(lines.clone()).unwrap()
    }

    /// Returns the last line that has a text.
    pub(super) fn last(&self, text: &str) -> Option<String> {
        let log = self.text();
        let mut lines = log.lines();
        lines.rfind(|line| line.contains(text)).map(str::to_owned)
    }
}

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
