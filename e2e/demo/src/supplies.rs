//! The last part of the demo: a cartridge runs empty, is ordered once, and its number stands on the panel
//! until a new one is in.
//!
//! Shows the one line that `kubectl get supplyorders` has for it, each time that it changes. Everything that
//! it says is read from the API server, from the panel of the device and from the order server. Called when
//! the contract has come to rest.

use std::time::Duration;

use entente_crds::example;
use entente_crds::v1alpha1::{
    Connection, Device, DeviceModel, MessageText, ServiceOrders, Settle, SmartService, SupplyOrder,
    Sync,
};
use entente_e2e::namespace::{NamespaceError, TestNamespace};
use entente_simulators::{OrderServer, SimulatorError};
use jiff::Timestamp;
use tokio::time::Instant;

use super::terminal::Terminal;
use super::{DemoError, LOOK, namespace_failed};

/// Device whose cartridge runs empty.
pub(super) const DEVICE: &str = "lobby-mfp";
/// Its cartridge.
const SUPPLY: &str = "black-toner";
/// Name of the SupplyOrder of its first error.
const ORDER: &str = "lobby-mfp.toner-empty.black-toner.1";
/// Time within which each part has to be done.
const PATIENCE: Duration = Duration::from_secs(30);

/// The order server of the provider.
pub(super) struct Supplies {
    server: OrderServer,
}

impl Supplies {
    pub(super) async fn start() -> Result<Self, DemoError> {
        let server = OrderServer::start(0).await.map_err(simulator_failed)?;
        Ok(Self { server })
    }

    /// Returns the Connection to the order server.
    pub(super) fn connection(&self, namespace: &TestNamespace<'_>) -> Connection {
        namespace.order_connection(&self.server.url())
    }

    /// Returns the texts for the panel.
    pub(super) fn text(namespace: &TestNamespace<'_>) -> MessageText {
        let mut text = example::toner_empty_text();
        text.metadata.name = Some(namespace.named("toner-empty"));
        namespace.labelled(text)
    }

    /// Has the service order supplies, the model know its errors, and the devices asked each second.
    pub(super) fn add_to(
        namespace: &TestNamespace<'_>,
        service: &mut SmartService,
        model: &mut DeviceModel,
        devices: &mut Connection,
    ) {
        service.spec.orders = Some(ServiceOrders {
            connection_ref: namespace.reference("orders"),
        });
        let colour = example::mfp_520().spec;
        model.spec.supplies = colour.supplies;
        model.spec.errors = colour.errors;
        for error in &mut model.spec.errors {
            error.settle = Some(Settle {
                begin: "0s".into(),
                end: "2s".into(),
            });
        }
        devices.spec.sync = Some(Sync {
            status: "1s".into(),
            ..Sync::default()
        });
    }

    /// Shows a cartridge that runs empty, its order, its message and its replacement. Returns true if all of
    /// it is as it has to be.
    pub(super) async fn show(
        &self,
        terminal: &Terminal,
        namespace: &TestNamespace<'_>,
        printer: &entente_simulators::Device,
    ) -> Result<bool, DemoError> {
        terminal.heading(&format!("A cartridge runs empty in {DEVICE}"));
        let mut story = Story::new(terminal, namespace);
        printer
            .set_black_toner("toner-empty-error", 0)
            .map_err(simulator_failed)?;
        let is_shown = story
            .until(async |order| order.message == "Sent" && !order.id.is_empty())
            .await;
        let ids: Vec<String> = self.server.orders().into_iter().map(|it| it.id).collect();
        let panel = printer.displayed();
        let of_panel = format!("the panel of {DEVICE}");
        let told = [
            ("the order server made", ids.join(", ")),
            (&of_panel, panel.join(" | ")),
        ];
        for (what, found) in told {
            terminal.lines(&format!("  {what:<24}{found}"));
        }
        let is_right = ids.len() == 1
            && panel.len() == 1
            && ids.iter().all(|id| panel[0].contains(id.as_str()));
        terminal.lines("  a person puts in a new one:");
        printer
            .set_black_toner("none", 100)
            .map_err(simulator_failed)?;
        let is_closed = story
            .until(async |order| order.reason == "SupplyReplaced" && order.message == "Cleared")
            .await;
        let is_once = self.server.orders().len() == 1;
        let passed = is_shown && is_right && is_closed && is_once;
        terminal.heading(if passed {
            "One empty cartridge, one order, and its number was on the panel."
        } else {
            "This is not as it has to be: see the lines above, and what the Device says:"
        });
        if !passed {
            let device = namespace.get::<Device>(DEVICE).await;
            let status = device.and_then(|it| it.status);
            terminal.lines(&format!("{:#?}", status.map(|it| (it.errors, it.messages))));
        }
        Ok(passed)
    }
}

fn simulator_failed(source: SimulatorError) -> DemoError {
    namespace_failed(NamespaceError::Simulator { source })
}

/// The line of an order, as `kubectl get supplyorders` shows it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Line {
    id: String,
    state: String,
    message: String,
    ready: String,
    reason: String,
}

impl Line {
    fn of(order: &SupplyOrder) -> Self {
        let status = order.status.as_ref();
        let placed = status.and_then(|status| status.order.as_ref());
        let message = status.and_then(|status| status.message.as_ref());
        let conditions = status.into_iter().flat_map(|status| &status.conditions);
        let ready = conditions.into_iter().find(|it| it.type_ == "Ready");
        Self {
            id: placed.map(|it| it.id.to_string()).unwrap_or_default(),
            state: placed
                .map(|it| format!("{:?}", it.state))
                .unwrap_or_default(),
            message: message
                .map(|it| format!("{:?}", it.state))
                .unwrap_or_default(),
            ready: ready.map(|it| it.status.clone()).unwrap_or_default(),
            reason: ready.map(|it| it.reason.clone()).unwrap_or_default(),
        }
    }

    fn shown(&self, at: &str) -> String {
        format!(
            "  {at:<10}{DEVICE:<11}{SUPPLY:<13}{:<10}{:<10}{:<9}{:<7}{}",
            self.id, self.state, self.message, self.ready, self.reason
        )
    }
}

/// The order as it was shown last.
struct Story<'a> {
    terminal: &'a Terminal,
    namespace: &'a TestNamespace<'a>,
    shown: Option<Line>,
}

impl<'a> Story<'a> {
    fn new(terminal: &'a Terminal, namespace: &'a TestNamespace<'a>) -> Self {
        terminal.lines(&format!(
            "  {:<10}{:<11}{:<13}{:<10}{:<10}{:<9}{:<7}REASON",
            "TIME", "DEVICE", "SUPPLY", "ORDER ID", "STATE", "MESSAGE", "READY"
        ));
        Self {
            terminal,
            namespace,
            shown: None,
        }
    }

    /// Shows the order each time that it changes, until it is as wanted; returns false if it never is.
    async fn until(&mut self, is_wanted: impl AsyncFn(&Line) -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let order = self.namespace.get::<SupplyOrder>(ORDER).await;
            if let Some(line) = order.as_ref().map(Line::of) {
                if self.shown.as_ref() != Some(&line) {
                    let at = Timestamp::now().strftime("%H:%M:%S").to_string();
                    self.terminal.lines(&line.shown(&at));
                    self.shown = Some(line.clone());
                }
                if is_wanted(&line).await {
                    return true;
                }
            }
            // The pause between two looks, until the deadline.
            tokio::time::sleep(LOOK).await;
        }
        false
    }
}
