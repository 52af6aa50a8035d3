use entente_crds::v1alpha1::DeviceEnrollment;
use reqwest::StatusCode;
use serde_json::json;

use super::{
    lines::Lines,
    stand::{ACME, Stand, options, problem, registration, token},
};

const REFUSED: &str = "a registration was refused";

// shows K4
#[tokio::test]
async fn a_refused_registration_is_found_in_the_log_by_its_enrolment_and_serial_number() {
    let (lines, _guards) = Lines::begin();
    let stand = Stand::new().await;
    let refused = |body: serde_json::Value, token: String| {
        let (stand, lines) = (&stand, &lines);
        async move {
            let answer = stand.post_registration(&body, &token).await;
            let (_, reason) = problem(answer).await;
            let line = lines.last(REFUSED).unwrap_or_else(|| lines.text());
            assert!(line.contains(&format!("outcome=\"{reason}\"")), "{line}");
            line
        }
    };
    let mut odd = registration("B\u{7}2\n".repeat(40).as_str());
    odd["productName"] = json!("Nobody's 7");
    let line = refused(odd, token()).await;
    assert!(line.contains("enrollment=\"acme/acme-2027\""), "{line}");
    let serial_number = format!("serial_number=\"{}…\"", "B2 ".repeat(21));
    assert!(line.contains(&serial_number), "{line}");
    let finding = "/productName: it is \\\"Nobody's 7\\\"";
    assert!(line.contains(finding), "{line}");

    // Nothing is read of who has no token: the address is all that there is.
    let line = refused(registration("C3"), "guessed-token".to_owned()).await;
    assert!(!line.contains("C3") && !line.contains("guessed"), "{line}");
    assert!(line.contains("address=\"127.0.0.1\""), "{line}");

    let suspend = |it: &mut DeviceEnrollment| it.spec.suspend = true;
    stand.cluster.edit(ACME, "acme-2027", suspend);
    let key = entente_controllers::cache::Key::new(ACME, "acme-2027");
    let is_seen = || {
        let seen = stand.gateway.objects.enrollments.get(&key);
        seen.is_some_and(|it| it.spec.suspend)
    };
    stand.until(is_seen).await;
    let line = refused(registration("D4"), token()).await;
    assert!(line.contains("outcome=\"EnrollmentSuspended\""), "{line}");
    assert!(line.contains("serial_number=\"D4\""), "{line}");
    assert!(!lines.text().contains(&token()), "{}", lines.text());
}

// shows C13
#[tokio::test]
async fn a_connection_that_is_not_there_is_named_in_the_log_and_by_readyz_until_it_is() {
    let (lines, _guards) = Lines::begin();
    let options = crate::Options {
        connection: "nothere".to_owned(),
        ..options()
    };
    let stand = Stand::with(options).await;
    let notes = || stand.gateway.parts.readiness.notes().join("");
    let missing = "the Connection \"nothere\" does not exist: apply a Connection of protocol Agent";
    stand.until(|| notes().contains(missing)).await;
    // Another replica could do no more, and a load balancer without any refuses connections.
    assert!(stand.gateway.parts.readiness.is_ready());
    let line = lines.last("devices are not answered").unwrap();
    assert!(line.contains("WARN") && line.contains("nothere"), "{line}");
    let region = stand.get("/v1/region?country=JP", "").await;
    assert_eq!(problem(region).await, (503, "Unavailable".to_owned()));

    let mut connection = super::stand::connection();
    connection.metadata.name = Some("nothere".to_owned());
    stand.cluster.apply(&connection);
    stand.until(|| notes().is_empty()).await;
    assert!(lines.last("devices are answered").is_some());
    let region = stand.get("/v1/region?country=JP", "").await;
    assert_eq!(region.status(), StatusCode::OK);
}
