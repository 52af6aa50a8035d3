//! Transcript of a run, for the golden files and for failing tests.

use std::fmt::Write as _;

use entente_crds::{
    item_key::ItemKey,
    v1alpha1::{
        Condition, Delay, DriftedSetting, ExclusiveHold, Previous, Promise, ReleasedAs,
        ServerInstance, ServerOperationState, ServiceSubscription, Unsaved,
    },
};
use entente_domain::{
    delivery::{Action, InstallationOrder, twin::TwinChange},
    protocol::{IppObject, Place},
    remote::DeviceReadRequest,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::Simulation;

impl Simulation {
    /// Returns the transcript so far.
    pub(crate) fn story(&self) -> String {
        self.transcript.join("\n")
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each action")]
    pub(super) fn say_action(&mut self, action: &Action) {
        let line = match action {
            Action::ReadDevice {
                connection,
                request,
            } => read_device(&self.through(connection), request),
            Action::WriteDevice {
                connection,
                write,
                items,
            } => {
                let (through, place) = (self.through(connection), named(&write.place));
                let owners: Vec<&str> = items.iter().map(|it| it.subscription.as_str()).collect();
                let owners = owners.join(", ");
                format!(
                    "write device{through}: {place}={:?} for {owners}",
                    write.value
                )
            }
            Action::ReadStatus { connection, .. } => {
                format!("read status{}", self.through(connection))
            }
            Action::ShowMessages {
                connection,
                request,
                ..
            } => format!(
                "show{}: {}",
                self.through(connection),
                request.lines.join(" | ")
            ),
            Action::WriteTwin { .. } => write_twin(action),
            Action::ReadCatalog { connection } => format!("read catalog: {connection}"),
            Action::RecordPrevious {
                subscription,
                items,
            } => {
                let items: Vec<String> =
                    items.iter().map(|it| kept(&it.key, &it.previous)).collect();
                format!("keep for {subscription}: {}", items.join(", "))
            }
            Action::RecordInstance { subscription } => format!("record instance: {subscription}"),
            Action::TakeOver { subscription, from } => format!("{subscription} takes over: {from}"),
            Action::Switch { group, to } => format!("switch {group} to: {to}"),
            Action::ReadInstance { subscription, .. } => format!("fetch: {subscription}"),
            Action::Provision {
                subscription,
                parameters,
                ..
            } => {
                format!(
                    "provision: {subscription} {}",
                    serde_json::json!(parameters)
                )
            }
            Action::Update {
                subscription,
                to_plan,
                parameters,
                ..
            } => {
                let plan = to_plan.as_ref().map_or_else(String::new, |plan| {
                    format!(" plan {}", plan.trim_end_matches("-id"))
                });
                format!(
                    "update: {subscription}{plan} {}",
                    serde_json::json!(parameters)
                )
            }
            Action::PollOperation { subscription, .. } => format!("poll: {subscription}"),
            Action::Deprovision { subscription, .. } => format!("deprovision: {subscription}"),
        };
        self.pass.push(format!("  {line}"));
    }

    /// Returns the name of the connection, if the device has several.
    fn through(&self, connection: &str) -> String {
        let device = self.snapshot.device.as_ref();
        let several = device.is_some_and(|device| device.spec.connections.len() > 1);
        if several {
            format!(" through {connection}")
        } else {
            String::new()
        }
    }

    /// Adds a pass to the transcript, unless it is the same as the one before.
    pub(super) fn say_pass(&mut self, began: Timestamp) {
        let mut said = self.pass.join("\n");
        for object in &self.snapshot.subscriptions {
            let _ = write!(said, "\n  {}", brief(object));
        }
        if let Some(device) = &self.snapshot.device {
            let conditions = device.status.as_ref().map(|s| s.conditions.as_slice());
            let _ = write!(
                said,
                "\n  device {}",
                all_conditions(conditions.unwrap_or_default())
            );
        }
        self.say(began, said.trim_start_matches('\n'));
    }

    pub(super) fn say_requests(&mut self, began: Timestamp) {
        let said = self.pass.join("\n");
        self.say(began, &said);
    }

    fn say(&mut self, began: Timestamp, said: &str) {
        let last = self.transcript.last_mut();
        if let Some(last) = last
            && last
                .split_once('\n')
                .is_some_and(|(_, before)| before.split("\n  … until").next() == Some(said))
        {
            let kept = last
                .split("\n  … until")
                .next()
                .unwrap_or_default()
                .to_owned();
            *last = format!("{kept}\n  … until {began} the same");
            return;
        }
        self.transcript.push(format!("{began}\n{said}"));
    }

    /// Adds the values of the device to the transcript.
    pub(crate) fn show_device(&mut self) {
        let values = self.printer.values.iter();
        let values = values.map(|(place, values)| format!("{}={values:?}", named(place)));
        let values: Vec<String> = values.collect();
        self.transcript.push(values.join("\n"));
    }

    /// Adds everything that is known of every subscription to the transcript.
    pub(crate) fn show(&mut self) {
        let mut said = format!(
            "show at {}: {} writes, {} requests",
            self.now, self.writes, self.requests
        );
        for object in &self.snapshot.subscriptions {
            said.push('\n');
            said.push_str(&in_full(object));
        }
        if let Some(device) = &self.snapshot.device {
            let status = device.status.clone().unwrap_or_default();
            let summary = status
                .subscriptions
                .map(|counts| counts.summary)
                .unwrap_or_default();
            let _ = write!(said, "\n  device {summary}");
            for condition in &status.conditions {
                let _ = write!(
                    said,
                    "\n    {}: {}",
                    one_condition(condition),
                    condition.message
                );
            }
            for drifted in &status.drift {
                let DriftedSetting { name, since, .. } = drifted;
                let _ = write!(said, "\n    {name} drifted since {since}");
            }
            for hold in &status.exclusive {
                let ExclusiveHold {
                    group,
                    holder,
                    service,
                    since,
                    before,
                } = hold;
                let service = service.as_deref().unwrap_or("a service that is not named");
                let _ = write!(
                    said,
                    "\n    {group} held by {holder} with {service} since {since}"
                );
                for former in before {
                    let _ = write!(
                        said,
                        "\n      before by {} with {} from {} until {}",
                        former.holder, former.service, former.since, former.until
                    );
                }
            }
        }
        for (name, broker) in &self.brokers {
            let _ = write!(said, "\n  broker {name}: {} made", broker.created);
            for instance in broker.instances.values() {
                let parameters = serde_json::json!(instance.parameters);
                let _ = write!(said, "\n    {} {parameters}", instance.plan_id);
            }
        }
        self.transcript.push(said);
    }
}

fn one_condition(condition: &Condition) -> String {
    match condition.status.as_str() {
        "True" => format!("{}({})", condition.type_, condition.reason),
        status => format!("{}={}({})", condition.type_, status, condition.reason),
    }
}

fn all_conditions(conditions: &[Condition]) -> String {
    conditions
        .iter()
        .map(one_condition)
        .collect::<Vec<_>>()
        .join(" ")
}

fn brief(object: &ServiceSubscription) -> String {
    let status = object.status.clone().unwrap_or_default();
    let shown: Vec<String> = status
        .conditions
        .iter()
        .filter(|condition| {
            ["Ready", "Stalled", "Reconciling", "EvidenceLost"].contains(&condition.type_.as_str())
        })
        .map(one_condition)
        .collect();
    let mut said = format!("{} {}", object.name_any(), shown.join(" "));
    if let Some(step) = status.step {
        let _ = write!(said, " step {step:?}");
    }
    for promise in &status.promises {
        let _ = write!(said, " {:?}", promise.state);
    }
    said
}

#[allow(
    clippy::too_many_lines,
    reason = "the lines of one page, in their order"
)]
fn in_full(object: &ServiceSubscription) -> String {
    let status = object.status.clone().unwrap_or_default();
    let mut said = format!("  {}", object.name_any());
    for condition in &status.conditions {
        let _ = write!(
            said,
            "\n    {}: {}",
            one_condition(condition),
            condition.message
        );
    }
    for item in &status.items {
        let _ = write!(said, "\n    {} {:?}", item.key, item.state);
        if let Some(attempts) = item.attempts {
            let _ = write!(said, " sent {attempts} times");
        }
        if let Some(at) = item.last_verified {
            let _ = write!(said, " verified {at}");
        }
        if let Some(proof) = item.proof {
            let _ = write!(said, " {proof:?}");
        }
        if item.was_effective {
            said.push_str(", was in effect");
        }
        if let Some(previous) = item.previous.as_deref().filter(|it| is_worth_a_word(it)) {
            let _ = write!(said, ", before: {}", values(previous));
        }
        if let Some(released) = item.released.filter(|it| *it != ReleasedAs::Kept) {
            let _ = write!(said, ", {released:?}");
        }
        if let Some(problem) = &item.problem {
            let _ = write!(
                said,
                "\n      {:?} since {}: {}",
                problem.outcome, problem.since, problem.message
            );
        }
    }
    if let Some(server) = &status.server {
        said.push_str(&one_instance("instance", server));
    }
    if let Some(left) = &status.leaving {
        said.push_str(&one_instance("leaving", &left.server));
        let _ = write!(said, ", since {}", left.since);
        if let Some(ended) = left.ended {
            let _ = write!(said, ", ended {ended}");
        }
    }
    for promise in &status.promises {
        said.push_str(&one_promise(promise));
    }
    said
}

