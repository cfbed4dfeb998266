//! What agents call a function that was not named for them, and which exports are none.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::FunctionOrigin;

/// The longest name within a tool, in bytes.
const LONGEST: usize = 64;

/// Why an exported interface holds no functions of the tool: what hosts call, and what language
/// runtimes add.
pub(super) fn is_runtimes(interface: &str) -> Option<&'static str> {
    if interface.starts_with("wasi:cli/run@") {
        return Some(
            "it is a command's entry: describe its use in a section `[tool.<name>.command.<function>]`",
        );
    }
    let name = interface.split('@').next().unwrap_or(interface);
    if matches!(name, "wasi:http/incoming-handler" | "wasi:http/handler") {
        return Some(
            "it answers HTTP requests, which a web server passes on; agents call functions: export what it does as one",
        );
    }
    if name == "toolhost:tool/tools" {
        return Some("it is this host's contract in a version that this host does not speak");
    }
    if interface.starts_with("wasi:") {
        return Some(
            "it is an interface of WASI, for hosts to call; agents call a component's own",
        );
    }
    // componentize-py.
    (interface == "exports").then_some(ADDED)
}

const ADDED: &str = "a language runtime added it";

/// Functions that runtimes and snapshot tools export beside what the author wrote: componentize-qjs,
/// Wizer and what is built with it (which drops them only since it knows components), and what
/// wit-component keeps of core modules.
const LEFTOVERS: [&str; 5] = [
    "cabi-realloc",
    "init",
    "initialize-runtime",
    "wizer-initialize",
    "wizer-resume",
];

/// Why an exported function is none of the tool.
pub(super) fn is_no_function(origin: &FunctionOrigin) -> Option<&'static str> {
    let name = origin.function.as_str();
    if name.starts_with('[') && !name.starts_with("[async") {
        return Some("it belongs to a resource, which cannot be written as JSON");
    }
    let plain = name.rsplit(']').next().unwrap_or(name);
    let added = LEFTOVERS.contains(&plain) || name.starts_with("cabi_") || name.starts_with('_');
    (origin.interface.is_none() && added).then_some(ADDED)
}

/// A name for each, or why there is none: the function's own where it is alone with it, else with
/// its interface, else with its package, else with its package's version.
pub(super) fn assign(origins: &[&FunctionOrigin]) -> Vec<Result<String, String>> {
    let forms: [fn(&FunctionOrigin) -> String; 4] =
        [short, with_interface, with_package, with_version];
    let mut names: Vec<Option<String>> = vec![None; origins.len()];
    for form in forms {
        let mut same: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for taken in names.iter().flatten() {
            same.insert(taken.clone(), vec![usize::MAX]);
        }
        for (index, origin) in origins.iter().enumerate() {
            if matches!(names.get(index), Some(None)) {
                same.entry(form(origin)).or_default().push(index);
            }
        }
        for (name, indices) in same {
            if let [only] = indices[..]
                && let Some(place) = names.get_mut(only)
            {
                *place = Some(name);
            }
        }
    }
    let named = names.into_iter().zip(origins);
    named
        .map(|(name, origin)| {
            name.ok_or_else(|| {
                format!(
                    "its name is `{}` for agents, and so is another export's",
                    with_version(origin)
                )
            })
        })
        .collect()
}

fn short(origin: &FunctionOrigin) -> String {
    fit(clean(&origin.function))
}

fn with_interface(origin: &FunctionOrigin) -> String {
    let interface = origin.interface.as_deref().unwrap_or_default();
    let plain = interface.split('@').next().unwrap_or_default();
    let last = plain.rsplit('/').next().unwrap_or_default();
    fit(clean(&format!("{last}-{}", origin.function)))
}

fn with_package(origin: &FunctionOrigin) -> String {
    let interface = origin.interface.as_deref().unwrap_or_default();
    let plain = interface.split('@').next().unwrap_or_default();
    fit(clean(&format!("{plain}-{}", origin.function)))
}

fn with_version(origin: &FunctionOrigin) -> String {
    let interface = origin.interface.as_deref().unwrap_or_default();
    fit(clean(&format!("{interface}-{}", origin.function)))
}

/// Small letters, digits and underscores, a letter first. `[async]get-X` is `get_x`.
fn clean(name: &str) -> String {
    let name = name.rsplit(']').next().unwrap_or(name);
    let word = |c: char| match c {
        'a'..='z' | '0'..='9' => c,
        'A'..='Z' => c.to_ascii_lowercase(),
        _ => '_',
    };
    let name: String = name.chars().map(word).collect();
    name.trim_start_matches(|c: char| !c.is_ascii_lowercase())
        .to_owned()
}

