//! Guests that carry an interpreter: the twins of `orders` in Python and JavaScript. They are built
//! first, which takes a minute and the languages' package registries, so these rows are printed only
//! when they are asked for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use toolhost_core::terms::Wasi;
use toolhost_runtime::sandbox::compiling_engine;

use crate::inside::{Subject, compare};
use crate::stage::{Stage, TOOLHOST};
use crate::stats::Pairs;

const ROUNDS: usize = 3;

pub(crate) fn twins(stage: &Stage) {
    for language in ["python", "javascript"] {
        let component = built(language);
        stage.manifest(
            language,
            &format!("[tool.orders]\ncomponent = {component:?}\n"),
        );
        let subject = Subject {
            manifest: language,
            tool: "orders",
            function: "look_up",
            // Refused by the tool itself, so that no shop has to be there.
            arguments: r#"{"order_id":"no/number"}"#,
            succeeds: false,
            component: &component,
            calls: 30,
        };
        compare(stage, &subject, &format!("a call of {language}"), "<= 1.5");
        if language == "python" {
            compile(stage, language, &component);
        }
    }
}

fn built(language: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let project = format!("tools/orders/{language}");
    let built = Command::new(TOOLHOST)
        .current_dir(root)
        .args(["build", &project])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{project} does not build: {said}");
    root.join(project).join("orders.wasm")
}

/// The confined process that compiles, against the engine's own compile with the same settings; and
/// all of `lock`, which checks the component before and asks it for its functions after.
fn compile(stage: &Stage, manifest: &str, component: &Path) {
    let (mut alone, mut whole) = (Pairs::default(), Pairs::default());
    let code = stage.folder.join("code");
    for _ in 0..ROUNDS {
        let _ = std::fs::remove_dir_all(stage.folder.join(format!("{manifest}.state")));
        let reference = timed(
            Command::new(std::env::current_exe().unwrap())
                .args(["bare", "compile"])
                .args([component, &code]),
        );
        let child = timed(
            Command::new(TOOLHOST)
                .args([
                    "compile-child",
                    "--cpu=120",
                    "--memory=2147483648",
                    "--wasi=0.2",
                ])
                .stdin(File::open(component).unwrap())
                .stdout(File::create(&code).unwrap()),
        );
        let lock = timed(
            Command::new(TOOLHOST)
                .arg("-m")
                .arg(stage.path(manifest))
                .arg("lock")
                .stderr(Stdio::null()),
        );
        alone.push(child, reference);
        whole.push(lock, reference);
    }
    let bytes = std::fs::metadata(component).unwrap().len();
    let what = format!("compiling {} MB of Python", bytes / 1_000_000);
    alone.print(&what, "ms", "<= 1");
    whole.print("  all of `lock`", "ms", "");
}

/// Milliseconds of a process that has to succeed.
fn timed(command: &mut Command) -> f64 {
    let start = Instant::now();
    assert!(command.status().unwrap().success(), "{command:?}");
    start.elapsed().as_secs_f64() * 1e3
}

/// `bare compile <component> <file>`.
pub(crate) fn bare(words: &[String]) {
    let engine = compiling_engine(Wasi::default(), false).unwrap();
    let component = std::fs::read(&words[0]).unwrap();
    let code = engine.precompile_component(&component).unwrap();
    std::fs::write(&words[1], code).unwrap();
}
