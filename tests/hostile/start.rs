//! Code that runs before a call does: start functions, and what a component says of itself.

use std::time::{Duration, Instant};

use crate::harness::{Handmade, Site, definition, manifest};

/// What is said of a component that cannot be locked.
fn refused(parts: &Handmade<'_>) -> String {
    let site = Site::empty();
    site.write("one.wasm", parts.build(&[definition("go")]));
    let one = manifest("[tool.one]\ncomponent = \"one.wasm\"\n");
    let said = site.lock(&one).map(drop).expect_err("it was locked");
    // An honest component right after it.
    site.write("one.wasm", Handmade::default().build(&[definition("go")]));
    if let Err(troubles) = site.lock(&one) {
        panic!("{troubles:?}");
    }
    said[0].message.clone()
}

#[test]
fn g28_functions_of_the_right_name_and_other_types_are_refused() {
    let site = Site::empty();
    let other = r#"(component
      (core module $m (func (export "f") (result i32) (i32.const 0)))
      (core instance $i (instantiate $m))
      (func $f (result u32) (canon lift (core func $i "f")))
      (instance $tools (export "definitions" (func $f)) (export "call" (func $f)))
      (export "toolhost:tool/tools@0.1.0" (instance $tools)))"#;
    site.write("one.wasm", wat::parse_str(other).expect("a component"));
    let one = manifest("[tool.one]\ncomponent = \"one.wasm\"\n");
    let said = site.lock(&one).map(drop).expect_err("it was locked");
    assert!(
        said[0].message.contains("type mismatch with results"),
        "{said:?}"
    );
}

#[test]
fn g26_a_start_function_that_traps_is_an_error_at_load() {
    let said = refused(&Handmade {
        module: "(func $begin (unreachable)) (start $begin)",
        ..Handmade::default()
    });
    assert!(said.contains("crashed"), "{said}");
}

#[test]
fn g26_a_start_function_that_does_not_end_is_out_of_fuel() {
    let began = Instant::now();
    let said = refused(&Handmade {
        pages: 500,
        // Fuel is charged by the byte: five billion of it are soon used up.
        module: "(func $begin
                   (loop $again
                     (memory.fill (i32.const 65536) (i32.const 1) (i32.const 32000000))
                     (br $again)))
                 (start $begin)",
        ..Handmade::default()
    });
    assert!(said.contains("fuel"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn g26_a_start_function_that_waits_meets_the_deadline() {
    let said = refused(&Handmade {
        imports: crate::hostile::abi::TIMERS,
        lowered: r#"
          (core func $timer_ (canon lower (func $timer)))
          (core func $block_ (canon lower (func $block)))"#,
        from_host: r#"
          (import "host" "timer" (func $timer (param i64) (result i32)))
          (import "host" "block" (func $block (param i32)))"#,
        host: r#"(export "timer" (func $timer_)) (export "block" (func $block_))"#,
        module: "(func $begin (call $block (call $timer (i64.const -1)))) (start $begin)",
        ..Handmade::default()
    });
    assert!(said.contains("deadline"), "{said}");
}
