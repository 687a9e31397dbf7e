//! Where things are sent, and with which headers.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue, Uri, header};

/// A file of headers or of a URL is smaller.
const FILE_MAX: u64 = 16 << 10;

/// What is pushed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Profiles to Pyroscope.
    pub pyroscope: Option<Destination>,
    /// Profiles to an OpenTelemetry collector.
    pub otlp: Option<Destination>,
    /// Alerts.
    pub webhook: Option<Destination>,
    /// How often profiles are sent.
    pub every: Duration,
}

/// A URL, and a file with headers for it. Shown without what may be secret: many webhooks have
/// their token in the path.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    url: String,
    shown: String,
    header_file: Option<PathBuf>,
}

/// Why there can be no such destination.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// No URL, or not of a kind that is sent to.
    #[error("not a URL of the form http://HOST[:PORT][/PATH] or https://…")]
    NotAUrl,
    /// `https://user:password@…`.
    #[error(
        "a URL with a user's name or password would be seen in the list of processes; \
         give an Authorization header in a file instead"
    )]
    HasPassword,
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is larger than such a file is.
    #[error("{} is larger than {FILE_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// A line of a file of headers.
    #[error("{}, line {line}: not a header of the form `Name: value` that can be set", path.display())]
    NotAHeader {
        /// The file.
        path: PathBuf,
        /// The line, from 1. Not its text: that is secret.
        line: usize,
    },
}

impl Destination {
    /// A URL; `path` is added unless the URL ends with it.
    ///
    /// # Errors
    /// What is no URL, or a file of headers that is none.
    pub fn new(url: &str, path: &str, header_file: Option<PathBuf>) -> Result<Self, OptionsError> {
        let uri: Uri = url.parse().map_err(|_| OptionsError::NotAUrl)?;
        let authority = uri.authority().ok_or(OptionsError::NotAUrl)?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if !["http", "https"].contains(&scheme) || authority.host().is_empty() {
            return Err(OptionsError::NotAUrl);
        }
        if authority.as_str().contains('@') {
            return Err(OptionsError::HasPassword);
        }
        let url = match uri.path().ends_with(path) {
            true => url.to_owned(),
            false if uri.query().is_some() => return Err(OptionsError::NotAUrl),
            false => format!("{}{path}", url.trim_end_matches('/')),
        };
        let shown = format!("{scheme}://{authority}");
        let destination = Self {
            url,
            shown,
            header_file,
        };
        destination.headers()?;
        Ok(destination)
    }

    /// A URL that is itself secret: the first line of a file.
    ///
    /// # Errors
    /// As of [`Self::new`], and a file that cannot be read.
    pub fn of_file(file: &Path, header_file: Option<PathBuf>) -> Result<Self, OptionsError> {
        let text = read(file)?;
        Self::new(
            text.lines().next().unwrap_or_default().trim(),
            "",
            header_file,
        )
    }

    /// Where to.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The headers as they are in the file now: tokens are replaced while programs run.
    ///
    /// # Errors
    /// A file that cannot be read, or is no file of headers.
    pub fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, OptionsError> {
        let Some(path) = &self.header_file else {
            return Ok(Vec::new());
        };
        let text = read(path)?;
        let lines = text.lines().enumerate();
        let headers = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        headers
            .map(|(number, line)| {
                header(line).ok_or_else(|| OptionsError::NotAHeader {
                    path: path.clone(),
                    line: number + 1,
                })
            })
            .collect()
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Those that make the request what it is cannot be set.
fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name: HeaderName = name.trim().parse().ok()?;
    let mut value: HeaderValue = value.trim().parse().ok()?;
    let fixed = [
        header::HOST,
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::EXPECT,
        header::TE,
        header::UPGRADE,
    ];
    value.set_sensitive(true);
    (!fixed.contains(&name)).then_some((name, value))
}

fn read(path: &Path) -> Result<String, OptionsError> {
    let problem = |source| OptionsError::File {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(problem)?;
    let size = file.take(FILE_MAX + 1).read_to_string(&mut text);
    match size.map_err(problem)? as u64 > FILE_MAX {
        true => Err(OptionsError::TooLarge(path.to_owned())),
        false => Ok(text),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// A URL gets the path of its protocol once; what cannot be sent to is refused; a password
    /// on the command line too.
    #[test]
    fn urls_are_checked() {
        let url = |url: &str, path| Destination::new(url, path, None).map(|it| it.url);
        for (given, path, made) in [
            ("http://a:4040", "/p", "http://a:4040/p"),
            ("https://a/", "/p", "https://a/p"),
            ("https://[::1]:1/x", "/p", "https://[::1]:1/x/p"),
            ("https://a/x/p", "/p", "https://a/x/p"),
            ("https://a/x?token=1", "", "https://a/x?token=1"),
        ] {
            assert_eq!(url(given, path).unwrap(), made);
        }
        for nonsense in [
            "",
            "a",
            "/p",
            "a:4040",
            "ftp://a",
            "http://",
            "http://a b",
            "http://a/?q=1",
        ] {
            assert!(
                matches!(url(nonsense, "/p"), Err(OptionsError::NotAUrl)),
                "{nonsense}"
            );
        }
        assert!(matches!(
            url("http://u:p@a", ""),
            Err(OptionsError::HasPassword)
        ));
    }

    /// A file's headers are read anew each time; one that would change what a request is, or
    /// carries another within, is refused without being shown. Nor is a secret URL shown.
    #[test]
    fn headers_are_checked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("headers");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("# a token\nAuthorization: Bearer abc\n\nX-Scope-OrgID: 7\n");
        let made = Destination::new("http://a/secret", "", Some(path.clone())).unwrap();
        let headers = made.headers().unwrap();
        assert_eq!(headers[0].0, header::AUTHORIZATION);
        assert_eq!((headers.len(), headers[1].1.to_str().unwrap()), (2, "7"));
        assert!(!format!("{made:?} {headers:?}").contains("secret"));
        assert!(!format!("{made:?} {headers:?}").contains("abc"));
        for bad in [
            "secret",
            "Host: b",
            "content-length: 0",
            "a b: c",
            "a: \u{1}",
            ": b",
        ] {
            write(&format!("a: b\n{bad}"));
            let error = made.headers().unwrap_err().to_string();
            assert!(
                error.contains("line 2") && !error.contains("secret"),
                "{bad}: {error}"
            );
        }
        write(&"a: b\n".repeat(1 << 13));
        assert!(matches!(made.headers(), Err(OptionsError::TooLarge(_))));
        write("https://hooks.example/secret\n");
        let webhook = Destination::of_file(&path, None).unwrap();
        assert_eq!(webhook.url(), "https://hooks.example/secret");
        assert_eq!(format!("{webhook:?}"), "https://hooks.example");
    }
}
