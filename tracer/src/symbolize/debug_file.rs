//! Separate debug files, where one is installed: in the target's root or in
//! ours, under the name that the object's build id gives it, or beside it under
//! the name that its debug link gives (GDB manual, "Separate Debug Files").

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use super::{FileWorker, ObjectSummary, open::open_in_root};

/// Where distributions put them.
const DIRECTORY: &str = "/usr/lib/debug";

/// The debug file of an object that a process maps from `path`; one of another
/// build is none.
pub fn find(
    pid: Option<u32>,
    path: &str,
    object: &ObjectSummary,
    worker: &mut FileWorker,
) -> Option<File> {
    let build_id = object.build_id.as_deref()?;
    let own = std::process::id();
    for path in candidates(path, build_id, object.debug_link.as_deref()) {
        for root in pid.into_iter().chain([own]) {
            let Ok(file) = open_in_root(root, &path) else {
                continue;
            };
            let is_it = |found: &ObjectSummary| found.build_id.as_deref() == Some(build_id);
            if worker.inspect(&file).is_ok_and(|found| is_it(&found)) {
                return Some(file);
            }
        }
    }
    None
}

fn candidates(path: &str, build_id: &str, link: Option<&str>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Some((first, rest)) = build_id
        .split_at_checked(2)
        .filter(|(_, rest)| !rest.is_empty())
    {
        found.push(format!("{DIRECTORY}/.build-id/{first}/{rest}.debug").into());
    }
    let directory = Path::new(path).parent().filter(|it| it.is_absolute());
    if let (Some(directory), Some(link)) = (directory, link) {
        found.push(directory.join(".debug").join(link));
        found.push(directory.join(link));
        let below = directory.strip_prefix("/").unwrap_or(directory);
        found.push(Path::new(DIRECTORY).join(below).join(link));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places are those that gdb looks at.
    #[test]
    fn looks_where_gdb_does() {
        let found = candidates("/opt/bin/it", "abcdef", Some("it.debug"));
        let expected = [
            "/usr/lib/debug/.build-id/ab/cdef.debug",
            "/opt/bin/.debug/it.debug",
            "/opt/bin/it.debug",
            "/usr/lib/debug/opt/bin/it.debug",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        assert!(candidates("it", "ab", Some("it.debug")).is_empty());
        assert!(candidates("/it", "é", None).is_empty());
    }
}
