//! The vendor attributes of the imagined makers, by product.
//!
//! Decides which settings besides the standard ones a product has, under which names and in which
//! syntaxes. It must not know about devices or requests. Called by the fleet.

use serde_json::json;

use super::attribute::{SettableAttribute, Syntax};

/// Returns the vendor attributes of a product; one that is not known has those of the first example.
pub(super) fn settable_of(make_and_model: &str) -> Vec<SettableAttribute> {
    match make_and_model {
        "Northwind MFP 700" => {
            let address = || Syntax::Text { maximum: 1023 };
            let mode = Syntax::Keyword {
                allowed: words(&["full", "differential"]),
            };
            let mut all = all_services("nw", &address(), mode, json!(""));
            all.extend(document_cloud(address()));
            all
        }
        "Southwind MFP 320" => {
            let mode = Syntax::Name { maximum: 32 };
            all_services("sw", &Syntax::Uri, mode, json!(null))
        }
        _ => northwind_settable(),
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn days() -> Syntax {
    Syntax::KeywordSet {
        allowed: words(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
    }
}

fn up_to(maximum: i32) -> Syntax {
    Syntax::Integer {
        minimum: 1,
        maximum,
    }
}

/// The settings of all example services but the document cloud.
fn all_services(
    maker: &str,
    address: &Syntax,
    mode: Syntax,
    no_address: serde_json::Value,
) -> Vec<SettableAttribute> {
    let named = |name: &str| format!("{maker}-{name}");
    let switch = |name: &str| SettableAttribute::new(named(name), Syntax::Boolean, false);
    let word = |name: &str, allowed: &[&str]| {
        let syntax = Syntax::Keyword {
            allowed: words(allowed),
        };
        SettableAttribute::new(named(name), syntax, allowed[0])
    };
    vec![
        switch("backup-enabled"),
        SettableAttribute::new(named("backup-endpoint"), address.clone(), no_address),
        SettableAttribute::new(named("backup-period-hours"), up_to(8760), 168),
        SettableAttribute::new(named("backup-weekdays"), days(), json!([])),
        SettableAttribute::new(named("backup-mode"), mode, "full"),
        switch("alert-enabled"),
        SettableAttribute::new(named("alert-drum"), Syntax::Boolean, true),
        switch("alert-fuser"),
        SettableAttribute::new(named("alert-feeder"), Syntax::Boolean, true),
        SettableAttribute::new(named("alert-threshold"), up_to(100), 20),
        switch("supplies-enabled"),
        SettableAttribute::new(named("supplies-threshold"), up_to(100), 10),
        switch("prediction-enabled"),
        SettableAttribute::new(named("prediction-days-ahead"), up_to(30), 7),
        word("maintenance-access", &["none", "diagnose", "repair"]),
        switch("usage-enabled"),
        word("usage-period", &["monthly", "weekly", "daily"]),
    ]
}

fn document_cloud(address: Syntax) -> Vec<SettableAttribute> {
    let deletion = Syntax::Keyword {
        allowed: words(&["never", "after-backup"]),
    };
    vec![
        SettableAttribute::new("nw-cloud-enabled", Syntax::Boolean, false),
        SettableAttribute::new("nw-cloud-endpoint", address, ""),
        SettableAttribute::new("nw-cloud-automatic-backup", Syntax::Boolean, false),
        SettableAttribute::new("nw-cloud-deletion", deletion, "never"),
    ]
}

/// The settings of the devices of the first example and of most tests.
fn northwind_settable() -> Vec<SettableAttribute> {
    let percent = || up_to(100);
    let uri = || Syntax::Text { maximum: 1023 };
    vec![
        SettableAttribute::new("nw-backup-enabled", Syntax::Boolean, false),
        SettableAttribute::new("nw-backup-endpoint", uri(), ""),
        SettableAttribute::new("nw-backup-weekdays", days(), json!([])),
        SettableAttribute::new(
            "nw-backup-mode",
            Syntax::Keyword {
                allowed: words(&["full", "differential"]),
            },
            "full",
        ),
        SettableAttribute::new("nw-backup-period-hours", up_to(8760), 168),
        SettableAttribute::new("nw-alert-enabled", Syntax::Boolean, false),
        SettableAttribute::new("nw-alert-threshold", percent(), 20),
        SettableAttribute::new("nw-alert-unit", Syntax::Name { maximum: 255 }, ""),
        SettableAttribute::new("nw-supplies-enabled", Syntax::Boolean, false),
        SettableAttribute::new("nw-supplies-threshold", percent(), 10),
        SettableAttribute::new("nw-cloud-endpoint", uri(), ""),
        SettableAttribute::new("nw-cloud-enabled", Syntax::Boolean, false),
    ]
}
