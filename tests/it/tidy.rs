//! House rules that no compiler knows, each of them a test.
//!
//! A rule is a function from a [`Tree`] of files to the list of its faults. The same function
//! judges this repository (`holds`) and a tree of a few lines in which the rule is broken
//! (`proof`), so that no rule can rot into one that never finds anything.

mod proof;
mod tree;

use tree::{File, Tree};

type Rule = fn(&Tree) -> Vec<String>;

/// Makes a test of every rule, and the list of all rules for the proof at the end.
macro_rules! rules {
    ($($name:ident),* $(,)?) => {
        const RULES: &[(&str, Rule)] = &[$((stringify!($name), $name)),*];
        mod holds {
            $(#[test]
            fn $name() {
                let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
                let faults = super::$name(&super::Tree::load(root).unwrap());
                assert!(faults.is_empty(), "faults: {}\n{}", faults.len(), faults.join("\n"));
            })*
        }
    };
}

rules![
    files_open_with_a_head,
    lines_fit_100_columns,
    files_stay_under_600_lines,
    names_say_what_is_inside,
    tests_can_fail,
    markers_name_an_issue,
    code_depends_downwards,
    architecture_names_everything,
    crates_explain_themselves,
    comments_keep_their_share,
    files_stand_alone,
    readme_names_the_two_commands,
    links_lead_somewhere,
];

const README_AS_DOC: &str = r#"#![doc = include_str!("../README.md")]"#;

/// The head says what the file is; for a crate, its README may do so.
fn files_open_with_a_head(tree: &Tree) -> Vec<String> {
    let headless = |file: &&File| !file.text.starts_with("//!") && !opens_with_readme(file);
    tree.rust().filter(headless).map(|file| format!("{}:1: no `//!` head", file.path)).collect()
}

fn opens_with_readme(file: &File) -> bool {
    file.text.starts_with(README_AS_DOC)
}

fn lines_fit_100_columns(tree: &Tree) -> Vec<String> {
    let long = |line: &str| line.chars().count() > 100 && !line.contains("://");
    tree.rust().flat_map(|file| file.lines_where("over 100 columns", long)).collect()
}

fn files_stay_under_600_lines(tree: &Tree) -> Vec<String> {
    let production = tree.rust().filter(|file| file.crate_dir().is_some());
    let counted = production.map(|file| (file, file.shipped().lines().count()));
    let long = counted.filter(|(_, lines)| *lines > 600);
    long.map(|(file, lines)| format!("{}: {lines} lines, split it by noun", file.path)).collect()
}

/// A name that fits everything finds nothing, and `mod.rs` hides the name of its module.
fn names_say_what_is_inside(tree: &Tree) -> Vec<String> {
    const EMPTY: [&str; 8] =
        ["utils", "util", "common", "helpers", "types", "misc", "manager", "mod"];
    let mut faults = Vec::new();
    for file in tree.rust() {
        let mut parts = file.path.trim_end_matches(".rs").split('/');
        if let Some(part) = parts.find(|part| EMPTY.contains(part)) {
            faults.push(format!("{}: `{part}` says nothing", file.path));
        }
    }
    faults
}

/// A `matches!` whose answer nobody takes, an ignored test and a test that is content with any
/// panic have one thing in common: they pass whatever the code does.
fn tests_can_fail(tree: &Tree) -> Vec<String> {
    let switched_off = |line: &str| {
        let line = line.trim_start();
        let conditional = line.starts_with("#[cfg_attr(");
        ["ignore", "should_panic"].iter().any(|attribute| {
            line.strip_prefix("#[").is_some_and(|rest| rest.starts_with(attribute))
                || conditional && has_word(line, attribute)
        })
    };
    let mut faults = Vec::new();
    for file in tree.rust() {
        faults.extend(file.lines_where("a test that cannot fail", switched_off));
        for at in bare_matches(&file.text) {
            faults.push(format!("{}:{at}: `matches!` without `assert!`", file.path));
        }
    }
    faults
}

