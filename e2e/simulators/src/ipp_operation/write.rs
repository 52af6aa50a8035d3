//! Set-Printer-Attributes and CUPS-Add-Modify-Printer.
//!
//! Decides whether a write is refused, in which form, and which part of it takes effect. Called by
//! the operations while they hold the state of the device.

use ipp::{attribute::IppAttribute, model::DelimiterTag, value::IppValue};

use crate::{
    attribute::{TAG_DELETE, TAG_NOT_SETTABLE, TAG_UNSUPPORTED, out_of_band, to_text},
    fault::{Effects, Rejection},
    ipp_message::{Message, Reply, operation, status},
    printer::{Device, OWN_ATTRIBUTES, State},
};

/// Result of an operation.
pub(super) struct Outcome {
    pub(super) reply: Reply,
    pub(super) committed: bool,
    pub(super) changed: bool,
    pub(super) needed: bool,
}

impl Outcome {
    pub(super) fn without_effect(reply: Reply) -> Self {
        Self {
            reply,
            committed: false,
            changed: false,
            needed: false,
        }
    }
}

/// Reason why one attribute of a write is refused.
enum Refusal {
    NotSettable,
    Unsupported,
    Value(IppValue),
}

impl Device {
    /// Sets attributes: all of the request, or none (RFC 3380 section 4.1).
    pub(super) fn set(&self, state: &mut State, message: &Message, effects: &Effects) -> Outcome {
        let attributes = message.printer_attributes();
        if attributes.is_empty() {
            let reply = Reply::new(message.header, status::BAD_REQUEST, "no attributes to set");
            return Outcome::without_effect(reply);
        }
        let cups = message.code() == operation::CUPS_ADD_MODIFY_PRINTER;
        let needed = attributes.iter().any(|a| !self.is_in_effect(state, a));
        if let Some(refused) = self.refusal(message, attributes, cups, effects) {
            return Outcome {
                needed,
                ..Outcome::without_effect(refused)
            };
        }
        let mut changed = false;
        for attribute in attributes {
            if effects.leaves_out(attribute.name()) || self.is_in_effect(state, attribute) {
                continue;
            }
            changed = true;
            if let Some(index) = self.model.settable(attribute.name()) {
                let delete = is_delete(attribute.value());
                state.settings[index] = (!delete).then(|| attribute.value().clone());
            } else {
                state.message = to_text(attribute.value());
            }
        }
        if changed {
            state.configured();
        }
        let reply = Reply::new(message.header, status::OK, "");
        let all_left_out = attributes.iter().all(|a| effects.leaves_out(a.name()));
        Outcome {
            reply,
            committed: !all_left_out,
            changed,
            needed,
        }
    }

    /// Returns the answer that refuses a write as a whole; `None` if it is to be carried out.
    fn refusal(
        &self,
        message: &Message,
        attributes: &[IppAttribute],
        cups: bool,
        effects: &Effects,
    ) -> Option<Reply> {
        let mut refused: Vec<(&str, Refusal)> = Vec::new();
        let mut silent = false;
        if let Some((names, rejection)) = &effects.reject {
            silent = *rejection == Rejection::Silent;
            let listed = |a: &&IppAttribute| {
                names.is_empty() || names.iter().any(|n| n == a.name().as_str())
            };
            refused.extend(attributes.iter().filter(listed).map(|a| {
                let refusal = match rejection {
                    Rejection::NotSupported => Refusal::Value(a.value().clone()),
                    Rejection::NotSettable | Rejection::Silent => Refusal::NotSettable,
                };
                (a.name().as_str(), refusal)
            }));
        } else {
            let each = attributes.iter();
            refused.extend(each.filter_map(|a| Some((a.name().as_str(), self.check(a, cups)?))));
        }
        if refused.is_empty() {
            return None;
        }
        let only_settable = refused
            .iter()
            .all(|(_, r)| matches!(r, Refusal::NotSettable));
        let (code, text) = match (silent, only_settable) {
            (true, _) => (status::OK, ""),
            (false, true) => (status::NOT_SETTABLE, "attributes are not settable"),
            (false, false) => (
                status::NOT_SUPPORTED,
                "attributes or values are not supported",
            ),
        };
        let mut reply = Reply::new(message.header, code, text);
        reply.group(DelimiterTag::UnsupportedAttributes);
        for (name, refusal) in refused {
            match refusal {
                Refusal::NotSettable => reply.attribute(name, &out_of_band(TAG_NOT_SETTABLE)),
                Refusal::Unsupported => reply.attribute(name, &out_of_band(TAG_UNSUPPORTED)),
                Refusal::Value(value) => reply.attribute(name, &value),
            }
        }
        Some(reply)
    }

    fn check(&self, attribute: &IppAttribute, cups: bool) -> Option<Refusal> {
        let name = attribute.name().as_str();
        let value = attribute.value();
        if let Some(index) = self.model.settable(name) {
            let fits = is_delete(value) || self.model.settable[index].syntax.takes(value);
            return (!fits).then(|| Refusal::Value(value.clone()));
        }
        if cups && name == "printer-state-message" {
            let fits = matches!(value, IppValue::TextWithoutLanguage(_));
            return (!fits).then(|| Refusal::Value(value.clone()));
        }
        let known = self.model.fixed(name).is_some() || OWN_ATTRIBUTES.contains(&name);
        Some(if known {
            Refusal::NotSettable
        } else {
            Refusal::Unsupported
        })
    }

    fn is_in_effect(&self, state: &State, attribute: &IppAttribute) -> bool {
        let Some(index) = self.model.settable(attribute.name()) else {
            return attribute.name().as_str() == "printer-state-message"
                && state.message == to_text(attribute.value());
        };
        match &state.settings[index] {
            None => is_delete(attribute.value()),
            Some(value) => self.model.settable[index]
                .syntax
                .same(value, attribute.value()),
        }
    }
}

fn is_delete(value: &IppValue) -> bool {
    matches!(
        value,
        IppValue::Other {
            tag: TAG_DELETE,
            ..
        }
    )
}
