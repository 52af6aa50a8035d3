//! The manifests: every CRD as it is installed, with the defaults of its status.
//!
//! A status default makes kstatus report InProgress before the operator has seen an object: without
//! it an object with no conditions counts as finished. The default of a field of a spec is told in its
//! description, since `kubectl explain` shows that alone.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde_json::json;

use crate::meanings;
use crate::v1alpha1::{
    Compensation, CompensationSpec, Connection, ConnectionSpec, Contract, ContractAmendment,
    ContractAmendmentSpec, ContractNotice, ContractNoticeSpec, ContractSpec, Device, DeviceModel,
    DeviceModelSpec, DeviceSpec, ServiceSubscription, ServiceSubscriptionSpec, SmartService,
    SmartServiceSpec,
};

/// Every CRD of the group, in the order in which they are documented.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        finished::<ConnectionSpec>(Connection::crd()),
        finished::<DeviceModelSpec>(DeviceModel::crd()),
        finished::<SmartServiceSpec>(SmartService::crd()),
        finished::<DeviceSpec>(Device::crd()),
        finished::<ContractSpec>(Contract::crd()),
        finished::<ContractAmendmentSpec>(ContractAmendment::crd()),
        finished::<ContractNoticeSpec>(ContractNotice::crd()),
        finished::<ServiceSubscriptionSpec>(ServiceSubscription::crd()),
        finished::<CompensationSpec>(Compensation::crd()),
    ]
}

fn finished<T: JsonSchema>(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut crd = with_status_default(crd);
    let spec = crd
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
        .filter_map(|schema| schema.properties.as_mut()?.get_mut("spec"));
    for schema in spec {
        meanings::tell::<T>(schema);
        tell_defaults(schema);
    }
    crd
}

/// Adds to the description of each field below a schema the scalar that it has by default.
fn tell_defaults(schema: &mut JSONSchemaProps) {
    for field in schema.properties.iter_mut().flat_map(|it| it.values_mut()) {
        let default = field
            .default
            .as_ref()
            .and_then(|JSON(default)| match default {
                serde_json::Value::String(text) => Some(text.clone()),
                serde_json::Value::Number(number) => Some(number.to_string()),
                serde_json::Value::Bool(truth) => Some(truth.to_string()),
                _ => None,
            });
        if let (Some(default), Some(description)) = (default, &mut field.description) {
            *description = format!("{description} Default: {default}.");
        }
        tell_defaults(field);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &mut schema.items {
        tell_defaults(item);
    }
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
