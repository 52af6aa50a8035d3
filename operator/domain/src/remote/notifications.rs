//! Requests about the notifications of a printer and their answers (RFC 3995, RFC 3996), as values.
//!
//! Decides nothing. A *printer subscription* is what RFC 3995 calls a Per-Printer Subscription: the printer
//! keeps it for a time, its lease, and numbers the events in it.

use std::collections::BTreeSet;

use jiff::SignedDuration;

/// Event of a printer that is listened for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PrinterEvent {
    /// Its state or the reasons for it changed (`printer-state-changed`).
    StateChanged,
    /// A setting of it changed (`printer-config-changed`).
    ConfigChanged,
}

impl PrinterEvent {
    /// Every event.
    pub const ALL: [Self; 2] = [Self::StateChanged, Self::ConfigChanged];

    /// Returns the keyword of "notify-events" (RFC 3995 section 5.3.3.4).
    pub fn keyword(self) -> &'static str {
        match self {
            Self::StateChanged => "printer-state-changed",
            Self::ConfigChanged => "printer-config-changed",
        }
    }

    /// Returns the event that a keyword of "notify-subscribed-event" is about. A printer may name a part
    /// of the one that was subscribed to, such as `printer-stopped`, a word of its own, or nothing at all:
    /// each is a reason to look at its state. None if it is about something else than the printer.
    pub fn of_keyword(keyword: &str) -> Option<Self> {
        const OF_OTHERS: [&str; 4] = ["job-", "document-", "resource-", "system-"];
        match keyword {
            "printer-config-changed" | "printer-media-changed" | "printer-finishings-changed" => {
                Some(Self::ConfigChanged)
            }
            other if OF_OTHERS.iter().any(|it| other.starts_with(it)) => None,
            _ => Some(Self::StateChanged),
        }
    }
}

/// Request about the notifications of a printer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotificationRequest {
    /// Read the events that can be subscribed to, to be fetched by `ippget`.
    Support,
    /// Make a printer subscription (Create-Printer-Subscriptions).
    Subscribe {
        /// Events of it.
        events: BTreeSet<PrinterEvent>,
        /// Its lease.
        lease: SignedDuration,
    },
    /// Lengthen the lease of a printer subscription (Renew-Subscription).
    Renew {
        /// Id of it.
        subscription: i32,
        /// Its lease from now on.
        lease: SignedDuration,
    },
    /// End a printer subscription (Cancel-Subscription).
    Cancel {
        /// Id of it.
        subscription: i32,
    },
    /// Fetch the events of a printer subscription (Get-Notifications).
    Fetch {
        /// Id of it.
        subscription: i32,
        /// The lowest number of an event that is wanted.
        from: i32,
        /// True if the printer is to hold its answer until there is an event.
        waits: bool,
    },
}

impl NotificationRequest {
    /// True if it changes something at the printer.
    pub fn writes(&self) -> bool {
        match self {
            Self::Support | Self::Fetch { .. } => false,
            Self::Subscribe { .. } | Self::Renew { .. } | Self::Cancel { .. } => true,
        }
    }
}

/// Answer of a printer to a request about its notifications.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotificationAnswer {
    /// The events that can be subscribed to and fetched; none if the printer has no notifications.
    Support(BTreeSet<PrinterEvent>),
    /// The printer subscription was made.
    Subscribed {
        /// Id of it.
        subscription: i32,
        /// Its lease, where the printer tells it; zero is for ever.
        lease: Option<SignedDuration>,
    },
    /// The lease was lengthened.
    Renewed {
        /// The lease from now on, where the printer tells it; zero is for ever.
        lease: Option<SignedDuration>,
    },
    /// The printer subscription was ended.
    Cancelled,
    /// The events.
    Events(FetchedEvents),
    /// The printer has no such subscription.
    NoSuchSubscription,
    /// The printer keeps no further subscription.
    TooManySubscriptions,
}

/// Events that were fetched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchedEvents {
    /// The events, in the order of the answer.
    pub events: Vec<FetchedEvent>,
    /// Wait that the printer asks for before the next request ("notify-get-interval").
    pub interval: Option<SignedDuration>,
    /// True if the printer subscription has ended (`successful-ok-events-complete`).
    pub is_complete: bool,
}

/// An event that was fetched. What it says of the printer is not kept: it proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FetchedEvent {
    /// Id of the printer subscription that it belongs to, where it says so.
    pub subscription: Option<i32>,
    /// Its number, where it has one.
    pub number: Option<i32>,
    /// The event; `None` if it is one that nobody listens for.
    pub event: Option<PrinterEvent>,
}
