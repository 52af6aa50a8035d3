//! The three IPP servers: their identity, the values that they accept, and their false reports.

use std::collections::BTreeMap;

use entente_e2e::peers::ipp_client::{Answer, IppClient, attribute, keyword, text, uri};
use entente_e2e::peers::{
    CupsServer, ExtraAttribute, IppEvePrinter, IppEvePrinterOptions, LprintServer,
};
use ipp::prelude::{IppAttribute, IppValue};

const SUCCESSFUL_OK: u16 = 0x0000;
const ATTRIBUTES_OR_VALUES_NOT_SUPPORTED: u16 = 0x040b;
const OPERATION_NOT_SUPPORTED: u16 = 0x0501;

const IDENTITY: [&str; 8] = [
    "printer-uuid",
    "device-uuid",
    "printer-name",
    "printer-make-and-model",
    "printer-device-id",
    "printer-serial-number",
    "printer-firmware-name",
    "printer-firmware-string-version",
];

/// Returns the values that a printer has now, by name; absent ones are left out.
async fn read(client: &IppClient, printer: &str, names: &[&str]) -> BTreeMap<String, String> {
    let answer = client
        .get(printer, names)
        .await
        .expect("the printer answers");
    assert_eq!(
        answer.status & 0xff00,
        0,
        "Get-Printer-Attributes of {names:?}: {answer:?}"
    );
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), answer.text(name)?)))
        .collect()
}

/// Sets one attribute and returns the answer and the value read afterwards.
async fn set_and_read(
    client: &IppClient,
    printer: &str,
    wanted: IppAttribute,
) -> (Answer, Option<String>) {
    let name = wanted.name().to_string();
    let answer = client
        .set(printer, vec![wanted])
        .await
        .expect("the printer answers");
    let after = read(client, printer, &[&name]).await.remove(&name);
    (answer, after)
}

fn contact(name: &str) -> IppAttribute {
    let members = [
        ("contact-name", IppValue::new_name_without_language(name)),
        (
            "contact-uri",
            IppValue::new_uri("mailto:operator@printers.example"),
        ),
    ];
    let members =
        members.map(|(member, value)| (member.try_into().expect("short"), value.expect("short")));
    attribute("printer-contact-col", IppValue::Collection(members.into()))
}

#[tokio::test]
async fn lprint_reports_success_for_a_location_that_then_is_not_in_effect() {
    // shows D1
    let server = LprintServer::start(&["lab1"]).await.unwrap();
    let (client, printer) = (IppClient::new(), server.uri("lab1"));
    let silently_ignored = [
        text("printer-location", "Floor 1"),
        text("printer-organization", "Example"),
        text("printer-organizational-unit", "Print"),
        attribute("orientation-requested-default", IppValue::Enum(4)),
        attribute("media-default", keyword("no-such-media")),
    ];
    for wanted in silently_ignored {
        let name = wanted.name().to_string();
        let before = read(&client, &printer, &[&name]).await.remove(&name);
        let (answer, after) = set_and_read(&client, &printer, wanted).await;
        assert_eq!(answer.status, SUCCESSFUL_OK, "{name}: {answer:?}");
        assert!(answer.unsupported.is_empty(), "{name}: {answer:?}");
        assert_eq!(after, before, "{name} is not in effect");
    }
    // It even lists the location as settable, under a name no standard has.
    let listed = read(&client, &printer, &["printer-settable-attributes"]).await;
    assert!(
        listed["printer-settable-attributes"].contains("printer-location"),
        "{listed:?}"
    );
}

