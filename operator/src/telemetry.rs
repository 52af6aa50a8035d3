//! The log: its destination, its format, and its level, which may change while the process runs.
//!
//! A level that is a plain word is that of our own lines: of libraries, which write far more, nothing
//! below `info` is shown unless directives ask for it. The span of a pass is at every level part of
//! the lines that are written within it. Decides nothing about what is logged.

mod json;

use std::{
    any::Any,
    convert::Infallible,
    fs,
    io::{self, IsTerminal as _, stderr},
    panic,
    path::Path,
    time::Duration,
};

use tracing::{info, warn};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::{LevelFilter, ParseError, Targets},
    layer::SubscriberExt as _,
    reload::{self, Handle},
    util::SubscriberInitExt as _,
};

use crate::{
    args::{LogFormat, log_directives},
    traces::{self, Traces},
};
use json::JsonLines;

/// Time between two looks at the file with the level.
const AGAIN: Duration = Duration::from_secs(5);

/// The targets of our own lines.
const OURS: [&str; 6] = [
    "entente_audit",
    "entente_controllers",
    "entente_domain",
    "entente_drivers",
    "entente_gateway",
    "entente_operator",
];

/// The level of the log of this process.
pub(crate) struct LogLevel {
    /// Level of the flag, which applies while no file says another.
    flag: String,
    /// Level that applies now.
    current: String,
    filter: Handle<EnvFilter, Registry>,
}

/// Sends the log of this process to standard error, and its spans to `traces`. Call it once.
pub(crate) fn start(
    level: &str,
    format: LogFormat,
    traces: Option<&Traces>,
) -> Result<LogLevel, ParseError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(directives(level))?);
    let log = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    let log = match format {
        LogFormat::Json => log.json().event_format(JsonLines).boxed(),
        LogFormat::Text => log.boxed(),
    };
    let spans = traces.map(|traces| {
        let ours = Targets::new().with_target(traces::TARGET, LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_filter(ours)
    });
    tracing_subscriber::registry()
        .with(log.with_filter(filter))
        .with(spans)
        .init();
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string);
        let message = constant(info.payload());
        tracing::error!(location, message, "a panic: this is a defect of Entente");
    }));
    Ok(LogLevel {
        flag: level.to_owned(),
        current: level.to_owned(),
        filter: handle,
    })
}

