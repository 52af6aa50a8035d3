//! Report of a MessageText.
//!
//! Decides which of several MessageTexts of one type of error counts: the older one. Called by the
//! catalogue controller, and by delivery for the texts that it shows.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{MessageText, MessageTextStatus},
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::condition::{ConditionSet, Summary, Work};

/// Returns the status of a MessageText. `elder` is the name of an older one for the same type of error, and
/// `used_by` the number of models that have an error of the type.
pub fn report_text(
    text: &MessageText,
    elder: Option<&str>,
    used_by: usize,
    now: Timestamp,
) -> MessageTextStatus {
    let previous = text.status.clone().unwrap_or_default();
    let generation = text.metadata.generation;
    let fault = elder.map(|elder| {
        let r#type = &text.spec.error_type;
        format!("The MessageText {elder}, which is older, has the texts for {type}.")
    });
    let summary = match &fault {
        Some(message) => Summary::open(Reason::DuplicateErrorType, message.clone(), Work::Stalled),
        None => Summary::done(Reason::Succeeded, "The texts are valid."),
    };
    let refused = fault.map(|message| (Reason::DuplicateErrorType, message));
    let set = ConditionSet::new(&previous.conditions, generation, now).with_fault(
        ConditionType::Accepted,
        refused,
        (Reason::Valid, "The texts are valid."),
    );
    MessageTextStatus {
        observed_generation: summary.observed_generation(generation, previous.observed_generation),
        conditions: summary.state(set).finish(),
        used_by: i64::try_from(used_by).ok(),
    }
}

/// Returns the MessageText that counts for each type of error.
pub fn texts_that_count(texts: Vec<Arc<MessageText>>) -> BTreeMap<String, Arc<MessageText>> {
    let mut found: BTreeMap<String, Arc<MessageText>> = BTreeMap::new();
    for text in texts {
        let r#type = text.spec.error_type.clone();
        let is_younger = |known: &Arc<MessageText>| by_age(known, &text) == Ordering::Less;
        if !found.get(&r#type).is_some_and(is_younger) {
            found.insert(r#type, text);
        }
    }
    found
}

fn by_age(one: &MessageText, other: &MessageText) -> Ordering {
    let age = |text: &MessageText| (text.creation_timestamp(), text.name_any());
    age(one).cmp(&age(other))
}

#[cfg(test)]
mod tests {
    use entente_crds::example;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::condition::find;

    fn text(name: &str, created: i64) -> Arc<MessageText> {
        let mut text = example::toner_empty_text();
        text.metadata.name = Some(name.to_owned());
        let at = Timestamp::from_second(created).expect("an instant");
        text.metadata.creation_timestamp = Some(Time(at));
        Arc::new(text)
    }

    // shows A6
    #[test]
    fn of_two_texts_for_one_type_of_error_the_older_one_counts_and_the_other_says_so() {
        for (texts, expected) in [
            (vec![text("a", 2), text("b", 1)], "b"),
            (vec![text("b", 1), text("a", 2)], "b"),
            (vec![text("b", 1), text("a", 1)], "a"),
            (vec![text("c", 5)], "c"),
        ] {
            let counts = texts_that_count(texts);
            assert_eq!(counts["TonerEmpty"].name_any(), expected);
        }
        let now = Timestamp::UNIX_EPOCH;
        let said = |elder| {
            let status = report_text(&text("a", 2), elder, 3, now);
            let ready = find(&status.conditions, ConditionType::Ready).expect("Ready");
            (ready.status.clone(), ready.reason.clone(), status.used_by)
        };
        let [fine, refused] = [said(None), said(Some("b"))];
        assert_eq!(fine, ("True".to_owned(), "Succeeded".to_owned(), Some(3)));
        assert_eq!(
            refused,
            ("False".to_owned(), "DuplicateErrorType".to_owned(), Some(3))
        );
    }
}
