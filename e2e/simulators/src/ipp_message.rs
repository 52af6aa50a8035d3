//! IPP messages: reading a request, naming operations, digesting content, writing an answer.
//!
//! Decides whether a message is well formed (RFC 8011 section 4.1). It must not know about device
//! state. Called by the IPP operations.

use std::{borrow::Cow, io::Cursor};

use bytes::{BufMut as _, Bytes, BytesMut};
use ipp::{
    IppHeader,
    attribute::{IppAttribute, IppAttributeGroup, IppAttributes},
    model::DelimiterTag,
    parser::IppParser,
    reader::IppReader,
    value::IppValue,
};
use sha2::{Digest as _, Sha256};

use super::attribute::{put, text};

/// Operation codes (RFC 8011 section 5.4.15, RFC 3380, PWG 5100.13, CUPS).
pub(super) mod operation {
    pub(crate) const GET_PRINTER_ATTRIBUTES: u16 = 0x000B;
    pub(crate) const SET_PRINTER_ATTRIBUTES: u16 = 0x0013;
    pub(crate) const IDENTIFY_PRINTER: u16 = 0x003C;
    pub(crate) const CUPS_ADD_MODIFY_PRINTER: u16 = 0x4003;
}

/// Status codes (RFC 8011 appendix B, RFC 3380 section 6).
pub(super) mod status {
    pub(crate) const OK: u16 = 0x0000;
    pub(crate) const BAD_REQUEST: u16 = 0x0400;
    pub(crate) const NOT_FOUND: u16 = 0x0406;
    pub(crate) const NOT_SUPPORTED: u16 = 0x040B;
    pub(crate) const CHARSET: u16 = 0x040D;
    pub(crate) const NOT_SETTABLE: u16 = 0x0413;
    pub(crate) const OPERATION: u16 = 0x0501;
    pub(crate) const VERSION: u16 = 0x0503;
    pub(crate) const BUSY: u16 = 0x0507;
}

/// Returns the name of an operation in the ledger and in faults.
pub(super) fn operation_name(code: u16) -> Cow<'static, str> {
    Cow::Borrowed(match code {
        0x0002 => "Print-Job",
        0x0004 => "Validate-Job",
        0x0005 => "Create-Job",
        0x0006 => "Send-Document",
        0x0008 => "Cancel-Job",
        0x0009 => "Get-Job-Attributes",
        0x000A => "Get-Jobs",
        operation::GET_PRINTER_ATTRIBUTES => "Get-Printer-Attributes",
        operation::SET_PRINTER_ATTRIBUTES => "Set-Printer-Attributes",
        0x0015 => "Get-Printer-Supported-Values",
        operation::IDENTIFY_PRINTER => "Identify-Printer",
        0x005B => "Get-System-Attributes",
        0x0062 => "Set-System-Attributes",
        operation::CUPS_ADD_MODIFY_PRINTER => "CUPS-Add-Modify-Printer",
        other => return Cow::Owned(format!("0x{other:04X}")),
    })
}

/// True if an operation asks for a change of configuration.
pub(super) fn is_write(code: u16) -> bool {
    // Set-System-Attributes is refused, yet a client that sends it meant to write.
    let writes = [
        operation::SET_PRINTER_ATTRIBUTES,
        operation::CUPS_ADD_MODIFY_PRINTER,
        0x0062,
    ];
    writes.contains(&code)
}

/// A request that could be parsed.
pub(super) struct Message {
    pub(super) header: IppHeader,
    attributes: IppAttributes,
}

impl Message {
    /// Reads a body; `None` if it is no IPP message.
    pub(super) fn parse(body: Bytes) -> Option<Self> {
        // The codec (8.0.0) panics on a text or name with language that is shorter than its length
        // field.
        let parsed = std::panic::catch_unwind(move || {
            IppParser::new(IppReader::new(Cursor::new(body))).parse_parts()
        });
        let (header, attributes, _) = parsed.ok()?.ok()?;
        Some(Self { header, attributes })
    }

    pub(super) fn code(&self) -> u16 {
        self.header.operation_or_status.cast_unsigned()
    }