impl LogLevel {
    /// Follows a file that has a level, as the flag has one: when its text changes, the level does.
    /// While there is no file, or it is empty, the level is that of the flag; while its text is no
    /// level, it stays as it is.
    pub(crate) async fn follow(mut self, file: &Path) -> Infallible {
        let mut refused = None;
        loop {
            let read = fs::read_to_string(file);
            if let Err(problem) = self.apply(read)
                && refused.as_ref() != Some(&problem)
            {
                let (file, level) = (file.display(), &self.current);
                warn!(%file, problem, level, "the level of the log stays as it is");
                refused = Some(problem);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Applies the text of the file.
    fn apply(&mut self, read: io::Result<String>) -> Result<(), String> {
        let wanted = match read {
            Ok(text) if !text.trim().is_empty() => log_directives(text.trim())?,
            Ok(_) => self.flag.clone(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.flag.clone(),
            Err(error) => return Err(error.to_string()),
        };
        if wanted == self.current {
            return Ok(());
        }
        let filter = EnvFilter::try_new(directives(&wanted)).map_err(|error| error.to_string())?;
        let reloaded = self.filter.reload(filter);
        reloaded.map_err(|error| error.to_string())?;
        info!(
            before = self.current,
            level = wanted,
            "the level of the log has changed"
        );
        self.current = wanted;
        Ok(())
    }
}

/// Returns the directives of a level. A plain word that asks for more than `info` is for our own
/// lines. The spans of passes come first, which lines of every target may be within; they have the
/// level of errors.
fn directives(level: &str) -> String {
    let spans = format!("{}=error", traces::TARGET);
    let is_plain = !level.contains([',', '=']);
    let asks_for_more = ["debug", "trace"].contains(&level.trim().to_ascii_lowercase().as_str());
    if !is_plain || !asks_for_more {
        return format!("{spans},{level}");
    }
    let ours = OURS.map(|target| format!("{target}={level}"));
    format!("{spans},info,{}", ours.join(","))
}

/// Returns the message of a panic if it stands in the program. One that was made may quote what was
/// decoded, and so a secret.
fn constant(payload: &(dyn Any + Send)) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tracing::{Level, enabled, error, error_span, subscriber::with_default};

    use super::*;

    /// Returns a level as the flag gives it, and what it lets through.
    fn level(flag: &str) -> (LogLevel, impl tracing::Subscriber + Send + Sync) {
        let (filter, handle) = reload::Layer::new(EnvFilter::new(directives(flag)));
        let level = LogLevel {
            flag: flag.to_owned(),
            current: flag.to_owned(),
            filter: handle,
        };
        let log = tracing_subscriber::fmt::layer().with_writer(io::sink);
        (
            level,
            tracing_subscriber::registry().with(log.with_filter(filter)),
        )
    }

    #[test]
    fn a_plain_level_is_for_our_own_lines_and_directives_are_taken_as_they_are() {
        for (flag, ours, of_libraries) in [
            ("warn", false, false),
            ("info", false, false),
            ("debug", true, false),
            ("Debug", true, false),
            ("trace", true, false),
            ("debug,kube=debug", true, true),
            ("info,kube=debug", false, true),
        ] {
            let (_, subscriber) = level(flag);
            with_default(subscriber, || {
                let found = enabled!(target: "entente_controllers::queue", Level::DEBUG);
                assert_eq!(found, ours, "{flag}");
                let found = enabled!(target: "kube::client", Level::DEBUG);
                assert_eq!(found, of_libraries, "{flag}");
            });
        }
    }

    #[test]
    fn the_level_follows_the_text_of_the_file_and_a_text_that_is_none_changes_nothing() {
        let (mut level, subscriber) = level("info");
        let missing = || Err(io::Error::from(io::ErrorKind::NotFound));
        with_default(subscriber, || {
            let is_debug = || enabled!(target: "entente_controllers", Level::DEBUG);
            let is_info = || enabled!(target: "entente_controllers", Level::INFO);
            level.apply(Ok("debug\n".to_owned())).unwrap();
            assert!(is_debug());
            let refused = level.apply(Ok("loud".to_owned())).unwrap_err();
            assert!(refused.contains("\"loud\": must be one of"), "{refused}");
            assert!(is_debug());
            level.apply(Ok("warn".to_owned())).unwrap();
            assert!(!is_info());
            level.apply(missing()).unwrap();
            assert!(is_info() && !is_debug());
            level.apply(Ok("trace".to_owned())).unwrap();
            level.apply(Ok(String::new())).unwrap();
            assert!(is_info() && !is_debug());
        });
    }

    #[test]
    fn a_line_within_a_pass_names_its_object_at_every_level_of_the_log() {
        for flag in ["error", "debug", "entente_controllers=info"] {
            let filter = EnvFilter::try_new(directives(flag)).unwrap();
            let file = tempfile::NamedTempFile::new().unwrap();
            let log = tracing_subscriber::fmt::layer()
                .with_writer(Arc::new(file.reopen().unwrap()))
                .json()
                .event_format(JsonLines);
            with_default(Registry::default().with(log.with_filter(filter)), || {
                let name = "a\"b";
                let pass = error_span!(target: traces::TARGET, "pass", name, id = "1-1");
                let _pass = pass.enter();
                error!(target: "entente_controllers", name = "of the line", "within");
                error!(target: "entente_controllers", parent: None, "outside");
            });
            let lines = fs::read_to_string(file.path()).unwrap();
            let lines = lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap());
            let lines: Vec<serde_json::Value> = lines.collect();
            let [within, outside] = &lines[..] else {
                panic!("{flag}: two lines, not {lines:#?}");
            };
            assert_eq!(
                within["pass"],
                json!({"name": "a\"b", "id": "1-1"}),
                "{flag}"
            );
            assert_eq!(within["name"], "of the line", "{flag}");
            assert_eq!(within["message"], "within", "{flag}");
            assert_eq!(within["level"], "ERROR", "{flag}");
            assert_eq!(within["target"], "entente_controllers", "{flag}");
            assert!(
                within["timestamp"].as_str().unwrap().ends_with('Z'),
                "{flag}"
            );
            assert_eq!(outside["pass"], serde_json::Value::Null, "{flag}");
        }
    }

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
