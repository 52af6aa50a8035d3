//! The requests of the dumb client, each as the operator sends it.
//!
//! An answer that is not as it should be ends everything: then nothing was measured.

use std::path::Path;
use std::time::Duration;

use entente_crds::v1alpha1::{Device, ServiceSubscription};
use ipp::prelude::{
    DelimiterTag, IppAttribute, IppRequestResponse, IppValue, IppVersion, Operation, Uri,
};
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Config, Resource as _};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{BenchError, Order, Script, Setting, Target, problem};

/// The operator's default for requests to the API server at once.
const API_IN_FLIGHT: usize = 32;
/// Longer than the operator keeps connections, so that this client never has to connect again.
const IDLE_CONNECTION: Duration = Duration::from_secs(5);
/// The originating identity that every request of the operator has, in short.
const IDENTITY: &str =
    "kubernetes eyJ1c2VybmFtZSI6ImVudGVudGUiLCJ1aWQiOiIiLCJncm91cHMiOltdLCJleHRyYSI6e319fQ==";
/// The operator's.
const FIELD_MANAGER: &str = "entente";

/// The client, with the order that it received.
pub(super) struct Client {
    order: Order,
    /// The script as text, so that names can be put in.
    script: String,
    kubernetes: kube::Client,
    slots: Semaphore,
    http: reqwest::Client,
}

impl Client {
    pub(super) async fn new(order: Order) -> Result<Self, BenchError> {
        Ok(Self {
            kubernetes: kubernetes(&order.kubeconfig).await?,
            slots: Semaphore::new(API_IN_FLIGHT),
            http: reqwest::Client::builder()
                .no_proxy()
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                .pool_idle_timeout(IDLE_CONNECTION)
                .build()
                .map_err(problem)?,
            script: serde_json::to_string(&order.script).map_err(problem)?,
            order,
        })
    }

