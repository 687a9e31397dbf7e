use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use opentelemetry_proto::tonic::collector::profiles::v1development as theirs;
use prost::Message as _;
use tokio::sync::{Mutex, mpsc};

use super::*;
use crate::{render::metrics::sample, serve::testing};

/// A request as the receiver got it.
struct Got {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers in turn with these, then with 200.
#[derive(Clone)]
struct Receiver {
    got: mpsc::UnboundedSender<Got>,
    answers: Arc<Mutex<VecDeque<Response>>>,
}

async fn receive(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    receiver
        .got
        .send(Got {
            path,
            headers,
            body,
        })
        .unwrap();
    let answer = receiver.answers.lock().await.pop_front();
    answer.unwrap_or_else(|| ().into_response())
}

async fn receiver(
    answers: impl IntoIterator<Item = Response>,
) -> (String, mpsc::UnboundedReceiver<Got>) {
    let (got, gets) = mpsc::unbounded_channel();
    let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
    let routes = Router::new().fallback(receive);
    let address = testing::serve(routes.with_state(Receiver { got, answers })).await;
    (format!("http://{address}"), gets)
}

const NOWHERE: Options = Options {
    pyroscope: None,
    otlp: None,
    webhook: None,
    every: Duration::from_millis(20),
};

/// Intervals and a view of after now: what was before pushing began is not sent.
fn future() -> u64 {
    now_ms() + 3_600_000
}

fn fill(sources: &Sources) -> crate::model::host::View {
    let mut view = sample::view();
    view.at_ms = future() + 100_000;
    for (number, mut interval) in (0..).zip(sample::intervals(1 << 20)) {
        interval.start_ms = future() + number * 10_000;
        interval.end_ms = interval.start_ms + 10_000;
        sources.history.append(&interval).unwrap();
    }
    view
}

/// Pyroscope gets a request of its protocol: a series for each program, the profile that pprof
/// reads, and its token from a file; once, however often it is looked at.
#[test]
fn pushes_to_pyroscope() {
    testing::run(async {
        let (url, mut gets) = receiver([]).await;
        let (sender, sources, directory) = testing::sources(Default::default());
        sender.send(Arc::new(fill(&sources))).unwrap();
        let file = directory.path().join("headers");
        std::fs::write(&file, "Authorization: Bearer secret\n").unwrap();
        let pyroscope = Destination::new(&url, PYROSCOPE_PATH, Some(file)).unwrap();
        let options = Options {
            pyroscope: Some(pyroscope),
            ..NOWHERE
        };
        let status = Status::default();
        let shutdown = async {
            let got = gets.recv().await.unwrap();
            assert_eq!(got.path, "/push.v1.PusherService/Push");
            assert_eq!(got.headers[header::CONTENT_TYPE], "application/proto");
            assert_eq!(got.headers[header::AUTHORIZATION], "Bearer secret");
            assert_eq!(got.headers["connect-protocol-version"], "1");
            let request = pyroscope::PushRequest::decode(got.body).unwrap();
            let labels = |number: usize| -> Vec<(&str, &str)> {
                let labels = request.series[number].labels.iter();
                labels.map(|it| (&*it.name, &*it.value)).collect()
            };
            assert_eq!(request.series.len(), 2);
            let node = [
                ("__name__", "page_faults"),
                ("service_name", "node"),
                ("line", "00000000000000ab"),
                ("host", "web-1"),
                ("cgroup", "/system.slice/web.service"),
            ];
            assert_eq!(labels(0), node);
            assert_eq!(labels(1)[1], ("service_name", "nginx"));
            let sample = &request.series[0].samples[0];
            let profile = testing::unpack(&sample.raw_profile);
            assert_eq!(profile.sample[0].value, [2 << 20, 4]);
        };
        run(sources, options, status.clone(), shutdown)
            .await
            .unwrap();
        assert_eq!(status.counts()[0].dropped, 0);
    });
}

/// Until one was taken.
async fn until_sent(told: &Status) {
    while told.counts()[0].sent == 0 {
        tokio::task::yield_now().await;
    }
}

/// A collector gets a request that OpenTelemetry's own messages read; one that asks for
/// patience gets the same again, and what it does not take of one is counted.
#[test]
fn pushes_to_a_collector() {
    testing::run(async {
        let wait = [(header::RETRY_AFTER, "0")];
        let busy = (StatusCode::SERVICE_UNAVAILABLE, wait).into_response();
        let partial = theirs::ExportProfilesServiceResponse {
            partial_success: Some(theirs::ExportProfilesPartialSuccess {
                rejected_profiles: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let partial = partial.encode_to_vec().into_response();
        let (url, mut gets) = receiver([busy, partial]).await;
        let (sender, sources, _directory) = testing::sources(Default::default());
        sender.send(Arc::new(fill(&sources))).unwrap();
        let options = Options {
            otlp: Some(Destination::new(&url, OTLP_PATH, None).unwrap()),
            ..NOWHERE
        };
        let status = Status::default();
        let told = status.clone();
        let shutdown = async {
            let first = gets.recv().await.unwrap();
            let again = gets.recv().await.unwrap();
            assert_eq!(first.body, again.body);
            // It is out of the queue, and not given up: the answer may have come by now.
            let counts = told.counts();
            assert_eq!(counts[0].waiting + counts[0].sent, 1);
            assert_eq!(again.path, "/v1development/profiles");
            assert_eq!(again.headers[header::CONTENT_ENCODING], "gzip");
            assert_eq!(
                again.headers[header::CONTENT_TYPE],
                "application/x-protobuf"
            );
            let body = testing::gunzip(&again.body);
            let request = theirs::ExportProfilesServiceRequest::decode(&*body).unwrap();
            assert_eq!(request.resource_profiles.len(), 2);
            until_sent(&told).await;
        };
        run(sources, options, status.clone(), shutdown)
            .await
            .unwrap();
        let count = &status.counts()[0];
        assert_eq!(
            (count.destination, count.sent, count.failures),
            ("otlp", 1, 1)
        );
        assert_eq!(status.losses()["messages not pushed to otlp"], 3);
    });
}

/// A webhook gets an alert once, though views repeat what is wrong; a redirect is not followed
/// but counted, and with it goes no token.
#[test]
fn alerts_a_webhook() {
    testing::run(async {
        let (elsewhere, mut others) = receiver([]).await;
        let moved = [(header::LOCATION, elsewhere)];
        let moved = (StatusCode::TEMPORARY_REDIRECT, moved).into_response();
        let (url, mut gets) = receiver([moved]).await;
        let (sender, sources, _directory) = testing::sources(Default::default());
        let options = Options {
            webhook: Some(Destination::new(&url, "", None).unwrap()),
            ..NOWHERE
        };
        let status = Status::default();
        let told = status.clone();
        let shutdown = async {
            let mut view = sample::view();
            view.lines[0].verdict_ms = Some(future());
            view.events.clear();
            for step in 0..3 {
                view.at_ms += step;
                sender.send(Arc::new(view.clone())).unwrap();
                tokio::task::yield_now().await;
            }
            let first = gets.recv().await.unwrap();
            assert_eq!(first.headers[header::CONTENT_TYPE], "application/json");
            view.events = vec![sample::out_of_memory(future())];
            sender.send(Arc::new(view.clone())).unwrap();
            let second = gets.recv().await.unwrap();
            let kind = |got: &Got| -> serde_json::Value {
                let alert: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
                alert["kind"].clone()
            };
            assert_eq!([kind(&first), kind(&second)], ["verdict", "out_of_memory"]);
            until_sent(&told).await;
        };
        run(sources, options, status.clone(), shutdown)
            .await
            .unwrap();
        let count = &status.counts()[0];
        assert_eq!((count.sent, count.failures, count.dropped), (1, 1, 1));
        assert!(others.try_recv().is_err());
    });
}

/// A destination that is not there holds up neither memtrace's end nor another destination.
#[test]
fn a_dead_destination_harms_nobody() {
    testing::run(async {
        let (url, mut gets) = receiver([]).await;
        let (sender, sources, _directory) = testing::sources(Default::default());
        sender.send(Arc::new(fill(&sources))).unwrap();
        // It takes connections and answers nothing.
        let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let silent_url = format!("http://{}", silent.local_addr().unwrap());
        let options = Options {
            pyroscope: Some(Destination::new(&url, PYROSCOPE_PATH, None).unwrap()),
            otlp: Some(Destination::new(&silent_url, OTLP_PATH, None).unwrap()),
            ..NOWHERE
        };
        let begun = std::time::Instant::now();
        let shutdown = async move {
            gets.recv().await.unwrap();
            silent.accept().await.unwrap();
        };
        // As a daemon runs it: on any thread.
        let pushing = tokio::spawn(run(sources, options, Status::default(), shutdown));
        pushing.await.unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
    });
}

/// A server with a certificate of its own making: the file of the certificate, and a thread
/// that answers each request with 200 and tells how handshakes went.
fn https_server(directory: &std::path::Path) -> (String, std::path::PathBuf) {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| directory.join(name));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-days",
            "2",
            "-subj",
            "/CN=memtrace",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&certificate).unwrap()],
            PrivateKeyDer::from_pem_file(&key).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    // It ends with the process.
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for connection in listener.incoming() {
            let tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, connection.unwrap());
            // A client that trusts nobody leaves here.
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    (url, certificate)
}

const KIND: client::Kind = client::Kind {
    content_type: "text/plain",
    headers: &[],
    is_otlp: false,
};

/// A server whose certificate nobody of this host vouches for gets nothing; one whose
/// certificate is given as a root does. Root certificates are the process's: it is another.
#[test]
fn certificates_are_verified() {
    let directory = tempfile::tempdir().unwrap();
    let (url, certificate) = https_server(directory.path());
    let destination = Destination::new(&url, "", None).unwrap();
    let client = Client::new().unwrap();
    let error = client.post(&destination, KIND, b"body").unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serve::push::tests::trusting_child", "--ignored"])
        .env("SSL_CERT_FILE", &certificate)
        .env("MEMTRACE_TEST_URL", &url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

/// The other process of [`certificates_are_verified`].
#[test]
#[ignore = "run by certificates_are_verified"]
fn trusting_child() {
    let url = std::env::var("MEMTRACE_TEST_URL").unwrap();
    let destination = Destination::new(&url, "", None).unwrap();
    let reply = Client::new().unwrap().post(&destination, KIND, b"body");
    assert_eq!(reply.unwrap(), reply::Reply::Taken { rejected: 0 });
}
