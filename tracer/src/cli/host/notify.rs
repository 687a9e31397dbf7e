//! Telling the service manager how it stands: sd_notify(3), a datagram to `$NOTIFY_SOCKET`.

use std::os::{
    linux::net::SocketAddrExt as _,
    unix::net::{SocketAddr, UnixDatagram},
};

/// The service manager, if there is one that wants to know.
pub struct Notify(Option<(UnixDatagram, SocketAddr)>);

impl Notify {
    /// Whom the environment names.
    pub fn from_environment() -> Self {
        let path = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&path),
        };
        let socket = UnixDatagram::unbound();
        let both = (!path.is_empty())
            .then_some(())
            .and(socket.ok().zip(address.ok()));
        Self(both)
    }

    /// It has looked once.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It has looked again.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// It ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.0 {
            // Who does not listen does not want to hear it.
            let _ = socket.send_to_addr(what.as_bytes(), address);
        }
    }
}
