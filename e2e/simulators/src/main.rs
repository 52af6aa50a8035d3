//! Simulated IPP printers and a simulated service broker as one process.
//!
//! Prints one line of JSON on stdout when everything listens, then serves until SIGTERM, SIGINT or,
//! with `--until-stdin-closes`, the end of its standard input. Run by people without printers, and
//! by tests that need another process.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use entente_simulators::{
    Broker, BrokerOptions, Control, Credentials, Fault, FleetOptions, IppFleet, Ledger, Mode,
    Ready, SimulatorError, WriteOperations,
    zoo::{self, Pace, ZooBroker, ZooListener},
};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

/// Simulated IPP printers and a simulated service broker on loopback.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Number of printers; printer i listens on 127.1.(i/250).(i%250+1)
    #[arg(long, default_value_t = 1)]
    devices: usize,
    /// Common port of the printers; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    ipp_port: u16,
    /// Port of the broker on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    broker_port: u16,
    /// Port of the control interface on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// No broker
    #[arg(long)]
    no_broker: bool,
    /// In place of the broker, the one of this row of zoo/brokers.txt
    #[arg(long, value_name = "NAME", conflicts_with_all = ["no_broker", "broker_fault"])]
    zoo: Option<String>,
    /// Names of the printers are this and a number with four digits
    #[arg(long, default_value = "mfp-")]
    name_prefix: String,
    /// Names of the first printers, separated by commas
    #[arg(long, value_delimiter = ',')]
    names: Vec<String>,
    /// Maker, a space, product; "Northwind MFP 700" and "Southwind MFP 320" have the settings of all
    /// example services
    #[arg(long, default_value = "Northwind MFP 500")]
    make_and_model: String,
    /// Further paths /ipp/print/QUEUE, separated by commas
    #[arg(long, value_delimiter = ',')]
    queues: Vec<String>,
    /// Printers accept CUPS-Add-Modify-Printer too
    #[arg(long)]
    cups: bool,
    /// Delay of every answer in milliseconds
    #[arg(long, default_value_t = 0)]
    latency_milliseconds: u64,
    /// The broker works asynchronously; so many polls are answered "in progress"
    #[arg(long)]
    broker_polls: Option<u32>,
    /// Shortest duration of an asynchronous operation of the broker
    #[arg(long, default_value_t = 0)]
    broker_milliseconds: u64,
    /// HTTP Basic credentials of the broker, USER:PASSWORD
    #[arg(long)]
    broker_credentials: Option<String>,
    /// Fault of every printer from the beginning, NAME or JSON; may be given more than once
    #[arg(long, value_name = "FAULT")]
    device_fault: Vec<Fault>,
    /// Fault of the broker from the beginning, NAME or JSON; may be given more than once
    #[arg(long, value_name = "FAULT", conflicts_with = "no_broker")]
    broker_fault: Vec<Fault>,
    /// Lines the ledger keeps
    #[arg(long, default_value_t = 1_000_000)]
    ledger_capacity: usize,
    /// Stop when standard input ends
    #[arg(long)]
    until_stdin_closes: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulators: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let until_stdin_closes = arguments.until_stdin_closes;
    let ledger = Ledger::with_capacity(arguments.ledger_capacity);
    let fleet = IppFleet::start(fleet_options(&arguments), ledger.clone()).await?;
    let zoo = arguments.zoo.as_deref();
    let zoo = zoo
        .map(|name| zoo_broker(name, arguments.broker_port))
        .transpose()?;
    let broker = if arguments.no_broker || zoo.is_some() {
        None
    } else {
        Some(Broker::start(broker_options(&arguments)?, ledger.clone()).await?)
    };
    for fault in &arguments.device_fault {
        fleet.set_fault(fault.clone()).await?;
    }
    if let Some(broker) = &broker {
        for fault in &arguments.broker_fault {
            broker.set_fault(fault.clone()).await?;
        }
    }
    let fleets = vec![fleet.clone()];
    let control = Control::start(arguments.control_port, fleets, broker.clone(), ledger).await?;
    let uri = |device: Option<&std::sync::Arc<entente_simulators::Device>>| {
        device.map(|d| d.uri()).unwrap_or_default()
    };
    let ready = Ready {
        devices: fleet.devices().len(),
        ipp_port: fleet.port(),
        first_device: uri(fleet.devices().first()),
        last_device: uri(fleet.devices().last()),
        broker: match &zoo {
            Some(zoo) => Some(zoo.url()),
            None => broker.as_ref().map(Broker::url),
        },
        control: control.url(),
    };
    println!("{}", serde_json::to_string(&ready)?);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_end(), if until_stdin_closes => {}
    }
    Ok(())
}

/// Starts the broker of a row of the zoo, whose story begins now.
fn zoo_broker(name: &str, port: u16) -> Result<ZooListener, Box<dyn std::error::Error>> {
    let rows = zoo::rows()?;
    let row = rows.iter().find(|row| row.name == name);
    let row = row.ok_or_else(|| format!("the zoo has no row {name}"))?;
    let broker = ZooBroker::new(row, Pace::Virtual, Timestamp::now());
    Ok(ZooListener::start(broker, port, Timestamp::now)?)
}

async fn stdin_end() {
    // A thread of its own: a blocked read cannot be given up, but the process can end around it.
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}

fn fleet_options(arguments: &Arguments) -> FleetOptions {
    FleetOptions {
        port: arguments.ipp_port,
        names: arguments.names.clone(),
        name_prefix: arguments.name_prefix.clone(),
        queues: arguments.queues.clone(),
        writes: WriteOperations {
            cups_add_modify_printer: arguments.cups,
            ..WriteOperations::default()
        },
        latency: Duration::from_millis(arguments.latency_milliseconds),
        ..FleetOptions::of_product(&arguments.make_and_model, arguments.devices)
    }
}

fn broker_options(arguments: &Arguments) -> Result<BrokerOptions, SimulatorError> {
    let credentials = match arguments
        .broker_credentials
        .as_deref()
        .map(|c| c.split_once(':'))
    {
        None => None,
        Some(Some((user, password))) => Some(Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        }),
        Some(None) => {
            let message = "broker credentials are USER:PASSWORD".to_owned();
            return Err(SimulatorError::Options { message });
        }
    };
    let milliseconds = arguments.broker_milliseconds;
    Ok(BrokerOptions {
        port: arguments.broker_port,
        mode: match arguments.broker_polls {
            None => Mode::Sync,
            Some(polls) => Mode::Async {
                polls,
                milliseconds,
            },
        },
        latency: Duration::from_millis(arguments.latency_milliseconds),
        credentials,
        ..BrokerOptions::default()
    })
}
