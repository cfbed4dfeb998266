//! The components under test, built once in a run, and what all hosts of this process share: one
//! engine (each reserves terabytes of address space) and one folder of compiled components.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use toolhost_core::terms::{Clock, Wasi};
use toolhost_engine::catalog::open_component;
use toolhost_runtime::compile::{Cache, CompileLimits, Compiler};
use toolhost_runtime::sandbox::Sandbox;

const TARGET: &str = "wasm32-wasip2";
const GUESTS: [&str; 8] = [
    "everything",
    "hello",
    "imports",
    "json",
    "program",
    "rogue",
    "stranger",
    "types",
];
/// Guests of WASI 0.3. They are built apart: cargo gives every crate that is built with them the
/// features that only they ask of `wit-bindgen`.
const V03_GUESTS: [&str; 3] = ["later", "runs", "wasi3"];
const TOOLS: [&str; 6] = ["fetch", "files", "github", "jq", "orders", "table"];

/// The root of the checkout.
pub(crate) fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_toolhost"));
    let target = program.ancestors().nth(2).expect("a folder of profiles");
    target.to_owned()
}

/// Where compiled components of all runs are kept.
pub(crate) fn cache_folder() -> PathBuf {
    target().join("tests-compiled")
}

/// The cache of compiled components.
pub(crate) fn cache() -> Cache {
    Cache::open(cache_folder(), compiler(CompileLimits::DEFAULT))
        .expect("the folder of compiled components")
}

/// The program beside these tests, as the host starts it to compile.
pub(crate) fn compiler(limits: CompileLimits) -> Compiler {
    Compiler::program(PathBuf::from(env!("CARGO_BIN_EXE_toolhost")), limits)
}

/// The one engine of this process.
pub(crate) fn sandbox() -> Arc<Sandbox> {
    static ONLY: OnceLock<Arc<Sandbox>> = OnceLock::new();
    Arc::clone(ONLY.get_or_init(|| Arc::new(Sandbox::new(Clock::SYSTEM).expect("an engine"))))
}

/// A hostile or exemplary guest's file.
pub(crate) fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = || build("guest", &GUESTS, Wasi::V02);
    BUILT.get_or_init(built).join(name)
}

/// A guest of WASI 0.3.
pub(crate) fn v03_guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = || build("guest", &V03_GUESTS, Wasi::V03);
    BUILT.get_or_init(built).join(name)
}

/// A real tool's file.
pub(crate) fn tool(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = || build("tool", &TOOLS, Wasi::V02);
    BUILT.get_or_init(built).join(name)
}

/// Says to a process that another one, which started it, has built the components.
pub(crate) const BUILT: &str = "TOOLHOST_TEST_BUILT";

/// Builds components and compiles them, before several tests could begin to do so at once.
fn build(kind: &str, names: &[&str], wasi: Wasi) -> PathBuf {
    // Apart from where they are built: a test builds one of them anew, in another way.
    let taken = target().join("tests-components");
    if std::env::var_os(BUILT).is_some() {
        return taken;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(checkout())
        .args(["build", "--profile", "guest", "--target", TARGET])
        .arg("--target-dir")
        .arg(target());
    for name in names {
        cargo.args(["--package", &format!("{kind}-{name}")]);
    }
    let status = cargo.status().expect("cargo runs");
    assert!(
        status.success(),
        "the components do not build; is the target there? rustup target add {TARGET}"
    );
    std::fs::create_dir_all(&taken).expect("a folder");
    let built = target().join(TARGET).join("guest");
    let (sandbox, cache) = (sandbox(), cache());
    for name in names {
        let file = taken.join(format!("{name}.wasm"));
        // In one step: another process may be at it.
        let new = taken.join(format!("{name}.{}", std::process::id()));
        std::fs::copy(built.join(format!("{name}.wasm")), &new).expect("a copy");
        std::fs::rename(&new, &file).expect("in its place");
        if let Err(why) = open_component(&sandbox, &file, wasi, &cache) {
            panic!("{}: {why}", file.display());
        }
    }
    taken
}
