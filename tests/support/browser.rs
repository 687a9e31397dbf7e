//! A headless Chromium, driven over a pipe (Chrome DevTools Protocol), which opens files
//! and tells what they did.

use std::{
    io::{BufRead as _, BufReader, PipeWriter, Write as _},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::DEADLINE;

/// By its name in Debian.
pub const CHROMIUM: &str = "chromium";

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Of the window, in CSS pixels.
    pub width: u32,
    /// Whether the reader prefers a dark page.
    pub is_dark: bool,
    /// Whether scripts run.
    pub has_scripts: bool,
}

impl View {
    /// On a phone and on a desk, light and dark, and without scripts.
    pub fn all() -> impl Iterator<Item = Self> {
        [390, 1280].into_iter().flat_map(|width| {
            let kinds = [(false, true), (true, true), (false, false)];
            kinds.map(|(is_dark, has_scripts)| Self {
                width,
                is_dark,
                has_scripts,
            })
        })
    }

    /// An expression when the page's scripts have run; without scripts timers do not run either.
    #[must_use]
    pub fn when_drawn(self, expression: &str) -> String {
        if !self.has_scripts {
            return expression.to_owned();
        }
        let drawn = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))";
        format!("{drawn}.then(() => {expression})")
    }
}

/// What came of opening a page.
#[derive(Debug, Default)]
pub struct Seen {
    /// What the expression that was asked for is.
    pub value: Value,
    /// Errors of the page and of its frames, as the console has them.
    pub errors: Vec<String>,
    /// Everything that was asked of a network or a disk, but for the page itself.
    pub requests: Vec<String>,
}

/// A running browser.
pub struct Browser {
    child: Child,
    to: PipeWriter,
    from: Receiver<Value>,
    last_id: u64,
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it, without a network but this host's own address.
    #[must_use]
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (commands, to) = std::io::pipe().unwrap();
        let (answers, theirs) = std::io::pipe().unwrap();
        let mut chromium = Command::new(CHROMIUM);
        chromium
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-extensions",
            ])
            .args([
                "--remote-debugging-pipe",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        // Chromium reads commands from descriptor 3 and answers on 4.
        let ends = [commands.as_raw_fd(), theirs.as_raw_fd()];
        // SAFETY: fcntl(2) and dup2(2) may be called between fork and exec.
        unsafe {
            chromium.pre_exec(move || {
                // Out of the way first: they may stand on 3 and 4 themselves.
                let aside = ends.map(|end| libc::fcntl(end, libc::F_DUPFD_CLOEXEC, 10));
                for (descriptor, end) in [3, 4].into_iter().zip(aside) {
                    if libc::dup2(end, descriptor) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        let child = chromium.spawn().unwrap();
        let (tell, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { break };
                if tell
                    .send(serde_json::from_slice(&message).unwrap())
                    .is_err()
                {
                    break;
                }
            }
        });
        Self {
            child,
            to,
            from,
            last_id: 0,
            events: Vec::new(),
            _profile: profile,
        }
    }

    /// Opens a file in a new page, waits until it is loaded and evaluates an expression.
    #[must_use]
    pub fn open(&mut self, path: &Path, view: View, expression: &str) -> Seen {
        self.open_address(&format!("file://{}", path.display()), view, expression)
    }

    /// The same of an address.
    #[must_use]
    pub fn open_address(&mut self, url: &str, view: View, expression: &str) -> Seen {
        self.events.clear();
        let target = self.call(None, "Target.createTarget", &json!({"url": "about:blank"}));
        let target = &target["targetId"];
        let attach = json!({"targetId": target, "flatten": true});
        let session = self.call(None, "Target.attachToTarget", &attach);
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let scheme = if view.is_dark { "dark" } else { "light" };
        let scheme = json!({"name": "prefers-color-scheme", "value": scheme});
        let size = json!({"width": view.width, "height": 844, "deviceScaleFactor": 1,
            "mobile": view.width < 600});
        // A sandboxed frame can be a target of its own.
        let frames = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
        for (method, parameters) in [
            ("Target.setAutoAttach", &frames),
            ("Page.enable", &json!({})),
            ("Runtime.enable", &json!({})),
            ("Log.enable", &json!({})),
            ("Network.enable", &json!({})),
            ("Emulation.setDeviceMetricsOverride", &size),
            ("Emulation.setEmulatedMedia", &json!({"features": [scheme]})),
            (
                "Emulation.setScriptExecutionDisabled",
                &json!({"value": !view.has_scripts}),
            ),
        ] {
            self.call(Some(&session), method, parameters);
        }
        self.call(Some(&session), "Page.navigate", &json!({"url": url}));
        while !self.has("Page.loadEventFired", &session) {
            let message = self.next();
            self.take(message);
        }
        let evaluate =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let value = self.call(Some(&session), "Runtime.evaluate", &evaluate);
        let seen = self.seen(url, value["result"]["value"].clone());
        self.call(None, "Target.closeTarget", &json!({"targetId": target}));
        seen
    }

    fn seen(&self, url: &str, value: Value) -> Seen {
        let mut seen = Seen {
            value,
            ..Seen::default()
        };
        for event in &self.events {
            let parameters = &event["params"];
            let is_error = match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => true,
                "Runtime.consoleAPICalled" => parameters["type"] == "error",
                "Log.entryAdded" => parameters["entry"]["level"] == "error",
                "Network.requestWillBeSent" => {
                    let asked = parameters["request"]["url"].as_str().unwrap_or_default();
                    if asked != url && !asked.starts_with("about:") {
                        seen.requests.push(asked.to_owned());
                    }
                    false
                }
                _ => false,
            };
            if is_error {
                seen.errors.push(parameters.to_string());
            }
        }
        seen
    }

    fn has(&self, method: &str, session: &str) -> bool {
        (self.events.iter()).any(|it| it["method"] == method && it["sessionId"] == session)
    }

    fn send(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> u64 {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(b"\0").unwrap();
        self.last_id
    }

    fn call(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Value {
        let id = self.send(session, method, parameters);
        loop {
            let message = self.next();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.take(message);
        }
    }

    fn next(&self) -> Value {
        self.from.recv_timeout(*DEADLINE).unwrap()
    }

    /// Keeps an event; of a frame's own target everything is asked for too.
    fn take(&mut self, message: Value) {
        if message["method"] == "Target.attachedToTarget" && !message["sessionId"].is_null() {
            let session = message["params"]["sessionId"].as_str().unwrap().to_owned();
            for method in ["Runtime.enable", "Log.enable", "Network.enable"] {
                self.send(Some(&session), method, &json!({}));
            }
        }
        if message["method"].is_string() {
            self.events.push(message);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its group: the processes of its pages too.
        // SAFETY: the child has not been waited for, so its id is still its own.
        unsafe { libc::kill(-self.child.id().cast_signed(), libc::SIGKILL) };
        let _ = self.child.wait();
    }
}
