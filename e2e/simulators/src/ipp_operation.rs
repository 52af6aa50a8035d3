//! The IPP operations of a simulated printer over HTTP.
//!
//! Decides the answer to one request: HTTP rules, message rules, faults, then the operation
//! (RFC 8011, RFC 3380, PWG 5100.13). Every request that could be parsed is in the ledger before its
//! answer leaves. Called by the listener.

mod write;

use std::sync::Arc;

use bytes::BytesMut;
use http::{Method, StatusCode};
use ipp::{model::DelimiterTag, value::IppValue};

use write::Outcome;

use super::{
    attribute::{one_or_more, put, to_text},
    fault::{Effects, Subject},
    ipp_message::{Message, Reply, is_write, operation, operation_name, status},
    ledger::{AttributeValue, Cause, PeerKind, Record},
    listener::{Answer, Received, Service, response},
    model::Group,
    odd::{self, Truth},
    printer::{Device, OWN_ATTRIBUTES, State},
};

/// Attributes of identity and state: a request for these alone reads no setting.
const PROBE_ATTRIBUTES: [&str; 23] = [
    "printer-uuid",
    "printer-name",
    "printer-device-id",
    "printer-make-and-model",
    "printer-state",
    "printer-state-reasons",
    "printer-state-message",
    "printer-is-accepting-jobs",
    "printer-up-time",
    "printer-current-time",
    "printer-config-change-time",
    "operations-supported",
    "ipp-versions-supported",
    "printer-settable-attributes-supported",
    "printer-firmware-name",
    "printer-firmware-string-version",
    "printer-alert",
    "printer-alert-description",
    "printer-supply",
    "printer-supply-description",
    "printer-impressions-completed",
    "natural-language-configured",
    "identify-actions-supported",
];

impl Service for Device {
    fn answer(self: &Arc<Self>, request: Received) -> Answer {
        if !self.paths.iter().any(|path| path == request.uri.path()) {
            return Answer::now(response(StatusCode::NOT_FOUND, "text/plain", "not found\n"));
        }
        if request.method != Method::POST {
            let refused = response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "POST only\n");
            return Answer::now(refused);
        }
        let media_type = request
            .header("content-type")
            .and_then(|t| t.split(';').next());
        if media_type != Some("application/ipp") {
            let refused = response(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "text/plain",
                "not IPP\n",
            );
            return Answer::now(refused);
        }
        let authorized = self.authorization.is_none()
            || request.header("authorization") == self.authorization.as_deref();
        let Some(message) = Message::parse(request.body) else {
            return Answer::now(response(StatusCode::BAD_REQUEST, "text/plain", "not IPP\n"));
        };
        let names: Vec<&str> = message
            .printer_attributes()
            .iter()
            .map(|a| a.name().as_str())
            .collect();
        let operation = operation_name(message.code());
        let write = is_write(message.code());
        let mut effects = self.faults.meet(&Subject {
            operation: &operation,
            write,
            names: &names,
        });
        if !authorized {
            effects.http_status = Some((401, None));
        }
        let delay = self.latency + effects.slow.unwrap_or_default();
        self.decide(&message, &effects).after(delay)
    }
}

impl Device {
    fn decide(self: &Arc<Self>, message: &Message, effects: &Effects) -> Answer {
        let mut line = self.line(message);
        if let Some((status, answer)) = Answer::of_fault(effects) {
            line.http_status = status;
            self.ledger.append(line);
            return answer;
        }
        if let Some(offline) = effects.reboot {
            self.ledger.append(line);
            self.reboot_now(offline);
            return Answer::dropped();
        }
        let mut state = self.state();
        line.key = Arc::clone(&state.uuid);
        let odd = effects.odd.as_deref().and_then(odd::row);
        let in_vain = odd.is_some_and(|odd| !odd.carries_out());
        let outcome = if effects.busy {
            let busy = Reply::new(message.header, status::BUSY, "busy");
            Outcome::without_effect(busy)
        } else if let Some((code, text)) = message.flaw().or_else(|| self.wrong_target(message)) {
            Outcome::without_effect(Reply::new(message.header, code, text))
        } else if in_vain {
            Outcome::without_effect(Reply::new(message.header, status::OK, ""))
        } else {
            self.operate(&mut state, message, effects)
        };
        line.committed = outcome.committed;
        line.changed = outcome.changed;
        line.needed = outcome.needed;
        if effects.reset_after_commit {
            self.ledger.append(line);
            return Answer::dropped();
        }
        if let Some(odd) = odd {
            let answer = Answer::odd(odd.sent(&Truth {
                version: message.header.version.0.to_be_bytes(),
                id: message.header.request_id,
                asked: &self.asked(&state, message),
            }));
            line.http_status = answer.response.as_ref().map(|it| it.status().as_u16());
            self.ledger.append(line);
            return answer;
        }
        line.http_status = Some(200);
        line.ipp_status = Some(outcome.reply.status);
        self.ledger.append(line);
        Answer::now(response(
            StatusCode::OK,
            "application/ipp",
            outcome.reply.finish(),
        ))
    }

