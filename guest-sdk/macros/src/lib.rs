//! The attribute of `toolhost-sdk`. It does not know how a function is called; it only writes an
//! implementation of `toolhost_sdk::Function`.

use proc_macro::TokenStream;

mod expand;
mod markers;
mod parameters;

/// Makes a plain function one that agents call.
///
/// - The doc comment becomes the description that agents read; without one the build stops.
/// - A single parameter called `args` is the whole arguments object: any type with `Deserialize`
///   and `JsonSchema`. Other parameters are one property each; their doc comments describe them,
///   `#[serde(...)]` and `#[schemars(...)]` on them work as on a struct's fields.
/// - The return value is anything with `toolhost_sdk::IntoOutput`, or a `Result` of it.
/// - `read_only`, `destructive`, `idempotent` and `open_world` are promises about the function,
///   each also with `= false`; nothing said is nothing promised.
/// - `name = "..."` is the name agents see in place of the function's, `title = "..."` one for
///   people.
///
/// The function itself stays as it is. Beside it comes a type of the same name, which is what
/// `toolhost_sdk::export!` takes.
#[proc_macro_attribute]
pub fn tool(markers: TokenStream, item: TokenStream) -> TokenStream {
    let markers = syn::parse_macro_input!(markers as markers::Markers);
    let function = syn::parse_macro_input!(item as syn::ItemFn);
    expand::expand(&markers, function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
