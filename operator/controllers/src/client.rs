//! The client of the Kubernetes API.
//!
//! kube's client retries writes by itself and waits for ever; ours does neither. Every request but
//! a watch has a deadline that covers its whole answer, at most so many are under way at once, and
//! each answer's `Date` feeds the [`ClockSkew`]. Watches are bounded by the watcher (see `cache`).
//! Made once by the binary.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use jiff::{Timestamp, fmt::rfc2822};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tokio::{sync::Semaphore, time::timeout};
use tower::{BoxError, Layer, Service};

use crate::{
    clock::{Clock, ClockSkew},
    defect::guarded_now,
    metrics::Metrics,
};

/// Time limit of connecting.
const CONNECT: Duration = Duration::from_secs(5);

/// Limits of the client of the API server.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// A kubeconfig file; none: that of the environment, else the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// Time limit of a request, answer included; watches excepted.
    pub timeout: Duration,
    /// Number of requests that may be under way at once; watches excepted.
    pub in_flight: usize,
    /// The version of the operator, for the user agent.
    pub version: String,
}

/// Fault of a kubeconfig, without a word of its content: it has tokens and keys.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KubeconfigFault(String);

impl From<KubeconfigError> for KubeconfigFault {
    fn from(error: KubeconfigError) -> Self {
        Self(match error {
            // The words of the parser show the lines around the fault.
            KubeconfigError::Parse(error) => {
                let place = error.location();
                let place =
                    place.map(|it| format!(" at line {}, column {}", it.line(), it.column()));
                format!("it is no kubeconfig in YAML{}", place.unwrap_or_default())
            }
            error => error.to_string(),
        })
    }
}

fn of_kubeconfig(error: KubeconfigError) -> ClientError {
    ClientError::Kubeconfig {
        source: error.into(),
    }
}

/// Reason why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig can not be used.
    #[error("the kubeconfig can not be used: {source}")]
    Kubeconfig {
        /// The fault of the file.
        source: KubeconfigFault,
    },
    /// Neither a kubeconfig nor a service account was found.
    #[error("no cluster is known: no kubeconfig ({kubeconfig}), not in a pod ({in_cluster})")]
    NoCluster {
        /// Fault of the kubeconfig of the environment.
        kubeconfig: KubeconfigFault,
        /// Fault of the service account of the pod.
        in_cluster: kube::config::InClusterError,
    },
    /// The client could not be put together from the configuration.
    #[error("the client can not be made: {source}")]
    Build {
        /// The fault, mostly of credentials or certificates.
        source: kube::Error,
    },
}

/// Makes the client. Sends nothing.
pub async fn connect(
    options: &ClientOptions,
    clock: Arc<dyn Clock>,
    skew: Arc<ClockSkew>,
    metrics: Arc<Metrics>,
) -> Result<Client, ClientError> {
    let mut config = configuration(options).await?;
    config.connect_timeout = Some(CONNECT);
    // Watches may be silent for a minute; everything else has its own deadline below.
    config.read_timeout = None;
    // A POST that was answered with 504 may have been done; its caller decides.
    config.default_retry = false;
    if let Ok(agent) = http::HeaderValue::from_str(&format!("entente/{}", options.version)) {
        config.headers.push((header::USER_AGENT, agent));
    }
    let bounded = Bounded {
        limit: options.timeout,
        slots: Arc::new(Semaphore::new(options.in_flight.max(1))),
        clock,
        skew,
        metrics,
    };
    let builder =
        ClientBuilder::try_from(config).map_err(|source| ClientError::Build { source })?;
    Ok(builder.with_layer(&bounded).build())
}

/// Returns the addresses of the API server: those of the URL of the client, and that under which a
/// pod finds it. A name is resolved once; one that has no address is left out.
pub async fn api_server_addresses(options: &ClientOptions) -> Result<Vec<IpAddr>, ClientError> {
    let url = configuration(options).await?.cluster_url;
    let in_pod = std::env::var("KUBERNETES_SERVICE_HOST").ok();
    let hosts = url.host().map(str::to_owned).into_iter().chain(in_pod);
    let mut addresses = Vec::new();
    for host in hosts {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = timeout(CONNECT, tokio::net::lookup_host((bare, 0))).await;
        if let Ok(Ok(found)) = found {
            addresses.extend(found.map(|address| address.ip()));
        } else {
            tracing::warn!(host, "the name of the API server has no address");
        }
    }
    Ok(addresses)
}

