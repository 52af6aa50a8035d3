//! The order that follows an occurrence of an error, or the reason for none (A2, A10, C11).
//!
//! One order for each occurrence, of the provider that acted when it began, and none while an order for the
//! same supply is open. A decision that was made stays as it is, and is carried out: the order is on record
//! also when the error ended before that.

use entente_crds::v1alpha1::{
    DeviceError, DeviceErrorOrder, DeviceModelSpec, ErrorState, ErrorType, ErrorUnit,
    ExclusiveHold, NotOrdered, NotOrderedReason, OrderWhen, Supply,
};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{occurrence::Tracked, supply::Untold};

/// The most orders for one supply of a device within [`COUNTED`]: what a device says of itself, once it lies or
/// is stolen, would cost without end.
const MOST_ORDERS: usize = 3;
/// The time in which orders for one supply are counted.
const COUNTED: SignedDuration = SignedDuration::from_hours(24);

/// A service on the device that orders supplies, as it is in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// Name of its ServiceSubscription.
    pub subscription: String,
    /// Name of its SmartService.
    pub service: String,
    /// The exclusive group of that.
    pub group: Option<String>,
}

/// An order that is known, for the same device.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownOrder {
    /// Name of the SupplyOrder.
    pub name: String,
    /// Its lines.
    pub lines: Vec<KnownLine>,
    /// Id that the order server gave.
    pub id: Option<String>,
    /// The instant at which it was recorded.
    pub created: Option<Timestamp>,
    /// True until it is delivered, cancelled, rejected, or replaced.
    pub is_open: bool,
    /// True if it was cancelled or rejected: nothing will come.
    pub is_void: bool,
    /// True if it cannot be read: the rest is as much of it as can be, and without lines it may be for any
    /// supply that its name allows.
    pub is_unreadable: bool,
}

/// A line of an order that is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownLine {
    /// Name of the supply in the model that the order was made by.
    pub supply: Option<String>,
    /// Its part number.
    pub part_number: String,
}

impl KnownLine {
    /// True if a line is for a supply, by those of the model. One that names none of them is for that of its
    /// part.
    pub fn is_for(&self, unit: &str, supplies: &[Supply]) -> bool {
        let of = |name: &str| supplies.iter().find(|it| it.name == name);
        match self.supply.as_deref() {
            Some(supply) if supply == unit || of(supply).is_some() => supply == unit,
            _ => of(unit).is_some_and(|supply| supply.part_number == self.part_number),
        }
    }
}

/// Facts by which an order is decided.
#[derive(Clone, Copy)]
pub struct OrderFacts<'a> {
    /// Name of the Device.
    pub device: &'a str,
    /// Its model.
    pub model: &'a DeviceModelSpec,
    /// The services in force that order supplies, in order of precedence.
    pub providers: &'a [Provider],
    /// True for a SmartService that orders supplies.
    pub orders_supplies: &'a dyn Fn(&str) -> bool,
    /// The holders of exclusive groups.
    pub holds: &'a [ExclusiveHold],
    /// The orders that exist.
    pub orders: &'a [KnownOrder],
    /// The instant of the decision, by the clock of the operator.
    pub now: Timestamp,
}

/// Decides about the orders of all entries, one after another: each sees the orders that were decided on
/// before it.
pub fn decide(tracked: &[Tracked], facts: &OrderFacts<'_>) -> Vec<DeviceError> {
    let mut entries: Vec<DeviceError> = tracked.iter().map(|it| it.error.clone()).collect();
    for (index, found) in tracked.iter().enumerate() {
        let mut entry = entries[index].clone();
        facts.note_record(&mut entry);
        if entry.state == ErrorState::Open && entry.occurrence > 0 && !facts.is_decided(&entry) {
            // A closed order of this number is one of an earlier Device of this name.
            while facts.is_over(&order_name(facts.device, &entry)) {
                entry.occurrence += 1;
            }
            match facts.order(&entry, found, &entries) {
                Ok(order) => {
                    entry.order = Some(order);
                    entry.not_ordered = None;
                }
                Err(none) => entry.not_ordered = Some(none),
            }
        }
        entries[index] = entry;
    }
    entries
}

/// True if the SupplyOrder for the last occurrence of an error has to be made: it was decided on, and has no id.
/// For an occurrence that is over it is made once, so that a record which was deleted later stays so, and not
/// after the supply was seen replaced: that would have closed it.
pub fn is_owed(device: &str, error: &DeviceError) -> bool {
    // That of an earlier occurrence stays until another one is decided on.
    let of_this = |name: &str| name == order_name(device, error);
    let order = error.order.as_ref();
    let is_decided = order.is_some_and(|it| it.id.is_none() && of_this(&it.name));
    is_decided && (error.state == ErrorState::Open || is_unrecorded(error))
}

