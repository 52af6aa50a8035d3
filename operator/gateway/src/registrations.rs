//! POST /v1/registrations and GET /v1/registrations/{registrationId}.
//!
//! Judges on objects of the cache, writes on the version that was judged, and judges again when somebody
//! else wrote in between: two machines that register with one serial number at once never both get a
//! token that counts. Decides nothing that the domain could decide.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request as HttpRequest, State},
    http::{StatusCode, header, request::Parts},
    response::Response,
};
use entente_controllers::{
    cache::Key,
    status::{Created, create},
};
use entente_crds::{
    LABEL_MANAGED_BY, MANAGED_BY,
    v1alpha1::{AgentEndpoint, Device, DeviceEnrollment, DeviceTwin, DeviceTwinStatus},
};
use entente_domain::{
    bounded::cut,
    gateway::{
        admission::admits,
        body::JSON,
        poll::{AFTER_REGISTRATION, Rhythm, iso},
        problem::Problem,
        registration::{ASK_SOON, Issue, Scene, Verdict, Waiting, judge, registration_id, waiting},
        request::Request,
    },
};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::{
    Gateway,
    answers::{Answer, json as answer_json, refusal, set, set_no_store},
    availability::RETRY_AFTER,
    bodies::{self, text},
    calls::BEARER,
    credentials::NewToken,
    objects::{BY_ENROLLMENT, BY_SERIAL_NUMBER, BY_WAITING, path},
    router::PrinterId,
    statuses::{Written, unwritten},
};

/// Number of times that a registration is judged.
const TRIES: usize = 10;
/// Time for which the twin of a Device is awaited.
const PATIENCE: Duration = Duration::from_secs(4);

/// A registration that is being judged.
struct Attempt<'a> {
    enrollment: &'a DeviceEnrollment,
    request: &'a Request,
    agent: &'a AgentEndpoint,
    token: &'a NewToken,
    end: Instant,
}

/// The sender of a registration, as far as its request was read, for the log.
#[derive(Default)]
struct Sender {
    /// The enrolment whose token was shown, as "namespace/name".
    enrollment: Option<String>,
    /// The serial number, bounded.
    serial_number: Option<String>,
}

/// Registers a device.
pub(crate) async fn post(State(gateway): State<Arc<Gateway>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let mut sender = Sender::default();
    let answer = registered(&gateway, &parts, body, &mut sender).await;
    let outcome = match &answer {
        Ok(response) if response.status() == StatusCode::CREATED => "Registered",
        Ok(_) => "Pending",
        Err(problem) => problem.reason(),
    };
    gateway.parts.metrics.gateway_registration(outcome);
    log(&parts, &sender, outcome, answer.as_ref().err());
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}

/// Writes one line, by which a person finds the registration of a device. The address tells senders apart
/// of which nothing else is known, such as those with a wrong token.
fn log(parts: &Parts, sender: &Sender, outcome: &str, problem: Option<&Problem>) {
    let enrollment = sender.enrollment.as_deref();
    let serial_number = sender.serial_number.as_deref();
    let attempt = text(&parts.headers, "idempotency-key").map(shown);
    let Some(problem) = problem else {
        let message = "a registration was answered";
        tracing::info!(outcome, enrollment, serial_number, attempt, "{message}");
        return;
    };
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = peer.map(|ConnectInfo(peer)| peer.ip().to_string());
    let finding = problem.finding();
    tracing::info!(
        outcome,
        enrollment,
        serial_number,
        address,
        attempt,
        finding,
        "a registration was refused"
    );
}

/// Returns a text of a device for the log, bounded.
fn shown(text: &str) -> String {
    cut(text.to_owned(), 64)
}

async fn registered(gateway: &Gateway, parts: &Parts, body: Body, sender: &mut Sender) -> Answer {
    let enrollment = identified(gateway, parts).await?;
    sender.enrollment = Some(Key::of(&*enrollment).to_string());
    let is_admitted = admits(&enrollment, gateway.now());
    let body = bodies::read(&parts.headers, body, JSON).await;
    if let Ok(body) = &body {
        sender.serial_number = body["serialNumber"].as_str().map(shown);
    }
    is_admitted?;
    let body = body?;
    let models = gateway.objects.models.all();
    let models = models.iter().map(Arc::as_ref);
    let request = Request::read(&body, enrollment.spec.consent, models)?;
    let connection = gateway.connection();
    let agent = connection.as_ref().and_then(|it| it.spec.agent.as_ref());
    let agent = agent.ok_or(Problem::Unavailable(RETRY_AFTER))?;
    let token = NewToken::make()?;
    let attempt = Attempt {
        enrollment: &enrollment,
        request: &request,
        agent,
        token: &token,
        end: Instant::now() + PATIENCE,
    };
    for _ in 0..TRIES {
        if let Some(answer) = gateway.attempt(&attempt).await? {
            return Ok(answer);
        }
    }
    Err(Problem::Unavailable(RETRY_AFTER))
}