#[tokio::test]
async fn lprint_takes_what_it_takes_through_set_printer_attributes() {
    let server = LprintServer::start(&["lab1"]).await.unwrap();
    let (client, printer) = (IppClient::new(), server.uri("lab1"));
    let effective = [
        (uri("printer-geo-location", "geo:46.5,7.5"), "geo:46.5,7.5"),
        (attribute("print-quality-default", IppValue::Enum(5)), "5"),
        (
            attribute("print-content-optimize-default", keyword("text")),
            "text",
        ),
        (
            attribute("media-default", keyword("na_index-3x5_3x5in")),
            "na_index-3x5_3x5in",
        ),
        (
            attribute("label-mode-configured", keyword("tear-off")),
            "tear-off",
        ),
        (
            attribute("printer-darkness-configured", IppValue::Integer(70)),
            "70",
        ),
    ];
    for (wanted, value) in effective {
        let name = wanted.name().to_string();
        let (answer, after) = set_and_read(&client, &printer, wanted).await;
        assert_eq!(answer.status, SUCCESSFUL_OK, "{name}: {answer:?}");
        assert_eq!(after.as_deref(), Some(value), "{name} is in effect");
    }
}

#[tokio::test]
async fn lprint_keeps_the_name_of_a_contact_and_drops_its_uri() {
    let server = LprintServer::start(&["lab1"]).await.unwrap();
    let (client, printer) = (IppClient::new(), server.uri("lab1"));
    let answer = client.set(&printer, vec![contact("Ada")]).await.unwrap();
    assert_eq!(answer.status, SUCCESSFUL_OK, "{answer:?}");
    let after = client
        .get(&printer, &["printer-contact-col"])
        .await
        .unwrap();
    let Some(IppValue::Collection(members)) = after.attributes.get("printer-contact-col") else {
        panic!("no contact: {after:?}");
    };
    let member = |name: &str| {
        members
            .iter()
            .find(|(key, _)| key.as_str() == name)
            .map(|(_, value)| value.to_string())
    };
    assert_eq!(member("contact-name").as_deref(), Some("Ada"));
    assert_eq!(member("contact-uri").as_deref(), Some("data:,"));
}

#[tokio::test]
async fn lprint_refuses_a_whole_request_for_one_name_it_cannot_set_and_says_which() {
    let server = LprintServer::start(&["lab1"]).await.unwrap();
    let (client, printer) = (IppClient::new(), server.uri("lab1"));
    let both = vec![
        uri("printer-geo-location", "geo:1,2"),
        text("printer-info", "Label printer"),
    ];
    let answer = client.set(&printer, both).await.unwrap();
    assert_eq!(
        answer.status, ATTRIBUTES_OR_VALUES_NOT_SUPPORTED,
        "{answer:?}"
    );
    assert!(
        answer.unsupported.contains_key("printer-info"),
        "{answer:?}"
    );
    let after = read(&client, &printer, &["printer-geo-location"]).await;
    assert!(
        after.is_empty(),
        "nothing of a refused request is in effect: {after:?}"
    );
}

#[tokio::test]
async fn lprint_has_several_queues_and_comes_back_with_them_and_their_settings() {
    let mut server = LprintServer::start(&["lab1", "lab2"]).await.unwrap();
    // Servers do not share anything, so tests may run side by side.
    let other = LprintServer::start(&["lab1"]).await.unwrap();
    let (client, printer) = (IppClient::new(), server.uri("lab2"));
    let names = ["printer-uuid", "printer-geo-location"];
    set_and_read(&client, &printer, uri("printer-geo-location", "geo:3,4")).await;
    let before = read(&client, &printer, &names).await;
    assert_eq!(before["printer-geo-location"], "geo:3,4");
    let neighbour = read(&client, &server.uri("lab1"), &names).await;
    assert_ne!(neighbour["printer-uuid"], before["printer-uuid"]);
    assert!(
        !neighbour.contains_key("printer-geo-location"),
        "{neighbour:?}"
    );

    server.shut_down().await.unwrap();
    client
        .get(&printer, &names)
        .await
        .expect_err("a printer that is off refuses");
    server.start_again().await.unwrap();
    assert_eq!(read(&client, &printer, &names).await, before);

    // The uuid comes from the queue's name: two servers with one name claim one identity.
    let twin = read(&client, &other.uri("lab1"), &["printer-uuid"]).await;
    assert_eq!(twin["printer-uuid"], neighbour["printer-uuid"]);
}

