//! The secret that lets somebody in.

use std::{
    fmt, fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustix::{io::Errno, rand::GetRandomFlags};
use sha2::{Digest as _, Sha256};

use super::HttpError;

/// Lengths of a token in a file that somebody else wrote.
const LEAST: usize = 16;
const MOST: usize = 512;

/// A token: what a `Bearer` carries (RFC 6750, 2.1).
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A new one, of 256 random bits.
    ///
    /// # Errors
    /// [`HttpError::Random`].
    pub fn random() -> Result<Self, HttpError> {
        let mut bytes = [0_u8; 32];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|it| !it.is_empty()) {
            match rustix::rand::getrandom(rest, GetRandomFlags::empty()) {
                Ok(more) => filled += more,
                Err(Errno::INTR) => {}
                Err(error) => return Err(HttpError::Random(error.into())),
            }
        }
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The one in a file, which only its owner may read; where there is no file, a new one,
    /// which is written there (mode 0600).
    ///
    /// # Errors
    /// [`HttpError::Token`] and [`HttpError::Random`].
    pub fn of_file(path: &Path) -> Result<Self, HttpError> {
        let unusable = |why: String| HttpError::Token {
            path: path.to_owned(),
            why,
        };
        match read(path) {
            Ok(text) => Self::checked(text.trim()).map_err(|why| unusable(why.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = Self::random()?;
                write(path, &token).map_err(|error| unusable(error.to_string()))?;
                Ok(token)
            }
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    fn checked(text: &str) -> Result<Self, &'static str> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !text.bytes().all(fits) {
            return Err("only letters, digits and - . _ ~ + / = may stand in it");
        }
        match text.len() {
            ..LEAST => Err("it is shorter than 16 characters"),
            LEAST..=MOST => Ok(Self(text.to_owned())),
            _ => Err("it is longer than 512 characters"),
        }
    }

    /// As it is told to people.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Never in a log.
impl fmt::Debug for Token {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Token(…)")
    }
}

fn read(path: &Path) -> io::Result<String> {
    // A FIFO must not hold us up.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let metadata = file.metadata()?;
    let owners = [0, rustix::process::geteuid().as_raw()];
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if metadata.mode() & 0o077 != 0 || !owners.contains(&metadata.uid()) {
        let why = "others may read or write it; wanted is mode 0600, owned by you or root";
        return Err(io::Error::other(why));
    }
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text)?;
    Ok(text)
}

fn write(path: &Path, token: &Token) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(token.0.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// What a secret is compared by: in a time that tells nothing of how much of it is right.
#[derive(Clone)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether this is the secret. The time depends on the length of what is offered alone.
    #[must_use]
    pub fn is_of(&self, offered: &str) -> bool {
        let offered = Self::of(offered);
        let different = |sum: u8, (a, b): (&u8, &u8)| std::hint::black_box(sum | (a ^ b));
        self.0.iter().zip(&offered.0).fold(0, different) == 0
    }
}

/// What the cookie holds: not the token, but a hash of it. Cookies know no ports, so that another
/// server on the same host may see it; what it sees opens the page, but is no `Bearer` and
/// not what stands in the file.
#[must_use]
pub fn cookie(token: &Token) -> String {
    let hash = Sha256::digest(format!("memtrace cookie\0{}", token.0));
    URL_SAFE_NO_PAD.encode(hash)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Tokens are 256 bits each, no two alike, and none shows in a log.
    #[test]
    fn tokens_are_random() {
        let [a, b] = [Token::random().unwrap(), Token::random().unwrap()];
        assert_eq!(URL_SAFE_NO_PAD.decode(a.text()).unwrap().len(), 32);
        assert_ne!(a.text(), b.text());
        assert_eq!(format!("{a:?}"), "Token(…)");
        assert_ne!(cookie(&a), a.text());
        assert_ne!(cookie(&a), cookie(&b));
    }

    /// A file keeps the token from start to start and is nobody else's to read; one that is, that
    /// is too short, or is no file is refused and left as it is.
    #[test]
    fn files_keep_tokens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let made = Token::of_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(Token::of_file(&path).unwrap().text(), made.text());

        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let refused = Token::of_file(&path).unwrap_err().to_string();
        assert!(refused.contains("others may read"), "{refused}");
        mode(0o600);
        for text in [
            "",
            "short\n",
            "has spaces in it, and more",
            &"x".repeat(513),
        ] {
            fs::write(&path, text).unwrap();
            assert!(Token::of_file(&path).is_err(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, "0123456789abcdef\n").unwrap();
        assert_eq!(Token::of_file(&path).unwrap().text(), "0123456789abcdef");
        assert!(Token::of_file(directory.path()).is_err());
    }

    /// A secret is known by all of its characters, in its own length.
    #[test]
    fn compares_the_whole() {
        let fingerprint = Fingerprint::of("0123456789abcdef");
        assert!(fingerprint.is_of("0123456789abcdef"));
        for other in [
            "",
            "0123456789abcdeg",
            "1123456789abcdef",
            "0123456789abcdef0",
        ] {
            assert!(!fingerprint.is_of(other), "{other}");
        }
    }
}
