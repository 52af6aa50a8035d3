//! The dumb client: sends for each device what the operator would send at the least, and nothing
//! follows from any answer.
//!
//! It is a process of its own, as the operator is, with the same runtime, HTTP and Kubernetes
//! clients, credentials and concurrency. For each device: create the subscription, Get, status,
//! each Set, Get, fetch, provision, fetch, update, fetch, status, status of the Device. It must never
//! decide, cache, retry or watch anything: it is the limit that the operator is measured against.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ipp::prelude::{
    DelimiterTag, IppAttribute, IppRequestResponse, IppValue, IppVersion, Operation, Uri,
};
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config, Resource as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

use entente_crds::v1alpha1::{Device, ServiceSubscription};

use super::BenchError;
use super::usage::{self, Usage};

/// The operator's default for passes at once.
const CONCURRENCY: usize = 4096;
/// The operator's default for requests to the API server at once.
const API_IN_FLIGHT: usize = 64;
/// Longer than the operator keeps connections, so that this client never has to connect again.
const IDLE_CONNECTION: Duration = Duration::from_secs(5);
/// The originating identity that every request of the operator has, in short.
const IDENTITY: &str =
    "kubernetes eyJ1c2VybmFtZSI6ImVudGVudGUiLCJ1aWQiOiIiLCJncm91cHMiOltdLCJleHRyYSI6e319fQ==";

/// One setting of a device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) attribute: String,
    pub(super) value: String,
    /// Text; else keywords, divided by commas.
    pub(super) text: bool,
}

/// What is sent for one device; its name and serial number give way to those of the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) serial_number: String,
    pub(super) get: Vec<String>,
    /// One Set for each group.
    pub(super) set: Vec<Vec<Setting>>,
    pub(super) provision: Value,
    pub(super) update: Value,
    pub(super) subscription: Value,
    pub(super) settled_status: Value,
    pub(super) device_status: Value,
}

/// A device of the dumb client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) serial_number: String,
    /// `ADDRESS:PORT`.
    pub(super) address: String,
}

/// All that the process is told, on its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) kubeconfig: PathBuf,
    pub(super) namespace: String,
    pub(super) broker: String,
    pub(super) script: Script,
    pub(super) targets: Vec<Target>,
}

/// What the process says at its end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) processor_seconds: f64,
    pub(super) peak_mebibytes: f64,
}

