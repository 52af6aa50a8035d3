//! The verdicts of Helm, Flux, Argo CD and `kubectl wait` on our objects, in every situation that a
//! person meets.
//!
//! The judges are programs of `make tools`: `kstatus`, over the library of that name, and
//! `gitops-engine`, over that of Argo CD. Their input are objects as the API server returns them.
//! Each test is some rows of one table: the object, its conditions, the verdict. A row whose
//! conditions hold must have its verdict at once: the verdict is never waited for.

mod activation;
mod argo_cd;
mod closed_list;
mod ordering;
mod situation;
mod table;
mod unseen;
mod wait_for_ready;

use std::time::Duration;

use entente_e2e::environment::TestEnvironment;

/// The state of an object that the operator has not seen: the default in the schema.
const NEVER_SEEN: &str = "Ready=Unknown/Pending";

/// Longest wait for a row of the table.
const SOON: Duration = entente_e2e::namespace::SOON;

async fn environment() -> &'static TestEnvironment {
    TestEnvironment::shared()
        .await
        .expect("a control plane with an operator")
}

// shows K2
#[tokio::test]
async fn a_valid_contract_whose_term_starts_in_three_weeks_is_current() {
    let situation = situation::scheduled(environment().await).await;
    situation
        .shows(&[
            (
                "contract/ahead",
                "Ready=True/Scheduled InForce=False/NotStarted Delivered=False/NotStarted",
                "Current",
            ),
            (
                "subscription/ahead.backup.mfp",
                "Ready=True/Scheduled Activated=False/NotInForce Delivered=False/NotStarted",
                "Current",
            ),
            ("device/mfp", "Ready=True/NothingWanted", "Current"),
            ("connection/devices", "Ready=True/PerDevice", "Current"),
            (
                "connection/broker",
                "Ready=True/Succeeded Reachable=True/Answered Authenticated=True/Answered",
                "Current",
            ),
            ("model/mfp-500", "Ready=True/Succeeded", "Current"),
            (
                "service/data-backup",
                "Ready=True/Succeeded Accepted=True/Valid",
                "Current",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_refused_amendment_has_failed_and_its_contract_is_current() {
    let situation = situation::amended(environment().await).await;
    situation
        .shows(&[
            (
                "amendment/later",
                "Ready=True/Scheduled Accepted=True/Valid",
                "Current",
            ),
            (
                "amendment/too-early",
                "Ready=False/BeforeTerm Stalled=True/BeforeTerm Accepted=False/BeforeTerm",
                "Failed",
            ),
            (
                "amendment/homeless",
                "Ready=False/ContractNotFound Reconciling=True/ProgressingWithRetry \
                 Accepted=False/ContractNotFound",
                "InProgress",
            ),
            (
                "contract/amended",
                "Ready=True/Scheduled Accepted=True/Valid",
                "Current",
            ),
        ])
        .await;
}

// shows B2 K2
#[tokio::test]
async fn a_contract_that_waits_for_its_notice_is_current_and_one_that_no_notice_has_started_failed()
{
    let situation = situation::noticed(environment().await).await;
    situation
        .shows(&[
            (
                "contract/awaiting",
                "Ready=True/AwaitingNotice Accepted=True/Valid InForce=False/AwaitingNotice \
                 Delivered=False/AwaitingNotice",
                "Current",
            ),
            (
                "contract/overdue",
                "Ready=False/NeverStarted Stalled=True/NeverStarted Accepted=True/Valid \
                 InForce=False/NeverStarted",
                "Failed",
            ),
            (
                "notice/ends",
                "Ready=True/Scheduled Accepted=True/Valid",
                "Current",
            ),
            (
                "notice/not-expected",
                "Ready=False/NotExpected Stalled=True/NotExpected Accepted=False/NotExpected",
                "Failed",
            ),
            (
                "notice/homeless",
                "Ready=False/ContractNotFound Reconciling=True/ProgressingWithRetry \
                 Accepted=False/ContractNotFound",
                "InProgress",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_contract_whose_start_is_at_risk_is_current_before_and_after_it_is_healed() {
    let situation = situation::at_risk(environment().await).await;
    situation
        .shows(&[
            (
                "contract/risky",
                "Ready=True/Scheduled InForce=False/NotStarted Delivered=False/NotStarted \
                 StartAtRisk=True/DevicesNotProgressing DevicesFailing=True/DevicesNotProgressing",
                "Current",
            ),
            (
                "subscription/risky.parts.mfp",
                "Ready=True/Scheduled DeviceConfigured=False/Unreachable",
                "Current",
            ),
        ])
        .await;
    situation.recover().await;
    situation
        .shows(&[
            (
                "contract/risky",
                "Ready=True/Scheduled InForce=False/NotStarted !StartAtRisk !DevicesFailing",
                "Current",
            ),
            (
                "subscription/risky.parts.mfp",
                "Ready=True/Scheduled DeviceConfigured=True/Succeeded",
                "Current",
            ),
        ])
        .await;
}

// shows K2 C11
#[tokio::test]
async fn a_change_of_provider_whose_broker_is_off_is_in_progress() {
    let situation = situation::changing(environment().await).await;
    situation
        .shows(&[
            (
                "subscription/changing.backup.mfp",
                "Ready=False/HandingOver Reconciling=True/ProgressingWithRetry \
                 Activated=False/ExclusiveGroupHeld Delivered=False/HandingOver \
                 ServerConfigured=False/Unreachable",
                "InProgress",
            ),
            (
                "device/mfp",
                "Ready=False/Progressing Reconciling=True/Progressing",
                "InProgress",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_set_up_that_is_under_way_is_in_progress() {
    let situation = situation::under_way(environment().await).await;
    situation
        .shows(&[
            (
                "contract/running",
                "Ready=False/DevicesPending Reconciling=True/Progressing InForce=True/InTerm \
                 Delivered=False/DevicesPending",
                "InProgress",
            ),
            (
                "subscription/running.backup.mfp",
                "Ready=False/OperationRunning Reconciling=True/ProgressingWithRetry \
                 DeviceConfigured=True/Succeeded ServerConfigured=False/OperationRunning \
                 Activated=False/Waiting",
                "InProgress",
            ),
            (
                "device/mfp",
                "Ready=False/Progressing Reconciling=True/Progressing",
                "InProgress",
            ),
        ])
        .await;
}

// shows K2 D9
#[tokio::test]
async fn a_step_that_takes_longer_than_it_may_is_in_progress_and_names_the_server() {
    let situation = situation::too_slow(environment().await).await;
    situation
        .shows(&[
            (
                "contract/slow",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry \
                 DevicesFailing=True/DevicesNotProgressing",
                "InProgress",
            ),
            (
                "subscription/slow.backup.mfp",
                "Ready=False/StepTimedOut Reconciling=True/ProgressingWithRetry \
                 DeviceConfigured=True/Succeeded ServerConfigured=False/StepTimedOut",
                "InProgress",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_device_that_is_off_leaves_its_contract_in_progress_and_nothing_stalled() {
    let situation = situation::switched_off(environment().await).await;
    situation
        .shows(&[
            (
                "contract/switched-off",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry \
                 DevicesFailing=True/DevicesNotProgressing",
                "InProgress",
            ),
            (
                "subscription/switched-off.parts.mfp",
                "Ready=False/Unreachable Reconciling=True/ProgressingWithRetry",
                "InProgress",
            ),
            (
                "device/mfp",
                "Ready=False/ProgressingWithRetry Reconciling=True/ProgressingWithRetry \
                 Online=False/Unreachable",
                "InProgress",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_contract_whose_own_spec_is_at_fault_has_failed() {
    let situation = situation::faulty_contract(environment().await).await;
    situation
        .shows(&[(
            "contract/faulty",
            "Ready=False/UnknownZone Stalled=True/UnknownZone Accepted=False/UnknownZone",
            "Failed",
        )])
        .await;
}

// shows K2
#[tokio::test]
async fn an_unsupported_setting_fails_its_subscription_and_not_its_contract() {
    let situation = situation::unsupported(environment().await, None).await;
    situation
        .shows(&[
            (
                "contract/mixed",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry \
                 DevicesFailing=True/DevicesNotProgressing",
                "InProgress",
            ),
            (
                "subscription/mixed.parts.bare",
                "Ready=False/Unsupported Stalled=True/Unsupported \
                 DeviceConfigured=False/Unsupported",
                "Failed",
            ),
            (
                "subscription/mixed.parts.mfp",
                "Ready=True/Delivered Activated=True/Active",
                "Current",
            ),
            (
                "device/bare",
                "Ready=False/Unsupported Stalled=True/Unsupported",
                "Failed",
            ),
            ("device/mfp", "Ready=True/Succeeded", "Current"),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn what_max_unavailable_allows_leaves_the_contract_current() {
    let situation = situation::unsupported(environment().await, Some(1)).await;
    situation
        .shows(&[
            (
                "contract/mixed",
                "Ready=True/DeliveredWithExceptions DevicesFailing=True/DevicesNotProgressing \
                 Delivered=False/DevicesPending",
                "Current",
            ),
            (
                "subscription/mixed.parts.bare",
                "Ready=False/Unsupported Stalled=True/Unsupported",
                "Failed",
            ),
        ])
        .await;
}

// shows D1, D8, K2, K6
#[tokio::test]
async fn a_missed_start_is_in_progress_until_it_is_delivered_and_then_current() {
    let situation = situation::late(environment().await).await;
    situation
        .shows(&[
            (
                "contract/late",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry \
                 InForce=True/InTerm PromiseMissed=True/PromiseNotKept \
                 CompensationPending=True/NotFinal",
                "InProgress",
            ),
            (
                "subscription/late.parts.mfp",
                "Ready=False/Unreachable Reconciling=True/ProgressingWithRetry",
                "InProgress",
            ),
            (
                "compensation/*",
                "Ready=False/Accruing Reconciling=True/Progressing Calculated=False/Accruing \
                 Delivered=False/Accruing",
                "InProgress",
            ),
        ])
        .await;
    situation.recover().await;
    situation
        .shows(&[
            (
                "contract/late",
                "Ready=True/Delivered PromiseMissed=True/PromiseNotKept !CompensationPending",
                "Current",
            ),
            (
                "subscription/late.parts.mfp",
                "Ready=True/Delivered",
                "Current",
            ),
            (
                "compensation/*",
                "Ready=True/RecordOnly Calculated=True/AmountFinal Delivered=True/RecordOnly",
                "Current",
            ),
            (
                "device/mfp",
                "Ready=True/Succeeded Online=True/Answered",
                "Current",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn what_is_suspended_is_current() {
    let situation = situation::suspended(environment().await).await;
    situation
        .shows(&[
            (
                "contract/paused",
                "Ready=True/Suspended InForce=True/InTerm",
                "Current",
            ),
            (
                "subscription/paused.parts.mfp",
                "Ready=True/Suspended",
                "Current",
            ),
            ("device/mfp", "Ready=True/Suspended", "Current"),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn what_is_being_deleted_and_held_is_terminating() {
    let situation = situation::deleting(environment().await).await;
    situation
        .shows(&[
            (
                "contract/leaving",
                "Ready=False/Withdrawing Reconciling=True/Progressing",
                "Terminating",
            ),
            (
                "subscription/leaving.backup.mfp",
                "Ready=False/Withdrawing Reconciling=True/ProgressingWithRetry",
                "Terminating",
            ),
            (
                "connection/broker",
                "Ready=False/InUse Reconciling=True/Progressing",
                "Terminating",
            ),
            (
                "connection/devices",
                "Ready=False/InUse Reconciling=True/Progressing",
                "Terminating",
            ),
            ("model/mfp-500", "Ready=False/InUse", "Terminating"),
            (
                "service/data-backup",
                "Ready=False/InUse Reconciling=True/Progressing",
                "Terminating",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_catalogue_at_fault_is_in_progress_where_it_may_heal_and_failed_where_it_cannot() {
    let situation = situation::faulty_catalogue(environment().await).await;
    situation
        .shows(&[
            (
                "connection/keyless",
                "Ready=False/SecretNotFound Reconciling=True/ProgressingWithRetry \
                 ResolvedRefs=False/SecretNotFound",
                "InProgress",
            ),
            (
                "connection/dead",
                "Ready=False/Unreachable Reconciling=True/ProgressingWithRetry \
                 Reachable=False/Unreachable Authenticated=Unknown/NeverSeen",
                "InProgress",
            ),
            (
                "connection/gateway",
                "Ready=False/UnsupportedValue Stalled=True/UnsupportedValue",
                "Failed",
            ),
            (
                "service/homeless",
                "Ready=False/ConnectionNotFound Reconciling=True/ProgressingWithRetry \
                 ResolvedRefs=False/ConnectionNotFound",
                "InProgress",
            ),
            (
                "service/wrong",
                "Ready=False/UnsupportedValue Stalled=True/UnsupportedValue \
                 Accepted=False/UnsupportedValue",
                "Failed",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_stranger_at_the_address_has_failed_until_a_person_says_it_is_meant() {
    let situation = situation::stranger(environment().await).await;
    situation
        .shows(&[
            (
                "device/mfp",
                "Ready=False/IdentityMismatch Stalled=True/IdentityMismatch",
                "Failed",
            ),
            (
                "subscription/robbed.parts.mfp",
                "Ready=False/IdentityMismatch Stalled=True/IdentityMismatch",
                "Failed",
            ),
            (
                "contract/robbed",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry",
                "InProgress",
            ),
        ])
        .await;
}

// shows A4 K2
#[tokio::test]
async fn an_order_that_was_placed_is_current_and_one_that_no_server_takes_has_failed() {
    let situation = ordering::ordering(environment().await).await;
    situation
        .shows(&[
            (
                "order/placed",
                "Ready=True/OrderPlaced Ordered=True/OrderPlaced",
                "Current",
            ),
            (
                "order/strange",
                "Ready=False/ItemUnknown Stalled=True/ItemUnknown",
                "Failed",
            ),
            (
                "order/waiting",
                "Ready=False/OrderServerUnavailable Reconciling=True/ProgressingWithRetry",
                "InProgress",
            ),
            ("text/toner-empty", "Ready=True/Succeeded", "Current"),
            ("site/osasco", "Ready=True/Succeeded", "Current"),
            (
                "site/nowhere",
                "Ready=False/UnknownZone Stalled=True/UnknownZone",
                "Failed",
            ),
        ])
        .await;
}
