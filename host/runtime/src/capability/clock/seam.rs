//! What the guest sees of `wasi:clocks`: wasmtime-wasi's own, whose answers pass the seam. When something
//! that is waited for is ready is not said here but by `wasi:io/poll`.

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};

use crate::capability::seam::{Behind, Told, pass, told_as, unfit};
use crate::terms::ClockAnswer;

pub(in crate::capability) type Clocks<'a> = Behind<'a, WasiClocksCtxView<'a>>;

struct HasClocks;

impl HasData for HasClocks {
    type Data<'a> = Clocks<'a>;
}

/// Links clocks, in the place of wasmtime-wasi's own.
///
/// # Errors
///
/// Only when another capability claims them too: a defect.
pub(in crate::capability) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Clocks<'_>,
) -> wasmtime::Result<()> {
    wall_clock::add_to_linker::<T, HasClocks>(linker, get)?;
    monotonic_clock::add_to_linker::<T, HasClocks>(linker, get)
}

impl Told<ClockAnswer> for wall_clock::Datetime {
    fn tell(&self) -> ClockAnswer {
        ClockAnswer::Wall(self.seconds, self.nanoseconds)
    }

    fn told(answer: ClockAnswer, _: &mut ResourceTable) -> wasmtime::Result<Self> {
        match answer {
            ClockAnswer::Wall(seconds, nanoseconds) => Ok(Self {
                seconds,
                nanoseconds,
            }),
            ClockAnswer::Monotonic(_) => Err(unfit()),
        }
    }
}

told_as! {
    ClockAnswer: u64 = Monotonic
}

/// One function of an interface, through the seam.
macro_rules! through {
    ($self:ident, $interface:ident, $name:literal, $function:ident) => {
        pass!(
            $self.seam,
            $self.live.table,
            $name,
            (),
            ClockAnswer,
            $interface::Host::$function(&mut $self.live)
        )
    };
}

impl wall_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        through!(self, wall_clock, "wasi:clocks/wall-clock.now", now)
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        through!(
            self,
            wall_clock,
            "wasi:clocks/wall-clock.resolution",
            resolution
        )
    }
}

impl monotonic_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        through!(
            self,
            monotonic_clock,
            "wasi:clocks/monotonic-clock.now",
            now
        )
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Duration> {
        through!(
            self,
            monotonic_clock,
            "wasi:clocks/monotonic-clock.resolution",
            resolution
        )
    }

    // What is waited for answers nothing until it is asked whether it is ready.

    fn subscribe_instant(
        &mut self,
        when: monotonic_clock::Instant,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        monotonic_clock::Host::subscribe_instant(&mut self.live, when)
    }

    fn subscribe_duration(
        &mut self,
        duration: monotonic_clock::Duration,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        monotonic_clock::Host::subscribe_duration(&mut self.live, duration)
    }
}
