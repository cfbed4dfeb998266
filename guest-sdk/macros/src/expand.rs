//! A function and its markers as an implementation of `toolhost_sdk::Function`. It does not know
//! what stands in the brackets, nor how parameters become an object.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Expr, ItemFn, Lit, LitStr, Meta, ReturnType, Type};

use crate::markers::Markers;
use crate::parameters;

/// The function as it was, and a type of the same name that implements `Function`: functions and
/// types have names of their own, so the two do not meet.
pub(crate) fn expand(markers: &Markers, mut function: ItemFn) -> syn::Result<TokenStream> {
    refuse_what_cannot_be_called(&function)?;
    let parameters = parameters::read(&mut function)?;
    let name = name_for_agents(markers, &function)?;
    let description = description(&function)?;
    let title = match &markers.title {
        Some(title) => quote!(::core::option::Option::Some(#title)),
        None => quote!(::core::option::Option::None),
    };
    let hints = markers.hints();
    let (visibility, own) = (&function.vis, &function.sig.ident);
    let (ty, declaration, values) = (parameters.ty, parameters.declaration, parameters.values);
    let (result, answer) = result(&function.sig.output, &quote!(#own(#values)));
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility enum #own {}

        const _: () = {
            #declaration

            impl ::toolhost_sdk::Function for #own {
                const NAME: &'static str = #name;

                fn definition() -> ::toolhost_sdk::Definition {
                    ::toolhost_sdk::__private::definition::<#ty, #result>(
                        Self::NAME, #title, #description, #hints,
                    )
                }

                #[allow(unused_variables)]
                fn call(
                    arguments: &str,
                ) -> ::core::result::Result<::toolhost_sdk::Output, ::toolhost_sdk::ToolError> {
                    let arguments: #ty = ::toolhost_sdk::__private::arguments(arguments)?;
                    ::toolhost_sdk::__private::Fallible::into_answer(#answer)
                }
            }
        };
    })
}

fn refuse_what_cannot_be_called(function: &ItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    if let Some(keyword) = &signature.asyncness {
        let say = "a function of a tool is synchronous: the host runs it beside others";
        return Err(syn::Error::new_spanned(keyword, say));
    }
    if !signature.generics.params.is_empty() {
        let say = "a function of a tool has no generic parameters: its schema must be known";
        return Err(syn::Error::new_spanned(&signature.generics, say));
    }
    Ok(())
}

/// The return value as a `Result`: its type, and an expression of it.
fn result(output: &ReturnType, call: &TokenStream) -> (TokenStream, TokenStream) {
    let infallible =
        |ty: TokenStream| quote!(::core::result::Result<#ty, ::toolhost_sdk::ToolError>);
    match output {
        ReturnType::Type(_, ty) if is_result(ty) => (quote!(#ty), call.clone()),
        ReturnType::Type(_, ty) => {
            let ty = infallible(quote!(#ty));
            (
                ty.clone(),
                quote!({ let answer: #ty = ::core::result::Result::Ok(#call); answer }),
            )
        }
        ReturnType::Default => {
            let ty = infallible(quote!(()));
            (
                ty.clone(),
                quote!({ let answer: #ty = ::core::result::Result::Ok(#call); answer }),
            )
        }
    }
}

fn is_result(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Result"),
        _ => false,
    }
}

fn name_for_agents(markers: &Markers, function: &ItemFn) -> syn::Result<LitStr> {
    let (name, span) = match &markers.name {
        Some(name) => (name.value(), name.span()),
        None => (function.sig.ident.to_string(), function.sig.ident.span()),
    };
    let fits = name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits {
        Ok(LitStr::new(&name, span))
    } else {
        let say = "a function's name is 1 to 64 of a-z, 0-9 and _, a letter first; `name = \"...\"` gives another";
        Err(syn::Error::new(span, say))
    }
}

/// The doc comment, without the space that follows the slashes.
fn description(function: &ItemFn) -> syn::Result<LitStr> {
    let lines: Vec<String> = function.attrs.iter().filter_map(doc_line).collect();
    let text = lines.join("\n").trim().to_owned();
    if text.is_empty() {
        let say = "a function of a tool needs a doc comment: it is what agents read to know when to call it";
        return Err(syn::Error::new_spanned(&function.sig.ident, say));
    }
    Ok(LitStr::new(&text, Span::call_site()))
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match &pair.value {
        Expr::Lit(literal) if pair.path.is_ident("doc") => match &literal.lit {
            Lit::Str(text) => {
                let text = text.value();
                Some(
                    text.strip_prefix(' ')
                        .unwrap_or(&text)
                        .trim_end()
                        .to_owned(),
                )
            }
            _ => None,
        },
        _ => None,
    }
}
