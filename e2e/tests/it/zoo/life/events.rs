//! The actions of people in a life, and what they change: objects, and so backoffs.

use std::sync::Arc;

use entente_crds::ANNOTATION_RECONCILE_AT;
use entente_simulators::zoo::Action;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::Life;
use super::surroundings::{CONTRACT, SERVICE};

impl Life {
    /// Does what people do until now.
    pub(super) fn act(&mut self) {
        while self.events.first().is_some_and(|(at, _)| *at <= self.now) {
            let (_, event) = self.events.remove(0);
            match event.action {
                Action::Edit { parameter, value } => self.edit(&parameter, &value),
                Action::Plan(plan) => self.edit_service(|server| server.plan = plan),
                Action::Activation(value) => self.edit_service(|server| {
                    if let Some(activation) = &mut server.activation {
                        activation.active = value;
                    }
                }),
                Action::End => self.end(),
                Action::Look => {
                    if let Some((_, until)) = &mut self.catalog {
                        *until = Timestamp::MIN;
                    }
                }
                Action::Reconcile => self.reconcile(),
            }
            self.backoffs.clear_all();
            self.wake = Some(self.now);
        }
    }

    /// Appends a revision, as the contract controller does for an edit.
    fn edit(&mut self, parameter: &str, value: &str) {
        let now = self.now;
        let Some(object) = self.snapshot.subscriptions.first_mut() else {
            return;
        };
        let object = Arc::make_mut(object);
        object.metadata.generation = object.metadata.generation.map(|one| one + 1);
        let revisions = &mut object.spec.revisions;
        let last = revisions.last_mut().expect("a subscription has an entry");
        let mut next = (**last).clone();
        next.effective = now;
        next.parameters
            .insert(parameter.to_owned(), value.to_owned());
        Arc::make_mut(last).until = Some(now);
        revisions.push(next.into());
    }

    fn edit_service(&mut self, edit: impl FnOnce(&mut entente_crds::v1alpha1::ServerSide)) {
        let service = self.snapshot.services.get_mut(SERVICE);
        let service = Arc::make_mut(service.expect("the service of the row"));
        service.metadata.generation = service.metadata.generation.map(|one| one + 1);
        edit(service.spec.server.as_mut().expect("it has a server side"));
    }

    /// Asks for everything to be read back.
    fn reconcile(&mut self) {
        let device = self.snapshot.device.as_mut().expect("a device");
        let annotations = Arc::make_mut(device).annotations_mut();
        annotations.insert(ANNOTATION_RECONCILE_AT.to_owned(), self.now.to_string());
        self.snapshot.reconcile_requested = true;
    }

    /// Deletes the contract, and with it the subscription.
    fn end(&mut self) {
        let now = Timestamp::from_second(self.now.as_second()).unwrap();
        self.snapshot.live_contracts.remove(CONTRACT);
        let deleted = &mut self.snapshot.deleted_contracts;
        deleted.insert(CONTRACT.to_owned(), now);
        if let Some(object) = self.snapshot.subscriptions.first_mut() {
            Arc::make_mut(object).metadata.deletion_timestamp = Some(Time(now));
        }
    }
}