/// Returns the enrolment whose token is shown, whether it takes registrations or not.
async fn identified(gateway: &Gateway, parts: &Parts) -> Result<Arc<DeviceEnrollment>, Problem> {
    gateway.admit(parts)?;
    gateway.require_available()?;
    gateway.enrollment(parts).await
}

impl Gateway {
    /// Judges a registration once and does what follows; none if it has to be judged again.
    async fn attempt(&self, attempt: &Attempt<'_>) -> Result<Option<Response>, Problem> {
        let namespace = attempt.enrollment.namespace().unwrap_or_default();
        match self.judge(attempt) {
            Verdict::Refuse(problem) => Err(problem),
            Verdict::Make(device) => {
                self.make(&device).await?;
                Ok(None)
            }
            Verdict::Await { device } => {
                let key = Key::new(&*namespace, &*device);
                let is_there = self.await_twin(&key, attempt.end).await;
                Ok((!is_there).then(|| accepted(attempt, ASK_SOON)))
            }
            Verdict::Pend {
                name,
                twin,
                status,
                interval,
            } => {
                let key = Key::new(&*namespace, &*name);
                let is_kept = self.keep(&key, twin, &status).await?;
                Ok(is_kept.then(|| accepted(attempt, interval)))
            }
            Verdict::Register {
                device,
                twin,
                printer_id,
                status,
            } => {
                let Written::Done(_) = self.write_twin(&twin, &status).await? else {
                    return Ok(None);
                };
                tracing::info!(namespace, device, "a device has registered");
                let of = (&*namespace, &*device, &*printer_id);
                Ok(Some(self.admitted_as(attempt, of)))
            }
        }
    }

    /// Judges on the objects as they are now.
    fn judge(&self, attempt: &Attempt<'_>) -> Verdict {
        let issue = Issue {
            sha256: &attempt.token.sha256,
            region: &attempt.agent.region,
            now: self.now(),
        };
        let namespace = attempt.enrollment.namespace().unwrap_or_default();
        let serial_number = path(&namespace, &attempt.request.serial_number);
        let devices = &self.objects.devices;
        let devices = devices.by_index(BY_SERIAL_NUMBER, &serial_number);
        self.with_scene(attempt.enrollment, devices, |scene| {
            judge(scene, attempt.request, &issue)
        })
    }

