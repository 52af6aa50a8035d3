//! Cases about scalars that occur in several places, at every place where they occur.

use serde_json::json;

use super::CaseKind::{
    self, Compensation, Connection, Contract, ContractAmendment, ContractNotice, Device,
    DeviceModel, ServiceSubscription, Site, SmartService, SupplyOrder,
};
use super::Table;

/// A scalar: the message of its rule, values on both sides of the rule, and the places where it
/// occurs.
struct Scalar {
    message: &'static str,
    good: &'static [&'static str],
    bad: &'static [&'static str],
    places: &'static [(CaseKind, &'static str)],
}

/// All good and bad values are tried at the first place, one of each at the others.
pub(super) fn case(table: &mut Table) {
    for scalar in SCALARS {
        for (index, (kind, pointer)) in scalar.places.iter().enumerate() {
            let (good, bad) = if index == 0 {
                (scalar.good, scalar.bad)
            } else {
                (&scalar.good[..1], &scalar.bad[..1])
            };
            for value in good {
                table.accepts(
                    *kind,
                    &format!("{pointer} may be {value:?}"),
                    &[(pointer, json!(value))],
                );
            }
            for value in bad {
                let name = format!("{pointer} must not be {value:?}");
                table.rejects(*kind, &name, &[(pointer, json!(value))], scalar.message);
            }
        }
    }
}

const SCALARS: &[Scalar] = &[
    DURATION,
    POSITIVE_DURATION,
    AMOUNT,
    PERCENT,
    DNS_LABEL,
    REMEDY_NAME,
    SETTING_NAME,
    SETTINGS_POINTER,
    OBJECT_NAME,
    SECRET_KEY,
    CURRENCY,
    TIME_ZONE,
    CUSTOMER,
    NETWORK,
    DIGEST,
    ADDRESS,
    QUEUE,
    POINTER,
    IPP_URL,
    OBJECT,
];

const DURATION: Scalar = Scalar {
    message: "must be a duration such as \"90s\", \"15m\" or \"336h\"",
    good: &["1h30m", "90s", "250ms", "336h", "0s"],
    bad: &["15 minutes", "1h30", "-1h", "P1D", "1.5h", "h"],
    places: &[
        (Contract, "/spec/services/0/serviceLevel/allowed"),
        (Contract, "/spec/preparation/leadTime"),
        (ContractAmendment, "/spec/services/0/serviceLevel/allowed"),
        (SmartService, "/spec/serviceLevel/allowed"),
        (SmartService, "/spec/bounds/promisesBefore"),
        (ServiceSubscription, "/spec/leadTime"),
        (
            ServiceSubscription,
            "/spec/revisions/0/serviceLevel/allowed",
        ),
        (Compensation, "/spec/record/serviceLevel/allowed"),
    ],
};

const POSITIVE_DURATION: Scalar = Scalar {
    message: "must be a duration longer than zero such as \"10s\", \"15m\" or \"24h\"",
    good: &["1h30m", "90s", "250ms", "0h1s"],
    bad: &["0s", "0h0m", "15 minutes", "-1h"],
    places: &[
        (Connection, "/spec/retry/initial"),
        (Connection, "/spec/retry/max"),
        (Connection, "/spec/sync/period"),
        (Connection, "/spec/sync/status"),
        (Connection, "/spec/timeouts/connect"),
        (Connection, "/spec/timeouts/request"),
        (SmartService, "/spec/stepTimeout"),
        (SmartService, "/spec/acceptance/within"),
    ],
};

const AMOUNT: Scalar = Scalar {
    message: "must be a decimal such as \"3000\" or \"12.50\"",
    good: &["12.50", "3000", "0", "0.000001", "999999999999"],
    bad: &["12,50", "-1", "1e3", "12.", ".5", "BRL 3", "1234567890123"],
    places: &[
        (Contract, "/spec/services/0/fee/amount"),
        (ContractAmendment, "/spec/services/0/fee/amount"),
        (SmartService, "/spec/bounds/feeCeiling/0/amount"),
        (ServiceSubscription, "/spec/revisions/0/fee/amount"),
        (Compensation, "/spec/record/fee/amount"),
    ],
};

