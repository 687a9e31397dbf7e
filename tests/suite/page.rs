//! `report.html` in a browser.

use std::fs;

use serde_json::Value;
use tests::{Browser, CHROMIUM, View, needs_program, needs_tracing, trace_of};

/// What a reader with such a window sees, and whether the page is wider than it.
const SEEN: &str = r#"({
    page: document.documentElement.scrollWidth,
    window: innerWidth,
    text: document.body.innerText,
    first: [...document.querySelectorAll(".verdict .summary")].map((it) => it.getBoundingClientRect().bottom),
    tools: [...document.querySelectorAll(".tools")].map((it) => it.hidden),
    pictures: [...document.querySelectorAll("figure.timeline path")].length,
})"#;

/// On a phone and on a desk, light and dark, with scripts and without: no error, nothing
/// asked of a network, the page no wider than its window, the verdict on the first screen.
#[test]
fn page_in_a_browser() {
    needs_tracing!();
    needs_program!(CHROMIUM);
    let traced = trace_of("functions");
    let path = traced.path().join("report.html");
    let report = traced.report();
    let verdict = &report.verdicts.first().unwrap().summary;
    let mut browser = Browser::start();
    for view in View::all() {
        let seen = browser.open(&path, view, &view.when_drawn(SEEN));
        assert!(seen.errors.is_empty(), "{view:?}: {:?}", seen.errors);
        assert!(seen.requests.is_empty(), "{view:?}: {:?}", seen.requests);
        let number = |it: &Value| it.as_f64().unwrap();
        let value = &seen.value;
        assert_eq!(number(&value["window"]), f64::from(view.width), "{view:?}");
        assert!(
            number(&value["page"]) <= f64::from(view.width),
            "{view:?}: {value}"
        );
        assert!(
            value["text"].as_str().unwrap().contains(verdict),
            "{view:?}"
        );
        assert!(number(&value["first"][0]) < 844.0, "{view:?}: {value}");
        assert!(number(&value["pictures"]) > 1.0, "{view:?}");
        assert_eq!(value["tools"][0], !view.has_scripts, "{view:?}");
    }
}

/// What the page forbids itself it does not get: a script and a picture that are put into
/// it run and load no more than without it, and the browser says so.
#[test]
fn page_forbids_what_is_not_its_own() {
    needs_tracing!();
    needs_program!(CHROMIUM);
    let traced = trace_of("functions");
    let page = String::from_utf8(traced.file("report.html")).unwrap();
    let put = "<script>document.title='taken'</script><img src='http://example.invalid/x.png'>";
    let path = traced.path().join("changed.html");
    fs::write(&path, page.replacen("<main>", &format!("<main>{put}"), 1)).unwrap();
    let view = View {
        width: 1280,
        is_dark: false,
        has_scripts: true,
    };
    let seen = Browser::start().open(&path, view, "document.title");
    assert_ne!(seen.value, "taken");
    assert!(seen.errors.len() >= 2, "{:?}", seen.errors);
    assert!(
        seen.errors
            .iter()
            .all(|it| it.contains("Content Security Policy")),
        "{:?}",
        seen.errors
    );
}