    fn with_scene<T>(
        &self,
        enrollment: &DeviceEnrollment,
        devices: Vec<Arc<Device>>,
        look: impl FnOnce(&Scene<'_>) -> T,
    ) -> T {
        let namespace = enrollment.namespace().unwrap_or_default();
        let of = path(&namespace, &enrollment.name_any());
        let objects = &self.objects;
        look(&Scene {
            enrollment,
            devices,
            models: objects.models.all(),
            registered: objects.twins.by_index(BY_ENROLLMENT, &of).len(),
            pending: objects.twins.by_index(BY_WAITING, &of).len(),
            device_named: &|name| objects.devices.get(&Key::new(&*namespace, name)),
            twin_named: &|name| objects.twins.get(&Key::new(&*namespace, name)),
        })
    }

    /// Makes a Device, or finds that there is one of this name.
    async fn make(&self, device: &Device) -> Result<(), Problem> {
        let key = Key::of(device);
        let api: Api<Device> = Api::namespaced(self.parts.client.clone(), &key.namespace);
        let device = match create(&api, device).await {
            Ok(Created::New(device)) => {
                tracing::info!(device = %key, "a Device was made for a registration");
                device
            }
            Ok(Created::Existing(device)) => device,
            Err(error) => return Err(unwritten(&error)),
        };
        self.objects.devices.put_written(device);
        Ok(())
    }

    /// Waits until a Device has a twin that was made for it. False if it has none in time.
    async fn await_twin(&self, key: &Key, end: Instant) -> bool {
        let waiting = self.wakes.wait(key.clone());
        let uid = self.objects.devices.get(key).and_then(|it| it.uid());
        let made = async {
            loop {
                let mut woken = std::pin::pin!(waiting.woken.notified());
                woken.as_mut().enable();
                let twin = self.objects.twins.get(key);
                let of = twin.and_then(|twin| twin.spec.device_ref.clone());
                if of.is_some_and(|of| Some(of.uid) == uid) {
                    return;
                }
                woken.await;
            }
        };
        tokio::select! {
            made = timeout_at(end, made) => made.is_ok(),
            () = self.shutdown.requested() => false,
        }
    }

    /// Keeps a registration that waits, in a twin of its own. False if it has to be judged again.
    async fn keep(
        &self,
        key: &Key,
        twin: Option<Arc<DeviceTwin>>,
        status: &DeviceTwinStatus,
    ) -> Result<bool, Problem> {
        let Some(twin) = twin else {
            let mut twin =
                DeviceTwin::new(&key.name, entente_crds::v1alpha1::DeviceTwinSpec::default());
            twin.metadata.namespace = Some(key.namespace.clone());
            twin.labels_mut()
                .insert(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned());
            let made = create(&self.twins(&key.namespace), &twin).await;
            let (Created::New(twin) | Created::Existing(twin)) =
                made.map_err(|error| unwritten(&error))?;
            // Its status is judged on what there is.
            self.objects.twins.put_written(twin);
            return Ok(false);
        };
        if twin.status.as_ref() == Some(status) {
            return Ok(true);
        }
        let written = self.write_twin(&twin, status).await?;
        Ok(matches!(written, Written::Done(_)))
    }

    fn admitted_as(
        &self,
        attempt: &Attempt<'_>,
        (namespace, device, printer_id): (&str, &str, &str),
    ) -> Response {
        let location = format!("/v1/devices/{printer_id}");
        let url = attempt.agent.url.trim_end_matches('/');
        let mut links = json!({
            "services": format!("{url}{location}/services"),
            "twin": format!("{url}{location}/twin"),
            "events": format!("{url}{location}/events"),
        });
        if attempt.request.capabilities.ddi {
            links["ddi"] = Value::from(format!("{url}/{namespace}/controller/v1/{device}"));
        }
        let rhythm = Rhythm::of(attempt.agent);
        let body = json!({
            "printerId": printer_id,
            "device": device,
            "namespace": namespace,
            "credential": attempt.token.body(self.now()),
            "poll": {
                "period": iso(rhythm.period),
                "next": iso(AFTER_REGISTRATION.min(rhythm.period)),
            },
            "links": links,
        });
        let mut answer = answer_json(StatusCode::CREATED, &body);
        set(&mut answer, header::LOCATION, &location);
        set_no_store(&mut answer);
        answer
    }
}

fn accepted(attempt: &Attempt<'_>, interval: u32) -> Response {
    let id = registration_id(&attempt.request.serial_number);
    let body = json!({"registrationId": id, "interval": interval});
    let mut answer = answer_json(StatusCode::ACCEPTED, &body);
    set(
        &mut answer,
        header::LOCATION,
        &format!("/v1/registrations/{id}"),
    );
    answer
}

/// Answers the state of a registration that waits.
pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    PrinterId(id): PrinterId,
    request: HttpRequest,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = state(&gateway, &parts, &id).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}

async fn state(gateway: &Gateway, parts: &Parts, id: &str) -> Answer {
    let enrollment = identified(gateway, parts).await?;
    admits(&enrollment, gateway.now())?;
    let namespace = enrollment.namespace().unwrap_or_default();
    let devices = gateway.objects.devices.in_namespace(&namespace);
    // Only the Devices that are given are looked at.
    let look = |scene: &Scene<'_>| waiting(id, scene, devices, gateway.now());
    let found = gateway.with_scene(&enrollment, Vec::new(), look);
    let (state, interval) = match found.ok_or(Problem::RegistrationNotFound)? {
        Waiting::Ready => ("Ready", 1),
        Waiting::Pending { interval } => ("Pending", interval),
    };
    let body = json!({"registrationId": id, "state": state, "interval": interval});
    Ok(answer_json(StatusCode::OK, &body))
}