/// A long name is cut, and told apart by a digest of the whole.
fn fit(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let kept: String = name.chars().take(LONGEST - 9).collect();
    let mark: String = digest.chars().take(8).collect();
    format!("{kept}_{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> FunctionOrigin {
        match text.split_once('#') {
            Some((interface, function)) => FunctionOrigin {
                interface: Some(interface.into()),
                function: function.into(),
            },
            None => FunctionOrigin {
                interface: None,
                function: text.into(),
            },
        }
    }

    fn names(texts: &[&str]) -> Vec<Result<String, String>> {
        let origins: Vec<FunctionOrigin> = texts.iter().map(|text| origin(text)).collect();
        assign(&origins.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_name_alone_is_short() {
        assert_eq!(
            names(&["local:forecast/api#get-weather", "add", "get-URL"]),
            [
                Ok("get_weather".into()),
                Ok("add".into()),
                Ok("get_url".into())
            ]
        );
    }

    #[test]
    fn equal_names_take_their_interface_then_their_package() {
        assert_eq!(
            names(&["a:b/one@1.0.0#get", "a:b/two#get", "put"]),
            [Ok("one_get".into()), Ok("two_get".into()), Ok("put".into())]
        );
        assert_eq!(
            names(&["a:b/api#get", "c:d/api#get"]),
            [Ok("a_b_api_get".into()), Ok("c_d_api_get".into())]
        );
    }

    #[test]
    fn versions_of_one_interface_are_told_apart_by_them() {
        assert_eq!(
            names(&[
                "a:b/api@1.0.0#get",
                "a:b/api@2.0.0-draft#get",
                "a:b/api@2.0.0-draft#put"
            ]),
            [
                Ok("a_b_api_1_0_0_get".into()),
                Ok("a_b_api_2_0_0_draft_get".into()),
                Ok("put".into())
            ]
        );
    }

    #[test]
    fn what_cannot_be_told_apart_is_said() {
        let both = names(&["a:b-c/api#get", "a-b:c/api#get"]);
        assert!(
            both.iter().all(|name| name
                .as_ref()
                .is_err_and(|why| why.contains("`a_b_c_api_get`"))),
            "{both:?}"
        );
    }

    #[test]
    fn what_hosts_call_is_no_function_and_says_what_it_is() {
        for (interface, said) in [
            ("wasi:cli/run@0.2.0", Some("command")),
            ("wasi:http/incoming-handler@0.2.3", Some("HTTP requests")),
            ("wasi:http/handler@0.3.0", Some("HTTP requests")),
            (
                "wasi:keyvalue/watcher@0.2.0-draft",
                Some("for hosts to call"),
            ),
            ("toolhost:tool/tools@0.2.0", Some("this host's contract")),
            ("exports", Some("language runtime")),
            ("wasi-like:http/incoming-handler", None),
            ("local:forecast/api@0.1.0-draft", None),
        ] {
            let why = is_runtimes(interface);
            assert_eq!(why.is_some(), said.is_some(), "{interface}");
            assert!(
                said.is_none_or(|said| why.is_some_and(|why| why.contains(said))),
                "{interface}: {why:?}"
            );
        }
    }

    #[test]
    fn what_runtimes_leave_is_no_function_of_the_tool() {
        for added in [
            "init",
            "[async]init",
            "wizer-initialize",
            "[async]wizer-initialize",
            "wizer-resume",
            "cabi-realloc",
            "cabi_realloc",
            "_initialize",
        ] {
            assert_eq!(is_no_function(&origin(added)), Some(ADDED), "{added}");
            // Of an interface it is the author's.
            let own = format!("a:b/c#{added}");
            assert_eq!(is_no_function(&origin(&own)), None, "{own}");
        }
        for own in ["initialize", "re-init", "get"] {
            assert_eq!(is_no_function(&origin(own)), None, "{own}");
        }
    }

    #[test]
    fn a_name_given_out_is_not_given_again() {
        // `api-get` is alone with its name; `get` of `api` would take it.
        assert_eq!(
            names(&["api-get", "a:b/api#get", "a:b/other#get"]),
            [
                Ok("api_get".into()),
                Ok("a_b_api_get".into()),
                Ok("other_get".into())
            ]
        );
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (a, b) = ("x-".repeat(50) + "a", "x-".repeat(50) + "b");
        let both = names(&[&a, &b]);
        assert!(
            both.iter()
                .all(|name| name.as_ref().is_ok_and(|name| name.len() == 64))
        );
        assert_ne!(both[0], both[1]);
    }
}
