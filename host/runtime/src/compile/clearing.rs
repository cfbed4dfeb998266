//! What a component's functions do once their answer is taken: they free the memory that it was in
//! (`post-return`). Here a call has an instance of its own, which goes with the answer, so nothing is
//! gained by it, and a trap in it would take with it an answer that is there. Where the engine has no way
//! to tell the two apart it is left out.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils};
use wasm_encoder::{CanonicalFunctionSection, Component, RawSection};
use wasmparser::{CanonicalFunction, CanonicalOption, Parser, Payload};

/// The component without it in its own functions; those of components within it keep theirs, since
/// others of these may call them many times. Nothing where there is none.
pub(super) fn without_clearing(component: &[u8]) -> Result<Option<Vec<u8>>, Error<Infallible>> {
    let mut made = Component::new();
    let mut copier = Copier { left_out: false };
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        match &payload {
            Payload::Version { .. } => {
                depth += 1;
                continue;
            }
            Payload::End(_) => {
                depth = depth.saturating_sub(1);
                continue;
            }
            _ if depth != 1 => continue,
            _ => {}
        }
        if let Payload::ComponentCanonicalSection(section) = payload {
            let mut functions = CanonicalFunctionSection::new();
            copier.parse_component_canonical_section(&mut functions, section)?;
            made.section(&functions);
        } else if let Some((id, range)) = payload.as_section() {
            let data = component.get(range).unwrap_or_default();
            made.section(&RawSection { id, data });
        }
    }
    Ok(copier.left_out.then(|| made.finish()))
}

struct Copier {
    left_out: bool,
}

impl Reencode for Copier {
    type Error = Infallible;
}

impl ReencodeComponent for Copier {
    fn parse_component_canonical(
        &mut self,
        section: &mut CanonicalFunctionSection,
        function: CanonicalFunction,
    ) -> Result<(), Error<Infallible>> {
        let function = match function {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => {
                let clears =
                    |option: &CanonicalOption| matches!(option, CanonicalOption::PostReturn(_));
                self.left_out |= options.iter().any(clears);
                let options = options.iter().filter(|option| !clears(option));
                CanonicalFunction::Lift {
                    core_func_index,
                    type_index,
                    options: options.copied().collect(),
                }
            }
            other => other,
        };
        component_utils::parse_component_canonical(self, section, function)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CLEARS: &str = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 1)) (func (export "p") (param i32)))
        (core instance $i (instantiate $m))
        (component $inner
            (core module $m (func (export "f") (result i32) (i32.const 1)) (func (export "p") (param i32)))
            (core instance $i (instantiate $m))
            (func (export "g") (result u32) (canon lift (core func $i "f") (post-return (func $i "p")))))
        (instance $own (instantiate $inner))
        (export "own" (instance $own))
        (func (export "f") (result u32) (canon lift (core func $i "f") (post-return (func $i "p")))))"#;

    fn clearings(component: &[u8]) -> usize {
        let mut found = 0;
        for payload in Parser::new(0).parse_all(component) {
            if let Payload::ComponentCanonicalSection(section) = payload.unwrap() {
                for function in section {
                    if let CanonicalFunction::Lift { options, .. } = function.unwrap() {
                        let clears = |option: &&CanonicalOption| {
                            matches!(option, CanonicalOption::PostReturn(_))
                        };
                        found += options.iter().filter(clears).count();
                    }
                }
            }
        }
        found
    }

    #[test]
    fn only_the_component_s_own_functions_lose_it() {
        let whole = wat::parse_str(CLEARS).unwrap();
        assert_eq!(clearings(&whole), 2);
        let less = without_clearing(&whole).unwrap().unwrap();
        assert_eq!(clearings(&less), 1);
        assert!(wasmparser::Validator::new().validate_all(&less).is_ok());
        assert_eq!(without_clearing(&less).unwrap(), None);
    }
}
