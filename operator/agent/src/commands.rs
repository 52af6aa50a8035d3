//! The commands: each reads its files, does one thing, and reports how it ended by its exit code.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use url::Url;

use crate::{
    answer::Failure,
    api::By,
    args::{Arguments, Check, Command, Run, Switch},
    check,
    clock::Clock,
    device::{
        Description, Device, Ending, Entry, Options, SERVICES, STATE, WITHDRAWAL, Withdrawal,
        token_of, withdraw_link,
    },
    http::{Http, Request, Token},
    link, pace,
    services::{self, Kept},
    state::State,
    store::{Store, StoreError},
    twin::Faults,
};

mod error;
mod event;
mod status;

/// Result of a command: its exit code, or a sentence about what is wrong.
type Result<T = ExitCode> = std::result::Result<T, String>;

/// Runs a command.
pub async fn run(arguments: Arguments) -> ExitCode {
    let result = match arguments.command {
        Command::Run(run) => device(*run).await,
        Command::Status { state } => status::print(&state),
        Command::Event(happens) => event::happen(happens),
        Command::Error(error) => error::change(error),
        Command::Enable(switch) => turn(&switch, true),
        Command::Disable(switch) => turn(&switch, false),
        Command::Withdraw { state, by, ca } => withdraw(&state, by, ca.as_deref()).await,
        Command::Check(check) => conformance(*check).await,
    };
    result.unwrap_or_else(|what| {
        eprintln!("entente-agent: {what}");
        ExitCode::FAILURE
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn device(run: Run) -> Result {
    let store = Store::open(&run.state).map_err(text)?;
    let ca = run.plate.ca.clone();
    let offset = run.faults.clock_offset;
    let again = run.consent.consent_again;
    let options = options(run)?;
    let withdrawal: Option<Withdrawal> = store.read(WITHDRAWAL).map_err(text)?;
    if withdrawal.is_some_and(|withdrawal| withdrawal.confirmed) {
        if !again {
            return Err("consent was withdrawn; --consent-again records a new one".into());
        }
        store.remove(WITHDRAWAL).map_err(text)?;
    }
    let mut device = Device::open(store, options, ca.as_deref(), offset).map_err(text)?;
    let ending = tokio::select! {
        ending = device.run() => ending.map_err(text)?,
        () = signal() => Ending::Done,
    };
    Ok(match ending {
        Ending::Done | Ending::Withdrawn => ExitCode::SUCCESS,
        Ending::Failed => ExitCode::FAILURE,
        Ending::Refused => ExitCode::from(3),
        Ending::NeedsConsent => ExitCode::from(4),
    })
}

fn options(run: Run) -> Result<Options> {
    let (plate, behaviour) = (run.plate, run.behaviour);
    let accepted = run.consent.consent_by.zip(run.consent.consent_text);
    Ok(Options {
        entry: entry(run.region_url, run.gateway, run.country, run.subdivision)?,
        token_file: plate.token_file,
        description: Description {
            serial_number: plate.serial,
            product_name: plate.product,
            manufacturer: plate.manufacturer,
            uuid: plate.uuid,
            ship_destination: plate.ship_destination,
            time_zone: plate.time_zone,
            languages: plate.languages,
            software: plate.software,
            ddi: !behaviour.no_ddi,
            data_types: behaviour.data_types.map(named),
            supplies: behaviour.supplies.map(named),
            panel: behaviour.display,
        },
        consent: accepted.filter(|_| run.consent.accept),
        faults: Faults {
            refuse: run.faults.refuse.into_iter().collect(),
            ignore: run.faults.ignore.into_iter().collect(),
        },
        lies: run.faults.lie_about_firmware,
        restart_takes: behaviour.restart_takes,
        wait: behaviour.wait,
        most_bytes: behaviour.most_bytes,
        bounds: pace::Bounds {
            initial: behaviour.retry_initial,
            most: behaviour.retry_most,
        },
        once: behaviour.once,
        short: behaviour.short,
    })
}

/// Returns the names of a list, which is empty where only its separator is there.
fn named(names: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    names
}

fn entry(
    region: Option<String>,
    gateway: Option<String>,
    country: Option<String>,
    subdivision: Option<String>,
) -> Result<Entry> {
    let url = |text: &str| link::gateway(text).map_err(|fault| fault.to_string());
    match (gateway, region, country) {
        (Some(gateway), _, _) => Ok(Entry::Gateway(url(&gateway)?)),
        (None, Some(region), Some(country)) => Ok(Entry::Region {
            url: url(&region)?,
            country,
            subdivision,
        }),
        _ => Err("--gateway, or --region-url with --country, is needed".into()),
    }
}

/// Waits for a signal to end. What is on disk is whole at every instant, so that a device may be ended
/// anywhere.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Instant by the gateway's clock, as far as it is known.
fn now(state: &State) -> Timestamp {
    let clock = Clock::new(SignedDuration::from_secs(state.ahead));
    clock.now(Timestamp::now(), Instant::now())
}

fn turn(switch: &Switch, enabled: bool) -> Result {
    let store = Store::open(&switch.state).map_err(text)?;
    let state: State = store.read(STATE).map_err(text)?.unwrap_or_default();
    let now = now(&state);
    let turned = store.locked(|| {
        let mut kept: Vec<Kept> = store.read(SERVICES)?.unwrap_or_default();
        if !services::switch(&mut kept, &switch.service, enabled, switch.by, now) {
            return Ok(Err(known(&kept)));
        }
        store.write(SERVICES, &kept)?;
        Ok::<_, StoreError>(Ok(()))
    });
    turned.map_err(text)?.map_err(|known| {
        let service = &switch.service;
        format!("the device has no service {service}; it knows: {known}")
    })?;
    let word = if enabled { "on" } else { "off" };
    println!("{} is {word} at this device", switch.service);
    Ok(ExitCode::SUCCESS)
}

fn known(kept: &[Kept]) -> String {
    let ids: Vec<&str> = kept.iter().map(|service| &*service.service_id).collect();
    if ids.is_empty() {
        "none".into()
    } else {
        ids.join(", ")
    }
}

async fn withdraw(folder: &Path, by: By, ca: Option<&Path>) -> Result {
    let store = Store::open(folder).map_err(text)?;
    let state: State = store.read(STATE).map_err(text)?.unwrap_or_default();
    let withdrawal = Withdrawal {
        by,
        at: now(&state),
        confirmed: false,
    };
    // From here on a device that runs sends nothing but this.
    store.write(WITHDRAWAL, &withdrawal).map_err(text)?;
    // One that cannot be read is no reason to go on sending.
    let gone = event::emptied(&store).unwrap_or_default();
    if gone > 0 {
        println!("events that are dropped, unsent: {gone}");
    }
    if state.registration.is_none() && store.run_lock().is_err() {
        // It may be registering: only the device that runs knows whether there is something to withdraw.
        println!("consent is withdrawn here; the device that runs tells the gateway");
        return Ok(ExitCode::SUCCESS);
    }
    let told = match tell(&state, &withdrawal, ca).await {
        Ok(told) => told,
        Err(why) => {
            println!("consent is withdrawn here; the gateway could not be told: {why}");
            println!("`entente-agent run` tells it, and this command may be repeated");
            return Ok(ExitCode::FAILURE);
        }
    };
    let confirmed = Withdrawal {
        confirmed: true,
        ..withdrawal
    };
    store.write(WITHDRAWAL, &confirmed).map_err(text)?;
    // A device that runs forgets its credential itself.
    if let Ok(_lock) = store.run_lock() {
        let mut state = state;
        state.withdrawn();
        store.write(STATE, &state).map_err(text)?;
    }
    println!("consent is withdrawn; {told}");
    Ok(ExitCode::SUCCESS)
}

/// Sends a withdrawal to the gateway.
async fn tell(state: &State, withdrawal: &Withdrawal, ca: Option<&Path>) -> Result<&'static str> {
    let (Some(registration), Some(held)) = (&state.registration, &state.credential) else {
        return Ok("the device was not registered");
    };
    let gateway = Url::parse(state.gateway.as_deref().unwrap_or_default())
        .map_err(|_| "the gateway is not known".to_owned())?;
    let http = Http::new(ca, SignedDuration::ZERO, SignedDuration::ZERO).map_err(text)?;
    let path = format!("/v1/devices/{}", registration.printer_id);
    let link = withdraw_link(&path, withdrawal);
    let bearer = Token::Bearer(&held.credential.token);
    let request = Request::new(Method::DELETE, &link, bearer);
    match http.send(&gateway, request).await {
        Ok(_) | Err(Failure::ConsentWithdrawn) => Ok("the gateway has recorded it"),
        Err(Failure::Unauthorized { .. }) => {
            Ok("the gateway does not know the credential any more")
        }
        Err(failure) => Err(failure.to_string()),
    }
}

async fn conformance(arguments: Check) -> Result {
    let gateway = link::gateway(&arguments.url).map_err(text)?;
    let token = token_of(&arguments.plate.token_file)?;
    let ca: Option<PathBuf> = arguments.plate.ca.clone();
    let http = Http::new(ca.as_deref(), SignedDuration::ZERO, SignedDuration::ZERO);
    let http = http.map_err(text)?;
    let report = check::run(check::Subject {
        http,
        gateway,
        token,
        arguments,
    });
    let report = report.await;
    print!("{}", report.text());
    Ok(if report.is_passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
