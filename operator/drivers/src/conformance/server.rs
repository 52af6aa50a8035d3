//! Promises of every driver of service servers, as checks.

use std::time::Duration;

use async_trait::async_trait;
use entente_domain::remote::{
    Failure, FailureKind, InstanceContext, InstanceKey, InstanceReading, InstanceRequest,
    OperationState, ServerAnswer,
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Report, Verdict, ensure, fit_to_show, ill, well};
use crate::service::{ServerTarget, ServiceDriver};

type Checked = Result<Verdict, String>;

/// Time after its timeout within which a request must be given up, on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);

/// A service server under test, and its means.
#[async_trait]
pub trait ServerSubject: Send + Sync {
    /// Returns its name for the report.
    fn name(&self) -> &str;

    /// Returns the driver under judgement.
    fn driver(&self) -> &dyn ServiceDriver;

    /// Returns its address, for the driver.
    fn target(&self) -> ServerTarget;

    /// Returns the ids of an offering and of one of its plans.
    fn offering(&self) -> (String, String);

    /// True if its instances can be fetched.
    fn retrievable(&self) -> bool {
        true
    }

    /// Returns two different sets of parameters that it accepts. The second has every key of the
    /// first.
    fn parameters(&self) -> (Map<String, Value>, Map<String, Value>);

    /// Parameters that it refuses.
    fn refused(&self) -> Option<Map<String, Value>> {
        None
    }

    /// True if it refuses another set of parameters under an id that exists (OSB: 409).
    fn tells_conflicts(&self) -> bool {
        true
    }

    /// True if it takes updates.
    fn updates(&self) -> bool {
        true
    }

    /// True if the driver opens sockets, so that networks matter.
    fn dials(&self) -> bool {
        true
    }

    /// Returns the longest time that an operation may be under way.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    /// Makes it hang: it keeps its socket and answers nothing. Returns false if that cannot be
    /// done.
    async fn freeze(&self) -> bool {
        false
    }

    /// Ends the hanging.
    async fn thaw(&self) {}

    /// Stops it for good: nothing listens any more. Returns false if that cannot be done.
    async fn stop(&self) -> bool {
        false
    }
}

/// Runs every check on a service server. It is stopped at the end, if possible.
pub async fn judge_server(subject: &dyn ServerSubject) -> Report {
    let mut report = Report::new(subject.name());
    report.record(
        "the catalog has the offering and the plan",
        catalog(subject).await,
    );
    report.record(
        "an instance that was never made is absent",
        never_made(subject).await,
    );
    report.record(
        "an instance that was made is read back",
        made(subject).await,
    );
    report.record(
        "the same provision again is the same instance",
        same_again(subject).await,
    );
    report.record(
        "another provision under the same id is a conflict",
        conflict(subject).await,
    );
    report.record("an update is read back", updated(subject).await);
    report.record(
        "a removed instance is absent, and removed again",
        removed(subject).await,
    );
    report.record("refused parameters have a reason", refused(subject).await);
    report.record(
        "an address outside the networks is not dialled",
        networks(subject).await,
    );
    report.record(
        "a server that hangs leaves a doubt about a write",
        hangs(subject).await,
    );
    report.record(
        "a server that is gone is unreachable, without a doubt",
        gone(subject).await,
    );
    report
}

/// Returns an instance of this run: ids must not meet those of an earlier one.
fn instance(subject: &dyn ServerSubject) -> InstanceKey {
    let (service_id, plan_id) = subject.offering();
    InstanceKey {
        instance_id: uuid::Uuid::new_v4().to_string(),
        service_id,
        plan_id,
    }
}

fn context() -> InstanceContext {
    InstanceContext {
        organization: "C-4711".to_owned(),
        namespace: "banco-sul".to_owned(),
        subscription: "banco-sul-2027.backup.lobby-mfp".to_owned(),
    }
}

async fn provision(
    subject: &dyn ServerSubject,
    instance: &InstanceKey,
    parameters: &Map<String, Value>,
) -> Result<ServerAnswer, Failure> {
    let target = subject.target();
    subject
        .driver()
        .provision(
            &target,
            InstanceRequest::new(instance, &context(), parameters),
        )
        .await
}

async fn deprovision(
    subject: &dyn ServerSubject,
    instance: &InstanceKey,
) -> Result<ServerAnswer, Failure> {
    subject
        .driver()
        .deprovision(&subject.target(), instance, &context())
        .await
}

