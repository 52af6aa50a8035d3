//! Software that no model can give to a device, and windows that no installation fits.

use entente_crds::{
    example,
    v1alpha1::{Device, MaintenanceWindow, ServiceApplication, ServiceModel, SoftwareVia},
};
use jiff::Timestamp;

use crate::delivery::{longer_than_a_week, too_long_for_windows, unserved};

fn needs(minimum: &str, application: &str) -> ServiceModel {
    ServiceModel {
        name: "mfp-510".to_owned(),
        minimum_firmware: Some(minimum.to_owned()),
        applications: vec![ServiceApplication {
            name: application.to_owned(),
            version: "2".to_owned(),
        }],
    }
}

// shows B6
#[test]
fn software_that_a_model_does_not_list_or_that_nobody_installs_is_named() {
    let mut model = example::mfp_510();
    assert_eq!(unserved(&needs("4.2", "panel-agent"), &model), [""; 0]);
    let found = unserved(&needs("4.3", "another-agent"), &model);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("Firmware/main: the service needs 4.3 or newer"));
    assert!(found[0].contains("it lists: 4.1.0, 4.2.0."), "{found:?}");
    assert!(found[1].starts_with("Application/another-agent: "));
    assert!(found[1].contains("it lists: none."), "{found:?}");
    model.spec.firmware[1].via = SoftwareVia::default();
    let found = unserved(&needs("4.2", "panel-agent"), &model);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("it lists: 4.1.0."), "{found:?}");
}

fn with_windows(windows: &[(&str, &str)]) -> Device {
    let mut device = example::calling_device();
    let windows = windows.iter().map(|(start, duration)| MaintenanceWindow {
        days: Vec::new(),
        start: (*start).to_owned(),
        duration: (*duration).into(),
    });
    device.spec.maintenance_windows = windows.collect();
    device
}

// shows B6
#[test]
fn windows_that_are_too_short_for_a_version_are_named_and_those_that_meet_are_one() {
    let now: Timestamp = "2027-04-01T12:00:00Z".parse().expect("an instant");
    let model = example::mfp_510();
    let found =
        |windows: &[(&str, &str)]| too_long_for_windows(&with_windows(windows), &model, now);
    assert_eq!(
        found(&[("02:00", "20m")]),
        ["4.1.0", "4.2.0"].map(|version| format!(
            "Firmware/main: the installation of {version} takes 30m, and the longest maintenance window \
             of the Device branch-nw5-0007 lasts 20m"
        ))
    );
    assert_eq!(found(&[("02:00", "20m"), ("02:20", "20m")]), [""; 0]);
    assert_eq!(found(&[("02:00", "20m"), ("04:00", "30m")]), [""; 0]);
    assert_eq!(found(&[]), [""; 0]);
}

// shows B6
#[test]
fn a_window_that_is_longer_than_a_week_is_named_with_what_it_counts_as() {
    let device = with_windows(&[("02:00", "168h"), ("02:00", "200h")]);
    assert_eq!(
        longer_than_a_week(&device),
        [
            "spec.maintenanceWindows[1].duration is 200h and counts as 168h, the longest that there is"
        ]
    );
}
