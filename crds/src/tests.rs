//! Tests of the schema of every kind, and of every generated file.

use serde_json::{Value, json};

use crate::{admission_cases::CaseKind, example, generate, manifest, yaml};

/// Every CRD with its plural name.
fn crds() -> Vec<(String, Value)> {
    manifest::all()
        .into_iter()
        .map(|crd| {
            (
                crd.spec.names.plural.clone(),
                serde_json::to_value(crd).unwrap(),
            )
        })
        .collect()
}

fn root_schema(crd: &Value) -> &Value {
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert!(schema.is_object());
    schema
}

/// Calls `visit` with the path and the schema of everything below a schema, itself included.
fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{mark}"), &schema[key], visit);
        }
    }
}

/// Returns the complaints about each schema of each kind, except below `metadata`.
fn complaints(complaint: impl Fn(&str, &Value) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = 0;
    for (plural, crd) in crds() {
        walk(&plural, root_schema(&crd), &mut |path, schema| {
            seen += 1;
            if let Some(text) = complaint(path, schema) {
                found.push(format!("{path}: {text}"));
            }
        });
    }
    assert!(seen > 400, "the walk saw only {seen} schemas");
    found
}

#[test]
fn every_definition_is_small_enough_for_client_side_apply() {
    for (plural, crd) in crds() {
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < 256 * 1024, "{plural} has {size} bytes");
    }
}

#[test]
fn no_schema_has_an_unsigned_format_or_a_floating_point_number() {
    let found = complaints(|_, schema| {
        let format = schema["format"].as_str().unwrap_or_default();
        (format.starts_with("uint") || schema["type"] == "number")
            .then(|| format!("{} {format}", schema["type"]))
    });
    assert_eq!(found, Vec::<String>::new());
}

/// With server-side apply a defaulted list can never be made shorter again.
#[test]
fn only_scalars_have_a_default() {
    let found = complaints(|path, schema| {
        let default = &schema["default"];
        let status = path
            .split_once('.')
            .is_some_and(|(_, field)| field == "status");
        (!status && (default.is_array() || default.is_object())).then(|| default.to_string())
    });
    assert_eq!(found, Vec::<String>::new());
}

