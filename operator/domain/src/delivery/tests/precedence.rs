//! Tests of the precedence of subscriptions that want one device.

use std::sync::Arc;

use entente_crds::{
    condition::Reason,
    example,
    v1alpha1::{ServiceSubscription, Step, StepType},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::delivery::{
    DeviceSnapshot, Intent, ResolvedDevice, ResolvedSubscription, resolve::resolve,
};

pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn start() -> Timestamp {
    example::service_subscription().spec.revisions[0].effective
}

/// A subscription of a contract on the device of the examples.
pub(super) struct Wish {
    pub(super) contract: &'static str,
    pub(super) service: &'static str,
    /// The days from the start of the examples on.
    pub(super) from: i64,
    pub(super) weekdays: &'static str,
}

pub(super) const FIRST: Wish = Wish {
    contract: "first",
    service: "data-backup",
    from: 0,
    weekdays: "mon",
};

impl Wish {
    fn object(&self) -> ServiceSubscription {
        let mut object = example::service_subscription();
        let name = format!("{}.{}.lobby-mfp", self.contract, self.service);
        object.metadata.uid = Some(format!("uid of {name}"));
        object.metadata.name = Some(name);
        let spec = &mut object.spec;
        spec.contract.name = self.contract.to_owned();
        spec.contract.uid = format!("uid of {}", self.contract);
        spec.contract.start = start() + DAY * i32::try_from(self.from).expect("a few");
        let revision = Arc::make_mut(&mut spec.revisions[0]);
        revision.effective = spec.contract.start;
        revision.service_ref.name = self.service.to_owned();
        let parameters = &mut revision.parameters;
        parameters.insert("weekdays".to_owned(), self.weekdays.to_owned());
        object
    }
}

/// Resolves wishes at a day after the start of the examples. The service `copy` is another name of
/// the backup, so that both set the same places; its settings are set early. The service `rival` sets
/// nothing but where backups go, and excludes `copy`.
fn resolved(wishes: &[Wish], day: i64) -> ResolvedDevice {
    resolve(
        &snapshot(wishes),
        start() + DAY * i32::try_from(day).expect("a few"),
    )
}

pub(super) fn snapshot(wishes: &[Wish]) -> DeviceSnapshot {
    let subscriptions: Vec<_> = wishes.iter().map(|wish| Arc::new(wish.object())).collect();
    let contracts = subscriptions.iter().map(|it| it.spec.contract.uid.clone());
    let mut copy = example::data_backup();
    copy.metadata.name = Some("copy".to_owned());
    copy.spec.steps = vec![Step {
        r#type: StepType::DeviceSettings,
        early: true,
    }];
    copy.spec.server = None;
    copy.spec.exclusive_group = Some("copies".to_owned());
    let mut rival = copy.clone();
    rival.metadata.name = Some("rival".to_owned());
    let device = rival.spec.device.as_mut().expect("a device side");
    device.settings.truncate(1);
    let connections = [
        example::hq_ipp(),
        example::in_use(example::northwind_services()),
    ];
    let labels = [(
        "kubernetes.io/metadata.name".to_owned(),
        example::NAMESPACE.to_owned(),
    )];
    DeviceSnapshot {
        namespace: example::NAMESPACE.to_owned(),
        namespace_labels: labels.into(),
        device_name: example::DEVICES[0].to_owned(),
        device: Some(Arc::new(example::devices()[0].clone())),
        model: Some(Arc::new(example::mfp_500())),
        live_contracts: contracts.collect(),
        services: [
            (
                "data-backup".to_owned(),
                Arc::new(example::in_use(example::data_backup())),
            ),
            ("copy".to_owned(), Arc::new(copy)),
            ("rival".to_owned(), Arc::new(rival)),
        ]
        .into(),
        connections: connections
            .map(|it| (it.name_any().into(), Arc::new(it)))
            .into(),
        subscriptions,
        ..DeviceSnapshot::default()
    }
}

fn of<'a>(resolved: &'a ResolvedDevice, name: &str) -> &'a ResolvedSubscription {
    let name = format!("{name}.lobby-mfp");
    resolved.subscription(&name.into()).expect("it is there")
}

pub(super) fn refused(resolved: &ResolvedDevice, name: &str) -> Option<Reason> {
    of(resolved, name).refused.as_ref().map(|it| it.reason)
}

/// Returns the keys of the items that lose against another subscription.
fn conflicts(resolved: &ResolvedDevice, name: &str) -> Vec<String> {
    let items = of(resolved, name).items();
    let lost = items.filter(|(_, item)| item.conflict.is_some());
    lost.map(|(_, item)| item.key.to_string()).collect()
}

// shows C11
#[test]
fn of_two_contracts_of_one_service_the_one_that_began_first_has_the_device() {
    let second = || Wish {
        contract: "second",
        from: 3,
        ..FIRST
    };
    for wishes in [[FIRST, second()], [second(), FIRST]] {
        let both = resolved(&wishes, 5);
        assert_eq!(refused(&both, "first.data-backup"), None);
        let lost = of(&both, "second.data-backup").refused.clone();
        let lost = lost.expect("it comes second");
        assert_eq!(lost.reason, Reason::ConflictingContract);
        assert!(
            lost.message.contains("first.data-backup"),
            "{}",
            lost.message
        );
    }
    // Before its own start it is no conflict: the first may have ended by then.
    let before = resolved(&[FIRST, second()], 1);
    assert_eq!(refused(&before, "second.data-backup"), None);
}