/// True if an order was decided on and not made, and is still needed.
pub(super) fn is_unrecorded(error: &DeviceError) -> bool {
    let order = error.order.as_ref();
    order.is_some_and(|order| !order.is_recorded()) && error.replaced.is_none()
}

/// Returns the name of the SupplyOrder for the occurrence of an error: device, type, unit and number.
pub fn order_name(device: &str, error: &DeviceError) -> String {
    let mut name = format!("{device}.{}", kebab(&error.r#type));
    if let Some(unit) = &error.unit {
        name.push('.');
        name.push_str(&label(unit));
    }
    format!("{name}.{}", error.occurrence)
}

/// Returns a name such as TonerEmpty as toner-empty.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// Returns the name of a supply as a part of an object's name. One that has to be changed for that gets a
/// part of its digest, so that two never become one.
fn label(unit: &str) -> String {
    let of = |character: char| match character {
        'a'..='z' | '0'..='9' | '-' => character,
        'A'..='Z' => character.to_ascii_lowercase(),
        _ => '-',
    };
    let text: String = unit.chars().map(of).collect();
    if text == unit {
        return text;
    }
    let digest = hex::encode(&Sha256::digest(unit.as_bytes())[..4]);
    format!("{text}-{digest}")
}

impl OrderFacts<'_> {
    /// True if an order for this very occurrence was decided on.
    fn is_decided(&self, entry: &DeviceError) -> bool {
        let name = order_name(self.device, entry);
        entry.order.as_ref().is_some_and(|order| order.name == name)
    }

    /// True if the order of a name exists and is closed.
    fn is_over(&self, name: &str) -> bool {
        let mut orders = self.orders.iter();
        orders.any(|known| known.name == name && !known.is_open)
    }

    /// Notes that the order exists, with the id that the order server gave.
    fn note_record(&self, entry: &mut DeviceError) {
        let Some(order) = &mut entry.order else {
            return;
        };
        let mut orders = self.orders.iter();
        let Some(known) = orders.find(|known| known.name == order.name) else {
            return;
        };
        order.recorded = true;
        if let Some(id) = known.id.as_deref() {
            order.id = Some(id.into());
        }
    }

    fn order(
        &self,
        entry: &DeviceError,
        found: &Tracked,
        entries: &[DeviceError],
    ) -> Result<DeviceErrorOrder, NotOrdered> {
        let mut types = self.model.errors.iter();
        let r#type = types.find(|it| it.r#type == entry.r#type);
        wanted(r#type, entry, found)?;
        let Some(unit) = entry.unit.as_deref() else {
            return Err(unknown(found.untold.as_ref(), entry));
        };
        if let Some(open) = self.open_order(unit, entry, entries) {
            return Err(open);
        }
        self.check_number(unit)?;
        let provider = self.provider(entry.since).ok_or_else(|| {
            let message = "no service that orders supplies is in force on the device";
            not(NotOrderedReason::NoActiveService, message)
        })?;
        Ok(DeviceErrorOrder {
            name: order_name(self.device, entry),
            subscription: provider.0,
            service: provider.1,
            id: None,
            recorded: false,
        })
    }

    /// Returns the reason by which an order for a supply that is open holds another one back: one that exists,
    /// one that was decided on and does not exist yet, or one that cannot be read.
    fn open_order(
        &self,
        unit: &str,
        entry: &DeviceError,
        entries: &[DeviceError],
    ) -> Option<NotOrdered> {
        let is_open = |it: &&KnownOrder| it.is_open && self.may_be_for(it, unit);
        let open = || self.orders.iter().filter(is_open);
        let exists = |name: &str| self.orders.iter().any(|known| known.name == name);
        let decided = entries
            .iter()
            .filter(|it| it.unit.as_deref() == Some(unit) && it.key != entry.key)
            .filter(|it| it.state == ErrorState::Open || is_owed(self.device, it))
            .filter_map(|it| it.order.as_ref())
            .find(|order| !exists(&order.name));
        let read = open().find(|it| !it.is_unreadable);
        let name = read
            .map(|it| &it.name)
            .or_else(|| decided.map(|it| &it.name));
        if let Some(name) = name {
            let message = format!("the order {name} for {unit} is open");
            return Some(not(NotOrderedReason::OpenOrderExists, &message));
        }
        let unreadable = &open().next()?.name;
        let message =
            format!("the SupplyOrder {unreadable} cannot be read, and may be open for {unit}");
        Some(not(NotOrderedReason::OrderUnreadable, &message))
    }

    /// Checks that not too many orders for a supply were recorded of late.
    fn check_number(&self, unit: &str) -> Result<(), NotOrdered> {
        let is_recent = |at: Timestamp| self.now.duration_since(at) < COUNTED;
        let mut created: Vec<Timestamp> = self
            .orders
            .iter()
            .filter(|it| self.may_be_for(it, unit))
            .filter_map(|it| it.created.filter(|at| is_recent(*at)))
            .collect();
        created.sort_unstable();
        let Some(first) = created.len().checked_sub(MOST_ORDERS) else {
            return Ok(());
        };
        let again = created[first].saturating_add(COUNTED);
        let again = again.unwrap_or(Timestamp::MAX);
        let message = format!(
            "{} orders for {unit} were recorded within {COUNTED:#}, and more than {MOST_ORDERS} are not; the \
             next one is from {again:.0} on",
            created.len()
        );
        Err(not(NotOrderedReason::TooManyOrders, &message))
    }

    /// True if an order is for a supply, or may be since it cannot be read: the name of one for an error says
    /// for which supply it is, that of any other says nothing.
    fn may_be_for(&self, known: &KnownOrder, unit: &str) -> bool {
        if !known.is_unreadable || !known.lines.is_empty() {
            return known
                .lines
                .iter()
                .any(|line| line.is_for(unit, &self.model.supplies));
        }
        let name = known.name.strip_prefix(self.device);
        let labels = name.and_then(|name| name.strip_prefix('.'));
        let labels: Vec<&str> = labels.into_iter().flat_map(|it| it.split('.')).collect();
        match labels[..] {
            [_, supply, number] if number.parse::<i64>().is_ok() => supply == label(unit),
            _ => true,
        }
    }

    /// Returns subscription and service of the provider that acted at an instant; where nobody did, of the
    /// one that acts now: an error from before a contract is ordered for when it begins.
    fn provider(&self, at: Timestamp) -> Option<(String, String)> {
        let held = self.holds.iter().filter_map(|hold| holder(hold, at));
        let mut held = held.filter(|(_, service)| (self.orders_supplies)(service));
        if let Some((subscription, service)) = held.next() {
            return Some((subscription.to_owned(), service.to_owned()));
        }
        let is_held = |group: &str| self.holds.iter().any(|hold| hold.group == group);
        let mut providers = self.providers.iter();
        // A group that nobody holds yet is no reason to order nothing, one that another holds is.
        let provider = providers.find(|it| !it.group.as_deref().is_some_and(is_held))?;
        Some((provider.subscription.clone(), provider.service.clone()))
    }
}

/// Checks that the model wants an order for an occurrence.
fn wanted(
    r#type: Option<&ErrorType>,
    entry: &DeviceError,
    found: &Tracked,
) -> Result<(), NotOrdered> {
    let order = r#type.filter(|it| it.unit == ErrorUnit::Supply);
    let Some(order) = order.and_then(|it| it.order.as_ref()) else {
        let message = format!("the model has no order for {}", entry.r#type);
        return Err(not(NotOrderedReason::NotRequested, &message));
    };
    if order.when == OrderWhen::Requested && !found.is_order_requested {
        let message = "the device has not requested an order, and the model has one only then";
        return Err(not(NotOrderedReason::NotRequested, message));
    }
    Ok(())
}

fn unknown(untold: Option<&Untold>, entry: &DeviceError) -> NotOrdered {
    let candidates = match untold {
        Some(Untold::Candidates(candidates)) => &candidates[..],
        Some(Untold::Stranger(_)) | None => &[],
    };
    let message = match untold {
        Some(Untold::Stranger(name)) => {
            format!("the device names {name}, which is none of spec.supplies of the DeviceModel")
        }
        _ if !candidates.is_empty() => {
            let candidates = candidates.join(", ");
            format!("the device does not tell which supply it is; it may be {candidates}")
        }
        // A look that failed has nothing to tell: what was told before stays.
        _ => match &entry.not_ordered {
            Some(before) if before.reason == NotOrderedReason::SupplyUnknown => {
                return before.clone();
            }
            _ => "none of spec.supplies of the DeviceModel goes with it".to_owned(),
        },
    };
    not(NotOrderedReason::SupplyUnknown, &message)
}

fn not(reason: NotOrderedReason, message: &str) -> NotOrdered {
    NotOrdered {
        reason,
        message: message.into(),
    }
}

/// Returns subscription and service of the holder of a group at an instant, or of the one that holds it now
/// if nobody did then.
fn holder(hold: &ExclusiveHold, at: Timestamp) -> Option<(&str, &str)> {
    let mut before = hold.before.iter();
    let former = before.find(|it| it.since <= at && at < it.until);
    let former = former.map(|it| (it.holder.as_str(), it.service.as_str()));
    let now = || Some((hold.holder.as_str(), hold.service.as_deref()?));
    former.filter(|_| hold.since > at).or_else(now)
}
