//! What the guest sees of `wasi:cli/environment`: wasmtime-wasi's own, whose answers pass the seam.

use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::cli::WasiCliCtxView;
use wasmtime_wasi::p2::bindings::cli::environment;

use crate::capability::seam::{Behind, pass, told_as};
use crate::terms::EnvAnswer;

pub(in crate::capability) type Environment<'a> = Behind<'a, WasiCliCtxView<'a>>;

struct HasEnvironment;

impl HasData for HasEnvironment {
    type Data<'a> = Environment<'a>;
}

/// Links variables and arguments, in the place of wasmtime-wasi's own.
///
/// # Errors
///
/// Only when another capability claims them too: a defect.
pub(in crate::capability) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Environment<'_>,
) -> wasmtime::Result<()> {
    environment::add_to_linker::<T, HasEnvironment>(linker, get)
}

told_as! {
    EnvAnswer: Vec<(String, String)> = Variables, Vec<String> = Arguments, Option<String> = Directory
}

/// One function, through the seam.
macro_rules! through {
    ($self:ident, $name:literal, $function:ident) => {
        pass!(
            $self.seam,
            $self.live.table,
            $name,
            (),
            EnvAnswer,
            environment::Host::$function(&mut $self.live)
        )
    };
}

impl environment::Host for Environment<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        through!(
            self,
            "wasi:cli/environment.get-environment",
            get_environment
        )
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        through!(self, "wasi:cli/environment.get-arguments", get_arguments)
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        through!(self, "wasi:cli/environment.initial-cwd", initial_cwd)
    }
}
