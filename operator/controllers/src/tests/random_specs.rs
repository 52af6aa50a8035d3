//! Odd specs, as a person may write them: each object is refused when it is written, or accepted and
//! carried out, or a condition says what is wrong with it.
//!
//! One field of one object of the examples is odd, at random. The API server's own answer comes from
//! the schema and the CEL rules; what it takes runs through all controllers, with devices and a broker
//! that do everything. Then no object may say that the operator met a defect or cannot read it, what
//! does not go on must be said with the field or the value, and what a person wrote wrong must never be
//! the delay of a device or a server. The same with a device that calls, in a world of its own.

mod calling;

use entente_crds::{
    admission_cases::CaseKind,
    spec_rules,
    v1alpha1::{
        Acceptance, Cause, ContractAmendment, ContractNotice, DeviceEnrollment, DeviceModel,
        DriftPolicy, ExcludedDevices, Exclusion, IppOperation, MessageText, NoticeType, Site,
        SmartService, SupplyOrder,
    },
};
use entente_domain::{protocol::Place, remote::Scalar};
use kube::Resource;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;

/// Time after the start in which everything that can be delivered is.
const TO_DELIVER: Duration = Duration::from_mins(30);

/// Ends of fields that name something of a remote side, which no one but that side can judge: where it
/// is, what it is called there, and which value it takes.
const OF_REMOTE_SIDES: &[&str] = &[
    "address",
    "port",
    "queue",
    "url",
    "identity",
    "productNames",
    "attribute",
    "operation",
    "syntax",
    "offering",
    "plan",
    "value",
    "values",
    "default",
    "type",
    "takesEffect",
    "writeOnly",
    "pointer",
    "path",
    "active",
    "inactive",
    "equals",
    "choices",
    "networks",
    "namespaces",
    "timeouts",
    "retry",
    "limits",
];

/// A world in which an object may be odd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum World {
    /// Devices that are dialled, and a broker.
    Dialled,
    /// A device that calls.
    Calling,
}

fn plain<K: Serialize>(kind: CaseKind, object: &K) -> (CaseKind, Value) {
    (kind, serde_json::to_value(object).expect("it is JSON"))
}

/// An object of the examples as JSON, with its kind.
fn objects() -> Vec<(CaseKind, Value)> {
    vec![
        plain(CaseKind::Connection, &example::hq_ipp()),
        plain(CaseKind::Connection, &example::northwind_services()),
        plain(CaseKind::DeviceModel, &example::mfp_500()),
        plain(CaseKind::SmartService, &example::data_backup()),
        plain(CaseKind::SmartService, &example::parts_life()),
        plain(CaseKind::SmartService, &checked_backup()),
        plain(CaseKind::Device, &example::devices()[0]),
        plain(CaseKind::Device, &reporting()),
        plain(CaseKind::Contract, &example::banco_sul_2027()),
        plain(CaseKind::Contract, &example::banco_sul_2027()),
        plain(CaseKind::Contract, &excluding()),
        plain(CaseKind::ContractAmendment, &amending()),
        plain(CaseKind::ContractNotice, &ending()),
    ]
}

/// The backup of the examples with a check, which passes on every device of [`working`].
fn checked_backup() -> SmartService {
    let mut service = example::data_backup();
    service.spec.acceptance = Some(Acceptance {
        setting: "alert.enabled".to_owned(),
        equals: "true".to_owned(),
        within: "10m".into(),
    });
    service
}

/// Returns the world of the examples, whose devices report that the backup works.
fn working() -> InProcess {
    let process = prepared();
    let place = Place::ipp(IppOperation::SetPrinterAttributes, "nw-alert-enabled");
    for number in 0..example::devices().len() {
        let mut device = fake_device(&format!("urn:uuid:{number}"));
        let works = vec![Scalar::Boolean(true)];
        device.values.insert(place.clone(), works);
        process.world.put_device(&url(number), device);
    }
    process
}

/// A device of the examples on which what somebody changes is left.
fn reporting() -> Device {
    let mut device = example::devices()[0].clone();
    device.spec.drift_policy = Some(DriftPolicy::Report);
    device
}

