//! Tests of the overlay: what an amendment replaces, what it merges, and what it leaves.

use super::super::overlay::{overlay, unamended};
use super::*;
use entente_crds::v1alpha1::{
    AmendedDevices, OverriddenDevices, Override, SecretKeyReference, SecretParameter,
};

fn changed(before: ContractService, change: AmendedService) -> Result<ContractService, String> {
    let world = world(vec![before]);
    let entries = unamended(&world.contract);
    let after = overlay(&entries, &[change], false);
    let mut after = after.map_err(|faults| joined(&faults))?;
    Ok(after.pop().expect("an entry").service.into_owned())
}

fn secret(name: &str) -> SecretParameter {
    SecretParameter {
        name: name.to_owned(),
        secret_key_ref: SecretKeyReference {
            name: "backup".to_owned(),
            key: name.to_owned(),
        },
    }
}

fn overriding(name: &str, sets: &[(&str, &str)]) -> Override {
    Override {
        name: name.to_owned(),
        devices: OverriddenDevices {
            names: vec!["a".to_owned()],
            ..OverriddenDevices::default()
        },
        parameters: texts(sets),
    }
}

/// Returns an entry with everything that can be merged.
fn full() -> ContractService {
    ContractService {
        parameters: texts(&[("weekdays", "wed"), ("threshold", "10")]),
        secret_parameters: vec![secret("token")],
        overrides: vec![overriding("osasco", &[("weekdays", "sun")])],
        fee: Some(fee("12.50", FeeOf::EachDevice)),
        ..entry("backup", "backup-service", &["a", "b"])
    }
}

fn change() -> AmendedService {
    AmendedService {
        name: "backup".to_owned(),
        ..AmendedService::default()
    }
}

// shows B2
#[test]
fn parameters_secrets_and_overrides_merge_by_key_and_the_rest_is_replaced() {
    let amended = |change| changed(full(), change).expect("an entry");
    let after = amended(AmendedService {
        parameters: texts(&[("threshold", "5"), ("token", "open")]),
        ..change()
    });
    assert_eq!(
        after.parameters,
        texts(&[("threshold", "5"), ("token", "open"), ("weekdays", "wed")])
    );
    assert_eq!(after.secret_parameters, []);

    let after = amended(AmendedService {
        secret_parameters: vec![secret("threshold")],
        ..change()
    });
    assert_eq!(after.parameters, texts(&[("weekdays", "wed")]));
    assert_eq!(
        after.secret_parameters,
        [secret("token"), secret("threshold")]
    );

    let unset = ["token", "weekdays", "unknown"].map(str::to_owned).to_vec();
    let after = amended(AmendedService { unset, ..change() });
    assert_eq!(
        (after.parameters, after.secret_parameters),
        (texts(&[("threshold", "10")]), vec![])
    );

    let given = vec![
        overriding("osasco", &[("threshold", "1")]),
        overriding("campinas", &[("weekdays", "mon")]),
    ];
    let after = amended(AmendedService {
        overrides: given.clone(),
        ..change()
    });
    assert_eq!(after.overrides, given);

    let after = amended(AmendedService {
        fee: Some(fee("1", FeeOf::AllDevices)),
        ..change()
    });
    assert_eq!(after.fee, Some(fee("1", FeeOf::AllDevices)));
    assert_eq!(amended(change()), full());
}

// shows B2
#[test]
fn another_service_inherits_no_values_and_the_same_one_keeps_them() {
    let refers = |name: &str| AmendedService {
        service_ref: Some(NameReference {
            name: name.to_owned(),
        }),
        parameters: texts(&[("mode", "fast")]),
        ..change()
    };
    let after = changed(full(), refers("other-service")).expect("an entry");
    assert_eq!(after.parameters, texts(&[("mode", "fast")]));
    assert_eq!((after.secret_parameters, after.overrides), (vec![], vec![]));
    assert_eq!((after.fee, after.devices), (full().fee, full().devices));
    let after = changed(full(), refers("backup-service")).expect("an entry");
    assert_eq!(after.parameters.len(), 3);
}

// shows B2
#[test]
fn an_amendment_made_twice_changes_what_it_changes_once() {
    let world = world(vec![full(), entry("other", "backup-service", &["z"])]);
    let devices = AmendedDevices {
        add: vec!["c".to_owned()],
        remove: vec!["a".to_owned()],
        expect: Some(2),
        ..AmendedDevices::default()
    };
    let one = AmendedService {
        devices: Some(devices),
        unset: vec!["weekdays".to_owned()],
        ..change()
    };
    let two = AmendedService {
        name: "other".to_owned(),
        end: true,
        ..AmendedService::default()
    };
    let entries = unamended(&world.contract);
    let first = overlay(&entries, &[one.clone(), two.clone()], true).expect("entries");
    let twice = overlay(&first, &[one.clone(), two.clone()], true).expect("entries");
    assert_eq!(first, twice);
    let turned = overlay(&entries, &[two, one], true).expect("entries");
    assert_eq!(first, turned);
    assert_eq!(first[0].service.devices.names, ["b", "c"]);
}

// shows B2 K2
#[test]
fn an_entry_that_no_contract_may_have_is_refused() {
    let many = (0..70)
        .map(|number| (format!("p{number}"), String::new()))
        .collect();
    let table = [
        (
            AmendedService {
                parameters: many,
                ..change()
            },
            "spec.services[backup].parameters: the entry would have 72 of them from then on, and 64 are \
             allowed",
        ),
        (
            AmendedService {
                secret_parameters: vec![secret("weekdays")],
                ..change()
            },
            "spec.services[backup]: weekdays would be both in overrides[osasco] and in \
             secretParameters, whose secrets are those of all devices",
        ),
        (
            AmendedService {
                devices: Some(AmendedDevices {
                    add: vec!["a".to_owned()],
                    remove: vec!["a".to_owned()],
                    ..AmendedDevices::default()
                }),
                ..change()
            },
            "spec.services[backup].devices: a is both in remove and in add or names: name it in one of \
             them only",
        ),
    ];
    for (change, message) in table {
        assert_eq!(changed(full(), change).expect_err("it is refused"), message);
    }
}
