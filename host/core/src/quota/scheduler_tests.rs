//! Every order of events on small books, and long random ones on larger, with changes of the room in
//! between: what must always hold is looked at after each.

use super::*;

/// A scheduler, with what a checker knows besides.
#[derive(Clone)]
struct Scene {
    scheduler: Scheduler,
    most: u32,
    tools: Vec<u32>,
    shares: Vec<Share>,
    queue: u32,
    held: Vec<Seat>,
    waiting: Vec<(Ticket, Seat)>,
}

impl Scene {
    fn new(most: u32, queue: u32, tools: &[u32], shares: &[Share]) -> Self {
        Self {
            scheduler: Scheduler::default(),
            most,
            tools: tools.to_vec(),
            shares: shares.to_vec(),
            queue,
            held: Vec::new(),
            waiting: Vec::new(),
        }
        .changed(most, queue, tools, shares)
    }

    /// With other bounds.
    fn changed(mut self, most: u32, queue: u32, tools: &[u32], shares: &[Share]) -> Self {
        (self.most, self.queue) = (most, queue);
        (self.tools, self.shares) = (tools.to_vec(), shares.to_vec());
        let served = self.scheduler.change(&Bounds {
            places: most,
            queue,
            tools: tools.iter().copied().enumerate().collect(),
            callers: shares.iter().copied().enumerate().collect(),
        });
        self.served(served);
        self.check();
        self
    }

    /// Those who waited and run now.
    fn served(&mut self, tickets: Vec<Ticket>) -> Vec<Seat> {
        let seats = tickets.into_iter().map(|ticket| {
            let at = self.waiting.iter().position(|(other, _)| *other == ticket);
            self.waiting.remove(at.expect("it waited")).1
        });
        let seats: Vec<Seat> = seats.collect();
        self.held.extend(&seats);
        seats
    }

    fn ask(&mut self, seat: Seat) -> Admission {
        let (free, admission) = (self.room(seat), self.scheduler.ask(seat));
        // A place is given exactly where there is room, so nothing is ever exceeded.
        assert_eq!(admission == Admission::Go, free, "{seat:?}");
        match admission {
            Admission::Go => self.held.push(seat),
            Admission::Wait(ticket) => self.waiting.push((ticket, seat)),
            Admission::Busy => {}
        }
        self.check();
        admission
    }

    fn leave(&mut self, index: usize) -> Vec<Seat> {
        let seat = self.held.swap_remove(index);
        let served = self.scheduler.leave(seat);
        let seats = self.served(served);
        self.check();
        seats
    }

    fn give_up(&mut self, index: usize) {
        let (ticket, seat) = self.waiting.remove(index);
        self.scheduler.forget(ticket, seat);
        // A second time does nothing.
        self.scheduler.forget(ticket, seat);
        self.check();
    }

    fn count<T>(all: &[T], one: impl Fn(&T) -> bool) -> u32 {
        u32::try_from(all.iter().filter(|item| one(item)).count()).expect("few")
    }

    fn room(&self, seat: Seat) -> bool {
        let of_tool = Self::count(&self.held, |held| held.tool == seat.tool);
        let of_caller = Self::count(&self.held, |held| held.caller == seat.caller);
        let of_both = Self::count(&self.held, |held| *held == seat);
        let callers = u32::try_from(self.shares.len()).expect("few");
        Self::count(&self.held, |_| true) < self.most
            && of_tool < self.tools[seat.tool]
            && of_both < each(self.tools[seat.tool], callers)
            && of_caller < self.shares[seat.caller].places
    }

