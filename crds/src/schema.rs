//! Schemas of scalars that occur in several kinds, each with the CEL rule that guards it.
//!
//! A rule is written once here so that its message, which names the allowed values, reads the same
//! at every use of the scalar. Used through `#[schemars(schema_with = "…")]` by `v1alpha1`.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::condition::Reason;

/// The most characters that a message in a status has.
pub const MAX_MESSAGE: usize = 1024;

/// The largest number of digits of a [`whole_number`].
pub const MAX_WHOLE_NUMBER: usize = 256;

/// The most compensations that a line of an explanation names as those that took of its period.
pub const MAX_TAKEN_BY: usize = 8;

/// The most times of exclusions that a revision and a record have: those that an exclusion of the
/// contract still has ahead, and as many that have passed.
pub const MAX_EXCLUDED_TIMES: usize = 64;

/// The rule of a selector of devices, which is not the empty one.
pub const REQUIRES_A_LABEL: &str = "(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)";
/// The message of [`REQUIRES_A_LABEL`].
pub const REQUIRES_A_LABEL_MESSAGE: &str =
    "must require at least one label: the empty selector would match every device";

/// A DNS label (RFC 1123): names of entries and of the objects that are referred to.
pub fn dns_label(_: &mut SchemaGenerator) -> Schema {
    ruled(
        63,
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "must be a DNS label: lower case letters, digits and '-', at most 63 characters",
    )
}

/// The beginning of a name: what follows makes it a DNS label.
pub fn name_prefix(_: &mut SchemaGenerator) -> Schema {
    ruled(
        30,
        "self.matches('^[a-z0-9][-a-z0-9]*$')",
        "must be the beginning of a DNS label such as \"acme-\": lower case letters, digits and '-', at most 30 characters",
    )
}

/// The name of a remedy: a part of the name of its compensations, which must stay short enough.
pub fn remedy_name(_: &mut SchemaGenerator) -> Schema {
    ruled(
        32,
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "must be a DNS label of at most 32 characters: lower case letters, digits and '-'",
    )
}

/// Names of Devices, at most `MOST` of them. Each is a DNS label by a pattern and not by a rule: rules
/// for thousands of names would cost more than the API server allows.
pub fn device_names<const MOST: usize>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": MOST,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 63,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        },
    })
}

/// The name of a parameter or setting, such as `weekdays` or `backup.endpoint`.
pub fn setting_name(_: &mut SchemaGenerator) -> Schema {
    ruled(
        63,
        "self.matches('^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$')",
        "must be letters, digits, '.', '_' and '-', such as \"backup.endpoint\"",
    )
}

/// The name of a type of error.
pub fn type_name(_: &mut SchemaGenerator) -> Schema {
    ruled(
        40,
        "self.matches('^[A-Z][A-Za-z0-9]*$')",
        "must begin with an upper case letter and have letters and digits only, such as \"TonerEmpty\", at most 40 characters",
    )
}

/// A name of a MIB, such as `markerTonerEmpty`.
pub fn mib_name(_: &mut SchemaGenerator) -> Schema {
    ruled(
        63,
        "self.matches('^[a-z][A-Za-z0-9]*$')",
        "must be a name of the IANA-PRINTER-MIB such as \"tonerCartridge\" or \"markerTonerEmpty\", not a number",
    )
}

/// Names of a MIB: at most 16.
pub fn mib_names(generator: &mut SchemaGenerator) -> Schema {
    let name = mib_name(generator);
    json_schema!({"type": "array", "maxItems": 16, "items": name})
}

/// Keywords of printer-state-reasons without their severity: at most 16.
pub fn state_reasons(_: &mut SchemaGenerator) -> Schema {
    let reason = ruled(
        63,
        "self.matches('^[a-z][-a-z0-9._]*$') && !self.matches('-(error|warning|report)$')",
        "must be a keyword of printer-state-reasons such as \"toner-empty\", without -error, -warning or -report",
    );
    json_schema!({"type": "array", "maxItems": 16, "items": reason})
}

/// A text for panels: the order id, which is never cut, has its place in it.
pub fn panel_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "x-kubernetes-validations": [
            {
                "rule": "self.contains('{orderId}')",
                "message": "must have {orderId} where the id of the order goes"
            },
            {
                "rule": "!self.replace('{orderId}', '').replace('{supply}', '').replace('{device}', '').matches('[{}]')",
                "message": "must have no other braces than those of {orderId}, {supply} and {device}"
            }
        ]
    })
}

/// A language (BCP 47).
pub fn language(_: &mut SchemaGenerator) -> Schema {
    ruled(
        35,
        "self.matches('^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$')",
        "must be a language tag of BCP 47 such as \"en\", \"ja\" or \"pt-BR\"",
    )
}

