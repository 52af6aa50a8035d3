//! swupdate, a device that others wrote: it installs signed images that a server of DDI offers.
//!
//! Decides its configuration, the signed images that it takes, and what a restart of the device is: the
//! process ends, and begins again with the version that was installed, which it confirms. A person has
//! registered it and put its token into its configuration, since it has no request of its own for that.
//! It runs as nobody and writes into its own directory alone. Called by tests of the gateway.

mod archive;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::PeerError;
use super::launch::{Launch, Process, Sandbox, directory, give_to_peer, program, text, write};
use archive::archive;

const PEER: &str = "swupdate";
const SANDBOX: Sandbox = Sandbox::Unprivileged;
/// Its firmware, as it names that to the server.
pub const FIRMWARE: &str = "firmware.main";
/// Its application, as it names that to the server.
pub const APPLICATION: &str = "application.panel-agent";
const PARTS: [&str; 2] = [FIRMWARE, APPLICATION];
/// Words of its log once it calls the server.
const READY: &str = "entering suricatta main loop";

/// The device that swupdate plays.
#[derive(Clone, Debug)]
pub struct SwupdateOptions {
    /// URL of the server, such as `http://127.0.0.1:8085`.
    pub server: String,
    /// File with the certificate of the server in PEM, for a server with TLS.
    pub authority: Option<PathBuf>,
    /// Tenant on the server: the namespace of the device.
    pub tenant: String,
    /// Its id on the server: the name of the device.
    pub device: String,
    /// Its token.
    pub token: String,
    /// Board and revision of the hardware, such as `mfp:1.0`.
    pub hardware: String,
    /// The versions that run, and that it reports: each by its part, such as `firmware.main`.
    pub running: BTreeMap<&'static str, String>,
}

/// A running swupdate, with a key that signs images for it.
#[derive(Debug)]
pub struct Swupdate {
    process: Process,
    options: SwupdateOptions,
    directory: TempDir,
}

impl Swupdate {
    /// Starts it.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(options: SwupdateOptions) -> Result<Swupdate, PeerError> {
        let directory = directory(PEER, SANDBOX)?;
        let path = |name: &str| text(directory.path().join(name));
        let key = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ];
        openssl(directory.path())?
            .arguments(key)
            .arguments(["-subj", "/CN=entente-test", "-addext"])
            .arguments(["extendedKeyUsage=emailProtection", "-addext"])
            .arguments(["keyUsage=digitalSignature", "-keyout", &path("key.pem")])
            .arguments(["-out", &path("cert.pem")])
            .run()
            .await?;
        let mut process = launch(&directory, &options, Boot::Usual)?.spawn()?;
        until_calling(&mut process).await?;
        Ok(Swupdate {
            process,
            options,
            directory,
        })
    }

    /// Restarts the device: what runs then is the version of each image that was installed last, and the
    /// same as before of a part without one. It confirms to the server that it runs.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn restart(&mut self) -> Result<(), PeerError> {
        for part in PARTS {
            if let Some(content) = self.installed(part) {
                let version = content.split(|byte| *byte == b'\n').next();
                let version = String::from_utf8_lossy(version.unwrap_or_default()).into();
                self.options.running.insert(part, version);
            }
        }
        self.restart_as(Boot::Confirmed).await
    }

    /// Restarts the device with the versions that it ran before, as a boot loader does with an image that
    /// does not start. It tells the server that the installation has failed.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn roll_back(&mut self) -> Result<(), PeerError> {
        for part in PARTS {
            let _ = fs::remove_file(self.path_of(part));
        }
        self.restart_as(Boot::RolledBack).await
    }

    async fn restart_as(&mut self, boot: Boot) -> Result<(), PeerError> {
        self.process.kill().await?;
        let _ = fs::remove_file(self.process.log_path());
        self.process = launch(&self.directory, &self.options, boot)?.spawn()?;
        until_calling(&mut self.process).await
    }

    /// Builds an image of a version of a part, such as [`FIRMWARE`], for hardware of a revision, signed for
    /// this device. What is installed of it has the version as its first line, and then this content.
    ///
    /// # Errors
    /// Any [`PeerError`] of running openssl.
    pub async fn image(
        &self,
        part: &str,
        version: &str,
        revision: &str,
        content: &[u8],
    ) -> Result<Vec<u8>, PeerError> {
        let build = directory(PEER, SANDBOX)?;
        let path = |name: &str| text(build.path().join(name));
        let failed = |source| PeerError::Preparation {
            peer: PEER.to_owned(),
            what: "an image",
            source,
        };
        let firmware = [version.as_bytes(), b"\n", content].concat();
        fs::write(path("firmware.bin"), &firmware).map_err(failed)?;
        openssl(build.path())?
            .arguments(["dgst", "-sha256", "-r", "-out", &path("digest")])
            .arguments([path("firmware.bin")])
            .run()
            .await?;
        let digest = fs::read_to_string(path("digest")).map_err(failed)?;
        let digest = digest.split(' ').next().unwrap_or_default();
        let target = text(self.path_of(part));
        let description = format!(
            "software = {{ version = \"{version}\"; hardware-compatibility: [ \"{revision}\" ];\n\
             files: ( {{ filename = \"firmware.bin\"; path = \"{target}\"; sha256 = \"{digest}\"; }} ); }}\n"
        );
        write(PEER, &build.path().join("sw-description"), &description)?;
        let own = |name: &str| text(self.directory.path().join(name));
        openssl(build.path())?
            .arguments(["cms", "-sign", "-in", &path("sw-description")])
            .arguments(["-out", &path("sw-description.sig"), "-outform", "DER"])
            .arguments(["-signer", &own("cert.pem"), "-inkey", &own("key.pem")])
            .arguments(["-nosmimecap", "-binary"])
            .run()
            .await?;
        let read = |name: &str| fs::read(path(name)).map_err(failed);
        let (description, signature) = (read("sw-description")?, read("sw-description.sig")?);
        // The description comes first, and its signature next.
        Ok(archive(&[
            ("sw-description", &description),
            ("sw-description.sig", &signature),
            ("firmware.bin", &firmware),
        ]))
    }

    fn path_of(&self, part: &str) -> PathBuf {
        self.directory.path().join(format!("{part}.bin"))
    }

    /// Returns the file that it has installed of a part: the version, a line feed and the content.
    pub fn installed(&self, part: &str) -> Option<Vec<u8>> {
        fs::read(self.path_of(part)).ok()
    }

    /// Returns its output since its last start.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn openssl(directory: &Path) -> Result<Launch, PeerError> {
    let openssl = Launch::new(PEER, SANDBOX, program("openssl")?, directory);
    Ok(openssl)
}

