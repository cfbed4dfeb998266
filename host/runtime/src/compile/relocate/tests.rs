//! The program in its moved memory against the same program as it was: alike to the byte and to the trap.

#![allow(clippy::unwrap_used)]

use wasmtime::{Caller, Engine, Extern, Instance, Linker, Memory, Module, Store, Trap, Val};

use super::*;

/// What a program says of its memory, with every instruction that has to do with it.
const EVERY: &str = r#"(module
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
    (memory (export "memory") 1 6)
    (data (i32.const 65530) "abcdef")
    (data $later "later")
    (global $one i32 (i32.const 1))
    (data (offset (i32.add (global.get $one) (i32.const 1))) "x")
    (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "load64") (param i32) (result i32) (i32.wrap_i64 (i64.load offset=3 (local.get 0))))
    (func (export "below") (param i32) (result i32) (i32.load8_u offset=4294770687 (local.get 0)))
    (func (export "beyond") (param i32) (result i32) (i32.load8_u offset=4294770688 (local.get 0)))
    (func (export "last") (param i32) (result i32) (i32.load8_u offset=4294967295 (local.get 0)))
    (func (export "vector") (param i32) (result i32)
        (i32x4.extract_lane 0 (v128.load32_splat offset=1 (local.get 0))))
    (func (export "store") (param i32 i32) (i32.store offset=2 (local.get 0) (local.get 1)))
    (func (export "size") (result i32) (memory.size))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "init") (param i32 i32 i32)
        (memory.init $later (local.get 0) (local.get 1) (local.get 2))))"#;

fn moved(text: &str) -> Vec<u8> {
    let module = wat::parse_str(text).unwrap();
    relocated(&module).unwrap().unwrap()
}

/// A module whose imports do nothing.
fn run(bytes: &[u8]) -> wasmtime::Result<(Store<()>, Instance)> {
    let engine = Engine::default();
    let module = Module::new(&engine, bytes)?;
    let mut linker = Linker::new(&engine);
    let mut store = Store::new(&engine, ());
    linker.define_unknown_imports_as_default_values(&mut store, &module)?;
    let instance = linker.instantiate(&mut store, &module)?;
    Ok((store, instance))
}

fn memory(store: &mut Store<()>, instance: Instance) -> Memory {
    instance.get_memory(store, "memory").unwrap()
}

/// What a function gives, or how it traps.
fn call(
    (store, instance): &mut (Store<()>, Instance),
    name: &str,
    arguments: &[u32],
) -> Result<Option<i32>, Option<Trap>> {
    let function = instance.get_func(&mut *store, name).unwrap();
    let arguments: Vec<Val> = arguments
        .iter()
        .map(|one| Val::I32(one.cast_signed()))
        .collect();
    let count = function.ty(&*store).results().len();
    let mut results = vec![Val::I32(0); count];
    match function.call(&mut *store, &arguments, &mut results) {
        Ok(()) => Ok(results.first().and_then(Val::i32)),
        Err(error) => Err(error.downcast_ref::<Trap>().copied()),
    }
}

/// Numbers that look random and are the same every time.
struct Draw(u64);

