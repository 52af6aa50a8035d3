//! The closed lists of conditions and reasons: the only place where they are defined.
//!
//! Every status that the operator writes is built from these. The reference page
//! `docs/reference/conditions.md` is generated from them, and tests fail on a reason that is not
//! in the list of its condition (K2).

use serde::{Deserialize, Serialize};

macro_rules! condition_types {
    ($($(#[doc = $doc:literal])+ $name:ident of [$($kind:ident),+],)+) => {
        /// A type of condition.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum ConditionType {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ConditionType {
            /// All of them, in the order of the reference page.
            pub const ALL: &[ConditionType] = &[$(ConditionType::$name,)+];

            /// Returns the word that is written into a condition.
            pub fn as_str(self) -> &'static str {
                match self { $(ConditionType::$name => stringify!($name),)+ }
            }

            /// Returns, for the reference page, what the condition means while it is True.
            pub fn meaning(self) -> &'static str {
                match self { $(ConditionType::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// Returns the kinds that have the condition.
            pub fn kinds(self) -> &'static [&'static str] {
                match self { $(ConditionType::$name => &[$(stringify!($kind)),+],)+ }
            }
        }
    };
}

condition_types! {
    /// Nothing is outstanding for this generation.
    Ready of [Connection, DeviceModel, SmartService, MessageText, Site, Device, DeviceEnrollment, Contract, ContractAmendment, ContractNotice, ServiceSubscription, Compensation, SupplyOrder],
    /// Work is under way; present only while true.
    Reconciling of [Connection, SmartService, Device, DeviceEnrollment, Contract, ContractAmendment, ContractNotice, ServiceSubscription, Compensation, SupplyOrder],
    /// A person must change something; present only while true.
    Stalled of [Connection, DeviceModel, SmartService, MessageText, Site, Device, DeviceEnrollment, Contract, ContractAmendment, ContractNotice, ServiceSubscription, Compensation, SupplyOrder],
    /// The object is valid, consistent and claimed.
    Accepted of [SmartService, MessageText, Site, Device, Contract, ContractAmendment, ContractNotice],
    /// Every object that it refers to was found and may be used.
    ResolvedRefs of [Connection, SmartService, Device, DeviceEnrollment, Contract, ServiceSubscription],
    /// Now lies between the dates of the term; whether anything is delivered does not matter.
    InForce of [Contract],
    /// Every required item in force was read back as Effective: proof. Of a Compensation: its amount is final and nothing is left to be delivered.
    Delivered of [Contract, ServiceSubscription, Compensation],
    /// The start lies ahead and its preparation is stuck; present only while true.
    StartAtRisk of [Contract],
    /// A promise of this term was missed; stays for the term, present only while true.
    PromiseMissed of [Contract],
    /// Names the devices that are stuck; present only while true.
    DevicesFailing of [Contract],
    /// The amount owed is not final or not delivered yet; present only while true.
    CompensationPending of [Contract],
    /// Every item on the device is Effective.
    DeviceConfigured of [ServiceSubscription],
    /// Every item on the service server is Effective.
    ServerConfigured of [ServiceSubscription],
    /// The device sends every kind of data that the service wants. Present only while a service in force wants one.
    DataTypesConfigured of [ServiceSubscription],
    /// The service is on: its contract is in force, its local switch is on, the device can do it, and the service server has turned it on.
    Activated of [ServiceSubscription],
    /// Made again by the operator while its contract still existed; past promises are closed.
    /// Present only while true.
    EvidenceLost of [ServiceSubscription],
    /// The device answered when it was last asked. While False, what was proved before still holds.
    Online of [Device],
    /// Every setting that is wanted on the device was read back.
    SettingsApplied of [Device],
    /// The firmware of the device is as new as its services need. Present only while a service in force needs one.
    FirmwareCurrent of [Device],
    /// The applications that services need are on the device. Present only while a service in force needs one.
    ApplicationsInstalled of [Device],
    /// The device reports an error. Present only while it does.
    Faulted of [Device],
    /// The remote side answered.
    Reachable of [Connection],
    /// The remote side accepted the credentials.
    Authenticated of [Connection],
    /// The amount is final.
    Calculated of [Compensation],
    /// The order server has the order, by its own answer.
    Ordered of [SupplyOrder],
    /// The message with the id of the order was read back from the display of the device. Present only for an order that an error caused.
    Displayed of [SupplyOrder],
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $todo:literal,)+) => {
        /// A reason of a condition, and of the problem of an item.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All of them, in the order of the reference page.
            pub const ALL: &[Reason] = &[$(Reason::$name,)+];

            /// Returns the word that is written into a condition.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)+ }
            }

            /// Returns, for the reference page, what the reason means.
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// Returns, for the reference page, what a person can do about it.
            pub fn next_step(self) -> &'static str {
                match self { $(Reason::$name => $todo,)+ }
            }
        }
    };
}