// shows C11 K5
#[test]
fn what_came_back_from_a_backup_and_served_keeps_its_device() {
    let second = || Wish {
        contract: "second",
        from: 3,
        ..FIRST
    };
    // The day on which each came back, if it did, and the one that then has the device.
    let cases = [
        ((None, None), "first"),
        ((None, Some(4)), "second"),
        ((Some(4), Some(4)), "first"),
        // Its service had not begun then.
        ((None, Some(2)), "first"),
    ];
    for ((first, other), expected) in cases {
        let mut snapshot = snapshot(&[FIRST, second()]);
        for (object, day) in snapshot.subscriptions.iter_mut().zip([first, other]) {
            Arc::make_mut(object).spec.restored = day.map(|day: i32| start() + DAY * day);
        }
        let both = resolve(&snapshot, start() + DAY * 5);
        let mut has_it = both.subscriptions.iter().filter(|it| it.refused.is_none());
        let winner = has_it.next().map(|it| it.name.to_string());
        assert_eq!(
            winner,
            Some(format!("{expected}.data-backup.lobby-mfp")),
            "{first:?} {other:?}"
        );
        assert_eq!(has_it.count(), 0);
    }
}

// shows C11
#[test]
fn of_two_services_that_set_one_place_to_two_values_the_first_wins_that_place_alone() {
    let other = |weekdays| Wish {
        contract: "second",
        service: "copy",
        from: 1,
        weekdays,
    };
    let differ = resolved(&[FIRST, other("tue")], 5);
    assert_eq!(conflicts(&differ, "first.data-backup"), [""; 0]);
    assert_eq!(
        conflicts(&differ, "second.copy"),
        ["DeviceSetting/backup.weekdays"]
    );
    assert_eq!(
        refused(&differ, "second.copy"),
        None,
        "the rest is delivered"
    );
    let agree = resolved(&[FIRST, other("mon")], 5);
    assert_eq!(conflicts(&agree, "second.copy"), [""; 0]);
}

// shows C11
#[test]
fn who_lost_its_service_stands_in_nobodys_way_and_its_old_proofs_do_not_last() {
    let loser = Wish {
        contract: "second",
        from: 1,
        weekdays: "tue",
        ..FIRST
    };
    let third = Wish {
        contract: "third",
        service: "copy",
        from: 2,
        weekdays: "mon",
    };
    let all = resolved(&[FIRST, loser, third], 5);
    assert_eq!(conflicts(&all, "third.copy"), [""; 0]);
    let items = of(&all, "second.data-backup").items();
    let overridden: Vec<&str> = items
        .filter(|(_, item)| item.overridden)
        .map(|(_, item)| item.key.as_str())
        .collect();
    assert_eq!(overridden, ["DeviceSetting/backup.weekdays"]);
}

// shows C11
#[test]
fn a_place_that_only_the_refused_one_wants_is_free_for_who_comes_after_it() {
    let holder = Wish {
        service: "rival",
        ..FIRST
    };
    let loser = Wish {
        contract: "second",
        service: "copy",
        from: 1,
        weekdays: "tue",
    };
    let third = Wish {
        contract: "third",
        from: 2,
        ..FIRST
    };
    let all = resolved(&[holder, loser, third], 5);
    assert_eq!(
        refused(&all, "second.copy"),
        Some(Reason::ConflictingContract)
    );
    assert_eq!(conflicts(&all, "third.data-backup"), [""; 0]);
}

fn prepares(resolved: &ResolvedDevice, name: &str) -> bool {
    match of(resolved, name).intent {
        Intent::Scheduled { early_from, .. } => early_from.is_some(),
        ref other => panic!("it is not scheduled: {other:?}"),
    }
}

// shows C11
#[test]
fn who_prepares_changes_nothing_that_another_one_in_force_has_set() {
    let next = |weekdays| Wish {
        contract: "second",
        service: "copy",
        from: 10,
        weekdays,
    };
    assert!(prepares(&resolved(&[FIRST, next("mon")], 5), "second.copy"));
    assert!(!prepares(
        &resolved(&[FIRST, next("tue")], 5),
        "second.copy"
    ));
    assert!(prepares(&resolved(&[next("tue")], 5), "second.copy"));
}

// shows C11
#[test]
fn of_two_that_prepare_differently_the_first_does_and_the_other_waits_for_its_start() {
    let at = |contract, from, weekdays| Wish {
        contract,
        service: "copy",
        from,
        weekdays,
    };
    let both = resolved(&[at("second", 11, "tue"), at("first", 10, "mon")], 5);
    assert!(prepares(&both, "first.copy"));
    assert!(!prepares(&both, "second.copy"));
}