fn one_instance(what: &str, server: &ServerInstance) -> String {
    let mut said = format!("\n    {what} of {}", server.plan_id);
    if let Some(operation) = &server.operation {
        let doubt = match operation.state {
            ServerOperationState::UnderWay => "",
            ServerOperationState::InDoubt | ServerOperationState::Failed => " in doubt",
        };
        let _ = write!(said, ", {:?}{doubt}", operation.r#type);
    }
    if let Some(orphaned) = server.orphaned {
        let _ = write!(said, ", orphaned {orphaned}");
    }
    said
}

fn one_promise(promise: &Promise) -> String {
    let mut said = String::new();
    let _ = write!(
        said,
        "\n    promise {} {:?}",
        promise.effective, promise.state
    );
    if let Some(completed) = promise.completed {
        let _ = write!(said, " completed {completed}");
    }
    if let Some(proof) = promise.proof {
        let _ = write!(said, " {proof:?}");
    }
    if let Some(closed) = promise.closed {
        let _ = write!(said, " closed {closed}");
    }
    for delay in &promise.delays {
        let _ = write!(said, "\n      {}", one_delay(delay));
    }
    said
}

fn kept(key: &ItemKey, previous: &Previous) -> String {
    format!("{key}={}", values(previous))
}

/// True if a value is kept, or if there was one that is not.
fn is_worth_a_word(previous: &Previous) -> bool {
    let unsaved = [None, Some(Unsaved::TooLarge), Some(Unsaved::Unreadable)];
    unsaved.contains(&previous.unsaved)
}

/// Returns the text that is kept of a value from before the service.
fn values(previous: &Previous) -> String {
    match previous.unsaved {
        Some(unsaved) => format!("nothing ({unsaved:?})"),
        None => format!("{:?}", previous.values),
    }
}

fn one_delay(delay: &Delay) -> String {
    let until = delay
        .until
        .map_or_else(|| "now".to_owned(), |until| until.to_string());
    format!(
        "{} to {until} {:?} {}",
        delay.from, delay.cause, delay.reason
    )
}

/// Returns a write of a twin, with all that it is about.
fn write_twin(action: &Action) -> String {
    let change = TwinChange::of(action).expect("a change of the twin");
    let writes = change.writes.iter();
    let writes: Vec<String> = writes
        .map(|(write, _)| format!("{}={:?}", named(&write.place), write.value))
        .collect();
    let asked = change.installation.map(|it| match it {
        InstallationOrder::Install(it) => format!("install {} {}", it.name, it.version),
        InstallationOrder::Cancel => "cancel".to_owned(),
    });
    let next = change.next.map(|it| it.effective);
    let messages: Vec<&str> = change.messages.iter().map(|it| &*it.id).collect();
    let messages = if messages.is_empty() {
        String::new()
    } else {
        format!(" messages {messages:?}")
    };
    format!(
        "write twin: {} asked {asked:?} released {:?} next {next:?} call at {:?}{messages}",
        writes.join(", "),
        change.released,
        change.call_at
    )
}

fn read_device(through: &str, request: &DeviceReadRequest) -> String {
    let (of_printer, of_system): (Vec<&Place>, Vec<&Place>) =
        request.places.iter().partition(|place| {
            let object = place.as_ipp().map(|(object, _)| object);
            object == Some(IppObject::Printer)
        });
    let names: Vec<String> = of_printer.into_iter().chain(of_system).map(named).collect();
    if names.is_empty() {
        format!("read device{through}: identity")
    } else {
        format!("read device{through}: {}", names.join(" "))
    }
}

/// Returns the name of a place; `system/` comes before a place of the host.
fn named(place: &Place) -> String {
    match place.as_ipp() {
        Some((IppObject::System, attribute)) => format!("system/{attribute}"),
        _ => place.to_string(),
    }
}
