//! The words of the chart's policies, and rules that need more than one object.

use std::path::Path;

use serde_json::json;

use super::{STATUS_OF_A_TWIN, WRITTEN_BY_THE_OPERATOR, not_applied};

#[test]
fn what_nobody_applies_is_refused_in_the_words_of_the_policies_of_the_chart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/entente/templates");
    let policies = std::fs::read_to_string(folder.join("admission-policies.yaml"));
    let policies = policies.expect("the policies");
    let words = WRITTEN_BY_THE_OPERATOR.iter().map(|(_, words)| *words);
    for words in words.chain([STATUS_OF_A_TWIN]) {
        assert!(policies.contains(words), "{words}");
    }
    let twin = json!({"spec": {}, "status": {"lastHeard": "2027-04-01T03:00:00Z"}});
    assert_eq!(not_applied("DeviceTwin", &twin).len(), 2);
    assert_eq!(not_applied("DeviceTwin", &json!({"spec": {}})).len(), 1);
    assert_eq!(not_applied("ServiceSubscription", &twin).len(), 1);
    assert_eq!(not_applied("Device", &twin), [""; 0]);
}
