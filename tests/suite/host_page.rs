//! The page of `memtrace host` in a browser, over a host that is made up.

use std::{
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, channel},
    },
    time::Duration,
};

use serde_json::Value;
use tests::{
    Browser, CHROMIUM, EVIL, HOSTILE, LEAKING, Seen, Served, View, host_view, needs_program,
    needs_tracing, trace_of, wait_until,
};
use tracer::model::{
    Level,
    host::{CloserLook, LookId},
};

/// What a reader with such a window sees, and whether the page is wider than it.
const SEEN: &str = r#"({
    page: document.documentElement.scrollWidth,
    window: innerWidth,
    text: document.body.innerText,
    title: document.title,
    headline: (document.querySelector(".headline") || document.querySelector("h1")).getBoundingClientRect().bottom,
    sparks: document.querySelectorAll("svg.spark polyline").length,
    paths: document.querySelectorAll("figure.timeline path").length,
    frames: document.querySelectorAll("iframe").length,
})"#;

const DESK: View = View {
    width: 1280,
    is_dark: false,
    has_scripts: true,
};

/// A browser that has visited the printed address.
fn browser_of(served: &Served) -> (Browser, String) {
    let mut browser = Browser::start();
    let base = format!("http://{}", served.address);
    let address = format!("{base}/?token={}", served.token);
    let seen = browser.open_address(&address, DESK, "location.href");
    assert_eq!(seen.value, format!("{base}/"), "the token stays nowhere");
    (browser, base)
}

fn foreign(seen: &Seen, base: &str) -> Vec<String> {
    let is_own = |it: &&String| it.starts_with(base) || it.starts_with("data:");
    let requests = seen.requests.iter();
    requests.filter(|it| !is_own(it)).cloned().collect()
}

/// On a phone and on a desk, light and dark, with scripts and without: no error, nothing asked
/// elsewhere, no page wider than its window, what is wrong on the first screen, and names that
/// are markup shown as text.
#[test]
fn host_page_in_a_browser() {
    needs_program!(CHROMIUM);
    let served = Served::new();
    let (mut browser, base) = browser_of(&served);
    for view in View::all() {
        let now = served.host.sources.view.borrow().at_ms;
        let compared = format!(
            "/line/{}?from={}&to={now}&before_from={}&before_to={}",
            LEAKING.0,
            now - 3_600_000,
            now - 7_200_000,
            now - 3_600_000
        );
        for (path, text) in [
            ("/".to_owned(), "3 of 31 programs need attention"),
            (format!("/line/{}?last=6h", LEAKING.0), "rememberSession"),
            (format!("/line/{}", EVIL.0), "<img src=x onerror=alert(1)>"),
            (compared, ", compared with "),
        ] {
            let seen = browser.open_address(&format!("{base}{path}"), view, &view.when_drawn(SEEN));
            let of = format!("{path} {view:?}");
            assert!(seen.errors.is_empty(), "{of}: {:?}", seen.errors);
            let foreign = foreign(&seen, &base);
            assert!(foreign.is_empty(), "{of}: {foreign:?}");
            let value = &seen.value;
            let number = |it: &Value| it.as_f64().unwrap();
            assert_eq!(number(&value["window"]), f64::from(view.width), "{of}");
            assert!(
                number(&value["page"]) <= f64::from(view.width),
                "{of}: {value}"
            );
            assert!(
                value["text"].as_str().unwrap().contains(text),
                "{of}: {value}"
            );
            assert!(number(&value["headline"]) < 400.0, "{of}: {value}");
            assert_ne!(value["title"], "taken", "{of}");
            match path.as_str() {
                "/" => assert!(number(&value["sparks"]) >= 31.0, "{of}: {value}"),
                _ => {
                    assert!(number(&value["paths"]) > 2.0, "{of}: {value}");
                    assert!(number(&value["frames"]) >= 1.0, "{of}: {value}");
                }
            }
        }
    }
}

