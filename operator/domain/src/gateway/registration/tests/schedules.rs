//! Registrations in random schedules: what holds whatever happens, and in whichever order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Register(u8),
    Use(u8),
    AddDevice(u8),
    AddOther(u8),
    MakeTwins,
    Create(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3).prop_map(Step::Register),
        1 => (0u8..3).prop_map(Step::Use),
        1 => (0u8..3).prop_map(Step::AddDevice),
        1 => (0u8..3).prop_map(Step::AddOther),
        2 => Just(Step::MakeTwins),
        1 => any::<bool>().prop_map(Step::Create),
    ]
}

proptest! {
    // shows C2 C17
    #[test]
    fn a_serial_number_has_one_id_and_one_twin_whatever_happens(
        is_creating in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let enrollment = |is_creating| {
            let of = if is_creating { Namespace::creating() } else { Namespace::new() };
            of.enrollment
        };
        let mut acme = Namespace { enrollment: enrollment(is_creating), ..Namespace::new() };
        let mut ids: BTreeMap<u8, String> = BTreeMap::new();
        let serial_number = |number: u8| format!("A{number}");
        for step in steps {
            match step {
                Step::Register(number) => {
                    let verdict = acme.register(&request(&serial_number(number)), "t");
                    if let Verdict::Register { printer_id, .. } = verdict {
                        let known = ids.entry(number).or_insert_with(|| printer_id.clone());
                        prop_assert_eq!(known, &printer_id);
                    }
                }
                Step::Use(number) => {
                    let serial_number = serial_number(number);
                    let twin = acme.twins.values_mut().find(|twin| {
                        let status = twin.status.as_ref();
                        let registration = status.and_then(|it| it.registration.as_ref());
                        status.is_some_and(|it| it.credential.is_some())
                            && registration.is_some_and(|it| it.serial_number == *serial_number)
                    });
                    if let Some(credential) = twin
                        .and_then(|twin| twin.status.as_mut())
                        .and_then(|status| status.credential.as_mut())
                    {
                        credential.used = Some(at(acme.clock));
                    }
                }
                Step::AddDevice(number) => {
                    let serial_number = serial_number(number);
                    let mut devices = acme.devices.values();
                    if !devices.any(|it| it.spec.serial_number == serial_number) {
                        acme.add(&format!("device-{number}"), &serial_number);
                    }
                }
                Step::AddOther(number) => {
                    // A Device of another Connection has the serial number.
                    let name = format!("other-{number}");
                    if !acme.devices.contains_key(&name) {
                        let other = acme.add(&name, &serial_number(number));
                        other.spec.connections[0].name = "ipp".to_owned();
                    }
                }
                Step::Create(is_creating) => acme.enrollment = enrollment(is_creating),
                Step::MakeTwins => {
                    let names: Vec<String> = acme.devices.keys().cloned().collect();
                    for name in names {
                        if !acme.twins.contains_key(&name) {
                            acme.make_twin(&name);
                        }
                    }
                }
            }
            for number in 0..3 {
                let serial_number = serial_number(number);
                if let Some(state) = acme.waiting(&serial_number)
                    && acme.twins.contains_key(&pending_name(&serial_number))
                {
                    let verdict = acme.judge(&request(&serial_number), "t");
                    let is_told = match verdict {
                        Verdict::Pend { .. } | Verdict::Await { .. } => state != Waiting::Ready,
                        Verdict::Make(_) | Verdict::Register { .. } => state == Waiting::Ready,
                        Verdict::Refuse(_) => true,
                    };
                    prop_assert!(is_told, "{state:?} {verdict:?}");
                }
            }
            let mut seen = std::collections::BTreeSet::new();
            for twin in acme.twins.values() {
                let status = twin.status.as_ref();
                let registration = status.and_then(|it| it.registration.as_ref());
                let Some(registration) = registration.filter(|it| it.printer_id.is_some()) else {
                    continue;
                };
                prop_assert!(seen.insert(registration.serial_number.clone()), "twice");
            }
        }
    }
}