impl Draw {
    fn of(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// Whatever a program does with its memory: it sees what it would have seen, traps where it would have
/// trapped, and never reaches the adapter's pages.
#[test]
fn n96_a_program_cannot_tell() {
    let whole = wat::parse_str(EVERY).unwrap();
    let (mut plain, mut other) = (run(&whole).unwrap(), run(&moved(EVERY)).unwrap());
    let mut places: Vec<u32> = Vec::new();
    for edge in [
        0,
        PAGE,
        2 * PAGE,
        3 * PAGE,
        4 * PAGE,
        6 * PAGE,
        1 << 31,
        u32::MAX - MOVED,
        u32::MAX,
    ] {
        places.extend((0..12).map(|near| edge.wrapping_add(near).wrapping_sub(6)));
    }
    let lengths = [0, 1, 2, 5, 6, 7, PAGE, 2 * PAGE, u32::MAX - MOVED, u32::MAX];
    let mut draw = Draw(11);
    let (mut went, mut trapped) = (0, 0);
    for step in 0..6_000 {
        let place = places[draw.of(places.len())];
        let (second, length) = (
            places[draw.of(places.len())],
            lengths[draw.of(lengths.len())],
        );
        let (name, arguments): (&str, Vec<u32>) = match draw.of(14) {
            0 => ("load8", vec![place]),
            1 => ("load64", vec![place]),
            2 => ("below", vec![place]),
            3 => ("beyond", vec![place]),
            4 => ("last", vec![place]),
            5 => ("vector", vec![place]),
            6 | 7 => ("store", vec![place, second]),
            8 => ("size", vec![]),
            9 => (
                "grow",
                vec![[0, 0, 0, 1, 7, 65_533, 65_536, u32::MAX][draw.of(8)]],
            ),
            10 => ("copy", vec![place, second, length]),
            11 => ("fill", vec![place, second, length]),
            _ => ("init", vec![place, lengths[draw.of(7)], length]),
        };
        let expected = call(&mut plain, name, &arguments);
        let is = call(&mut other, name, &arguments);
        assert_eq!(is, expected, "step {step}: {name} {arguments:?}");
        match is {
            Ok(_) => went += 1,
            Err(_) => trapped += 1,
        }
        if step % 100 == 0 {
            let (here, there) = (memory(&mut plain.0, plain.1), memory(&mut other.0, other.1));
            let (own, program) = there
                .data(&other.0)
                .split_at(usize::try_from(MOVED).unwrap());
            assert!(own.iter().all(|byte| *byte == 0), "step {step}");
            assert!(program == here.data(&plain.0), "step {step}");
        }
    }
    assert_eq!(
        call(&mut plain, "size", &[]),
        Ok(Some(6)),
        "it was grown to its end"
    );
    assert!(
        went > 1_000 && trapped > 1_000,
        "{went} went well, {trapped} trapped"
    );
}

#[test]
fn n96_data_that_does_not_fit_traps_as_before() {
    let plain = ["-1", "-196608", "-196609", "65536", "65537", "2147483648"]
        .map(|offset| format!("i32.const {offset}"));
    // By a way around, that comes to where the adapter's pages are.
    let sums = [
        "offset (i32.add (i32.const -196608) (i32.const 0))",
        "offset (i32.sub (i32.const 0) (i32.const 196608))",
        "offset (i32.mul (i32.const -1) (i32.const 3))",
        "global.get $far",
        "offset (i32.add (global.get $far) (i32.const 5))",
    ]
    .map(str::to_owned);
    for offset in plain.iter().chain(&sums) {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (memory (export "memory") 1) (global $far i32 (i32.const -196608))
            (data ({offset}) "ab") (func (export "_start")))"#
        );
        assert!(run(&wat::parse_str(&text).unwrap()).is_err(), "{offset}");
        assert!(run(&moved(&text)).is_err(), "{offset}");
    }
}

#[test]
fn n96_where_data_goes_by_a_word_of_the_hosts_the_memory_stays() {
    let text = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (import "a" "b" (global $far i32))
        (memory (export "memory") 1) (data (global.get $far) "ab") (func (export "_start")))"#;
    let module = wat::parse_str(text).unwrap();
    assert!(relocated(&module).unwrap().is_none());
}

/// Every address that the adapter is given is the memory's, also those in lists; those that it gives
/// are the program's.
#[test]
fn addresses_are_turned_on_their_way_to_wasi() {
    const ASKS: &str = r#"(module
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_link" (func $link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (table funcref (elem $write))
        (func (export "args") (param i32 i32) (result i32) (call $args (local.get 0) (local.get 1)))
        (func (export "write") (param i32 i32 i32) (result i32)
            (call_indirect (param i32 i32 i32 i32) (result i32)
                (i32.const 1) (local.get 0) (local.get 1) (local.get 2) (i32.const 0)))
        (func (export "link") (result i32)
            (call $link (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const -6) (i32.const 7))))"#;
    fn u32_at(caller: &mut Caller<'_, ()>, place: i32) -> u32 {
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
            unreachable!()
        };
        let mut bytes = [0; 4];
        let place = usize::try_from(place.cast_unsigned()).unwrap();
        memory.read(&*caller, place, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }
    let engine = Engine::default();
    let module = Module::new(&engine, moved(ASKS)).unwrap();
    let mut linker = Linker::<()>::new(&engine);
    linker
        .func_wrap(
            PREVIEW_1,
            "args_get",
            |mut caller: Caller<'_, ()>, table: i32, text: i32| {
                let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
                    unreachable!()
                };
                for (nth, argument) in [0_i32, 5, 9].into_iter().enumerate() {
                    let place = usize::try_from(table).unwrap() + 4 * nth;
                    let bytes = (text + argument).to_le_bytes();
                    memory.write(&mut caller, place, &bytes).unwrap();
                }
                0
            },
        )
        .unwrap();
    linker
        .func_wrap(
            PREVIEW_1,
            "args_sizes_get",
            |mut caller: Caller<'_, ()>, count: i32, _: i32| {
                let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
                    unreachable!()
                };
                let place = usize::try_from(count).unwrap();
                memory
                    .write(&mut caller, place, &3_i32.to_le_bytes())
                    .unwrap();
                0
            },
        )
        .unwrap();
    linker
        .func_wrap(
            PREVIEW_1,
            "fd_write",
            |mut caller: Caller<'_, ()>, fd: i32, list: i32, count: i32, written: i32| {
                assert_eq!((fd, written), (1, (MOVED + 77).cast_signed()));
                match count {
                    0 => -1,
                    _ => {
                        assert_eq!(count, 1);
                        let buffer = u32_at(&mut caller, list) - MOVED;
                        (buffer * 100 + u32_at(&mut caller, list + 4)).cast_signed()
                    }
                }
            },
        )
        .unwrap();
    linker
        .func_wrap(
            PREVIEW_1,
            "path_link",
            |fd: i32, flags: i32, from: i32, size: i32, to_fd: i32, to: i32, to_size: i32| {
                let turned = (MOVED + 3).cast_signed();
                i32::from(
                    (fd, flags, from, size, to_fd, to, to_size) == (1, 2, turned, 4, 5, -1, 7),
                )
            },
        )
        .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let mut guest = (store, instance);
    let data = memory(&mut guest.0, guest.1);
    let own = usize::try_from(MOVED).unwrap();

    assert_eq!(call(&mut guest, "args", &[40, 100]), Ok(Some(0)));
    let table: Vec<u32> = data.data(&guest.0)[own + 40..][..16]
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect();
    assert_eq!(table, [100, 105, 109, 0]);

    // Of three buffers the first is empty.
    for (nth, value) in [7_u32, 0, 8, 3, 9, 4].into_iter().enumerate() {
        data.write(&mut guest.0, own + 200 + 4 * nth, &value.to_le_bytes())
            .unwrap();
    }
    assert_eq!(call(&mut guest, "write", &[200, 3, 77]), Ok(Some(803)));
    assert_eq!(call(&mut guest, "write", &[200, 1, 77]), Ok(Some(-1)));
    assert_eq!(call(&mut guest, "write", &[200, 0, 77]), Ok(Some(-1)));
    // The list goes beyond the memory; a buffer that would be the adapter's is nowhere.
    assert_eq!(
        call(&mut guest, "write", &[PAGE - 8, 2, 77]),
        Err(Some(Trap::MemoryOutOfBounds))
    );
    assert_eq!(call(&mut guest, "link", &[]), Ok(Some(1)));
}

