//! The text format, and OpenMetrics where it differs.

use std::{borrow::Cow, fmt::Write as _};

use crate::render::names;

/// Labels are cut here, in characters. A container's cgroup in Kubernetes has some 200.
const LABEL_MAX: usize = 256;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`: what every scraper reads.
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// One that only goes up while memtrace runs; its name ends in `_total`.
    Counter,
}

/// Metrics as they are written.
pub struct Exposition {
    text: String,
    format: Format,
}

impl Exposition {
    pub const fn new(format: Format) -> Self {
        let text = String::new();
        Self { text, format }
    }

    /// A metric with all its series. One without any is left out.
    pub fn family<V: Into<Value>>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, V)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let (family, kind) = match (kind, self.format) {
            (Kind::Gauge, _) => (name, "gauge"),
            (Kind::Counter, Format::Text) => (name, "counter"),
            (Kind::Counter, Format::OpenMetrics) => {
                (name.strip_suffix("_total").unwrap_or(name), "counter")
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {family} {help}");
        let _ = writeln!(self.text, "# TYPE {family} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{} {}", labels.0, value.into().0);
        }
    }

    /// A metric of one series, without labels.
    pub fn single<V: Into<Value>>(&mut self, kind: Kind, name: &str, help: &str, value: V) {
        self.family(kind, name, help, [(Labels::default(), value)]);
    }

    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// A value as it is written.
pub struct Value(String);

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self(value.to_string())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(match value {
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            _ if value.is_nan() => "NaN".to_owned(),
            _ => value.to_string(),
        })
    }
}

/// The labels of one series, as they are written.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(String);

impl Labels {
    pub fn new(labels: &[(&str, &str)]) -> Self {
        Self::default().and(labels)
    }

    /// With more of them.
    pub fn and(&self, labels: &[(&str, &str)]) -> Self {
        let mut text = self.0.clone();
        for (name, value) in labels {
            text = match text.strip_suffix('}') {
                Some(before) => format!("{before},"),
                None => "{".to_owned(),
            };
            let _ = write!(text, "{name}=\"{}\"}}", escape(&clean(value)));
        }
        Self(text)
    }
}

/// A name from a process, in one line and of bounded length. Of a long one the end is kept:
/// that is where the paths of containers differ.
pub fn clean(name: &str) -> Cow<'_, str> {
    let name = names::sanitize(name);
    let long = name.chars().count().checked_sub(LABEL_MAX);
    match long {
        None | Some(0) => name,
        Some(more) => {
            let kept: String = name.chars().skip(more + 1).collect();
            Cow::Owned(format!("…{kept}"))
        }
    }
}

/// Both formats escape these three.
fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return Cow::Borrowed(value);
    }
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    Cow::Owned(value.replace('\n', "\\n"))
}
