//! The manifests: every CRD as it is installed, with the defaults of its status.
//!
//! A status default makes kstatus report InProgress before the operator has seen an object: without
//! it an object with no conditions counts as finished.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::v1alpha1::{
    Compensation, Connection, Contract, Device, DeviceModel, ServiceSubscription, SmartService,
};

/// Every CRD of the group, in the order in which they are documented.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        with_status_default(Connection::crd()),
        with_status_default(DeviceModel::crd()),
        with_status_default(SmartService::crd()),
        with_status_default(Device::crd()),
        with_status_default(Contract::crd()),
        with_status_default(ServiceSubscription::crd()),
        with_status_default(Compensation::crd()),
    ]
}

fn with_status_default(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let status = crd
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
        .filter_map(|schema| schema.properties.as_mut()?.get_mut("status"));
    for schema in status {
        schema.default = Some(JSON(json!({
            "observedGeneration": -1,
            "conditions": [{
                "type": "Ready",
                "status": "Unknown",
                "reason": "Pending",
                "message": "The operator has not seen this object yet.",
                "lastTransitionTime": "1970-01-01T00:00:00Z"
            }]
        })));
    }
    crd
}
