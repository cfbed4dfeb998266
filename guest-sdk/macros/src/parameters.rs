//! A function's parameters as one arguments object. It does not know the function's name or result.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, FnArg, Ident, ItemFn, Pat, PatType, Type};

/// The arguments object, and how the function is called with it.
pub(crate) struct Parameters {
    /// Its type.
    pub(crate) ty: TokenStream,
    /// What has to be declared for that type.
    pub(crate) declaration: TokenStream,
    /// The call's parameters, out of a variable `arguments` of that type.
    pub(crate) values: TokenStream,
}

/// Reads the parameters and takes the attributes off them that only the arguments object may have.
pub(crate) fn read(function: &mut ItemFn) -> syn::Result<Parameters> {
    let mut typed = Vec::new();
    for input in &mut function.sig.inputs {
        match input {
            FnArg::Typed(parameter) => typed.push(parameter),
            FnArg::Receiver(receiver) => {
                return Err(syn::Error::new_spanned(
                    receiver,
                    "a function of a tool is no method",
                ));
            }
        }
    }
    match typed.as_mut_slice() {
        [only] if is_whole(only) => Ok(whole(&only.ty)),
        several => one_by_one(several),
    }
}

/// Whether a parameter is the whole object: it is called `args`, or it is taken apart at once.
fn is_whole(parameter: &PatType) -> bool {
    match parameter.pat.as_ref() {
        Pat::Ident(name) => name.ident == "args" || name.ident == "_args",
        _ => true,
    }
}

fn whole(ty: &Type) -> Parameters {
    Parameters {
        ty: quote!(#ty),
        declaration: TokenStream::new(),
        values: quote!(arguments),
    }
}

fn one_by_one(parameters: &mut [&mut PatType]) -> syn::Result<Parameters> {
    let mut fields = Vec::new();
    let mut names = Vec::new();
    for parameter in parameters {
        let name = name_of(parameter)?;
        let (kept, moved): (Vec<Attribute>, Vec<Attribute>) = parameter
            .attrs
            .drain(..)
            .partition(|attribute| !belongs_to_field(attribute));
        parameter.attrs = kept;
        let ty = &parameter.ty;
        fields.push(quote!(#(#moved)* #name: #ty));
        names.push(name);
    }
    let ty = format_ident!("Arguments");
    Ok(Parameters {
        ty: quote!(#ty),
        declaration: quote! {
            #[derive(::toolhost_sdk::serde::Deserialize, ::toolhost_sdk::JsonSchema)]
            #[serde(crate = "::toolhost_sdk::serde", deny_unknown_fields)]
            #[schemars(crate = "::toolhost_sdk::schemars")]
            struct #ty { #(#fields),* }
        },
        values: quote!(#(arguments.#names),*),
    })
}

fn name_of(parameter: &PatType) -> syn::Result<Ident> {
    match parameter.pat.as_ref() {
        Pat::Ident(name) => Ok(name.ident.clone()),
        other => Err(syn::Error::new_spanned(
            other,
            "each of several parameters needs a name: it is the property agents fill in",
        )),
    }
}

fn belongs_to_field(attribute: &Attribute) -> bool {
    ["doc", "serde", "schemars"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}
