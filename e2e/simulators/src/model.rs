//! The model of a fleet: the part that all its devices share, encoded once.
//!
//! Decides which attributes a device has, which can be set and through which operation. It has
//! nothing that differs between two devices. Called by the fleet at start and by devices on reads.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use ipp::value::IppValue;
use serde_json::json;

use super::{
    SimulatorError,
    attribute::{SettableAttribute, Syntax, put, text},
    ipp_message::operation,
};

/// The operations through which a device accepts settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOperations {
    /// Set-Printer-Attributes (RFC 3380, 0x0013).
    pub set_printer_attributes: bool,
    /// CUPS-Add-Modify-Printer (0x4003), which then also sets printer-state-message.
    pub cups_add_modify_printer: bool,
}

impl Default for WriteOperations {
    fn default() -> Self {
        Self {
            set_printer_attributes: true,
            cups_add_modify_printer: false,
        }
    }
}

/// Group names that requested-attributes can name (RFC 8011 section 4.2.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Description,
    JobTemplate,
    /// In no group, not even `all`: returned only if it is named.
    OnlyByName,
}

/// An attribute that is the same on every device of the model.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) value: IppValue,
    pub(super) wire: Bytes,
}

/// The part that all devices of a fleet share.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) maker_and_product: String,
    pub(super) writes: WriteOperations,
    pub(super) fixed: Vec<Fixed>,
    fixed_index: HashMap<&'static str, usize>,
    pub(super) settable: Vec<SettableAttribute>,
    settable_index: HashMap<String, usize>,
    pub(super) factory: Vec<Option<IppValue>>,
}

impl Model {
    pub(super) fn new(
        make_and_model: &str,
        writes: WriteOperations,
        advertise_settable: bool,
        vendor: &[SettableAttribute],
    ) -> Result<Self, SimulatorError> {
        let mut settable = standard_settable(make_and_model);
        settable.retain(|s| vendor.iter().all(|v| v.name != s.name));
        settable.extend_from_slice(vendor);
        let mut fixed: Vec<Fixed> = table(writes)
            .into_iter()
            .map(|(name, group, value)| encoded(name, group, value))
            .collect();
        if advertise_settable {
            let names = settable.iter().map(|s| keyword(&s.name)).collect();
            let name = "printer-settable-attributes-supported";
            fixed.push(encoded(name, Group::Description, IppValue::Array(names)));
        }
        let factory = settable
            .iter()
            .map(factory_value)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            maker_and_product: make_and_model.to_owned(),
            writes,
            fixed_index: fixed.iter().enumerate().map(|(i, f)| (f.name, i)).collect(),
            fixed,
            settable_index: settable
                .iter()
                .enumerate()
                .map(|(i, s)| (s.name.clone(), i))
                .collect(),
            settable,
            factory,
        })
    }

    pub(super) fn fixed(&self, name: &str) -> Option<&Fixed> {
        self.fixed_index.get(name).map(|index| &self.fixed[*index])
    }

    pub(super) fn settable(&self, name: &str) -> Option<usize> {
        self.settable_index.get(name).copied()
    }
}

fn factory_value(attribute: &SettableAttribute) -> Result<Option<IppValue>, SimulatorError> {
    if attribute.factory.is_null() {
        return Ok(None);
    }
    let value = attribute.syntax.value_of(&attribute.factory);
    value.map(Some).ok_or_else(|| SimulatorError::Options {
        message: format!("factory value {} of {}", attribute.factory, attribute.name),
    })
}

fn encoded(name: &'static str, group: Group, value: IppValue) -> Fixed {
    let mut wire = BytesMut::new();
    put(&mut wire, name, &value);
    Fixed {
        name,
        group,
        value,
        wire: wire.freeze(),
    }
}

/// Attributes that RFC 8011 and PWG 5100.13 let a client set on such a device.
fn standard_settable(make_and_model: &str) -> Vec<SettableAttribute> {
    let text = || Syntax::Text { maximum: 127 };
    vec![
        SettableAttribute::new("printer-location", text(), ""),
        SettableAttribute::new("printer-info", text(), make_and_model),
        SettableAttribute::new("printer-organization", text(), ""),
        SettableAttribute::new("printer-organizational-unit", text(), ""),
        SettableAttribute::new("printer-geo-location", Syntax::Uri, json!(null)),
    ]
}

