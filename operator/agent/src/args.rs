//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use jiff::{SignedDuration, Span};

use crate::{
    api::{By, Display, Software},
    events::On,
    panel::Panel,
};

/// A reference device: registers at a gateway of Entente, applies settings, installs firmware, reports.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, args_override_self = true)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a device until a signal comes.
    #[command(
        after_help = "Ends with 0 by a signal or after a withdrawal, 3 if the credential is \
        refused, 4 without consent, 1 otherwise."
    )]
    Run(Box<Run>),
    /// Show a device.
    Status {
        /// Folder of the device.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
    /// Let something happen at the device that its services may want to hear of.
    #[command(
        after_help = "Ends with 0 if there is an event, which a device that runs sends at once, and \
        with 5 if it is not asked for."
    )]
    Event(Happens),
    /// Let the device have an error, or have it no more.
    #[command(
        subcommand,
        after_help = "Ends with 0 if that is news, which a device that runs sends at once, and with 5 \
        if it is none."
    )]
    Error(Error),
    /// Turn a service on at the device.
    Enable(Switch),
    /// Turn a service off at the device.
    Disable(Switch),
    /// Withdraw the owner's consent: nothing is sent afterwards.
    Withdraw {
        /// Folder of the device.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Way by which consent is withdrawn.
        #[arg(long)]
        by: By,
        /// Certificates that are trusted instead of the system's, in PEM.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Test a gateway: does it answer as docs/api/gateway.yaml says.
    #[command(
        after_help = "Registers a device that is for the test alone, and withdraws its consent \
        at the end. Ends with 0 only if no case failed."
    )]
    Check(Box<Check>),
}

/// The switch of a service.
#[derive(Debug, Args)]
pub struct Switch {
    /// Id of the service, as `status` shows it.
    pub service: String,
    /// Folder of the device.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Way by which the switch is used.
    #[arg(long)]
    pub by: By,
}

/// Something that happens at the device.
#[derive(Debug, Args)]
pub struct Happens {
    /// Kind of data, as `status` shows it.
    pub kind: String,
    /// Folder of the device.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Occurrence. Without it the event is sent as if the period of the kind were over.
    #[arg(long, value_name = "OCCURRENCE")]
    pub on: Option<On>,
    /// Data of the event in place of what the device measures.
    #[arg(long, value_name = "JSON")]
    pub data: Option<String>,
    /// Part of the device that it is about, such as black-toner.
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
    /// Application id of the one service that it is for; otherwise it is for all that want the kind.
    #[arg(long, value_name = "ID")]
    pub application_id: Option<String>,
}

/// Change of an error of the device.
#[derive(Debug, Subcommand)]
pub enum Error {
    /// The device has an error.
    Raise(Raise),
    /// The device has it no more.
    Clear(Clear),
}

/// An error of the device.
#[derive(Debug, Args)]
pub struct NamedError {
    /// Folder of the device.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Word for the error, such as toner-empty.
    #[arg(long, value_name = "WORD")]
    pub reason: String,
    /// Supply that has it, such as black-toner; without it the device itself has it.
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
}

/// The device has an error.
#[derive(Debug, Args)]
pub struct Raise {
    /// The error.
    #[command(flatten)]
    pub error: NamedError,
    /// Ask for an order, as a person at the panel may do. It may follow later, by the same command.
    #[arg(long)]
    pub request_order: bool,
    /// Pages that were printed until then; otherwise those that the device has counted.
    #[arg(long, value_name = "PAGES", value_parser = clap::value_parser!(u64).range(..=9_007_199_254_740_991))]
    pub impressions: Option<u64>,
}

/// The device has an error no more.
#[derive(Debug, Args)]
pub struct Clear {
    /// The error.
    #[command(flatten)]
    pub error: NamedError,
    /// The supply was replaced.
    #[arg(long, requires = "subject")]
    pub replaced: bool,
}

