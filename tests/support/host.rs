//! A host that is made up: thirty programs of which some grow, hours of history, and names
//! that would break a page which trusts them.

mod sample;

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tracer::{
    model::host::{LineId, View},
    serve::{
        Sources,
        http::{Guard, Listen, Listener, Token, run},
    },
    store::history::{Bounds, History},
};

use sample::interval;
pub use sample::view;

/// Markup, quotes, a line's end, an escape and a change of direction.
pub const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'</script><script>document.title='taken'</script>\u{1b}[31m\u{202e}\nevil & co";

const GIB: u64 = 1 << 30;
/// Of an interval.
const STEP_MS: u64 = 10_000;

/// The line that leaks.
pub const LEAKING: LineId = LineId(0xfeed_0000_dead_beef);
/// The line with the hostile names.
pub const EVIL: LineId = LineId(7);

/// What a server is made from, kept for as long as this is.
pub struct SampleHost {
    /// The present; send a new one to renew the page.
    pub view: watch::Sender<Arc<View>>,
    /// For the server.
    pub sources: Sources,
    _directory: TempDir,
}

impl SampleHost {
    /// Three hours of history until now.
    #[must_use]
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now_ms = u64::try_from(now.as_millis()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let bounds = Bounds {
            bytes: GIB,
            age: Duration::from_secs(86_400),
        };
        let history = History::open(&directory.path().join("history"), bounds).unwrap();
        let begin = now_ms - 3 * 3_600_000;
        for number in 0..3 * 360 {
            let start_ms = begin + number * STEP_MS;
            // memtrace stood still for ten minutes.
            if !(600..660).contains(&number) {
                history.append(&interval(start_ms, number)).unwrap();
            }
        }
        let (sender, view) = watch::channel(Arc::new(view(now_ms)));
        Self {
            view: sender,
            sources: Sources {
                view,
                history: Arc::new(history),
            },
            _directory: directory,
        }
    }
}

impl Default for SampleHost {
    fn default() -> Self {
        Self::new()
    }
}

/// The page of such a host, served from a thread until this goes.
pub struct Served {
    /// Where.
    pub address: SocketAddr,
    /// Lets in.
    pub token: String,
    /// See there.
    pub host: SampleHost,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Served {
    /// Serves it at any free port of 127.0.0.1.
    #[must_use]
    pub fn new() -> Self {
        let host = SampleHost::new();
        let sources = host.sources.clone();
        let token = Token::random().unwrap();
        let text = token.text().to_owned();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let any = Listen::Tcp("127.0.0.1:0".parse().unwrap());
                let listener = Listener::bind(&any).await.unwrap();
                let address = listener.address().unwrap();
                tell.send(address).unwrap();
                let guard = Guard::new(Some(address), Some(&token), &[]);
                let stopped = async {
                    let _either = stopped.await;
                };
                run(listener, Some(sources), guard, Vec::new(), stopped)
                    .await
                    .unwrap();
            });
        });
        Self {
            address: told.recv().unwrap(),
            token: text,
            host,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Ends it, and waits until it has.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _gone = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Default for Served {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}