type Row = (&'static str, Group, IppValue);

fn table(writes: WriteOperations) -> Vec<Row> {
    let mut rows = description(writes);
    rows.extend(
        job_template()
            .into_iter()
            .map(|(n, v)| (n, Group::JobTemplate, v)),
    );
    let sizes = vec![media_col(21_000, 29_700), media_col(29_700, 42_000)];
    rows.push((
        "media-col-database",
        Group::OnlyByName,
        IppValue::Array(sizes),
    ));
    // The result of the last backup, which the device reports and nobody can set.
    for name in ["nw-backup-last-run", "sw-backup-last-run"] {
        rows.push((name, Group::OnlyByName, keyword("never")));
    }
    rows
}

fn description(writes: WriteOperations) -> Vec<Row> {
    let mut operations = vec![
        operation::GET_PRINTER_ATTRIBUTES,
        operation::IDENTIFY_PRINTER,
    ];
    if writes.set_printer_attributes {
        operations.push(operation::SET_PRINTER_ATTRIBUTES);
    }
    if writes.cups_add_modify_printer {
        operations.push(operation::CUPS_ADD_MODIFY_PRINTER);
    }
    let operations = operations
        .into_iter()
        .map(|o| IppValue::Enum(o.into()))
        .collect();
    let rows: Vec<(&'static str, IppValue)> = vec![
        ("ipp-versions-supported", keywords(&["1.1", "2.0"])),
        ("operations-supported", IppValue::Array(operations)),
        ("charset-configured", charset("utf-8")),
        (
            "charset-supported",
            IppValue::Array(vec![charset("us-ascii"), charset("utf-8")]),
        ),
        ("natural-language-configured", language("en")),
        ("generated-natural-language-supported", language("en")),
        ("compression-supported", keyword("none")),
        ("document-format-default", mime("application/octet-stream")),
        (
            "document-format-supported",
            IppValue::Array(vec![
                mime("application/octet-stream"),
                mime("image/pwg-raster"),
            ]),
        ),
        ("pdl-override-supported", keyword("attempted")),
        ("uri-authentication-supported", keyword("none")),
        ("uri-security-supported", keyword("none")),
        ("multiple-document-jobs-supported", IppValue::Boolean(false)),
        ("printer-is-accepting-jobs", IppValue::Boolean(true)),
        ("queued-job-count", IppValue::Integer(0)),
        ("color-supported", IppValue::Boolean(true)),
        ("pages-per-minute", IppValue::Integer(50)),
        ("identify-actions-default", keyword("display")),
        (
            "identify-actions-supported",
            keywords(&["display", "sound"]),
        ),
        ("printer-supply", supplies()),
        ("printer-kind", keyword("document")),
        ("printer-firmware-name", name("system")),
        ("printer-firmware-string-version", text("4.2.0")),
        (
            "printer-firmware-version",
            IppValue::OctetString(Bytes::from_static(&[4, 2, 0])),
        ),
    ];
    rows.into_iter()
        .map(|(n, v)| (n, Group::Description, v))
        .collect()
}

/// Four toners and a waste box (PWG 5100.13), each full or empty as at the factory.
fn supplies() -> IppValue {
    let toner = |(index, colorant): (usize, &str)| {
        format!(
            "index={};class=supplyThatIsConsumed;type=toner;unit=percent;maxcapacity=100;level=80;\
             colorantname={colorant};",
            index + 1
        )
    };
    let toners = ["black", "cyan", "magenta", "yellow"];
    let waste = "index=5;class=receptacleThatIsFilled;type=wasteToner;unit=percent;maxcapacity=100;\
                 level=5;";
    let rows = toners.into_iter().enumerate().map(toner);
    let rows = rows.chain([waste.to_owned()]);
    IppValue::Array(rows.map(|row| IppValue::OctetString(row.into())).collect())
}

fn job_template() -> Vec<(&'static str, IppValue)> {
    let enums =
        |values: &[i32]| IppValue::Array(values.iter().map(|v| IppValue::Enum(*v)).collect());
    vec![
        ("copies-default", IppValue::Integer(1)),
        (
            "copies-supported",
            IppValue::RangeOfInteger { min: 1, max: 999 },
        ),
        ("media-default", keyword("iso_a4_210x297mm")),
        (
            "media-supported",
            keywords(&["iso_a4_210x297mm", "iso_a3_297x420mm"]),
        ),
        ("media-ready", keyword("iso_a4_210x297mm")),
        ("media-col-default", media_col(21_000, 29_700)),
        (
            "media-col-supported",
            keywords(&["media-size", "media-type"]),
        ),
        ("orientation-requested-default", IppValue::Enum(3)),
        ("orientation-requested-supported", enums(&[3, 4, 5, 6])),
        ("print-quality-default", IppValue::Enum(4)),
        ("print-quality-supported", enums(&[3, 4, 5])),
        ("sides-default", keyword("one-sided")),
        (
            "sides-supported",
            keywords(&["one-sided", "two-sided-long-edge"]),
        ),
    ]
}

fn media_col(width: i32, length: i32) -> IppValue {
    let member = |name: &str| name.try_into().expect("a short name");
    let size = [
        (member("x-dimension"), IppValue::Integer(width)),
        (member("y-dimension"), IppValue::Integer(length)),
    ];
    let members = [
        (member("media-size"), IppValue::Collection(size.into())),
        (member("media-type"), keyword("stationery")),
    ];
    IppValue::Collection(members.into())
}

pub(super) fn keyword(word: &str) -> IppValue {
    IppValue::new_keyword(word).expect("a keyword is at most 255 bytes")
}

fn keywords(words: &[&str]) -> IppValue {
    IppValue::Array(words.iter().map(|word| keyword(word)).collect())
}

fn charset(value: &str) -> IppValue {
    IppValue::new_charset(value).expect("a short charset")
}

fn language(value: &str) -> IppValue {
    IppValue::new_natural_language(value).expect("a short language tag")
}

fn mime(value: &str) -> IppValue {
    IppValue::new_mime_media_type(value).expect("a short media type")
}

pub(super) fn name(value: &str) -> IppValue {
    IppValue::new_name_without_language(value).expect("a name is at most 255 bytes")
}

pub(super) fn uri(value: &str) -> IppValue {
    IppValue::new_uri(value).expect("a URI of ours is short")
}
