//! The body of a registration.
//!
//! Decides whether it is well formed, has the consent that its enrolment requires, and names a model and
//! a time zone that there are. Every fault is told at once. Called by the gateway before it judges a
//! registration.

use entente_crds::bounded::Token;
use entente_crds::v1alpha1::{
    ConsentRule, ConsentWay, DeviceCapabilities, DeviceDisplay, DeviceModel, ReportedSoftware,
    TwinConsent,
};
use serde_json::Value;

use super::{
    members::{Faults, Members, Range, pointer, quoted, text},
    problem::{Content, Problem},
    registration::model_of,
    software,
    texts::{COUNTRY, LANGUAGE, NAME, Rule, SERIAL_NUMBER, SUBDIVISION, TEXT, UUID, VERSION, ZONE},
};
use crate::time;

/// The most kinds of data, and the most supplies, of a device.
const MOST_CAPABILITIES: usize = 64;
/// The most characters of a line of a display, and the most lines.
const DISPLAYED: Range = Range {
    least: 1,
    most: 512,
    allowed: "a whole number from 1 to 512",
};
/// The most languages of a device.
const MOST_LANGUAGES: usize = 8;
/// Members of the body.
const MEMBERS: [&str; 11] = [
    "serialNumber",
    "productName",
    "manufacturer",
    "uuid",
    "shipDestination",
    "timeZone",
    "languages",
    "area",
    "software",
    "capabilities",
    "consent",
];

/// Ways by which consent is given and withdrawn.
pub(super) const WAYS: [(&str, ConsentWay); 3] = [
    ("Panel", ConsentWay::Panel),
    ("Technician", ConsentWay::Technician),
    ("Command", ConsentWay::Command),
];

/// A registration that is well formed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The serial number.
    pub serial_number: String,
    /// Name of the product.
    pub product_name: String,
    /// The manufacturer, if it says one.
    pub manufacturer: Option<String>,
    /// The UUID of the device, if it has one.
    pub uuid: Option<String>,
    /// The country for which it was made.
    pub ship_destination: String,
    /// Its time zone.
    pub time_zone: String,
    /// The languages of its panel.
    pub languages: Vec<String>,
    /// Software that runs on it.
    pub software: Vec<ReportedSoftware>,
    /// Its abilities besides settings.
    pub capabilities: DeviceCapabilities,
    /// Consent of its owner.
    pub consent: Option<TwinConsent>,
}

impl Request {
    /// Reads a body for an enrolment that has this rule of consent, in a cluster with these models.
    ///
    /// # Errors
    /// Returns the answer to a body that has faults, with all of them.
    pub fn read<'m>(
        body: &Value,
        rule: ConsentRule,
        models: impl IntoIterator<Item = &'m DeviceModel>,
    ) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let read = fields(body, rule, models, &mut faults);
        if let Some(problem) = faults.problem() {
            return Err(problem);
        }
        // Without a fault every member that is required was read.
        read.ok_or_else(|| Problem::BadRequest("it is no registration".to_owned()))
    }
}

fn fields<'m>(
    body: &Value,
    rule: ConsentRule,
    models: impl IntoIterator<Item = &'m DeviceModel>,
    faults: &mut Faults,
) -> Option<Request> {
    let members = Members::of(body, "", &MEMBERS, faults)?;
    let serial_number = members.required("serialNumber", SERIAL_NUMBER, faults);
    let product_name = members.required("productName", TEXT, faults);
    let manufacturer = members.text("manufacturer", TEXT, faults);
    if let Some(product) = product_name
        && (manufacturer.is_some() || members.get("manufacturer").is_none())
        && model_of(models, product, manufacturer).is_none()
    {
        let said = manufacturer.map(|it| format!(" of {}", quoted(it)));
        let detail = format!("it is {}{}", quoted(product), said.unwrap_or_default());
        let allowed = "a name of spec.productNames of a DeviceModel of that manufacturer";
        faults.note_as(Content::UnknownModel, "/productName", detail, allowed);
    }
    let time_zone = members.required("timeZone", ZONE, faults);
    if let Some(zone) = time_zone
        && time::zone(zone).is_err()
    {
        let detail = format!("it is {}", quoted(zone));
        faults.note_as(Content::UnknownTimeZone, "/timeZone", detail, ZONE.allowed);
    }
    let uuid = members.text("uuid", UUID, faults);
    let ship_destination = members.required("shipDestination", COUNTRY, faults);
    let languages = languages(&members, faults);
    area(&members, faults);
    let software = members
        .get("software")
        .and_then(|value| software::read(value, "/software", faults));
    let capabilities = capabilities(&members, faults);
    let consent = consent(&members, rule, faults);
    Some(Request {
        serial_number: serial_number?.to_owned(),
        product_name: product_name?.to_owned(),
        manufacturer: manufacturer.map(str::to_owned),
        uuid: uuid.map(str::to_owned),
        ship_destination: ship_destination?.to_owned(),
        time_zone: time_zone?.to_owned(),
        languages,
        software: software.unwrap_or_default(),
        capabilities,
        consent,
    })
}