#[test]
fn n96_the_adapter_gets_two_pages_and_no_more() {
    let mut guest = run(&moved(EVERY)).unwrap();
    let asks = [0, 0, 8, PAGE];
    assert_eq!(
        call(&mut guest, REALLOC, &[0, 0, 4, 3]),
        Ok(Some(PAGE.cast_signed()))
    );
    assert_eq!(
        call(&mut guest, REALLOC, &[0, 0, 8, PAGE - 8]),
        Ok(Some((PAGE + 8).cast_signed()))
    );
    assert_eq!(
        call(&mut guest, REALLOC, &asks),
        Ok(Some((2 * PAGE).cast_signed()))
    );
    for too_much in [[0, 0, 1, 1], [0, 0, 8, u32::MAX], [PAGE, 8, 8, 0]] {
        let trap = Err(Some(Trap::UnreachableCodeReached));
        assert_eq!(call(&mut guest, REALLOC, &too_much), trap);
    }
    let mut guest = run(&moved(EVERY)).unwrap();
    assert_eq!(
        call(&mut guest, REALLOC, &asks),
        Ok(Some(PAGE.cast_signed()))
    );
    assert_eq!(
        call(&mut guest, REALLOC, &asks),
        Ok(Some((2 * PAGE).cast_signed()))
    );
}

#[test]
fn what_takes_nothing_from_the_program_stays_as_it_is() {
    for text in [
        "(module (memory 1) (func (export \"_start\")))",
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (func (export "_start")))"#,
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (memory (export "memory") 65533) (func (export "_start")))"#,
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (import "a" "[task-return]b" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    ] {
        let module = wat::parse_str(text).unwrap();
        assert_eq!(relocated(&module).unwrap(), None, "{text}");
    }
}

/// A module with a world is moved where nothing of that world is in the memory.
#[test]
fn a_world_s_types_decide() {
    let with = |function: &str| {
        let world = format!(
            r#"package test:types; world w {{ import a: interface {{ f: {function}; }} export b: interface {{ g: func(x: option<u32>) -> bool; }} }}"#
        );
        let module = wat::parse_str(
            r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (memory (export "memory") 1) (func (export "b#g") (param i32 i32) (result i32) (i32.const 1)))"#,
        );
        let mut module = module.unwrap();
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve.push_str("w.wit", &world).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        let encoding = wit_component::StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
        relocated(&module).unwrap().is_some()
    };
    assert!(with("func(a: u64, b: result<u8, char>) -> f32"));
    for passes in [
        "func(a: string)",
        "func() -> list<u8>",
        "func() -> tuple<u32, u32>",
        "func(a: option<list<u8>>)",
        "async func()",
    ] {
        assert!(!with(passes), "{passes}");
    }
}