const PERCENT: Scalar = Scalar {
    message: "must be a percentage such as \"5\" or \"2.5\", without the sign",
    good: &["2.5", "0", "100", "0.0001"],
    bad: &["5%", "-5", "1000", "five", "2,5"],
    places: &[
        (Contract, "/spec/services/0/remedies/0/credit/percent"),
        (Contract, "/spec/services/0/remedies/0/credit/cap/percent"),
        (
            ContractAmendment,
            "/spec/services/0/remedies/0/credit/percent",
        ),
        (
            ContractAmendment,
            "/spec/services/0/remedies/0/credit/cap/percent",
        ),
        (SmartService, "/spec/remedies/0/credit/percent"),
        (SmartService, "/spec/remedies/0/credit/cap/percent"),
        (
            ServiceSubscription,
            "/spec/revisions/0/remedies/0/credit/percent",
        ),
        (
            ServiceSubscription,
            "/spec/revisions/0/remedies/0/credit/cap/percent",
        ),
        (Compensation, "/spec/record/remedy/credit/percent"),
        (Compensation, "/spec/record/remedy/credit/cap/percent"),
    ],
};

const DNS_LABEL: Scalar = Scalar {
    message: "must be a DNS label: lower case letters, digits and '-', at most 63 characters",
    good: &["backup-2", "7", "a"],
    bad: &[
        "Backup", "-backup", "backup-", "back_up", "back.up", "back up", "bäckup",
    ],
    places: &[
        (Contract, "/spec/services/0/name"),
        (Contract, "/spec/services/0/serviceRef/name"),
        (Contract, "/spec/succeeds/name"),
        (ContractAmendment, "/spec/contractRef/name"),
        (ContractNotice, "/spec/contractRef/name"),
        (ContractAmendment, "/spec/services/0/name"),
        (ContractAmendment, "/spec/services/0/serviceRef/name"),
        (ContractAmendment, "/spec/services/0/overrides/0/name"),
        (ContractAmendment, "/spec/services/1/elect"),
        (Connection, "/spec/allow/0/name"),
        (Device, "/spec/modelRef/name"),
        (Device, "/spec/connections/0/name"),
        (Site, "/spec/connections/0/name"),
        (SmartService, "/spec/device/models/0/name"),
        (SmartService, "/spec/server/connectionRef/name"),
        (SmartService, "/spec/exclusiveGroup"),
        (ServiceSubscription, "/spec/contract/name"),
        (ServiceSubscription, "/spec/deviceRef/name"),
        (ServiceSubscription, "/spec/serviceName"),
        (ServiceSubscription, "/spec/origin/contract"),
        (ServiceSubscription, "/spec/origin/serviceName"),
        (ServiceSubscription, "/spec/revisions/0/serviceRef/name"),
        (SupplyOrder, "/spec/record/connectionRef/name"),
        (SupplyOrder, "/spec/record/contract/name"),
        (SupplyOrder, "/spec/record/device/name"),
    ],
};

/// The name of a contract's own remedy is claimed in `contract`, since `elect` refers to it.
const REMEDY_NAME: Scalar = Scalar {
    message: "must be a DNS label of at most 32 characters: lower case letters, digits and '-'",
    good: DNS_LABEL.good,
    bad: DNS_LABEL.bad,
    places: &[
        (SmartService, "/spec/remedies/0/name"),
        (ContractAmendment, "/spec/services/0/remedies/0/name"),
        (ServiceSubscription, "/spec/revisions/0/remedies/0/name"),
        (Compensation, "/spec/record/remedy/name"),
    ],
};