fn languages(members: &Members<'_>, faults: &mut Faults) -> Vec<String> {
    let items = members.list("languages", MOST_LANGUAGES, faults);
    let mut all = Vec::new();
    for (index, item) in items.unwrap_or_default().iter().enumerate() {
        let at = pointer("/languages", &index.to_string());
        all.extend(text(item, &at, LANGUAGE, faults).map(str::to_owned));
    }
    all
}

/// The place of the device is checked and not kept: it belongs to the look-up of its region.
fn area(members: &Members<'_>, faults: &mut Faults) {
    let Some(area) = members.get("area") else {
        return;
    };
    let known = ["country", "subdivision"];
    if let Some(area) = Members::of(area, "/area", &known, faults) {
        area.required("country", COUNTRY, faults);
        area.text("subdivision", SUBDIVISION, faults);
    }
}

fn capabilities(members: &Members<'_>, faults: &mut Faults) -> DeviceCapabilities {
    let known = ["ddi", "dataTypes", "supplies", "display"];
    let value = members.get("capabilities");
    let able = value.and_then(|value| Members::of(value, "/capabilities", &known, faults));
    let Some(able) = able else {
        return DeviceCapabilities::default();
    };
    DeviceCapabilities {
        ddi: able.truth("ddi", faults).unwrap_or_default(),
        data_types: names(&able, "dataTypes", NAME, faults),
        supplies: names(&able, "supplies", VERSION, faults),
        display: display(&able, faults),
    }
}

fn display(able: &Members<'_>, faults: &mut Faults) -> Option<DeviceDisplay> {
    let value = able.get("display")?;
    let size = Members::of(
        value,
        "/capabilities/display",
        &["columns", "lines"],
        faults,
    )?;
    let columns = length(&size, "columns", faults);
    let lines = length(&size, "lines", faults);
    Some(DeviceDisplay {
        columns: columns?,
        lines: lines?,
    })
}

/// Returns a number of characters or lines.
fn length(size: &Members<'_>, name: &str, faults: &mut Faults) -> Option<i32> {
    if !size.is_there(name, DISPLAYED.allowed, faults) {
        return None;
    }
    let length = size.number(name, DISPLAYED, faults)?;
    i32::try_from(length).ok()
}

/// Returns a list of names, each once; `None` if it is absent.
fn names(
    able: &Members<'_>,
    member: &str,
    rule: Rule,
    faults: &mut Faults,
) -> Option<Vec<Token<64>>> {
    let items = able.list(member, MOST_CAPABILITIES, faults)?;
    let mut all: Vec<Token<64>> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = pointer(&format!("/capabilities/{member}"), &index.to_string());
        all.extend(text(item, &at, rule, faults).map(Token::from));
    }
    all.sort();
    all.dedup();
    Some(all)
}

fn consent(members: &Members<'_>, rule: ConsentRule, faults: &mut Faults) -> Option<TwinConsent> {
    let Some(value) = members.get("consent") else {
        if rule == ConsentRule::Required {
            let allowed = "the consent of the owner of the device";
            faults.note_as(
                Content::ConsentMissing,
                "/consent",
                "it is missing",
                allowed,
            );
        }
        return None;
    };
    let consent = Members::of(value, "/consent", &["by", "at", "textVersion"], faults)?;
    let by = consent.word("by", &WAYS, faults);
    let at = consent.instant("at", faults);
    let text_version = consent.required("textVersion", VERSION, faults);
    Some(TwinConsent {
        by: by?,
        at: at?,
        text_version: text_version?.into(),
        withdrawn: None,
        withdrawn_by: None,
        withdrawn_at: None,
    })
}

#[cfg(test)]
mod tests;
