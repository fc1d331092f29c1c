//! The proof that every rule can fail: a sound tree of a few files passes them all, and one file
//! replaced makes the rule named beside it speak up, with the place.

use super::RULES;
use super::tree::{File, Tree};

const README: &str = "## Owns\n## Does not own\n## Invariants\n## Words\n";
const LIB: &str = "//! A crate.\n#![doc = include_str!(\"../README.md\")]\n";

/// Paths and texts of a tree without fault.
const SOUND: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        "[workspace]\nmembers = [\".\", \"rating\", \"ingest\"]\n[workspace.dependencies]\n\
         serde = \"1\"\n[dependencies]\nrating.workspace = true\ningest = { path = \"ingest\" }\n",
    ),
    ("rating/Cargo.toml", "[dependencies]\nserde.workspace = true\n"),
    ("ingest/Cargo.toml", "[dependencies]\nrating.workspace = true\n"),
    ("rating/README.md", README),
    ("ingest/README.md", README),
    ("rating/src/lib.rs", LIB),
    ("ingest/src/lib.rs", LIB),
    ("src/main.rs", "//! Starts.\nfn main() {\n    assert!(matches!(1, 1));\n}\n"),
    ("README.md", "`make demo`, `make test`; [map](ARCHITECTURE.md#code-map)\n"),
    (
        "ARCHITECTURE.md",
        "## Bird's eye\n## Where to begin\n## Code map\n`rating/` `ingest/` `src`\n\
         ## What holds everywhere\n## Decisions\n[back](./README.md) [out](https://a.example)\n",
    ),
];

/// Each row breaks `rule` by writing `text` to `path`, and gives a part of the fault to be told.
#[rustfmt::skip]
fn breaks() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let x600 = |line: &str| format!("//! Long.\n{}", line.repeat(600));
    let tests = |code: &str| format!("//! Tests.\n{code}\n");
    let ours = |section: &str| format!("[{section}]\n");
    vec![
        ("files_open_with_a_head", "src/a.rs", "fn a() {}".into(), "src/a.rs:1"),
        ("lines_fit_100_columns", "src/a.rs", tests(&"ä".repeat(101)), "src/a.rs:2"),
        ("files_stay_under_600_lines", "src/a.rs", x600("fn a() {}\n"), "src/a.rs: 601"),
        ("names_say_what_is_inside", "src/utils.rs", tests(""), "`utils`"),
        ("names_say_what_is_inside", "src/helpers/a.rs", tests(""), "`helpers`"),
        ("names_say_what_is_inside", "src/a/mod.rs", tests(""), "`mod`"),
        ("tests_can_fail", "tests/a.rs", tests("    matches!(f(1), Some(_));"), "tests/a.rs:2"),
        ("tests_can_fail", "tests/a.rs", tests("{\n  matches!(\n    a, B\n  );"), "tests/a.rs:3"),
        ("tests_can_fail", "tests/a.rs", tests("#[ignore = \"slow\"]"), "tests/a.rs:2"),
        ("tests_can_fail", "tests/a.rs", tests("#[cfg_attr(unix, ignore)]"), "tests/a.rs:2"),
        ("tests_can_fail", "tests/a.rs", tests("#[should_panic]"), "tests/a.rs:2"),
        ("markers_name_an_issue", "a.sh", concat!("# TO", "DO: soon (#see)").into(), "a.sh:1"),
        ("markers_name_an_issue", "src/a.rs", concat!("// FIX", "ME").into(), "src/a.rs:1"),
        ("markers_name_an_issue", "src/a.rs", concat!("// X", "XX why").into(), "src/a.rs:1"),
        ("code_depends_downwards", "rating/Cargo.toml", ours("dependencies.ingest"), "on `ingest`"),
        ("code_depends_downwards", "ingest/Cargo.toml",
            ours("dev-dependencies") + "up = { package = \"usage-rater\" }", "Cargo.toml:2"),
        ("code_depends_downwards", "rating/Cargo.toml",
            ours("target.'cfg(unix)'.dependencies") + "ingest.workspace = true", "Cargo.toml:2"),
        ("code_depends_downwards", "Cargo.toml",
            "[workspace]\nmembers = [\n\"ingest\",\n\".\"]".into(), "must depend on `ingest`"),
        ("architecture_names_everything", "docs/a.md", String::new(), "`docs/`"),
        ("architecture_names_everything", "ARCHITECTURE.md", "\n".repeat(251), "251 lines"),
        ("architecture_names_everything", "ARCHITECTURE.md",
            "```\n## Decisions\n```\n".into(), "heading `Decisions`"),
        ("crates_explain_themselves", "rating/README.md", "## Owns\n".into(), "`Words`"),
        ("crates_explain_themselves", "rating/src/lib.rs", "//! A crate.\n".into(), "lib.rs"),
        ("comments_keep_their_share", "ingest/src/a.rs", x600("fn a() {}\n"), "ingest: 0 %"),
        ("comments_keep_their_share", "src/a.rs", x600("// a\n"), ".: 99 %"),
        ("files_stand_alone", "a.toml", concat!("dir = \"/t", "mp/state\"").into(), "a.toml:1"),
        ("files_stand_alone", "a.md", concat!("see ..", "/shared").into(), "a.md:1"),
        ("readme_names_the_two_commands", "README.md", "make test".into(), "`make demo`"),
        ("links_lead_somewhere", "docs/a.md", "\n[x](ARCHITECTURE.md)".into(), "docs/a.md:2"),
        ("links_lead_somewhere", "a.md", "[x]: ../README.md".into(), "a.md:1"),
    ]
}

