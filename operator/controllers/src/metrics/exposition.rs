//! The text format of Prometheus 0.0.4, made of OpenMetrics text.
//!
//! The library writes OpenMetrics only. `promtool check metrics`, and scrapers that do not ask for
//! OpenMetrics, read the older format, in which a counter is described under its whole name, an info
//! is a gauge, and there are no units and no mark of the end. Pure; called by [`super::Metrics`].

use std::fmt::Write as _;

/// Returns the same metrics in the text format of Prometheus.
pub(super) fn prometheus_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(about) = line.strip_prefix("# HELP ") {
            help = about;
        } else if let Some(about) = line.strip_prefix("# TYPE ") {
            let (name, type_) = about.split_once(' ').unwrap_or((about, "unknown"));
            let (name, type_) = match type_ {
                "counter" => (format!("{name}_total"), "counter"),
                "info" => (format!("{name}_info"), "gauge"),
                "unknown" => (name.to_owned(), "untyped"),
                other => (name.to_owned(), other),
            };
            let help = help.split_once(' ').map_or("", |(_, help)| help);
            // Writing into a String does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {type_}\n");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::prometheus_text;

    #[test]
    fn counters_and_infos_have_their_suffix_in_the_description_and_units_and_the_end_are_gone() {
        let open_metrics = "# HELP a_build The operator.\n# TYPE a_build info\n\
            a_build_info{version=\"1\"} 1\n# HELP a_adds Keys.\n# TYPE a_adds counter\n\
            a_adds_total{q=\"x\"} 3\n# HELP a_took_seconds How long.\n\
            # TYPE a_took_seconds histogram\n# UNIT a_took_seconds seconds\n\
            a_took_seconds_sum 1.5\na_took_seconds_count 1\n\
            a_took_seconds_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let expected = "# HELP a_build_info The operator.\n# TYPE a_build_info gauge\n\
            a_build_info{version=\"1\"} 1\n# HELP a_adds_total Keys.\n# TYPE a_adds_total counter\n\
            a_adds_total{q=\"x\"} 3\n# HELP a_took_seconds How long.\n\
            # TYPE a_took_seconds histogram\n\
            a_took_seconds_sum 1.5\na_took_seconds_count 1\n\
            a_took_seconds_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(prometheus_text(open_metrics), expected);
    }
}
