//! What leaves one machine, in the hands of those who take it: Debian's Prometheus scrapes
//! `/metrics` and evaluates the shipped rules, Go's pprof opens what the endpoints serve.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{DEADLINE, Process, needs_program};
use tokio::sync::watch;
use tracer::{
    model::{
        Frame,
        host::{
            Event, FaultedStack, Gauge, GroupView, Happening, HostMemory, Interval, LineId,
            LineInterval, LineView, State, View,
        },
        verdict::{Confidence, Kind, PlaceName, Verdict, VerdictStack},
    },
    render::metrics::{self as metrics_text, Counts, Format},
    serve::{Sources, metrics, profiles},
    store::history::{Bounds, History},
};

/// A server in this process, as the daemon has one.
struct Server {
    address: SocketAddr,
    view: watch::Sender<Arc<View>>,
    /// A message for each scrape of `/metrics`.
    scrapes: Receiver<()>,
    sources: Sources,
    _directory: TempDir,
}

impl Server {
    fn start(view: View) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bounds = Bounds {
            bytes: 1 << 24,
            age: Duration::from_secs(86_400),
        };
        let history = Arc::new(History::open(directory.path(), bounds).unwrap());
        let (sender, receiver) = watch::channel(Arc::new(view));
        let sources = Sources {
            view: receiver,
            history,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (scraped, scrapes) = mpsc::channel();
        let theirs = sources.clone();
        // It ends with the process: it listens on loopback only, and holds nothing.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let metrics = metrics::routes(theirs.clone());
                let tell = axum::middleware::from_fn(
                    move |request: axum::extract::Request, next: axum::middleware::Next| {
                        let scraped = scraped.clone();
                        async move {
                            let answer = next.run(request).await;
                            // Nobody counts them any more when the test is over.
                            let _ = scraped.send(());
                            answer
                        }
                    },
                );
                let routes = metrics.layer(tell).merge(profiles::routes(theirs));
                axum::serve(listener, routes).await.unwrap();
            });
        });
        Self {
            address,
            view: sender,
            scrapes,
            sources,
            _directory: directory,
        }
    }

    fn scraped(&self) {
        self.scrapes.recv_timeout(*DEADLINE).unwrap();
    }
}

/// The body of an answer, which must be one.
fn get(address: SocketAddr, path: &str) -> Option<Vec<u8>> {
    let mut connection = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(answer.get(..end)?).into_owned();
    head.contains(" 200 OK").then(|| answer.split_off(end + 4))
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

fn frame(function: &str) -> Frame {
    Frame {
        function: Some(function.to_owned()),
        module: "/srv/addon.node".to_owned(),
        offset: 0x11d0,
        ..Frame::default()
    }
}

/// Seven programs: one leaks, one begins to grow, the others are healthy; one of these has a
/// name that would break what does not escape it.
fn view() -> View {
    let line = |number: u64| LineView {
        line: LineId(number),
        name: "node".to_owned(),
        group: format!("/system.slice/web-{number}.service"),
        pid: 4000 + u32::try_from(number).unwrap(),
        resident_bytes: 100 << 20,
        places: BTreeMap::from([(PlaceName::OtherAnonymous, 90 << 20)]),
        state: State::Healthy,
        ..LineView::default()
    };
    let mut lines: Vec<LineView> = (0..7).map(line).collect();
    let stacks = vec![VerdictStack {
        share: 1.0,
        frames: vec![frame("keep<\"all\\of\nit\">")],
    }];
    let summary = "It leaks.".to_owned();
    lines[0].state = State::Judged;
    lines[0].verdict_ms = Some(now_ms());
    lines[0].verdicts = vec![Verdict {
        stacks,
        ..Verdict::new(Kind::Leak, 1, Confidence::High, 9 << 20, summary)
    }];
    lines[1].state = State::Grows;
    lines[1].bytes_per_second = 5000.0;
    lines[2].name = "no\"de\\\n}\u{202e}".to_owned();
    View {
        at_ms: now_ms(),
        host_name: "web-1".to_owned(),
        host: HostMemory {
            total_bytes: 8 << 30,
            available: Gauge::of(5 << 30),
            ..HostMemory::default()
        },
        lines,
        groups: vec![GroupView {
            group: "/system.slice/web-0.service".to_owned(),
            memory_bytes: Some(1 << 28),
            limit_bytes: Some(1 << 30),
            ..GroupView::default()
        }],
        losses: BTreeMap::from([("stacks: no room".to_owned(), 3)]),
        ..View::default()
    }
}

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(file)
}

