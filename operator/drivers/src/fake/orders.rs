//! The order servers of the fake: one that honours keys and finds orders, unless it is told not to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use entente_crds::v1alpha1::OrderState;
use entente_domain::remote::{Failure, FailureKind};
use entente_domain::supply_order::{OrderAnswer, OrderRequest, ServerOrder};
use serde_json::{Map, json};

use super::{Fault, Operation, World, early_end, lost_answer};
use crate::orders::OrderDriver;
use crate::service::ServerTarget;

/// An order server in memory.
#[derive(Clone, Debug)]
pub struct FakeOrderServer {
    /// Its orders, in the order in which they were made.
    pub orders: Vec<ServerOrder>,
    /// True if an order that is sent again under its key is not made again.
    pub honours_key: bool,
    /// True if orders can be found.
    pub is_searchable: bool,
    /// Refusals by part number: `UnknownPartNumber` for each that is listed.
    pub unknown: Vec<String>,
    /// True if no order can be cancelled any more.
    pub is_too_late: bool,
    /// Operations that are under way, by path: times that they are still so, and the order.
    pub operations: BTreeMap<String, (u32, ServerOrder)>,
}

impl Default for FakeOrderServer {
    fn default() -> Self {
        Self {
            orders: Vec::new(),
            honours_key: true,
            is_searchable: true,
            unknown: Vec::new(),
            is_too_late: false,
            operations: BTreeMap::new(),
        }
    }
}

impl FakeOrderServer {
    /// Makes an order and returns it.
    fn make(&mut self, request: &OrderRequest) -> Option<ServerOrder> {
        let OrderRequest::Place(body) = request else {
            return None;
        };
        let known = self.orders.iter();
        let same = |order: &&ServerOrder| order.reference.as_ref() == Some(&body.reference);
        if let Some(known) = known.clone().find(same).filter(|_| self.honours_key) {
            return Some(known.clone());
        }
        let parts = body.lines.iter().map(|line| line.part_number.clone());
        let order = ServerOrder {
            id: format!("PO-{}", self.orders.len() + 1),
            reference: Some(body.reference.clone()),
            state: Some(OrderState::Accepted),
            serial_number: Some(body.device.serial_number.clone()),
            part_numbers: parts.collect(),
            ..ServerOrder::default()
        };
        self.orders.push(order.clone());
        Some(order)
    }

    fn find(&self, matches: impl Fn(&ServerOrder) -> bool) -> OrderAnswer {
        if !self.is_searchable {
            return OrderAnswer::NotSearchable;
        }
        let found = self.orders.iter().filter(|order| matches(order));
        OrderAnswer::Orders(found.cloned().collect())
    }

    fn answer(&mut self, request: &OrderRequest, fault: Option<&Fault>) -> OrderAnswer {
        match request {
            OrderRequest::FindByReference { reference } => {
                self.find(|order| order.reference.as_ref() == Some(reference))
            }
            OrderRequest::FindOpen { serial_number } => self.find(|order| {
                let open = [Some(OrderState::Accepted), Some(OrderState::Shipped)];
                order.serial_number.as_ref() == Some(serial_number) && open.contains(&order.state)
            }),
            OrderRequest::Place(body) => {
                let mut parts = body.lines.iter().map(|line| &line.part_number);
                if let Some(part) = parts.find(|part| self.unknown.contains(part)) {
                    let message = format!("the order server answered: UnknownPartNumber: {part}");
                    return OrderAnswer::ItemUnknown(message);
                }
                let Some(order) = self.make(request) else {
                    return OrderAnswer::Missing;
                };
                let Some(Fault::Async { polls }) = fault else {
                    return OrderAnswer::Order(Box::new(order));
                };
                let path = format!("v1/orders/operations/{}", self.operations.len() + 1);
                self.operations.insert(path.clone(), (*polls, order));
                OrderAnswer::UnderWay {
                    path: Some(path),
                    retry_after: None,
                }
            }
            OrderRequest::ReadOperation { path } => match self.operations.get_mut(path) {
                None => OrderAnswer::Missing,
                Some((0, order)) => OrderAnswer::Order(Box::new(order.clone())),
                Some((polls, _)) => {
                    *polls -= 1;
                    OrderAnswer::UnderWay {
                        path: None,
                        retry_after: None,
                    }
                }
            },
            OrderRequest::Read { id } => {
                self.with(id, |order| OrderAnswer::Order(Box::new(order.clone())))
            }
            OrderRequest::Cancel { id, .. } => {
                if self.is_too_late {
                    return OrderAnswer::TooLate("it is on its way".to_owned());
                }
                self.with(id, |order| {
                    order.state = Some(OrderState::Cancelled);
                    OrderAnswer::UnderWay {
                        path: None,
                        retry_after: None,
                    }
                })
            }
        }
    }

    fn with(&mut self, id: &str, act: impl FnOnce(&mut ServerOrder) -> OrderAnswer) -> OrderAnswer {
        let found = self.orders.iter_mut().find(|order| order.id == id);
        found.map_or(OrderAnswer::Missing, act)
    }
}

impl World {
    /// Puts an order server at this URL, in place of any other.
    pub fn put_order_server(&self, url: &str, server: FakeOrderServer) {
        self.state().order_servers.insert(url.to_owned(), server);
    }

    /// Returns the order server at this URL as it is now.
    pub fn order_server(&self, url: &str) -> Option<FakeOrderServer> {
        self.state().order_servers.get(url).cloned()
    }

    /// Changes the order server at this URL without a request; returns false if there is none.
    pub fn change_order_server(
        &self,
        url: &str,
        change: impl FnOnce(&mut FakeOrderServer),
    ) -> bool {
        let mut state = self.state();
        state.order_servers.get_mut(url).map(change).is_some()
    }
}

fn operation(request: &OrderRequest) -> (Operation, &str) {
    match request {
        OrderRequest::FindByReference { reference } => (Operation::OrderFind, reference),
        OrderRequest::FindOpen { serial_number } => (Operation::OrderFind, serial_number),
        OrderRequest::Place(body) => (Operation::OrderPlace, &body.reference),
        OrderRequest::Read { id } => (Operation::OrderRead, id),
        OrderRequest::ReadOperation { path } => (Operation::OrderRead, path),
        OrderRequest::Cancel { id, .. } => (Operation::OrderCancel, id),
    }
}

#[async_trait]
impl OrderDriver for World {
    async fn send(
        &self,
        target: &ServerTarget,
        request: &OrderRequest,
    ) -> Result<OrderAnswer, Failure> {
        let (operation, key) = operation(request);
        let values = match request {
            OrderRequest::Place(body) => Map::from_iter([("body".to_owned(), json!(body))]),
            _ => Map::new(),
        };
        let profile = &target.profile;
        let arriving = self.arrive(&profile.name, &target.url, operation, key, values);
        let fault = arriving.await;
        let end = early_end(fault.as_ref(), operation, profile.request_timeout).await;
        if let Some(end) = end {
            return Err(end);
        }
        let answer = {
            let mut state = self.state();
            let server = state.order_servers.get_mut(&target.url);
            let unreachable =
                || Failure::new(FailureKind::Unreachable, "the connection was refused");
            server
                .ok_or_else(unreachable)?
                .answer(request, fault.as_ref())
        };
        if fault == Some(Fault::LoseAnswer) {
            return Err(lost_answer(operation));
        }
        Ok(answer)
    }
}