/// The contract of the examples with an exclusion.
fn excluding() -> Contract {
    let mut contract = example::banco_sul_2027();
    contract.spec.exclusions = vec![Exclusion {
        name: "osasco-closed".to_owned(),
        from: "2027-04-01".to_owned(),
        until: "2027-04-05".to_owned(),
        devices: Some(ExcludedDevices {
            selector: contract.spec.services[0].devices.selector.clone(),
            names: contract.spec.services[0].devices.names.clone(),
        }),
        reason: "closed by the customer".to_owned(),
    }];
    contract
}

/// The amendment of the examples, from an instant on at which the contract is delivered.
fn amending() -> ContractAmendment {
    let mut amendment = example::banco_sul_2027_july();
    amendment.spec.effective_date = None;
    amendment.spec.effective_time = Some("2027-04-01T03:10:00Z".to_owned());
    amendment
}

/// A notice that ends the contract of the examples, at an instant at which it is delivered.
fn ending() -> ContractNotice {
    let mut notice = example::banco_sul_installed();
    CONTRACT.clone_into(&mut notice.spec.contract_ref.name);
    notice.spec.r#type = NoticeType::Ended;
    notice.spec.at = "2027-04-01T03:10:00Z".to_owned();
    notice
}

/// Returns the pointers (RFC 6901) of every value below one, itself included.
fn pointers(at: &str, value: &Value) -> Vec<String> {
    let mut found = vec![at.to_owned()];
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                found.extend(pointers(&format!("{at}/{name}"), inner));
            }
        }
        Value::Array(entries) => {
            for (index, inner) in entries.iter().enumerate() {
                found.extend(pointers(&format!("{at}/{index}"), inner));
            }
        }
        _ => {}
    }
    found
}

