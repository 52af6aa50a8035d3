//! A Device with connections of its own, and one that has the same by its Site, are one to everybody: the
//! same events bring about the same requests and the same statuses.
//!
//! A reader of Devices that forgets their Sites shows as a difference, whatever it reads them for: claims,
//! users of a Connection, logins, wake-ups.

use serde_json::json;

use super::*;

/// True if an event is the same whether Devices have their connections by a Site or not.
fn is_of_both(event: &Event) -> bool {
    let is_about = |subject: &objects::Subject| {
        matches!(subject, objects::Subject::Site)
            || *subject == objects::Subject::Device(objects::AT_SITE)
    };
    match event {
        Event::Edited(subject, _)
        | Event::Deleted(subject)
        | Event::Applied(subject)
        | Event::Spoiled(subject)
        | Event::Unprotected(subject)
        | Event::Status(subject, _) => !is_about(subject),
        _ => true,
    }
}

/// Takes out what tells how often an object was written, when, and as the how manieth of all.
fn without_marks(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for mark in [
                "resourceVersion",
                "generation",
                "observedGeneration",
                "uid",
                "deviceUid",
            ] {
                fields.remove(mark);
            }
            fields.values_mut().for_each(without_marks);
        }
        Value::Array(entries) => entries.iter_mut().for_each(without_marks),
        Value::String(text) if text.parse::<Timestamp>().is_ok() => *value = json!("an instant"),
        _ => {}
    }
}

fn compared(own: &Picture, at_sites: &Picture) -> String {
    let seen = |picture: &Picture| {
        let mut seen = picture.clone();
        seen.instants.clear();
        seen.writes.clear();
        seen.sent.sort();
        // Certificates are others each time.
        seen.objects
            .retain(|name, _| !name.starts_with("configmaps"));
        seen.objects.values_mut().for_each(without_marks);
        seen
    };
    let (own, at_sites) = (seen(own), seen(at_sites));
    let mut said = Picture {
        sent: Vec::new(),
        ..own.clone()
    }
    .differences(&Picture {
        sent: Vec::new(),
        ..at_sites.clone()
    });
    if own.sent != at_sites.sent {
        let _ = write!(
            said,
            "\nsent {:#?}, and at sites {:#?}",
            own.sent, at_sites.sent
        );
    }
    said
}

fn judge(sequences: &[Vec<Event>]) -> Result<(), String> {
    let own = run_in(objects::prepared, sequences)?;
    let at_sites = run_in(objects::prepared_at_sites, sequences)?;
    for (index, (own, at_sites)) in own.iter().zip(&at_sites).enumerate() {
        let differences = compared(own, at_sites);
        if !differences.is_empty() {
            return Err(format!("after sequence {index}{differences}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(32, |it| it.parse().expect("a number")),
        failure_persistence: None,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]

    // shows K2 K4
    #[test]
    fn connections_of_a_site_and_those_of_the_device_itself_come_to_the_same(
        sequences in prop::collection::vec(
            prop::collection::vec(events().prop_filter("of a Site", is_of_both), 1..5), 1..4
        ),
    ) {
        if let Err(differences) = judge(&sequences) {
            prop_assert!(false, "{differences}\nafter {sequences:#?}");
        }
    }
}
