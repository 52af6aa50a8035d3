//! The legs and the local switch.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    ActivationMode, ConsentWay, DeviceCapabilities, DeviceModelSpec, DeviceSide, LocalEnablement,
    Supply, WantedDataType,
};
use jiff::Timestamp;
use proptest::prelude::*;

use super::{Abilities, Legs, Needs, Said, switched};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn said(enabled: bool, second: i64) -> Said<'static> {
    Said {
        service: "toner",
        enabled,
        by: ConsentWay::Panel,
        at: at(second),
    }
}

fn reasons(mode: ActivationMode, switch: Option<&LocalEnablement>, lacks: &[&str]) -> Vec<Reason> {
    let lacks: Vec<String> = lacks.iter().map(|&it| it.to_owned()).collect();
    let legs = Legs {
        service: "toner",
        mode,
        switch,
        lacks: &lacks,
        is_withdrawn: false,
    };
    legs.missing().into_iter().map(|leg| leg.reason).collect()
}

// shows K2
#[test]
fn a_missing_leg_is_told_without_an_instant_which_the_device_has() {
    let off = switched(&[], &[said(false, 10)], &[], at(20));
    let legs = Legs {
        service: "toner",
        mode: ActivationMode::ByOperator,
        switch: off.first(),
        lacks: &[],
        is_withdrawn: true,
    };
    let missing = legs.missing();
    assert_eq!(missing.len(), 2, "{missing:?}");
    for leg in missing {
        assert!(!leg.message.contains("1970"), "{}", leg.message);
    }
}

// shows C5
#[test]
fn each_leg_is_missing_alone_with_its_own_reason_in_every_mode() {
    let on = switched(&[], &[said(true, 10)], &[], at(20));
    let off = switched(&[], &[said(false, 10)], &[], at(20));
    let (on, off) = (on.first(), off.first());
    let none: &[&str] = &[];
    let able = none;
    let unable = &["no colour"][..];
    let (operator, device, data) = (
        ActivationMode::ByOperator,
        ActivationMode::ByDevice,
        ActivationMode::ByFirstData,
    );
    let waits = [Reason::WaitingForDevice];
    let is_off = [Reason::DisabledLocally];
    let cannot = [Reason::UnsupportedByDevice];
    let both = [Reason::UnsupportedByDevice, Reason::DisabledLocally];
    let nothing: &[Reason] = &[];
    for (mode, switch, lacks, missing) in [
        (operator, None, able, nothing),
        (operator, on, able, nothing),
        (operator, off, able, &is_off),
        (operator, on, unable, &cannot),
        (device, None, able, &waits),
        (device, on, able, nothing),
        (device, off, able, &is_off),
        (device, on, unable, &cannot),
        (device, off, unable, &both),
        (data, None, able, &waits),
        (data, on, able, nothing),
        (data, off, able, &is_off),
    ] {
        assert_eq!(
            reasons(mode, switch, lacks),
            missing,
            "{mode:?} {switch:?} {lacks:?}"
        );
    }
}

// shows C15
#[test]
fn the_newest_word_on_the_switch_counts_wherever_it_came_from() {
    let listed = ["toner".to_owned()];
    let first = switched(&[], &[said(true, 10)], &[], at(11));
    assert!(first[0].enabled && first[0].by == ConsentWay::Panel);
    let by_command = switched(&first, &[said(true, 10)], &listed, at(20));
    assert!(!by_command[0].enabled && by_command[0].by == ConsentWay::Command);
    assert_eq!(by_command[0].at, at(20));
    // The clock of the gateway is behind that of the operator.
    let at_the_panel = switched(&by_command, &[said(true, 19)], &listed, at(30));
    assert!(at_the_panel[0].enabled && at_the_panel[0].by == ConsentWay::Panel);
    let unlisted = switched(&at_the_panel, &[said(true, 19)], &[], at(40));
    assert!(unlisted[0].enabled && unlisted[0].by == ConsentWay::Command);
}

// shows C5 C15
#[test]
fn a_device_that_was_switched_off_by_a_command_asks_again_for_itself() {
    let listed = ["toner".to_owned()];
    let first = switched(&[], &[said(true, 10)], &[], at(11));
    let off = switched(&first, &[said(true, 10)], &listed, at(20));
    let on = switched(&off, &[said(true, 10)], &[], at(30));
    let waits = vec![Reason::WaitingForDevice];
    assert_eq!(reasons(ActivationMode::ByDevice, on.first(), &[]), waits);
    assert_eq!(reasons(ActivationMode::ByOperator, on.first(), &[]), []);
    let asked = switched(&on, &[said(true, 40)], &[], at(41));
    assert_eq!(reasons(ActivationMode::ByDevice, asked.first(), &[]), []);
}

// shows C14
#[test]
fn a_device_lacks_what_it_did_not_report_else_what_its_model_does_not_list() {
    let side = DeviceSide {
        data_types: vec![WantedDataType {
            name: "supplies.level".to_owned(),
            period: None,
        }],
        supplies: vec!["TN-500K".to_owned()],
        ..DeviceSide::default()
    };
    let needs = Needs {
        side: Some(&side),
        unsupported: &[],
    };
    let model = |part_number: &str| DeviceModelSpec {
        supplies: vec![Supply {
            row: None,
            name: "black-toner".to_owned(),
            part_number: part_number.to_owned(),
        }],
        ..DeviceModelSpec::default()
    };
    let reported = |data_type: &str, supply: &str| DeviceCapabilities {
        data_types: Some(vec![data_type.into()]),
        supplies: Some(vec![supply.into()]),
        ..DeviceCapabilities::default()
    };
    for (reported, model, lacks) in [
        (None, None, 0),
        (None, Some(model("TN-500K")), 0),
        (None, Some(model("TN-600K")), 1),
        (
            Some(reported("supplies.level", "TN-500K")),
            Some(model("TN-600K")),
            0,
        ),
        (Some(reported("counters.total", "TN-600K")), None, 2),
        (Some(DeviceCapabilities::default()), Some(model("x")), 1),
    ] {
        let abilities = Abilities {
            reported: reported.as_ref(),
            model: model.as_ref(),
        };
        let found = abilities.lacks(needs);
        assert_eq!(found.len(), lacks, "{reported:?} {model:?}: {found:?}");
    }
}

proptest! {
    // shows C15
    #[test]
    fn a_switch_that_nobody_turned_stays_as_it_is(
        words in prop::collection::vec((any::<bool>(), any::<bool>(), 0_i64..100), 1..20),
    ) {
        let mut before: Vec<LocalEnablement> = Vec::new();
        let mut heard: Option<Said<'_>> = None;
        let mut listed = Vec::new();
        for (number, (is_spec, on, clock)) in words.into_iter().enumerate() {
            let now = at(1_000 + i64::try_from(number).unwrap());
            let wanted = if is_spec {
                let was = !listed.is_empty();
                listed = if on { Vec::new() } else { vec!["toner".to_owned()] };
                (was == on).then_some(on)
            } else {
                // No two words of a device have one instant.
                let said = said(on, clock * 100 + i64::try_from(number).unwrap());
                let is_new = heard.is_none_or(|before| before.at != said.at);
                heard = Some(said);
                is_new.then_some(on)
            };
            let said: Vec<Said<'_>> = heard.into_iter().collect();
            let after = switched(&before, &said, &listed, now);
            if let (Some(wanted), Some(found)) = (wanted, after.first()) {
                prop_assert_eq!(found.enabled, wanted);
            }
            let again = switched(&after, &said, &listed, at(9_000));
            prop_assert_eq!(&again, &after);
            before = after;
        }
    }
}
