//! Of a device that calls: the kinds of data that it sends for its services (C7, C8).

use entente_crds::v1alpha1::{
    AgentData, AllowEntry, DataEvent, DataType, DataVia, Item, NameReference, ReportedDataType,
    ServiceData, TwinDataType, WantedDataType,
};

use super::*;

impl Calling {
    /// Returns a registered device of a model that can send supplies.level, and its service that wants
    /// it so often.
    pub(super) fn sending(period: Option<&str>) -> Self {
        let mut calling = Self::new();
        let snapshot = &mut calling.0.snapshot;
        let model = Arc::make_mut(snapshot.model.as_mut().expect("a model"));
        model.spec.data_types = vec![DataType {
            name: "supplies.level".to_owned(),
            on: vec![DataEvent::Replaced, DataEvent::BelowThreshold],
            threshold: Some(20),
            period: "24h".into(),
            via: DataVia {
                agent: Some(AgentData {}),
            },
        }];
        calling.wants(period);
        calling.pass(ZERO);
        calling.register(ZERO);
        calling.report(ZERO, |_| {});
        calling.pass(ZERO);
        calling.report(ZERO, |_| {});
        calling
    }

    fn wants(&mut self, period: Option<&str>) {
        let services = &mut self.0.snapshot.services;
        let service = Arc::make_mut(services.get_mut("data-backup").expect("a service"));
        let side = service.spec.device.as_mut().expect("a side");
        side.data_types = vec![WantedDataType {
            name: "supplies.level".to_owned(),
            period: period.map(Into::into),
        }];
    }

    /// The device says that it sends this kind so often.
    pub(super) fn sends(&mut self, period: Option<&str>, after: SignedDuration) {
        self.report(after, |reported| {
            reported.data_types = vec![ReportedDataType {
                name: "supplies.level".into(),
                period: period.map(Into::into),
            }];
        });
    }

    pub(super) fn asked(&self) -> &[TwinDataType] {
        &self.twin().spec.data_types
    }
}

fn item(report: &SubscriptionReport) -> Item {
    let mut items = report.status.items.iter();
    let found = items.find(|it| it.key == "DataType/supplies.level");
    found.expect("an item").clone()
}

fn configured(report: &SubscriptionReport) -> String {
    said(report, ConditionType::DataTypesConfigured)
}

// shows C7
#[test]
fn a_device_is_told_what_to_send_and_its_report_proves_it() {
    let mut calling = Calling::sending(Some("6h"));
    let report = calling.pass(ZERO);
    let [asked] = calling.asked() else {
        panic!("{:?}", calling.asked());
    };
    assert_eq!(asked.period.length(), Ok(hours(6)));
    assert_eq!(asked.on, [DataEvent::BelowThreshold, DataEvent::Replaced]);
    assert_eq!(asked.threshold, Some(20));
    assert_eq!(asked.wanted_by, ["banco-sul-2027.backup.lobby-mfp"]);
    assert_eq!(item(&report).state, ItemState::InProgress);
    assert_eq!(configured(&report), "False(WaitingForDevice)");
    assert_eq!(
        said(&report, ConditionType::Activated),
        "False(Waiting)",
        "the step comes before the activation"
    );
    for (period, expected) in [
        (None, "False(AcceptedNotEffective)"),
        (Some("7h"), "False(AcceptedNotEffective)"),
        (Some("6h"), "True(Succeeded)"),
        (Some("1h"), "True(Succeeded)"),
    ] {
        let soon = SignedDuration::from_mins(1);
        calling.sends(period, soon);
        let report = calling.pass(soon);
        assert_eq!(configured(&report), expected, "{period:?}");
        let again = calling.pass(soon);
        assert_eq!(again.status, report.status, "{period:?}");
        assert_eq!(calling.0.remote.count("WriteTwin"), 0, "{period:?}");
    }
}

