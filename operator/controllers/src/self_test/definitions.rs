//! The kinds that the API server has, compared with those that this operator knows (discovery,
//! OpenAPI).
//!
//! Says which are missing or too old; decides nothing of what follows. Called by the self test.

use http::Request;
use kube::Client;
use serde_json::Value;

/// Kinds that are not served, or that lack fields which this operator knows. Needs no rights but
/// those of `system:discovery`.
pub(super) async fn missing_kinds(client: &Client) -> Result<Vec<String>, kube::Error> {
    let served = match client
        .list_api_group_resources("entente.dev/v1alpha1")
        .await
    {
        Ok(list) => list
            .resources
            .into_iter()
            .map(|resource| resource.name)
            .collect(),
        // The group itself is unknown; the server says so in plain text, without a reason.
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut missing = Vec::new();
    let mut openapi = None;
    for crd in entente_crds::manifest::all() {
        let names = &crd.spec.names;
        if !served.contains(&names.plural) {
            missing.push(format!(
                "the kind {} is not installed (v1alpha1)",
                names.kind
            ));
            continue;
        }
        if openapi.is_none() {
            openapi = Some(schemas(client).await?);
        }
        let installed = openapi
            .as_ref()
            .and_then(|schemas| schemas.get(format!("dev.entente.v1alpha1.{}", names.kind)));
        let Some(installed) = installed else {
            missing.push(format!(
                "the schema of kind {} is not published yet",
                names.kind
            ));
            continue;
        };
        let lacks: Vec<String> = fields(&crd)
            .into_iter()
            .filter(|(part, field)| {
                let pointer = format!("/properties/{part}/properties/{field}");
                installed.pointer(&pointer).is_none()
            })
            .map(|(part, field)| format!("{part}.{field}"))
            .collect();
        if !lacks.is_empty() {
            let lacks = lacks.join(", ");
            missing.push(format!(
                "the installed kind {} is too old: it lacks {lacks}",
                names.kind
            ));
        }
    }
    Ok(missing)
}

async fn schemas(client: &Client) -> Result<Value, kube::Error> {
    let request = Request::get("/openapi/v3/apis/entente.dev/v1alpha1")
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    let mut document: Value = match client.request(request).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Value::Null,
        answer => answer?,
    };
    Ok(document
        .pointer_mut("/components/schemas")
        .map(Value::take)
        .unwrap_or_default())
}

/// Returns the fields below `spec` and `status` that this operator's version of a kind has.
fn fields(
    crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> Vec<(&'static str, String)> {
    let schemas = crd
        .spec
        .versions
        .iter()
        .filter_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let mut fields = Vec::new();
    for schema in schemas {
        for part in ["spec", "status"] {
            let properties = schema
                .properties
                .as_ref()
                .and_then(|properties| properties.get(part)?.properties.as_ref());
            fields.extend(
                properties
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| (part, name.clone())),
            );
        }
    }
    fields
}
