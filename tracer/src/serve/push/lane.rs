//! One destination: its queue, and the sender that empties it.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, oneshot};

use super::{
    Destination, Status,
    backoff::Backoff,
    client::{Client, Kind},
    queue::{Bounds, Dropped, Message, Queue},
    reply::Reply,
};

/// What may wait for one destination. What is older than that backends of profiles refuse, and
/// an alert is none any more.
const BOUNDS: Bounds = Bounds {
    messages: 256,
    bytes: 8 << 20,
    age: Duration::from_secs(3600),
};

/// What is spoken with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `push.v1.PusherService/Push` by Connect, which Pyroscope calls public and stable.
    Pyroscope,
    /// OTLP over HTTP, protobuf, gzip.
    Otlp,
    /// JSON.
    Webhook,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Pyroscope => "pyroscope",
            Self::Otlp => "otlp",
            Self::Webhook => "webhook",
        }
    }

    const fn kind(self) -> Kind {
        let (content_type, headers): (_, &[_]) = match self {
            Self::Pyroscope => ("application/proto", &[("Connect-Protocol-Version", "1")]),
            Self::Otlp => ("application/x-protobuf", &[("Content-Encoding", "gzip")]),
            Self::Webhook => ("application/json", &[]),
        };
        Kind {
            content_type,
            headers,
            is_otlp: matches!(self, Self::Otlp),
        }
    }
}

/// One destination.
pub struct Lane {
    protocol: Protocol,
    destination: Destination,
    client: Client,
    status: Status,
    queue: Mutex<Queue>,
    /// Told when there is more in the queue.
    more: Notify,
    /// A message is out of the queue and neither sent nor given up.
    is_sending: AtomicBool,
    began: Instant,
}

impl Lane {
    pub fn new(
        protocol: Protocol,
        destination: Destination,
        client: Client,
        status: &Status,
    ) -> Self {
        status.register(protocol.name());
        Self {
            protocol,
            destination,
            client,
            status: status.clone(),
            queue: Mutex::new(Queue::new(BOUNDS)),
            more: Notify::new(),
            is_sending: AtomicBool::new(false),
            began: Instant::now(),
        }
    }

    /// Puts a message into the queue.
    pub fn push(&self, body: Vec<u8>) {
        let since = self.began.elapsed();
        let mut queue = self.queue();
        let dropped = queue.push(Message { body, since });
        self.count(&queue, dropped);
        self.more.notify_one();
    }

    /// Counts what could not be made a message.
    pub fn lost(&self) {
        let one = Dropped {
            messages: 1,
            bytes: 0,
        };
        self.status.dropped(self.protocol.name(), one);
    }

    /// Sends what comes, and does not end.
    pub async fn send(&self) {
        let mut backoff = Backoff::default();
        loop {
            match self.next() {
                Some(message) => {
                    self.deliver(message, &mut backoff).await;
                    self.is_sending.store(false, Ordering::Relaxed);
                }
                None => self.more.notified().await,
            }
        }
    }

    fn next(&self) -> Option<Message> {
        let mut queue = self.queue();
        let (message, dropped) = queue.pop(self.began.elapsed());
        self.is_sending.store(message.is_some(), Ordering::Relaxed);
        self.count(&queue, dropped);
        message
    }

    /// Until it is taken, refused, or too old.
    async fn deliver(&self, message: Message, backoff: &mut Backoff) {
        let name = self.protocol.name();
        let dropped = Dropped::of(&message);
        let (body, since) = (Arc::new(message.body), message.since);
        loop {
            match self.attempt(body.clone()).await {
                Reply::Taken { rejected } => {
                    backoff.succeeded();
                    self.status.sent(name);
                    let dropped = Dropped {
                        messages: rejected,
                        bytes: 0,
                    };
                    return self.status.dropped(name, dropped);
                }
                Reply::Refused => {
                    backoff.succeeded();
                    self.status.failed(name);
                    return self.status.dropped(name, dropped);
                }
                Reply::Later(after) => {
                    self.status.failed(name);
                    tokio::time::sleep(backoff.failed(chance(), after)).await;
                    if self.queue().is_too_old(since, self.began.elapsed()) {
                        return self.status.dropped(name, dropped);
                    }
                }
            }
        }
    }

    /// On a thread that nobody waits for when memtrace ends: a request can take long.
    async fn attempt(&self, body: Arc<Vec<u8>>) -> Reply {
        let (sender, receiver) = oneshot::channel();
        let (client, destination) = (self.client.clone(), self.destination.clone());
        let kind = self.protocol.kind();
        let thread = thread::Builder::new().name("push".to_owned());
        let started = thread.spawn(move || {
            let reply = client.post(&destination, kind, &body);
            // Without anybody who waits for it there is nobody to tell.
            let _ = sender.send(reply.unwrap_or(Reply::Later(None)));
        });
        match started {
            Ok(_) => receiver.await.unwrap_or(Reply::Later(None)),
            Err(_) => Reply::Later(None),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, queue: &Queue, dropped: Dropped) {
        self.status.dropped(self.protocol.name(), dropped);
        let sending = usize::from(self.is_sending.load(Ordering::Relaxed));
        self.status
            .waiting(self.protocol.name(), queue.len() + sending);
    }
}

/// From 0 to 1, another on each host.
fn chance() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}
