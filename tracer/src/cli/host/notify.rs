//! Telling the service manager how it stands: sd_notify(3), a datagram to `$NOTIFY_SOCKET`.

use std::os::{
    linux::net::SocketAddrExt as _,
    unix::net::{SocketAddr, UnixDatagram},
};

/// A way to say something there without waiting: one that does not listen, and whose queue is
/// full, is not to keep the daemon from its work.
fn to(address: SocketAddr) -> Option<(UnixDatagram, SocketAddr)> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address))
}

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
        Self(
            (!path.is_empty())
                .then_some(())
                .and_then(|()| to(address.ok()?)),
        )
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Who listens hears it; who stops listening holds nobody up.
    #[test]
    fn nobody_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify(to(SocketAddr::from_pathname(&path).unwrap()));
        notify.ready();
        let mut heard = [0; 16];
        assert_eq!(manager.recv(&mut heard).unwrap(), "READY=1".len());
        (0..10_000).for_each(|_| notify.alive());
    }
}
