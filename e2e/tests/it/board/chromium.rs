//! The board in Debian's Chromium: what a person sees who signs in, looks around and signs out.

use std::time::Duration;

use entente_crds::v1alpha1::Contract;
use entente_e2e::namespace::starting_in;
use serde_json::{Value, json};

use super::browser::{Visit, visit};
use super::viewer::Viewer;
use crate::delivery_fixture::{
    DeliveryFixture, contract_is, contract_says, one_late_and_one_ahead,
};

/// Text in an object that would be a script if a page took it as it is.
const HOSTILE: &str = "<script>document.title='taken'</script><b>Bank</b>";
/// Variable with the path of the picture that `make picture` draws.
const PICTURE: &str = "ENTENTE_BOARD_PICTURE";

/// Applies a contract that is late and three that begin later: one at risk, since a device of it is not
/// there, one at risk, since a device of it is off, and one with nothing against it. Returns a viewer of
/// all of them.
async fn four_contracts<'a>(fixture: &'a DeliveryFixture<'a>) -> Viewer<'a> {
    let names: Vec<&str> = (0..3).map(|place| fixture.name(place)).collect();
    one_late_and_one_ahead(fixture, &names).await;
    let namespace = &fixture.namespace;
    let in_hours = |hours| starting_in(Duration::from_hours(hours));
    let entry = |devices: &[&str]| vec![namespace.entry("parts", "parts-life", devices, "1s")];
    let mut risky = namespace.contract("risky-2027", in_hours(12), entry(&["absent-mfp"]));
    "C-5000".clone_into(&mut risky.spec.customer.id);
    risky.spec.customer.name = Some(HOSTILE.to_owned());
    namespace.apply::<Contract>(&risky).await.unwrap();
    let calm = namespace.contract("calm-2027", in_hours(6), entry(&names[..1]));
    namespace.apply::<Contract>(&calm).await.unwrap();
    contract_is(namespace, "risky-2027", "StartAtRisk").await;
    contract_is(namespace, "later-2027", "DevicesFailing").await;
    contract_says(namespace, "calm-2027", "Ready", "Scheduled").await;
    let viewer = Viewer::new(namespace).await;
    viewer.may_view(namespace).await;
    viewer.read_until("/", "risky-2027").await;
    viewer
}

/// Returns the steps to sign in with a token.
fn sign_in(url: &str, token: &str) -> Vec<Value> {
    vec![
        json!({"open": url}),
        json!({"fill": ["#token", token]}),
        json!({"click": ".sign-in button"}),
    ]
}

fn steps(first: Vec<Value>, more: Value) -> Value {
    let Value::Array(more) = more else {
        panic!("steps are a list")
    };
    [first, more].concat().into()
}

