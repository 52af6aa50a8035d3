//! Version `v1alpha1` of every kind, one file each.

mod common;
mod compensation;
mod connection;
mod contract;
mod contract_amendment;
mod contract_notice;
mod device;
mod device_enrollment;
mod device_model;
mod device_twin;
mod message_text;
mod service_subscription;
mod site;
mod smart_service;
mod snmp;
mod software;
mod supply_order;

pub use common::*;
pub use compensation::*;
pub use connection::*;
pub use contract::*;
pub use contract_amendment::*;
pub use contract_notice::*;
pub use device::*;
pub use device_enrollment::*;
pub use device_model::*;
pub use device_twin::*;
pub use message_text::*;
pub use service_subscription::*;
pub use site::*;
pub use smart_service::*;
pub use snmp::*;
pub use software::*;
pub use supply_order::*;
