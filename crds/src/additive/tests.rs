//! Changes of a small definition, each with what has to be reported; and every field of every
//! definition of ours, taken away.

use serde_json::{Value, json};

use super::{RULES, faults, kept};
use crate::{manifest, yaml};

/// A definition with something of everything.
const DEFINITION: &str = "
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things, singular: thing, shortNames: [th], categories: [all]}
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns: [{name: AGE}]
      subresources: {status: {}}
      selectableFields: [{jsonPath: .spec.name}]
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              description: words
              required: [name]
              x-kubernetes-validations: [{rule: has(self.name), message: words}]
              properties:
                name: {type: string, minLength: 1, maxLength: 63, pattern: ^a}
                mode: {type: string, enum: ['On', 'Off'], default: 'On'}
                count: {type: integer, format: int32, minimum: 1, maximum: 9}
                note: {type: string, nullable: true}
                list:
                  type: array
                  maxItems: 4
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [key]
                  items:
                    type: object
                    properties: {key: {type: string, maxLength: 5}}
                map:
                  type: object
                  maxProperties: 3
                  additionalProperties: {type: string, maxLength: 5}
                open: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

fn definition() -> Value {
    yaml::read(DEFINITION).unwrap()
}

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// Returns the definition with a value put at a path, `null` to take away what is there. Below
/// `SPEC`, unless the path begins with `/spec`.
fn edited(path: &str, value: &Value) -> Value {
    let path = if path.starts_with("/spec") {
        path.to_owned()
    } else {
        format!("{SPEC}{path}")
    };
    let (parent, field) = path.rsplit_once('/').unwrap();
    let mut edited = definition();
    let parent = edited
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{path} is not there"));
    match parent {
        Value::Object(fields) if value.is_null() => {
            fields
                .remove(field)
                .unwrap_or_else(|| panic!("{path} is not there"));
        }
        Value::Object(fields) => {
            fields.insert(field.to_owned(), value.clone());
        }
        _ => unreachable!("{path}"),
    }
    edited
}

fn found(path: &str, value: &Value) -> Vec<String> {
    faults(&[definition()], &[edited(path, value)])
}