/// `promtool check metrics`, which knows the format and its conventions, has nothing to say.
#[test]
fn promtool_is_content_with_the_metrics() {
    needs_program!("promtool");
    let server = Server::start(view());
    let text = get(server.address, "/metrics").unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = promtool
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(&text).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&words), "");
    assert!(said.status.success());
}

/// Debian's Prometheus, which scrapes every second and evaluates rules at once.
fn prometheus(target: SocketAddr, directory: &Path) -> (Process, SocketAddr) {
    let rules = fs::read_to_string(deploy("prometheus/alerts.yaml")).unwrap();
    // As shipped, but for how long something must last.
    let waits = |line: &&str| !line.trim_start().starts_with("for:");
    let rules: Vec<&str> = rules.lines().filter(waits).collect();
    fs::write(directory.join("alerts.yaml"), rules.join("\n")).unwrap();
    let config = format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n\
         rule_files: [alerts.yaml]\n\
         scrape_configs:\n  - job_name: memtrace\n    static_configs:\n      - targets: ['{target}']\n"
    );
    let file = directory.join("prometheus.yml");
    fs::write(&file, config).unwrap();
    // A port that was free a moment ago: Prometheus cannot be given a socket.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            directory.join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    (Process::start(&mut command), address)
}

/// Names of the alerts that fire.
fn firing(prometheus: SocketAddr) -> Vec<(String, String)> {
    let Some(answer) = get(prometheus, "/api/v1/alerts") else {
        return Vec::new();
    };
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let alerts = answer["data"]["alerts"].as_array().unwrap().iter();
    let alerts = alerts.filter(|alert| alert["state"] == "firing");
    let text = |alert: &Value, what: &str| alert["labels"][what].as_str().unwrap_or("").to_owned();
    let mut names: Vec<_> = alerts
        .map(|alert| (text(alert, "alertname"), text(alert, "line")))
        .collect();
    names.sort();
    names
}

/// A real Prometheus scrapes the metrics whole, and of the shipped rules those fire, and only
/// those, that should: for the line that leaks, the one that grows, and a kill that happens
/// while it looks.
#[test]
fn prometheus_fires_the_shipped_alerts() {
    needs_program!("prometheus");
    let mut present = view();
    let server = Server::start(present.clone());
    let directory = tempfile::tempdir().unwrap();
    let (_prometheus, address) = prometheus(server.address, directory.path());
    // Seen without the kill first: an alert is on an increase.
    server.scraped();
    server.scraped();
    present.events = vec![Event {
        at_ms: now_ms() + 1,
        line: Some(LineId(3)),
        what: Happening::OutOfMemory {
            pid: 4003,
            name: "node".to_owned(),
            resident_bytes: 1 << 30,
        },
    }];
    server.view.send(Arc::new(present)).unwrap();
    let expected = [
        ("MemtraceLeak", "0000000000000000"),
        ("MemtraceOutOfMemoryKill", ""),
        ("MemtraceProgramGrows", "0000000000000001"),
    ]
    .map(|(name, line)| (name.to_owned(), line.to_owned()));
    let begun = Instant::now();
    loop {
        server.scraped();
        let firing = firing(address);
        if firing == expected {
            break;
        }
        assert!(begun.elapsed() < *DEADLINE, "{firing:?}");
    }
    let query = "/api/v1/query?query=memtrace_line_resident_bytes";
    let answer: Value = serde_json::from_slice(&get(address, query).unwrap()).unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    assert_eq!(series.len(), 7);
    let named = |name: &str| series.iter().any(|it| it["metric"]["program"] == name);
    assert!(named("no\"de\\\u{fffd}}\u{fffd}"), "{series:?}");
}

