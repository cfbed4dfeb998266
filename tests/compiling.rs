//! Compiling: what is refused before, what ends in a process of its own, what is remembered, and
//! what of the compiled is believed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arbitrary::Unstructured;
use sha2::{Digest, Sha256};
use toolhost_core::terms::Wasi;
use toolhost_engine::catalog::{self, Lock, LockedTool, Places, open_component};
use toolhost_runtime::compile;
use toolhost_runtime::compile::{Cache, CompileLimits, Compiler, inspect};

use crate::harness::{Site, bombs, compiler, component, definition, manifest, sandbox};

/// As a host has it, but for what would take a test long.
const SMALL: CompileLimits = CompileLimits {
    cpu: Duration::from_secs(1),
    memory: 96 << 20,
    wall: Duration::from_secs(120),
};

/// A folder of compiled components of this test's own.
struct Workshop {
    site: Site,
}

impl Workshop {
    fn new() -> Self {
        Self {
            site: Site::empty(),
        }
    }

    fn cache(&self, compiler: Compiler) -> Cache {
        Cache::open(self.site.path("compiled"), compiler).expect("a cache")
    }

    /// As `toolhost lock` opens a component.
    fn open(&self, name: &str, compiler: Compiler) -> Result<(), String> {
        let path = self.site.path(name);
        open_component(&sandbox(), &path, Wasi::V02, &self.cache(compiler)).map(drop)
    }

    /// As a start opens it, from a lock that was made elsewhere.
    fn start(&self, name: &str, compiler: Compiler) -> Result<(), String> {
        let bytes = std::fs::read(self.site.path(name)).expect("a component");
        let locked = LockedTool {
            digest: Sha256::digest(&bytes).into(),
            imports: Vec::new(),
            left_out: Vec::new(),
            functions: Vec::new(),
        };
        let lock = Lock {
            tools: [("one".to_owned(), locked)].into(),
        };
        let manifest = manifest(&format!("[tool.one]\ncomponent = {name:?}\n"));
        let world = self.site.world();
        let places = Places {
            base: &self.site.path(""),
            cache: &self.cache(compiler),
            world: &world,
        };
        let loaded = catalog::load(&sandbox(), &manifest, &lock, places, &|_| ());
        loaded
            .map(drop)
            .map_err(|troubles| troubles[0].message.clone())
    }