#[tokio::test]
async fn cupsd_takes_five_attributes_through_set_and_ignores_the_others_with_success() {
    let server = CupsServer::start(&["lab1"]).await.unwrap();
    let (client, printer) = (IppClient::new(), server.uri("lab1"));
    let effective = [
        (text("printer-location", "Floor 1"), "Floor 1"),
        (text("printer-info", "By the stairs"), "By the stairs"),
        (text("printer-organization", "Example"), "Example"),
        (text("printer-organizational-unit", "Print"), "Print"),
        (uri("printer-geo-location", "geo:46.5,7.5"), "geo:46.5,7.5"),
    ];
    let settable = read(
        &client,
        &printer,
        &["printer-settable-attributes-supported"],
    )
    .await;
    for (wanted, value) in effective {
        let name = wanted.name().to_string();
        assert!(
            settable["printer-settable-attributes-supported"].contains(&name),
            "{settable:?}"
        );
        let (answer, after) = set_and_read(&client, &printer, wanted).await;
        assert_eq!(answer.status, SUCCESSFUL_OK, "{name}: {answer:?}");
        assert_eq!(after.as_deref(), Some(value), "{name} is in effect");
    }
    let silently_ignored = [
        attribute("media-default", keyword("iso_a4_210x297mm")),
        attribute("print-quality-default", IppValue::Enum(5)),
        text("printer-state-message", "Order 4711"),
        contact("Ada"),
        text("no-such-attribute", "x"),
    ];
    for wanted in silently_ignored {
        let name = wanted.name().to_string();
        let before = read(&client, &printer, &[&name]).await.remove(&name);
        let (answer, after) = set_and_read(&client, &printer, wanted).await;
        assert_eq!(answer.status, SUCCESSFUL_OK, "{name}: {answer:?}");
        assert!(answer.unsupported.is_empty(), "{name}: {answer:?}");
        assert_eq!(after, before, "{name} is not in effect");
    }
}

#[tokio::test]
async fn cupsd_takes_defaults_and_the_operator_message_through_cups_add_modify_printer() {
    let server = CupsServer::start(&["lab1"]).await.unwrap();
    let (client, printer) = (IppClient::new(), server.uri("lab1"));
    let effective = [
        (text("printer-location", "Floor 2"), "Floor 2"),
        (text("printer-info", "By the lift"), "By the lift"),
        (uri("printer-geo-location", "geo:1,2"), "geo:1,2"),
        (text("printer-state-message", "Order 4711"), "Order 4711"),
        (
            attribute("media-default", keyword("iso_a4_210x297mm")),
            "iso_a4_210x297mm",
        ),
        (attribute("print-quality-default", IppValue::Enum(5)), "5"),
        (
            attribute("orientation-requested-default", IppValue::Enum(4)),
            "4",
        ),
        (attribute("copies-default", IppValue::Integer(2)), "2"),
        (
            attribute("sides-default", keyword("two-sided-long-edge")),
            "two-sided-long-edge",
        ),
    ];
    for (wanted, value) in effective {
        let name = wanted.name().to_string();
        let answer = client.cups_modify(&printer, vec![wanted]).await.unwrap();
        assert_eq!(answer.status, SUCCESSFUL_OK, "{name}: {answer:?}");
        let after = read(&client, &printer, &[&name]).await.remove(&name);
        assert_eq!(after.as_deref(), Some(value), "{name} is in effect");
    }
    // Even this operation lies about names it does not know.
    for wanted in [contact("Ada"), text("no-such-attribute", "x")] {
        let name = wanted.name().to_string();
        let answer = client.cups_modify(&printer, vec![wanted]).await.unwrap();
        assert_eq!(answer.status, SUCCESSFUL_OK, "{name}: {answer:?}");
        assert!(
            read(&client, &printer, &[&name]).await.is_empty(),
            "{name} is not in effect"
        );
    }
}