/// Waits until the operation is no longer under way.
async fn settle(
    subject: &dyn ServerSubject,
    instance: &InstanceKey,
    answer: ServerAnswer,
) -> Result<(), String> {
    let ServerAnswer::UnderWay { operation, .. } = answer else {
        return Ok(());
    };
    let deadline = Instant::now() + subject.patience();
    loop {
        let asked = subject.driver();
        let asked = asked
            .last_operation(&subject.target(), instance, operation.as_deref())
            .await;
        match well("a poll", asked)? {
            OperationState::Succeeded | OperationState::Gone => return Ok(()),
            OperationState::Failed(failure) => {
                return Err(format!("it failed: {}", failure.message));
            }
            OperationState::InProgress { .. } if Instant::now() >= deadline => {
                return Err(format!("still in progress after {:?}", subject.patience()));
            }
            OperationState::InProgress { .. } => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn observe(
    subject: &dyn ServerSubject,
    instance: &InstanceKey,
) -> Result<InstanceReading, String> {
    let retrievable = subject.retrievable();
    let reading = subject
        .driver()
        .observe(&subject.target(), instance, retrievable)
        .await;
    well("a reading", reading)
}

async fn make(
    subject: &dyn ServerSubject,
    parameters: &Map<String, Value>,
) -> Result<InstanceKey, String> {
    let instance = instance(subject);
    let answer = well(
        "a provision",
        provision(subject, &instance, parameters).await,
    )?;
    settle(subject, &instance, answer).await?;
    Ok(instance)
}

async fn remove(subject: &dyn ServerSubject, instance: &InstanceKey) -> Result<(), String> {
    let answer = well("a deprovision", deprovision(subject, instance).await)?;
    settle(subject, instance, answer).await
}

/// Checks that the instance exists with these parameters, if the server returns them.
async fn shows(
    subject: &dyn ServerSubject,
    instance: &InstanceKey,
    wanted: &Map<String, Value>,
) -> Result<(), String> {
    match observe(subject, instance).await? {
        InstanceReading::NotRetrievable if !subject.retrievable() => Ok(()),
        InstanceReading::Present {
            service_id,
            plan_id,
            parameters,
        } => {
            let right = service_id.is_none_or(|id| id == instance.service_id)
                && plan_id.is_none_or(|id| id == instance.plan_id)
                && parameters.as_ref().is_none_or(|found| found == wanted);
            ensure(right, || {
                format!("{wanted:?} was sent and {parameters:?} read back")
            })
        }
        other => Err(format!("it is not there: {other:?}")),
    }
}

async fn catalog(subject: &dyn ServerSubject) -> Checked {
    let catalog = well(
        "the catalog",
        subject.driver().catalog(&subject.target()).await,
    )?;
    let (service_id, plan_id) = subject.offering();
    let found = catalog
        .offerings
        .iter()
        .find(|offering| offering.id == service_id)
        .is_some_and(|offering| offering.plans.iter().any(|plan| plan.id == plan_id));
    ensure(found, || format!("{catalog:?}"))?;
    Ok(Verdict::Passed)
}

async fn never_made(subject: &dyn ServerSubject) -> Checked {
    let expected = if subject.retrievable() {
        InstanceReading::Absent
    } else {
        InstanceReading::NotRetrievable
    };
    let reading = observe(subject, &instance(subject)).await?;
    ensure(reading == expected, || format!("{reading:?}"))?;
    Ok(Verdict::Passed)
}

async fn made(subject: &dyn ServerSubject) -> Checked {
    let (parameters, _) = subject.parameters();
    let instance = make(subject, &parameters).await?;
    shows(subject, &instance, &parameters).await?;
    remove(subject, &instance).await?;
    Ok(Verdict::Passed)
}

async fn same_again(subject: &dyn ServerSubject) -> Checked {
    let (parameters, _) = subject.parameters();
    let instance = make(subject, &parameters).await?;
    let answer = well(
        "the second provision",
        provision(subject, &instance, &parameters).await,
    )?;
    settle(subject, &instance, answer).await?;
    shows(subject, &instance, &parameters).await?;
    remove(subject, &instance).await?;
    Ok(Verdict::Passed)
}

async fn conflict(subject: &dyn ServerSubject) -> Checked {
    if !subject.tells_conflicts() {
        return Ok(Verdict::Skipped("it does not tell conflicts"));
    }
    let (first, second) = subject.parameters();
    let instance = make(subject, &first).await?;
    let failure = ill(
        "the other provision",
        provision(subject, &instance, &second).await,
    )?;
    ensure(
        failure.kind == FailureKind::Conflict && !failure.doubtful,
        || format!("{failure:?}"),
    )?;
    fit_to_show(&failure, &subject.target().url)?;
    shows(subject, &instance, &first).await?;
    remove(subject, &instance).await?;
    Ok(Verdict::Passed)
}

async fn updated(subject: &dyn ServerSubject) -> Checked {
    if !subject.updates() {
        return Ok(Verdict::Skipped("it takes no updates"));
    }
    let (first, second) = subject.parameters();
    let instance = make(subject, &first).await?;
    let target = subject.target();
    let answer = subject
        .driver()
        .update(
            &target,
            InstanceRequest::new(&instance, &context(), &second),
        )
        .await;
    settle(subject, &instance, well("an update", answer)?).await?;
    shows(subject, &instance, &second).await?;
    remove(subject, &instance).await?;
    Ok(Verdict::Passed)
}

async fn removed(subject: &dyn ServerSubject) -> Checked {
    let (parameters, _) = subject.parameters();
    let instance = make(subject, &parameters).await?;
    remove(subject, &instance).await?;
    let reading = observe(subject, &instance).await?;
    ensure(!matches!(reading, InstanceReading::Present { .. }), || {
        format!("{reading:?}")
    })?;
    let second = well(
        "the second deprovision",
        deprovision(subject, &instance).await,
    )?;
    let is_gone = matches!(second, ServerAnswer::Done | ServerAnswer::Absent { .. });
    ensure(is_gone, || format!("{second:?}"))?;
    Ok(Verdict::Passed)
}

async fn refused(subject: &dyn ServerSubject) -> Checked {
    let Some(parameters) = subject.refused() else {
        return Ok(Verdict::Skipped("it refuses no parameters"));
    };
    let instance = instance(subject);
    let failure = ill(
        "the provision",
        provision(subject, &instance, &parameters).await,
    )?;
    ensure(
        failure.kind == FailureKind::RejectedValue && !failure.doubtful,
        || format!("{failure:?}"),
    )?;
    fit_to_show(&failure, &subject.target().url)?;
    let reading = observe(subject, &instance).await?;
    ensure(!matches!(reading, InstanceReading::Present { .. }), || {
        format!("{reading:?}")
    })?;
    Ok(Verdict::Passed)
}

async fn networks(subject: &dyn ServerSubject) -> Checked {
    if !subject.dials() {
        return Ok(Verdict::Skipped("it opens no sockets"));
    }
    let mut target = subject.target();
    let mut profile = (*target.profile).clone();
    let elsewhere = "192.0.2.0/24"
        .parse()
        .map_err(|_| "a network that cannot be read")?;
    profile.networks = vec![elsewhere];
    target.profile = profile.into();
    let failure = ill("the catalog", subject.driver().catalog(&target).await)?;
    ensure(
        failure.kind == FailureKind::AddressNotAllowed && !failure.doubtful,
        || format!("{failure:?}"),
    )?;
    Ok(Verdict::Passed)
}

async fn hangs(subject: &dyn ServerSubject) -> Checked {
    if !subject.freeze().await {
        return Ok(Verdict::Skipped("it cannot be made to hang"));
    }
    let (parameters, _) = subject.parameters();
    let instance = instance(subject);
    let begun = Instant::now();
    let result = provision(subject, &instance, &parameters).await;
    let took = begun.elapsed();
    subject.thaw().await;
    let failure = ill("the provision", result)?;
    ensure(
        failure.kind == FailureKind::TimedOut && failure.doubtful,
        || format!("{failure:?}"),
    )?;
    let bound = subject.target().profile.request_timeout + MARGIN;
    ensure(took <= bound, || format!("it took {took:?} of {bound:?}"))?;
    forget(subject, &instance).await
}

/// Removes an instance in doubt as the domain would, and waits for an operation under way: the
/// server may have made the instance, or be about to.
async fn forget(subject: &dyn ServerSubject, instance: &InstanceKey) -> Checked {
    let deadline = Instant::now() + subject.patience();
    loop {
        let Err(seen) = remove(subject, instance).await else {
            return Ok(Verdict::Passed);
        };
        if Instant::now() >= deadline {
            return Err(seen);
        }
        // Some servers proceed only when they are polled; the answer does not matter here.
        let _ = subject
            .driver()
            .last_operation(&subject.target(), instance, None)
            .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn gone(subject: &dyn ServerSubject) -> Checked {
    if !subject.stop().await {
        return Ok(Verdict::Skipped("it cannot be stopped"));
    }
    let (parameters, _) = subject.parameters();
    let result = provision(subject, &instance(subject), &parameters).await;
    let mut failure = ill("the provision", result)?;
    if failure.kind == FailureKind::ProtocolError {
        // The connection of the previous request was still being closed; that happens once.
        let again = provision(subject, &instance(subject), &parameters).await;
        failure = ill("the second provision", again)?;
    }
    ensure(
        failure.kind == FailureKind::Unreachable && !failure.doubtful,
        || format!("{failure:?}"),
    )?;
    fit_to_show(&failure, &subject.target().url)?;
    Ok(Verdict::Passed)
}