/// Plate of the device.
#[derive(Debug, Args)]
pub struct Plate {
    /// File of the enrolment token.
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// Serial number.
    #[arg(long)]
    pub serial: String,
    /// Product name, as a DeviceModel lists it.
    #[arg(long)]
    pub product: String,
    /// Manufacturer.
    #[arg(long)]
    pub manufacturer: Option<String>,
    /// The device's own UUID, as urn:uuid:….
    #[arg(long)]
    pub uuid: Option<String>,
    /// Country for which the device was made (ISO 3166-1, alpha-2).
    #[arg(long, default_value = "DE")]
    pub ship_destination: String,
    /// Time zone (a name of the tz database).
    #[arg(long, default_value = "UTC")]
    pub time_zone: String,
    /// Language of the panel; may be repeated, the preferred one first.
    #[arg(long = "language")]
    pub languages: Vec<String>,
    /// Software that runs at first, such as firmware/main=4.1.0; may be repeated.
    #[arg(long, value_parser = software, value_name = "PART/NAME=VERSION")]
    pub software: Vec<Software>,
    /// Certificates that are trusted instead of the system's, in PEM.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Runs a device.
#[derive(Debug, Args)]
pub struct Run {
    /// Folder of the device; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// URL where the region of the device is looked up.
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "gateway",
        requires = "country"
    )]
    pub region_url: Option<String>,
    /// Country of the device (ISO 3166-1, alpha-2), for the look-up.
    #[arg(long)]
    pub country: Option<String>,
    /// Subdivision of the country (ISO 3166-2, without the country), for the look-up.
    #[arg(long, requires = "country")]
    pub subdivision: Option<String>,
    /// URL of the gateway, without a look-up.
    #[arg(long, value_name = "URL", conflicts_with = "region_url")]
    pub gateway: Option<String>,
    /// Plate of the device.
    #[command(flatten)]
    pub plate: Plate,
    /// The owner's consent.
    #[command(flatten)]
    pub consent: ConsentFlags,
    /// Behaviour of the device.
    #[command(flatten)]
    pub behaviour: Behaviour,
    /// Faults, for tests.
    #[command(flatten)]
    pub faults: FaultFlags,
}

/// The owner's consent.
#[derive(Debug, Args)]
pub struct ConsentFlags {
    /// The owner consents to the text. Without it nothing but the look-up of the region is sent.
    #[arg(long, requires = "consent_by", requires = "consent_text")]
    pub accept: bool,
    /// Way by which the owner consented.
    #[arg(long, value_name = "BY")]
    pub consent_by: Option<By>,
    /// Version of the text to which the owner consented.
    #[arg(long, value_name = "VERSION")]
    pub consent_text: Option<String>,
    /// The owner consents again after a withdrawal.
    #[arg(long, requires = "accept")]
    pub consent_again: bool,
}

/// Behaviour of a device.
#[derive(Debug, Args)]
pub struct Behaviour {
    /// Let the gateway hold requests for this time, so that news comes at once.
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    pub wait: Duration,
    /// Poll once and end.
    #[arg(long)]
    pub once: bool,
    /// Send the first data right after the registration, one message of each kind of --data-types, before
    /// anything is read: for services that are turned on by their first data.
    #[arg(long, requires = "data_types")]
    pub short: bool,
    /// Install no firmware and no applications.
    #[arg(long)]
    pub no_ddi: bool,
    /// Kinds of data that the device can send, told to the gateway at the registration; "" for none.
    /// Without it the device can send each.
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', num_args = 1)]
    pub data_types: Option<Vec<String>>,
    /// Part numbers of the supplies that the device can use, told to the gateway at the registration; ""
    /// for none. Without it the device can use each.
    #[arg(long, value_name = "PART,…", value_delimiter = ',', num_args = 1)]
    pub supplies: Option<Vec<String>>,
    /// Size of the display for messages, such as 24x2, told to the gateway at the registration; or "none".
    /// Without it the device does not tell it, and has one of 40x4.
    #[arg(long, value_parser = panel, value_name = "COLUMNSxLINES")]
    pub display: Option<Panel>,
    /// Restart by itself after an installation, and be off for this time. Otherwise what was installed
    /// runs when this program is started again.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub restart_takes: Option<Duration>,
    /// Longest artifact in bytes.
    #[arg(long, default_value_t = 4 << 30, value_name = "BYTES")]
    pub most_bytes: u64,
    /// First wait after a failure.
    #[arg(long, value_parser = duration, default_value = "1s", value_name = "TIME")]
    pub retry_initial: Duration,
    /// Longest wait after failures.
    #[arg(long, value_parser = duration, default_value = "15m", value_name = "TIME")]
    pub retry_most: Duration,
}

