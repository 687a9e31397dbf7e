//! The page: where it is served, and to whom.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

#[derive(Args, Debug)]
#[command(next_help_heading = "Page")]
pub struct Serve {
    /// Serve the page on this address. Another than a loopback address is reached by others:
    /// what is sent there is not encrypted
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    pub listen: SocketAddr,

    /// Serve on this Unix socket (mode 0600) instead; it asks for no token
    #[arg(long, value_name = "PATH", conflicts_with_all = ["listen", "token_file", "host_names"])]
    pub unix_socket: Option<PathBuf>,

    /// Keep the token in this file (mode 0600): read, or made if it is not there. Without it
    /// there is a new one at each start, which is printed
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Answer to this name too, such as the one a reverse proxy asks for. May be repeated
    #[arg(long = "host-name", value_name = "NAME")]
    pub host_names: Vec<String>,

    /// No page, only metrics and profiles
    #[arg(long)]
    pub no_page: bool,

    /// Serve nothing
    #[arg(long, conflicts_with_all = ["listen", "unix_socket", "token_file", "host_names", "no_page"])]
    pub no_server: bool,
}

impl Serve {
    /// Where; `None`: nowhere.
    #[must_use]
    pub fn listen(&self) -> Option<crate::serve::http::Listen> {
        use crate::serve::http::Listen;
        if self.no_server {
            return None;
        }
        Some(match &self.unix_socket {
            Some(path) => Listen::Unix(path.clone()),
            None => Listen::Tcp(self.listen),
        })
    }
}