    /// A program of a few lines of shell in the compiler's place.
    fn script(&self, name: &str, lines: &str, limits: CompileLimits) -> Compiler {
        let path = self.site.path(name);
        self.site.write(name, format!("#!/bin/sh\n{lines}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("a mode");
        Compiler::program(path, limits)
    }

    /// A compiler that writes down that it was started.
    fn counted(&self) -> Compiler {
        let log = self.site.path("starts").display().to_string();
        let program = env!("CARGO_BIN_EXE_toolhost");
        let lines = format!("echo >>{log}\nexec {program} \"$@\"");
        self.script("counted", &lines, CompileLimits::DEFAULT)
    }

    fn starts(&self) -> usize {
        std::fs::read(self.site.path("starts")).map_or(0, |lines| lines.len())
    }

    /// The files of the cache that end so.
    fn files(&self, end: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.site.path("compiled")).expect("a cache");
        let files = files.map(|file| file.expect("a file").path());
        files
            .filter(|file| file.extension() == Some(end.as_ref()))
            .collect()
    }

    fn compiled(&self) -> PathBuf {
        let mut files = self.files("cwasm");
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }
}

/// Nothing that could be started.
fn nobody() -> Compiler {
    Compiler::program(PathBuf::from("/nonexistent/toolhost"), SMALL)
}

fn normal() -> Compiler {
    compiler(CompileLimits::DEFAULT)
}

fn sound() -> Vec<u8> {
    component(&[definition("go")], "", "(unreachable)")
}

/// Each of them within a second, and before any compiler is started.
#[test]
fn g31_g10_what_no_compiler_should_be_given_is_refused_by_its_shape() {
    for (what, bytes) in [
        ("100000 blocks in one function", bombs::blocks(1_000_000)),
        ("250000 functions", bombs::functions(1_000_000)),
        ("10000 levels of blocks", bombs::nested_blocks(100_000)),
        ("1000000 targets of jump tables", bombs::jump_tables(20)),
        ("100000 data segments", bombs::data_segments(110_000)),
        ("1000 instances", bombs::core_instances(10_000)),
        ("32 levels of components", bombs::doubling(40)),
    ] {
        let shop = Workshop::new();
        shop.site.write("bomb.wasm", &bytes);
        let said = shop.open("bomb.wasm", nobody()).expect_err(what);
        assert!(said.contains(&format!("it has more than {what}")), "{said}");
        assert!(shop.files("failed").is_empty(), "shapes need no memory");
    }
    // Half of each is somebody's honest work.
    for bytes in [
        bombs::blocks(50_000),
        bombs::functions(100_000),
        bombs::nested_blocks(5_000),
        bombs::jump_tables(8),
        bombs::data_segments(5_000),
        bombs::core_instances(500),
        bombs::doubling(16),
    ] {
        assert!(inspect(&bytes, Wasi::V02).is_ok());
    }
}

#[test]
fn g31_a_bomb_that_slips_through_ends_its_own_process_and_is_remembered() {
    let roomy = CompileLimits {
        memory: CompileLimits::DEFAULT.memory,
        ..SMALL
    };
    for (bytes, limits, said) in [
        (bombs::doubling(30), SMALL, "96.0 MiB of memory"),
        (bombs::entangled(10_000), roomy, "1s of processor time"),
    ] {
        let shop = Workshop::new();
        shop.site.write("bomb.wasm", &bytes);
        shop.site.write("good.wasm", sound());
        let first = shop.start("bomb.wasm", compiler(limits)).expect_err(said);
        assert!(first.contains(said), "{first}");
        assert_eq!(shop.files("failed").len(), 1);
        assert!(shop.files("new").is_empty(), "half a file was left");

        // The next start knows, and starts nothing.
        let second = shop.start("bomb.wasm", nobody()).expect_err(said);
        assert!(
            second.contains(said) && second.contains("toolhost lock"),
            "{second}"
        );
        // Who locks wants it tried again.
        let again = shop.open("bomb.wasm", nobody()).expect_err(said);
        assert!(again.contains("cannot be started"), "{again}");
        // The host goes on.
        shop.open("good.wasm", normal())
            .expect("an honest component");
    }
}

#[test]
fn what_is_not_the_components_fault_is_not_held_against_it() {
    let shop = Workshop::new();
    shop.site.write("good.wasm", sound());
    let short = CompileLimits {
        wall: Duration::from_millis(30),
        ..SMALL
    };
    for (compiler, said) in [
        (nobody(), "cannot be started"),
        (
            shop.script("hangs", "exec sleep 600", short),
            "not compiled within 30ms",
        ),
        (
            shop.script("killed", "kill -9 $$", SMALL),
            "ended from outside",
        ),
        (shop.script("fails", "echo oh >&2; exit 1", SMALL), "oh"),
        // A filter from outside: the host's own does not kill.
        (
            shop.script("filtered", "kill -SYS $$", SMALL),
            "ended from outside",
        ),
    ] {
        let first = shop.start("good.wasm", compiler).expect_err(said);
        assert!(first.contains(said), "{first}");
        assert!(shop.files("failed").is_empty(), "{said} is remembered");
    }
    shop.open("good.wasm", normal()).expect("a component");
}

/// What the runtime says when a machine has no thread to spare.
const NO_THREAD: &str = "The global thread pool has not been initialized.";

#[test]
fn g69_a_machine_without_threads_to_spare_is_not_the_components_fault() {
    let shop = Workshop::new();
    shop.site.write("good.wasm", sound());
    let program = env!("CARGO_BIN_EXE_toolhost");
    // Whoever asks for many threads gets none; on one it compiles.
    let lines = format!(
        "case \"$*\" in *--alone*) exec {program} \"$@\";; esac\nprintf half; echo '{NO_THREAD}' >&2; exit 101"
    );
    let short = shop.script("short", &lines, CompileLimits::DEFAULT);
    shop.start("good.wasm", short).expect("a component");
    assert!(shop.files("failed").is_empty());
    shop.open("good.wasm", nobody())
        .expect("whole, from the cache");
}

/// What fails in the same way without threads is the component's doing.
#[test]
fn a_compiler_that_panics_twice_is_heeded() {
    let shop = Workshop::new();
    shop.site.write("good.wasm", sound());
    let panics = shop.script("panics", "echo no such block >&2; exit 101", SMALL);
    let first = shop.start("good.wasm", panics).expect_err("a panic");
    assert!(first.contains("failed on it: no such block"), "{first}");
    assert_eq!(shop.files("failed").len(), 1);
}

#[test]
fn a_bad_component_that_is_mended_elsewhere_is_forgotten() {
    let shop = Workshop::new();
    shop.site.write("good.wasm", sound());
    let refuses = shop.script("refuses", "echo no such instruction >&2; exit 3", SMALL);
    assert!(shop.start("good.wasm", refuses).is_err());
    assert_eq!(shop.files("failed").len(), 1);
    // With another compiler, when its operator asks for it.
    shop.open("good.wasm", normal()).expect("a component");
    assert!(shop.files("failed").is_empty());
}

#[test]
fn what_is_compiled_is_not_compiled_again_and_by_one_process_however_many_want_it() {
    let shop = Workshop::new();
    shop.site.write("good.wasm", sound());
    let cache = shop.cache(shop.counted());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                open_component(&sandbox(), &shop.site.path("good.wasm"), Wasi::V02, &cache)
                    .map(drop)
                    .expect("a component")
            });
        }
    });
    assert_eq!(shop.starts(), 1);
    shop.open("good.wasm", nobody()).expect("from the cache");
}