const SETTING_NAME: Scalar = Scalar {
    message: "must be letters, digits, '.', '_' and '-', such as \"backup.endpoint\"",
    good: &["backup.endpoint", "weekDays", "a_b-c.d", "7"],
    bad: &["backup endpoint", ".endpoint", "endpoint.", "a/b"],
    places: &[
        (DeviceModel, "/spec/settings/0/name"),
        (DeviceModel, "/spec/settings/0/via/ipp/attribute"),
        (DeviceModel, "/spec/settings/0/via/agent/key"),
        (DeviceModel, "/spec/identity/ipp/attribute"),
        (SmartService, "/spec/parameters/0/name"),
        (SmartService, "/spec/device/settings/0/name"),
        (SmartService, "/spec/device/settings/1/valueFrom/parameter"),
        (SmartService, "/spec/device/settings/0/when/parameter"),
        (SmartService, "/spec/server/activation/name"),
        (SmartService, "/spec/server/settings/0/name"),
        (SmartService, "/spec/server/settings/0/valueFrom/parameter"),
        (SmartService, "/spec/server/settings/0/when/parameter"),
        (Contract, "/spec/services/0/secretParameters/0/name"),
        (
            ContractAmendment,
            "/spec/services/0/secretParameters/0/name",
        ),
        (ContractAmendment, "/spec/services/0/unset/0"),
        (
            ServiceSubscription,
            "/spec/revisions/0/secretParameters/0/name",
        ),
        (SupplyOrder, "/spec/record/lines/0/supply"),
    ],
};

const SETTINGS_POINTER: Scalar = Scalar {
    message: "must be a JSON pointer to a setting such as",
    good: &[
        "/settings/backup/endpoint",
        "/settings/a",
        "/settings/a~1b/c_d-e.f",
    ],
    bad: &[
        "settings/a",
        "/settings",
        "/settings/",
        "/desired/a",
        "/settings/../a",
        "/settings/a b",
        "/settings/a//b",
        "/settings/a~2b",
    ],
    places: &[(DeviceModel, "/spec/settings/0/via/http/path")],
};

const OBJECT_NAME: Scalar = Scalar {
    message: "must be the name of an object: lower case letters, digits, '-' and '.'",
    good: &["northwind.services-2", "a"],
    bad: &["Northwind", "a/b", "-a", "a.", "a_b"],
    places: &[
        (Connection, "/spec/credentials/secretRef/name"),
        (Connection, "/spec/tls/caConfigMapRef/name"),
        (Device, "/spec/connections/0/credentialsRef/name"),
        (Site, "/spec/connections/0/credentialsRef/name"),
        (
            Contract,
            "/spec/services/0/secretParameters/0/secretKeyRef/name",
        ),
        (
            ContractAmendment,
            "/spec/services/0/secretParameters/0/secretKeyRef/name",
        ),
        (
            ServiceSubscription,
            "/spec/revisions/0/secretParameters/0/secretKeyRef/name",
        ),
        (SupplyOrder, "/spec/record/subscription/name"),
    ],
};

const SECRET_KEY: Scalar = Scalar {
    message: "must be a key of a Secret: letters, digits, '-', '_' and '.'",
    good: &["token", "tls.key", "A_b-1"],
    bad: &["a/b", "a b", "é"],
    places: &[
        (
            Contract,
            "/spec/services/0/secretParameters/0/secretKeyRef/key",
        ),
        (
            ContractAmendment,
            "/spec/services/0/secretParameters/0/secretKeyRef/key",
        ),
        (
            ServiceSubscription,
            "/spec/revisions/0/secretParameters/0/secretKeyRef/key",
        ),
    ],
};

const CURRENCY: Scalar = Scalar {
    message: "must be a currency of ISO 4217 such as \"EUR\"",
    good: &["EUR", "BRL"],
    bad: &["eur", "EU", "R$"],
    places: &[
        (Contract, "/spec/currency"),
        (SmartService, "/spec/bounds/feeCeiling/0/currency"),
        (ServiceSubscription, "/spec/revisions/0/currency"),
    ],
};

const TIME_ZONE: Scalar = Scalar {
    message: "must be a name of the time zone database such as \"America/Sao_Paulo\" or \"UTC\"",
    good: &["UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+3"],
    bad: &["+03:00", "UTC+03:00", "America/São_Paulo", "Europe/"],
    places: &[
        (Contract, "/spec/term/timeZone"),
        (Device, "/spec/timeZone"),
        (ServiceSubscription, "/spec/timeZone"),
    ],
};