/// Faults, for tests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults, for tests")]
pub struct FaultFlags {
    /// Refuse a setting; may be repeated.
    #[arg(long, value_name = "KEY")]
    pub refuse: Vec<String>,
    /// Accept a setting, a kind of data or a message, by its id, and do not apply it; may be repeated.
    #[arg(long, value_name = "KEY")]
    pub ignore: Vec<String>,
    /// Report that firmware was installed, and run the old one.
    #[arg(long)]
    pub lie_about_firmware: bool,
    /// Add a time to the device's own clock.
    #[arg(long, value_parser = offset, default_value = "0s", value_name = "TIME", allow_hyphen_values = true)]
    pub clock_offset: SignedDuration,
}

/// Tests a gateway.
#[derive(Debug, Args)]
pub struct Check {
    /// URL of the gateway.
    pub url: String,
    /// Plate of the device of the test.
    #[command(flatten)]
    pub plate: Plate,
    /// Country that a region serves.
    #[arg(long, default_value = "DE")]
    pub country: String,
    /// Country that no region serves; without it that case is skipped.
    #[arg(long)]
    pub no_country: Option<String>,
    /// Version of the text of the consent.
    #[arg(long, default_value = "check")]
    pub consent_text: String,
    /// Run only cases whose names contain a text, and the registration if one of them needs it.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
}

/// Reads a time such as 90s, 15m or 1h.
fn duration(text: &str) -> Result<Duration, String> {
    let length = offset(text)?;
    Duration::try_from(length).map_err(|_| format!("{text:?} is before zero"))
}

/// Reads a time that may be negative, such as -365d.
fn offset(text: &str) -> Result<SignedDuration, String> {
    let allowed = || format!("{text:?} is no time such as 500ms, 90s, 15m or 1h");
    let span: Span = text.parse().map_err(|_| allowed())?;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    span.to_duration(days).map_err(|_| allowed())
}

/// Reads COLUMNSxLINES or none.
fn panel(text: &str) -> Result<Panel, String> {
    if text == "none" {
        return Ok(Panel::None);
    }
    let size = text.split_once('x').and_then(|(columns, lines)| {
        let number = |text: &str| text.parse().ok().filter(|it| (1..=512).contains(it));
        Some(Display {
            columns: number(columns)?,
            lines: number(lines)?,
        })
    });
    size.map(Panel::Of).ok_or_else(|| {
        format!("{text:?} is neither \"none\" nor COLUMNSxLINES such as 24x2, each from 1 to 512")
    })
}

/// Reads PART/NAME=VERSION.
fn software(text: &str) -> Result<Software, String> {
    let split = text.split_once('=').and_then(|(name, version)| {
        let (part, name) = name.split_once('/')?;
        Some((part, name, version))
    });
    match split {
        Some((part @ ("firmware" | "application"), name, version))
            if !name.is_empty() && !version.is_empty() =>
        {
            Ok(Software {
                part: part.into(),
                name: name.into(),
                version: version.into(),
            })
        }
        _ => Err(format!(
            "{text:?} is no firmware/NAME=VERSION or application/NAME=VERSION"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn abilities_are_lists_that_may_be_empty_or_absent() {
        let read = |flags: &[&str]| {
            let fixed =
                "entente-agent run --state d --gateway g --token-file t --serial s --product p";
            let words = fixed.split(' ').chain(flags.iter().copied());
            let Command::Run(run) = Arguments::parse_from(words).command else {
                panic!("it is run");
            };
            run.behaviour.supplies
        };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["--supplies", ""]), Some(vec![String::new()]));
        assert_eq!(
            read(&["--supplies", "TN-500K,TN-500C"]),
            Some(vec!["TN-500K".to_owned(), "TN-500C".to_owned()])
        );
    }

    #[test]
    fn times_are_read() {
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        let year = SignedDuration::from_hours(-365 * 24);
        assert_eq!(offset("-365d"), Ok(year));
        for text in ["", "2", "soon", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_size_of_a_display_is_read() {
        let size = |columns, lines| Ok(Panel::Of(Display { columns, lines }));
        assert_eq!(panel("24x2"), size(24, 2));
        assert_eq!(panel("512x512"), size(512, 512));
        assert_eq!(panel("none"), Ok(Panel::None));
        for text in ["", "24", "24x", "0x2", "24x513", "24X2", "-1x2"] {
            assert!(panel(text).is_err(), "{text}");
        }
    }

    #[test]
    fn software_is_read() {
        let read = software("firmware/main=4.1.0").unwrap();
        assert_eq!(
            (&*read.part, &*read.name, &*read.version),
            ("firmware", "main", "4.1.0")
        );
        for text in ["", "main=4", "os/main=4", "firmware/=4", "firmware/main="] {
            assert!(software(text).is_err(), "{text}");
        }
    }
}