/// The numbers of the lines on which a statement `matches!(…);` begins, laid out as rustfmt does.
fn bare_matches(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut before = "";
    for (at, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("matches!(") && !before.trim_end().ends_with('=') {
            let indent = line.len() - code.len();
            let closes = |line: &&str| line.len() - line.trim_start().len() == indent;
            let last = if code.ends_with('(') {
                text.lines().skip(at + 1).find(closes).unwrap_or_default()
            } else {
                line
            };
            if last.ends_with(");") {
                found.push(at + 1);
            }
        }
        before = line;
    }
    found
}

fn markers_name_an_issue(tree: &Tree) -> Vec<String> {
    const MARKERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
    // Elsewhere three of that letter are a currency, the one for no currency at all.
    const THIRD: &str = concat!("// X", "XX");
    let marked = |line: &str| {
        MARKERS.iter().any(|word| has_word(line, word)) || line.trim_start().starts_with(THIRD)
    };
    let digit = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    let nameless = |line: &str| marked(line) && !line.split('#').skip(1).any(digit);
    tree.files.iter().flat_map(|file| file.lines_where("no issue number", nameless)).collect()
}

/// `rating` knows nobody of ours, the crates around it know `rating`, the root package knows all.
fn code_depends_downwards(tree: &Tree) -> Vec<String> {
    let crates = tree.crates();
    let mut faults = Vec::new();
    for &dir in &crates {
        let path = if dir == "." { "Cargo.toml".to_owned() } else { format!("{dir}/Cargo.toml") };
        let found = dependencies(tree.text(&path));
        for (at, name) in &found {
            let ours = *name == "usage-rater" || crates.contains(name);
            if ours && dir != "." && (dir == "rating" || *name != "rating") {
                faults.push(format!("{path}:{at}: `{dir}` must not depend on `{name}`"));
            }
        }
        let unseen = |name: &&&str| **name != "." && !found.iter().any(|(_, it)| it == *name);
        for name in crates.iter().filter(|_| dir == ".").filter(unseen) {
            faults.push(format!("{path}:1: the root package must depend on `{name}`"));
        }
    }
    faults
}

/// Line and package name of each dependency of every kind: for development, for a target, renamed.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut section = "";
    for (at, line) in manifest.lines().enumerate() {
        let name = if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end().trim_end_matches(']');
            section.split_once("dependencies.").map(|(_, name)| name)
        } else if let Some((_, package)) = line.split_once("package = \"") {
            package.split('"').next()
        } else if section.ends_with("dependencies") {
            line.split(['.', '=', ' ']).next()
        } else {
            None
        };
        let ours = !section.starts_with("workspace") && section.contains("dependencies");
        found.extend(name.filter(|_| ours).map(|name| (at + 1, name)));
    }
    found
}

fn architecture_names_everything(tree: &Tree) -> Vec<String> {
    const PATH: &str = "ARCHITECTURE.md";
    const HEADINGS: [&str; 5] =
        ["Bird's eye", "Where to begin", "Code map", "What holds everywhere", "Decisions"];
    let text = tree.text(PATH);
    let mut faults = missing_headings(PATH, text, &HEADINGS);
    let lines = text.lines().count();
    if lines > 250 {
        faults.push(format!("{PATH}: {lines} lines, more than the 250 one reads at a sitting"));
    }
    let top_dirs = tree.dirs.iter().map(String::as_str).filter(|dir| !dir.contains('/'));
    for dir in top_dirs {
        if !text.contains(&format!("`{dir}`")) && !text.contains(&format!("`{dir}/")) {
            faults.push(format!("{PATH}: does not name `{dir}/`"));
        }
    }
    faults
}

