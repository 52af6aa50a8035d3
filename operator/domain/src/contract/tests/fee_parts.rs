//! Tests of fees for all devices that are too low for the number of devices.

use super::*;

fn faults(world: &ContractWorld) -> Vec<String> {
    let faults = resolve(world, at(BEFORE)).accepted.err();
    let faults = faults.unwrap_or_default().into_iter();
    faults.map(|fault| fault.message).collect()
}

fn set(world: &mut ContractWorld, amount: &str, of: FeeOf, currency: &str) {
    world.edit(|spec| {
        spec.currency = Some(currency.to_owned());
        spec.services[0].fee = Some(fee(amount, of));
    });
}

// shows D5 K2
#[test]
fn a_fee_for_all_devices_has_one_minor_unit_for_each_at_least() {
    let mut world = labelled(&["a", "b", "c"]);
    for (amount, currency, least) in [
        ("0.02", "BRL", Some("0.03")),
        ("0.03", "BRL", None),
        ("2", "JPY", Some("3")),
        ("3", "JPY", None),
        ("0.002", "KWD", Some("0.003")),
        ("0.003", "KWD", None),
        // Of nothing nothing is lost.
        ("0", "BRL", None),
    ] {
        set(&mut world, amount, FeeOf::AllDevices, currency);
        let refused = least.map(|least| {
            format!(
                "spec.services[backup].fee.amount is \"{amount}\" for all of 3 devices: must be \
                 \"{least}\" {currency} at least, one minor unit for each device, or 0"
            )
        });
        assert_eq!(faults(&world), Vec::from_iter(refused));
        set(&mut world, amount, FeeOf::EachDevice, currency);
        assert_eq!(faults(&world), Vec::<String>::new());
    }
}

// shows D5 B1
#[test]
fn a_fee_that_is_signed_is_not_refused_when_devices_come_and_another_one_is() {
    let mut world = labelled(&["a", "b"]);
    set(&mut world, "0.02", FeeOf::AllDevices, "BRL");
    world.pass(BEFORE);
    world.devices.push(device("c", &[("in", "bank")]));
    assert_eq!(faults(&world), Vec::<String>::new());
    set(&mut world, "0.01", FeeOf::AllDevices, "BRL");
    assert_eq!(faults(&world).len(), 1);
}
