//! `ippeveprinter` of CUPS: an IPP Everywhere printer that accepts jobs and no settings, since it
//! has no Set operation.
//!
//! Decides its command line and the private D-Bus it insists on. It must never touch the machine's
//! own D-Bus or Avahi. Called by tests that need a printer's state, supplies, identity or firmware.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::IppClient;
use super::launch::{
    Footprint, Launch, Process, Sandbox, directory, free_port, program, text, write,
};

const PEER: &str = "ippeveprinter";
const PATH: &str = "/ipp/print";

/// A D-Bus daemon for `ippeveprinter` alone, which otherwise ends with "Unable to initialize
/// DNS-SD" even when it advertises nothing. One serves any number of printers.
#[derive(Debug)]
pub struct PrivateBus {
    address: String,
    // Ends before its directory is removed: fields drop in order.
    _process: Process,
    _directory: TempDir,
}

impl PrivateBus {
    /// Starts the daemon and waits for its socket.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start() -> Result<Arc<PrivateBus>, PeerError> {
        let executable = program("dbus-daemon")?;
        let directory = directory("dbus", Sandbox::Unprivileged)?;
        let socket: PathBuf = directory.path().join("bus");
        let address = format!("unix:path={}", socket.display());
        let mut process = Launch::new(
            "dbus-daemon",
            Sandbox::Unprivileged,
            executable,
            directory.path(),
        )
        .arguments(["--session", "--nofork", "--nopidfile", "--address"])
        .arguments([address.clone()])
        .spawn()?;
        process
            .until_ready(async || tokio::net::UnixStream::connect(&socket).await.is_ok())
            .await?;
        Ok(Arc::new(PrivateBus {
            address,
            _process: process,
            _directory: directory,
        }))
    }
}

/// One more attribute the printer reports, in the syntax of ipptool's `ATTR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraAttribute {
    /// The value tag, for example `textWithoutLanguage` or `nameWithoutLanguage`.
    pub syntax: String,
    /// The attribute name.
    pub name: String,
    /// The value; commas separate several.
    pub value: String,
}

impl ExtraAttribute {
    /// Returns a `textWithoutLanguage` attribute.
    pub fn text(name: &str, value: &str) -> ExtraAttribute {
        ExtraAttribute {
            syntax: "textWithoutLanguage".to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }
}

/// Identity that the printer reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IppEvePrinterOptions {
    /// `printer-name`, `printer-info` and part of `printer-uuid`.
    pub name: String,
    /// First half of `printer-make-and-model`.
    pub make: String,
    /// Second half of `printer-make-and-model`.
    pub model: String,
    /// `printer-location`.
    pub location: String,
    /// Attributes beside the built-in ones, for example `printer-serial-number`. When there are
    /// any, the built-in description of media and supplies is dropped by the program. Names the
    /// program sets itself (printer-uuid, printer-location, document-format-supported) would
    /// appear twice in its answers.
    pub extra: Vec<ExtraAttribute>,
    /// True if it prints in colour: it has four toners then, and else a black one.
    pub has_colour: bool,
}

impl Default for IppEvePrinterOptions {
    fn default() -> Self {
        IppEvePrinterOptions {
            name: "floor1".to_owned(),
            make: "Example".to_owned(),
            model: "Laser 9".to_owned(),
            location: "Lab".to_owned(),
            extra: Vec::new(),
            has_colour: false,
        }
    }
}

/// A running `ippeveprinter`.
#[derive(Debug)]
pub struct IppEvePrinter {
    port: u16,
    process: Process,
    directory: TempDir,
    _bus: Arc<PrivateBus>,
}