/// A closer look is its whole report, in a browser without an error, with a way back; its
/// program's page has its sockets and its heap; and it can be taken away as it was recorded.
#[test]
fn host_page_of_a_closer_look() {
    needs_tracing!();
    needs_program!(CHROMIUM);
    let traced = trace_of("functions");
    let report = traced.report();
    let served = Served::new();
    let look = CloserLook {
        id: LookId("20261122T093500Z-4000".to_owned()),
        line: LEAKING,
        pid: 4000,
        name: "node".to_owned(),
        start_ms: served.host.sources.view.borrow().at_ms - 600_000,
        end_ms: served.host.sources.view.borrow().at_ms - 540_000,
        reason: HOSTILE.to_owned(),
        level: Level::Exact,
        verdicts: report.verdicts.clone(),
        cost: 0.004,
    };
    let recording = traced.path().join("recording.memtrace");
    served.host.sources.history.keep(&look, &recording).unwrap();
    let (mut browser, base) = browser_of(&served);
    for (path, texts) in [
        (
            format!("/look/{}", look.id.0),
            ["← The host", "Flame graphs", "How it was measured"],
        ),
        (
            format!("/line/{}", LEAKING.0),
            ["What follows is of the closer look", "Sockets", "Heap"],
        ),
    ] {
        for width in [390, 1280] {
            let view = View { width, ..DESK };
            let seen = browser.open_address(&format!("{base}{path}"), view, &view.when_drawn(SEEN));
            assert!(seen.errors.is_empty(), "{path}: {:?}", seen.errors);
            assert!(
                foreign(&seen, &base).is_empty(),
                "{path}: {:?}",
                seen.requests
            );
            let page = seen.value["page"].as_f64().unwrap();
            assert!(page <= f64::from(view.width), "{path}: {page}");
            let text = seen.value["text"].as_str().unwrap();
            for wanted in texts {
                assert!(text.contains(wanted), "{path}: {wanted}: {text}");
            }
            let verdict = &report.verdicts.first().unwrap().summary;
            assert!(text.contains(verdict), "{path}: {text}");
        }
    }
    let address = format!("{base}/look/{}", look.id.0);
    let expression = r##"Promise.all(["report.json", "profile.pb.gz"].map((name) =>
        fetch(location.pathname + "/" + name).then((it) => it.arrayBuffer()).then((it) => new Uint8Array(it))))
        .then(([report, profile]) => ({ report: new TextDecoder().decode(report), profile: [...profile.slice(0, 2)] }))"##;
    // The page of a look may fetch nothing: the first page may.
    let first = browser.open_address(
        &format!("{base}/"),
        DESK,
        &expression.replace("location.pathname", &format!("{address:?}")),
    );
    let taken: tracer::model::Report =
        serde_json::from_str(first.value["report"].as_str().unwrap()).unwrap();
    assert_eq!(taken, report);
    assert_eq!(first.value["profile"], serde_json::json!([0x1f, 0x8b]));
}

/// What is new shows without a reload, and leaves what the reader opened and chose as it was.
#[test]
fn host_page_renews_itself() {
    needs_program!(CHROMIUM);
    let served = Served::new();
    let sender = served.host.view.clone();
    let before = sender.receiver_count();
    let (mut browser, base) = browser_of(&served);
    wait_until("the first window is forgotten", || {
        sender.receiver_count() == before
    });
    let (seen_all, is_over) = channel::<()>();
    let teller = std::thread::spawn(move || {
        wait_until("the page listens", || sender.receiver_count() > before);
        // Again and again: the first may come before the page is looked at below.
        loop {
            let mut view = host_view(sender.borrow().at_ms + 10_000);
            view.lines.truncate(1);
            sender.send(Arc::new(view)).unwrap();
            let timeout = is_over.recv_timeout(Duration::from_millis(500));
            if timeout != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
    });
    let expression = r##"new Promise((done) => {
        document.querySelector("#attention details").open = true;
        document.querySelector("#programs a.row").focus();
        const look = () => document.querySelector(".headline").innerText.startsWith("1 of 1 ")
            && setTimeout(() => done({
                title: document.title,
                rows: document.querySelectorAll("#programs tbody tr").length,
                open: document.querySelector("#attention details").open,
                focus: document.activeElement.matches("#programs a.row"),
            }), 50);
        new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
    })"##;
    let seen = browser.open_address(&format!("{base}/"), DESK, expression);
    drop(seen_all);
    teller.join().unwrap();
    assert!(seen.errors.is_empty(), "{:?}", seen.errors);
    let value = &seen.value;
    assert_eq!(value["rows"], 1, "{value}");
    assert_eq!(value["open"], true, "{value}");
    assert_eq!(value["focus"], true, "{value}");
    assert_eq!(value["title"], "(1) memtrace: shop-7.example.com");
}

/// The keyboard reaches every program: `/` to the filter, what is typed leaves fewer rows, the
/// arrow goes to the first of them.
#[test]
fn host_page_by_keyboard() {
    needs_program!(CHROMIUM);
    let served = Served::new();
    let (mut browser, base) = browser_of(&served);
    let expression = r##"(() => {
        const press = (key, on) => (on || document.body).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        press("/");
        const filter = document.activeElement;
        filter.value = "envoy";
        filter.dispatchEvent(new Event("input"));
        const shown = [...document.querySelectorAll("#programs tbody tr")].filter((it) => !it.hidden).length;
        filter.blur();
        press("ArrowDown");
        const first = document.activeElement;
        return { filter: filter.id, shown, first: first.matches("a.row") };
    })()"##;
    let seen = browser.open_address(&format!("{base}/"), DESK, expression);
    assert!(seen.errors.is_empty(), "{:?}", seen.errors);
    assert_eq!(seen.value["filter"], "filter");
    assert_eq!(seen.value["shown"], 4);
    assert_eq!(seen.value["first"], true);
}