/// Edits of the definition, each with a part of its report: `PATH VALUE => REPORT`.
const REPORTED: &str = r#"
/properties/note null => things spec: the field note is gone
/properties/name/type "integer" => things spec.name: type is "integer", was "string"
/properties/count/format "int64" => things spec.count: format is "int64", was "int32"
/properties/mode/enum ["On"] => things spec.mode: the value "Off" is no longer allowed
/properties/name/enum ["a"] => things spec.name: enum is ["a"], was absent
/required ["name", "count"] => things spec: the field count is required
/properties/name/minLength 2 => minLength is 2, was 1
/properties/note/minLength 1 => minLength is 1, was absent
/properties/name/maxLength 62 => maxLength is 62, was 63
/properties/note/maxLength 999 => maxLength is 999, was absent
/properties/count/minimum 2 => minimum is 2, was 1
/properties/note/minimum -5 => minimum is -5, was absent
/properties/count/maximum 8 => maximum is 8, was 9
/properties/count/exclusiveMaximum true => exclusiveMaximum is true, was absent
/properties/count/multipleOf 2 => multipleOf is 2, was absent
/properties/list/maxItems 3 => maxItems is 3, was 4
/properties/list/minItems 1 => minItems is 1, was absent
/properties/list/uniqueItems true => uniqueItems is true, was absent
/properties/list/x-kubernetes-list-type "atomic" => x-kubernetes-list-type is "atomic", was "map"
/properties/list/x-kubernetes-list-map-keys ["key", "b"] => x-kubernetes-list-map-keys is ["key","b"]
/properties/list/items/properties/key/maxLength 4 => things spec.list[].key: maxLength is 4, was 5
/properties/list/items null => things spec.list: items is absent
/properties/map/additionalProperties/maxLength 4 => things spec.map{}: maxLength is 4, was 5
/properties/map/additionalProperties null => things spec.map: additionalProperties is absent
/properties/map/maxProperties 2 => maxProperties is 2, was 3
/properties/open/x-kubernetes-preserve-unknown-fields null => preserve-unknown-fields is absent, was true
/properties/note/nullable null => nullable is absent, was true
/properties/name/pattern "^ab" => pattern is "^ab", was "^a"
/properties/note/pattern "." => pattern is ".", was absent
/properties/mode/default "Off" => default is "Off", was "On"
/properties/mode/default null => default is absent, was "On"
/properties/note/default "x" => default is "x", was absent
/properties/note/not {"enum": ["x"]} => not is {"enum":["x"]}, was absent
/properties/note/anyOf [{"minLength": 1}] => anyOf is
/properties/note/oneOf [{"minLength": 1}] => oneOf is
/properties/note/allOf [{"minLength": 1}] => allOf is
/properties/open/x-kubernetes-embedded-resource true => embedded-resource is true, was absent
/properties/note/x-kubernetes-int-or-string true => int-or-string is true, was absent
/properties/map/x-kubernetes-map-type "atomic" => map-type is "atomic", was absent
/properties/count/exclusiveMinimum true => exclusiveMinimum is true, was absent
/properties/map/minProperties 1 => minProperties is 1, was absent
/x-kubernetes-validations [{"rule": "has(self.note)"}] => things spec: the rule is new: has(self.note)
/x-kubernetes-validations [{"rule": "!has(self.note) || self.count > 1"}] => the rule is new
/spec/group "example.org" => things: group is "example.org", was "example.com"
/spec/scope "Cluster" => things: scope is "Cluster"
/spec/names/kind "Other" => things: names/kind is "Other"
/spec/names/plural "others" => things: names/plural is "others"
/spec/names/singular "other" => things: names/singular is "other"
/spec/conversion {"strategy": "Webhook"} => things: conversion is {"strategy":"Webhook"}
/spec/names/shortNames ["ot"] => things: shortNames: th is gone
/spec/names/categories null => things: categories: all is gone
/spec/versions/0/name "v2" => things: the version v1 is gone
/spec/versions/0/served false => things: the version v1 has no longer served: true
/spec/versions/0/storage false => things: the version v1 has no longer storage: true
/spec/versions/0/subresources null => things: the subresource status is gone or another
/spec/versions/0/selectableFields [] => things: .spec.name cannot be selected by any longer
"#;

/// Edits of the definition that are additive: `PATH VALUE`.
const ADDITIVE: &str = r#"
/properties/more {"type": "string", "maxLength": 2, "enum": ["a"]}
/properties/name/minLength null
/properties/note/minLength 0
/properties/name/maxLength 64
/properties/name/maxLength null
/properties/count/minimum 0
/properties/count/maximum null
/properties/mode/enum ["On", "Off", "Auto"]
/properties/mode/enum null
/properties/name/pattern null
/properties/name/nullable true
/properties/note/uniqueItems false
/required null
/required ["name", "mode"]
/description "other words"
/x-kubernetes-validations null
/x-kubernetes-validations [{"rule": "has(self.name)", "message": "other words"}]
/spec/names/shortNames ["th", "thi"]
/spec/versions/0/additionalPrinterColumns []
"#;

fn lines(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.is_empty())
}

/// Returns the report of an edit, `PATH VALUE`.
fn report(edit: &str) -> Vec<String> {
    let (path, value) = edit.split_once(' ').unwrap();
    found(path, &serde_json::from_str(value).unwrap())
}

#[test]
fn what_an_earlier_object_or_client_could_meet_is_reported() {
    for line in lines(REPORTED) {
        let (edit, expected) = line.split_once(" => ").unwrap();
        let report = report(edit);
        assert_eq!(report.len(), 1, "{edit}: {report:?}");
        assert!(report[0].contains(expected), "{edit}: {}", report[0]);
    }
    let gone = faults(&[definition()], &[]);
    assert_eq!(gone, ["things.example.com: the definition is gone"]);
}

#[test]
fn what_no_earlier_object_could_meet_is_additive() {
    for edit in lines(ADDITIVE) {
        assert_eq!(report(edit), Vec::<String>::new(), "{edit}");
    }
}

