//! The server of `memtrace host`, by hand over real sockets.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{LEAKING, SampleHost, Served, wait_until};
use tracer::serve::http::{Guard, Listen, Listener, run};

/// A connection, a head and what comes back until the other end closes.
fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A refusal may come as a reset, after the answer.
    let _reset = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// With the right host and token, and more.
fn ask(served: &Served, method: &str, path: &str, more: &str) -> String {
    let (address, token) = (served.address, &served.token);
    send(
        address,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{more}\r\n"
        ),
    )
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// Each thing that is wrong with a request has its answer, and each answer the headers that
/// keep a browser from doing harm with it.
#[test]
fn host_http_refuses() {
    let served = Served::new();
    let address = served.address;
    let token = &served.token;
    let plain = |host: &str, more: &str| {
        send(
            address,
            &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"),
        )
    };
    let own = address.to_string();
    let right = format!("Authorization: Bearer {token}\r\n");
    for (answer, wanted) in [
        (plain(&own, ""), "401"),
        (plain(&own, "Authorization: Bearer x\r\n"), "401"),
        (plain(&own, &right), "200"),
        (plain("evil.example", &right), "421"),
        (
            plain(&format!("evil.example:{}", address.port()), &right),
            "421",
        ),
        (
            plain(&own, &format!("{right}Origin: http://evil.example\r\n")),
            "403",
        ),
        (
            plain(&own, &format!("{right}Sec-Fetch-Site: same-site\r\n")),
            "403",
        ),
        (ask(&served, "POST", "/", "Content-Length: 0\r\n"), "405"),
        (ask(&served, "OPTIONS", "/", ""), "405"),
        (
            ask(&served, "GET", "/", "Content-Length: 5\r\n\r\nhello"),
            "413",
        ),
        (
            ask(
                &served,
                "GET",
                "/",
                &format!("X: {}\r\n", "x".repeat(20_000)),
            ),
            "431",
        ),
        (ask(&served, "GET", "/", &"X: y\r\n".repeat(100)), "431"),
        (
            ask(&served, "GET", &format!("/{}", "x".repeat(20_000)), ""),
            "431",
        ),
        (ask(&served, "GET", "/%00", ""), "404"),
        (ask(&served, "GET", "/../../etc/passwd", ""), "404"),
        (ask(&served, "GET", "/look/../../../etc/passwd", ""), "404"),
        (
            ask(&served, "GET", "/look/..%2f..%2fetc%2fpasswd", ""),
            "404",
        ),
        (
            ask(
                &served,
                "GET",
                "/look/..%2f..%2fetc%2fpasswd/report.json",
                "",
            ),
            "404",
        ),
        (
            ask(&served, "GET", "/look/20261122T093500Z-1234", ""),
            "404",
        ),
        (ask(&served, "GET", "/line/1x", ""), "404"),
        (ask(&served, "GET", "/line/%ff", ""), "400"),
        (ask(&served, "GET", "/line/123456", ""), "404"),
        (ask(&served, "GET", "/line/7?last=1y", ""), "400"),
        (ask(&served, "GET", "/api/intervals?from=x", ""), "400"),
        (ask(&served, "GET", "/api/intervals?line=x", ""), "400"),
        (send(address, "GET / HTTP/1.1\r\n\r\n"), "400"),
        (send(address, "\u{1}\u{2}\r\n\r\n"), "400"),
    ] {
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert_eq!(status(&answer), wanted, "{head}");
        let lower = head.to_ascii_lowercase();
        assert!(!lower.contains("access-control"), "{head}");
        // What is no request at all hyper answers itself, without a body.
        if !matches!(wanted, "431") && head.contains("content-type") {
            for header in [
                "content-security-policy: default-src 'none'",
                "frame-ancestors 'none'",
                "x-content-type-options: nosniff",
                "x-frame-options: deny",
                "referrer-policy: no-referrer",
                "cache-control: no-store",
            ] {
                assert!(lower.contains(header), "{header}: {head}");
            }
        }
        assert!(!answer.contains("root:"), "{head}");
    }
}

