//! Manifests as files: good ones are read, each bad one gives exactly the text beside it.

#![allow(clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use toolhost_core::manifest::parse;

/// What problems call every fixture.
const NAME: &str = "toolhost.toml";

/// The fixtures of one kind, with their texts, in the order of their names.
fn fixtures(kind: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/cases/manifest")
        .join(kind);
    let files = std::fs::read_dir(&folder).expect("the folder of fixtures");
    let files = files.map(|file| file.expect("a fixture").path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.extension() == Some("toml".as_ref()))
        .collect();
    files.sort();
    let text = |file: PathBuf| {
        (
            file.clone(),
            std::fs::read_to_string(file).expect("a fixture's text"),
        )
    };
    files.into_iter().map(text).collect()
}

#[test]
fn good_manifests_are_read() {
    let good = fixtures("good");
    assert!(good.len() >= 6, "only {} fixtures", good.len());
    for (file, text) in good {
        if let Err(problems) = parse(NAME, &text) {
            panic!("{}:\n{problems}", file.display());
        }
    }
}

/// `UPDATE_FIXTURES=1` writes the texts anew; read every one of them then, as its operator would.
#[test]
fn x12_bad_manifests_say_exactly_this() {
    let bad = fixtures("bad");
    assert!(bad.len() >= 40, "only {} fixtures", bad.len());
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut wrong = Vec::new();
    for (file, text) in bad {
        let beside = file.with_extension("err");
        let said = match parse(NAME, &text) {
            Ok(_) => "nothing is wrong\n".to_owned(),
            Err(problems) => format!("{problems}\n"),
        };
        if update {
            std::fs::write(&beside, &said).expect("the fixture's text");
        } else if std::fs::read_to_string(&beside).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", file.display()));
        }
        assert_ne!(said, "nothing is wrong\n", "{}", file.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the threat model names, each with its line; the fixtures have their exact words.
#[test]
fn x12_what_is_dangerous_is_refused_with_its_line() {
    const TOOL: &str = "schema = 1\n[tool.a]\ncomponent = \"a.wasm\"\n";
    let grant =
        |url: &str| format!("{TOOL}[tool.a.http.api]\nurl = \"{url}\"\nallow = [\"GET /**\"]\n");
    let folder = |host: &str| {
        format!("{TOOL}[tool.a.dir.d]\nhost = \"{host}\"\nguest = \"/d\"\naccess = \"read\"\n")
    };
    for (text, line) in [
        (format!("{TOOL}fuell = 7\n"), 4),
        (format!("{TOOL}component = \"b.wasm\"\n"), 4),
        (grant("https://*"), 5),
        (grant("*"), 5),
        (grant("https://user:pw@api.example.com"), 5),
        (folder("/"), 5),
        (
            format!(
                "{TOOL}[tool.a.dir.d]\nhost = \"d\"\nguest = \"/d/../..\"\naccess = \"read\"\n"
            ),
            6,
        ),
        (
            format!("{TOOL}[secret.key]\nvalue = \"ghp_0123456789\"\n"),
            5,
        ),
    ] {
        let said = match parse(NAME, &text) {
            Ok(_) => panic!("accepted:\n{text}"),
            Err(problems) => problems.to_string(),
        };
        assert!(said.contains(&format!("{NAME}:{line}:")), "{text}\n{said}");
    }
}

/// Every fixture, damaged in some thousand ways: whatever comes, an answer comes.
#[test]
fn damaged_manifests_never_panic() {
    const ROUNDS: u64 = 4_000;
    let texts: Vec<String> = ["good", "bad"]
        .into_iter()
        .flat_map(fixtures)
        .map(|(_, text)| text)
        .collect();
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0_u64;
    for _ in 0..ROUNDS {
        let mut bytes = random.pick(&texts).clone().into_bytes();
        for _ in 0..=random.below(4) {
            let other = random.pick(&texts).as_bytes();
            damage(&mut bytes, other, &mut random);
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(problems) = parse(NAME, &text) {
            refused += 1;
            assert!(problems.iter().count() > 0);
            let shown = problems.to_string();
            assert!(
                !shown.contains(|c: char| c.is_control() && c != '\n'),
                "{shown:?}"
            );
        }
    }
    // Damage that is never noticed would mean that nothing was damaged.
    assert!(
        refused > ROUNDS / 2,
        "only {refused} of {ROUNDS} were refused"
    );
}

/// Changes, drops, repeats or moves in some bytes.
fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut Xorshift) {
    const SPECIAL: &[u8] = b"\"'[]{}=.,#\\\n\r\t\0*/%:-_09azAZ\x7f\xc3\xe2";
    let at = random.below(bytes.len() + 1);
    let upto = (at + random.below(24)).min(bytes.len());
    match random.below(5) {
        0 => {
            bytes.drain(at..upto);
        }
        1 => bytes.insert(at, *random.pick(SPECIAL)),
        2 => {
            let again = bytes[at..upto].to_vec();
            bytes.splice(at..at, again);
        }
        3 => {
            let from = random.below(other.len());
            let part = &other[from..(from + random.below(80)).min(other.len())];
            bytes.splice(at..upto, part.iter().copied());
        }
        _ => bytes[at..upto]
            .iter_mut()
            .take(1)
            .for_each(|byte| *byte ^= 1 << random.below(8)),
    }
}

/// The same numbers on every run (Marsaglia's xorshift64).
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).expect("fits")).expect("fits")
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