reasons! {
    /// The operator has not seen the object yet, or does not know yet.
    Pending => "Read the message; without one wait, and if it stays, look whether the operator runs.",
    /// Work is under way and nothing failed.
    Progressing => "Wait.",
    /// Something failed that may heal by itself; it is tried again.
    ProgressingWithRetry => "Read the message; the operator tries again by itself.",
    /// Everything that is asked for is done.
    Succeeded => "Nothing.",
    /// The contract is accepted and resolved, and its start is ahead.
    Scheduled => "Where the message counts devices that do not answer yet or are stuck, see to them before the start; else nothing.",
    /// Every required item was read back as Effective.
    Delivered => "Nothing.",
    /// Everything is delivered except for some subscriptions, no more than maxUnavailable allows, and for those with a setting that was changed at the device and is left so.
    DeliveredWithExceptions => "See the condition DevicesFailing for those that are missing, and status.notReady for those with the reason Drifted.",
    /// The term is over, or the contract no longer asks for the service.
    Ended => "Nothing, or make a new contract.",
    /// Suspended by spec.suspend.
    Suspended => "Set spec.suspend of the Contract or the Device to false to go on.",
    /// The object is being deleted, or services have ended; it waits for the
    /// withdrawals that the message names.
    Withdrawing => "Wait, or let somebody who may update Connections set the annotation entente.dev/abandon on the ServiceSubscription, which ends its withdrawal at once.",
    /// The object is valid.
    Valid => "Nothing.",
    /// Every reference was found.
    Resolved => "Nothing.",
    /// The term is in force.
    InTerm => "Nothing.",
    /// The start lies ahead.
    NotStarted => "Wait for the start.",
    /// The term's dates cannot be used.
    InvalidTerm => "Correct spec.term as the message says.",
    /// The time zone is not in the time zone database.
    UnknownZone => "Use a name of the time zone database, such as Europe/Berlin.",
    /// A date that has already passed was changed.
    PastDateChanged => "Set the date back; what was promised cannot be moved.",
    /// Two entries of one service name or select one device.
    DuplicateService => "Name or select the device in one of the entries only.",
    /// Two overrides of one entry set a parameter of one device to different values.
    OverridesConflict => "Name or select the device in one of the overrides only, or give the parameter one value.",
    /// The Contract that spec.succeeds or spec.contractRef names does not exist; or the one that
    /// spec.succeeds names was never accepted, or has not started.
    ContractNotFound => "Create or correct that Contract, or correct the name; nothing is set up before, since the instances that go on are not known.",
    /// The Contract that spec.succeeds names is for another customer.
    CustomerDiffers => "Correct spec.succeeds, or remove it: an instance never moves to another customer.",
    /// The Contract succeeds itself, through spec.succeeds of one contract or of several.
    CircularSuccession => "Correct spec.succeeds of one of the contracts that the message names.",
    /// spec.succeeds was set, changed or removed after the contract was accepted.
    SuccessionChanged => "Set spec.succeeds back; for another predecessor delete the contract before its start and make it anew.",
    /// Another amendment, which is older, changes the same field of the same entry at the same instant.
    AmendmentsConflict => "Delete one of the two, or give it another date.",
    /// The amendment is not later than the start of the contract's term.
    BeforeTerm => "Edit the contract itself: what is in it holds from its start.",
    /// The amendment is not earlier than the end of the contract's term, or came after it.
    AfterTerm => "Correct the date, or extend the contract's term.",
    /// The contract starts by a ContractNotice, and none has come yet.
    AwaitingNotice => "Wait for the notice of the contract system, or make a ContractNotice of type Started.",
    /// The contract starts by a ContractNotice, and none has come by the end of term.startBy.
    NeverStarted => "Find out why the contract system has not reported the start: make a ContractNotice of type Started if the contract has started, set a later startBy, or delete the contract.",
    /// The notice reports the start of a contract that starts by its date.
    NotExpected => "Delete the notice, or let the contract start by a notice (term.startOn).",
    /// The notice comes when the contract has ended, or another one ends it earlier.
    PastEnd => "Delete the notice; for a service that goes on make another contract.",
    /// The notice reports the start of a contract that another notice has started.
    AlreadyStarted => "Delete the notice: the start stays as it was reported first.",
    /// Another Device has this address or this identity.
    AlreadyClaimed => "Correct the address, or remove the other Device.",
    /// A value is missing, of the wrong type or outside what is allowed.
    UnsupportedValue => "Set or correct the value that the message names.",
    /// The Device does not exist.
    DeviceNotFound => "Create the Device; the subscription goes on by itself.",
    /// The Site does not exist.
    SiteNotFound => "Create the Site, or correct spec.siteRef; until then the Device counts as one without it, and nothing is sent to one without connections of its own.",
    /// The DeviceModel does not exist.
    ModelNotFound => "Create the DeviceModel, or correct spec.modelRef.",
    /// The SmartService does not exist.
    ServiceNotFound => "Create the SmartService, or correct serviceRef.",
    /// The Connection does not exist.
    ConnectionNotFound => "Create the Connection, or correct its name.",
    /// A Secret or ConfigMap does not exist, or could not be read.
    SecretNotFound => "Create it in the namespace that the message names: that of the Contract or the Device for their Secrets, the operator's for those of a Connection. The Secret entente-digest-key is made again by helm upgrade.",
    /// A Secret or ConfigMap lacks a key, or the value under the key cannot be used.
    SecretKeyMissing => "Add or correct the key that the message names.",
    /// The operator may not read a Secret or ConfigMap, or cannot write its own key.
    SecretForbidden => "Name the tenant's namespace in tenantSecrets.namespaces of the chart, give the Secret the label entente.dev/use: \"true\", or restore the chart's Role in the operator's namespace; the message says which.",
    /// The Connection does not allow this namespace or this address.
    NotAllowed => "Ask the platform team for an entry under allow in the Connection.",
    /// The broker's catalog does not have the offering or the plan, or has several of the name.
    OfferingNotFound => "Correct server.offering and server.plan in the SmartService.",
    /// The broker's catalog has other ids behind the names that a live instance was made with, or
    /// the broker has an instance of another offering under the id that the operator uses.
    OfferingChanged => "Have the broker's catalog corrected, or name the offering and plan with the instance's ids in the SmartService.",
    /// The broker does not have the instance that a contract has succeeded to, of a subscription that was
    /// restored from a backup. No other one is made.
    InstanceNotFound => "Restore the instance at the broker, or set the annotation entente.dev/provision on the ServiceSubscription to have a new one made.",
    /// The Connection leads to another broker than the one at which a live instance was made.
    BrokerChanged => "Set spec.osb.url of the Connection back, or name the old URL in its spec.osb.movedFrom if the same broker has moved.",
    /// The operator met a defect of its own, or the API server refused its status; it tries again.
    InternalError => "Report it with the operator's log; the rest of the status may be out of date.",
    /// The operator cannot read this object as it is stored, or one that it refers to, or a
    /// subscription of this contract. What it cannot read it leaves as it is.
    Undecodable => "Correct the field that the message names, of the object that it names; the rest of the status of an object that cannot be read is from before.",
    /// An entry of the contract matches no Device.
    NoDevices => "Check the selector and the labels of the Devices.",
    /// The number of devices is not the expected one; until it is, no service is withdrawn because a
    /// label is gone.
    DeviceCountMismatch => "Correct the labels or expect.",
    /// Some subscriptions are not delivered yet.
    DevicesPending => "Wait; status.notReady names up to ten of them.",
    /// Some subscriptions are stuck.
    DevicesNotProgressing => "See the ServiceSubscriptions that the message names.",
    /// A promise of this term was not kept in time.
    PromiseNotKept => "See the Compensations of this contract.",
    /// A compensation still accrues or is not delivered.
    NotFinal => "Wait until the service is delivered.",
    /// A step waits for the one before it, the subscription for its contract, or a first instance
    /// until its Connection and SmartService are kept from being deleted.
    Waiting => "Wait for the step or the object that the message names.",
    /// Another subscription has this service, or one of its exclusiveGroup, on this device and
    /// comes first.
    ConflictingContract => "End one of the two services in its contract.",
    /// One service of an exclusiveGroup takes the place of another, which serves until the switch; or the instance moves between two subscriptions, of which one succeeds the other, or is kept for the one that succeeds.
    HandingOver => "Wait; the message says what for.",
    /// Two services want different values for one setting.
    SettingsConflict => "Choose parameters that agree, or end one of the services.",
    /// The local clock and that of the API server differ by more than 5 seconds.
    ClockSkew => "Set the clock of the operator's node.",
    /// The device says it is another one than before, or of another model.
    IdentityMismatch => "Check which machine answers at the address; for a new machine set spec.identity or change spec.serialNumber, for another name of the product correct productNames of the DeviceModel.",
    /// The device shows another certificate than before.
    CertificateChanged => "Check the device, then set spec.certificateSha256.",
    /// The model of the device cannot do this service.
    UnsupportedByModel => "Complete the DeviceModel if the machine can do it; else use another model, or end the service on this device.",
    /// It was accepted with success and read back as something else.
    AcceptedNotEffective => "On a device correct the DeviceModel, whose attribute or operation does not take effect; on a service server check the log of the server.",
    /// Settings were in effect, somebody has changed them at the device since, and driftPolicy Report leaves them.
    Drifted => "See status.drift of the Device. Put the value back at the device, or set driftPolicy Revert on the Device or its Site, which has it set again at once; or wish for the value that is there in the contract.",
    /// The remote side says that it cannot be set.
    RejectedNotSettable => "Correct the DeviceModel: this attribute cannot be set.",
    /// The remote side refuses the value.
    RejectedValue => "Correct the parameter or the setting that the message names.",
    /// The remote side does not know the item or the operation.
    Unsupported => "Correct the DeviceModel, or end the service on this device; on a service server check the log of the server.",
    /// It cannot be read back, so it is not proven.
    NotVerifiable => "Set writeOnly for a value that the service server never returns, use a broker that lets instances be fetched, or have what was accepted count by server.proof Taken in the SmartService.",
    /// No connection could be made.
    Unreachable => "Check that it is switched on, and the address.",
    /// The credentials were refused.
    Unauthorized => "Correct the Secret of the Connection, or that of the Device if it has a login of its own.",
    /// The remote side is busy and asks to come again.
    Busy => "Wait.",
    /// No answer came in time.
    TimedOut => "Check the remote side; raise the timeouts of the Connection if it is slow.",
    /// The answer made no sense, or the remote side failed.
    ProtocolError => "See the message; check the remote side's own log.",
    /// An operation of the service server is under way.
    OperationRunning => "Wait.",
    /// A step was begun and is not wholly in effect within stepTimeout of its SmartService.
    StepTimedOut => "Read in the message what the step waits for; retries and polling go on. Raise stepTimeout of the SmartService if the step takes so long.",
    /// The value takes effect after a restart of the device.
    AwaitingRestart => "Restart the device.",
    /// Everything is in effect, and the device does not report yet that the service works.
    AwaitingAcceptance => "Wait: the device is read again until spec.acceptance.within of the SmartService.",
    /// The device does not report that the service works, although everything is in effect.
    AcceptanceFailed => "Find out at the device why the service does not work; the message has what it reports. If it works, correct spec.acceptance of the SmartService. The device is read again by itself.",
    /// The operator was not running, or had not looked yet.
    NotObserved => "Nothing.",
    /// The certificate or the TLS handshake is not good.
    TlsFailed => "Check the certificate and the tls of the Connection.",
    /// It answered.
    Answered => "Nothing.",
    /// It was not asked yet, or has not answered yet.
    NeverSeen => "Wait.",
    /// Devices are reached one by one; see each Device.
    PerDevice => "Nothing.",
    /// The device has to call: it has not fetched yet what is wanted, has not reported since, or has not asked to be activated.
    WaitingForDevice => "Wait for its next call; to be faster switch the device off and on, or let a person at the device ask for it.",
    /// Software is to be installed, and the maintenance windows of the device are closed.
    OutsideMaintenanceWindow => "Wait for the window that the message names, or change spec.maintenanceWindows of the Device.",
    /// No maintenance window of the device is as long as the installation takes.
    MaintenanceWindowTooShort => "Lengthen a window in spec.maintenanceWindows of the Device, or correct takes of that version in the DeviceModel.",
    /// The device says that it could not install the software. It is asked again after a wait.
    InstallationFailed => "Read the device's own words in the message, and correct the artifact in the DeviceModel or the state of the device.",
    /// The gateway cannot serve the file of software that is to be installed. It fetches it again by itself when the device calls.
    ArtifactUnavailable => "See to the file or the Connection that the message names: make or correct the Connection of protocol HTTP, the artifact in the DeviceModel, or the file on its server.",
    /// The device has not registered at the gateway.
    NotRegistered => "Connect the device to the gateway with the token of a DeviceEnrollment of this namespace; see the guide on devices that call.",
    /// The device registered and has not called for longer than spec.agent.missedPolls of the Connection allows.
    NotHeardOf => "Check that the device is switched on and reaches the gateway or its settings server.",
    /// The owner of the device has withdrawn the consent to its connection: nothing is sent to it.
    ConsentWithdrawn => "Let the owner of the device agree again at the device, which then registers anew; or end the services on it.",
    /// The service is on.
    Active => "Nothing.",
    /// The service is not in force: its start lies ahead, it has ended, or it is suspended.
    NotInForce => "Nothing, or correct the dates of the contract.",
    /// The local switch of the service is off on this device.
    DisabledLocally => "Switch it on at the device, or take the service out of spec.disabledServices of the Device; status.localEnablement there says who switched it off and when.",
    /// The device says that it cannot do the service, or lacks a kind of data or a supply that the service needs.
    UnsupportedByDevice => "Give the device what the message names, or end the service on this device.",
    /// Everything is there but the answer of the service server that it is on.
    ProviderPending => "Wait; the message has what the service server said last.",
    /// Another service of the exclusive group serves on this device until the switch.
    ExclusiveGroupHeld => "Wait; the message names the one that serves.",
    /// The list of orphans is full, so withdrawals that gave up cannot finish.
    OrphansFull => "See the message of each orphan in status.orphans; the annotation entente.dev/forget-orphan takes one out of the list.",
    /// The object is being deleted, and waits until nothing uses it any more.
    InUse => "Delete the Devices, or end the services in their contracts, that the message names, or let them name another object.",
    /// The subscription was deleted by hand or restored, and was made again.
    Recreated => "Nothing: promises from before are closed.",
    /// The amount is final.
    AmountFinal => "Nothing.",
    /// The amount still grows.
    Accruing => "Wait until the service is delivered.",
    /// Nothing is owed, because the counted time stays within the allowance.
    NothingOwed => "Nothing.",
    /// The amount is final and recorded, and nothing is to be delivered: Entente sends it to no booking system yet.
    RecordOnly => "Book the amount by hand.",
    /// Another Compensation has the name of the one that is owed, and is about another debt.
    CompensationNameTaken => "Settle the debt of the Compensation that the message names, then delete it; what is owed is recorded by itself.",
    /// A person declared the record wrong.
    Voided => "Nothing.",
    /// The service asks for nothing on this side.
    NothingWanted => "Nothing.",
    /// Another MessageText, which is older, has the texts for this type of error.
    DuplicateErrorType => "Put the texts of one type of error into one MessageText, and delete the other.",
    /// The device reports that a supply is empty.
    SuppliesEmpty => "See status.errors of the Device for the order; without one replace the supply.",
    /// The device reports that a supply is nearly empty.
    SuppliesLow => "See status.errors of the Device for the order; without one have the supply at hand.",
    /// The device reports that paper is jammed.
    Jam => "Have the jam cleared at the device.",
    /// The device reports that a cover or a door is open.
    CoverOpen => "Have it closed at the device.",
    /// The device reports that it needs service.
    ServiceNeeded => "Send a technician; the message has the device's own word.",
    /// The device reports another error.
    OtherFault => "See the device's own word in the message.",
    /// The order server has the order.
    OrderPlaced => "Nothing; status.order says how far it is.",
    /// The order server refuses the order, or has said that it will not fulfil it.
    OrderRejected => "Read the server's own words in the message. Settle it with the provider; then cancel the order with spec.cancelled, and make one with cause Manual if the supply is still needed.",
    /// The order server does not know the part number.
    ItemUnknown => "Have the provider add the item, or correct partNumber in spec.supplies of the DeviceModel; the order is sent again by the hour. Cancel it with spec.cancelled if the record has the wrong number, and make one with cause Manual.",
    /// The order server cannot be asked, or does not answer as it should.
    OrderServerUnavailable => "Check the order server and its Connection; the operator tries again by itself.",
    /// The order server may have the order or not, and nothing tells. The operator sends nothing more.
    OutcomeUnknown => "Ask the provider for the order by its reference, which the message has. Set spec.found.orderId if it is there, else spec.cancelled.",
    /// The order was cancelled, at the order server or before it was sent.
    Cancelled => "Nothing.",
    /// The device was seen with a new supply, so the order counts as closed.
    SupplyReplaced => "Nothing.",
    /// The message was read back from the display.
    MessageShown => "Nothing.",
    /// The message was sent to the device, which offers no way to read its display back.
    MessageSent => "Nothing, or look at the device.",
    /// The message was taken down at the end of the error.
    Cleared => "Nothing.",
    /// No connection of the device leads to its display.
    NoDisplay => "Nothing, or give the Device a connection that leads to its display.",
    /// There is no text for this type of error, or the display has no room even for the id of the order.
    NoText => "Make a MessageText for the type of error; where the message says that there is no room, the display is too small and nothing is to be done.",
    /// The device refuses the message.
    MessageRefused => "Nothing, or read the device's own words in the message, and give the Device another connection that leads to its display.",
    /// The device does not answer, so the message is not on its display.
    DeviceOffline => "Check that the device is switched on; the message is sent when it answers, if the error is still there.",
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ConditionType {
    /// True if the condition is present only while it is True, and removed otherwise.
    pub fn is_negative(self) -> bool {
        matches!(
            self,
            Self::Reconciling
                | Self::Stalled
                | Self::StartAtRisk
                | Self::PromiseMissed
                | Self::DevicesFailing
                | Self::CompensationPending
                | Self::EvidenceLost
                | Self::Faulted
        )
    }
}

impl Reason {
    /// Reasons that an attempt at one item can have: the words of `items[].problem.outcome`.
    pub const OF_AN_ATTEMPT: &[Reason] = &[
        Reason::AcceptedNotEffective,
        Reason::AcceptanceFailed,
        Reason::RejectedNotSettable,
        Reason::RejectedValue,
        Reason::Unsupported,
        Reason::NotVerifiable,
        Reason::Unreachable,
        Reason::NotAllowed,
        Reason::TlsFailed,
        Reason::CertificateChanged,
        Reason::Unauthorized,
        Reason::Busy,
        Reason::TimedOut,
        Reason::ProtocolError,
        Reason::NotRegistered,
        Reason::NotHeardOf,
        Reason::ConsentWithdrawn,
        Reason::InstallationFailed,
        Reason::ArtifactUnavailable,
    ];

    /// The reasons that a look at a device can meet: those of an attempt, and that another machine
    /// answers.
    pub const OF_A_LOOK: &[Reason] = &{
        let mut all = [Reason::IdentityMismatch; Self::OF_AN_ATTEMPT.len() + 1];
        let (of_an_attempt, _) = all.split_at_mut(Self::OF_AN_ATTEMPT.len());
        of_an_attempt.copy_from_slice(Self::OF_AN_ATTEMPT);
        all
    };

    /// Reasons of the last failure of an order.
    pub const OF_AN_ORDER: &[Reason] = &[
        Reason::NotAllowed,
        Reason::Unauthorized,
        Reason::TlsFailed,
        Reason::OrderServerUnavailable,
        Reason::OrderRejected,
        Reason::ItemUnknown,
        Reason::OutcomeUnknown,
    ];

    /// Reasons for which a message is not on a display.
    pub const OF_A_MESSAGE: &[Reason] = &[
        Reason::NoDisplay,
        Reason::NoText,
        Reason::MessageRefused,
        Reason::DeviceOffline,
    ];

    /// Returns the reason if a list has it, else ProtocolError, which every list of a status has: a
    /// status with another word would be refused as a whole.
    #[must_use]
    pub fn within(self, list: &[Reason]) -> Self {
        if list.contains(&self) {
            self
        } else {
            Reason::ProtocolError
        }
    }
}

/// Reasons that block a side or an item, shared by several conditions below.
macro_rules! blocking {
    ($($more:ident),* $(,)?) => {
        &[
            Reason::Undecodable,
            Reason::DeviceNotFound, Reason::SiteNotFound, Reason::ModelNotFound, Reason::ServiceNotFound,
            Reason::ConnectionNotFound, Reason::SecretNotFound, Reason::SecretKeyMissing,
            Reason::SecretForbidden, Reason::NotAllowed, Reason::OfferingNotFound,
            Reason::OfferingChanged, Reason::BrokerChanged, Reason::ConflictingContract, Reason::SettingsConflict, Reason::ClockSkew,
            Reason::InstanceNotFound, Reason::IdentityMismatch, Reason::CertificateChanged, Reason::UnsupportedByModel,
            Reason::AcceptedNotEffective, Reason::RejectedNotSettable, Reason::RejectedValue,
            Reason::Unsupported, Reason::NotVerifiable, Reason::Unreachable, Reason::Unauthorized,
            Reason::Busy, Reason::TimedOut, Reason::ProtocolError, Reason::OperationRunning,
            Reason::StepTimedOut, Reason::AwaitingRestart, Reason::TlsFailed,
            Reason::AwaitingAcceptance, Reason::AcceptanceFailed,
            Reason::UnsupportedValue, Reason::UnknownZone, Reason::InvalidTerm,
            Reason::AlreadyClaimed, Reason::Suspended, Reason::Waiting, Reason::HandingOver,
            Reason::WaitingForDevice, Reason::NotRegistered, Reason::NotHeardOf, Reason::ConsentWithdrawn,
            Reason::OutsideMaintenanceWindow, Reason::MaintenanceWindowTooShort, Reason::InstallationFailed,
            Reason::ArtifactUnavailable,
            Reason::DisabledLocally, Reason::UnsupportedByDevice,
            $(Reason::$more),*
        ]
    };
}

impl ConditionType {
    /// Returns the reasons that this condition may have.
    #[allow(clippy::too_many_lines, reason = "a table")]
    pub fn reasons(self) -> &'static [Reason] {
        match self {
            Self::Ready => blocking!(
                InternalError,
                Pending,
                Progressing,
                ProgressingWithRetry,
                Succeeded,
                Scheduled,
                Delivered,
                DeliveredWithExceptions,
                Drifted,
                Ended,
                Withdrawing,
                NotStarted,
                PastDateChanged,
                ContractNotFound,
                CustomerDiffers,
                CircularSuccession,
                SuccessionChanged,
                DuplicateService,
                OverridesConflict,
                AmendmentsConflict,
                BeforeTerm,
                AfterTerm,
                AwaitingNotice,
                NeverStarted,
                NotExpected,
                PastEnd,
                AlreadyStarted,
                NoDevices,
                DeviceCountMismatch,
                DevicesPending,
                DevicesNotProgressing,
                PerDevice,
                OrphansFull,
                InUse,
                AmountFinal,
                Accruing,
                NothingOwed,
                RecordOnly,
                CompensationNameTaken,
                Voided,
                NotObserved,
                NothingWanted,
                DuplicateErrorType,
                OrderPlaced,
                OrderRejected,
                ItemUnknown,
                OrderServerUnavailable,
                OutcomeUnknown,
                Cancelled,
                SupplyReplaced,
            ),
            Self::Reconciling => &[Reason::Progressing, Reason::ProgressingWithRetry],
            Self::Stalled => &[
                Reason::Undecodable,
                Reason::InvalidTerm,
                Reason::UnknownZone,
                Reason::PastDateChanged,
                Reason::CustomerDiffers,
                Reason::CircularSuccession,
                Reason::SuccessionChanged,
                Reason::DuplicateService,
                Reason::OverridesConflict,
                Reason::AmendmentsConflict,
                Reason::BeforeTerm,
                Reason::AfterTerm,
                Reason::NeverStarted,
                Reason::NotExpected,
                Reason::PastEnd,
                Reason::AlreadyStarted,
                Reason::AlreadyClaimed,
                Reason::UnsupportedValue,
                Reason::NotAllowed,
                Reason::OfferingNotFound,
                Reason::OfferingChanged,
                Reason::BrokerChanged,
                Reason::InstanceNotFound,
                Reason::ConflictingContract,
                Reason::SettingsConflict,
                Reason::IdentityMismatch,
                Reason::CertificateChanged,
                Reason::UnsupportedByModel,
                Reason::RejectedNotSettable,
                Reason::RejectedValue,
                Reason::Unsupported,
                Reason::NotVerifiable,
                Reason::ConsentWithdrawn,
                Reason::MaintenanceWindowTooShort,
                Reason::UnsupportedByDevice,
                Reason::CompensationNameTaken,
                Reason::DuplicateErrorType,
                Reason::OrderRejected,
                Reason::ItemUnknown,
                Reason::OutcomeUnknown,
            ],
            Self::Accepted => &[
                Reason::DuplicateErrorType,
                Reason::Pending,
                Reason::Valid,
                Reason::InvalidTerm,
                Reason::UnknownZone,
                Reason::PastDateChanged,
                Reason::CustomerDiffers,
                Reason::CircularSuccession,
                Reason::SuccessionChanged,
                Reason::DuplicateService,
                Reason::OverridesConflict,
                Reason::AmendmentsConflict,
                Reason::BeforeTerm,
                Reason::AfterTerm,
                Reason::NotExpected,
                Reason::PastEnd,
                Reason::AlreadyStarted,
                Reason::ContractNotFound,
                Reason::ServiceNotFound,
                Reason::Undecodable,
                Reason::AlreadyClaimed,
                Reason::UnsupportedValue,
            ],
            Self::ResolvedRefs => &[
                Reason::Pending,
                Reason::Resolved,
                Reason::Undecodable,
                Reason::DeviceNotFound,
                Reason::SiteNotFound,
                Reason::ModelNotFound,
                Reason::ServiceNotFound,
                Reason::ContractNotFound,
                Reason::ConnectionNotFound,
                Reason::SecretNotFound,
                Reason::SecretKeyMissing,
                Reason::SecretForbidden,
                Reason::NotAllowed,
                Reason::OfferingNotFound,
            ],
            Self::InForce => &[
                Reason::Pending,
                Reason::InTerm,
                Reason::NotStarted,
                Reason::AwaitingNotice,
                Reason::NeverStarted,
                Reason::Ended,
            ],
            Self::Delivered => blocking!(
                InternalError,
                Pending,
                Progressing,
                ProgressingWithRetry,
                Delivered,
                Drifted,
                NotStarted,
                AwaitingNotice,
                NeverStarted,
                Ended,
                DevicesPending,
                ContractNotFound,
                NoDevices,
                DeviceCountMismatch,
                NotObserved,
                Withdrawing,
                RecordOnly,
                NothingOwed,
                Accruing,
                Voided,
                CompensationNameTaken,
            ),
            Self::StartAtRisk => &[
                Reason::ServiceNotFound,
                Reason::ContractNotFound,
                Reason::Undecodable,
                Reason::DevicesNotProgressing,
            ],
            Self::PromiseMissed => &[Reason::PromiseNotKept],
            Self::DevicesFailing => &[Reason::DevicesNotProgressing],
            Self::CompensationPending => &[Reason::NotFinal],
            Self::DeviceConfigured => blocking!(
                InternalError,
                Pending,
                Succeeded,
                Progressing,
                Drifted,
                NotStarted,
                Ended,
                NothingWanted,
                NotObserved,
                Withdrawing,
            ),
            Self::ServerConfigured => blocking!(
                InternalError,
                Pending,
                Succeeded,
                Progressing,
                NotStarted,
                Ended,
                NothingWanted,
                NotObserved,
                Withdrawing,
            ),
            Self::DataTypesConfigured => blocking!(
                InternalError,
                Pending,
                Succeeded,
                Progressing,
                NotStarted,
                Ended,
                NotObserved,
                Withdrawing,
            ),
            Self::Activated => &[
                Reason::Active,
                Reason::NotInForce,
                Reason::ConsentWithdrawn,
                Reason::DisabledLocally,
                Reason::UnsupportedByDevice,
                Reason::WaitingForDevice,
                Reason::ProviderPending,
                Reason::ExclusiveGroupHeld,
                Reason::Waiting,
            ],
            Self::EvidenceLost => &[Reason::Recreated],
            Self::Online => &[
                Reason::Answered,
                Reason::NeverSeen,
                Reason::AlreadyClaimed,
                Reason::NotAllowed,
                Reason::Unreachable,
                Reason::TimedOut,
                Reason::TlsFailed,
                Reason::CertificateChanged,
                Reason::Busy,
                Reason::ProtocolError,
                Reason::Unauthorized,
                Reason::NotRegistered,
                Reason::NotHeardOf,
                Reason::ConsentWithdrawn,
            ],
            Self::SettingsApplied => blocking!(
                Pending,
                Succeeded,
                Progressing,
                Drifted,
                NothingWanted,
                NotStarted,
                NotObserved,
            ),
            Self::FirmwareCurrent | Self::ApplicationsInstalled => {
                blocking!(
                    Pending,
                    Succeeded,
                    Progressing,
                    NothingWanted,
                    NotStarted,
                    NotObserved,
                )
            }
            Self::Faulted => &[
                Reason::SuppliesEmpty,
                Reason::SuppliesLow,
                Reason::Jam,
                Reason::CoverOpen,
                Reason::ServiceNeeded,
                Reason::OtherFault,
            ],
            Self::Reachable => &[
                Reason::Pending,
                Reason::Answered,
                Reason::NeverSeen,
                Reason::Unreachable,
                Reason::TimedOut,
                Reason::TlsFailed,
                Reason::Busy,
                Reason::ProtocolError,
                Reason::NotAllowed,
            ],
            Self::Authenticated => &[
                Reason::Pending,
                Reason::Answered,
                Reason::Unauthorized,
                Reason::NeverSeen,
            ],
            Self::Calculated => &[
                Reason::Undecodable,
                Reason::Pending,
                Reason::Accruing,
                Reason::AmountFinal,
                Reason::NothingOwed,
                Reason::Voided,
                Reason::CompensationNameTaken,
                Reason::UnknownZone,
                Reason::UnsupportedValue,
            ],
            Self::Ordered => blocking!(
                Pending,
                Progressing,
                OrderPlaced,
                OrderRejected,
                ItemUnknown,
                OrderServerUnavailable,
                OutcomeUnknown,
                Cancelled,
            ),
            Self::Displayed => &[
                Reason::Pending,
                Reason::MessageShown,
                Reason::MessageSent,
                Reason::Cleared,
                Reason::NoDisplay,
                Reason::NoText,
                Reason::MessageRefused,
                Reason::DeviceOffline,
            ],
        }
    }
}
