//! Form rules of the repository as tests: sizes, heads of files, the order of the layers, and that
//! every requirement is cited where it is met and where it is tested.

#![expect(clippy::unwrap_used, reason = "a tree that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file of product code.
const LINES_MAX: usize = 500;

/// The modules of the core from the lowest, and what each may use.
const LAYERS: [(&str, &[&str]); 9] = [
    ("canary", &[]),
    ("time", &[]),
    ("limits", &[]),
    ("ids", &["limits"]),
    ("wire", &["time", "limits", "ids"]),
    ("batch", &["time", "limits", "ids", "wire"]),
    ("judge", &["time", "limits", "ids", "wire", "batch"]),
    ("retry", &["time", "limits", "ids", "wire", "batch", "judge"]),
    ("producer", &["time", "limits", "ids", "wire", "batch", "judge", "retry"]),
];

/// Requirements that no code can meet or no test can show, each with the reason.
const NOT_CITED_IN_CODE: [(u32, &str); 0] = [];
const NOT_CITED_IN_TESTS: [(u32, &str); 0] = [];

/// Words that mark something unfinished; put together here, so that this file has none.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// The first part of paths that exist on somebody's machine only.
const HOMES: [&str; 4] = ["home", "root", "Users", "work"];

const TEXT_EXTENSIONS: [&str; 9] = ["js", "json", "lock", "md", "py", "rs", "toml", "txt", "yml"];

#[test]
fn files_of_product_code_are_short() {
    check(product_files(), |file| {
        let lines = file.text.lines().count();
        (lines > LINES_MAX).then(|| format!("{lines} lines, more than {LINES_MAX}"))
    });
}

#[test]
fn files_say_at_their_head_what_lives_there() {
    check(crate_files(), |file| {
        (!file.text.starts_with("//! ")).then(|| "does not open with `//! `".to_owned())
    });
}

#[test]
fn product_code_does_not_unwrap() {
    check(product_files(), |file| {
        let at = code_lines(&file.text).find(|(_, line)| line.contains(".unwrap()"));
        at.map(|(number, _)| format!("line {number} unwraps"))
    });
}

#[test]
fn nothing_is_left_unfinished() {
    check(text_files(), |file| {
        let is_mark = |line: &str| UNFINISHED.iter().any(|mark| words(line).any(|w| w == *mark));
        let at = file.text.lines().position(is_mark);
        at.map(|index| format!("line {} marks something unfinished", index + 1))
    });
}

#[test]
fn no_text_names_a_path_of_one_machine() {
    check(text_files(), |file| {
        let at = file.text.lines().position(names_a_home);
        at.map(|index| format!("line {} names a path of one machine", index + 1))
    });
}

#[test]
fn modules_of_the_core_use_only_what_is_below_them() {
    let source = root().join("crates/firehose-proto/src");
    let modules: BTreeSet<_> = LAYERS.iter().map(|(module, _)| *module).collect();
    check(product_files().into_iter().filter(|file| file.path.starts_with(&source)), |file| {
        let relative = file.path.strip_prefix(&source).unwrap().with_extension("");
        let module = relative.iter().next().unwrap().to_str().unwrap();
        if module == "lib" {
            return None;
        }
        let Some((_, below)) = LAYERS.iter().find(|(layer, _)| *layer == module) else {
            return Some(format!("{module} has no place in the table of layers"));
        };
        let is_top = relative.iter().count() == 1;
        code_lines(&file.text).find_map(|(number, line)| {
            let used = crate_paths(line).find(|used| *used != module && !below.contains(used));
            if let Some(used) = used {
                let what = if modules.contains(used) { "is above it" } else { "is no module" };
                return Some(format!("line {number}: {module} uses `crate::{used}`, which {what}"));
            }
            let leaves = line.contains("super::super") || (is_top && line.contains("super::"));
            leaves.then(|| format!("line {number}: name the module by `crate::`, not by `super`"))
        })
    });
}

