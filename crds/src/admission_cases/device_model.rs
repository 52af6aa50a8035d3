//! Cases about DeviceModels.

use serde_json::{Value, json};

use super::CaseKind::DeviceModel;
use super::{Table, data_types, errors, plain, software};
use crate::example;

pub(super) fn whole() -> Value {
    let mut object = plain(&example::mfp_500());
    software::add_to_model(&mut object);
    data_types::add_to_model(&mut object);
    errors::add_to_model(&mut object);
    object
}

pub(super) fn case(table: &mut Table) {
    let operation = "/spec/settings/0/via/ipp/operation";
    table.accepts(
        DeviceModel,
        "a setting of the host's System Service",
        &[(operation, json!("SetSystemAttributes"))],
    );
    table.rejects_by_schema(
        DeviceModel,
        "an operation that there is not",
        &[(operation, json!("SetAttributes"))],
        "Unsupported value",
    );

    for names in [json!(["NW MFP 500*"]), json!(["NW MFP 500", "NW 7 *"])] {
        let case = format!("product names {names}");
        table.accepts(DeviceModel, &case, &[("/spec/productNames", names)]);
    }
    for names in [
        json!(["*"]),
        json!(["NW", "**"]),
        json!(["N*W"]),
        json!([" "]),
    ] {
        let case = format!("product names {names}");
        const NAMES: &str = "each name must have characters besides blanks";
        table.rejects(DeviceModel, &case, &[("/spec/productNames", names)], NAMES);
    }

    let place = "/spec/settings/-";
    let setting = |kind: &str, more: Value| {
        let mut setting = json!({"name": "another", "type": kind, "via": {}});
        for (key, value) in more.as_object().into_iter().flatten() {
            setting[key] = value.clone();
        }
        [(place, setting)]
    };
    const NUMBERS: &str = "minimum, maximum and unit go with type Integer only";
    for field in [
        json!({"minimum": 1}),
        json!({"maximum": 1}),
        json!({"unit": "percent"}),
    ] {
        let name = field.to_string();
        table.accepts(
            DeviceModel,
            &format!("{name} of an Integer"),
            &setting("Integer", field.clone()),
        );
        table.rejects(
            DeviceModel,
            &format!("{name} of a String"),
            &setting("String", field),
            NUMBERS,
        );
    }
    const WORDS: &str = "allowed goes with type Keyword or KeywordSet only";
    let words = json!({"allowed": ["a"]});
    table.accepts(
        DeviceModel,
        "allowed of a Keyword",
        &setting("Keyword", words.clone()),
    );
    table.rejects(
        DeviceModel,
        "allowed of a Boolean",
        &setting("Boolean", words),
        WORDS,
    );
    const UNSEEN: &str = "writeOnly goes with takesEffect Immediately only";
    let unseen = json!({"writeOnly": true});
    table.accepts(
        DeviceModel,
        "a secret that cannot be read",
        &setting("Secret", unseen),
    );
    let at_once = json!({"writeOnly": true, "takesEffect": "Immediately"});
    table.accepts(
        DeviceModel,
        "a secret that cannot be read, of which the model tells that it takes effect at once",
        &setting("Secret", at_once),
    );
    let late = json!({"writeOnly": true, "takesEffect": "AfterRestart"});
    table.rejects(
        DeviceModel,
        "a restart that nothing could tell",
        &setting("String", late),
        UNSEEN,
    );
    syntaxes(table);
    const ORDER: &str = "minimum must not be above maximum";
    let range = |minimum: i32, maximum: i32| {
        setting("Integer", json!({"minimum": minimum, "maximum": maximum}))
    };
    table.accepts(DeviceModel, "a range of one number", &range(2, 2));
    table.rejects(DeviceModel, "a range upside down", &range(2, 1), ORDER);
    let twice = [(
        place,
        json!({"name": "backup.endpoint", "type": "String", "via": {}}),
    )];
    table.rejects_by_schema(
        DeviceModel,
        "two settings of one name",
        &twice,
        "Duplicate value",
    );
}

/// A syntax that cannot carry the type is refused when it is written: at the device every value of
/// it would be a refusal, which is nobody's delay but the platform team's.
fn syntaxes(table: &mut Table) {
    const FITS: &str = "type String or Secret goes with via.ipp.syntax Text";
    let setting = |kind: &str, syntax: &str| {
        let ipp = json!({"attribute": "a", "syntax": syntax});
        let setting = json!({"name": "another", "type": kind, "via": {"ipp": ipp}});
        [("/spec/settings/-", setting)]
    };
    for (kind, syntax) in [
        ("Boolean", "Boolean"),
        ("Integer", "Enum"),
        ("Keyword", "Name"),
        ("KeywordSet", "Keyword"),
        ("Secret", "Uri"),
    ] {
        let case = format!("a {kind} in the syntax {syntax}");
        table.accepts(DeviceModel, &case, &setting(kind, syntax));
    }
    for (kind, syntax) in [
        ("Boolean", "Integer"),
        ("Integer", "Text"),
        ("String", "Boolean"),
        ("KeywordSet", "Text"),
        ("Secret", "Enum"),
    ] {
        let case = format!("a {kind} in the syntax {syntax}");
        table.rejects(DeviceModel, &case, &setting(kind, syntax), FITS);
    }
}
