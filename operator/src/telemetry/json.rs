//! A line of the log as one JSON object: its own fields, and those of each span around it.
//!
//! A span is a member of the line by its name, so that `pass.name` is the object of the pass and
//! `name` that of the line, which may be about another one. Decides nothing about what is logged.
//! Called by the log of `telemetry`, beside the fields in JSON (`JsonFields`).

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields as _, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// The format of lines.
pub(super) struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\",", meta.level())?;
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        // Written as an object of its own, whose members are those of the line.
        let members = fields.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        if let Some(members) = members.filter(|members| !members.is_empty()) {
            write!(writer, "{members},")?;
        }
        write!(writer, "\"target\":\"{}\"", meta.target())?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>() {
                write!(writer, ",\"{}\":{fields}", span.name())?;
            }
        }
        writeln!(writer, "}}")
    }
}