/// A country (ISO 3166-1 alpha-2).
pub fn country(_: &mut SchemaGenerator) -> Schema {
    ruled(
        2,
        "self.matches('^[A-Z]{2}$')",
        "must be a country of ISO 3166-1 such as \"JP\"",
    )
}

/// The name of an SNMP object as numbers (RFC 2578): at most 128 of them, none above 32 bits.
pub fn oid(_: &mut SchemaGenerator) -> Schema {
    ruled(
        255,
        "self.matches('^1[.]3[.]6[.]1([.](0|[1-9][0-9]{0,8}|[1-3][0-9]{9}|4[01][0-9]{8}))+$')",
        "must be numbers with points between them that begin with 1.3.6.1, such as \"1.3.6.1.2.1.1.6.0\"",
    )
}

/// Names of parameters: at most 64.
pub fn setting_names(generator: &mut SchemaGenerator) -> Schema {
    let name = setting_name(generator);
    json_schema!({"type": "array", "maxItems": 64, "items": name})
}

/// A value of a parameter or setting. Always a string; it is quoted in YAML.
pub fn value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 1023})
}

/// A value that must not be empty: a device reports an empty one before anything has set it.
pub fn present_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 1023,
        "x-kubernetes-validations": [{
            "rule": "self.size() > 0",
            "message": "must be the value that the device reports once the service works; an empty one says nothing",
        }],
    })
}

/// A text for people: at most 253 characters.
pub fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 253})
}

/// A text for people that must not be empty.
pub fn required_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 253})
}

/// The status of a condition.
pub fn status_of_condition(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["True", "False", "Unknown"]})
}

/// A reason that an attempt at one item can have.
pub fn reason_of_an_attempt(_: &mut SchemaGenerator) -> Schema {
    one_of(Reason::OF_AN_ATTEMPT)
}

/// A reason of the last failure of an order.
pub fn reason_of_an_order(_: &mut SchemaGenerator) -> Schema {
    one_of(Reason::OF_AN_ORDER)
}

/// A reason for which a message is not on a display.
pub fn reason_of_a_message(_: &mut SchemaGenerator) -> Schema {
    one_of(Reason::OF_A_MESSAGE)
}

/// The id that an order server gives an order: part of a path.
pub fn order_id(_: &mut SchemaGenerator) -> Schema {
    ruled(
        128,
        "self.matches('^[^[:cntrl:][:space:]]([^[:cntrl:]]*[^[:cntrl:][:space:]])?$') && self != '.' && self != '..'",
        "must be the id that the order server gave, without blanks at its ends and without control characters, and neither . nor ..",
    )
}

/// A reason that reading a device can have.
pub fn reason_of_a_look(_: &mut SchemaGenerator) -> Schema {
    one_of(Reason::OF_A_LOOK)
}

/// The identity of a machine. What firmware reports that has none is refused.
pub fn identity(_: &mut SchemaGenerator) -> Schema {
    ruled(
        127,
        "self.matches('^[!-~]+( [!-~]+)*$') && !self.matches('^(?i)((urn:)?uuid:)?[{]?([-0]*|[-f]{36}|unknown|none|n/a|null)[}]?$')",
        "must be what the device reports, without blanks at its ends; zeros and \"unknown\" are no identity",
    )
}

/// The name of any Kubernetes object (RFC 1123 subdomain).
pub fn object_name(_: &mut SchemaGenerator) -> Schema {
    ruled(
        253,
        "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
        "must be the name of an object: lower case letters, digits, '-' and '.'",
    )
}

/// A key in the data of a Secret.
pub fn secret_key(_: &mut SchemaGenerator) -> Schema {
    ruled(
        253,
        "self.matches('^[-._a-zA-Z0-9]+$')",
        "must be a key of a Secret: letters, digits, '-', '_' and '.'",
    )
}

/// An amount of money as a decimal string, without a sign.
pub fn amount(_: &mut SchemaGenerator) -> Schema {
    ruled(
        20,
        "self.matches('^[0-9]{1,12}([.][0-9]{1,6})?$')",
        "must be a decimal such as \"3000\" or \"12.50\"",
    )
}

/// A percentage as a decimal string without the sign `%`.
pub fn percent(_: &mut SchemaGenerator) -> Schema {
    ruled(
        10,
        "self.matches('^[0-9]{1,3}([.][0-9]{1,4})?$')",
        "must be a percentage such as \"5\" or \"2.5\", without the sign",
    )
}

