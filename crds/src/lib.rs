//! The API of Entente: every kind of the group `entente.dev`, its conditions and reasons.
//!
//! This crate defines the shape of each object and the values that the API server accepts. It must
//! never decide anything, read a clock or speak to a server: everything downstream depends on it,
//! and the domain must stay free of clients. Used by every other crate of the workspace, and by the
//! program `crdgen`, which writes the manifests, the examples and the reference page.

#![allow(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each struct inside a function"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "`selectable` and `printcolumn` are meant to be repeated"
)]

/// For the program `crdgen`: the operator never compares.
pub mod additive;
/// For tests: the operator never reads them.
#[cfg(any(test, feature = "admission-cases"))]
pub mod admission_cases;
pub mod bounded;
pub mod condition;
pub mod digest;
pub mod duration;
pub mod example;
pub mod generate;
pub mod item_key;
pub mod manifest;
mod meanings;
/// For those who judge objects without a server: the operator never asks it.
#[cfg(any(test, feature = "rules"))]
pub mod rules;
pub mod schema;
mod shared;
/// For tests: the operator never asks it.
#[cfg(any(test, feature = "admission-cases"))]
pub mod spec_rules;
/// For tests: the operator never asks it.
#[cfg(any(test, feature = "admission-cases"))]
pub mod status_rules;
pub mod v1alpha1;
pub mod yaml;

#[cfg(test)]
mod tests;

/// The API group of all kinds.
pub const GROUP: &str = "entente.dev";

/// Finalizer of Contract and ServiceSubscription: removed when the services are withdrawn.
pub const FINALIZER_WITHDRAW: &str = "entente.dev/withdraw";

/// The finalizer of catalogue kinds while something uses them.
pub const FINALIZER_IN_USE: &str = "entente.dev/in-use";

/// Annotation that ends a withdrawal at once, whatever the device or the service server answers.
pub const ANNOTATION_ABANDON: &str = "entente.dev/abandon";

/// Annotation of a ServiceSubscription that was restored: an instance that the broker does not have is
/// made anew.
pub const ANNOTATION_PROVISION: &str = "entente.dev/provision";

/// Annotation by which a person asks for a reconcile now; echoed in `status.lastHandledReconcileAt`.
pub const ANNOTATION_RECONCILE_AT: &str = "entente.dev/reconcile-at";

/// Annotation of a Device by which a person lets a device that calls register anew although it has used
/// its credential: each new value lets it once. Echoed in
/// `status.registration.lastHandledReregister` of its DeviceTwin.
pub const ANNOTATION_REREGISTER: &str = "entente.dev/reregister";

/// Annotation of a Connection by which a person takes orphans out of its list, without a request to
/// the broker: ids of instances, with commas between them; echoed in `status.forgotten`.
pub const ANNOTATION_FORGET_ORPHAN: &str = "entente.dev/forget-orphan";

/// Label on generated objects: the contract they come from.
pub const LABEL_CONTRACT: &str = "entente.dev/contract";
/// Label on generated objects: the entry of `services` they come from.
pub const LABEL_SERVICE: &str = "entente.dev/service";
/// Label on generated objects: the device they are about.
pub const LABEL_DEVICE: &str = "entente.dev/device";
/// Label on generated objects: the customer's id.
pub const LABEL_CUSTOMER: &str = "entente.dev/customer";
/// Label on orders: the type of the error that they are about.
pub const LABEL_ERROR_TYPE: &str = "entente.dev/error-type";
/// Standard label with the name of the tool that manages an object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label by which a namespace lets its Secrets be used, one by one.
pub const LABEL_USE: &str = "entente.dev/use";
/// The value of [`LABEL_USE`] of a Secret that may be used.
pub const MAY_BE_USED: &str = "true";
/// The value of [`LABEL_MANAGED_BY`] on objects that the operator makes.
pub const MANAGED_BY: &str = "entente";
