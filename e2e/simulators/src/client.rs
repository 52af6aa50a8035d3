//! Client of the control interface, for simulators that run as a process of their own.
//!
//! Decides nothing. Called by the demo and by tests that need another process.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{DeviceView, Entry, Fault, InstanceView, Mode};

/// The line that the binary `simulators` prints on stdout when all listeners are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Number of devices.
    pub devices: usize,
    /// Common port of the devices.
    pub ipp_port: u16,
    /// `ipp:` URI of the first device.
    pub first_device: String,
    /// `ipp:` URI of the last device.
    pub last_device: String,
    /// URL of the broker; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// URL of the control interface.
    pub control: String,
}

/// The control interface refused a request.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It could not be reached, or its answer could not be read.
    #[error("the simulators' control interface failed: {source}")]
    Transport {
        /// The cause.
        source: reqwest::Error,
    },
    /// It refused.
    #[error("the simulators' control interface answered {status}: {body}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Body of its answer.
        body: String,
    },
}

/// Client of the control interface. Clones share connections.
#[derive(Debug, Clone)]
pub struct SimulatorClient {
    base: String,
    http: reqwest::Client,
}

impl SimulatorClient {
    /// Returns a client of the interface at `base`, for example `http://127.0.0.1:7900`.
    ///
    /// # Errors
    /// [`ClientError::Transport`] if no HTTP client can be made.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        // The TLS provider is needed to build the client even where only http: is asked for.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|source| ClientError::Transport { source })?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            http,
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn send(request: RequestBuilder) -> Result<reqwest::Response, ClientError> {
        let failed = |source| ClientError::Transport { source };
        let response = request.send().await.map_err(failed)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.text().await.map_err(failed)?;
        Err(ClientError::Refused { status, body })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let response = Self::send(self.request(Method::GET, path)).await?;
        response
            .json()
            .await
            .map_err(|source| ClientError::Transport { source })
    }

    async fn put(&self, path: &str, body: &impl Serialize) -> Result<(), ClientError> {
        Self::send(self.request(Method::PUT, path).json(body))
            .await
            .map(drop)
    }

    async fn delete(&self, path: &str) -> Result<(), ClientError> {
        Self::send(self.request(Method::DELETE, path))
            .await
            .map(drop)
    }

    /// Returns all devices.
    pub async fn devices(&self) -> Result<Vec<DeviceView>, ClientError> {
        self.get("/devices").await
    }

    /// Returns one device.
    pub async fn device(&self, name: &str) -> Result<DeviceView, ClientError> {
        self.get(&format!("/devices/{name}")).await
    }

    /// Brings a fault into one device.
    pub async fn set_fault(&self, name: &str, fault: impl Into<Fault>) -> Result<(), ClientError> {
        self.put(&format!("/devices/{name}/fault"), &fault.into())
            .await
    }

    /// Clears all faults of one device.
    pub async fn clear_faults(&self, name: &str) -> Result<(), ClientError> {
        self.delete(&format!("/devices/{name}/fault")).await
    }

    /// Brings a fault into every device.
    pub async fn set_fault_on_all(&self, fault: impl Into<Fault>) -> Result<(), ClientError> {
        self.put("/devices/fault", &fault.into()).await
    }

    /// Clears all faults of every device.
    pub async fn clear_faults_on_all(&self) -> Result<(), ClientError> {
        self.delete("/devices/fault").await
    }

    /// Somebody changes settings at the device itself.
    pub async fn set_attributes(
        &self,
        name: &str,
        values: &BTreeMap<String, Value>,
    ) -> Result<(), ClientError> {
        self.put(&format!("/devices/{name}/attributes"), values)
            .await
    }

    /// Puts another machine in the place of a device.
    pub async fn replace_machine(&self, name: &str) -> Result<DeviceView, ClientError> {
        let request = self.request(Method::PUT, &format!("/devices/{name}/machine"));
        let response = Self::send(request).await?;
        response
            .json()
            .await
            .map_err(|source| ClientError::Transport { source })
    }

    /// Lines of the ledger with a sequence number above `since`; 0: all.
    pub async fn ledger(&self, since: u64) -> Result<Vec<Entry>, ClientError> {
        self.get(&format!("/ledger?since={since}")).await
    }

    /// Forgets all lines of the ledger.
    pub async fn clear_ledger(&self) -> Result<(), ClientError> {
        self.delete("/ledger").await
    }

    /// Faults of the broker.
    pub async fn broker_faults(&self) -> Result<Vec<Fault>, ClientError> {
        self.get("/broker/fault").await
    }

    /// Brings a fault into the broker.
    pub async fn set_broker_fault(&self, fault: impl Into<Fault>) -> Result<(), ClientError> {
        self.put("/broker/fault", &fault.into()).await
    }

    /// Clears all faults of the broker.
    pub async fn clear_broker_faults(&self) -> Result<(), ClientError> {
        self.delete("/broker/fault").await
    }

    /// Changes the way in which the broker carries out writes.
    pub async fn set_broker_mode(&self, mode: Mode) -> Result<(), ClientError> {
        self.put("/broker/mode", &mode).await
    }

    /// Returns all service instances.
    pub async fn instances(&self) -> Result<Vec<InstanceView>, ClientError> {
        self.get("/broker/instances").await
    }

    /// Somebody changes the parameters of an instance at the broker itself.
    pub async fn set_parameters(
        &self,
        id: &str,
        parameters: &Map<String, Value>,
    ) -> Result<(), ClientError> {
        self.put(&format!("/broker/instances/{id}/parameters"), parameters)
            .await
    }

    /// Removes an instance, as a broker that loses it.
    pub async fn remove_instance(&self, id: &str) -> Result<(), ClientError> {
        self.delete(&format!("/broker/instances/{id}")).await
    }
}