/// Some tools compare and apply a list as one value: a default inside it would be a difference from
/// the manifest for ever. In an object that is left empty it would be one for a while.
#[test]
fn nothing_inside_a_list_or_a_map_or_an_object_that_can_be_empty_has_a_default() {
    let found = complaints(|path, schema| {
        let is_inside = path.contains("[]") || path.contains("{}");
        let required = schema["required"].as_array();
        let can_be_empty = required.is_none_or(Vec::is_empty);
        if !path.contains(".spec") || !(is_inside || can_be_empty) {
            return None;
        }
        let fields = schema["properties"].as_object().into_iter().flatten();
        let with_default = fields.filter(|(_, field)| !field["default"].is_null());
        let names: Vec<&str> = with_default.map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_string_list_and_map_is_bounded() {
    let found = complaints(|path, schema| {
        if is_foreign(path) {
            return None;
        }
        let missing = match schema["type"].as_str() {
            Some("string") if !is_bounded_string(schema) => "maxLength",
            Some("array") if schema["maxItems"].is_null() => "maxItems",
            Some("object")
                if schema["additionalProperties"].is_object()
                    && schema["maxProperties"].is_null() =>
            {
                "maxProperties"
            }
            Some("string" | "array" | "object" | "integer" | "boolean") => return None,
            _ if schema["x-kubernetes-int-or-string"] == true => return None,
            _ => "type",
        };
        Some(format!("has no {missing}"))
    });
    assert_eq!(found, Vec::<String>::new());
}

/// True if the schema limits the length of its strings. A word of an enum is at most as long as the
/// longest one, and RFC 3339 has a greatest length that the API server knows.
fn is_bounded_string(schema: &Value) -> bool {
    let format = schema["format"].as_str().unwrap_or_default();
    schema["maxLength"].is_u64()
        || schema["enum"].is_array()
        || ["date", "date-time"].contains(&format)
}

/// Schemas that are not ours: the API server itself bounds apiVersion, kind and metadata.
fn is_foreign(path: &str) -> bool {
    let field = path.split_once('.').map_or("", |(_, field)| field);
    ["apiVersion", "kind", "metadata"].contains(&field)
}

#[test]
fn no_enum_has_a_word_that_yaml_1_1_takes_for_a_boolean() {
    let found = complaints(|path, schema| {
        // Kubernetes' own words, which nobody writes by hand.
        if path.ends_with(".status.conditions[].status") {
            return None;
        }
        let words = schema["enum"].as_array()?;
        let taken = words
            .iter()
            .filter_map(Value::as_str)
            .find(|word| is_boolean_of_yaml_1_1(word));
        taken.map(str::to_owned)
    });
    assert_eq!(found, Vec::<String>::new());
}

fn is_boolean_of_yaml_1_1(word: &str) -> bool {
    let booleans = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    booleans.contains(&word.to_ascii_lowercase().as_str())
}

/// To kubectl and Helm such a name, written as everybody writes it, is the field `true`.
#[test]
fn no_field_has_a_name_that_yaml_1_1_takes_for_a_boolean() {
    let found = complaints(|_, schema| {
        let mut names = schema["properties"].as_object()?.keys();
        names.find(|name| is_boolean_of_yaml_1_1(name)).cloned()
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_list_says_how_it_is_merged_and_every_field_says_what_it_is() {
    let found = complaints(|path, schema| {
        if is_foreign(path) {
            return None;
        }
        if schema["type"] == "array" && schema["x-kubernetes-list-type"].is_null() {
            return Some("has no list type".to_owned());
        }
        let is_field = path
            .rsplit('.')
            .next()
            .is_some_and(|last| !last.ends_with(['}', ']']));
        (is_field && schema["description"].as_str().is_none_or(str::is_empty))
            .then(|| "has no description".to_owned())
    });
    assert_eq!(found, Vec::<String>::new());
}

/// Shows that a tool that judges by conditions reports InProgress until the operator has seen the
/// object.
#[test]
fn every_status_has_a_default_that_is_not_finished() {
    for (plural, crd) in crds() {
        let status = &root_schema(&crd)["properties"]["status"];
        let default = &status["default"];
        // Nobody applies a twin, so no tool waits for one.
        if plural == "devicetwins" {
            assert!(status["properties"]["conditions"].is_null() && default.is_null());
            continue;
        }
        assert_eq!(default["observedGeneration"], json!(-1), "{plural}");
        assert_eq!(default["conditions"][0]["type"], "Ready", "{plural}");
        assert_eq!(default["conditions"][0]["status"], "Unknown", "{plural}");
        let reason = default["conditions"][0]["reason"].as_str().unwrap();
        let known = crate::condition::ConditionType::Ready.reasons();
        assert!(
            known.iter().any(|listed| listed.as_str() == reason),
            "{plural}: {reason}"
        );
        assert_eq!(
            crd["spec"]["versions"][0]["subresources"],
            json!({"status": {}}),
            "{plural}"
        );
    }
}

/// A kind without cases would have rules that no test looks at.
#[test]
fn every_kind_has_cases() {
    let with_cases = CaseKind::ALL.iter().map(|kind| kind.plural().to_owned());
    let mut with_cases: Vec<String> = with_cases.collect();
    let mut kinds: Vec<String> = crds().into_iter().map(|(plural, _)| plural).collect();
    with_cases.sort();
    kinds.sort();
    assert_eq!(with_cases, kinds);
}

#[test]
fn names_and_scopes_are_those_of_the_documented_api() {
    let found: Vec<(String, Value, Value, Value)> = crds()
        .into_iter()
        .map(|(plural, crd)| {
            let names = &crd["spec"]["names"];
            let scope = crd["spec"]["scope"].clone();
            (
                plural,
                names["shortNames"].clone(),
                names["categories"].clone(),
                scope,
            )
        })
        .collect();
    let user = json!(["entente"]);
    let own = json!(["entente-all"]);
    let expected = [
        ("connections", "enconn", &user, "Cluster"),
        ("devicemodels", "endm", &user, "Cluster"),
        ("smartservices", "ensvc", &user, "Cluster"),
        ("messagetexts", "enmsg", &user, "Cluster"),
        ("sites", "ensite", &user, "Namespaced"),
        ("devices", "endev", &user, "Namespaced"),
        ("deviceenrollments", "enenr", &user, "Namespaced"),
        ("contracts", "enct", &user, "Namespaced"),
        ("contractamendments", "enamd", &user, "Namespaced"),
        ("contractnotices", "enntc", &user, "Namespaced"),
        ("servicesubscriptions", "ensub", &own, "Namespaced"),
        ("devicetwins", "entwin", &own, "Namespaced"),
        ("compensations", "encmp", &own, "Namespaced"),
        ("supplyorders", "enord", &own, "Namespaced"),
    ]
    .map(|(plural, short, category, scope)| {
        (
            plural.to_owned(),
            json!([short]),
            category.clone(),
            json!(scope),
        )
    });
    assert_eq!(found, expected);
}

/// A column of type date shows an instant that lies ahead as invalid.
#[test]
fn no_column_of_type_date_shows_an_instant_that_can_lie_ahead() {
    for (plural, crd) in crds() {
        let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap();
        for column in columns.iter().filter(|column| column["type"] == "date") {
            let past = [
                ".metadata.creationTimestamp",
                ".status.lastSync.at",
                ".status.lastHeard",
                ".status.registration.at",
                ".status.registration.consent.withdrawn",
            ];
            assert!(
                past.contains(&column["jsonPath"].as_str().unwrap()),
                "{plural}: {column}"
            );
        }
    }
}

/// Characters of a value that only the operator writes, as wide as it often is.
fn usual_width(column: &str) -> usize {
    let usual = match column {
        "READY" | "ONLINE" | "INFORCE" | "ACCEPTED" => "False",
        "REASON" => "Progressing",
        "CONTACT" => "NotRegistered",
        "STEP" => "DeviceSettings",
        "DELIVERED" | "SERVICES" => "8997/9000",
        "NEXT" => "Succeeded 2027-04-01",
        "OWED" | "AMOUNT" => "BRL 1250.00",
        "LATE" => "7h12m30s",
        "START" | "EFFECTIVE" => "2027-04-01",
        "FIRMWARE" | "SYNCED" | "HEARD" | "AGE" | "USED BY" | "ORPHANS" => "4m30s",
        "ERROR TYPE" => "WasteBoxAlmostFull",
        "FALLBACK" | "LANGUAGE" => "pt-BR",
        "CITY" => "Sao Jose dos Campos",
        "TIME ZONE" => "America/Sao_Paulo",
        "MODEL" | "PRODUCT" => "NW MFP 500",
        "SUPPLY" => "black-toner",
        "ORDER ID" => "PO-88123",
        "STATE" => "Delivered",
        "MESSAGE" => "Cleared",
        "SERIAL" => "NW5-000007",
        "WANTED" | "REPORTED" | "REGISTERED" | "PENDING" => "1000",
        other => panic!("how wide is a value of {other}?"),
    };
    usual.len()
}

/// Characters between two columns of kubectl.
const GAP: usize = 3;

// shows K2
#[test]
fn the_columns_of_every_kind_fit_120_characters_with_the_names_of_the_examples() {
    let plain = |object: Result<Value, serde_json::Error>| object.expect("an example is JSON");
    let examples = [
        plain(serde_json::to_value(example::hq_ipp())),
        plain(serde_json::to_value(example::mfp_500())),
        plain(serde_json::to_value(example::data_backup())),
        plain(serde_json::to_value(example::toner_empty_text())),
        plain(serde_json::to_value(example::osasco_site())),
        plain(serde_json::to_value(&example::devices()[1])),
        plain(serde_json::to_value(example::enrollment())),
        plain(serde_json::to_value(example::banco_sul_2027())),
        plain(serde_json::to_value(example::banco_sul_2027_july())),
        plain(serde_json::to_value(example::banco_sul_installed())),
        plain(serde_json::to_value(example::service_subscription())),
        plain(serde_json::to_value(example::device_twin())),
        plain(serde_json::to_value(example::compensation())),
        plain(serde_json::to_value(example::supply_order())),
    ];
    for ((plural, crd), object) in crds().into_iter().zip(examples) {
        assert_eq!(object["kind"], crd["spec"]["names"]["kind"]);
        let columns = &crd["spec"]["versions"][0]["additionalPrinterColumns"];
        let columns = columns.as_array().expect("every kind has columns");
        let shown = columns
            .iter()
            .filter(|it| it["priority"].as_i64().unwrap_or(0) == 0);
        let widths = shown.map(|column| {
            let name = column["name"].as_str().expect("a column has a name");
            let path = column["jsonPath"].as_str().expect("a column has a path");
            let of_spec = path.starts_with(".spec").then(|| path.replace('.', "/"));
            let value = of_spec.and_then(|path| object.pointer(&path));
            let width = value.map_or_else(
                || usual_width(name),
                |value| value.as_str().map_or(5, |text| text.chars().count()),
            );
            width.max(name.len())
        });
        let name = object["metadata"]["name"].as_str().expect("a name").len();
        let line: usize = name + widths.map(|width| GAP + width).sum::<usize>();
        assert!(line <= 120, "a line of {plural} has {line} characters");
    }
}

// shows K2
#[test]
fn kubectl_explain_tells_what_each_value_of_a_list_of_values_means() {
    let mut told = 0;
    for (name, crd) in crds() {
        walk(
            "",
            &root_schema(&crd)["properties"]["spec"],
            &mut |path, schema| {
                let description = schema["description"].as_str().unwrap_or_default();
                for value in schema["enum"].as_array().into_iter().flatten() {
                    let value = value.as_str().expect("values are texts");
                    let mut words = description.split(|it: char| !it.is_alphanumeric());
                    assert!(
                        words.any(|it| it == value),
                        "{name}{path} {value}: {description}"
                    );
                    told += 1;
                }
            },
        );
    }
    assert!(told > 100, "only {told} values");
}

#[test]
fn kubectl_explain_tells_the_default_of_a_field_and_nothing_that_only_the_code_knows() {
    for (name, crd) in crds() {
        walk("", root_schema(&crd), &mut |path, schema| {
            let Some(description) = schema["description"].as_str() else {
                return;
            };
            let words = description.split(|it: char| it.is_whitespace() || it == ';');
            for word in words {
                let inner = word.trim_end_matches([',', '.']);
                let inner = inner.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
                let is_requirement = inner.is_some_and(|it| {
                    let mut chars = it.chars();
                    chars.next().is_some_and(|it| ('A'..='K').contains(&it))
                        && !chars.as_str().is_empty()
                        && chars.all(|it| it.is_ascii_digit())
                });
                assert!(!is_requirement, "{name}{path}: {description}");
            }
            assert!(!description.contains("[`"), "{name}{path}: {description}");
            let default = match &schema["default"] {
                Value::String(text) => text.clone(),
                Value::Null | Value::Array(_) | Value::Object(_) => return,
                other => other.to_string(),
            };
            if path.starts_with(".spec") {
                let told = description.ends_with(&format!("Default: {default}."));
                assert!(told, "{name}{path}: {description}");
            }
        });
    }
}

#[test]
fn no_instant_and_no_date_in_a_manifest_is_plain_since_readers_of_yaml_1_1_make_a_date_of_it() {
    for time in ["1970-01-01T00:00:00Z", "1970-01-01"] {
        let text = crate::yaml::write(&serde_json::json!({"at": time})).unwrap();
        assert_eq!(text, format!("at: \"{time}\"\n"));
    }
}

#[test]
fn a_number_of_eight_digits_stays_a_number_although_iso_8601_takes_it_for_a_date() {
    let value = serde_json::json!({"size": 73_400_320, "day": "2027-04-01"});
    let text = crate::yaml::write(&value).unwrap();
    assert!(text.contains("size: 73400320\n"), "{text}");
    assert!(text.contains("day: \"2027-04-01\""), "{text}");
}

#[test]
fn every_yaml_reader_takes_a_manifest_for_the_same_object() {
    for crd in manifest::all() {
        let text = yaml::write(&crd).unwrap();
        let expected = serde_json::to_value(&crd).unwrap();
        assert_eq!(yaml::read::<Value>(&text).unwrap(), expected);
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), expected);
    }
}

#[test]
fn every_yaml_reader_takes_an_example_for_the_object_it_was_written_from() {
    let mut expected = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": example::NAMESPACE}}),
        json!(example::hq_ipp()),
        json!(example::northwind_services()),
    ];
    expected.push(json!(example::mfp_500()));
    expected.push(json!(example::data_backup()));
    expected.push(json!(example::parts_life()));
    expected.extend(example::devices().iter().map(|device| json!(device)));
    expected.push(json!(example::banco_sul_2027()));
    expected.push(json!(example::services::mfp_700()));
    expected.push(json!(example::services::mfp_320()));
    let services = example::services::services();
    expected.extend(services.iter().map(|service| json!(service)));
    let devices = example::services::devices();
    expected.extend(devices.iter().map(|device| json!(device)));
    expected.push(json!(example::services::contract()));
    expected.push(json!(example::banco_sul_2027_july()));
    expected.push(json!(example::banco_sul_lobby()));
    expected.push(json!(example::banco_sul_installed()));
    expected.push(json!(example::gateway()));
    expected.push(json!(example::northwind_files()));
    expected.push(json!(example::enrollment()));
    expected.push(json!(example::mfp_510()));
    expected.push(json!(example::remote_panel()));
    expected.push(json!(example::calling_device()));
    expected.push(json!(example::panel_contract()));
    expected.push(json!(example::northwind_orders()));
    expected.push(json!(example::mfp_520()));
    expected.push(json!(example::toner_delivery()));
    expected.push(json!(example::toner_empty_text()));
    expected.push(json!(example::osasco_site()));
    expected.push(json!(example::osasco_device()));
    expected.push(json!(example::hq_snmp()));
    expected.push(json!(example::label_7()));
    expected.push(json!(example::label_printer()));
    expected.push(json!(example::northwind_settings()));
    expected.push(json!(example::branch_04_mfp()));
    expected.push(json!(example::branch_04_contract()));

    let files = generate::files();
    let examples = files
        .iter()
        .filter(|file| file.path.starts_with("examples/"));
    let text: String = examples.map(|file| file.content.as_str()).collect();
    assert_eq!(yaml::read_all::<Value>(&text).unwrap(), expected);
    assert_eq!(
        serde_saphyr::from_multiple::<Value>(&text).unwrap(),
        expected
    );
}

#[test]
fn the_generated_files_in_the_repository_are_up_to_date() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in generate::files() {
        let found = std::fs::read_to_string(root.join(&file.path)).unwrap_or_default();
        assert!(
            found == file.content,
            "{} differs: run `cargo run --bin crdgen`",
            file.path
        );
    }
}

mod conditions;
mod defaults;
mod rules;