const CUSTOMER: Scalar = Scalar {
    message: "must be a label value: letters, digits, '-', '_' and '.', at most 63 characters",
    good: &["C-4711", "c.4_7", "4711"],
    bad: &["C 4711", "-4711", "C#4711", "Ärzte"],
    places: &[
        (Contract, "/spec/customer/id"),
        (ServiceSubscription, "/spec/customer/id"),
    ],
};

const NETWORK: Scalar = Scalar {
    message: "must be a network such as \"10.20.0.0/16\" or \"fd00::/8\"",
    good: &["10.20.0.0/16", "fd00::/8", "192.0.2.7/32", "0.0.0.0/0"],
    bad: &[
        "10.20.0.0",
        "10.20.0.0/33",
        "10.20/16",
        "everywhere",
        "host.example/24",
    ],
    places: &[(Connection, "/spec/allow/0/networks/0")],
};

const DIGEST: Scalar = Scalar {
    message: "must be 64 lower case hexadecimal digits",
    good: &["0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
    bad: &[
        "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
        "0123456789abcdef",
        "01:23:45:67:89:ab:cd:ef",
    ],
    places: &[
        (Device, "/spec/certificateSha256"),
        (SupplyOrder, "/spec/record/reference"),
    ],
};

const ADDRESS: Scalar = Scalar {
    message: "must be a host name or an IP address without scheme, port and path",
    good: &[
        "mfp.example",
        "10.20.3.4",
        "fd00::1",
        "::1",
        "MFP-7",
        "7.mfp.example",
    ],
    bad: &[
        "ipp://mfp.example",
        "mfp.example:631",
        "10.20.3.4:631",
        "10.20.3.4/ipp",
        "[fd00::1]",
        "user@mfp",
        "mfp.example.",
        "-mfp",
        "256.1.1.1",
        "127.0.0.256",
        "10.20.3",
        "0x7f.1",
        "2130706433",
        "mfp..example",
        ":",
        "::1::",
    ],
    places: &[
        (Device, "/spec/address"),
        (Connection, "/spec/tls/serverName"),
    ],
};

const QUEUE: Scalar = Scalar {
    message: "must be letters, digits, '.', '_' and '-'",
    good: &["lab1", "Lab_1.a-b"],
    bad: &["lab 1", "lab/1", "../lab", "lab?x"],
    places: &[
        (Device, "/spec/connections/0/queue"),
        (Site, "/spec/connections/0/queue"),
    ],
};

const POINTER: Scalar = Scalar {
    message: "must be a JSON pointer such as \"/schedule/weekday\"",
    good: &["/schedule/weekday", "/a"],
    bad: &["schedule/weekday", "/", "/a//b", "/a/"],
    places: &[(SmartService, "/spec/server/settings/0/pointer")],
};

const IPP_URL: Scalar = Scalar {
    message: "must be a URL such as \"ipp://{address}:631/ipp/print\", with scheme ipp or ipps, \
              without user, with a port from 1 to 65535, with an address that there is, and with no \
              other placeholders than {address}, {port} and {queue}",
    good: &[
        "ipps://{address}:{port}/printers/{queue}",
        "ipp://[fd00::1]:{port}/ipp/print",
    ],
    bad: &[
        "http://{address}:{port}/ipp/print",
        "ipp://user@{address}:{port}/ipp",
        "ipp:///x/{port}",
        "ipp://{address}:{port}/ipp?x=1",
        "{address}:{port}",
        "ipp://256.1.1.1:{port}/ipp/print",
        "ipp://[{address}]:{port}/ipp/print",
    ],
    places: &[(Connection, "/spec/ipp/url")],
};

const OBJECT: Scalar = Scalar {
    message: "metadata.name must be a DNS label",
    good: &["a-1"],
    bad: &["a.b"],
    places: &[
        (Connection, "/metadata/name"),
        (DeviceModel, "/metadata/name"),
        (SmartService, "/metadata/name"),
        (Device, "/metadata/name"),
        (Contract, "/metadata/name"),
        (ContractAmendment, "/metadata/name"),
        (ContractNotice, "/metadata/name"),
    ],
};