/// The printed address gives a cookie, once, and leads to where the token no longer stands.
#[test]
fn host_http_lets_in() {
    let served = Served::new();
    let (address, token) = (served.address, &served.token);
    let visit = |path: &str, more: &str| {
        send(
            address,
            &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}\r\n"),
        )
    };
    let answer = visit(&format!("/?token={token}"), "");
    assert_eq!(status(&answer), "303", "{answer}");
    let header = |name: &str| {
        let line = answer.lines().find(|it| it.starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(header("location"), "/");
    let cookie = header("set-cookie");
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(status(&visit("/", &format!("Cookie: {cookie}\r\n"))), "200");
    assert_eq!(status(&visit(&format!("/?token={token}x"), "")), "401");
}

/// A program reads the same as a person: the present and any stretch of the past, of one line
/// or of all.
#[test]
fn host_http_tells_programs() {
    let served = Served::new();
    let json = |path: &str| -> Value {
        let answer = ask(&served, "GET", path, "");
        assert_eq!(status(&answer), "200", "{path}: {answer}");
        serde_json::from_str(body(&answer)).unwrap()
    };
    let view = served.host.sources.view.borrow().clone();
    assert_eq!(json("/api/view"), serde_json::to_value(&*view).unwrap());
    let (from, to) = (view.at_ms - 600_000, view.at_ms);
    let all = json(&format!("/api/intervals?from={from}&to={to}"));
    let known = served.host.sources.history.intervals(from, to).unwrap();
    assert!(known.len() >= 60, "{}", known.len());
    assert_eq!(all, serde_json::to_value(&known).unwrap());
    let one = json(&format!("/api/intervals?last=10m&line={}", LEAKING.0));
    for interval in one.as_array().unwrap() {
        assert_eq!(interval["lines"].as_array().unwrap().len(), 1);
        assert_eq!(interval["lines"][0]["line"], LEAKING.0);
        assert_eq!(interval["lines"][0]["faulted"].as_array().unwrap().len(), 2);
        assert_eq!(interval["stacks"].as_object().unwrap().len(), 2);
    }
    assert!(json("/api/looks").as_array().unwrap().is_empty());
    let head = ask(&served, "HEAD", "/api/view", "");
    assert_eq!((status(&head), body(&head)), ("200", ""));
}

/// Who asks slowly, and who says nothing at all, is let go of; more connections than there is
/// room for are told so, and there is room again when others go.
#[test]
fn host_http_bounds_its_clients() {
    let served = Served::new();
    let address = served.address;
    let held: Vec<TcpStream> = (0..64)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            if number == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
            }
            stream
        })
        .collect();
    wait_until("there is no room", || {
        let answer = send(address, "");
        answer.starts_with("HTTP/1.1 503") && answer.contains("Connection: close")
    });
    let began = Instant::now();
    for mut stream in held {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    wait_until("there is room again", || {
        status(&ask(&served, "GET", "/", "")) == "200"
    });
}

/// Live updates come as they are, are bounded in number, and do not hold up the end.
#[test]
fn host_http_streams() {
    let mut served = Served::new();
    let (address, token) = (served.address, served.token.clone());
    let open = || {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "GET /events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    };
    let until = |stream: &mut TcpStream, what: &str| {
        let mut text = String::new();
        let mut piece = [0; 512];
        while !text.contains(what) {
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "{what}: {text}");
            text.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        text
    };
    let mut streams: Vec<TcpStream> = (0..16).map(|_| open()).collect();
    let at_ms = served.host.sources.view.borrow().at_ms;
    for stream in &mut streams {
        let text = until(stream, &format!("data: {at_ms}\n\n"));
        assert!(text.contains("content-type: text/event-stream"), "{text}");
    }
    until(&mut open(), "503 Service Unavailable");
    let next = tests::host_view(at_ms + 10_000);
    served.host.view.send(std::sync::Arc::new(next)).unwrap();
    for stream in &mut streams {
        until(stream, &format!("data: {}\n\n", at_ms + 10_000));
    }
    let began = Instant::now();
    served.stop();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

/// A Unix socket is its owner's alone and asks for no token; one that a killed daemon left is
/// taken over, one where somebody listens is not, and a file is never.
#[test]
fn host_http_on_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memtrace.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let host = SampleHost::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listen = Listen::Unix(path.clone());
        let listener = Listener::bind(&listen).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let taken = Listener::bind(&listen).await.unwrap_err().to_string();
        assert!(taken.contains("somebody listens"), "{taken}");
        let guard = Guard::new(None, None, &[]);
        let asking = path.clone();
        let client = tokio::task::spawn_blocking(move || {
            ["localhost", "evil.example"].map(|name| {
                let mut stream = UnixStream::connect(&asking).unwrap();
                write!(
                    stream,
                    "GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
                )
                .unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            })
        });
        let answers = std::sync::Mutex::new(None);
        let ended = async {
            *answers.lock().unwrap() = Some(client.await.unwrap());
        };
        run(
            listener,
            Some(host.sources.clone()),
            guard,
            Vec::new(),
            ended,
        )
        .await
        .unwrap();
        let [own, foreign] = answers.into_inner().unwrap().unwrap();
        assert_eq!((status(&own), status(&foreign)), ("200", "421"));
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&listen).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    });
}