/// A currency (ISO 4217).
pub fn currency(_: &mut SchemaGenerator) -> Schema {
    ruled(
        3,
        "self.matches('^[A-Z]{3}$')",
        "must be a currency of ISO 4217 such as \"EUR\"",
    )
}

/// A length of time such as `15m` or `336h`.
pub fn duration(_: &mut SchemaGenerator) -> Schema {
    ruled(
        20,
        "self.matches('^([0-9]{1,6}(ms|s|m|h))+$')",
        "must be a duration such as \"90s\", \"15m\" or \"336h\"",
    )
}

/// A length of time that is not zero: a limit of nothing refuses everything, and a wait of nothing
/// never ends.
pub fn positive_duration(_: &mut SchemaGenerator) -> Schema {
    ruled(
        20,
        "self.matches('^([0-9]{1,6}(ms|s|m|h))+$') && self.matches('[1-9]')",
        "must be a duration longer than zero such as \"10s\", \"15m\" or \"24h\"",
    )
}

/// A length in whole years and months of the calendar, in the form of ISO 8601.
pub fn period(_: &mut SchemaGenerator) -> Schema {
    ruled(
        10,
        "self.matches('^P([1-9][0-9]{0,2}Y)?([1-9][0-9]{0,3}M)?$') && self != 'P'",
        "must be whole years and months such as \"P3Y\", \"P18M\" or \"P1Y6M\"",
    )
}

/// A name of the time zone database. The operator checks that it exists.
pub fn time_zone(_: &mut SchemaGenerator) -> Schema {
    ruled(
        64,
        "self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')",
        "must be a name of the time zone database such as \"America/Sao_Paulo\" or \"UTC\"",
    )
}

/// A customer's id: a valid label value, since generated objects carry it as a label.
pub fn label_value(_: &mut SchemaGenerator) -> Schema {
    ruled(
        63,
        "self.matches('^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$')",
        "must be a label value: letters, digits, '-', '_' and '.', at most 63 characters",
    )
}

/// Networks in CIDR notation: at least one.
pub fn networks(_: &mut SchemaGenerator) -> Schema {
    let network = ruled(
        43,
        "isCIDR(self)",
        "must be a network such as \"10.20.0.0/16\" or \"fd00::/8\"",
    );
    json_schema!({"type": "array", "minItems": 1, "maxItems": 64, "items": network})
}

/// A SHA-256 digest in hexadecimal.
pub fn sha256(_: &mut SchemaGenerator) -> Schema {
    ruled(
        128,
        "self.matches('^[0-9a-f]{64}$')",
        "must be 64 lower case hexadecimal digits",
    )
}

/// The SHA-1 of a file.
pub fn sha1(_: &mut SchemaGenerator) -> Schema {
    ruled(
        128,
        "self.matches('^[0-9a-f]{40}$')",
        "must be 40 lower case hexadecimal digits",
    )
}

/// The MD5 of a file.
pub fn md5(_: &mut SchemaGenerator) -> Schema {
    ruled(
        128,
        "self.matches('^[0-9a-f]{32}$')",
        "must be 32 lower case hexadecimal digits",
    )
}

/// A version of software, whose numbers can be compared.
pub fn version(_: &mut SchemaGenerator) -> Schema {
    ruled(
        64,
        "self.matches('^[0-9]{1,18}([.][0-9]{1,18})*$')",
        "must be a version of numbers with dots between them, such as \"4.2.0\"; letters, signs and blanks are not allowed",
    )
}

/// A local time of day to the minute.
pub fn time_of_day(_: &mut SchemaGenerator) -> Schema {
    ruled(
        16,
        "self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",
        "must be a time of day from \"00:00\" to \"23:59\"",
    )
}

/// The serial number of a device, as it stands on its plate.
pub fn serial_number(_: &mut SchemaGenerator) -> Schema {
    ruled(
        64,
        "self.matches('^[^[:space:][:cntrl:]]([^[:cntrl:]]*[^[:space:][:cntrl:]])?$')",
        "must be what stands on the device, without blanks at its ends and without control characters",
    )
}

/// The address of a device: a host name or an IP address. A name whose last label is a number is
/// an address to everyone who dials it (WHATWG URL, "ends in a number"), so it must be one.
pub fn address(_: &mut SchemaGenerator) -> Schema {
    ruled(
        253,
        "isIP(self) || (self.matches('^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$') \
         && !self.matches('(^|[.])([0-9]+|0[xX][0-9A-Fa-f]*)$') && !self.contains('..'))",
        "must be a host name or an IP address without scheme, port and path; a name that ends in a \
         number must be an IPv4 address such as 10.20.3.4",
    )
}

/// A host in the authority of a URL: a name, or an IPv6 address in brackets. In a literal of CEL.
const HOST: &str = r"([^/?#@{}:\\[\\]]+|\\[[0-9A-Fa-f:.]+\\])";

