//! Puts what authors need into the program: the SDKs, the contract and the templates of this
//! checkout, so that `toolhost new` and `toolhost build` work where there is none.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What is taken along, from the root of the checkout.
const ROOTS: [&str; 2] = ["wit", "guest-sdk"];
/// The versions that the SDK was built and tested with.
const VERSIONS: &str = "Cargo.lock";
/// Folders that hold what tools make, or tests of an SDK's own. A template's tests are its project's.
const LEFT_OUT: [&str; 5] = ["target", "node_modules", "__pycache__", "dist", "tests"];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let checkout = here
        .ancestors()
        .nth(2)
        .ok_or("this crate is not in a checkout")?;
    let mut files = vec![checkout.join(VERSIONS)];
    for root in ROOTS {
        println!("cargo::rerun-if-changed=../../{root}");
        gather(&checkout.join(root), &mut files)?;
    }
    println!("cargo::rerun-if-changed=../../{VERSIONS}");
    files.sort();
    let mut list = "&[\n".to_owned();
    for file in files {
        // From where the package is when it is compiled: another checkout may share the folder that
        // this list is kept in.
        let name = file.strip_prefix(checkout)?.display();
        let text =
            format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../../{name}\"))");
        writeln!(list, "    (\"{name}\", {text}),")?;
    }
    list.push(']');
    fs::write(Path::new(&std::env::var("OUT_DIR")?).join("kit.rs"), list)?;
    Ok(())
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let template = folder.iter().any(|part| part == "template");
        if name.starts_with('.') || (LEFT_OUT.contains(&&*name) && !(template && name == "tests")) {
            continue;
        }
        if path.is_dir() {
            gather(&path, files)?;
        } else if !name.ends_with(".wasm") && !name.ends_with(".pyc") {
            files.push(path);
        }
    }
    Ok(())
}
