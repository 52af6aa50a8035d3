//! `snmpd` of net-snmp as the agent of a printer, and `snmpget` and `snmpset` as the person in front of
//! it.
//!
//! Decides its configuration: the objects of a printer are overridden, those of the system are its own.
//! The objects of the system outlive a restart, since it writes them to a file; overridden ones are as
//! they were configured then. Called by tests that need an agent which others wrote.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use super::PeerError;
use super::launch::{Footprint, Launch, Process, Sandbox, directory, program, text, write};

const PEER: &str = "snmpd";
const SANDBOX: Sandbox = Sandbox::Unprivileged;

/// A user of the agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SnmpdLogin {
    /// The name.
    pub username: &'static str,
    /// The protocol of its authentication, in the words of net-snmp.
    pub authentication: &'static str,
    /// The password of its authentication.
    pub authentication_password: &'static str,
    /// The protocol of its encryption, in the words of net-snmp.
    pub privacy: &'static str,
    /// The password of its encryption.
    pub privacy_password: &'static str,
}

impl SnmpdLogin {
    /// A user that may read and write.
    pub const OPERATOR: Self = Self {
        username: "entente",
        authentication: "SHA-256",
        authentication_password: "first password",
        privacy: "AES",
        privacy_password: "second password",
    };
    /// Another one, with the longest keys that Debian's net-snmp has.
    pub const OPERATOR_SHA_512: Self = Self {
        username: "entente-512",
        authentication: "SHA-512",
        ..Self::OPERATOR
    };
    /// A user that may read only.
    pub const READER: Self = Self {
        username: "reader",
        ..Self::OPERATOR
    };
    /// The person in front of the device.
    const PERSON: Self = Self {
        username: "person",
        ..Self::OPERATOR
    };

    /// Returns the keys and values of the Secret of this login.
    pub fn secret(self) -> [(&'static str, &'static str); 5] {
        [
            ("username", self.username),
            ("authProtocol", self.authentication),
            ("authPassword", self.authentication_password),
            ("privProtocol", "AES-128"),
            ("privPassword", self.privacy_password),
        ]
    }
}

/// An object that the agent has in place of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Override {
    /// The name of the object as numbers.
    pub oid: String,
    /// The type in the words of net-snmp: integer, octet_str.
    pub kind: &'static str,
    /// The value.
    pub value: String,
    /// True if it may be written.
    pub is_writable: bool,
}

impl Override {
    /// Returns a text that may only be read.
    pub fn text(oid: &str, value: &str) -> Self {
        Self {
            oid: oid.to_owned(),
            kind: "octet_str",
            value: format!("\"{value}\""),
            is_writable: false,
        }
    }

    /// Returns a number that may only be read.
    pub fn number(oid: &str, value: i64) -> Self {
        Self {
            oid: oid.to_owned(),
            kind: "integer",
            value: value.to_string(),
            is_writable: false,
        }
    }

