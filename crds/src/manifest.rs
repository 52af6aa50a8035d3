//! The manifests: every CRD as it is installed, with the defaults of its status.
//!
//! A status default makes kstatus report InProgress before the operator has seen an object: without
//! it an object with no conditions counts as finished. The default of a field of a spec is told in its
//! description, since `kubectl explain` shows that alone, and inside a list there alone: the types have
//! the same default, so that absence means it everywhere.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
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
        drop_defaults_inside_lists(schema, false);
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
    if let Some(item) = below(schema) {
        tell_defaults(item);
    }
}

/// Removes the default of each field below a schema that is inside a list or a map.
///
/// Clients that compare or apply a list as one value, such as `kubectl apply` and Argo CD, would find
/// the default of the server in it, and not in the manifest, for ever.
fn drop_defaults_inside_lists(schema: &mut JSONSchemaProps, is_inside: bool) {
    if is_inside {
        schema.default = None;
    }
    for field in schema.properties.iter_mut().flat_map(|it| it.values_mut()) {
        drop_defaults_inside_lists(field, is_inside);
    }
    if let Some(item) = below(schema) {
        drop_defaults_inside_lists(item, true);
    }
}

/// Returns the schema of the items of a list, or of the values of a map.
fn below(schema: &mut JSONSchemaProps) -> Option<&mut JSONSchemaProps> {
    match (&mut schema.items, &mut schema.additional_properties) {
        (Some(JSONSchemaPropsOrArray::Schema(item)), _)
        | (_, Some(JSONSchemaPropsOrBool::Schema(item))) => Some(item),
        _ => None,
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