// shows C7
#[test]
fn a_period_that_is_edited_is_asked_for_anew_and_a_longer_one_needs_nothing() {
    let mut calling = Calling::sending(Some("6h"));
    calling.pass(ZERO);
    calling.sends(Some("6h"), ZERO);
    assert_eq!(configured(&calling.pass(ZERO)), "True(Succeeded)");
    calling.wants(Some("1h"));
    let report = calling.pass(hours(1));
    assert_eq!(configured(&report), "False(WaitingForDevice)");
    assert_eq!(calling.asked()[0].period.length(), Ok(hours(1)));
    calling.sends(Some("1h"), hours(2));
    assert_eq!(configured(&calling.pass(hours(2))), "True(Succeeded)");
    calling.wants(None);
    let report = calling.pass(hours(3));
    assert_eq!(configured(&report), "True(Succeeded)");
    assert_eq!(calling.asked()[0].period.length(), Ok(hours(24)));
}

// shows C6 C8
#[test]
fn nothing_is_sent_any_more_for_a_service_that_is_switched_off_or_has_ended() {
    let mut calling = Calling::sending(None);
    calling.pass(ZERO);
    calling.sends(Some("24h"), ZERO);
    let report = calling.pass(ZERO);
    assert_eq!(said(&report, ConditionType::Activated), "True(Active)");
    calling
        .0
        .edit_device(|device| device.spec.disabled_services = vec!["data-backup".to_owned()]);
    calling.pass(hours(1));
    assert_eq!(calling.asked(), []);
    calling
        .0
        .edit_device(|device| device.spec.disabled_services.clear());
    calling.pass(hours(2));
    assert_eq!(calling.asked().len(), 1);
    calling
        .0
        .edit_revision(|it| it.until = Some(now() + hours(3)));
    calling.pass(hours(3));
    assert_eq!(calling.asked(), []);
}

// shows C14 K2
#[test]
fn a_kind_that_nobody_can_send_is_told_before_anything_is_asked_for() {
    let mut calling = Calling::sending(None);
    let model = calling.0.snapshot.model.as_mut().expect("a model");
    Arc::make_mut(model).spec.data_types.clear();
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(UnsupportedByModel)");
    assert_eq!(configured(&report), "", "no item of it can be resolved");
}

// shows C7 C14 K2
#[test]
fn a_device_that_cannot_send_what_the_service_needs_is_not_activated() {
    let mut calling = Calling::sending(None);
    calling.edit_twin(|twin| {
        let status = twin.status.get_or_insert_default();
        let capabilities = status.capabilities.get_or_insert_default();
        capabilities.data_types = Some(vec!["counters.total".into()]);
    });
    let report = calling.pass(ZERO);
    assert_eq!(
        said(&report, ConditionType::Activated),
        "False(UnsupportedByDevice)"
    );
    assert_eq!(calling.asked(), []);
}

// shows C16 K2
#[test]
fn a_service_whose_data_can_go_nowhere_asks_for_nothing_and_what_was_asked_for_stays() {
    let mut calling = Calling::sending(None);
    let services = &mut calling.0.snapshot.services;
    let service = Arc::make_mut(services.get_mut("data-backup").expect("a service"));
    service.spec.data = Some(ServiceData {
        connection_ref: NameReference {
            name: "northwind-files".to_owned(),
        },
        path: "/v1/events".to_owned(),
    });
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(ConnectionNotFound)");
    assert_eq!(calling.asked(), []);
    let put = |calling: &mut Calling, allow: Vec<AllowEntry>| {
        let mut files = example::northwind_files();
        files.spec.allow = allow;
        let connections = &mut calling.0.snapshot.connections;
        connections.insert("northwind-files".into(), Arc::new(files));
    };
    put(&mut calling, Vec::new());
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(NotAllowed)");
    assert_eq!(calling.asked(), []);
    put(&mut calling, vec![AllowEntry::default()]);
    calling.pass(ZERO);
    assert_eq!(calling.asked().len(), 1);
    put(&mut calling, Vec::new());
    assert_eq!(ready(&calling.pass(hours(1))), "False(NotAllowed)");
    assert_eq!(calling.asked().len(), 1, "a fault of a moment ends nothing");
    calling
        .0
        .edit_device(|device| device.spec.disabled_services = vec!["data-backup".to_owned()]);
    calling.pass(hours(2));
    assert_eq!(calling.asked(), [], "it was switched off");
}