    /// Returns the same object, which may be written.
    #[must_use]
    pub fn writable(self) -> Self {
        Self {
            is_writable: true,
            ..self
        }
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Snmpd {
    port: u16,
    process: Process,
    directory: TempDir,
}

impl Snmpd {
    /// The product name that it reports in sysDescr.
    pub const PRODUCT: &'static str = "NW Label 7";

    /// Starts an agent with these objects besides its own.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(objects: &[Override]) -> Result<Snmpd, PeerError> {
        let executable = program("snmpd")?;
        let directory = directory(PEER, SANDBOX)?;
        let port = free_port()?;
        let file = directory.path().join("snmpd.conf");
        write(PEER, &file, &configuration(port, objects))?;
        // No file of this machine is read, and that which the agent writes is.
        let state = text(directory.path().join("state"));
        let process = Launch::new(PEER, SANDBOX, executable, directory.path())
            .arguments(["-f", "-Lo", "-c"])
            .arguments([text(file)])
            .environment("SNMP_PERSISTENT_DIR", &state)
            .environment("SNMPCONFPATH", &state)
            .environment("MIBS", "")
            .spawn()?;
        let mut agent = Snmpd {
            port,
            process,
            directory,
        };
        agent.until_ready().await?;
        Ok(agent)
    }

    async fn until_ready(&mut self) -> Result<(), PeerError> {
        let (port, place) = (self.port, self.directory.path().to_owned());
        let system = "1.3.6.1.2.1.1.1.0";
        self.process
            .until_ready(async || ask(&place, port, "snmpget", &[system]).await.is_ok())
            .await
    }

    /// Returns the serial number that it reports in prtGeneralSerialNumber, which no other agent has that
    /// runs at the same time.
    pub fn serial_number(&self) -> String {
        serial_number(self.port)
    }

    /// Always `127.0.0.1`.
    pub fn address(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Returns the UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Reads an object, as a person does.
    ///
    /// # Errors
    /// [`PeerError::Setup`] with the words of `snmpget`.
    pub async fn get(&self, oid: &str) -> Result<String, PeerError> {
        ask(self.directory.path(), self.port, "snmpget", &[oid]).await
    }

    /// Writes a text to an object, as a person does.
    ///
    /// # Errors
    /// [`PeerError::Setup`] with the words of `snmpset`.
    pub async fn set(&self, oid: &str, value: &str) -> Result<(), PeerError> {
        let arguments = [oid, "s", value];
        ask(self.directory.path(), self.port, "snmpset", &arguments)
            .await
            .map(drop)
    }

    /// Writes a number to an object, as a person does.
    ///
    /// # Errors
    /// [`PeerError::Setup`] with the words of `snmpset`.
    pub async fn set_number(&self, oid: &str, value: i64) -> Result<(), PeerError> {
        let value = value.to_string();
        let arguments = [oid, "i", &value];
        ask(self.directory.path(), self.port, "snmpset", &arguments)
            .await
            .map(drop)
    }

    /// Returns the process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns the agent's output so far.
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

    /// Switches it off and on again: the objects of the system stay as they were set, the others do
    /// not.
    pub async fn restart(&mut self) -> Result<(), PeerError> {
        self.process.shut_down().await?;
        self.process.start_again()?;
        self.until_ready().await
    }

    /// Freezes it by SIGSTOP: requests are taken and never answered.
    pub async fn freeze(&self) -> Result<(), PeerError> {
        self.process.freeze().await
    }

    /// SIGCONT.
    pub async fn thaw(&self) -> Result<(), PeerError> {
        self.process.thaw().await
    }
}

/// Returns the configuration: four users of version 3, the community public for reading, and the
/// objects of a printer.
fn configuration(port: u16, objects: &[Override]) -> String {
    let mut lines = format!("agentAddress udp:127.0.0.1:{port}\nrocommunity public 127.0.0.1\n");
    for (login, right) in [
        (SnmpdLogin::OPERATOR, "rwuser"),
        (SnmpdLogin::OPERATOR_SHA_512, "rwuser"),
        (SnmpdLogin::PERSON, "rwuser"),
        (SnmpdLogin::READER, "rouser"),
    ] {
        let SnmpdLogin {
            username,
            authentication,
            authentication_password,
            privacy,
            privacy_password,
        } = login;
        let _ = writeln!(
            lines,
            "createUser {username} {authentication} \"{authentication_password}\" {privacy} \
             \"{privacy_password}\"\n{right} {username} authPriv"
        );
    }
    let own = [
        Override::text("1.3.6.1.2.1.1.1.0", Snmpd::PRODUCT),
        Override::text("1.3.6.1.2.1.43.5.1.1.17.1", &serial_number(port)),
    ];
    for object in own.iter().chain(objects) {
        let writable = if object.is_writable { "-rw " } else { "" };
        let Override {
            oid, kind, value, ..
        } = object;
        let _ = writeln!(lines, "override {writable}.{oid} {kind} {value}");
    }
    lines
}

fn serial_number(port: u16) -> String {
    format!("NW7-{port}")
}

/// Returns a UDP port that is free on 127.0.0.1 now. Another process may take it before the agent does;
/// the agent then ends and the start fails loudly.
fn free_port() -> Result<u16, PeerError> {
    let failed = |source| PeerError::Preparation {
        peer: PEER.to_owned(),
        what: "a free port",
        source,
    };
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    Ok(socket.local_addr().map_err(failed)?.port())
}

/// Runs a program of net-snmp as the person and returns its output, the value alone.
async fn ask(
    directory: &Path,
    port: u16,
    name: &str,
    arguments: &[&str],
) -> Result<String, PeerError> {
    let person = SnmpdLogin::PERSON;
    let login = [
        ("-u", person.username),
        ("-a", person.authentication),
        ("-A", person.authentication_password),
        ("-x", person.privacy),
        ("-X", person.privacy_password),
    ];
    let mut command = Command::new(program(name)?);
    command
        .args([
            "-v", "3", "-l", "authPriv", "-r", "3", "-t", "1", "-O", "qv",
        ])
        .args(login.iter().flat_map(|(option, value)| [option, value]))
        .arg(format!("udp:127.0.0.1:{port}"))
        .args(arguments)
        .env("MIBS", "")
        .env("SNMPCONFPATH", directory)
        .env("SNMP_PERSISTENT_DIR", directory.join("person"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await;
    let output = output.map_err(|source| PeerError::Process {
        peer: name.to_owned(),
        action: "run",
        source,
    })?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(said.trim().trim_matches('"').to_owned());
    }
    Err(PeerError::Setup {
        command: format!("{name} {}", arguments.join(" ")),
        status: output.status,
        output: format!("{said}{}", String::from_utf8_lossy(&output.stderr)),
    })
}