#[test]
fn layers_are_listed_from_the_lowest_to_the_highest() {
    for (index, (module, below)) in LAYERS.iter().enumerate() {
        for used in *below {
            let place = LAYERS.iter().position(|(layer, _)| layer == used);
            assert!(place.is_some_and(|place| place < index), "{module} cannot be above {used}");
        }
    }
}

#[test]
fn requirements_are_cited_in_code_and_in_tests() {
    let wanted = requirements();
    let (mut in_code, mut in_tests) = (BTreeSet::new(), BTreeSet::new());
    for file in crate_files() {
        let (code, tests) = if is_test_file(&file.path) {
            (String::new(), file.text)
        } else {
            split_tests(&file.text)
        };
        in_code.extend(citations(&code));
        in_tests.extend(citations(&tests));
    }
    for file in text_files().into_iter().filter(|file| is_test_file(&file.path)) {
        in_tests.extend(citations(&file.text));
    }
    let missing = |found: &BTreeSet<u32>, excused: &[(u32, &str)]| -> Vec<String> {
        let is_excused = |number: &u32| excused.iter().any(|(excused, _)| excused == number);
        let left = wanted.iter().filter(|number| !found.contains(number) && !is_excused(number));
        left.map(|number| format!("R{number}")).collect()
    };
    let code = missing(&in_code, &NOT_CITED_IN_CODE);
    let tests = missing(&in_tests, &NOT_CITED_IN_TESTS);
    assert!(code.is_empty() && tests.is_empty(), "not in code: {code:?}; not in tests: {tests:?}");
    let unknown: Vec<_> = in_code.union(&in_tests).filter(|n| !wanted.contains(n)).collect();
    assert!(unknown.is_empty(), "cited, but no requirement has the number: {unknown:?}");
}

#[test]
fn rules_see_what_they_look_for() {
    assert!(names_a_home(&format!("see {}", ["", "home", "someone"].join("/"))));
    assert!(names_a_home(&format!("\"{}\"", ["", "root", ".cargo"].join("/"))));
    assert!(!names_a_home("crates/firehose-proto/work/x, https://example.org/home/page"));
    assert_eq!(citations("// R12, R3: AR4 R5x R0 (R20)").collect::<Vec<_>>(), [12, 3, 20]);
    assert_eq!(
        crate_paths("use crate::wire::X; a(crate::ids::Y)").collect::<Vec<_>>(),
        ["wire", "ids"]
    );
    assert_eq!(crate_paths("use crate::{wire, ids};").collect::<Vec<_>>(), [""]);
    let (code, tests) = split_tests(
        "fn a() {}\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nmod inner {\n    fn c() {}\n}\nfn d() {}\n",
    );
    assert_eq!(code, "fn a() {}\nfn b() {}\nfn d() {}\n");
    assert_eq!(tests, "mod tests;\nmod inner {\n    fn c() {}\n}\n");
    let numbered: Vec<_> =
        code_lines("/// x\na\n#[cfg(test)]\nmod tests {\n    b\n}\nc\n").collect();
    assert_eq!(numbered, [(2, "a"), (7, "c")]);
}

struct TextFile {
    path: PathBuf,
    text: String,
}

/// Fails with one line for each file of which the rule has something to say.
fn check(files: impl IntoIterator<Item = TextFile>, rule: impl Fn(&TextFile) -> Option<String>) {
    let mut seen = 0;
    let mut findings = Vec::new();
    for file in files {
        seen += 1;
        let path = file.path.strip_prefix(root()).unwrap().display().to_string();
        findings.extend(rule(&file).map(|finding| format!("{path}: {finding}")));
    }
    assert!(seen > 0, "the rule saw no file");
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The sources of the crates, tests in them included.
fn crate_files() -> Vec<TextFile> {
    let crates = root().join("crates");
    let mut files = text_files();
    files.retain(|file| {
        let Ok(inside) = file.path.strip_prefix(&crates) else { return false };
        inside.iter().nth(1).is_some_and(|folder| folder == "src") && is_rust(&file.path)
    });
    files
}

fn product_files() -> Vec<TextFile> {
    crate_files().into_iter().filter(|file| !is_test_file(&file.path)).collect()
}

/// The text files of the repository, but for what is built and this file.
fn text_files() -> Vec<TextFile> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files
}