/// Texts that people, templates and other systems write where something else was meant.
#[rustfmt::skip]
fn odd_texts() -> Vec<String> {
    let long = |count: usize| "a".repeat(count);
    [
        "", " ", "-", ".", "..", ":", "/", "*", "0", "-1", "1", "1.5", "12.50", "1e9", "99999",
        "007", "true", "null", "YEN", "BTC", "JPY", "BRL", "Asia/Tokio", "Europe/Berlin",
        "UTC", "+03:00", "0s", "1s", "1d", "8760h", "PT1H", "-5m", "2027-02-30", "2027-04-01",
        "9999-12-31", "0001-01-01", "256.1.1.1", "127.0.0.256", "0x7f000001", "10.20.3.4",
        "::1", "fe80::1", "{adress}", "{address}", "${x}", "../../etc/passwd", "a b", "ä",
        "日本", "a\u{202e}b", "a\nb", "\u{0}", "'; drop", "http://x", "ipp://{address}:99999/",
        "monday", "MON", "100%", "50", "2%",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([long(64), long(254), long(5000)])
    .collect()
}

/// Returns the value in place of another one; `None` takes the field out.
fn odd_value(before: &Value, choice: usize) -> Option<Value> {
    let pick = |values: Vec<Value>| {
        let count = values.len();
        values.into_iter().nth(choice % count)
    };
    if choice.is_multiple_of(13) {
        return None;
    }
    match before {
        Value::String(_) => pick(odd_texts().into_iter().map(Value::String).collect()),
        Value::Number(_) => pick(
            [0, -1, 1, 2, 65_535, 65_536, i64::from(i32::MAX), i64::MAX]
                .map(Value::from)
                .into(),
        ),
        Value::Bool(was) => Some(json!(!was)),
        Value::Array(entries) => {
            let twice: Vec<Value> = entries.iter().chain(entries).cloned().collect();
            pick(vec![json!([]), json!(twice), json!([entries.first()])])
        }
        Value::Object(_) => Some(json!({})),
        Value::Null => None,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns every text below a value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(entries) => entries.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// One odd field of one object.
#[derive(Clone, Debug)]
struct Odd {
    world: World,
    kind: CaseKind,
    object: Value,
    pointer: String,
    /// The value, as text; empty if the field was taken out.
    found: String,
    /// Words by which a condition may name it: the field, what is and what was there, and the names
    /// of the entries around it.
    names: Vec<String>,
}

impl Odd {
    fn new(world: World, object: usize, field: usize, choice: usize) -> Self {
        let mut all = match world {
            World::Dialled => objects(),
            World::Calling => calling::objects(),
        };
        let (kind, mut object) = all.swap_remove(object % all.len());
        let mut pointers = pointers("/spec", &object["spec"]);
        let pointer = pointers.swap_remove(field % pointers.len());
        let before = object.pointer(&pointer).cloned().unwrap_or_default();
        let odd = odd_value(&before, choice);
        let found = odd.as_ref().map(text_of).unwrap_or_default();
        let field = pointer
            .rsplit('/')
            .find(|step| step.parse::<usize>().is_err());
        let mut names: Vec<String> = field.map(str::to_owned).into_iter().collect();
        names.push(found.trim().chars().take(40).collect());
        names.extend([format!(" {found} "), format!("\"{found}\"")]);
        names.extend(texts(&before));
        let around = pointer.match_indices('/').map(|(end, _)| &pointer[..end]);
        let around = around.filter_map(|above| object.pointer(above)?["name"].as_str());
        names.extend(around.map(str::to_owned));
        names.retain(|name| name.len() > 1);
        match odd {
            Some(odd) => *object.pointer_mut(&pointer).expect("its own pointer") = odd,
            None => take_out(&mut object, &pointer),
        }
        Self {
            world,
            kind,
            object,
            pointer,
            found,
            names,
        }
    }

    fn steps(&self) -> impl Iterator<Item = &str> {
        let steps = self.pointer.split('/');
        steps.filter(|step| !step.is_empty() && step.parse::<usize>().is_err())
    }

    /// True if only a remote side can judge the field.
    fn is_of_a_remote_side(&self) -> bool {
        let of_callers = calling::OF_CALLERS.iter();
        let of_callers = of_callers.filter(|_| self.world == World::Calling);
        let mut of_remote_sides = OF_REMOTE_SIDES.iter().chain(of_callers);
        let steps: Vec<&str> = self.steps().collect();
        of_remote_sides.any(|field| steps.contains(field))
    }

    fn is_named_in(&self, text: &str) -> bool {
        let mut words = text.split(|letter: char| !letter.is_alphanumeric());
        self.names.iter().any(|name| text.contains(name))
            || words.any(|word| !word.is_empty() && word == self.found)
    }

    fn apply(&self, process: &InProcess) -> Result<(), String> {
        match self.kind {
            CaseKind::Connection => self.apply_as::<Connection>(process),
            CaseKind::DeviceModel => self.apply_as::<DeviceModel>(process),
            CaseKind::SmartService => self.apply_as::<SmartService>(process),
            CaseKind::MessageText => self.apply_as::<MessageText>(process),
            CaseKind::Site => self.apply_as::<Site>(process),
            CaseKind::Device => self.apply_as::<Device>(process),
            CaseKind::Contract => self.apply_as::<Contract>(process),
            CaseKind::ContractAmendment => self.apply_as::<ContractAmendment>(process),
            CaseKind::ContractNotice => self.apply_as::<ContractNotice>(process),
            CaseKind::DeviceEnrollment => self.apply_as::<DeviceEnrollment>(process),
            CaseKind::SupplyOrder => self.apply_as::<SupplyOrder>(process),
            CaseKind::ServiceSubscription | CaseKind::DeviceTwin | CaseKind::Compensation => {
                unreachable!("nobody writes these")
            }
        }
    }

    fn apply_as<K>(&self, process: &InProcess) -> Result<(), String>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Serialize,
    {
        let stored = spec_rules::stored(self.kind, &self.object);
        let decoded: K = serde_json::from_value(stored)
            .map_err(|error| format!("it is accepted and cannot be read: {error}"))?;
        process.cluster.apply(&decoded);
        Ok(())
    }
}

fn take_out(object: &mut Value, pointer: &str) {
    let (above, name) = pointer.rsplit_once('/').expect("it is below the spec");
    match object.pointer_mut(above) {
        Some(Value::Object(fields)) => {
            let name = name.replace("~1", "/").replace("~0", "~");
            fields.remove(&name);
        }
        Some(Value::Array(entries)) => {
            let index: usize = name.parse().expect("an index");
            entries.remove(index);
        }
        _ => {}
    }
}

/// Returns `kind/name condition: Status(Reason) message` of every condition of every object.
fn conditions(process: &InProcess) -> Vec<String> {
    let mut told = Vec::new();
    for (name, object) in process.cluster.objects() {
        let conditions = object["status"]["conditions"].as_array();
        for condition in conditions.into_iter().flatten() {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            told.push(format!(
                "{name} {}: {}({}) {}",
                text("type"),
                text("status"),
                text("reason"),
                text("message")
            ));
        }
    }
    told
}

async fn let_pass(process: &InProcess, world: World, time: Duration) {
    match world {
        World::Dialled => process.let_pass(time).await,
        World::Calling => calling::let_pass(process, time).await,
    }
}

/// True if what the object is for goes on: the contract, or the enrolment by itself.
fn goes_on(process: &InProcess, odd: &Odd) -> bool {
    if odd.kind == CaseKind::DeviceEnrollment {
        let name = example::enrollment().name_any();
        let found: Option<DeviceEnrollment> = process.cluster.get(NAMESPACE, &name);
        let status = found.and_then(|found| found.status).unwrap_or_default();
        return says(&status.conditions, "Ready").starts_with("True");
    }
    contract_says(process, "Ready").starts_with("True")
}

async fn carried_out(odd: &Odd) -> Result<(), String> {
    let mut process = match odd.world {
        World::Dialled => working(),
        World::Calling => calling::working(),
    };
    odd.apply(&process)?;
    process.start_all();
    let_pass(&process, odd.world, Duration::from_mins(4)).await;
    jump_to_start(&process);
    let_pass(&process, odd.world, TO_DELIVER).await;
    let told = conditions(&process);
    let all = told.join("\n");
    let defect = |it: &&String| it.contains("(InternalError)") || it.contains("(Undecodable)");
    if let Some(defect) = told.iter().find(defect) {
        return Err(format!("a defect of ours: {defect}"));
    }
    if told.is_empty() {
        return Err("nothing is said".to_owned());
    }
    let goes_on = goes_on(&process, odd);
    let is_said = || {
        let failing = told.iter().filter(|it| it.contains(": False("));
        failing.clone().any(|it| odd.is_named_in(it))
    };
    if !goes_on && !odd.is_of_a_remote_side() && !is_said() {
        return Err(format!("no condition names the field or the value:\n{all}"));
    }
    for (name, status) in statuses(&process) {
        let delays = status.promises.iter().flat_map(|promise| &promise.delays);
        let remote = delays.filter(|it| matches!(it.cause, Cause::Device | Cause::Server));
        let mut remote = remote.filter(|it| odd.world == World::Dialled || !calling::is_a_call(it));
        if let Some(delay) = remote.next().filter(|_| !odd.is_of_a_remote_side()) {
            return Err(format!(
                "{name}: it is the delay of a remote side: {delay:?}\n{all}"
            ));
        }
    }
    process.kill();
    Ok(())
}

fn run(odd: &Odd) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(carried_out(odd))
}

/// Writes one odd field, and judges the answer and what comes of it.
fn judge(odd: &Odd) -> Result<(), TestCaseError> {
    let refusals = spec_rules::refusals(odd.kind, &odd.object);
    for refusal in &refusals {
        let (path, words) = refusal.split_once(": ").unwrap_or_default();
        prop_assert!(
            path.contains("spec") && !words.is_empty(),
            "{refusal:?} of {odd:#?}"
        );
    }
    if refusals.is_empty()
        && let Err(fault) = run(odd)
    {
        let (pointer, found, kind) = (&odd.pointer, &odd.found, odd.kind);
        prop_assert!(false, "{pointer} = {found:?} of {kind:?}: {fault}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(256, |it| it.parse().expect("a number")),
        failure_persistence: None,
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    })]

    // shows K2 K7
    #[test]
    fn whatever_a_person_writes_is_refused_or_carried_out_or_said(
        object in 0..64_usize, field in 0..4096_usize, choice in 0..4096_usize,
    ) {
        judge(&Odd::new(World::Dialled, object, field, choice))?;
    }

    // shows K2 K7
    #[test]
    fn whatever_a_person_writes_of_a_device_that_calls_is_refused_or_carried_out_or_said(
        object in 0..64_usize, field in 0..4096_usize, choice in 0..4096_usize,
    ) {
        judge(&Odd::new(World::Calling, object, field, choice))?;
    }
}