async fn configuration(options: &ClientOptions) -> Result<Config, ClientError> {
    let from_kubeconfig = async |kubeconfig| {
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
    };
    if let Some(path) = &options.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(of_kubeconfig)?;
        return from_kubeconfig(kubeconfig).await.map_err(of_kubeconfig);
    }
    match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
        Ok(config) => Ok(config),
        Err(kubeconfig) => Config::incluster().map_err(|in_cluster| ClientError::NoCluster {
            kubeconfig: kubeconfig.into(),
            in_cluster,
        }),
    }
}

/// A request without a whole answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {limit:?}")]
pub struct TimedOut {
    limit: Duration,
}

/// The layer that bounds requests and reads the dates of their answers.
#[derive(Clone)]
pub struct Bounded {
    limit: Duration,
    slots: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    skew: Arc<ClockSkew>,
    metrics: Arc<Metrics>,
}

impl<S> Layer<S> for Bounded {
    type Service = BoundedService<S>;

    fn layer(&self, inner: S) -> BoundedService<S> {
        BoundedService {
            inner,
            bounded: self.clone(),
        }
    }
}

/// A service under [`Bounded`].
#[derive(Clone)]
pub struct BoundedService<S> {
    inner: S,
    bounded: Bounded,
}

/// The body of an answer: whole, or the stream of a watch.
pub type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

impl<S, B> Service<Request<Body>> for BoundedService<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body_util::BodyExt<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let watch = is_watch(&request);
        let method = request.method().clone();
        let bounded = self.bounded.clone();
        // This runs in the one task of the client's queue, without which no request is ever sent.
        let answer = guarded_now("request", || self.inner.call(request));
        async move {
            let result = match answer {
                Some(answer) => bounded.exchange(answer, watch).await,
                None => Err(BoxError::from("a panic before the request was sent")),
            };
            let code = match &result {
                Ok(response) => response.status().as_u16().to_string(),
                Err(error) if error.is::<TimedOut>() => "timeout".to_owned(),
                Err(_) => "error".to_owned(),
            };
            bounded
                .metrics
                .api_request(if watch { "WATCH" } else { method.as_str() }, &code);
            result
        }
        .boxed()
    }
}

impl Bounded {
    async fn exchange<F, B, E>(
        &self,
        answer: F,
        watch: bool,
    ) -> Result<Response<AnswerBody>, BoxError>
    where
        F: Future<Output = Result<Response<B>, E>>,
        E: Into<BoxError>,
        B: http_body_util::BodyExt<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Waiting for a slot is not the server's fault; it does not count. The client's own
        // future does nothing before it is polled, so nothing is sent meanwhile.
        let _slot = if watch {
            None
        } else {
            Some(self.slots.acquire().await?)
        };
        let whole = async {
            let sent = self.clock.now();
            let response = answer.await.map_err(Into::into)?;
            if let Some(date) = date(&response) {
                let skew = self.skew.observe(date, sent, self.clock.now());
                self.metrics.clock_skew(skew);
            }
            let (parts, body) = response.into_parts();
            let body = if watch {
                body.map_err(Into::into).boxed_unsync()
            } else {
                let bytes = body.collect().await.map_err(Into::into)?.to_bytes();
                Full::new(bytes)
                    .map_err(|never| match never {})
                    .boxed_unsync()
            };
            Ok(Response::from_parts(parts, body))
        };
        timeout(self.limit, whole)
            .await
            .map_err(|_| TimedOut { limit: self.limit })?
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .any(|pair| pair == "watch=true" || pair == "watch=1")
}

fn date<B>(response: &Response<B>) -> Option<Timestamp> {
    let text = response.headers().get(header::DATE)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests;
