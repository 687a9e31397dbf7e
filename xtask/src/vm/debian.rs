//! Debian's kernels and C libraries, out of their signed packages: through an apt
//! directory of our own, so that nothing is installed and no list of the machine changes.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};

use super::Series;

/// Debian's own keys (package debian-archive-keyring).
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The release that is not one yet.
const NEWEST: &str = "sid";
/// Whose C libraries are newer than that of Debian 12.
const NEWER: [&str; 2] = ["trixie", NEWEST];

/// The C libraries of newer releases than Debian 12, below `target/libc`.
pub fn libraries(target: &Path) -> anyhow::Result<()> {
    for release in NEWER {
        libc(&target.join("libc"), &target.join("vm/apt"), release)?;
    }
    Ok(())
}

/// The image of the newest kernel of a series; downloaded at first, and kept.
pub fn kernel(directory: &Path, series: Series) -> anyhow::Result<PathBuf> {
    let place = directory.join(series.number());
    if let Some(image) = image_in(&place) {
        return Ok(image);
    }
    // Two kernels may be wanted at once, and apt does not wait for its own lock.
    fs::create_dir_all(directory)?;
    let lock = fs::File::create(directory.join("lock"))?;
    lock.lock()?;
    let apt = Apt::prepare(&directory.join("apt"))?;
    let package = newest(
        &apt.output("apt-cache", &["show", "linux-image-amd64"])?,
        series,
    )
    .with_context(|| format!("Debian offers no Linux {}", series.number()))?;
    println!("getting {package}");
    let unpacked = directory.join(format!("{}.new", series.number()));
    unpack(&apt, &package, &unpacked)?;
    let version = package.trim_start_matches("linux-image-");
    // Since Debian 13 modules are below /usr/lib only.
    if !unpacked.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", unpacked.join("lib"))?;
    }
    succeed(
        Command::new("/sbin/depmod")
            .arg("-b")
            .arg(&unpacked)
            .arg(version),
    )?;
    let _ = fs::remove_dir_all(&place);
    fs::rename(&unpacked, &place)?;
    image_in(&place).with_context(|| format!("{package} has no image"))
}

/// The C library of a release, unpacked below a directory that is named so;
/// downloaded at first, and kept.
fn libc(directory: &Path, apt: &Path, release: &str) -> anyhow::Result<()> {
    let place = directory.join(release);
    if !place.exists() {
        let unpacked = directory.join(format!("{release}.new"));
        unpack(&Apt::prepare(apt)?, &format!("libc6/{release}"), &unpacked)?;
        fs::rename(&unpacked, &place)?;
    }
    Ok(())
}

/// Downloads a package and unpacks it into a new directory.
fn unpack(apt: &Apt, package: &str, directory: &Path) -> anyhow::Result<()> {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)?;
    succeed(
        apt.command("apt-get")
            .current_dir(directory)
            .args(["download", "-qq", package]),
    )?;
    for entry in fs::read_dir(directory)? {
        let archive = entry?.path();
        if archive.extension().is_some_and(|it| it == "deb") {
            succeed(Command::new("dpkg").arg("-x").arg(&archive).arg(directory))?;
            fs::remove_file(&archive)?;
        }
    }
    Ok(())
}

fn image_in(place: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(place.join("boot")).ok()?;
    files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("vmlinuz-")
        })
}

/// The package of the newest kernel of a series: what `linux-image-amd64`
/// depends on, by the stanzas of `apt-cache show`, newest first.
fn newest(stanzas: &str, series: Series) -> Option<String> {
    let prefix = format!("linux-image-{}.", series.number());
    let depends = stanzas
        .lines()
        .filter_map(|line| line.strip_prefix("Depends: "));
    let mut packages = depends.filter_map(|depends| depends.split([' ', ',']).next());
    packages
        .find(|package| package.starts_with(&prefix))
        .map(str::to_owned)
}

/// apt with all its directories below one of ours.
struct Apt {
    options: Vec<OsString>,
}

impl Apt {
    fn prepare(directory: &Path) -> anyhow::Result<Self> {
        ensure!(
            Path::new(KEYRING).exists(),
            "{KEYRING} is missing: Debian's packages are taken by Debian's signatures only"
        );
        for part in [
            "etc/apt.conf.d",
            "etc/preferences.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(directory.join(part))?;
        }
        let mirror = mirror()?;
        let sources: String = Series::ALL
            .iter()
            .map(|series| series.release())
            .chain([NEWEST])
            .map(|release| format!("deb [signed-by={KEYRING}] {mirror} {release} main\n"))
            .collect();
        fs::write(directory.join("etc/sources.list"), sources)?;
        fs::write(directory.join("state/status"), "")?;
        let option = |name: &str, path: &str| {
            let mut option = OsString::from(format!("{name}="));
            option.push(directory.join(path));
            [OsString::from("-o"), option]
        };
        let options = [
            option("Dir::Etc", "etc"),
            option("Dir::State", "state"),
            option("Dir::State::status", "state/status"),
            option("Dir::Cache", "cache"),
        ];
        let apt = Self {
            options: options.concat(),
        };
        succeed(apt.command("apt-get").args(["update", "-qq"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(&self.options)
            // The download's user may not write here.
            .args(["-o", "APT::Sandbox::User=root"]);
        command
    }

    fn output(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        output(self.command(program).args(arguments))
    }
}

/// The mirror that this machine's own apt has for Debian.
fn mirror() -> anyhow::Result<String> {
    let targets = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let mut uris = targets
        .lines()
        .filter_map(|line| line.strip_prefix("Debian "));
    let uri = uris
        .next()
        .context("this machine's apt knows no mirror of Debian: run apt-get update on a Debian")?;
    Ok(uri.to_owned())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command that must succeed.
pub(super) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each series gives the package of its newest kernel: 6.1 is not 6.12.
    #[test]
    fn newest_of_each_series() {
        let stanzas = "Package: linux-image-amd64\nVersion: 6.12.107-1\n\
                       Depends: linux-image-6.12.107+deb13-amd64 (= 6.12.107-1)\n\n\
                       Package: linux-image-amd64\nVersion: 6.1.176-1\n\
                       Depends: linux-image-6.1.0-50-amd64 (= 6.1.176-1), kmod\n";
        let found = Series::ALL.map(|series| newest(stanzas, series));
        assert_eq!(
            found,
            [
                None,
                Some("linux-image-6.1.0-50-amd64".to_owned()),
                Some("linux-image-6.12.107+deb13-amd64".to_owned())
            ]
        );
    }
}
