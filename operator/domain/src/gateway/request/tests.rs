use entente_crds::v1alpha1::DeviceModelSpec;
use serde_json::json;

use super::*;

fn model() -> DeviceModel {
    let spec = DeviceModelSpec {
        manufacturer: "Northwind".to_owned(),
        product_names: vec!["NW MFP *".to_owned()],
        ..DeviceModelSpec::default()
    };
    DeviceModel::new("nw-mfp", spec)
}

fn whole() -> Value {
    json!({
        "serialNumber": "A1B2C3", "productName": "NW MFP 500", "manufacturer": "Northwind",
        "uuid": "urn:uuid:4509a320-00a0-008f-00b6-002507510eca", "shipDestination": "JP",
        "timeZone": "Asia/Tokyo", "languages": ["ja"],
        "area": {"country": "JP", "subdivision": "13"},
        "software": [{"part": "firmware", "name": "main", "version": "4.1.0"}],
        "capabilities": {"ddi": true, "dataTypes": ["supplies.level"], "supplies": ["TN-500K"],
                         "display": {"columns": 24, "lines": 2}},
        "consent": {"by": "Panel", "at": "2027-03-20T01:02:03Z", "textVersion": "2027-01"},
    })
}

fn read(body: &Value) -> Result<Request, Problem> {
    Request::read(body, ConsentRule::Required, [&model()])
}

// shows C2
#[test]
fn the_example_of_the_description_is_read_and_so_is_one_with_what_is_required_only() {
    let request = read(&whole()).unwrap();
    assert_eq!(request.software.len(), 1);
    assert!(request.capabilities.ddi);
    let display = request.capabilities.display.unwrap();
    assert_eq!((display.columns, display.lines), (24, 2));
    let least = json!({"serialNumber": "A", "productName": "NW MFP 1", "shipDestination": "DE",
                       "timeZone": "UTC"});
    let read = Request::read(&least, ConsentRule::NotNeeded, [&model()]).unwrap();
    assert_eq!((read.consent, read.capabilities.ddi), (None, false));
}

// shows C1
#[test]
fn a_consent_of_a_clock_that_is_years_off_is_recorded_as_the_device_says_it() {
    for at in ["1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        let mut body = whole();
        body["consent"]["at"] = json!(at);
        assert_eq!(read(&body).unwrap().consent.unwrap().at.to_string(), at);
    }
}

/// Returns reason and pointers of the answer to the example with one change.
fn answered(pointer: &str, value: Value) -> (&'static str, Vec<String>) {
    let mut body = whole();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(name);
    } else {
        parent[name] = value;
    }
    let problem = read(&body).unwrap_err();
    let Problem::Invalid(_, faults) = &problem else {
        panic!("{problem:?}");
    };
    let pointers = faults.iter().map(|fault| fault.pointer.clone()).collect();
    (problem.reason(), pointers)
}

// shows C1 C2 K4
#[test]
fn every_fault_is_told_with_its_place_and_a_reason_of_its_own_where_there_is_one() {
    for (pointer, value, reason) in [
        ("/serialNumber", json!(null), "InvalidRequest"),
        ("/serialNumber", json!(" A"), "InvalidRequest"),
        ("/serialNumber", json!(7), "InvalidRequest"),
        ("/serialnumber", json!("A"), "InvalidRequest"),
        ("/uuid", json!("A"), "InvalidRequest"),
        ("/shipDestination", json!("Japan"), "InvalidRequest"),
        ("/timeZone", json!("../etc/passwd"), "InvalidRequest"),
        ("/timeZone", json!("Mars/Olympus"), "UnknownTimeZone"),
        ("/productName", json!("Other"), "UnknownModel"),
        ("/consent", json!(null), "ConsentMissing"),
        ("/consent/by", json!("panel"), "InvalidRequest"),
        ("/consent/at", json!("yesterday"), "InvalidRequest"),
        ("/consent/textVersion", json!(null), "InvalidRequest"),
        ("/area/country", json!(null), "InvalidRequest"),
        ("/capabilities/ddi", json!("yes"), "InvalidRequest"),
        ("/capabilities/fax", json!(true), "InvalidRequest"),
        ("/capabilities/dataTypes", json!("a"), "InvalidRequest"),
        ("/capabilities/supplies", json!(7), "InvalidRequest"),
        ("/capabilities/display", json!("24x2"), "InvalidRequest"),
        ("/capabilities/display/columns", json!(0), "InvalidRequest"),
        ("/capabilities/display/lines", json!(null), "InvalidRequest"),
        ("/capabilities/display/lines", json!(513), "InvalidRequest"),
        ("/capabilities/display/rows", json!(2), "InvalidRequest"),
        ("/languages", json!("ja"), "InvalidRequest"),
        ("/csr", json!("AAAA"), "InvalidRequest"),
    ] {
        assert_eq!(answered(pointer, value), (reason, vec![pointer.to_owned()]));
    }
    let (reason, pointers) = answered("/manufacturer", json!("Southwind"));
    assert_eq!((reason, &*pointers[0]), ("UnknownModel", "/productName"));
    let twice = json!([{"part": "firmware", "name": "main", "version": "1"},
                       {"part": "firmware", "name": "main", "version": "2"}]);
    assert_eq!(answered("/software", twice).1, ["/software/1"]);
    let named = json!({"dataTypes": ["a b"], "supplies": [7]});
    let pointers = answered("/capabilities", named).1;
    assert_eq!(
        pointers,
        ["/capabilities/dataTypes/0", "/capabilities/supplies/0"]
    );
    let languages = json!(vec!["ja"; 9]);
    assert_eq!(answered("/languages", languages).1, ["/languages"]);
}

#[test]
fn faults_of_several_kinds_are_told_together_as_one_invalid_request() {
    let problem = read(&json!({"serialNumber": 7, "productName": "Other"})).unwrap_err();
    let Problem::Invalid(Content::InvalidRequest, faults) = problem else {
        panic!("{problem:?}");
    };
    let pointers: Vec<&str> = faults.iter().map(|fault| &*fault.pointer).collect();
    assert_eq!(
        pointers,
        [
            "/serialNumber",
            "/productName",
            "/timeZone",
            "/shipDestination",
            "/consent"
        ]
    );
    assert_eq!(read(&json!([])).unwrap_err().reason(), "InvalidRequest");
}