impl IppEvePrinter {
    /// Starts a printer with a D-Bus of its own.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(options: IppEvePrinterOptions) -> Result<IppEvePrinter, PeerError> {
        IppEvePrinter::start_on(PrivateBus::start().await?, options).await
    }

    /// Starts a printer on a shared D-Bus, for fleets.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start_on(
        bus: Arc<PrivateBus>,
        options: IppEvePrinterOptions,
    ) -> Result<IppEvePrinter, PeerError> {
        let executable = program("ippeveprinter")?;
        let directory = directory(PEER, Sandbox::Unprivileged)?;
        let port = free_port(PEER)?;
        write_attributes(&directory, &options)?;
        let mut arguments = vec!["-r".to_owned(), "off".to_owned()];
        // Only the name `localhost` makes it bind loopback alone; an address ends it.
        arguments.extend(["-n".to_owned(), "localhost".to_owned()]);
        arguments.extend(["-p".to_owned(), port.to_string()]);
        arguments.extend(["-l".to_owned(), options.location.clone()]);
        arguments.extend(["-d".to_owned(), text(directory.path().join("spool"))]);
        if options.has_colour {
            arguments.extend(["-s".to_owned(), "30,20".to_owned()]);
        }
        if options.extra.is_empty() {
            arguments.extend([
                "-M".to_owned(),
                options.make,
                "-m".to_owned(),
                options.model,
            ]);
        } else {
            arguments.extend(["-a".to_owned(), text(attribute_file(&directory))]);
        }
        arguments.push(options.name);
        // It prints what it displays, and would keep that back until its buffer is full.
        let by_line = program("stdbuf")?;
        let process = Launch::new(PEER, Sandbox::Unprivileged, by_line, directory.path())
            .environment("DBUS_SYSTEM_BUS_ADDRESS", bus.address.clone())
            .arguments(["-oL".to_owned(), text(executable)])
            .arguments(arguments)
            .spawn()?;
        let mut printer = IppEvePrinter {
            port,
            process,
            directory,
            _bus: bus,
        };
        printer.until_ready().await?;
        Ok(printer)
    }

    async fn until_ready(&mut self) -> Result<(), PeerError> {
        let (client, uri) = (IppClient::new(), [self.uri()]);
        self.process
            .until_ready(async || client.all_answer(&uri).await)
            .await
    }

    /// `ipp://127.0.0.1:PORT/ipp/print`.
    pub fn uri(&self) -> String {
        format!("ipp://{}:{}{PATH}", self.address(), self.port)
    }

    /// Always `127.0.0.1`.
    pub fn address(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Returns the TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path of the printer, with its leading slash.
    pub fn path(&self) -> &'static str {
        PATH
    }

    /// Returns the process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns the printer's output so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Start-up time and memory.
    pub fn footprint(&self) -> Footprint {
        self.process.footprint()
    }

    /// Ends it at once; its port refuses from then on.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.process.kill().await
    }

    /// Starts it again on the same port after [`IppEvePrinter::kill`].
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.process.start_again()?;
        self.until_ready().await
    }

    /// Changes its reported attributes and starts it again: a firmware update as seen from outside.
    /// Only for a printer that was started with extra attributes.
    pub async fn restart_with(&mut self, options: &IppEvePrinterOptions) -> Result<(), PeerError> {
        self.process.kill().await?;
        write_attributes(&self.directory, options)?;
        self.start_again().await
    }

    /// Freezes it by SIGSTOP: connections are accepted and never answered.
    pub async fn freeze(&self) -> Result<(), PeerError> {
        self.process.freeze().await
    }

    /// SIGCONT.
    pub async fn thaw(&self) -> Result<(), PeerError> {
        self.process.thaw().await
    }
}

fn attribute_file(directory: &TempDir) -> PathBuf {
    directory.path().join("attributes.conf")
}

/// Writes the attribute file. It replaces the make and model options, so they are repeated in it.
fn write_attributes(directory: &TempDir, options: &IppEvePrinterOptions) -> Result<(), PeerError> {
    let (make, model) = (&options.make, &options.model);
    let identity = [
        ExtraAttribute::text("printer-make-and-model", &format!("{make} {model}")),
        ExtraAttribute::text(
            "printer-device-id",
            &format!("MFG:{make};MDL:{model};CMD:PWG,URF;"),
        ),
    ];
    let lines: Vec<String> = identity
        .iter()
        .filter(|built_in| {
            options
                .extra
                .iter()
                .all(|extra| extra.name != built_in.name)
        })
        .chain(&options.extra)
        .map(
            |ExtraAttribute {
                 syntax,
                 name,
                 value,
             }| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                format!("ATTR {syntax} {name} \"{value}\"\n")
            },
        )
        .collect();
    write(PEER, &attribute_file(directory), &lines.concat())
}
