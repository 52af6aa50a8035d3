//! The reasons of events: a closed list, with the type and the action of each, and its meaning.
//!
//! Decides nothing about when one is published. Read by the controllers and by the reference page
//! (`docs/reference/events.md`), which a test here compares and writes.

use kube::runtime::events::EventType;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $type:ident, $action:ident;)+) => {
        /// Reason of an event.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum EventReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl EventReason {
            /// All of them, in the order of the reference page.
            pub const ALL: &[EventReason] = &[$(EventReason::$name,)+];

            /// Returns the word that is written into an event.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// Returns the work that the event is about (the field `action`).
            pub fn action(self) -> &'static str {
                match self { $(Self::$name => stringify!($action),)+ }
            }

            /// Returns its meaning, in one sentence or two.
            pub fn meaning(self) -> String {
                let lines: &[&str] = match self { $(Self::$name => &[$($doc),+],)+ };
                lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
            }

            /// Returns Warning where a person should look at it.
            pub fn severity(self) -> EventType {
                match self { $(Self::$name => EventType::$type,)+ }
            }
        }
    };
}

reasons! {
    /// A Contract is valid; its subscriptions are being made.
    ContractAccepted => Normal, Validate;
    /// A Contract, or an edit of it, is refused; what was accepted before goes on.
    ContractRefused => Warning, Validate;
    /// The term of a Contract began.
    ContractStarted => Normal, Start;
    /// The term of a Contract is over.
    ContractEnded => Normal, End;
    /// Another Contract took services of a Contract over.
    ContractSucceeded => Normal, End;
    /// A ContractAmendment is valid; what it changes is written into the subscriptions.
    AmendmentAccepted => Normal, Validate;
    /// A ContractAmendment is refused and changes nothing.
    AmendmentRefused => Warning, Validate;
    /// A ContractAmendment was deleted before its instant: nothing of it happens.
    AmendmentWithdrawn => Normal, Schedule;
    /// A ContractAmendment is in force.
    ContractAmended => Normal, Start;
    /// A ContractNotice starts or ends its Contract.
    NoticeAccepted => Normal, Validate;
    /// A ContractNotice is refused and changes nothing.
    NoticeRefused => Warning, Validate;
    /// Everything that is wanted on a Device was read back.
    DeviceConfigured => Normal, Verify;
    /// A service server confirmed the activation.
    ServiceActivated => Normal, Activate;
    /// Every subscription of a Contract is proven.
    SetupVerified => Normal, Verify;
    /// A promise was missed and the debt is recorded.
    CompensationCreated => Normal, Compensate;
    /// The compensation has been delivered.
    CompensationDelivered => Normal, Deliver;
    /// A person voided the record.
    CompensationVoided => Normal, Compensate;
    /// The debt could not be recorded: its namespace is being deleted, or another Compensation has
    /// its name.
    CompensationNotRecorded => Warning, Compensate;
    /// An order of supplies is recorded, because of an error of a Device.
    SupplyOrderRecorded => Normal, Order;
    /// An order of supplies cannot be recorded yet: what it is made of is missing.
    SupplyOrderNotRecorded => Warning, Order;
    /// An order server has an order.
    SuppliesOrdered => Normal, Order;
    /// An order server refuses an order, or has said that it will not fulfil it.
    SupplyOrderRefused => Warning, Order;
    /// Nothing tells whether an order server has an order; a person has to find out.
    SupplyOrderUnknown => Warning, Order;
    /// An order was delivered.
    SuppliesDelivered => Normal, Order;
    /// An order was cancelled.
    SupplyOrderCancelled => Normal, Order;
    /// A Device was seen with a new supply, which closes its order.
    SupplyReplaced => Normal, Order;
    /// A Device does not answer.
    DeviceUnreachable => Warning, Push;
    /// A Device has another identity than expected.
    IdentityMismatch => Warning, Verify;
    /// A Device refuses a setting.
    SettingsRejected => Warning, Push;
    /// A setting was accepted and read back as something else.
    VerificationMismatch => Warning, Verify;
    /// A broker's catalog has other ids behind the names with which an instance was made.
    OfferingChanged => Warning, Verify;
    /// An instance that was on the service server already was taken over.
    InstanceAdopted => Normal, Activate;
    /// A Connection leads to another broker than the one at which an instance was made.
    BrokerChanged => Warning, Verify;
    /// A service server refuses a request.
    ServiceServerRejected => Warning, Activate;
    /// A Contract can not be set up by its start.
    StartDateAtRisk => Warning, Schedule;
    /// A promised instant passed without proof.
    StartDateMissed => Warning, Schedule;
    /// A remote system refused the credentials of a Connection.
    CredentialsRejected => Warning, Connect;
    /// A broker's catalog has entries that cannot be used.
    CatalogEntryUnusable => Warning, Connect;
    /// An object of the catalogue is being deleted and waits for those that use it.
    InUse => Warning, CleanUp;
    /// An instance was left behind on the broker of a Connection, and is listed there as an orphan.
    InstanceOrphaned => Warning, CleanUp;
    /// An orphan is gone from the broker of a Connection.
    InstanceRemoved => Normal, CleanUp;
    /// A withdrawal ran out of time and is given up.
    FinalizerTimedOut => Warning, CleanUp;
    /// The operator met a defect of its own over an object, or the API server refused its status.
    InternalError => Warning, Report;
    /// The newest version of an object cannot be read, so the object is left as it is.
    ObjectUndecodable => Warning, Read;
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::reference_page;

    #[test]
    fn the_reference_page_has_every_reason_of_an_event() {
        let mut page = "\
# Events

<!-- Generated from the operator; run `UPDATE=1 cargo test -p entente-controllers reference_page` to update it. -->

Every event that the operator publishes (`kubectl get events`, `kubectl describe`), in the order of a contract's life.
An event tells a change once; what holds now is in the [conditions](conditions.md), and each event is a line of the [log](../guide/logs.md) too.

| reason | type | action | meaning |
|---|---|---|---|
"
        .to_owned();
        for reason in EventReason::ALL {
            let type_ = match reason.severity() {
                EventType::Normal => "Normal",
                EventType::Warning => "Warning",
            };
            let (name, action, meaning) = (reason.as_str(), reason.action(), reason.meaning());
            // Writing into a String does not fail.
            let _ = writeln!(page, "| {name} | {type_} | {action} | {meaning} |");
        }
        reference_page::compare("events.md", &page);
    }
}