    fn operation_group(&self) -> Option<&IppAttributeGroup> {
        self.attributes
            .groups()
            .first()
            .filter(|g| g.tag() == DelimiterTag::OperationAttributes)
    }

    pub(super) fn operation_attribute(&self, name: &str) -> Option<&IppValue> {
        self.operation_group()?.get(name).map(IppAttribute::value)
    }

    /// Returns the attributes of the printer-attributes group.
    pub(super) fn printer_attributes(&self) -> &[IppAttribute] {
        let group = self.attributes.first_of(DelimiterTag::PrinterAttributes);
        group.map_or(&[], IppAttributeGroup::attributes)
    }

    /// Returns the status for a malformed request; `None` if it is well formed.
    pub(super) fn flaw(&self) -> Option<(u16, &'static str)> {
        if !matches!(self.header.version.0 >> 8, 1 | 2) {
            return Some((status::VERSION, "only versions 1.x and 2.x are supported"));
        }
        if self.header.request_id < 1 {
            return Some((status::BAD_REQUEST, "request-id must be above 0"));
        }
        let first = self
            .operation_group()
            .map_or(&[][..], IppAttributeGroup::attributes);
        let is = |index: usize, name: &str| {
            first
                .get(index)
                .is_some_and(|a: &IppAttribute| a.name().as_str() == name)
        };
        if !is(0, "attributes-charset") || !is(1, "attributes-natural-language") {
            return Some((
                status::BAD_REQUEST,
                "charset and natural language must come first",
            ));
        }
        match first[0].value() {
            IppValue::Charset(c) if matches!(c.as_str(), "utf-8" | "us-ascii") => None,
            IppValue::Charset(_) => Some((status::CHARSET, "charset not supported")),
            _ => Some((status::BAD_REQUEST, "attributes-charset must be a charset")),
        }
    }

    /// Digest of operation and content. What names the message, its sender or its target is left
    /// out, and the order of attributes does not count.
    pub(super) fn digest(&self) -> [u8; 32] {
        const LEFT_OUT: [&str; 4] = [
            "attributes-charset",
            "attributes-natural-language",
            "printer-uri",
            "requesting-user-name",
        ];
        let mut wire = BytesMut::with_capacity(256);
        wire.put_u16(self.code());
        for group in self.attributes.groups() {
            let mut attributes: Vec<_> = group.attributes().iter().collect();
            attributes.sort_by_key(|a| a.name().as_str());
            wire.put_u8(group.tag() as u8);
            for attribute in attributes {
                if !LEFT_OUT.contains(&attribute.name().as_str()) {
                    put(&mut wire, attribute.name(), attribute.value());
                }
            }
        }
        Sha256::digest(&wire).into()
    }
}

/// An answer that is being written.
pub(super) struct Reply {
    pub(super) status: u16,
    wire: BytesMut,
}

impl Reply {
    /// Starts an answer to `request` with its operation attributes.
    pub(super) fn new(request: IppHeader, status: u16, message: &str) -> Self {
        let mut wire = BytesMut::with_capacity(1024);
        // RFC 8011 section 4.1.8: the version of the request, if it is one of ours.
        let version = match request.version.0 {
            version @ (0x0101 | 0x0200) => version,
            version if version >> 8 == 1 => 0x0101,
            _ => 0x0200,
        };
        wire.put_u16(version);
        wire.put_u16(status);
        wire.put_i32(request.request_id);
        wire.put_u8(DelimiterTag::OperationAttributes as u8);
        wire.put_slice(b"\x47\x00\x12attributes-charset\x00\x05utf-8");
        wire.put_slice(b"\x48\x00\x1battributes-natural-language\x00\x02en");
        if !message.is_empty() {
            put(&mut wire, "status-message", &text(message));
        }
        Self { status, wire }
    }

    pub(super) fn group(&mut self, tag: DelimiterTag) {
        self.wire.put_u8(tag as u8);
    }

    pub(super) fn attribute(&mut self, name: &str, value: &IppValue) {
        put(&mut self.wire, name, value);
    }

    pub(super) fn encoded(&mut self, wire: &[u8]) {
        self.wire.put_slice(wire);
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.wire.put_u8(DelimiterTag::EndOfAttributes as u8);
        self.wire.freeze()
    }
}