#[tokio::test]
async fn cupsd_comes_back_with_its_queues_and_settings() {
    let mut server = CupsServer::start(&["lab1", "lab2"]).await.unwrap();
    let (client, printer) = (IppClient::new(), server.uri("lab2"));
    let names = ["printer-uuid", "printer-location"];
    set_and_read(&client, &printer, text("printer-location", "Floor 3")).await;
    let before = read(&client, &printer, &names).await;
    assert_eq!(before["printer-location"], "Floor 3");
    server.kill().await.unwrap();
    client
        .get(&printer, &names)
        .await
        .expect_err("a killed printer refuses");
    server.start_again().await.unwrap();
    assert_eq!(read(&client, &printer, &names).await, before);
}

#[tokio::test]
async fn ippeveprinter_has_no_set_operation() {
    let printer = IppEvePrinter::start(IppEvePrinterOptions::default())
        .await
        .unwrap();
    let client = IppClient::new();
    let wanted = text("printer-location", "Floor 1");
    let (answer, after) = set_and_read(&client, &printer.uri(), wanted.clone()).await;
    assert_eq!(answer.status, OPERATION_NOT_SUPPORTED, "{answer:?}");
    assert_eq!(after.as_deref(), Some("Lab"));
    let answer = client
        .cups_modify(&printer.uri(), vec![wanted])
        .await
        .unwrap();
    assert_eq!(answer.status, OPERATION_NOT_SUPPORTED, "{answer:?}");
}

#[tokio::test]
async fn ippeveprinter_keeps_its_uuid_over_a_firmware_update() {
    let firmware = |version: &str| IppEvePrinterOptions {
        extra: vec![
            ExtraAttribute::text("printer-serial-number", "SN-77"),
            ExtraAttribute::text("printer-firmware-string-version", version),
        ],
        ..IppEvePrinterOptions::default()
    };
    let mut printer = IppEvePrinter::start(firmware("1.2.3")).await.unwrap();
    let client = IppClient::new();
    let before = read(&client, &printer.uri(), &IDENTITY).await;
    assert_eq!(before["printer-serial-number"], "SN-77");
    assert_eq!(before["printer-firmware-string-version"], "1.2.3");
    printer.restart_with(&firmware("1.3.0")).await.unwrap();
    let after = read(&client, &printer.uri(), &IDENTITY).await;
    assert_eq!(after["printer-firmware-string-version"], "1.3.0");
    assert_eq!(after["printer-uuid"], before["printer-uuid"]);
}

#[tokio::test]
async fn each_printer_reports_an_identity_and_only_the_uuid_is_common_to_all() {
    let client = IppClient::new();
    let lprint = LprintServer::start(&["lab1"]).await.unwrap();
    let cupsd = CupsServer::start(&["lab1"]).await.unwrap();
    let ippeveprinter = IppEvePrinter::start(IppEvePrinterOptions::default())
        .await
        .unwrap();
    let mut identities = BTreeMap::new();
    for (peer, printer) in [
        ("lprint", lprint.uri("lab1")),
        ("cupsd", cupsd.uri("lab1")),
        ("ippeveprinter", ippeveprinter.uri()),
    ] {
        let identity = read(&client, &printer, &IDENTITY).await;
        println!("{peer} at {printer}");
        for (name, value) in &identity {
            println!("    {name} = {value}");
        }
        assert!(
            identity["printer-uuid"].starts_with("urn:uuid:"),
            "{peer}: {identity:?}"
        );
        assert!(
            !identity.contains_key("printer-serial-number"),
            "{peer}: {identity:?}"
        );
        identities.insert(peer, identity);
    }
    let model = |peer: &str| identities[peer]["printer-make-and-model"].clone();
    assert_eq!(model("lprint"), "Zebra ZPL 4-inch/203dpi/Direct-Thermal");
    assert_eq!(model("cupsd"), "Local Raw Printer");
    assert_eq!(model("ippeveprinter"), "Example Laser 9");
    assert!(identities["lprint"]["printer-device-id"].starts_with("MFG:Zebra;MDL:ZPL"));
    assert!(identities["ippeveprinter"]["printer-device-id"].starts_with("MFG:Example;MDL:Laser"));
    assert!(!identities["cupsd"].contains_key("printer-device-id"));
    assert!(identities["lprint"].contains_key("printer-firmware-string-version"));
}
