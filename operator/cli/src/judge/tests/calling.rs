//! Faults of devices that call: enrolments, the gateway, software, windows, and the twin.

use super::{Verdict, examples, judge, messages, now};
use crate::manifests::read;

/// Judges the examples of devices that call after changes of their text; `more` is added at the end.
fn judged(changes: &[(&str, &str)], more: &str) -> Verdict {
    let folder = examples().join("devices-that-call");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).expect("an example");
    let mut all = [text("1-gateway.yaml"), text("2-contract.yaml")].join("---\n");
    for (from, to) in changes {
        assert!(all.contains(from), "{from}");
        all = all.replacen(from, to, 1);
    }
    all.push_str(more);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, all).expect("a file");
    judge(&read(&[file], "default").expect("YAML"), now())
}

fn notes(verdict: &Verdict) -> Vec<&str> {
    verdict.notes.iter().map(|it| &*it.message).collect()
}

const PATTERN: &str = "pattern: \"NW5-[0-9]{4,8}\"";

/// Faults: the text of the examples, the one in its place, and the message.
const FAULTS: &[(&str, &str, &str)] = &[
    (
        PATTERN,
        "pattern: \"NW5-[0-9\"",
        "spec.serialNumbers.pattern is \"NW5-[0-9\" and cannot be used: ",
    ),
    (
        PATTERN,
        "names: [A1]\n    pattern: \"A.*\"",
        "spec.serialNumbers: exactly one of pattern and names must be set",
    ),
    (
        "timeZone: FromDevice",
        "timeZone: Mars/Base",
        "spec.template.timeZone: time zone \"Mars/Base\" is unknown",
    ),
    (
        "mode: Create",
        "mode: BindOnly",
        "spec: template is required with mode Create, and only then",
    ),
    (
        "expires: \"2027-06-30\"",
        "expires: \"2027-06-31\"",
        "spec.expires",
    ),
    ("maxDevices: 500", "maxDevices: 0", "spec.maxDevices"),
    (
        "    name: gateway\n  # The Secret",
        "    name: northwind-files\n  # The Secret",
        "The Connection northwind-files is of protocol HTTP; spec.connectionRef must name one of \
             protocol Agent.",
    ),
    (
        "countries: [JP]",
        "countries: [JP, BR]",
        "spec.agent.regions: BR is a place of sa and of jp; name it in one.",
    ),
    (
        "before: \"2m\"",
        "before: \"24h\"",
        "spec.agent.before is 24h, and must be shorter than spec.agent.poll, which is 24h.",
    ),
    (
        "protocol: HTTP",
        "protocol: OSB",
        "exactly the member that the protocol names must be set",
    ),
    (
        "version: \"4.1.0\"",
        "version: \"v4.1.0\"",
        "spec.firmware[0].version: ",
    ),
    (
        "minimumFirmware: \"4.2.0\"",
        "minimumFirmware: \"4.2.0-rc1\"",
        "spec.device.models[0].minimumFirmware: ",
    ),
    (
        "start: \"02:00\"",
        "start: \"25:00\"",
        "spec.maintenanceWindows[0].start: ",
    ),
    (
        "timeZone: America/Sao_Paulo",
        "timeZone: America/Sao_Paolo",
        "spec.timeZone: time zone \"America/Sao_Paolo\" is unknown",
    ),
];

// shows C2 B6
#[test]
fn each_fault_is_told_in_the_words_of_the_operator_with_its_field() {
    for &(from, to, expected) in FAULTS {
        let verdict = judged(&[(from, to)], "");
        let found = messages(&verdict);
        assert_eq!(found.len(), 1, "{to}: {found:?}");
        assert!(found[0].contains(expected), "{expected}: {found:?}");
    }
}

// shows C2
#[test]
fn an_enrolment_with_the_secret_of_another_one_is_a_fault() {
    let second = "---
apiVersion: entente.dev/v1alpha1
kind: DeviceEnrollment
metadata: {name: second, namespace: banco-sul}
spec:
  connectionRef: {name: gateway}
  tokenSecretRef: {name: banco-sul-enrollment}
";
    let verdict = judged(&[], second);
    let found = messages(&verdict);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("spec.tokenSecretRef: the older DeviceEnrollment banco-sul-branches"),
        "{found:?}"
    );
    let own = second.replace("banco-sul-enrollment", "another");
    assert_eq!(messages(&judged(&[], &own)), [""; 0]);
}

// shows B6 C1
#[test]
fn a_twin_is_nobodys_to_apply() {
    let twin = "---
apiVersion: entente.dev/v1alpha1
kind: DeviceTwin
metadata: {name: branch-nw5-0007, namespace: banco-sul}
spec: {}
";
    let verdict = judged(&[], twin);
    assert_eq!(
        messages(&verdict),
        ["only the operator writes DeviceTwins; change the Device or the Contract instead"]
    );
}

/// Notes: the text of the examples, the one in its place, and the message.
const NOTES: &[(&str, &str, &str)] = &[
    (
        "minimumFirmware: \"4.2.0\"",
        "minimumFirmware: \"4.3\"",
        "Firmware/main: the service needs 4.3 or newer, and the DeviceModel mfp-510 lists no version",
    ),
    (
        "duration: \"4h\"",
        "duration: \"10m\"",
        "Firmware/main: the installation of 4.1.0 takes 30m, and the longest maintenance window of \
             the Device branch-nw5-0007 lasts 10m",
    ),
    (
        "duration: \"4h\"",
        "duration: \"200h\"",
        "spec.maintenanceWindows[0].duration is 200h and counts as 168h, the longest that there is",
    ),
    (
        "url: \"https://files.northwind.example/\"",
        "url: \"https://files.northwind.example/panel/\"",
        "no Connection of protocol HTTP leads to https://files.northwind.example/mfp-510-4.1.0.swu",
    ),
    (
        "    name: gateway\n  # The Secret",
        "    name: elsewhere\n  # The Secret",
        "not judged: the Connection elsewhere is in none of the files",
    ),
    (
        "    - name: gateway\n  # The time zone",
        "    - name: nowhere\n  # The time zone",
        "not judged: the Connection nowhere is in none of the files",
    ),
    (
        "    name: mfp-510\n  # The serial",
        "    name: mfp-511\n  # The serial",
        "not judged: the DeviceModel mfp-511 is in none of the files",
    ),
    (
        "kubernetes.io/metadata.name: banco-sul",
        "tier: banks",
        "not judged: no entry under allow of the Connection gateway has the namespace banco-sul",
    ),
    (
        "      - name: mfp-510\n        # The oldest",
        "      - name: mfp-999\n        # The oldest",
        "not judged: the DeviceModel mfp-999 is in none of the files",
    ),
    (
        "expires: \"2027-06-30\"",
        "expires: \"2026-06-30\"",
        "Its last day is over; nobody may register by it any more.",
    ),
    (
        "mode: Create",
        "mode: Create",
        "not judged: the Secret banco-sul-enrollment is read in the cluster alone",
    ),
];

// shows B6
#[test]
fn what_may_be_right_all_the_same_is_a_note_and_names_what_is_needed() {
    for &(from, to, expected) in NOTES {
        let verdict = judged(&[(from, to)], "");
        assert_eq!(messages(&verdict), [""; 0], "{to}");
        let found = notes(&verdict);
        assert!(
            found.iter().any(|it| it.contains(expected)),
            "{expected}: {found:?}"
        );
    }
}