/// Does something to the compiled file; it must not be loaded then, but compiled anew.
fn distrusted(what: &str, harm: impl FnOnce(&Path)) {
    let shop = Workshop::new();
    shop.site.write("good.wasm", sound());
    shop.open("good.wasm", shop.counted()).expect("a component");
    let path = shop.compiled();
    let before = std::fs::read(&path).expect("native code");
    harm(&path);
    let said = shop.open("good.wasm", nobody()).expect_err(what);
    assert!(said.contains("cannot be started"), "{what}: {said}");
    shop.open("good.wasm", shop.counted()).expect("a component");
    assert_eq!(shop.starts(), 2, "{what}");
    let mode = std::fs::symlink_metadata(&path)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600, "{what}");
    assert_eq!(
        std::fs::read(&path).expect("native code").len(),
        before.len()
    );
    shop.open("good.wasm", nobody()).expect("from the cache");
}

#[test]
fn x11_compiled_files_that_were_touched_are_not_loaded() {
    let change = |path: &Path, work: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(path).expect("native code");
        work(&mut bytes);
        std::fs::write(path, bytes).expect("native code");
    };
    distrusted("a flipped bit", |path| {
        change(path, &|bytes| bytes[5_000] ^= 1)
    });
    distrusted("a flipped bit of its seal", |path| {
        change(path, &|bytes| *bytes.last_mut().expect("a seal") ^= 1);
    });
    distrusted("cut off", |path| {
        change(path, &|bytes| bytes.truncate(6_000))
    });
    distrusted("empty", |path| change(path, &Vec::clear));
    distrusted("longer", |path| change(path, &|bytes| bytes.push(0)));
    distrusted("writable by others", |path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).expect("a mode");
    });
    distrusted("a link", |path| {
        let elsewhere = path.with_extension("moved");
        std::fs::rename(path, &elsewhere).expect("moved");
        std::os::unix::fs::symlink(elsewhere, path).expect("a link");
    });
    distrusted("a key of somebody else's", |path| {
        let key = path.with_file_name("seal.key");
        std::fs::write(key, [7; 32]).expect("a key");
    });
    distrusted("a key that others could read", |path| {
        let key = path.with_file_name("seal.key");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    });
}

#[test]
fn x11_one_components_code_is_not_loaded_as_anothers() {
    let shop = Workshop::new();
    shop.site.write("one.wasm", sound());
    shop.site.write(
        "two.wasm",
        component(&[definition("other")], "", "(unreachable)"),
    );
    shop.open("one.wasm", normal()).expect("a component");
    let one = shop.compiled();
    shop.open("two.wasm", normal()).expect("a component");
    let two = shop
        .files("cwasm")
        .into_iter()
        .find(|path| *path != one)
        .expect("the other");
    std::fs::copy(&one, &two).expect("a copy");
    let said = shop
        .open("two.wasm", nobody())
        .expect_err("the other's code");
    assert!(said.contains("cannot be started"), "{said}");
}

#[test]
fn x11_a_folder_that_others_may_write_is_refused() {
    let shop = Workshop::new();
    let folder = shop.site.path("compiled");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("a mode");
    let error = Cache::open(&folder, nobody()).expect_err("opened");
    assert!(
        error.to_string().contains("writable by nobody else"),
        "{error}"
    );
}

