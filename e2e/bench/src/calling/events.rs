//! Data of devices: what it costs to bring them to a provider, against a reverse proxy that brings
//! everything to the same inbox and looks at nothing.
//!
//! Every device has one service, which is on and wants one kind of data. First each of them sends one
//! batch, for the memory of the gateway, then some send one batch after the other through the gateway and
//! through nginx in turn. The inbox is one process for both. Called by the benches.

mod batch;
mod memory;
mod proxy;
mod through;
mod wanted;

use entente_e2e::control_plane::{AuditEvent, ControlPlane};

use super::bare::{Bare, BareServer, TAKEN};
use super::fleet::{self, Fleet};
use super::line::Server;
use super::problem;
use crate::figure::{Figure, count};
use crate::requests::{Requests, all};
use crate::{BenchError, BenchOptions, audit_failed, operator_failed, say};

/// Account of the gateway in the audit log.
const GATEWAY: &str = ":entente-gateway";

pub(crate) async fn run(options: &BenchOptions) -> Result<Vec<Figure>, BenchError> {
    let nginx = proxy::program()?;
    let mut environment = fleet::environment().await?;
    let own = environment.operator.namespace().to_owned();
    let plane = &environment.plane;
    let mut fleet = Fleet::new(&environment, options.calling()).await?;
    let inbox = Inbox::start(&fleet).await?;
    wanted::apply(&fleet, &own, inbox.bare.address).await?;
    wanted::deliver(&mut fleet).await?;
    let position = plane.audit_position().await.map_err(audit_failed)?;
    say("  every device sends one batch");
    let (mut figures, mut sent) = memory::measure(&mut fleet, &inbox).await?;
    say("  batches, one after the other");
    let through = through::measure(&fleet, &inbox, &nginx, options.quick).await?;
    sent += through.sent;
    figures.splice(0..0, through.figures);
    figures.push(writes(plane, position, sent).await?);
    fleet.gateway.stop().await.map_err(operator_failed)?;
    drop(fleet);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(figures)
}

/// Inbox of the provider.
struct Inbox {
    bare: Bare,
    server: Server,
}

impl Inbox {
    async fn start(fleet: &Fleet<'_>) -> Result<Self, BenchError> {
        let bare = Bare::start(BareServer::Inbox, fleet.gateway.tls_directory()).await?;
        let server = Server::new(bare.address, &fleet.gateway.certificate())?;
        Ok(Self { bare, server })
    }

    /// Returns the number of batches that it has taken.
    async fn taken(&self) -> Result<usize, BenchError> {
        let request = http::Request::get(TAKEN)
            .header(http::header::HOST, self.server.host())
            .body(http_body_util::Full::default())
            .map_err(problem)?;
        let mut line = self.server.connect().await?;
        let answer = line.send(request).await.map_err(problem)?;
        let text = String::from_utf8_lossy(&answer.body);
        text.parse().map_err(problem)
    }

    /// Fails unless it has taken so many batches since an earlier count: a batch that was answered and
    /// is not here was lost, and another one came twice.
    async fn require(&self, earlier: usize, batches: usize) -> Result<(), BenchError> {
        let taken = self.taken().await? - earlier;
        if taken == batches {
            return Ok(());
        }
        Err(problem(format!(
            "the inbox has taken {taken} batches of {batches} that were answered 202"
        )))
    }
}

/// Counts the API writes since a position, while so many events were sent.
async fn writes(plane: &ControlPlane, position: u64, sent: usize) -> Result<Figure, BenchError> {
    let events = plane.audit_events_since(position).await;
    Ok(of_writes(&events.map_err(audit_failed)?, sent))
}

fn of_writes(events: &[AuditEvent], sent: usize) -> Figure {
    let of_gateway: Vec<AuditEvent> = events
        .iter()
        .filter(|event| event.user.ends_with(GATEWAY))
        .cloned()
        .collect();
    let of_gateway = Requests::of(&of_gateway, |_| true);
    let both = Requests::of(events, |_| true);
    let each = count(of_gateway.written()) / count(sent.max(1));
    let figure = Figure::new("API writes of the gateway for each event", each, "");
    figure.at_most(0.0).detail(format!(
        "{} writes while {sent} events were taken; reads of the gateway: {}; writes of the operator: {}",
        of_gateway.written(),
        all(&of_gateway.reads),
        both.written() - of_gateway.written()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_of_the_gateway_misses_the_budget_and_a_read_or_one_of_the_operator_does_not() {
        let event = |account: &str, verb: &str| AuditEvent {
            verb: verb.to_owned(),
            user: format!("system:serviceaccount:entente-system:{account}"),
            group: "entente.dev".to_owned(),
            resource: "devicetwins".to_owned(),
            subresource: "status".to_owned(),
            namespace: "bench".to_owned(),
            name: "a".to_owned(),
            code: 200,
            stage: "ResponseComplete".to_owned(),
            uri: String::new(),
            received: jiff::Timestamp::UNIX_EPOCH,
        };
        let others = [event("entente-gateway", "get"), event("entente", "update")];
        let none = of_writes(&others, 1000);
        assert_eq!((none.value, &*none.verdict()), (0.0, "kept"));
        assert!(
            none.detail.ends_with("writes of the operator: 1"),
            "{none:?}"
        );
        let one = of_writes(&[event("entente-gateway", "update")], 1000);
        assert!((one.value - 0.001).abs() < 1e-9, "{one:?}");
        assert_eq!(one.verdict(), "missed");
    }
}
