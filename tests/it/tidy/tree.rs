//! The repository as the rules see it: read once, then only looked at.
//!
//! What git does not keep is left out by the same list that git reads, `.gitignore`; asking git
//! itself would fail in an unpacked archive.

use std::path::Path;
use std::{fs, io};

#[derive(Default)]
pub(super) struct Tree {
    /// Those one reads as text.
    pub(super) files: Vec<File>,
    /// All others, for a link may lead to them too.
    pub(super) others: Vec<String>,
    pub(super) dirs: Vec<String>,
}

pub(super) struct File {
    /// From the root, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
}

impl Tree {
    pub(super) fn load(root: &Path) -> io::Result<Self> {
        let ignored = fs::read_to_string(root.join(".gitignore"))?;
        let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
        let mut tree = Self::default();
        let mut unread = vec![String::new()];
        while let Some(dir) = unread.pop() {
            for entry in fs::read_dir(root.join(&dir))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // `file_type` does not follow links, so the one to the build cache is no directory.
                let kind = entry.file_type()?;
                let hidden = kind.is_dir() && name.starts_with('.') && name != ".ci";
                // In a worktree, git's directory is a file.
                if hidden || name == ".git" || ignored.contains(&name.as_str()) {
                    continue;
                }
                let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                if kind.is_dir() {
                    tree.dirs.push(path.clone());
                    unread.push(path);
                } else if is_text(&path) {
                    tree.files.push(File { text: fs::read_to_string(entry.path())?, path });
                } else {
                    tree.others.push(path);
                }
            }
        }
        tree.files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(tree)
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The text of a file; of a missing one, nothing, which every rule finds wanting.
    pub(super) fn text(&self, path: &str) -> &str {
        self.files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        let files = self.files.iter().map(|file| &file.path);
        files.chain(&self.others).chain(&self.dirs).any(|found| found == path)
    }

    /// The directories of the workspace's members, the root package being `.`.
    pub(super) fn crates(&self) -> Vec<&str> {
        let list = self.text("Cargo.toml").split_once("\nmembers = [").map_or("", |(_, rest)| rest);
        let list = list.split(']').next().unwrap_or_default();
        list.split('"').skip(1).step_by(2).collect()
    }
}

fn is_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends = [".rs", ".md", ".toml", ".sh", ".py", ".yaml", ".yml", ".scenario"];
    ends.iter().any(|end| name.ends_with(end)) || ["Makefile", "Dockerfile", "run"].contains(&name)
}

impl File {
    /// The crate that ships this file: `rating` for `rating/src/…`, `.` for `src/…`.
    pub(super) fn crate_dir(&self) -> Option<&str> {
        let (before, within) = self.path.split_once("src/")?;
        let tests = within.trim_end_matches(".rs").split('/').any(|part| part == "tests");
        (!tests).then(|| if before.is_empty() { "." } else { before.trim_end_matches('/') })
    }

    /// The text without its trailing test module.
    pub(super) fn shipped(&self) -> &str {
        let Some((before, after)) = self.text.rsplit_once("\n#[cfg(test)]\n") else {
            return &self.text;
        };
        // An `#[expect]` of a few lines may stand between.
        let tests = after.lines().take(6).any(|line| line.starts_with("mod tests"));
        if tests { before } else { &self.text }
    }

    pub(super) fn lines_where(&self, fault: &str, bad: impl Fn(&str) -> bool) -> Vec<String> {
        let bad = self.text.lines().enumerate().filter(|(_, line)| bad(line));
        let told = |(at, line): (usize, &str)| {
            format!("{}:{}: {fault}: {}", self.path, at + 1, line.trim())
        };
        bad.map(told).collect()
    }
}

#[test]
fn the_walk_reaches_every_corner() {
    let tree = Tree::load(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    for path in ["Makefile", ".ci/run", "rating/src/lib.rs", "tests/it/tidy/tree.rs"] {
        assert!(!tree.text(path).is_empty(), "{path} was not read");
    }
    assert!(!tree.has("target") && !tree.has(".git"), "what git does not keep was read");
    assert_eq!(tree.crates().len(), 5, "{:?}", tree.crates());
}
