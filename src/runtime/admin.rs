//! What a node's process says over HTTP: whether it lives, whether it is ready, and its metrics.
//!
//! The node's own thread has no part in it, but for one question per request, a short one except for `/metrics`, where it goes
//! through all that it holds together with its peers: however slowly an answer is read, it holds no client up.

#![expect(
    clippy::disallowed_methods,
    reason = "this is a server: connections are tasks and have a bound in time"
)]

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    metrics::{count, render_ages, sample},
    report::{NodeReport, Reports},
};
use crate::node::Readiness;

/// An address that is listened on, and metrics that are counted.
#[derive(Debug)]
pub(super) struct AdminEndpoint {
    listener: TcpListener,
    metrics: PrometheusHandle,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub(super) struct Serving([JoinHandle<()>; 2]);

impl AdminEndpoint {
    /// Listens on `address`, and counts from now on for the whole process, which is the node of that name.
    ///
    /// # Errors
    /// If the address cannot be listened on, or something else in the process counts already.
    pub(super) async fn bind(address: SocketAddr, node: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let advice =
                "set `admin_address` to an address of this machine whose TCP port is free, or to `off`";
            io::Error::new(error.kind(), format!("cannot listen on {address} for HTTP: {error}; {advice}"))
        })?;
        Ok(Self { listener, metrics: count(node)? })
    }

    /// Answers what is asked of the node behind `reports`.
    pub(super) fn serve(self, reports: Reports) -> Serving {
        let Self { listener, metrics } = self;
        if let Ok(address) = listener.local_addr() {
            info!(%address, "HTTP: /livez, /readyz, /metrics");
        }
        let upkeep = tokio::spawn(keep_up(metrics.clone()));
        let desk = Arc::new(Desk { metrics, reports });
        Serving([tokio::spawn(accept(listener, desk)), upkeep])
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Values of histograms are gathered one by one until somebody adds them up.
async fn keep_up(metrics: PrometheusHandle) {
    let mut ticks = interval(UPKEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Whoever finds no place waits to be accepted, where the system lets few wait.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    converse(stream, desk).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "HTTP: a connection cannot be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// One request, one answer. What goes wrong is the other side's fault, which learns it by itself.
async fn converse(stream: TcpStream, desk: Arc<Desk>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(request.method(), request.uri().path()).await) }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).max_buf_size(REQUEST_BYTES_MAX);
    let _ = timeout(CONNECTION_TIMEOUT, server.serve_connection(TokioIo::new(stream), answer)).await;
}

/// Who answers.
struct Desk {
    metrics: PrometheusHandle,
    reports: Reports,
}

type Answer = Response<Full<Bytes>>;

impl Desk {
    async fn answer(&self, method: &Method, path: &str) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".to_owned());
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match path {
            "/livez" => match bounded(self.reports.now()).await {
                Ok(_) => text(StatusCode::OK, "alive\n".to_owned()),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not alive: {why}\n")),
            },
            "/readyz" => match bounded(self.reports.now()).await {
                Ok(NodeReport { readiness: Readiness::Ready, .. }) => {
                    text(StatusCode::OK, format!("{}\n", Readiness::Ready))
                }
                Ok(report) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", report.readiness)),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            },
            "/metrics" => {
                // Without a report the rest is worth knowing all the more.
                let report = bounded(self.reports.with_agreements()).await.ok();
                report.iter().for_each(sample);
                let ages = report.and_then(|report| report.agreement_ages);
                let families = self.metrics.render() + &render_ages(ages.as_ref());
                let mut rendered = text(StatusCode::OK, families);
                rendered.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROMETHEUS_TEXT));
                rendered
            }
            _ => text(StatusCode::NOT_FOUND, "ask for /livez, /readyz or /metrics\n".to_owned()),
        }
    }
}

/// What the node's own thread says, or why it says nothing.
async fn bounded(report: impl Future<Output = Option<NodeReport>>) -> Result<NodeReport, &'static str> {
    match timeout(REPORT_TIMEOUT, report).await {
        Ok(report) => report.ok_or("the node has stopped"),
        Err(_) => Err("the node's thread does not answer: it is stuck, or starved"),
    }
}

fn text(status: StatusCode, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A scraper, a supervisor and a few people.
const CONNECTIONS_MAX: usize = 16;
/// Far more than a scrape takes; who is slower gives its place up.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A request is one line and a few headers; hyper's least is 8 KiB.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// A pass of the node's loop takes milliseconds.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);
/// Some ten thousand requests.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// When the system is out of files.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::runtime::report::{Question, reports};

    /// Who watches whether a process lives does so often, and wants nothing gone through for it.
    #[tokio::test]
    async fn only_metrics_have_the_node_say_when_it_agreed_with_others() {
        let (reports, mut questions) = reports();
        let desk = Desk { metrics: PrometheusBuilder::new().build_recorder().handle(), reports };
        for (path, expected) in [("/livez", Some(false)), ("/readyz", Some(false)), ("/metrics", Some(true))]
        {
            let node = async {
                let Question { agreements, answer } = questions.next().await?;
                answer.send(report()).ok()?;
                Some(agreements)
            };
            let (answered, asked) = tokio::join!(desk.answer(&Method::GET, path), node);
            assert_eq!((answered.status(), asked), (StatusCode::OK, expected), "{path}");
        }
    }

    fn report() -> NodeReport {
        NodeReport {
            readiness: Readiness::Ready,
            peers: Vec::new(),
            links: Vec::new(),
            clients: 0,
            clock_lead: Duration::ZERO,
            clock_offsets: BTreeMap::new(),
            agreement_ages: None,
        }
    }
}
