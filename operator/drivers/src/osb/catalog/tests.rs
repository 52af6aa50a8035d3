//! Odd entries, each beside one that is as it should be.

use serde_json::json;

use super::*;
use crate::{credentials::CredentialsValue, text::tests::NOTHING};

fn catalog(services: &Value) -> Catalog {
    let body = json!({ "services": services });
    read(body.as_object().unwrap(), NOTHING).unwrap()
}

/// Returns the names of offerings, each with those of its plans.
fn names(catalog: &Catalog) -> Vec<(&str, Vec<&str>)> {
    let offerings = catalog.offerings.iter();
    offerings
        .map(|offering| {
            let plans = offering.plans.iter().map(|plan| plan.name.as_str());
            (offering.name.as_str(), plans.collect())
        })
        .collect()
}

fn good() -> Value {
    json!({"id": "s", "name": "backup", "plans": [{"id": "p", "name": "standard"}]})
}

#[test]
fn a_catalog_is_read_with_what_may_be_missing() {
    let body = json!({"services": [{
        "id": "s", "name": "data-backup", "description": "…", "bindable": false,
        "instances_retrievable": true,
        "plans": [
            {"id": "p", "name": "standard", "maximum_polling_duration": 600},
            {"id": "q", "name": "large", "plan_updateable": true,
                "maintenance_info": {"version": "2.1.1+abcdef", "description": "…"}},
        ],
    }, {"id": "t", "name": "bare"}]});
    let read = read(body.as_object().unwrap(), NOTHING).unwrap();
    assert_eq!(read.offerings.len(), 2);
    assert!(read.offerings[0].instances_retrievable && !read.offerings[1].instances_retrievable);
    let polling = |plan: usize| read.offerings[0].plans[plan].maximum_polling_duration;
    assert_eq!(polling(0), Some(SignedDuration::from_mins(10)));
    assert_eq!(polling(1), None);
    let [standard, large] = read.offerings[0].plans.as_slice() else {
        panic!("two plans are needed")
    };
    assert!(!standard.updateable && large.updateable);
    assert_eq!(standard.maintenance_version, None);
    assert_eq!(large.maintenance_version.as_deref(), Some("2.1.1+abcdef"));
    for body in [
        json!({}),
        json!({"services": null}),
        json!({"services": {}}),
    ] {
        assert_eq!(
            super::read(body.as_object().unwrap(), NOTHING),
            None,
            "{body}"
        );
    }
}

#[test]
fn a_plan_can_be_left_if_it_says_so_or_else_its_offering() {
    for (offering, plan, updateable) in [
        (json!(true), json!(null), true),
        (json!(true), json!(false), false),
        (json!(false), json!(true), true),
        (json!(null), json!(null), false),
    ] {
        let mut body = json!({"id": "s", "name": "s", "plans": [{"id": "p", "name": "p"}]});
        if !offering.is_null() {
            body["plan_updateable"] = offering.clone();
        }
        if !plan.is_null() {
            body["plans"][0]["plan_updateable"] = plan.clone();
        }
        let read = catalog(&json!([body]));
        let found = read.offerings[0].plans[0].updateable;
        assert_eq!(found, updateable, "{offering} {plan}");
    }
}

// shows K7
#[test]
fn an_offering_that_cannot_be_used_is_named_and_costs_no_other() {
    let plans = json!([{"id": "p", "name": "standard"}]);
    for (odd, said) in [
        (json!(null), "the offering number 1 has no id"),
        (json!("cloud"), "the offering number 1 has no id"),
        (
            json!({"id": "t", "plans": plans}),
            "the offering \"t\" has no name",
        ),
        (
            json!({"id": "t", "name": "", "plans": plans}),
            "the offering \"t\" has no name",
        ),
        (
            json!({"id": 7, "name": "cloud"}),
            "the offering \"cloud\" has no id",
        ),
        (
            json!({"id": null, "name": "cloud"}),
            "the offering \"cloud\" has no id",
        ),
        (
            json!({"id": "x".repeat(1025), "name": "cloud"}),
            "the offering \"cloud\" has an id of more than 1024 characters",
        ),
        (
            json!({"id": "t", "name": "x".repeat(1025)}),
            &format!(
                "the offering \"{}…\" has a name of more than 1024 characters",
                "x".repeat(63)
            ),
        ),
    ] {
        let read = catalog(&json!([odd, good()]));
        assert_eq!(names(&read), [("backup", vec!["standard"])], "{odd}");
        assert_eq!(read.odd, [said], "{odd}");
    }
}

// shows K7
#[test]
fn an_offering_without_plans_and_a_plan_that_cannot_be_used_are_named() {
    for plans in [json!(null), json!([]), json!("none")] {
        let read = catalog(&json!([{"id": "t", "name": "cloud", "plans": plans}, good()]));
        let expected = [("cloud", vec![]), ("backup", vec!["standard"])];
        assert_eq!(names(&read), expected, "{plans}");
        assert_eq!(read.odd, ["the offering \"cloud\" has no plans"], "{plans}");
    }
    let plans = json!([null, {"id": "p", "name": "standard"}, {"id": "q"}]);
    let read = catalog(&json!([{"id": "s", "name": "backup", "plans": plans}]));
    assert_eq!(names(&read), [("backup", vec!["standard"])]);
    let said = [
        "the plan number 1 of the offering \"backup\" has no id",
        "the plan \"q\" of the offering \"backup\" has no name",
    ];
    assert_eq!(read.odd, said);
}

