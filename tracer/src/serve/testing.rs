//! A server and a client for the tests of the routes.

use std::{io::Read as _, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use prost::Message as _;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::Sources;
use crate::{
    model::host::View,
    render::pprof::message::Profile,
    store::history::{Bounds, History},
};

/// Runs a test in a runtime of one thread.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

/// Sources with an empty history.
pub fn sources(view: View) -> (watch::Sender<Arc<View>>, Sources, TempDir) {
    let directory = TempDir::new().unwrap();
    let bounds = Bounds {
        bytes: 1 << 24,
        age: Duration::from_secs(86_400),
    };
    let history = History::open(directory.path(), bounds).unwrap();
    let (sender, view) = watch::channel(Arc::new(view));
    let history = Arc::new(history);
    (sender, Sources { view, history }, directory)
}

/// Serves in the background.
pub async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn answer(address: SocketAddr, path: &str, accept: &str) -> Vec<u8> {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    answer
}

/// An answer with its head.
pub async fn get(address: SocketAddr, path: &str, accept: &str) -> String {
    String::from_utf8(answer(address, path, accept).await).unwrap()
}

/// An answer that is a profile.
pub async fn profile(address: SocketAddr, path: &str) -> Profile {
    let answer = answer(address, path, "*/*").await;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    unpack(&answer[end + 4..])
}

/// A profile, packed.
pub fn unpack(bytes: &[u8]) -> Profile {
    Profile::decode(&*gunzip(bytes)).unwrap()
}

/// What gzip packed.
pub fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut unpacked = flate2::read::GzDecoder::new(packed);
    unpacked.read_to_end(&mut bytes).unwrap();
    bytes
}