/// Names of metrics in a text, as PromQL and the text format write them.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("memtrace_"));
    names.map(str::to_owned).collect()
}

/// Every metric that the dashboard and the rules name is one that memtrace serves, and every
/// query of the dashboard is one to Prometheus: a panel that stays empty helps nobody.
#[test]
fn dashboard_and_rules_name_metrics_that_are_served() {
    needs_program!("promtool");
    let mut everything = view();
    everything.lines[0].peak = Some(Default::default());
    everything.gaps = vec!["fentry".to_owned()];
    let counts = Counts {
        pushes: vec![Default::default()],
        ..Counts::default()
    };
    everything.host.anonymous = Gauge::of(1);
    everything.host.slab = Gauge::of(1);
    let served = metric_names(&metrics_text::render(&everything, &counts, Format::Text));
    let dashboard = fs::read_to_string(deploy("grafana/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    let queries: Vec<String> = targets
        .flatten()
        .chain(dashboard["annotations"]["list"].as_array().unwrap())
        .map(|it| {
            it["expr"]
                .as_str()
                .unwrap()
                .replace("$__rate_interval", "5m")
        })
        .collect();
    assert!(queries.len() > 20);
    let rules = fs::read_to_string(deploy("prometheus/alerts.yaml")).unwrap();
    let named = metric_names(&format!("{} {rules}", queries.join(" ")));
    let unknown: Vec<_> = named.difference(&served).collect();
    assert!(unknown.is_empty(), "{unknown:?}");

    let rule = |query: &String| json!({ "record": "memtrace:panel", "expr": query });
    let rules: Vec<Value> = queries.iter().map(rule).collect();
    let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    // JSON is YAML.
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(file.path(), groups.to_string()).unwrap();
    let checked = Command::new("promtool")
        .args(["check", "rules", "--lint=none"])
        .arg(file.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{errors}");
}

/// Go's pprof fetches page faults from the endpoint as it does from any Go program, and tells
/// the functions and labels that memtrace wrote.
#[test]
fn pprof_opens_the_endpoint() {
    needs_program!("go");
    let server = Server::start(view());
    let line = LineInterval {
        line: LineId(1),
        name: "node".to_owned(),
        group: "/system.slice/web-1.service".to_owned(),
        pid: 4001,
        faulted: vec![FaultedStack {
            stack: 9,
            bytes: 5 << 20,
            samples: 3,
        }],
        ..LineInterval::default()
    };
    let now = server.view.borrow().at_ms;
    let interval = Interval {
        start_ms: now - 10_000,
        end_ms: now,
        lines: vec![line],
        stacks: BTreeMap::from([(9, vec![frame("keep"), frame("main")])]),
        ..Interval::default()
    };
    server.sources.history.append(&interval).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{}/debug/pprof/growth?seconds=30", server.address);
    let run = |arguments: &[&str]| {
        let said = Command::new("go")
            .args(["tool", "pprof"])
            .args(arguments)
            .arg(&url)
            .env("PPROF_TMPDIR", directory.path())
            .env("HOME", directory.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.success(), "{errors}");
        String::from_utf8(said.stdout).unwrap()
    };
    let top = run(&["-top", "-sample_index=faulted_space"]);
    let first = top.lines().find(|line| line.ends_with(" keep")).unwrap();
    assert!(first.trim_start().starts_with("5MB"), "{top}");
    let tags = run(&["-tags"]);
    for label in ["program", "group", "line"] {
        assert!(tags.contains(&format!(" {label}: Total 5.0MB")), "{tags}");
    }
}