    /// Nothing is miscounted, and nobody waits who could run.
    fn check(&self) {
        let room = |most, taken| Room { most, taken };
        let all = Self::count(&self.held, |_| true);
        assert_eq!(self.scheduler.places, room(self.most, all));
        for (tool, most) in self.tools.iter().enumerate() {
            let held = Self::count(&self.held, |held| held.tool == tool);
            assert_eq!(self.scheduler.tools[tool].places, room(*most, held));
            let waits = Self::count(&self.waiting, |(_, seat)| seat.tool == tool);
            assert_eq!(self.scheduler.is_idle_tool(tool), held + waits == 0);
        }
        for (caller, share) in self.shares.iter().enumerate() {
            let held = Self::count(&self.held, |held| held.caller == caller);
            let waits = Self::count(&self.waiting, |(_, seat)| seat.caller == caller);
            let of_caller = &self.scheduler.callers[caller];
            assert_eq!(of_caller.places, room(share.places, held));
            assert_eq!(of_caller.queue, room(share.queue, waits));
            assert_eq!(self.scheduler.is_idle_caller(caller), held + waits == 0);
        }
        let waiting = Self::count(&self.waiting, |_| true);
        assert_eq!(self.scheduler.queue, room(self.queue, waiting));
        for (_, seat) in &self.waiting {
            assert!(!self.room(*seat), "{seat:?} waits and could run");
        }
    }
}

fn seats(callers: usize, tools: usize) -> Vec<Seat> {
    (0..callers)
        .flat_map(|caller| (0..tools).map(move |tool| Seat { caller, tool }))
        .collect()
}

fn every_order(scene: &Scene, seats: &[Seat], left: u32, seen: &mut u64) {
    *seen += 1;
    if left == 0 {
        return;
    }
    for seat in seats {
        let mut next = scene.clone();
        next.ask(*seat);
        every_order(&next, seats, left - 1, seen);
    }
    for index in 0..scene.held.len() {
        let mut next = scene.clone();
        next.leave(index);
        every_order(&next, seats, left - 1, seen);
    }
    for index in 0..scene.waiting.len() {
        let mut next = scene.clone();
        next.give_up(index);
        every_order(&next, seats, left - 1, seen);
    }
}

const WIDE: Share = Share {
    places: 9,
    queue: 9,
};

#[test]
fn in_every_order_of_events_nobody_waits_who_could_run() {
    let narrow = Share {
        places: 1,
        queue: 1,
    };
    let mut seen = 0;
    for (most, queue, tools, shares) in [
        (2, 3, [1, 1], [WIDE_3, WIDE_3]),
        (
            1,
            2,
            [1, 1],
            [
                Share {
                    places: 1,
                    queue: 2,
                },
                narrow,
            ],
        ),
        (3, 3, [2, 1], [narrow, WIDE_3]),
    ] {
        let scene = Scene::new(most, queue, &tools, &shares);
        every_order(&scene, &seats(2, 2), 6, &mut seen);
    }
    assert!(seen > 100_000, "only {seen} states");
}

const WIDE_3: Share = Share {
    places: 3,
    queue: 3,
};

/// A small generator with a seed: the same run every time (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides.max(1) as u64).expect("few sides")
    }
}

/// Bounds of any size but none.
fn bounds(dice: &mut Dice, callers: usize, tools: usize) -> (u32, u32, Vec<u32>, Vec<Share>) {
    let mut size = |most: usize| u32::try_from(1 + dice.roll(most)).expect("small");
    let limits = (0..tools).map(|_| size(4)).collect();
    let shares = (0..callers).map(|_| Share {
        places: size(5),
        queue: size(9),
    });
    let shares = shares.collect();
    (size(8), size(20), limits, shares)
}

#[test]
fn in_long_random_orders_too_and_everything_drains() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let (callers, tools) = (1 + dice.roll(5), 1 + dice.roll(4));
        let (most, queue, limits, shares) = bounds(&mut dice, callers, tools);
        let mut scene = Scene::new(most, queue, &limits, &shares);
        for _ in 0..400 {
            if dice.roll(20) == 0 {
                let (most, queue, limits, shares) = bounds(&mut dice, callers, tools);
                scene = scene.changed(most, queue, &limits, &shares);
            }
            let ask = dice.roll(2) == 0;
            if ask {
                scene.ask(Seat {
                    caller: dice.roll(callers),
                    tool: dice.roll(tools),
                });
            } else if !scene.waiting.is_empty() && dice.roll(3) == 0 {
                scene.give_up(dice.roll(scene.waiting.len()));
            } else if !scene.held.is_empty() {
                scene.leave(dice.roll(scene.held.len()));
            }
        }
        while !scene.held.is_empty() {
            scene.leave(0);
        }
        assert!(
            scene.waiting.is_empty(),
            "seed {seed}: somebody waits for ever"
        );
    }
}

