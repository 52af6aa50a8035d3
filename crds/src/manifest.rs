//! The manifests: every CRD as it is installed, with the defaults of its status.
//!
//! A status default makes kstatus report InProgress before the operator has seen an object: without
//! it an object with no conditions counts as finished. The default of a field of a spec is told in its
//! description, since `kubectl explain` shows that alone. The schema has it only where what the API
//! server fills in never differs from a manifest; the types have it everywhere, so that absence always
//! means the same.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::meanings;
use crate::v1alpha1::{
    Compensation, CompensationSpec, Connection, ConnectionSpec, Contract, ContractAmendment,
    ContractAmendmentSpec, ContractNotice, ContractNoticeSpec, ContractSpec, Device,
    DeviceEnrollment, DeviceEnrollmentSpec, DeviceModel, DeviceModelSpec, DeviceSpec, DeviceTwin,
    DeviceTwinSpec, MessageText, MessageTextSpec, ServiceSubscription, ServiceSubscriptionSpec,
    Site, SiteSpec, SmartService, SmartServiceSpec, SupplyOrder, SupplyOrderSpec,
};

/// Every CRD of the group, in the order in which they are documented.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        finished::<ConnectionSpec>(Connection::crd()),
        finished::<DeviceModelSpec>(DeviceModel::crd()),
        finished::<SmartServiceSpec>(SmartService::crd()),
        finished::<MessageTextSpec>(MessageText::crd()),
        finished::<SiteSpec>(Site::crd()),
        finished::<DeviceSpec>(Device::crd()),
        finished::<DeviceEnrollmentSpec>(DeviceEnrollment::crd()),
        finished::<ContractSpec>(Contract::crd()),
        finished::<ContractAmendmentSpec>(ContractAmendment::crd()),
        finished::<ContractNoticeSpec>(ContractNotice::crd()),
        finished::<ServiceSubscriptionSpec>(ServiceSubscription::crd()),
        finished::<DeviceTwinSpec>(DeviceTwin::crd()),
        finished::<CompensationSpec>(Compensation::crd()),
        finished::<SupplyOrderSpec>(SupplyOrder::crd()),
    ]
}

fn finished<T: JsonSchema>(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let versions = crd.spec.versions.iter_mut();
    let fields = versions
        .filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
        .flat_map(|schema| schema.properties.iter_mut().flatten());
    for (name, schema) in fields {
        match name.as_str() {
            "spec" => {
                meanings::tell::<T>(schema);
                tell_defaults(schema);
                drop_defaults_that_differ(schema, false);
            }
            "status" if has_conditions(schema) => schema.default = Some(JSON(unseen())),
            _ => {}
        }
    }
    crd
}

/// True for a status that tells conditions: that of a DeviceTwin does not, since nobody applies one.
fn has_conditions(status: &JSONSchemaProps) -> bool {
    let fields = status.properties.iter().flatten();
    fields.into_iter().any(|(name, _)| name == "conditions")
}

/// Returns the status of an object that the operator has not seen.
fn unseen() -> Value {
    json!({
        "observedGeneration": -1,
        "conditions": [{
            "type": "Ready",
            "status": "Unknown",
            "reason": "Pending",
            "message": "The operator has not seen this object yet.",
            "lastTransitionTime": "1970-01-01T00:00:00Z"
        }]
    })
}

/// Adds to the description of each field below a schema the scalar that it has by default.
fn tell_defaults(schema: &mut JSONSchemaProps) {
    for field in schema.properties.iter_mut().flat_map(|it| it.values_mut()) {
        let default = field
            .default
            .as_ref()
            .and_then(|JSON(default)| match default {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                Value::Bool(truth) => Some(truth.to_string()),
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

/// Removes the defaults below a schema that a client would find different from its manifest.
///
/// - Inside a list or a map: `kubectl apply` and Argo CD compare and apply a list as one value.
/// - In an object that can be empty: when its manifest, `timeouts: {}`, changes from an apply of the
///   client to one of the server, that removes the object with what was filled in, since nobody owns
///   either.
fn drop_defaults_that_differ(schema: &mut JSONSchemaProps, is_inside: bool) {
    let can_be_empty = schema.required.as_ref().is_none_or(Vec::is_empty);
    for field in schema.properties.iter_mut().flat_map(|it| it.values_mut()) {
        if is_inside || can_be_empty {
            field.default = None;
        }
        drop_defaults_that_differ(field, is_inside);
    }
    if let Some(item) = below(schema) {
        drop_defaults_that_differ(item, true);
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