fn tree(replaced: Option<(&str, &str)>) -> Tree {
    let mut tree = Tree::default();
    let kept = SOUND.iter().filter(|(path, _)| replaced.is_none_or(|(new, _)| new != *path));
    for (path, text) in kept.copied().chain(replaced) {
        let dirs = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        tree.dirs.extend(dirs.map(str::to_owned));
        tree.files.push(File { path: path.to_owned(), text: text.to_owned() });
    }
    tree
}

#[test]
fn a_sound_tree_has_no_faults() {
    for (name, rule) in RULES {
        assert_eq!(rule(&tree(None)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_rule_can_fail() {
    let breaks = breaks();
    for (name, rule) in RULES {
        assert!(breaks.iter().any(|row| row.0 == *name), "nothing breaks {name}");
        for (_, path, text, told) in breaks.iter().filter(|row| row.0 == *name) {
            let faults = rule(&tree(Some((path, text))));
            assert!(faults.iter().any(|fault| fault.contains(told)), "{name} {path}: {faults:?}");
        }
    }
}

#[test]
fn what_looks_alike_is_no_fault() {
    let link = format!("//! A.\n// https://a.example/{}\n", "long/".repeat(20));
    let alike = [
        ("src/a.rs", "//! A.\nfn a() -> bool {\n    matches!(f(1), Some(_))\n}\n"),
        ("src/a.rs", "//! A.\nlet a =\n    matches!(f(1), Some(_));\n"),
        ("src/a.rs", "//! A.\n#[expect(unused, reason = \"we ignore it\")]\n"),
        ("src/a.rs", concat!("//! A.\n// TO", "DO(#12): mktemp XXXXXX, and the currency XXX\n")),
        ("src/a.rs", &link),
        ("a.md", concat!("docs/wo", "rk/ $HOME/wo", "rk/ [a](rating::Rate)\n")),
        ("a.md", "```\n[b](nowhere)\n```\n"),
    ];
    for (path, text) in alike {
        for (name, rule) in RULES {
            assert_eq!(rule(&tree(Some((path, text)))), Vec::<String>::new(), "{name}: {text}");
        }
    }
}

#[test]
fn a_trailing_test_module_does_not_count() {
    let long = format!("//! A.\n\n#[cfg(test)]\nmod tests {{\n{}}}\n", "// a\n".repeat(700));
    for (name, rule) in RULES {
        assert_eq!(rule(&tree(Some(("src/a.rs", &long)))), Vec::<String>::new(), "{name}");
    }
}
