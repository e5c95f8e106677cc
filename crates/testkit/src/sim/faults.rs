//! Everything that goes wrong in the simulation. docs/RELIABILITY.md tells
//! what happens then; a test holds the two together.

use super::rng::SplitMix64;
use std::collections::BTreeSet;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name,)*];
        }
    };
}

faults! {
    /// A call fails and has done nothing.
    FailsBefore,
    /// A call does its work whole, and the answer says it failed.
    AnswerLost,
    /// A call does part of its work and fails. The firewall's changes are
    /// transactions: they have no half, but for the rebuilding, which opens
    /// the passage through other programs' rules in a second step.
    HalfApplied,
    /// A call takes its time, up to half its bound.
    Slow,
    /// A call does nothing until its port's own bound, then says so.
    Hangs,
    /// A call gets no answer within its bound, and its effect comes at some
    /// time all the same: before that, after it, or after our death.
    ///
    /// Docker and AdGuard Home may do this in any order. WireGuard may do it
    /// only in order: the kernel's lock, and the userspace child's, put a
    /// later call and a later reading of the interface behind the one that is
    /// stuck. The firewall cannot: `nft` is killed at its bound, and with us
    /// by systemd, and its transaction is whole or not at all. The disk's
    /// calls run to their end on a thread of ours that dies with us.
    Late,
    /// The database refuses to be read.
    DatabaseRefuses,
    /// The database answers late: with what was there when it was asked.
    DatabaseLate,
    /// The database answers with an older generation than it gave before.
    /// Never the first answer of a process: which generation is the newest is
    /// the database's own to know.
    DatabaseOld,
    /// Our process dies, between two steps or in the middle of a call. What it
    /// asked of others may still happen.
    ProcessDies,
    /// Time stands still for minutes and goes on (a machine that was
    /// suspended): every timer is late.
    ClockJumps,
    /// The hint that the spec has changed is lost.
    NudgeLost,
    /// A port's event is lost.
    EventLost,
    /// Somebody makes an interface with a name of ours.
    ForeignInterface,
    /// Somebody makes a container with a name of ours.
    ForeignContainer,
    /// Another program holds a tunnel's UDP port.
    PortTaken,
    /// Somebody deletes an interface of ours.
    InterfaceDeleted,
    /// Somebody sets another key on an interface of ours.
    KeyChanged,
    /// Somebody takes an interface of ours down.
    InterfaceDown,
    /// Somebody adds a peer to an interface of ours.
    StrangePeer,
    /// Somebody removes a container of ours.
    ContainerRemoved,
    /// Somebody stops a container of ours, or it ends.
    ContainerStopped,
    /// Somebody pauses a container of ours.
    ContainerPaused,
    /// Somebody removes the image.
    ImageRemoved,
    /// Somebody flushes the ruleset.
    FirewallFlushed,
    /// Somebody removes elements of a tenant.
    ElementsRemoved,
    /// Somebody edits `wg<n>.conf`.
    ConfEdited,
    /// Somebody damages `keys/public.key`.
    PublicKeyDamaged,
    /// Somebody deletes a tenant's folder, under its running container too.
    FolderDeleted,
    /// Somebody deletes a client of ours inside AdGuard Home.
    ClientDeleted,
}

/// Which faults a seed has, and how many.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    kinds: BTreeSet<Fault>,
    percent: u64,
}

impl Faults {
    /// Each kind by the toss of a coin: with all of them in every seed, the
    /// loud ones would hide what the quiet ones do alone.
    pub fn drawn(rng: &mut SplitMix64) -> Self {
        let kinds = Fault::ALL.iter().copied().filter(|_| rng.percent(50));
        Self {
            kinds: kinds.collect(),
            percent: [2, 5, 10, 20, 40][rng.below(5) as usize],
        }
    }

    /// Whether this kind happens in this seed.
    pub fn has(&self, fault: Fault) -> bool {
        self.kinds.contains(&fault)
    }

    /// Whether this kind happens now.
    pub fn strikes(&self, fault: Fault, rng: &mut SplitMix64) -> bool {
        self.has(fault) && rng.percent(self.percent)
    }

    /// From now on nothing goes wrong.
    pub fn stop(&mut self) {
        self.kinds.clear();
    }

    /// The kinds, for the trace.
    pub fn kinds(&self) -> impl Iterator<Item = Fault> {
        self.kinds.iter().copied()
    }
}