/// Runs the dumb client as a process of this program and waits for its end.
pub(super) async fn run(order: &Order) -> Result<Said, BenchError> {
    let failed = |what: &str, source| BenchError::System {
        what: format!("cannot {what} the dumb client"),
        source,
    };
    let program = std::env::current_exe().map_err(|source| failed("find", source))?;
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .arg("--dumb-client")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| failed("start", source))?;
    let told = serde_json::to_vec(order).map_err(|source| BenchError::Json {
        what: "cannot write the order of the dumb client".to_owned(),
        source,
    })?;
    let mut input = child.stdin.take().expect("it was asked for");
    let wrote = input.write_all(&told).await;
    wrote.map_err(|source| failed("tell", source))?;
    drop(input);
    let output = child
        .wait_with_output()
        .await
        .map_err(|source| failed("wait for", source))?;
    if !output.status.success() {
        return Err(problem(output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|source| BenchError::Json {
        what: "the dumb client said something else".to_owned(),
        source,
    })
}

/// The process: an order on standard input, what it used on standard output.
///
/// # Errors
/// [`BenchError`] for the first request that was not answered as it should be.
pub async fn serve() -> Result<(), BenchError> {
    // Whoever came first chose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let order: Order =
        serde_json::from_reader(std::io::stdin().lock()).map_err(|source| BenchError::Json {
            what: "the order cannot be read".to_owned(),
            source,
        })?;
    let client = Dumb::new(order).await?;
    let client = Arc::new(client);
    let targets = client.targets().await?;
    stream::iter(targets)
        .map(|(target, version)| {
            let client = Arc::clone(&client);
            let task = tokio::spawn(async move { client.deliver(&target, &version).await });
            async move { task.await.map_err(problem)? }
        })
        .buffer_unordered(CONCURRENCY)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    let Usage {
        processor_seconds,
        peak_mebibytes,
        ..
    } = usage::of(std::process::id())?;
    let said = Said {
        processor_seconds,
        peak_mebibytes,
    };
    println!("{}", json!(said));
    Ok(())
}

fn problem(problem: impl std::fmt::Display) -> BenchError {
    BenchError::Dumb {
        problem: problem.to_string(),
    }
}

struct Dumb {
    order: Order,
    /// The script as text, so that names can be put in.
    script: String,
    client: Client,
    slots: Semaphore,
    http: reqwest::Client,
}

impl Dumb {
    async fn new(order: Order) -> Result<Self, BenchError> {
        Ok(Self {
            client: client(&order.kubeconfig).await?,
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

    /// The devices with the versions of their objects, which the operator has from its watch.
    async fn targets(&self) -> Result<Vec<(Target, String)>, BenchError> {
        let path = Device::url_path(&(), Some(&self.order.namespace));
        let request = Request::new(path).list(&ListParams::default());
        let list: Value = self.api(request.map_err(problem)?).await?;
        let versions: std::collections::HashMap<&str, &str> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| {
                let meta = &item["metadata"];
                Some((meta["name"].as_str()?, meta["resourceVersion"].as_str()?))
            })
            .collect();
        let of = |target: &Target| {
            let version = versions.get(target.name.as_str());
            let version = version.ok_or_else(|| problem("a Device is not there"))?;
            Ok((target.clone(), (*version).to_owned()))
        };
        self.order.targets.iter().map(of).collect()
    }

    async fn api(&self, request: http::Request<Vec<u8>>) -> Result<Value, BenchError> {
        let _slot = self.slots.acquire().await.map_err(problem)?;
        self.client.request(request).await.map_err(problem)
    }

    async fn deliver(&self, target: &Target, device_version: &str) -> Result<(), BenchError> {
        let own = self
            .script
            .replace(&self.order.script.serial_number, &target.serial_number)
            .replace(&self.order.script.name, &target.name);
        let script: Script = serde_json::from_str(&own).map_err(problem)?;

        let path = ServiceSubscription::url_path(&(), Some(&self.order.namespace));
        let create =
            Request::new(path).create(&PostParams::default(), bytes(&script.subscription)?);
        let mut object = self.api(create.map_err(problem)?).await?;
        self.get(target, &script).await?;
        let mut scheduled = script.settled_status.clone();
        scheduled["items"] = json!([]);
        self.status::<ServiceSubscription>(&mut object, scheduled)
            .await?;
        for settings in &script.set {
            self.set(target, settings).await?;
        }
        self.get(target, &script).await?;
        self.instance(target, &script).await?;
        self.status::<ServiceSubscription>(&mut object, script.settled_status)
            .await?;
        let mut device = json!({
            "apiVersion": Device::api_version(&()),
            "kind": Device::kind(&()),
            "metadata": { "name": target.name, "resourceVersion": device_version },
        });
        self.status::<Device>(&mut device, script.device_status)
            .await
    }

    /// PUT of the status, as the operator does.
    async fn status<K: kube::Resource<DynamicType = ()>>(
        &self,
        object: &mut Value,
        status: Value,
    ) -> Result<(), BenchError> {
        object["status"] = status;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let path = K::url_path(&(), Some(&self.order.namespace));
        let body = bytes(object)?;
        let request =
            Request::new(path).replace_subresource("status", name, &PostParams::default(), body);
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

async fn client(kubeconfig: &Path) -> Result<Client, BenchError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(problem)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(problem)?;
    config.default_retry = false;
    Client::try_from(config).map_err(problem)
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
