//! The names that we are asked by.

use std::net::{IpAddr, SocketAddr};

/// Which `Host` is ours.
pub struct Hosts {
    /// In small letters, with brackets around an IPv6 address; `None`: with any port.
    names: Vec<(String, Option<u16>)>,
    /// Any address of this port: we listen on all of them. Names can be made to lead
    /// here by others, addresses cannot.
    any_address: Option<u16>,
}

impl Hosts {
    pub fn new(address: Option<SocketAddr>, more: &[String]) -> Self {
        let port = address.map(|it| it.port());
        let local = ["127.0.0.1", "localhost", "[::1]"];
        let mut names: Vec<_> = local.map(|name| (name.to_owned(), port)).into();
        let any_address = address.filter(|it| it.ip().is_unspecified());
        names.extend(address.map(|it| (bracketed(it.ip()), Some(it.port()))));
        names.extend(more.iter().map(|it| {
            let (name, port) = split(it);
            (name.to_ascii_lowercase(), port)
        }));
        Self {
            names,
            any_address: any_address.map(|it| it.port()),
        }
    }

    /// Whether a `Host` names us. Without a port it is that of HTTP (RFC 9110, 4.2.1).
    pub fn has(&self, host: &str) -> bool {
        let (name, port) = split(host);
        let port = port.unwrap_or(80);
        let is_named = |(own, own_port): &(String, Option<u16>)| {
            own.eq_ignore_ascii_case(name) && own_port.is_none_or(|it| it == port)
        };
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        let is_address = || literal.parse::<IpAddr>().is_ok();
        self.names.iter().any(is_named) || (self.any_address == Some(port) && is_address())
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(it) => it.to_string(),
        IpAddr::V6(it) => format!("[{it}]"),
    }
}

/// Name and port, if it has one. What is no port stays with the name, which then is nobody's.
fn split(host: &str) -> (&str, Option<u16>) {
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        Some((name, port)) if is_number(port) && !name.ends_with(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (host, None),
        },
        _ => (host, None),
    }
}