#[test]
fn g09_tables_beyond_all_measure_are_refused() {
    let shop = Workshop::new();
    let large =
        r"(core module $large (table 4294967295 funcref)) (core instance (instantiate $large))";
    shop.site.write(
        "large.wasm",
        component(&[definition("go")], large, "(unreachable)"),
    );
    let said = shop
        .open("large.wasm", normal())
        .expect_err("a table of four billion");
    assert!(said.contains("table"), "{said}");

    // One that grows is told that it cannot; it would trap otherwise, and nothing could be locked.
    let growing = r"(core module $growing
        (table 1 funcref)
        (func $grow (if (i32.ne (table.grow (ref.null func) (i32.const -2)) (i32.const -1)) (then unreachable)))
        (start $grow))
      (core instance (instantiate $growing))";
    let site = Site::empty();
    site.write(
        "one.wasm",
        component(&[definition("go")], growing, "(unreachable)"),
    );
    let lock = site.lock(&manifest("[tool.one]\ncomponent = \"one.wasm\"\n"));
    assert!(lock.is_ok(), "{lock:?}");
}

/// How many components a random test makes; the long form is `TOOLHOST_RANDOM_COMPONENTS=10000`.
fn rounds(short: u64) -> u64 {
    let asked = std::env::var("TOOLHOST_RANDOM_COMPONENTS").ok();
    asked
        .and_then(|number| number.parse().ok())
        .unwrap_or(short)
}

/// Bytes that look like noise and are the same in every run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let blocks =
        (0_u64..).flat_map(|n| Sha256::digest([seed.to_le_bytes(), n.to_le_bytes()].concat()));
    blocks.take(length).collect()
}

/// A component is a component, or it is refused with a sentence: nothing crashes, also not the
/// process that compiles.
fn comes_to_a_decision(shop: &Workshop, seed: u64, bytes: &[u8]) -> bool {
    let name = format!("{seed}.wasm");
    shop.site.write(&name, bytes);
    match shop.open(&name, normal()) {
        Ok(()) => true,
        Err(said) => {
            assert!(
                !said.contains("compiler failed") && !said.contains("host failed"),
                "{seed}: {said}"
            );
            !said.contains("does not compile")
        }
    }
}

#[test]
fn g32_random_modules_come_to_a_decision() {
    let shop = Workshop::new();
    let mut compiled = 0;
    for seed in 0..rounds(40) {
        let bytes = noise(seed, 4 << 10);
        // Half of them have nothing that is switched off here, and reach the compiler itself.
        let config = wasm_smith::Config {
            memory64_enabled: seed % 5 == 0,
            exceptions_enabled: seed % 7 == 0,
            gc_enabled: seed % 11 == 0,
            reference_types_enabled: seed % 3 == 0,
            threads_enabled: seed % 13 == 0,
            ..wasm_smith::Config::default()
        };
        let module =
            wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).expect("a module");
        compiled += u64::from(comes_to_a_decision(
            &shop,
            seed,
            &bombs::around(&module.to_bytes()),
        ));
    }
    assert!(compiled > rounds(40) / 4, "only {compiled} compiled");
}

#[test]
fn g32_damaged_components_come_to_a_decision() {
    let shop = Workshop::new();
    let whole = sound();
    for seed in 0..rounds(60) {
        let mut bytes = whole.clone();
        for place in noise(seed, 8).chunks(4) {
            let [a, b, c, bit] = place else { continue };
            let at = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let length = bytes.len();
            bytes[at % length] ^= 1 << (bit % 8);
        }
        comes_to_a_decision(&shop, seed, &bytes);
    }
}

/// A module of WASI preview 1 with a world in it, whose types are so many levels within each other.
fn worldly(levels: usize) -> Vec<u8> {
    let text = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let module = wat::parse_str(text).expect("a module");
    bombs::with_world(&module, &bombs::nested_types(levels))
}

/// The encoder follows types as deep as they go, so it gets none that go too deep; and it works in a
/// process of its own.
#[test]
fn g31_types_within_types_are_not_given_to_the_encoder() {
    let compiler = compiler(CompileLimits::DEFAULT);
    let fault = compile::adapt(&worldly(3_000_000), &compiler).expect_err("it is refused");
    assert_eq!(
        fault.code,
        toolhost_core::terms::Code::BadComponent,
        "{fault:?}"
    );
    assert!(
        fault.say.contains("levels of types within types"),
        "{fault:?}"
    );
    let fault = compile::adapt(&worldly(3), &compiler).expect_err("it is no world");
    assert!(
        fault.say.contains("no component can be made of it"),
        "{fault:?}"
    );
}

#[test]
fn g31_types_within_types_are_not_given_to_the_compiler() {
    let deep = inspect(&bombs::nested_types(1_000_000), Wasi::V02).map(drop);
    let fault = deep.expect_err("it is refused");
    assert!(
        fault.say.contains("levels of types within types"),
        "{fault:?}"
    );
}