#[test]
fn a_rule_about_a_new_field_alone_is_additive() {
    let mut now = edited("/properties/more", &json!({"type": "string"}));
    let mut with_rule = |rule: &str| {
        let spec = now.pointer_mut(SPEC).unwrap();
        spec[RULES] = json!([{"rule": "has(self.name)"}, {"rule": rule}]);
        faults(&[definition()], std::slice::from_ref(&now))
    };
    let about_it = "!has(self.more) || self.more != self.name";
    assert_eq!(with_rule(about_it), Vec::<String>::new());
    // The conditional would take the first part into its condition.
    let conditional = "!has(self.more) || self.count > 1 ? has(self.note) : false";
    for rule in [conditional, "has(self.more)"] {
        assert_eq!(with_rule(rule).len(), 1, "{rule}");
    }
}

/// Returns the paths of all fields below a schema, as JSON pointers.
fn fields(path: &str, schema: &Value, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/properties/{name}");
        fields(&path, field, found);
        found.push(path);
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            fields(&format!("{path}/{below}"), &schema[below], found);
        }
    }
}

#[test]
fn none_of_our_fields_can_be_taken_away_without_a_report() {
    const ROOT: &str = "/spec/versions/0/schema/openAPIV3Schema";
    let mut seen = 0;
    for definition in manifest::all().iter().map(|it| kept(&json!(it))) {
        let mut all = Vec::new();
        fields(ROOT, definition.pointer(ROOT).unwrap(), &mut all);
        assert_eq!(
            faults(
                std::slice::from_ref(&definition),
                std::slice::from_ref(&definition)
            ),
            Vec::<String>::new()
        );
        let mut left = definition.clone();
        for path in all {
            let (parent, name) = path.rsplit_once('/').unwrap();
            let taken = left
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
            let found = faults(
                std::slice::from_ref(&definition),
                std::slice::from_ref(&left),
            );
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            assert!(
                found[0].ends_with(&format!("the field {name} is gone")),
                "{path}: {found:?}"
            );
            left.pointer_mut(parent).unwrap()[name] = taken.unwrap();
            seen += 1;
        }
    }
    assert!(seen > 400, "{seen} fields");
}

#[test]
fn what_is_kept_has_no_texts_and_compares_as_the_whole_does() {
    for definition in manifest::all().iter().map(|it| json!(it)) {
        let kept = kept(&definition);
        let text = kept.to_string();
        for words in [
            "\"description\":\"",
            "\"message\":\"must",
            "additionalPrinterColumns",
        ] {
            assert!(!text.contains(words), "{words} in {text}");
        }
        assert_eq!(faults(&[kept], &[definition]), Vec::<String>::new());
    }
}

#[test]
fn a_change_is_accepted_by_its_own_line_with_a_reason_above_and_no_other_is() {
    let faults = [
        "things spec: the rule is new: a".to_owned(),
        "things spec: the field b is gone".to_owned(),
    ];
    let judge = |accepted: &str| super::unaccepted(&faults, accepted);
    assert_eq!(judge(""), faults);
    let reasoned = "# The rule allows more than before.\nthings spec: the rule is new: a\n";
    assert_eq!(judge(reasoned), faults[1..]);
    let [bare, other] = &judge("things spec: the rule is new: a\n")[..] else {
        panic!("two")
    };
    assert_eq!(
        bare,
        "accepted without a reason in a comment above: things spec: the rule is new: a"
    );
    assert_eq!(*other, faults[1]);
    let both = format!("# One reason.\n{}\n{}\n", faults[0], faults[1]);
    assert_eq!(judge(&both), Vec::<String>::new());
    let apart = format!("# One reason.\n{}\n\n{}\n", faults[0], faults[1]);
    assert_eq!(
        judge(&apart),
        ["accepted without a reason in a comment above: things spec: the field b is gone"]
    );
    let stale = judge("# Gone.\nthings spec: the field c is gone\n");
    assert_eq!(stale.len(), 3);
    assert_eq!(
        stale[2],
        "accepted, but no change: things spec: the field c is gone"
    );
}