    /// Returns the devices with their objects, as the operator has them from its watch.
    pub(super) async fn targets(&self) -> Result<Vec<(Target, Value)>, BenchError> {
        let path = Device::url_path(&(), Some(&self.order.namespace));
        let request = Request::new(path).list(&ListParams::default());
        let list: Value = self.api(request.map_err(problem)?).await?;
        let mut objects: std::collections::HashMap<&str, &Value> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| Some((item["metadata"]["name"].as_str()?, item)))
            .collect();
        let mut of = |target: &Target| {
            let object = objects.remove(target.name.as_str());
            let object = object.ok_or_else(|| problem("a Device is not there"))?;
            Ok((target.clone(), written::<Device>(object, &Value::Null)))
        };
        self.order.targets.iter().map(&mut of).collect()
    }

    async fn api(&self, request: http::Request<Vec<u8>>) -> Result<Value, BenchError> {
        let _slot = self.slots.acquire().await.map_err(problem)?;
        self.kubernetes.request(request).await.map_err(problem)
    }

    /// Sends all that one device needs.
    pub(super) async fn deliver(
        &self,
        target: &Target,
        mut device: Value,
    ) -> Result<(), BenchError> {
        let script =
            Script::of(&self.script, &self.order.script.sample, target).map_err(problem)?;
        let path = ServiceSubscription::url_path(&(), Some(&self.order.namespace));
        let create = Request::new(path).create(&post(), bytes(&script.subscription)?);
        let mut object = self.api(create.map_err(problem)?).await?;
        self.get(target, &script).await?;
        // All but the last are written before anything is sent.
        let (last, first) = script
            .statuses
            .split_last()
            .ok_or_else(|| problem("the script has no status"))?;
        for status in first {
            self.status::<ServiceSubscription>(&mut object, status)
                .await?;
        }
        for settings in &script.set {
            self.set(target, settings).await?;
        }
        self.get(target, &script).await?;
        self.instance(target, &script).await?;
        self.status::<ServiceSubscription>(&mut object, last)
            .await?;
        for status in &script.device_statuses {
            self.status::<Device>(&mut device, status).await?;
        }
        Ok(())
    }

    /// Replaces a status by PUT, as the operator does: of the object only its identity is sent.
    async fn status<K: kube::Resource<DynamicType = ()>>(
        &self,
        object: &mut Value,
        status: &Value,
    ) -> Result<(), BenchError> {
        let body = written::<K>(object, status);
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        let path = K::url_path(&(), Some(&self.order.namespace));
        let request =
            Request::new(path).replace_subresource("status", name, &post(), bytes(&body)?);
        *object = self.api(request.map_err(problem)?).await?;
        Ok(())
    }

    async fn get(&self, target: &Target, script: &Script) -> Result<(), BenchError> {
        let names = script.get.iter().map(|name| keyword(name));
        let names = IppValue::Array(names.collect::<Result<_, _>>()?);
        let asked = attribute(IppAttribute::REQUESTED_ATTRIBUTES, names)?;
        let operation = Operation::GetPrinterAttributes;
        self.ipp(target, operation, vec![asked], Vec::new()).await
    }

    async fn set(&self, target: &Target, settings: &[Setting]) -> Result<(), BenchError> {
        let printer = settings.iter().map(|setting| {
            let value = if setting.text {
                IppValue::new_text_without_language(setting.value.as_str()).map_err(problem)?
            } else {
                let mut words = setting
                    .value
                    .split(',')
                    .map(keyword)
                    .collect::<Result<Vec<_>, _>>()?;
                if words.len() == 1 {
                    words.remove(0)
                } else {
                    IppValue::Array(words)
                }
            };
            attribute(&setting.attribute, value)
        });
        let printer = printer.collect::<Result<_, _>>()?;
        let operation = Operation::SetPrinterAttributes;
        self.ipp(target, operation, Vec::new(), printer).await
    }

    async fn ipp(
        &self,
        target: &Target,
        operation: Operation,
        of_operation: Vec<IppAttribute>,
        of_printer: Vec<IppAttribute>,
    ) -> Result<(), BenchError> {
        let uri = format!("ipp://{}/ipp/print", target.address);
        let uri: Uri = uri.parse().map_err(problem)?;
        let mut request =
            IppRequestResponse::new(IppVersion::v2_0(), operation, Some(uri)).map_err(problem)?;
        for attribute in of_operation {
            let group = DelimiterTag::OperationAttributes;
            request.attributes_mut().add(group, attribute);
        }
        for attribute in of_printer {
            let group = DelimiterTag::PrinterAttributes;
            request.attributes_mut().add(group, attribute);
        }
        let answer = self
            .http
            .post(format!("http://{}/ipp/print", target.address))
            .header("content-type", "application/ipp")
            .body(request.to_bytes())
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(problem)?
            .bytes()
            .await
            .map_err(problem)?;
        // The status code (RFC 8010 section 3.1.2): successful-ok and its like begin with 0x00.
        if answer.get(2) == Some(&0) {
            Ok(())
        } else {
            Err(problem(format!("{operation:?} was refused")))
        }
    }

    async fn instance(&self, target: &Target, script: &Script) -> Result<(), BenchError> {
        let instance = format!(
            "{}/v2/service_instances/dumb-{}",
            self.order.broker, target.name
        );
        let text = |name: &str| script.provision[name].as_str().unwrap_or_default();
        let fetch = format!(
            "{instance}?service_id={}&plan_id={}",
            text("service_id"),
            text("plan_id")
        );
        let change = format!("{instance}?accepts_incomplete=true");
        self.broker(self.http.get(&fetch), Some(404)).await?;
        let provision = self.http.put(&change).json(&script.provision);
        self.broker(provision, None).await?;
        self.broker(self.http.get(&fetch), None).await?;
        let update = self.http.patch(&change).json(&script.update);
        self.broker(update, None).await?;
        self.broker(self.http.get(&fetch), None).await
    }

    async fn broker(
        &self,
        request: reqwest::RequestBuilder,
        also: Option<u16>,
    ) -> Result<(), BenchError> {
        let answer = request
            .header("x-broker-api-version", "2.17")
            .header("x-broker-api-originating-identity", IDENTITY)
            .send()
            .await
            .map_err(problem)?;
        let status = answer.status();
        answer.bytes().await.map_err(problem)?;
        if status.is_success() || also == Some(status.as_u16()) {
            Ok(())
        } else {
            Err(problem(format!("the broker answered {status}")))
        }
    }
}

async fn kubernetes(kubeconfig: &Path) -> Result<kube::Client, BenchError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(problem)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(problem)?;
    config.default_retry = false;
    kube::Client::try_from(config).map_err(problem)
}

/// Returns the body that replaces the status of an object.
fn written<K: kube::Resource<DynamicType = ()>>(object: &Value, status: &Value) -> Value {
    let meta = &object["metadata"];
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
        },
        "status": status,
    })
}

fn post() -> PostParams {
    PostParams {
        dry_run: false,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    }
}

fn bytes(object: &Value) -> Result<Vec<u8>, BenchError> {
    serde_json::to_vec(object).map_err(problem)
}

fn keyword(word: &str) -> Result<IppValue, BenchError> {
    IppValue::new_keyword(word).map_err(problem)
}

fn attribute(name: &str, value: IppValue) -> Result<IppAttribute, BenchError> {
    IppAttribute::with_name(name, value).map_err(problem)
}
