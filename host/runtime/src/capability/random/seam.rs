//! What the guest sees of `wasi:random`: wasmtime-wasi's own, whose answers pass the seam.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::random::WasiRandomCtx;

use crate::capability::seam::{Behind, Told, pass, told_as, unfit};
use crate::terms::RandomAnswer;

pub(in crate::capability) type Random<'a> = Behind<'a, &'a mut WasiRandomCtx>;

struct HasRandom;

impl HasData for HasRandom {
    type Data<'a> = Random<'a>;
}

/// Links randomness, in the place of wasmtime-wasi's own.
///
/// # Errors
///
/// Only when another capability claims it too: a defect.
pub(in crate::capability) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Random<'_>,
) -> wasmtime::Result<()> {
    random::add_to_linker::<T, HasRandom>(linker, get)?;
    insecure::add_to_linker::<T, HasRandom>(linker, get)?;
    insecure_seed::add_to_linker::<T, HasRandom>(linker, get)
}

told_as! {
    RandomAnswer: Vec<u8> = Bytes, u64 = Number
}

impl Told<RandomAnswer> for (u64, u64) {
    fn tell(&self) -> RandomAnswer {
        RandomAnswer::Seed(self.0, self.1)
    }

    fn told(answer: RandomAnswer, _: &mut ResourceTable) -> wasmtime::Result<Self> {
        match answer {
            RandomAnswer::Seed(low, high) => Ok((low, high)),
            _ => Err(unfit()),
        }
    }
}

/// One function, through the seam. Its answers are nothing to hold, so they need no table.
macro_rules! through {
    ($self:ident, $name:literal, $arguments:expr, $live:expr) => {
        pass!(
            $self.seam,
            &mut ResourceTable::new(),
            $name,
            $arguments,
            RandomAnswer,
            $live
        )
    };
}

impl random::Host for Random<'_> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        through!(
            self,
            "wasi:random/random.get-random-bytes",
            length,
            random::Host::get_random_bytes(self.live, length)
        )
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        through!(
            self,
            "wasi:random/random.get-random-u64",
            (),
            random::Host::get_random_u64(self.live)
        )
    }
}

impl insecure::Host for Random<'_> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        through!(
            self,
            "wasi:random/insecure.get-insecure-random-bytes",
            length,
            insecure::Host::get_insecure_random_bytes(self.live, length)
        )
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        through!(
            self,
            "wasi:random/insecure.get-insecure-random-u64",
            (),
            insecure::Host::get_insecure_random_u64(self.live)
        )
    }
}

impl insecure_seed::Host for Random<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        through!(
            self,
            "wasi:random/insecure-seed.insecure-seed",
            (),
            insecure_seed::Host::insecure_seed(self.live)
        )
    }
}