// shows K7
#[test]
fn of_two_entries_with_one_id_the_first_counts_and_the_other_is_named() {
    let plan = |name: &str| json!({"id": "p", "name": name});
    let offering = |name: &str, plans: &[Value]| json!({"id": "s", "name": name, "plans": plans});
    let read = catalog(&json!([
        offering("backup", &[plan("standard"), plan("large")]),
        offering("cloud", &[plan("standard")]),
        // Ids of plans are looked up within their offering (cloudfoundry/cloud_controller_ng PR 2097).
        {"id": "t", "name": "third", "plans": [plan("standard")]},
    ]));
    let expected = [("backup", vec!["standard"]), ("third", vec!["standard"])];
    assert_eq!(names(&read), expected);
    let said = [
        "the plan \"large\" of the offering \"backup\" has the id of one before it",
        "the offering \"cloud\" has the id of one before it",
        "the plan \"standard\" of the offering \"third\" has the id \"p\" of a plan of another \
         offering",
    ];
    assert_eq!(read.odd, said);
}

// shows K7
#[test]
fn null_is_no_value_and_is_not_odd() {
    let plan = json!({
        "id": "p", "name": "standard", "maximum_polling_duration": null,
        "plan_updateable": null, "maintenance_info": null,
    });
    let read = catalog(&json!([{
        "id": "s", "name": "backup", "plans": [plan],
        "instances_retrievable": null, "plan_updateable": true,
    }]));
    assert_eq!(read.odd, [""; 0]);
    let offering = &read.offerings[0];
    assert!(!offering.instances_retrievable);
    let plan = &offering.plans[0];
    assert!(plan.updateable);
    assert_eq!(plan.maximum_polling_duration, None);
    assert_eq!(plan.maintenance_version, None);
}

// shows K7
#[test]
fn a_field_that_makes_no_sense_is_named_and_its_entry_is_used_without_it() {
    let of_plan = |field: &str, value: &Value| {
        let mut service = good();
        service["plans"][0][field] = value.clone();
        catalog(&json!([service]))
    };
    let minutes = |read: &Catalog| read.offerings[0].plans[0].maximum_polling_duration;
    for seconds in [json!(600), json!(600.0), json!(6e2)] {
        let read = of_plan("maximum_polling_duration", &seconds);
        assert_eq!(minutes(&read), Some(SignedDuration::from_mins(10)));
        assert_eq!(read.odd, [""; 0]);
    }
    let plan = "the plan \"standard\" of the offering \"backup\"";
    // Nothing can end within no time.
    for odd in [
        json!("600"),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!([]),
    ] {
        let read = of_plan("maximum_polling_duration", &odd);
        assert_eq!(minutes(&read), None, "{odd}");
        let said = format!("{plan} has an unusable maximum_polling_duration");
        assert_eq!(read.odd, [said], "{odd}");
    }
    let read = of_plan("plan_updateable", &json!("yes"));
    let said = format!("{plan} has an unusable plan_updateable");
    assert_eq!(
        (read.odd, read.offerings[0].plans[0].updateable),
        (vec![said], false)
    );
    for odd in [json!({}), json!("1"), json!({"version": 1})] {
        let read = of_plan("maintenance_info", &odd);
        let said = format!("{plan} has an unusable maintenance_info");
        assert_eq!(read.odd, [said], "{odd}");
    }
    let mut service = good();
    service["instances_retrievable"] = json!(1);
    let read = catalog(&json!([service]));
    let said = "the offering \"backup\" has an unusable instances_retrievable";
    assert_eq!(read.odd, [said]);
}

// shows K4 K7
#[test]
fn at_most_eight_are_named_without_what_is_private() {
    let read = catalog(&json!(vec![json!({"id": "t"}); 1000]));
    assert_eq!(read.odd.len(), 8);
    assert_eq!(read.odd[7], "993 more");
    let url = "https://broker.internal.example/osb";
    let private = PrivateTexts { url, ..NOTHING };
    let body = json!({"services": [{"name": format!("at {url}\n\u{202e}{}", "é".repeat(5000))}]});
    let read = super::read(body.as_object().unwrap(), private).unwrap();
    let said = format!("the offering \"at [url] {}…\" has no id", "é".repeat(54));
    assert_eq!(read.odd, [said]);
}

// shows K4
#[test]
fn a_name_that_holds_the_login_is_used_as_it_is_and_shown_without_it() {
    let login = CredentialsValue::Basic {
        username: "northwind".to_owned().into(),
        password: "correct-horse-battery".to_owned().into(),
    };
    let private = PrivateTexts {
        credentials: Some(&login),
        ..NOTHING
    };
    let name = "backup correct-horse-battery";
    let plan = json!({"id": "p", "name": "for northwind:correct-horse-battery"});
    let body = json!({"services": [{"id": "s", "name": name, "plans": [plan]}]});
    let read = super::read(body.as_object().unwrap(), private).unwrap();
    let offering = &read.offerings[0];
    assert_eq!(offering.name, name);
    for shown in [offering.shown_name(), offering.plans[0].shown_name()] {
        assert!(!shown.contains("battery"), "{shown}");
    }
    assert_eq!(catalog(&json!([good()])).offerings[0].shown, None);
}
