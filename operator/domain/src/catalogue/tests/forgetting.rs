//! Tests of the annotation by which a person takes orphans out of the list, and of orphans that are
//! gone while the subscription that left them behind still exists.

use entente_crds::{ANNOTATION_FORGET_ORPHAN, v1alpha1::Protocol};

use super::*;

fn forget(connection: &mut Connection, ids: Option<&str>) {
    let annotation = |ids: &str| (ANNOTATION_FORGET_ORPHAN.to_owned(), ids.to_owned());
    let annotations = ids.map(|ids| [annotation(ids)].into());
    connection.metadata.annotations = annotations;
}

/// Returns a Connection that lists these orphans, whose subscriptions are gone.
fn with(ids: &[&str]) -> Connection {
    let mut connection = Connection::new("northwind", ConnectionSpec::default());
    connection.spec.protocol = Protocol::OSB;
    let given_up = ids.iter().map(|id| abandoned(id)).collect();
    listed(&mut connection, &seen(given_up));
    connection
}

fn seen(abandoned: Vec<ServiceSubscription>) -> ObservedConnection {
    ObservedConnection {
        instances: left(abandoned),
        probe: Some(Ok(())),
        ..ObservedConnection::default()
    }
}

fn ready(connection: &Connection) -> String {
    let status = connection.status.clone().unwrap_or_default();
    let ready = find(&status.conditions, ConditionType::Ready).expect("it is stated");
    format!("{} {}", ready.status, ready.message)
}

fn count(connection: &Connection) -> Option<i64> {
    connection.status.as_ref()?.orphan_count
}

// shows C10
#[test]
fn a_person_takes_orphans_out_of_the_list_by_an_annotation_and_repeating_it_harms_nothing() {
    let nobody = seen(Vec::new());
    let mut connection = with(&["a", "b", "c"]);
    assert_eq!(count(&connection), Some(3));
    forget(&mut connection, Some(" a, c,"));
    for _ in 0..3 {
        assert_eq!(listed(&mut connection, &nobody), ["b"]);
        assert_eq!(ready(&connection), "True The last probe was answered.");
        assert_eq!(count(&connection), Some(1));
    }
    // An orphan of this id that comes later is another one.
    let later = seen(vec![abandoned("a")]);
    assert_eq!(listed(&mut connection, &later), ["a", "b"]);
    assert_eq!(listed(&mut connection, &nobody), ["a", "b"]);
    forget(&mut connection, None);
    assert_eq!(listed(&mut connection, &nobody), ["a", "b"]);
    forget(&mut connection, Some("a"));
    assert_eq!(listed(&mut connection, &nobody), ["b"]);
}

// shows C10 K2
#[test]
fn a_wrong_id_is_named_with_those_that_are_allowed() {
    let mut connection = with(&["a", "b"]);
    forget(&mut connection, Some("x,b"));
    assert_eq!(listed(&mut connection, &seen(Vec::new())), ["a"]);
    assert_eq!(
        ready(&connection),
        "True The last probe was answered. The annotation entente.dev/forget-orphan names x, which \
         is no instanceId in status.orphans; there are: a."
    );
    // One that is named before it is listed is forgotten as soon as it is.
    assert_eq!(
        listed(&mut connection, &seen(vec![abandoned("x")])),
        ["a", "x"]
    );
    assert_eq!(count(&connection), Some(1));
    assert_eq!(ready(&connection), "True The last probe was answered.");
    assert_eq!(listed(&mut connection, &seen(Vec::new())), ["a"]);
}

// shows C10
#[test]
fn what_is_gone_is_listed_until_the_subscription_that_left_it_behind_has_taken_note() {
    let given_up = seen(vec![abandoned("a")]);
    let mut connection = with(&["a"]);
    forget(&mut connection, Some("a"));
    for _ in 0..2 {
        assert_eq!(listed(&mut connection, &given_up), ["a"]);
        let status = connection.status.as_ref().expect("a status");
        assert_eq!(status.orphans[0].gone, Some(NOW));
        assert_eq!(count(&connection), Some(0));
    }
    assert_eq!(listed(&mut connection, &seen(Vec::new())), [""; 0]);
}

// shows C10
#[test]
fn an_id_with_a_removal_under_way_stays_listed_although_it_is_in_service_or_forgotten() {
    for in_service in [true, false] {
        let mut connection = with(&["a"]);
        let orphans = &mut connection.status.as_mut().expect("a status").orphans;
        orphans[0].removal = Some(entente_crds::v1alpha1::OrphanRemoval::default());
        let mut observed = seen(Vec::new());
        if in_service {
            observed.instances.in_service = ["a".to_owned()].into();
        } else {
            forget(&mut connection, Some("a"));
        }
        assert_eq!(listed(&mut connection, &observed), ["a"]);
        let orphans = &mut connection.status.as_mut().expect("a status").orphans;
        assert_eq!(orphans[0].gone, None);
        orphans[0].removal = None;
        assert_eq!(listed(&mut connection, &observed), [""; 0]);
    }
}
