//! Statuses full of odd texts, and of as many entries as there may be, on the real API server.

use entente_crds::status_rules::{Filling, filled, odd_texts, through_its_type};

use super::*;

// shows K7
#[tokio::test]
async fn a_status_full_of_odd_texts_or_of_entries_is_written_as_it_is() {
    const NAME: &str = "full-of-odd-texts";
    let admission = Admission::new().await;
    let texts = odd_texts();
    let mut wrong = Vec::new();
    for kind in CaseKind::ALL.iter().copied() {
        let plural = kind.plural();
        let object = admission.named(kind, kind.complete(), NAME);
        admission.create(kind, &object).await.expect("it is valid");
        let texts = texts.iter();
        let texts = texts.map(|(what, text)| (*what, Filling::Texts(text)));
        for (what, filling) in texts.chain([("lists", Filling::Lists)]) {
            let status = through_its_type(plural, filled(plural, filling));
            let mut object = admission.get(kind, NAME).await;
            object["status"] = status.clone();
            let path = format!("{}/status", admission.path(kind, NAME));
            match admission.call(Method::PUT, &path, JSON, &object).await {
                Ok(written) if written["status"] == status => {}
                Ok(_) => wrong.push(format!("{plural}, {what}: it was changed")),
                Err((code, said)) => wrong.push(format!("{plural}, {what}: {code} {said}")),
            }
        }
    }
    let of_the_cluster = CaseKind::ALL.iter().filter(|kind| !kind.is_namespaced());
    let of_the_cluster: Vec<_> = of_the_cluster.map(|kind| (*kind, NAME)).collect();
    admission.clear(&of_the_cluster).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