fn crates_explain_themselves(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for dir in tree.crates().into_iter().filter(|dir| *dir != ".") {
        let readme = format!("{dir}/README.md");
        let headings = ["Owns", "Does not own", "Invariants", "Words"];
        faults.extend(missing_headings(&readme, tree.text(&readme), &headings));
        let lib = format!("{dir}/src/lib.rs");
        if !tree.text(&lib).lines().any(|line| line == README_AS_DOC) {
            faults.push(format!("{lib}: lacks {README_AS_DOC}, which makes the samples tests"));
        }
    }
    faults
}

/// Too few comments leave the why to guesswork, too many bury the code.
fn comments_keep_their_share(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for dir in tree.crates() {
        let of_crate = tree.rust().filter(|file| file.crate_dir() == Some(dir));
        let lines = of_crate.flat_map(|file| file.shipped().lines()).map(str::trim_start);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let comments = lines.iter().filter(|line| line.starts_with("//")).count();
        // A share of a few lines says nothing.
        let percent = 100 * comments / lines.len().max(1);
        if lines.len() >= 100 && !(10..=40).contains(&percent) {
            faults.push(format!("{dir}: {percent} % of the lines are comments, not 10 to 40 %"));
        }
    }
    faults
}

/// Documents and set-up speak of the repository only, never of the machine it was written on.
fn files_stand_alone(tree: &Tree) -> Vec<String> {
    const FOREIGN: [&str; 4] = [
        concat!("..", "/shared"),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/t", "mp/"),
    ];
    // `$HOME/work/` or `docs/work/` is no absolute path.
    let absolute = |before: Option<&str>| {
        !before.unwrap_or_default().ends_with(|c: char| c.is_alphanumeric() || "_-.~}".contains(c))
    };
    let foreign = |line: &str| {
        let mut found = FOREIGN.iter().flat_map(|path| line.match_indices(path));
        found.any(|(at, path)| path.starts_with('.') || absolute(line.get(..at)))
    };
    let judged = tree.files.iter().filter(|file| {
        let ends = [".md", ".toml", "Makefile"].iter().any(|end| file.path.ends_with(end));
        ends || file.path.starts_with(".ci/")
    });
    judged.flat_map(|file| file.lines_where("a path outside the repository", foreign)).collect()
}

fn readme_names_the_two_commands(tree: &Tree) -> Vec<String> {
    let commands = ["make demo", "make test"].into_iter();
    let unsaid = commands.filter(|command| !tree.text("README.md").contains(command));
    unsaid.map(|command| format!("README.md: does not say `{command}`")).collect()
}

fn links_lead_somewhere(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
        for (at, line) in prose(&file.text) {
            let inline = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let below = line.split_once("]: ").filter(|_| line.starts_with('['));
            for link in inline.chain(below.map(|(_, link)| link)) {
                let target = link.split([' ', '#']).next().unwrap_or_default();
                let elsewhere = ["://", "mailto:", "::"].iter().any(|mark| link.contains(mark));
                if !target.is_empty() && !elsewhere && !tree.has(&join(dir, target)) {
                    faults.push(format!("{}:{at}: nothing at `{link}`", file.path));
                }
            }
        }
    }
    faults
}

/// `docs` and `../rating/./README.md` make `rating/README.md`.
fn join(dir: &str, target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in dir.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            // Above the root there is nothing a link may rely on: `..` stays and is not found.
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The lines of a document outside its code blocks, numbered from one.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        (!code && !fence).then_some((at + 1, line))
    })
}

fn missing_headings(path: &str, text: &str, wanted: &[&str]) -> Vec<String> {
    let found = |wanted: &&&str| {
        let is_it = |line: &str| line.trim_start_matches('#').trim().replace('’', "'") == **wanted;
        prose(text).any(|(_, line)| line.starts_with('#') && is_it(line))
    };
    let missing = wanted.iter().filter(|wanted| !found(wanted));
    missing.map(|wanted| format!("{path}: no heading `{wanted}`")).collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}
