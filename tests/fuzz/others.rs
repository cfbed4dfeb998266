//! Components before they are compiled, and the places in a bucket's list.

use toolhost_core::grants::provides;
use toolhost_core::terms::Wasi;
use toolhost_runtime::capability::kv::Cursor;
use toolhost_runtime::compile::inspect;

use super::engine::{Target, run};
use crate::harness::{component, definition};

#[test]
fn components() {
    let sound = |imports: &str| component(&[definition("go")], imports, "(unreachable)");
    let nested = "(component (component (core module (func (export \"f\")))) (core module))";
    let types = "(component (type $t (func async)) (type (component (alias outer 1 $t (type $u))
        (import \"a\" (func (type $u))) (type (instance (type (list string))
        (export \"r\" (type (sub resource))))) (core type (module)))) (type (stream u8)))";
    let seeds = vec![
        sound(""),
        sound("(import \"wasi:io/poll@0.2.0\" (instance))"),
        wat::parse_str(nested).expect("a component"),
        wat::parse_str(types).expect("a component"),
        wat::parse_str("(component)").expect("a component"),
        wat::parse_str("(module)").expect("a module"),
    ];
    let words = [
        "\0asm\r\0\u{1}\0",
        "\0asm\u{1}\0\0\0",
        "\u{4}",
        "\u{1}",
        "\u{a}",
        "\u{b}",
        "\0",
        "\u{7f}",
        "B\u{1}\u{1}",
        "A\u{1}\u{1}",
        "C\0\u{1}\0",
        "f\0",
        "wasi:io/poll@0.2.0",
        "wasi:nn/tensor",
        "\u{5}name",
        "PK\u{3}\u{4}",
    ];
    let check = |bytes: &[u8]| match inspect(bytes, Wasi::V02) {
        Ok(inspected) => {
            assert!(
                inspected
                    .imports
                    .iter()
                    .all(|import| provides(import, Wasi::V02))
            );
            assert!(inspected.imports.is_sorted() && inspected.exports.is_sorted());
            let (imports, exports) = (inspected.imports.len(), inspected.exports.len());
            format!("{} {}", imports.min(5), exports.min(5))
        }
        Err(fault) => {
            let detail = fault.detail.unwrap_or_default();
            let words = detail.chars().filter(char::is_ascii_alphabetic).take(30);
            let say = fault.say.chars().filter(char::is_ascii_alphabetic).take(60);
            say.chain(words).collect()
        }
    };
    run(&Target {
        name: "components",
        seeds,
        words: &words,
        check: &check,
    });
}

#[test]
fn cursors() {
    let words = [
        "0",
        "9",
        "-",
        "+",
        "9223372036854775807",
        "9223372036854775808",
        " ",
        "_",
        "e",
        "\u{660}",
    ];
    let check = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        match Cursor::parse(&text) {
            Ok(cursor) => {
                assert_eq!(cursor.to_string(), text);
                assert_eq!(Cursor::from_number(cursor.number()), cursor);
                format!("a place of {} digits", text.len())
            }
            Err(_) => "none".to_owned(),
        }
    };
    run(&Target {
        name: "cursors",
        seeds: Vec::new(),
        words: &words,
        check: &check,
    });
}