#[test]
fn a_thousand_calls_of_one_caller_do_not_delay_anothers_first() {
    let share = Share {
        places: 8,
        queue: 1_000,
    };
    let mut scene = Scene::new(8, 2_000, &[4], &[share, share]);
    let (greedy, honest) = (Seat { caller: 0, tool: 0 }, Seat { caller: 1, tool: 0 });
    for _ in 0..3 {
        assert_eq!(scene.ask(greedy), Admission::Go);
    }
    for _ in 0..1_000 {
        assert!(matches!(scene.ask(greedy), Admission::Wait(_)));
    }
    assert_eq!(scene.ask(greedy), Admission::Busy, "its own share is full");
    assert_eq!(scene.ask(honest), Admission::Go, "a place was left for it");
    assert!(
        matches!(scene.ask(honest), Admission::Wait(_)),
        "the other's share of the queue is not full"
    );
    let first: Vec<Seat> = (0..2).flat_map(|_| scene.leave(0)).collect();
    assert!(first.contains(&honest), "{first:?}");
}

/// However many one asks for, each other one finds a place.
#[test]
fn g72_no_caller_takes_all_places_of_a_tool() {
    for callers in 1..9 {
        let mut scene = Scene::new(64, 300, &[16], &vec![WIDE_64; callers]);
        for _ in 0..30 {
            scene.ask(Seat { caller: 0, tool: 0 });
        }
        let expected = 17 - callers;
        assert_eq!(scene.held.len(), expected);
        for caller in 1..callers {
            let admission = scene.ask(Seat { caller, tool: 0 });
            assert_eq!(admission, Admission::Go, "{caller} of {callers}");
        }
    }
    assert_eq!([each(2, 9), each(1, 9), each(5, 2)], [1, 1, 4]);
}

const WIDE_64: Share = Share {
    places: 64,
    queue: 64,
};

#[test]
fn room_may_shrink_below_what_is_taken_and_grow_for_those_who_wait() {
    let mut scene = Scene::new(4, 9, &[4], &[WIDE]);
    let seat = Seat { caller: 0, tool: 0 };
    (0..4).for_each(|_| assert_eq!(scene.ask(seat), Admission::Go));
    let mut scene = scene.changed(4, 9, &[2], &[WIDE]);
    assert!(matches!(scene.ask(seat), Admission::Wait(_)));
    assert!(matches!(scene.ask(seat), Admission::Wait(_)));
    assert_eq!(scene.leave(0), [], "three run, and two may");
    assert_eq!(scene.leave(0), [], "two run, and two may");
    assert_eq!(scene.leave(0), [seat]);
    let scene = scene.changed(4, 9, &[3], &[WIDE]);
    assert_eq!((scene.held.len(), scene.waiting.len()), (3, 0));
}

#[test]
fn callers_that_wait_are_served_in_turns() {
    let mut scene = Scene::new(1, 27, &[1], &[WIDE, WIDE, WIDE]);
    scene.ask(Seat { caller: 0, tool: 0 });
    for caller in [0, 0, 0, 1, 1, 1, 2, 2, 2] {
        scene.ask(Seat { caller, tool: 0 });
    }
    let order: Vec<usize> = (0..9)
        .flat_map(|_| scene.leave(0))
        .map(|seat| seat.caller)
        .collect();
    for three in order.chunks(3) {
        let mut callers = three.to_vec();
        callers.sort_unstable();
        assert_eq!(callers, [0, 1, 2], "{order:?}");
    }
}