fn walk(folder: &Path, files: &mut Vec<TextFile>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !is_foreign(&path) {
                walk(&path, files);
            }
        } else if is_text(&path)
            && path != root().join("tests/tests/tidy.rs")
            && let Ok(text) = fs::read_to_string(&path)
        {
            files.push(TextFile { path, text });
        }
    }
}

/// Returns whether a folder is not of the repository: what cargo, git or the command made.
fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().unwrap();
    let is_made = ["target", "delivered", ".git", "__pycache__"].iter().any(|made| name == *made);
    is_made || folder.join("CACHEDIR.TAG").exists()
}

fn is_text(path: &Path) -> bool {
    let in_ci = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == ".ci");
    let extension = path.extension().unwrap_or_default();
    in_ci || TEXT_EXTENSIONS.iter().any(|text| extension == *text)
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// Returns whether a file is a test as a whole, by its name or that of a folder.
fn is_test_file(path: &Path) -> bool {
    let relative = path.strip_prefix(root()).unwrap();
    relative.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// Parts a source into its product code and what is compiled for tests only.
fn split_tests(text: &str) -> (String, String) {
    let (mut code, mut tests) = (String::new(), String::new());
    for (is_test, _, line) in marked_lines(text) {
        let part = if is_test { &mut tests } else { &mut code };
        part.push_str(line);
        part.push('\n');
    }
    (code, tests)
}

/// Gives the lines of product code with their numbers, without comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = marked_lines(text)
        .into_iter()
        .filter(|(is_test, _, line)| !is_test && !line.trim_start().starts_with("//"));
    code.map(|(_, number, line)| (number, line))
}

/// Gives each line with its number and whether it is compiled for tests only.
///
/// The code is formatted: an item ends at a brace as far in as it began, or at its first line.
fn marked_lines(text: &str) -> Vec<(bool, usize, &str)> {
    let mut marked = Vec::new();
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    while let Some((number, line)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            marked.push((false, number, line));
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        let mut is_first = true;
        for (number, line) in lines.by_ref() {
            marked.push((true, number, line));
            if line == end || (is_first && line.ends_with(';')) {
                break;
            }
            is_first = false;
        }
    }
    marked
}

/// Gives what follows on each `crate::`; nothing where that is a brace.
fn crate_paths(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Gives the numbers of the requirements that a text names, as R and a number that is a word.
fn citations(text: &str) -> impl Iterator<Item = u32> {
    words(text).filter_map(|word| {
        let digits = word.strip_prefix('R')?;
        let number = digits.parse().ok()?;
        (number > 0 && !digits.starts_with(['0', '+'])).then_some(number)
    })
}

/// Gives the numbers in the first column of the table of requirements.
fn requirements() -> BTreeSet<u32> {
    let text = fs::read_to_string(root().join("docs/REQUIREMENTS.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| R"));
    let numbers: BTreeSet<u32> =
        rows.map(|row| row.split(' ').next().unwrap().parse().unwrap()).collect();
    let expected: BTreeSet<u32> = (1..).take(numbers.len()).collect();
    assert!(!numbers.is_empty() && numbers == expected, "the numbers have gaps: {numbers:?}");
    numbers
}

/// Returns whether a line has an absolute path below one of the folders that hold people's files.
fn names_a_home(line: &str) -> bool {
    HOMES.iter().any(|home| {
        let path = format!("/{home}/");
        line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "._-/}])>".contains(c))
        })
    })
}