/// Asserts that a result of a visit has texts, in this order.
#[track_caller]
fn has(result: &Value, texts: &[&str]) {
    let found = match result {
        Value::Array(all) => all
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join("\n"),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let mut rest = &*found;
    for text in texts {
        let Some(at) = rest.find(text) else {
            panic!("{text:?} is missing, or in another order, in\n{found}");
        };
        rest = &rest[at + text.len()..];
    }
}

/// Asserts that a browser was content, but for answers to people who were not known, and asked nobody else.
#[track_caller]
fn is_quiet(visit: &Visit, url: &str) {
    let complaints = visit.complaints.iter();
    let complaints: Vec<&String> = complaints.filter(|it| !it.contains("401")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(visit.hosts, [url]);
}

/// Asserts what each part of the first page tells of the four contracts.
#[track_caller]
fn tells_everything(seen: &Visit, off: &str) {
    let [_, _, _, tiles, starts, late, owed, devices, ..] = &seen.results[..] else {
        panic!("{seen:#?}")
    };
    let expected = [
        "2 of 3",
        "within 7 days are at risk",
        "1",
        "service is late now",
        "BRL",
    ];
    has(
        tiles,
        &[&expected[..], &["1", "device made us late"]].concat(),
    );
    let first = ["in ", "risky-2027", "C-5000", "at risk", "absent-mfp"];
    let second = ["later-2027", "C-4711", "at risk", off];
    has(
        starts,
        &[&first[..], &second, &["calm-2027", "none known"]].concat(),
    );
    let why = [
        "Unreachable",
        "Device",
        "on ",
        off,
        "Check that it is switched on",
    ];
    has(
        late,
        &[&["late-2027", "parts", "C-4711", "missed on 1"], &why[..]].concat(),
    );
    has(owed, &["C-4711", "late-2027", "BRL", "BRL", "BRL"]);
    has(
        devices,
        &[off, "late-2027", "1", "still grows", "Unreachable"],
    );
    assert!(
        !owed.to_string().contains("C-5000"),
        "nothing is owed to that one: {owed}"
    );
}

// shows B2 D1 D3 D8 K3
#[tokio::test]
async fn a_person_sees_what_starts_what_is_late_what_is_owed_and_which_devices_are_to_blame() {
    let fixture = DeliveryFixture::new("board", 3).await;
    let viewer = four_contracts(&fixture).await;
    let (url, off) = (viewer.board.url(), fixture.name(2));
    let picture = std::env::var(PICTURE).unwrap_or_default();
    let mut asked = sign_in(&url, &viewer.token);
    asked.extend([
        json!({"texts": ".tile"}),
        json!({"texts": "#starts tbody tr"}),
        json!({"texts": "#late tbody tr"}),
        json!({"texts": "#owed tbody tr"}),
        json!({"texts": "#devices tbody tr"}),
    ]);
    if !picture.is_empty() {
        asked.push(json!({"picture": picture}));
    }
    let seen = visit(asked.into(), false).await;
    is_quiet(&seen, &url);
    tells_everything(&seen, off);
    fixture.finish().await;
}

// shows D1 D3
#[tokio::test]
async fn a_person_goes_from_a_debt_to_the_item_that_is_missing_and_asks_for_less() {
    let fixture = DeliveryFixture::new("board-tree", 3).await;
    let viewer = four_contracts(&fixture).await;
    let (url, off) = (viewer.board.url(), fixture.name(2));
    let asked = steps(
        sign_in(&url, &viewer.token),
        json!([
            {"click": "#owed td a"},
            {"text": "main"},
            {"click": "header h1 a"},
            {"select": ["select[name=customer]", "C-4711"]},
            {"fill": ["input[name=days]", "1"]},
            {"click": ".filter button"},
            {"text": "main"},
            {"select": ["select[name=customer]", "C-5000"]},
            {"click": ".filter button"},
            {"click": "#starts td a"},
            {"text": "main"},
            {"run": "document.title + document.querySelectorAll('main b').length"},
        ]),
    );
    let seen = visit(asked, true).await;
    is_quiet(&seen, &url);
    let results = &seen.results[3..];
    let tree = [
        "Contract late-2027",
        "Delivered",
        "2/3",
        "PromiseMissed",
        "parts",
        off,
    ];
    has(
        &results[1],
        &[&tree[..], &["Unreachable", "Check that it is switched on"]].concat(),
    );
    has(
        &results[6],
        &[
            "0 of 1",
            "within a day",
            "calm-2027",
            "none known",
            "late-2027",
            "BRL",
        ],
    );
    has(&results[10], &["Contract risky-2027", "C-5000", HOSTILE]);
    let title = format!("{}/risky-2027 · Entente", fixture.namespace.name());
    has(&results[11], &[&title]);
    fixture.finish().await;
}

// shows K4
#[tokio::test]
async fn a_session_is_for_the_board_alone_and_ends_and_no_script_runs_in_a_page() {
    let namespace = crate::delivery_fixture::test_namespace("board-session").await;
    let viewer = Viewer::new(&namespace).await;
    viewer.may_view(&namespace).await;
    let url = viewer.board.url();
    let inject = "(() => { const s = document.createElement('script'); s.textContent = 'window.hit = 1'; \
                  document.head.append(s); return String(window.hit); })()";
    let mut asked = sign_in(&url, "not-a-token");
    asked.push(json!({"text": "[role=alert]"}));
    let asked = steps(
        [asked, sign_in(&url, &viewer.token)].concat(),
        json!([
            {"cookies": true},
            {"run": "document.cookie"},
            {"run": inject},
            {"click": "header form button"},
            {"cookies": true},
            {"text": "main"},
        ]),
    );
    let seen = visit(asked, false).await;
    has(
        &seen.results[3],
        &["The API server does not know this token"],
    );
    let [cookies, readable, injected, _, after, page] = &seen.results[7..] else {
        panic!("{seen:#?}")
    };
    let cookie = &cookies[0];
    assert_eq!(
        (
            &cookie["httpOnly"],
            &cookie["secure"],
            &cookie["sameSite"],
            &cookie["path"]
        ),
        (&json!(true), &json!(true), &json!("Strict"), &json!("/")),
        "{cookies}"
    );
    assert_eq!(readable, "", "no script can read it");
    assert_eq!(injected, "undefined", "no script runs");
    let is_refusal = |it: &&String| it.contains("Content Security Policy");
    assert_eq!(
        seen.complaints.iter().filter(is_refusal).count(),
        1,
        "{seen:#?}"
    );
    assert_eq!(after, &json!([]), "signed out");
    has(page, &["Sign in with a token"]);
}
