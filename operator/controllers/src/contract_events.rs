//! Events of outside contract systems (B2, K4; api-contracts section 2): who sends them, and the
//! objects that they become.
//!
//! It decides nothing of a contract: an event becomes an object as if a person had applied it. It
//! must never make an object that its sender may not make, make one twice, or keep or tell a token.
//! Called by the events endpoint of the binary.

use std::sync::Arc;

use entente_crds::{GROUP, v1alpha1::Contract};
use entente_domain::contract_event::{ContractEvent, EventObject, EventType, Refusal, is_label};
use http::{Request, header};
use kube::{Api, Client, core::Status};
use serde_json::Value;
use tracing::{info, warn};

pub use crate::callers::Caller;
pub use entente_domain::contract_event::{MOST_BYTES, Problem};

use crate::{
    api_error,
    callers::{CallerFault, Callers, Wish, bearer},
    metrics::Metrics,
};

/// The word in metrics for an event that was refused before its type was read.
const UNREAD: &str = "unread";

/// The events of one operator.
pub struct ContractEvents {
    client: Client,
    callers: Callers,
    metrics: Arc<Metrics>,
}

/// An event as it came, from a caller that is known.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The namespace in the path.
    pub namespace: &'a str,
    /// The header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// The object that an event became.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its path at the API server.
    pub location: String,
    /// False if the same event had made it before.
    pub is_new: bool,
}

impl ContractEvents {
    /// Makes the object of events from what it needs. Sends nothing.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self {
            callers: Callers::new(client.clone()),
            client,
            metrics,
        }
    }

    /// Returns the caller of a request, by its header `Authorization`.
    pub async fn caller(&self, authorization: Option<&str>) -> Result<Caller, Problem> {
        let token = authorization.and_then(bearer);
        self.callers.identify(token).await.map_err(problem)
    }

    /// Makes the object of an event, once.
    pub async fn take(&self, caller: &Caller, received: Received<'_>) -> Result<Taken, Problem> {
        let event = read(received);
        let r#type = event.as_ref().ok().map(|event| event.r#type);
        let taken = match &event {
            Ok(event) => self.make(caller, received.namespace, event).await,
            Err(problem) => Err(problem.clone()),
        };
        if let Err(problem) = &taken {
            let (namespace, sender) = (received.namespace, caller.user());
            let pointer = problem.faults.first().map(|fault| &*fault.pointer);
            let reason = problem.reason;
            info!(namespace, sender, reason, pointer, "refused an event");
        }
        let code = match &taken {
            Ok(taken) if taken.is_new => 201,
            Ok(_) => 200,
            Err(problem) => problem.status,
        };
        self.count(r#type, code);
        taken
    }

    /// Counts a request that was refused before its event was read.
    pub fn refused(&self, problem: &Problem) {
        self.count(None, problem.status);
    }

    fn count(&self, r#type: Option<EventType>, code: u16) {
        let r#type = r#type.map_or(UNREAD, EventType::word);
        self.metrics.contract_event(r#type, code);
    }

    async fn make(
        &self,
        caller: &Caller,
        namespace: &str,
        event: &ContractEvent,
    ) -> Result<Taken, Problem> {
        let plural = event.r#type.plural();
        let wish = Wish {
            verb: "create",
            resource: plural,
            namespace: Some(namespace.to_owned()),
        };
        if !self.callers.may(caller, wish).await.map_err(problem)? {
            return Err(Problem::forbidden(caller.user(), plural, namespace));
        }
        let object = event.object(namespace, caller.user())?;
        if object.needs_contract {
            self.find_contract(namespace, &event.contract).await?;
        }
        let collection = format!("/apis/{GROUP}/v1alpha1/namespaces/{namespace}/{plural}");
        let is_new = match self.post(&collection, &object).await {
            Ok(()) => true,
            Err(refusal) if refusal.is_already_exists() => {
                self.compare(&collection, &object).await?;
                false
            }
            Err(refusal) => return Err(event.refused(&object, namespace, &refusal)),
        };
        let (kind, name) = (object.kind, object.name);
        let sender = caller.user();
        info!(namespace, kind, name, sender, is_new, "took an event");
        Ok(Taken {
            location: format!("{collection}/{name}"),
            kind,
            name,
            is_new,
        })
    }

    async fn find_contract(&self, namespace: &str, name: &str) -> Result<(), Problem> {
        let contracts: Api<Contract> = Api::namespaced(self.client.clone(), namespace);
        match contracts.get_metadata(name).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if is_not_found(&status) => {
                Err(Problem::contract_not_found(name, namespace))
            }
            Err(error) => Err(refusal(&error).unavailable()),
        }
    }

    async fn post(&self, collection: &str, object: &EventObject) -> Result<(), Refusal> {
        // A field that the kind does not have is a fault of the event, never dropped.
        let target = format!("{collection}?fieldManager=entente-events&fieldValidation=Strict");
        let request = Request::post(target)
            .header(header::CONTENT_TYPE, "application/json")
            .body(object.object.to_string().into_bytes());
        let made = match request {
            Ok(request) => self.client.request::<Value>(request).await,
            Err(error) => Err(kube::Error::HttpError(error)),
        };
        made.map(|_| ()).map_err(|error| refusal(&error))
    }

    /// Checks that the object of that name is that of the same event.
    async fn compare(&self, collection: &str, object: &EventObject) -> Result<(), Problem> {
        let request = Request::get(format!("{collection}/{}", object.name)).body(Vec::new());
        let found: Result<Value, _> = match request {
            Ok(request) => self.client.request(request).await,
            Err(error) => Err(kube::Error::HttpError(error)),
        };
        // One that was deleted since, or cannot be read now, is found or made the next time.
        let found = found.map_err(|error| refusal(&error).unavailable())?;
        if found["metadata"]["deletionTimestamp"].is_string() {
            return Err(Refusal::default().unavailable());
        }
        object.check(&found)
    }
}

fn problem(fault: CallerFault) -> Problem {
    match fault {
        CallerFault::Unknown => Problem::unauthorized(),
        CallerFault::Unavailable | CallerFault::NotAllowed => Refusal::default().unavailable(),
    }
}

/// Reads the event of a request whose path can be one of a namespace.
fn read(received: Received<'_>) -> Result<ContractEvent, Problem> {
    if !is_label(received.namespace) {
        return Err(Problem::namespace_not_found(received.namespace));
    }
    ContractEvent::parse(received.content_type, received.body)
}

/// True if the API server has looked for the object; a path that it does not serve names none.
fn is_not_found(status: &Status) -> bool {
    let names_one = |details: &kube::core::response::StatusDetails| !details.name.is_empty();
    status.code == 404 && status.details.as_ref().is_some_and(names_one)
}

fn refusal(error: &kube::Error) -> Refusal {
    let kube::Error::Api(status) = error else {
        let error = api_error::words(error);
        warn!(error, "the API server did not answer for an event");
        return Refusal::default();
    };
    if status.code >= 500 || status.code == 403 {
        let error = api_error::words(error);
        warn!(error, "the API server refused the object of an event");
    }
    let details = status.details.as_ref();
    let causes = details.into_iter().flat_map(|details| &details.causes);
    Refusal {
        code: status.code,
        reason: status.reason.clone(),
        message: status.message.clone(),
        of: details
            .map(|details| details.kind.clone())
            .unwrap_or_default(),
        causes: causes
            .map(|cause| (cause.field.clone(), cause.message.clone()))
            .collect(),
        retry_after: details.map_or(0, |details| details.retry_after_seconds),
    }
}

#[cfg(test)]
mod tests;