    /// Returns the ledger line of a request before its outcome is known.
    fn line(&self, message: &Message) -> Record {
        let code = message.code();
        let write = is_write(code);
        let requested = requested(message);
        let attributes: Vec<AttributeValue> = match code {
            operation::GET_PRINTER_ATTRIBUTES => requested
                .iter()
                .map(|name| AttributeValue::name_only(*name))
                .collect(),
            operation::IDENTIFY_PRINTER => ["identify-actions", "message"]
                .iter()
                .filter_map(|n| Some((n, message.operation_attribute(n)?)))
                .map(|(name, value)| AttributeValue::new(*name, to_text(value)))
                .collect(),
            _ => message
                .printer_attributes()
                .iter()
                .map(|a| AttributeValue::new(a.name().as_str(), to_text(a.value())))
                .collect(),
        };
        let probe = code == operation::GET_PRINTER_ATTRIBUTES
            && !requested.is_empty()
            && requested.iter().all(|name| PROBE_ATTRIBUTES.contains(name));
        Record {
            peer: PeerKind::Device,
            cause: Cause::Request,
            name: Arc::clone(&self.name),
            operation: operation_name(code),
            write,
            probe,
            key: Arc::clone(&self.state().uuid),
            digest: message.digest(),
            originating_identity: None,
            http_status: None,
            ipp_status: None,
            committed: false,
            changed: false,
            needed: false,
            attributes: attributes.into(),
        }
    }

    /// RFC 8011 section 4.1.5: the target is the third operation attribute and is ours.
    fn wrong_target(&self, message: &Message) -> Option<(u16, &'static str)> {
        match message.operation_attribute("printer-uri") {
            Some(IppValue::Uri(uri)) => {
                let uri: Option<http::Uri> = uri.as_str().parse().ok();
                let ours = |uri: &http::Uri| self.paths.iter().any(|path| path == uri.path());
                let found = uri.as_ref().is_some_and(ours);
                (!found).then_some((status::NOT_FOUND, "no printer of that printer-uri"))
            }
            _ => Some((status::BAD_REQUEST, "printer-uri is missing")),
        }
    }

    fn operate(&self, state: &mut State, message: &Message, effects: &Effects) -> Outcome {
        let writes = self.model.writes;
        match message.code() {
            operation::GET_PRINTER_ATTRIBUTES => Outcome::without_effect(self.get(state, message)),
            operation::IDENTIFY_PRINTER => {
                let text = message.operation_attribute("message").map(to_text);
                state.display(text.unwrap_or_default());
                Outcome::without_effect(Reply::new(message.header, status::OK, ""))
            }
            operation::SET_PRINTER_ATTRIBUTES if writes.set_printer_attributes => {
                self.set(state, message, effects)
            }
            operation::CUPS_ADD_MODIFY_PRINTER if writes.cups_add_modify_printer => {
                self.set(state, message, effects)
            }
            _ => {
                let reply = Reply::new(message.header, status::OPERATION, "not supported");
                Outcome::without_effect(reply)
            }
        }
    }

    /// Returns every attribute that is asked for by its name, as it is on the wire.
    fn asked(&self, state: &State, message: &Message) -> Vec<(String, Vec<u8>)> {
        let names = requested(message).into_iter();
        let wire = |name: &str| {
            let mut wire = BytesMut::new();
            put(&mut wire, name, &*self.value(state, name)?);
            Some((name.to_owned(), wire.to_vec()))
        };
        names.filter_map(wire).collect()
    }

    fn get(&self, state: &State, message: &Message) -> Reply {
        let requested = requested(message);
        let mut reply = Reply::new(message.header, status::OK, "");
        reply.group(DelimiterTag::PrinterAttributes);
        let asks = |name: &str| requested.contains(&name);
        let all = requested.is_empty() || asks("all");
        let (description, template) = (
            all || asks("printer-description"),
            all || asks("job-template"),
        );
        let whole = |group| match group {
            Group::Description => description,
            Group::JobTemplate => template,
            Group::OnlyByName => false,
        };
        for fixed in &self.model.fixed {
            if (whole(fixed.group) || asks(fixed.name)) && !state.changed.contains_key(fixed.name) {
                reply.encoded(&fixed.wire);
            }
        }
        let others = OWN_ATTRIBUTES
            .into_iter()
            .chain(self.model.settable.iter().map(|s| s.name.as_str()))
            .filter(|name| !state.changed.contains_key(*name));
        for name in others.chain(state.changed.keys().map(String::as_str)) {
            let group = self
                .model
                .fixed(name)
                .map_or(Group::Description, |f| f.group);
            if (whole(group) || asks(name))
                && let Some(value) = self.value(state, name)
            {
                reply.attribute(name, &value);
            }
        }
        reply
    }
}

/// Returns the names in requested-attributes; empty if it is absent.
fn requested(message: &Message) -> Vec<&str> {
    let values = message
        .operation_attribute("requested-attributes")
        .map(one_or_more);
    let names = values
        .unwrap_or_default()
        .iter()
        .filter_map(|value| match value {
            IppValue::Keyword(name) => Some(name.as_str()),
            _ => None,
        });
    names.collect()
}