/// Such a host with the places that a Device fills.
const HOST_TEMPLATE: &str =
    r"(([^/?#@{}:\\[\\]]|[{](address|port|queue)[}])+|\\[[0-9A-Fa-f:.]+\\])";

/// A port from 1 to 65535.
const PORT: &str =
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// Returns the rule of a URL without user and query, of schemes that are given as a pattern.
pub fn url_rule(url: &str, schemes: &str) -> String {
    let whole = format!("{url}.matches('^{schemes}://{HOST}(:{PORT})?(/[^?#{{}}]*)?$')");
    format!("{whole} && {}", numeric_host_rule(url))
}

/// A path that is added to a URL.
pub fn url_path(_: &mut SchemaGenerator) -> Schema {
    ruled(
        253,
        "self.matches('^(/[A-Za-z0-9._~-]+)+/?$') && !self.matches('/[.][.]?(/|$)')",
        "must be a path such as \"/v1/events\": segments of letters, digits, '.', '_', '~' and '-' after \
         '/', none of them '.' or '..', and no query",
    )
}

/// A JSON pointer to a setting in the documents of a settings distribution server.
pub fn settings_pointer(_: &mut SchemaGenerator) -> Schema {
    ruled(
        253,
        "self.matches('^/settings(/([A-Za-z0-9._-]|~[01])+)+$') && !self.matches('/[.][.]?(/|$)')",
        "must be a JSON pointer to a setting such as \"/settings/backup/endpoint\": '/settings' and names \
         of letters, digits, '.', '_' and '-' after '/', none of them '.' or '..'",
    )
}

/// Returns the rule of the URL of a gateway. It has no path, since devices add the paths of its API to it.
pub fn gateway_url_rule() -> String {
    let whole = format!("self.matches('^https://{HOST}(:{PORT})?/?$')");
    format!("{whole} && {}", numeric_host_rule("self"))
}

/// Returns the rule of the URL of devices, in which some parts may be left to the Device.
pub fn url_template_rule() -> String {
    let path = "(/([^?#{}]|[{](address|port|queue)[}])*)?";
    let port = format!("(:({PORT}|[{{]port[}}]))?");
    let whole = format!("self.matches('^ipps?://{HOST_TEMPLATE}{port}{path}$')");
    format!("{whole} && {}", numeric_host_rule("self"))
}

/// Returns the rule of the URL of a token endpoint.
pub fn token_url_rule() -> String {
    let host = format!(r"(https://{HOST}|http://(127([.][0-9]{{1,3}}){{3}}|\\[::1\\]))(:{PORT})?");
    let whole = format!("self.matches('^{host}(/[^?#{{}}]*)?([?][^#{{}}]*)?$')");
    format!("{whole} && {}", numeric_host_rule("self"))
}

/// Returns the rule that a host which ends in a number is an IPv4 address.
fn numeric_host_rule(url: &str) -> String {
    let number = "([^/]*[.])?([0-9]+|0[xX][0-9A-Fa-f]*)[.]?";
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    format!(
        "(!{url}.matches('^[a-z]+://{number}([:/?]|$)') \
         || {url}.matches('^[a-z]+://({octet}[.]){{3}}{octet}([:/?]|$)'))"
    )
}

/// A print queue on a device.
pub fn queue(_: &mut SchemaGenerator) -> Schema {
    ruled(
        127,
        "self.matches('^[A-Za-z0-9._-]+$')",
        "must be letters, digits, '.', '_' and '-'",
    )
}

/// A local date (RFC 3339 full-date).
pub fn date(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date"})
}

/// An instant (RFC 3339 date-time).
pub fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// A number or a percentage of a whole.
pub fn int_or_percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "x-kubernetes-validations": [{
            "rule": "type(self) == int ? self >= 0 : self.matches('^([0-9]{1,2}|100)%$')",
            "message": "must be a number of subscriptions such as 3, or a percentage such as \"2%\""
        }]
    })
}

/// A whole number in decimal digits, which may be longer than any integer of JSON. The operator
/// alone writes it, into a status, so a bare pattern guards it.
pub fn whole_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_WHOLE_NUMBER,
        "pattern": "^(0|[1-9][0-9]*)$"
    })
}

fn one_of(reasons: &[Reason]) -> Schema {
    let words = reasons.iter().map(|reason| reason.as_str());
    json_schema!({"type": "string", "enum": words.collect::<Vec<_>>()})
}

fn ruled(max_length: u32, rule: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": max_length,
        "x-kubernetes-validations": [{"rule": rule, "message": message}]
    })
}