/// Manner in which the device has started.
#[derive(Clone, Copy)]
enum Boot {
    Usual,
    /// With the version that was installed.
    Confirmed,
    /// With the version before, since that one did not start.
    RolledBack,
}

/// Returns its command. The Debian build takes signed images alone, and has no boot loader here: no
/// marker is written, and an option says in its place how the device has started. It calls again after the
/// time that the server names, or else after an hour.
fn launch(directory: &TempDir, options: &SwupdateOptions, boot: Boot) -> Result<Launch, PeerError> {
    let certificate = text(directory.path().join("cert.pem"));
    let SwupdateOptions {
        server,
        authority,
        tenant,
        device,
        token,
        hardware,
        running,
    } = options;
    let trust = match authority {
        Some(path) => format!("cafile = \"{}\";", text(own_copy(path, directory)?)),
        None => String::new(),
    };
    let mut identity = String::new();
    for (part, version) in running {
        let comma = if identity.is_empty() { "" } else { ", " };
        let _ = write!(
            identity,
            "{comma}{{ name = \"{part}\"; value = \"{version}\"; }}"
        );
    }
    let configuration = format!(
        "globals : {{ verbose = true; loglevel = 6; public-key-file = \"{certificate}\"; }};\n\
         identify : ( {identity} );\n\
         suricatta : {{ tenant = \"{tenant}\"; id = \"{device}\"; url = \"{server}\";\n\
         targettoken = \"{token}\"; polldelay = 3600; retry = 2; retrywait = 1; {trust} }};\n"
    );
    let path = directory.path().join("swupdate.cfg");
    write(PEER, &path, &configuration)?;
    give_to_peer(PEER, &path, SANDBOX)?;
    let suricatta = match boot {
        Boot::Usual => "",
        Boot::Confirmed => "-c 2",
        Boot::RolledBack => "-c 3",
    };
    let launch = Launch::new(PEER, SANDBOX, program("swupdate")?, directory.path())
        .arguments(["-f", &text(path), "-M", "-m", "-H", hardware.as_str()])
        .arguments(["-u", suricatta]);
    Ok(launch)
}

/// Copies a certificate to where the process may read it.
fn own_copy(of: &Path, directory: &TempDir) -> Result<PathBuf, PeerError> {
    let path = directory.path().join("authority.pem");
    fs::copy(of, &path).map_err(|source| PeerError::Preparation {
        peer: PEER.to_owned(),
        what: "the certificate of its server",
        source,
    })?;
    give_to_peer(PEER, &path, SANDBOX)?;
    Ok(path)
}

async fn until_calling(process: &mut Process) -> Result<(), PeerError> {
    let log = process.log_path();
    process
        .until_ready(async || {
            let log = fs::read(&log).unwrap_or_default();
            String::from_utf8_lossy(&log).contains(READY)
        })
        .await
}
