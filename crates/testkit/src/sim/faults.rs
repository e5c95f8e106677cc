//! Every fault of the simulation. docs/reliability/faults.md says what happens
//! then, and a test checks that it lists each of them.

use super::rng::SplitMix64;
use std::collections::BTreeSet;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every kind of fault.
            pub const ALL: &[Fault] = &[$(Fault::$name,)*];
        }
    };
}

faults! {
    /// A call fails and has had no effect.
    FailsBefore,
    /// A call has its complete effect, and its answer says it failed.
    AnswerLost,
    /// A call has part of its effect and fails. The firewall's changes are
    /// transactions, except for a rebuild, which accepts forwarded packets in
    /// other programs' rules in a second step.
    HalfApplied,
    /// A call takes up to half its timeout.
    Slow,
    /// A call has no effect until its port's timeout, and then fails.
    Hangs,
    /// A call gets no answer within its timeout, and its effect still happens:
    /// before the timeout, after it, or after the process has died.
    ///
    /// Docker and AdGuard Home may do this in any order. WireGuard may do it
    /// only in order: the kernel's lock, and that of the userspace process,
    /// make later calls and readings of the interface wait for the one that is
    /// stuck. The firewall cannot: `nft` is killed at its timeout, and by
    /// systemd when the server ends, and its transaction is atomic. The disk's
    /// calls run to their end on a thread that dies with the process.
    Late,
    /// The database refuses to be read.
    DatabaseRefuses,
    /// The database answers late, with its state at the time of the query.
    DatabaseLate,
    /// The database is restored from a backup, or a failover loses its newest
    /// changes. Where the node has more in force, the control plane raises the
    /// generation above it and sends what the database has.
    DatabaseOld,
    /// No control plane answers a process for a while, which starts from the spec that an
    /// earlier one stored: an older one than what is on the machine.
    SpecEarlier,
    /// A tenant's row in the database cannot be read for a while, with or without its
    /// name and its key. Other tenants' can.
    RowUnreadable,
    /// Nothing passes between a worker and its control planes for a while, in one direction or
    /// both.
    LinkPartitioned,
    /// A message between a worker and a control plane takes longer than either waits.
    LinkSlow,
    /// An answer that a worker has given up arrives after a newer one.
    LinkReordered,
    /// An answer arrives again, when others have come since.
    LinkDuplicated,
    /// A connection ends in the middle of an answer.
    LinkCut,
    /// A control plane dies with a question or its answer, with or without a sign. Others
    /// answer, and one that knows nothing of the worker.
    ControlPlaneReplaced,
    /// The process dies, between two steps or during a call. The effects of
    /// its calls may still happen.
    ProcessDies,
    /// The clock stops for minutes and continues (the machine was suspended):
    /// every timer is late.
    ClockJumps,
    /// The hint that the spec has changed is lost.
    NudgeLost,
    /// A port's event is lost.
    EventLost,
    /// Another program makes an interface with a name of ours.
    ForeignInterface,
    /// Another program makes a container with a name of ours.
    ForeignContainer,
    /// Another program occupies a tunnel's UDP port.
    PortTaken,
    /// An interface of ours is deleted.
    InterfaceDeleted,
    /// The key of an interface of ours is changed.
    KeyChanged,
    /// An interface of ours is set down.
    InterfaceDown,
    /// A peer is added to an interface of ours.
    UnexpectedPeer,
    /// A container of ours is removed.
    ContainerRemoved,
    /// A container of ours is stopped, or ends.
    ContainerStopped,
    /// A container of ours is paused.
    ContainerPaused,
    /// The image is removed.
    ImageRemoved,
    /// The firewall's ruleset is flushed.
    FirewallFlushed,
    /// Elements of a tenant are removed from the firewall.
    ElementsRemoved,
    /// `wg<n>.conf` is edited.
    ConfEdited,
    /// `keys/public.key` is damaged.
    PublicKeyDamaged,
    /// A tenant's folder is deleted, possibly under its running container.
    FolderDeleted,
    /// A client of ours is deleted inside AdGuard Home.
    ClientDeleted,
    /// A part of AdGuard Home's data is damaged: it ends whenever it is started.
    DnsDamaged,
    /// The speed limits of an interface are removed or damaged.
    SpeedLimitsRemoved,
}

/// Those of a worker's link.
const LINK: [Fault; 6] = [
    Fault::LinkPartitioned,
    Fault::LinkSlow,
    Fault::LinkReordered,
    Fault::LinkDuplicated,
    Fault::LinkCut,
    Fault::ControlPlaneReplaced,
];

/// The faults of a seed, and how often they strike.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    kinds: BTreeSet<Fault>,
    percent: u64,
}

impl Faults {
    /// Draws each kind with a probability of one half: with all kinds in every
    /// seed, the frequent ones would hide the effects of the rare ones.
    pub fn drawn(rng: &mut SplitMix64) -> Self {
        let kinds = Fault::ALL.iter().copied().filter(|f| !LINK.contains(f));
        let kinds = kinds.filter(|_| rng.percent(50));
        Self {
            kinds: kinds.collect(),
            percent: [2, 5, 10, 20, 40][rng.below(5) as usize],
        }
    }

    /// Draws the faults of a worker's link as well.
    pub(super) fn draw_link(&mut self, rng: &mut SplitMix64) {
        self.kinds
            .extend(LINK.into_iter().filter(|_| rng.percent(50)));
    }

    /// Returns whether this kind happens in this seed.
    pub fn has(&self, fault: Fault) -> bool {
        self.kinds.contains(&fault)
    }

    /// Draws whether this kind happens now.
    pub fn strikes(&self, fault: Fault, rng: &mut SplitMix64) -> bool {
        self.has(fault) && rng.percent(self.percent)
    }

    /// Stops every fault from now on.
    pub fn stop(&mut self) {
        self.kinds.clear();
    }

    /// Returns the kinds, for the trace.
    pub fn kinds(&self) -> impl Iterator<Item = Fault> {
        self.kinds.iter().copied()
    }
}
