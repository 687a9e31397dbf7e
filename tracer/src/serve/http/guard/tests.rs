#![expect(clippy::unwrap_used, reason = "a test may panic")]

use axum::http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;

use super::*;

const HOST: (&str, &str) = ("host", "127.0.0.1:7070");

fn guard() -> (Guard, Token) {
    let token = Token::random().unwrap();
    let address = "127.0.0.1:7070".parse().unwrap();
    (Guard::new(Some(address), Some(&token), &[]), token)
}

fn decide(guard: &Guard, method: &str, uri: &str, headers: &[(&str, &str)]) -> Decision {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    guard.decide(&request.body(()).unwrap().into_parts().0)
}

/// The token lets in as a Bearer, as a password, and as the cookie that visiting the printed
/// address gives; nothing else does, not the cookie's value as a Bearer nor the reverse.
#[test]
fn only_the_token_lets_in() {
    let (guard, token) = guard();
    let text = token.text();
    let Decision::Enter(given) = decide(&guard, "GET", &format!("/?token={text}"), &[HOST]) else {
        panic!("not let in");
    };
    let (given, attributes) = given.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    assert!(!given.contains(text), "the cookie is not the token");
    let value = given.split_once('=').unwrap().1;
    let with = |name: &str, value: &str| decide(&guard, "GET", "/", &[HOST, (name, value)]);
    for (name, value) in [
        ("authorization", format!("Bearer {text}")),
        ("authorization", format!("bearer  {text}")),
        (
            "authorization",
            format!("Basic {}", STANDARD.encode(format!("any:{text}"))),
        ),
        ("cookie", given.to_owned()),
        ("cookie", format!("theme=dark; {given}; x=y")),
    ] {
        assert_eq!(with(name, &value), Decision::Pass, "{name}: {value}");
    }
    let refused = Decision::Refuse(Refusal::Token);
    for (name, value) in [
        ("authorization", String::new()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", "Bearer ".to_owned()),
        ("authorization", format!("Bearer {text}x")),
        ("authorization", format!("Bearer {value}")),
        ("authorization", format!("Basic {text}")),
        ("authorization", format!("Digest {text}")),
        ("cookie", format!("memtrace-7070={text}")),
        ("cookie", format!("memtrace-7071={value}")),
        ("cookie", format!("xmemtrace-7070={value}")),
        ("accept", "*/*".to_owned()),
    ] {
        assert_eq!(with(name, &value), refused, "{name}: {value}");
    }
    for uri in [
        "/?token=",
        "/?token",
        &format!("/?xtoken={text}"),
        &format!("/?token={text}x"),
        &format!("/metrics?token={text}"),
    ] {
        assert_eq!(decide(&guard, "GET", uri, &[HOST]), refused, "{uri}");
    }
}

/// Who asks by another name is refused, whatever else is right: a name that leads here may be
/// somebody else's page.
#[test]
fn hosts_are_ours() {
    let address = |text: &str| Some(text.parse().unwrap());
    let names =
        |names: &[&str]| -> Vec<String> { names.iter().map(|it| (*it).to_owned()).collect() };
    let loopback = Guard::new(address("127.0.0.1:7070"), None, &[]);
    let named = Guard::new(
        address("127.0.0.1:7070"),
        None,
        &names(&["memtrace.Example.com", "other:8080"]),
    );
    let open = Guard::new(address("0.0.0.0:7070"), None, &[]);
    let unix = Guard::new(None, None, &[]);
    for (guard, host, is_ours) in [
        (&loopback, "127.0.0.1:7070", true),
        (&loopback, "localhost:7070", true),
        (&loopback, "LOCALHOST:7070", true),
        (&loopback, "[::1]:7070", true),
        (&loopback, "127.0.0.1", false),
        (&loopback, "127.0.0.1:7071", false),
        (&loopback, "localhost:70700000", false),
        (&loopback, "localhost.:7070", false),
        (&loopback, "evil.example:7070", false),
        (&loopback, "127.0.0.1.evil.example:7070", false),
        (&loopback, "10.0.0.1:7070", false),
        (&loopback, "", false),
        (&named, "memtrace.example.com", true),
        (&named, "memtrace.example.com:443", true),
        (&named, "other:8080", true),
        (&named, "other", false),
        (&open, "10.1.2.3:7070", true),
        (&open, "[fd00::1]:7070", true),
        (&open, "10.1.2.3:80", false),
        (&open, "evil.example:7070", false),
        (&unix, "localhost", true),
        (&unix, "localhost:9000", true),
        (&unix, "evil.example", false),
    ] {
        let wanted = match is_ours {
            true => Decision::Pass,
            false => Decision::Refuse(Refusal::Host),
        };
        assert_eq!(
            decide(guard, "GET", "/", &[("host", host)]),
            wanted,
            "{host}"
        );
    }
    let none = decide(&loopback, "GET", "/", &[]);
    assert_eq!(none, Decision::Refuse(Refusal::NoHost));
    let two = decide(&loopback, "GET", "/", &[HOST, HOST]);
    assert_eq!(two, Decision::Refuse(Refusal::NoHost));
    let address = decide(&loopback, "GET", "http://evil.example/", &[HOST]);
    assert_eq!(address, Decision::Refuse(Refusal::Host));
}

/// A page from elsewhere cannot have the browser ask here, not one of another port of this host
/// either; a link may be followed.
#[test]
fn origins_are_ours() {
    let address = "127.0.0.1:7070".parse().unwrap();
    let guard = Guard::new(Some(address), None, &[]);
    let site = |site: &'static str| ("sec-fetch-site", site);
    let top = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let framed = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    for (headers, is_ours) in [
        (vec![("origin", "http://127.0.0.1:7070")], true),
        (vec![("origin", "https://127.0.0.1:7070")], true),
        (vec![("origin", "http://127.0.0.1:8080")], false),
        (vec![("origin", "http://evil.example")], false),
        (vec![("origin", "null")], false),
        (vec![("origin", "")], false),
        (vec![site("same-origin")], true),
        (vec![site("none")], true),
        (vec![site("same-site")], false),
        (vec![site("cross-site")], false),
        (vec![site("cross-site"), top[0], top[1]], true),
        (vec![site("cross-site"), framed[0], framed[1]], false),
    ] {
        let wanted = match is_ours {
            true => Decision::Pass,
            false => Decision::Refuse(Refusal::Origin),
        };
        let headers: Vec<_> = [HOST].into_iter().chain(headers).collect();
        assert_eq!(decide(&guard, "GET", "/", &headers), wanted, "{headers:?}");
    }
}

/// Nothing can be sent here: no method but those that read, no body.
#[test]
fn only_reads() {
    let (guard, token) = guard();
    let bearer = format!("Bearer {}", token.text());
    let own = [HOST, ("authorization", bearer.as_str())];
    assert_eq!(decide(&guard, "HEAD", "/", &own), Decision::Pass);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "X"] {
        let uri = if method == "CONNECT" {
            "127.0.0.1:7070"
        } else {
            "/"
        };
        let refused = decide(&guard, method, uri, &own);
        assert_eq!(refused, Decision::Refuse(Refusal::Method), "{method}");
        // Who may not ask is not told what may be asked.
        let refused = decide(&guard, method, uri, &[HOST]);
        assert_eq!(refused, Decision::Refuse(Refusal::Token), "{method}");
    }
    for (header, is_empty) in [
        (("content-length", "0"), true),
        (("content-length", "1"), false),
        (("transfer-encoding", "chunked"), false),
    ] {
        let decision = decide(&guard, "GET", "/", &[own[0], own[1], header]);
        let wanted = match is_empty {
            true => Decision::Pass,
            false => Decision::Refuse(Refusal::Body),
        };
        assert_eq!(decision, wanted, "{header:?}");
    }
}

/// Values that are nearly right, and any bytes.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let nearly = prop::sample::select(vec![
        "127.0.0.1:7070",
        "[::1]:7070",
        "[::1",
        "localhost:",
        ":7070",
        "Bearer ",
        "Basic Og==",
        "memtrace-7070=",
        "memtrace-7070=;memtrace-7070",
        "http://127.0.0.1:7070",
        "same-origin",
    ]);
    prop_oneof![
        nearly.prop_map(|it| it.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    /// Whatever a client sends, it is decided without a panic, and nobody passes who does not
    /// have the token.
    #[test]
    fn nobody_passes_without_the_token(
        headers in prop::collection::vec(
            (prop::sample::select(vec!["host", "authorization", "cookie", "origin", "sec-fetch-site"]), any_value()),
            0..6,
        ),
        path in "(/|/metrics)(\\?token=[a-zA-Z0-9_&=-]{0,50})?",
    ) {
        let (guard, _token) = guard();
        let mut request = Request::builder().uri(path).body(()).unwrap().into_parts().0;
        for (name, value) in &headers {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request.headers.append(HeaderName::from_static(name), value);
            }
        }
        prop_assert!(matches!(guard.decide(&request), Decision::Refuse(_)), "{headers:?}");
    }
}
