//! What stands in the attribute's brackets. It does not know the function.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitBool, LitStr, Token};

/// What stands in the attribute's brackets.
#[derive(Default)]
pub(crate) struct Markers {
    pub(crate) name: Option<LitStr>,
    pub(crate) title: Option<LitStr>,
    read_only: Option<bool>,
    destructive: Option<bool>,
    idempotent: Option<bool>,
    open_world: Option<bool>,
}

impl Parse for Markers {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut markers = Self::default();
        while !input.is_empty() {
            markers.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(markers)
    }
}

impl Markers {
    fn parse_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let key: Ident = input.parse()?;
        let fresh = match key.to_string().as_str() {
            "name" => self.name.replace(text(input)?).is_none(),
            "title" => self.title.replace(text(input)?).is_none(),
            "read_only" => self.read_only.replace(promise(input)?).is_none(),
            "destructive" => self.destructive.replace(promise(input)?).is_none(),
            "idempotent" => self.idempotent.replace(promise(input)?).is_none(),
            "open_world" => self.open_world.replace(promise(input)?).is_none(),
            _ => {
                return Err(syn::Error::new(
                    key.span(),
                    "unknown marker; there are read_only, destructive, idempotent, open_world, name and title",
                ));
            }
        };
        if fresh {
            Ok(())
        } else {
            Err(syn::Error::new(key.span(), "said twice"))
        }
    }

    /// The promises as an expression.
    pub(crate) fn hints(&self) -> TokenStream {
        let [read_only, destructive, idempotent, open_world] = [
            self.read_only,
            self.destructive,
            self.idempotent,
            self.open_world,
        ]
        .map(|promise| match promise {
            Some(value) => quote!(::core::option::Option::Some(#value)),
            None => quote!(::core::option::Option::None),
        });
        quote! {
            ::toolhost_sdk::Hints {
                read_only: #read_only,
                destructive: #destructive,
                idempotent: #idempotent,
                open_world: #open_world,
            }
        }
    }
}

/// `= "..."`.
fn text(input: ParseStream<'_>) -> syn::Result<LitStr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// Nothing, or `= true`, or `= false`.
fn promise(input: ParseStream<'_>) -> syn::Result<bool> {
    if !input.peek(Token![=]) {
        return Ok(true);
    }
    input.parse::<Token![=]>()?;
    Ok(input.parse::<LitBool>()?.value)
}
