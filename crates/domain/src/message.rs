//! What there is to say to a person, as a code and arguments. No words: the
//! crate `texts` renders a [`Message`] at the edges, in the reader's language.
//!
//! There is one list for all of them, so that a code means one thing and a test
//! can compare every code and its arguments with the Fluent files. The arguments
//! hold no secret; a path, a command or the machine's own words are for the
//! operator, who alone reads the messages of problems.

use crate::code::{ErrorCode, is_code};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Map, Value};
use std::fmt;

/// One argument of a message, as it is rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg<'a> {
    /// A name, a path, a command, or what the machine said.
    Text(&'a str),
    /// A count, which Fluent formats and chooses plural forms by.
    Number(u64),
    /// Another message, rendered in its place.
    Message(&'a Message),
    /// A problem, rendered in its place as a tenant reads it: by its code alone.
    Problem(ErrorCode),
}

/// What may be an argument.
trait AsArg {
    fn as_arg(&self) -> Arg<'_>;

    /// Cuts a text after `max` bytes and replaces its line breaks.
    fn cut_arg(&mut self, _max: usize) {}
}

impl AsArg for String {
    fn as_arg(&self) -> Arg<'_> {
        Arg::Text(self)
    }

    fn cut_arg(&mut self, max: usize) {
        self.truncate(self.floor_char_boundary(max));
        if self.contains(char::is_control) {
            *self = self.replace(char::is_control, " ");
        }
    }
}

impl AsArg for u64 {
    fn as_arg(&self) -> Arg<'_> {
        Arg::Number(*self)
    }
}

impl AsArg for Box<Message> {
    fn as_arg(&self) -> Arg<'_> {
        Arg::Message(self)
    }

    fn cut_arg(&mut self, max: usize) {
        self.cut_args(max);
    }
}

impl AsArg for ErrorCode {
    fn as_arg(&self) -> Arg<'_> {
        Arg::Problem(*self)
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

/// A message of any version.
#[derive(Deserialize)]
struct AnyMessage {
    code: String,
    args: Option<Value>,
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let AnyMessage { code, args } = AnyMessage::deserialize(from)?;
        if !is_code(&code) {
            return Err(D::Error::custom("expected the code of a message"));
        }
        let mut known = Map::from_iter([("code".to_owned(), Value::from(code.clone()))]);
        known.extend(args.map(|args| ("args".to_owned(), args)));
        // Another version may have other arguments, too.
        Ok(Self::deserialize(Value::Object(known)).unwrap_or(Self::OtherVersion { code }))
    }
}

/// For logs and for developers: the code and the arguments.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())?;
        for (name, arg) in self.args() {
            match arg {
                Arg::Text(text) => write!(f, " {name}={text:?}")?,
                Arg::Number(number) => write!(f, " {name}={number}")?,
                Arg::Message(message) => write!(f, " {name}=[{message}]")?,
                Arg::Problem(code) => write!(f, " {name}={code}")?,
            }
        }
        Ok(())
    }
}

/// Defines each message's variant, code (the id in the Fluent files, and the name
/// in JSON) and arguments.
macro_rules! messages {
    ($($name:ident $code:literal $({ $($arg:ident: $kind:ty),+ $(,)? })?,)*) => {
        /// What there is to say to a person. As JSON it is
        /// `{"code": "name-taken", "args": {"name": "lina"}}`. One that only another
        /// version has is read as [`OtherVersion`](Message::OtherVersion).
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "code", content = "args", remote = "Self")]
        pub enum Message {
            $(#[serde(rename = $code)] $name $({ $($arg: $kind),+ })?,)*
        }

        impl Message {
            /// Every code with the names of its arguments.
            pub const ALL: &[(&str, &[&str])] = &[$(($code, &[$($(stringify!($arg)),+)?])),*];

            /// Returns the id in the Fluent files.
            pub const fn code(&self) -> &'static str {
                match self { $(Self::$name $({ $($arg: _),+ })? => $code,)* }
            }

            /// Returns the arguments by name.
            pub fn args(&self) -> Vec<(&'static str, Arg<'_>)> {
                match self {
                    $(Self::$name $({ $($arg),+ })? => vec![$($((stringify!($arg), $arg.as_arg())),+)?],)*
                }
            }

            /// Cuts every text after `max` bytes and replaces its line breaks, for a
            /// log that is bounded and has a line for each message.
            #[must_use]
            pub fn cut(mut self, max: usize) -> Self {
                self.cut_args(max);
                self
            }

            fn cut_args(&mut self, max: usize) {
                match self {
                    $(Self::$name $({ $($arg),+ })? => { $($($arg.cut_arg(max);)+)? })*
                }
            }
        }
    };
}

messages! {
    // requests.ftl: What a person reads whose request was refused.
    NotFound "not-found",
    SignedOut "signed-out",
    TicketInvalid "ticket-invalid",
    SignInRefused "sign-in-refused",
    TooManyTries "too-many-tries" { seconds: u64 },
    TooManyTriesMinutes "too-many-tries-minutes" { minutes: u64 },
    SigningInBusy "signing-in-busy",
    InternalError "internal-error" { incident: String },
    Unexpected "unexpected",
    PasswordNotProcessed "password-not-processed" { incident: String },
    NoRandomness "no-randomness" { incident: String },
    StateNotSent "state-not-sent" { incident: String },
    FormIncomplete "form-incomplete",
    ServerStarting "server-starting",
    RequestWithoutContext "request-without-context",
    Verbatim "verbatim" { text: String },

    // api.ftl: What a client of the API reads whose request was refused.
    TokenMissing "token-missing",
    TokenInvalid "token-invalid",
    TokenExpired "token-expired",
    TokenLimit "token-limit" { allowed: u64 },
    TokenNameMalformed "token-name-malformed" { most: u64 },
    TokenDaysRange "token-days-range" { most: u64 },
    AccessReadOnly "access-read-only",
    AccessTenantOnly "access-tenant-only",
    AccessOperatorOnly "access-operator-only",
    RoleReadOnly "role-read-only",
    RoleOwnerOnly "role-owner-only",
    LookReadOnly "look-read-only",
    LookHolderOnly "look-holder-only",
    ChangedMeanwhile "changed-meanwhile",
    PreconditionNeeded "precondition-needed",
    IdempotencyKeyMalformed "idempotency-key-malformed" { most: u64 },
    IdempotencyKeyReused "idempotency-key-reused",
    IdempotencyKeyPending "idempotency-key-pending",
    CursorInvalid "cursor-invalid",
    BodyTooLarge "body-too-large" { most: u64 },
    BodyNotJson "body-not-json",
    BodyUnreadable "body-unreadable" { reason: String },
    QueryUnreadable "query-unreadable" { reason: String },
    TextWithNul "text-with-nul",
    MethodNotAllowed "method-not-allowed",
    OtherOrigin "other-origin",
    AnswerTimedOut "answer-timed-out",
    StreamsOpen "streams-open" { most: u64 },
    CommandLineTokens "command-line-tokens",
    SocketRefused "socket-refused",
    ServerNotRunning "server-not-running",

    // sign-up.ftl: Who may sign up, invitations, reserved names, accounts that sleep.
    SignUpClosed "sign-up-closed",
    InvitationNeeded "invitation-needed",
    InvitationUnknown "invitation-unknown",
    InvitationUsedUp "invitation-used-up",
    InvitationExpired "invitation-expired",
    InvitationRevoked "invitation-revoked",
    InvitationPlanGone "invitation-plan-gone",
    InvitationUses "invitation-uses" { most: u64 },
    InvitationLifetime "invitation-lifetime" { most: u64 },
    InvitationNote "invitation-note" { most: u64 },
    InvitationCount "invitation-count" { most: u64 },
    ReservedBuiltIn "reserved-built-in" { name: String },
    ReservedTooMany "reserved-too-many" { most: u64 },
    DnsAsleep "dns-asleep",
    TenantAsleep "network-asleep" { name: String },
    TenantAwake "network-awake" { name: String },

    // account-security.ftl: Second factors, sessions, presence, links to a new password.
    CodeWrong "code-wrong",
    SecondFactorNeeded "second-factor-needed",
    SignInExpired "sign-in-expired",
    PresenceNeeded "presence-needed",
    ResetInvalid "reset-invalid",
    TotpExists "totp-exists",
    TotpNotBegun "totp-not-begun",
    AccessOwnOnly "access-own-only",
    PasskeyInvalid "passkey-invalid",
    PasskeyUnreadable "passkey-unreadable",
    PasskeyUnknown "passkey-unknown",
    PasskeyOtherHost "passkey-other-host",
    PasskeyCopied "passkey-copied",
    PasskeyUnverified "passkey-unverified",
    PasskeyAlgorithm "passkey-algorithm",
    PasskeyExists "passkey-exists",
    PasskeyLimit "passkey-limit" { most: u64 },
    PasskeyName "passkey-name" { most: u64 },
    SecondFactorRequired "second-factor-required",
    LastFactor "last-factor",

    // mail.ftl: Mail addresses, and what is written to them.
    MailAddressMalformed "mail-address-malformed",
    MailAddressNotAscii "mail-address-not-ascii",
    MailAddressTooLong "mail-address-too-long" { most: u64 },
    MailAddressSame "mail-address-same",
    MailLinkInvalid "mail-link-invalid",
    MailNotSetUp "mail-not-set-up",
    MailGivenUp "mail-given-up" { kind: String, tries: u64, answer: String },
    MailNotTaken "mail-not-taken" { answer: String },
    MailVerifySubject "mail-verify-subject" { name: String },
    MailVerifyText "mail-verify-text" { name: String },
    MailVerifyEnd "mail-verify-end",
    MailResetSubject "mail-reset-subject" { name: String },
    MailResetText "mail-reset-text" { name: String },
    MailResetEnd "mail-reset-end",
    MailAddressSubject "mail-address-subject" { name: String },
    MailAddressText "mail-address-text" { name: String, address: String },
    MailAddressRemoved "mail-address-removed" { name: String },
    MailSignInSubject "mail-sign-in-subject" { name: String },
    MailSignInText "mail-sign-in-text" { name: String, client: String, origin: String },
    MailSignInUnknown "mail-sign-in-unknown" { name: String, origin: String },
    MailChangeSubject "mail-change-subject" { name: String },
    MailChangeText "mail-change-text" { name: String, change: Box<Message>, origin: String },
    MailChangeUnknown "mail-change-unknown" { name: String, change: Box<Message> },
    MailChangedPassword "mail-changed-password",
    MailChangedFactorAdded "mail-changed-factor-added",
    MailChangedFactorRemoved "mail-changed-factor-removed",
    MailChangedRecoveryCodes "mail-changed-recovery-codes",
    MailChangedTokenMade "mail-changed-token-made",
    MailQuotaWarnedSubject "mail-quota-warned-subject" { name: String, percent: u64 },
    MailQuotaWarnedText "mail-quota-warned-text" { name: String, percent: u64 },
    MailQuotaReachedSubject "mail-quota-reached-subject" { name: String },
    MailQuotaReachedText "mail-quota-reached-text" { name: String },
    MailQuotaEnd "mail-quota-end",
    MailTestSubject "mail-test-subject",
    MailTestText "mail-test-text",
    MailNotYou "mail-not-you",
    MailFooter "mail-footer" { host: String },
    CheckMail "check-mail",
    MailServerReady "mail-server-ready" { server: String },
    MailServerRefused "mail-server-refused" { server: String, reason: String },
    FixMail "fix-mail",

    // accounts.ftl: Names, passwords, plans and accounts.
    NameEmpty "name-empty",
    NameTooLong "name-too-long",
    NameTooShort "name-too-short",
    NameCharacters "name-characters",
    NameHyphen "name-hyphen",
    NameThirdHyphens "name-third-hyphens",
    NameReserved "name-reserved" { name: String },
    NameTaken "name-taken" { name: String },
    NameInUse "name-in-use",
    PasswordTooLong "password-too-long",
    PasswordTooShort "password-too-short",
    PasswordGuessable "password-guessable",
    PlanNotChosen "plan-not-chosen",
    PlanUnknown "plan-unknown",
    PlanIdMalformed "plan-id-malformed" { most: u64 },
    PlanNameMalformed "plan-name-malformed" { most: u64 },
    PlanDevicesRange "plan-devices-range" { most: u64 },
    PlanDataRange "plan-data-range",
    PlanSpeedRange "plan-speed-range",
    PlanNotSlower "plan-not-slower",
    PlanDayRange "plan-day-range",
    PlanTaken "plan-taken",
    PlanInUse "plan-in-use" { tenants: u64 },
    AtLimitUnknown "at-limit-unknown",
    TimeZoneUnknown "time-zone-unknown",
    SignUpsFull "sign-ups-full",
    CreatedWithoutTicket "created-without-ticket" { name: String },
    AccountNameWrong "account-name-wrong" { name: String },
    TenantUnknown "tenant-unknown" { name: String },
    OperatorUnknown "operator-unknown" { name: String },

    // operators.ftl: Operators, their roles, and what is recorded of what people do.
    OperatorNameTaken "operator-name-taken",
    OperatorNameMalformed "operator-name-malformed" { most: u64 },
    OperatorLinkInvalid "operator-link-invalid",
    OperatorsExist "operators-exist",
    LastOwner "last-owner",
    RoleUnknown "role-unknown",
    OperatorAddress "operator-address",
    AuditTimeMalformed "audit-time-malformed",
    AuditFormatUnknown "audit-format-unknown",

    // devices.ftl: Devices, their labels and choices.
    LabelTooLong "label-too-long",
    LabelControl "label-control",
    LabelEmpty "label-empty",
    LabelInvisible "label-invisible",
    LabelTaken "label-taken",
    RoutingUnknown "routing-unknown",
    PolicyUnknown "policy-unknown",
    SwitchUnknown "switch-unknown",
    DeviceKeyTaken "device-key-taken",
    DeviceNotSaved "device-not-saved",
    DeviceLimit "device-limit" { allowed: u64 },
    DeviceKeyUnknown "device-key-unknown",
    DeviceNotCutOff "device-not-cut-off" { label: String },

    // configuration.ftl: Settings that cannot be used. The text before the colon is the setting.
    AddressesTunnelsSmall "addresses-tunnels-small" { range: String },
    AddressesContainersSmall "addresses-containers-small" { range: String },
    AddressesOverlap "addresses-overlap" { tunnels: String, containers: String },
    BridgeName "bridge-name",
    FirewallLimit "firewall-limit" { name: String, least: u64, most: u64 },
    DatabaseUrl "database-url",

    // node.ftl: The node and its tenants' parts.
    NetworkSuspended "network-suspended",
    DnsRestarting "dns-restarting",
    DnsSilent "dns-silent",
    DnsKeepsEnding "dns-keeps-ending",
    DnsDiskFull "dns-disk-full",
    DnsDiskHeld "dns-disk-held",
    DnsAbsent "dns-absent",
    DnsStarting "dns-starting",
    DnsUnanswered "dns-unanswered",
    DnsNotReady "dns-not-ready" { problem: ErrorCode },
    MachineCallPanicked "machine-call-panicked",
    MachineCallTimedOut "machine-call-timed-out" { seconds: u64 },
    TenantChanged "tenant-changed",
    TenantLeft "tenant-left",
    NotReadYet "not-read-yet",
    SpecOlder "spec-older" { found: u64, current: u64 },
    NodeUnknown "node-unknown",
    TenantDataUnreadable "tenant-data-unreadable" { name: String, slot: u64, place: String },
    CheckpointDamaged "checkpoint-damaged" { path: String },
    CheckpointNewer "checkpoint-newer" { path: String },
    CheckpointUnreadable "checkpoint-unreadable" { path: String },
    CheckpointNotSealed "checkpoint-not-sealed",
    CheckpointReadFailed "checkpoint-read-failed",
    CheckpointAbsent "checkpoint-absent",
    MemoryUnmeasured "memory-unmeasured" { reason: Box<Message> },
    MemoryReadTimedOut "memory-read-timed-out" { seconds: u64 },
    NodeFullSlots "node-full-slots",
    NodeFullLimit "node-full-limit",
    NodeFullMemory "node-full-memory",
    NodeFullDisk "node-full-disk",
    DiskLow "disk-low" { percent: u64 },
    FileSystemUnread "file-system-unread" { path: String },
    ResourcesUnmeasured "resources-unmeasured",
    ResourceReadTimedOut "resource-read-timed-out" { seconds: u64 },

    // workers.ftl: Machines of their own that hold tunnels, and how they join.
    WorkerSilent "worker-silent" { seconds: u64 },
    WorkerUnreachable "worker-unreachable",
    WorkerCopied "worker-copied" { address: String },
    OtherVersion "other-version" { code: String },
    WorkerForeignTenant "worker-foreign-tenant" { name: String },
    WorkerCertificateMissing "worker-certificate-missing",
    WorkerCertificateExpired "worker-certificate-expired" { days: u64 },
    WorkerCertificateRefused "worker-certificate-refused",
    WorkerRequestDamaged "worker-request-damaged",
    WorkerAnswerDamaged "worker-answer-damaged",
    JoinTokenMalformed "join-token-malformed",
    AuthorityOther "authority-other",
    CertificateForeign "certificate-foreign",
    CertificateUnreadable "certificate-unreadable",
    CertificateNotMade "certificate-not-made",
    CertificateRequestInvalid "certificate-request-invalid",
    NodeKeyUnreadable "node-key-unreadable",
    NodeKeyOther "node-key-other",
    ControlPlaneAddress "control-plane-address" { address: String },
    ControlPlaneUnreachable "control-plane-unreachable" { address: String, reason: String },
    ControlPlaneSilent "control-plane-silent" { address: String },
    ControlPlaneProtocol "control-plane-protocol" { address: String },
    ControlPlaneBroken "control-plane-broken" { address: String },
    ControlPlaneAnswer "control-plane-answer" { address: String },
    ControlPlaneNotHeard "control-plane-not-heard",
    WorkerAlreadyJoined "worker-already-joined" { node: u64, path: String },
    WorkerNotJoined "worker-not-joined" { path: String },
    WorkerRootServes "worker-root-serves" { path: String },
    WorkerDoesNotServe "worker-does-not-serve" { path: String },
    LocalNodeIsWorker "local-node-is-worker",
    ControlPlaneHasNode "control-plane-has-node" { address: String },
    ControlPlanesBeside "control-planes-beside" { address: String },
    WorkerNeedsRoot "worker-needs-root",
    WorkerIdentityDamaged "worker-identity-damaged" { path: String, reason: String },
    CheckLink "check-link",
    LinkWorks "link-works" { addresses: String },
    LinkPartly "link-partly" { addresses: String, reason: Box<Message> },
    FixLink "fix-link",
    CheckCertificate "check-certificate",
    CertificateValid "certificate-valid" { node: u64, days: u64 },
    CertificateDue "certificate-due" { node: u64, days: u64 },
    CertificateExpired "certificate-expired" { node: u64, days: u64 },
    FixCertificate "fix-certificate",
    CheckClocks "check-clocks",
    ClocksAgree "clocks-agree" { seconds: u64 },
    ClocksDiffer "clocks-differ" { seconds: u64 },

    // nodes.ftl: Workers: how they join, what the operator may do with them, and what is wrong.
    NodeNameMalformed "node-name-malformed",
    NodeNameTaken "node-name-taken" { name: String },
    NodeNameWrong "node-name-wrong" { name: String },
    NodeHostMalformed "node-host-malformed",
    NodeHostUnknown "node-host-unknown",
    NodeHostLocal "node-host-local",
    NodeHasTenants "node-has-tenants" { tenants: u64 },
    NodeIsLocal "node-is-local",
    NodeIsRevoked "node-is-revoked",
    NodeNotFound "node-not-found" { name: String },
    NodeNeverHeard "node-never-heard",
    NodeRevokedServes "node-revoked-serves" { tenants: u64 },
    NodeOffline "node-offline",
    WorkersNeedPostgres "workers-need-postgres",
    WorkersNoAddress "workers-no-address",
    JoinTokenUnknown "join-token-unknown",
    JoinTokenUsed "join-token-used",
    JoinTokenExpired "join-token-expired",
    RenewalOtherKey "renewal-other-key",
    RenewalTooLate "renewal-too-late" { days: u64 },
    MoveSameNode "move-same-node" { name: String },
    MovePending "move-pending" { name: String },
    MoveUnknown "move-unknown" { name: String },
    MoveNowhere "move-nowhere" { slot: u64 },
    MoveSlotTaken "move-slot-taken" { node: String, slot: u64 },
    MoveTargetClosed "move-target-closed" { node: String },
    MoveTargetFull "move-target-full" { node: String },
    MoveTargetSilent "move-target-silent" { node: String },
    MoveWaits "move-waits" { name: String },
    NodeNotLost "node-not-lost" { name: String },
    NodesStarting "nodes-starting" { seconds: u64 },
    ControlPlaneWithoutAddress "control-plane-without-address" { id: String },
    ControlPlanesWithOneAddress "control-planes-with-one-address" { address: String },
    EndpointNamesOff "endpoint-names-off",
    EndpointNamesBehind "endpoint-names-behind" { pending: u64, reason: Box<Message> },
    NameServerUnreachable "name-server-unreachable" { server: String, error: String },
    NameServerTimedOut "name-server-timed-out" { server: String, seconds: u64 },
    NameServerUnusable "name-server-unusable" { server: String, reason: String },
    NameServerRefuses "name-server-refuses" { server: String, code: String },
    NameServerRecord "name-server-record" { name: String },
    CheckNameServer "check-name-server",
    NameServerReady "name-server-ready" { server: String, domain: String },
    FixNameServer "fix-name-server",
    CheckControlPlanes "check-control-planes",
    ControlPlanesFound "control-planes-found" { count: u64 },
    FixOwnAddress "fix-own-address",
    CopyUnsupported "copy-unsupported",
    CopyTenantAbsent "copy-tenant-absent",
    CopyTenantPresent "copy-tenant-present",
    CopyBusy "copy-busy",
    CopyNotStopped "copy-not-stopped",
    CopyDamaged "copy-damaged",
    CopyTooLarge "copy-too-large" { mebibytes: u64 },
    CopyTooSlow "copy-too-slow" { minutes: u64 },
    CopyBroken "copy-broken",

    // machine.ftl: The machine's disk and memory.
    DiskReadFailed "disk-read-failed" { path: String },
    DiskWriteFailed "disk-write-failed" { path: String },
    DiskRemoveFailed "disk-remove-failed" { path: String },
    FolderNotMade "folder-not-made" { path: String },
    FolderNotClosed "folder-not-closed" { path: String },
    FolderNameForeign "folder-name-foreign" { folder: String },
    DiskWorkInterrupted "disk-work-interrupted",
    MeminfoUnreadable "meminfo-unreadable" { path: String },
    MeminfoIncomplete "meminfo-incomplete" { path: String },
    ContainerMemoryUnknown "container-memory-unknown",
    MemoryReadBrokeOff "memory-read-broke-off",

    // docker.ftl: Docker, its containers, networks and images.
    DockerNotLocal "docker-not-local" { host: String, example: String },
    DockerTimedOut "docker-timed-out" { seconds: u64 },
    DockerNotPermitted "docker-not-permitted" { socket: String },
    DockerDown "docker-down",
    DockerVersionUnknown "docker-version-unknown",
    DockerContainersUnlisted "docker-containers-unlisted",
    DockerNetworksUnlisted "docker-networks-unlisted",
    DockerImageUninspected "docker-image-uninspected",
    DockerContainerUninspected "docker-container-uninspected" { name: String },
    DockerDnsContainerUninspected "docker-dns-container-uninspected",
    ContainerForeign "container-foreign" { name: String },
    ContainerAddressTaken "container-address-taken" { name: String, address: String },
    ContainerDiskFull "container-disk-full",
    ContainerFolderMissing "container-folder-missing" { name: String },
    ContainerNotStarted "container-not-started" { name: String },
    ContainerNotRemoved "container-not-removed" { id: String },
    ContainerRemovalUnfinished "container-removal-unfinished" { id: String },
    ContainerOfOtherSpec "container-of-other-spec" { name: String },
    ContainerContended "container-contended" { name: String },
    ImageMissing "image-missing" { image: String },
    ImageNotPulled "image-not-pulled" { image: String, reason: Box<Message> },
    PullSentNothing "pull-sent-nothing",
    PullAbsent "pull-absent",
    PullLimited "pull-limited",
    PullDiskFull "pull-disk-full",
    PullUnreachable "pull-unreachable",
    NetworkOverlaps "network-overlaps" { name: String, range: String, ours: String },
    NetworkRangeTaken "network-range-taken" { range: String },
    NetworkBridgeTaken "network-bridge-taken" { bridge: String },
    NetworkNotCreated "network-not-created" { name: String },
    NetworkForeign "network-foreign" { name: String },
    NetworkDiffers "network-differs" { name: String, difference: Box<Message> },
    NetworkOtherRange "network-other-range",
    NetworkOtherBridge "network-other-bridge",
    NetworkOtherSettings "network-other-settings",

    // firewall.ftl: nftables and iptables.
    ProgramMissing "program-missing" { program: String, package: String },
    ProgramNotRun "program-not-run" { program: String },
    ProgramTimedOut "program-timed-out" { program: String, seconds: u64 },
    FirewallNotPermitted "firewall-not-permitted",
    FirewallContended "firewall-contended",
    FirewallUnsupported "firewall-unsupported",
    FirewallRulesRefused "firewall-rules-refused" { program: String },
    FirewallListingUnreadable "firewall-listing-unreadable",
    ForwardingOff "forwarding-off",

    // shaping.ftl: Speed limits by traffic control. Speeds are in bits per second.
    SpeedOutOfRange "speed-out-of-range" { speed: u64, lowest: u64, highest: u64 },
    ShapingNotPermitted "shaping-not-permitted",
    ShapingUnsupported "shaping-unsupported",
    ShapingInterfaceGone "shaping-interface-gone" { interface: String },
    ShapingContended "shaping-contended",
    ShapingRefused "shaping-refused" { program: String },
    ShapingLinkFailed "shaping-link-failed" { interface: String, reason: String },
    ShapingListingUnreadable "shaping-listing-unreadable",
    ConnectionsNotPermitted "connections-not-permitted",
    ConnectionsUnsupported "connections-unsupported",
    ConnectionsUnreadable "connections-unreadable",

    // wireguard.ftl: Tunnels, the kernel's and our own. An action stands behind "may not", "could not".
    WireguardNotPermitted "wireguard-not-permitted" { action: Box<Message> },
    WireguardFailed "wireguard-failed" { action: Box<Message>, reason: String },
    WireguardTimedOut "wireguard-timed-out" { action: Box<Message> },
    ActionCreateInterfaces "action-create-interfaces",
    ActionReadInterfaces "action-read-interfaces",
    ActionReadCounters "action-read-counters",
    ActionCreateInterface "action-create-interface" { interface: String },
    ActionChangeInterface "action-change-interface" { interface: String },
    ActionChangeDevices "action-change-devices" { interface: String },
    ActionRemoveInterface "action-remove-interface" { interface: String },
    ActionBringUp "action-bring-up" { interface: String },
    ActionStartHelper "action-start-helper",
    UdpPortTaken "udp-port-taken" { port: u64, interface: String },
    InterfaceForeign "interface-foreign" { interface: String },
    InterfaceAbsent "interface-absent" { interface: String },
    KernelWireguardMissing "kernel-wireguard-missing",
    TunUnusable "tun-unusable" { path: String, reason: String },
    WireguardUndetected "wireguard-undetected",
    HelperNotStarted "helper-not-started" { reason: String, log: String },
    HelperSilent "helper-silent",
    HelperDoesNotStop "helper-does-not-stop",
    HelperNotStopped "helper-not-stopped",
    HelperOtherVersion "helper-other-version",
    HelperFailed "helper-failed",
    HelperSlow "helper-slow",
    HelperOtherAnswer "helper-other-answer",
    HelperBadKey "helper-bad-key",
    HelperKeyMalformed "helper-key-malformed",
    HelperRequestUnreadable "helper-request-unreadable" { reason: String },
    WireguardConfigured "wireguard-configured",
    WireguardInKernel "wireguard-in-kernel",
    WireguardNotInKernel "wireguard-not-in-kernel",

    // adguard.ftl: AdGuard Home and the block lists.
    HttpClientFailed "http-client-failed",
    TlsUnavailable "tls-unavailable",
    AdguardPasswordRefused "adguard-password-refused" { path: String },
    AdguardNotYet "adguard-not-yet",
    AdguardSlow "adguard-slow",
    AdguardRefused "adguard-refused",
    AdguardDevicesSlow "adguard-devices-slow",
    ListUnreachable "list-unreachable" { list: String, host: String },
    ListAnswered "list-answered" { list: String, host: String, status: u64 },
    ListRejected "list-rejected" { list: String, reason: Box<Message> },
    ListNotWritten "list-not-written" { list: String },
    ListNotCopied "list-not-copied" { list: String, path: String },
    ListEmpty "list-empty",
    ListHtml "list-html",
    ListBinary "list-binary",
    ListLongLine "list-long-line",
    ListNoRules "list-no-rules",
    ListTooLarge "list-too-large",

    // database.ftl: The database and its key file.
    DatabaseAway "database-away",
    DatabaseDisk "database-disk",
    SchemaNewer "schema-newer" { found: u64, known: u64 },
    SchemaNotMigrated "schema-not-migrated" { reason: String },
    PoolerOfTransactions "pooler-of-transactions",
    SealKeyOther "seal-key-other",
    SealKeyUnusable "seal-key-unusable" { path: String, reason: String },
    SealKeyOpen "seal-key-open" { path: String, mode: String },
    SealKeyMalformed "seal-key-malformed" { path: String },
    DatabaseMoved "database-moved" { path: String, file: String },
    DatabaseInUse "database-in-use" { path: String },
    CopySourceMissing "copy-source-missing" { path: String },
    CopySourceBusy "copy-source-busy" { path: String },
    CopyNulCharacter "copy-nul-character" { place: String },
    CopyValueUnreadable "copy-value-unreadable" { place: String },
    CopyTargetAddress "copy-target-address",
    CopyTargetUnreachable "copy-target-unreachable" { target: String },
    CopyTargetRefused "copy-target-refused" { target: String, user: String },
    CopyTargetUnknown "copy-target-unknown" { target: String, database: String, user: String },
    CopyTargetNotPermitted "copy-target-not-permitted" { target: String, database: String, user: String },
    CopyTargetReadOnly "copy-target-read-only" { target: String },
    CopyTargetEncoding "copy-target-encoding" { target: String, encoding: String, user: String },
    CopyTargetNotEmpty "copy-target-not-empty" { target: String, table: String },
    CopyTargetBusy "copy-target-busy" { target: String },
    CopyTargetDiskFull "copy-target-disk-full" { target: String },
    CopyTargetFailed "copy-target-failed" { target: String },
    CopyTargetSchema "copy-target-schema" { reason: Box<Message> },
    CopySchemaDiffers "copy-schema-differs" { object: String },
    CopyDiffers "copy-differs" { table: String },

    // events.ftl: The event log as the operator reads it.
    DriftInterfaceGone "drift-interface-gone" { name: String, interface: String },
    DriftKeyChanged "drift-key-changed" { name: String, interface: String },
    DriftPortChanged "drift-port-changed" { name: String, interface: String, port: u64 },
    DriftInterfaceDown "drift-interface-down" { name: String, interface: String },
    DriftAddressChanged "drift-address-changed" { name: String, interface: String },
    DriftPeersChanged "drift-peers-changed" { name: String, interface: String, unexpected: u64, missing: u64 },
    DriftRulesGone "drift-rules-gone",
    DriftElementsChanged "drift-elements-changed" { name: String },
    DriftImageGone "drift-image-gone",
    DriftContainerGone "drift-container-gone" { name: String },
    DriftContainerStopped "drift-container-stopped" { name: String },
    DriftContainerPaused "drift-container-paused" { name: String },
    DriftConfChanged "drift-conf-changed" { name: String, interface: String },
    DriftKeysDamaged "drift-keys-damaged" { name: String },
    DriftFolderGone "drift-folder-gone" { name: String },
    DriftDnsConfGone "drift-dns-conf-gone" { name: String },
    DriftClientsChanged "drift-clients-changed" { name: String, missing: u64, unexpected: u64 },
    DriftStatisticsDamaged "drift-statistics-damaged" { name: String },
    DriftQueryLogDamaged "drift-query-log-damaged" { name: String },
    DriftListsDamaged "drift-lists-damaged" { name: String },
    DriftDnsConfDamaged "drift-dns-conf-damaged" { name: String },
    DriftDnsPasswordChanged "drift-dns-password-changed" { name: String },
    DriftLookupsAway "drift-lookups-away" { name: String },
    DriftLookupsBack "drift-lookups-back" { name: String },
    FirewallPartFailed "firewall-part-failed" { name: String, reason: Box<Message> },
    FirewallPartBack "firewall-part-back" { name: String },
    TunnelPartFailed "tunnel-part-failed" { name: String, reason: Box<Message> },
    TunnelPartBack "tunnel-part-back" { name: String },
    DnsPartFailed "dns-part-failed" { name: String, reason: Box<Message> },
    DnsPartBack "dns-part-back" { name: String },
    NodeProblemOver "node-problem-over" { problem: Box<Message> },
    QuotaWarned "quota-warned" { name: String, percent: u64, until: String },
    QuotaSlowed "quota-slowed" { name: String, until: String },
    QuotaStopped "quota-stopped" { name: String, until: String },
    QuotaReset "quota-reset" { name: String },
    TenantMoved "tenant-moved" { name: String, from: String, to: String },
    TenantMovedWithData "tenant-moved-with-data" { name: String, from: String, to: String, mebibytes: u64 },
    MoveFailed "move-failed" { name: String, reason: Box<Message> },
    DiskUseTrimmed "disk-use-trimmed" { name: String, mebibytes: u64 },
    DiskUseFull "disk-use-full" { name: String, mebibytes: u64, limit: u64 },
    DiskUseHeld "disk-use-held" { name: String },
    DiskUseBack "disk-use-back" { name: String },
    DiskUseLists "disk-use-lists" { name: String },
    EventsLost "events-lost" { count: u64 },
    DatabaseRestored "database-restored" { tenants: u64, devices: u64 },

    // doctor_network.ftl: What `maliknode doctor` finds of firewalls, links, engines, endpoints and proxies.
    CheckHostFirewall "check-host-firewall",
    HostFirewallOpen "host-firewall-open",
    HostFirewallShut "host-firewall-shut" { by: String, place: String, port: u64, slot: u64 },
    FixHostFirewall "fix-host-firewall" { command: String },
    CheckMtu "check-mtu",
    MtuFits "mtu-fits" { uplink: u64, tunnel: u64 },
    UplinkAbsent "uplink-absent",
    UplinkSmall "uplink-small" { uplink: u64 },
    FixUplinkSmall "fix-uplink-small",
    TunnelsLarger "tunnels-larger" { largest: u64, uplink: u64, tunnel: u64 },
    FixTunnelsLarger "fix-tunnels-larger",
    CheckIpv6 "check-ipv6",
    Ipv6Off "ipv6-off",
    Ipv6Local "ipv6-local",
    Ipv6NotForwarded "ipv6-not-forwarded",
    Ipv6Forwarded "ipv6-forwarded",
    Ipv6RouteEnds "ipv6-route-ends",
    CheckEndpoint "check-endpoint",
    EndpointOwn "endpoint-own" { host: String, addresses: String },
    EndpointElsewhere "endpoint-elsewhere" { host: String, address: String },
    FixEndpointElsewhere "fix-endpoint-elsewhere",
    EndpointCdn "endpoint-cdn" { host: String, address: String },
    FixEndpointCdn "fix-endpoint-cdn",
    EndpointLoopback "endpoint-loopback" { host: String, address: String },
    FixEndpoint "fix-endpoint",
    EndpointUnresolved "endpoint-unresolved" { host: String },
    CheckDockerKind "check-docker-kind",
    DockerSuits "docker-suits",
    DockerRootless "docker-rootless",
    FixDockerRootless "fix-docker-rootless",
    DockerRemapsUsers "docker-remaps-users",
    FixDockerRemapsUsers "fix-docker-remaps-users",
    DockerSnap "docker-snap" { path: String },
    DockerMemoryUnlimited "docker-memory-unlimited",
    FixDockerMemory "fix-docker-memory",
    DockerNftables "docker-nftables",
    FixDockerNftables "fix-docker-nftables" { mark: String },
    CheckHandshakes "check-handshakes",
    HandshakesNone "handshakes-none",
    HandshakesSeen "handshakes-seen" { devices: u64 },
    HandshakesNever "handshakes-never" { devices: u64 },
    HandshakesMissing "handshakes-missing" { devices: u64, first: String },
    FixHandshakesNever "fix-handshakes-never",
    FixHandshakesMissing "fix-handshakes-missing",

    // doctor.ftl: What `maliknode doctor` finds: the names of its checks, the findings, and how to fix them.
    CheckRights "check-rights",
    CheckFolders "check-folders",
    CheckDisk "check-disk",
    CheckWireguard "check-wireguard",
    CheckTun "check-tun",
    CheckNft "check-nft",
    CheckForwarding "check-forwarding",
    CheckConnections "check-connections",
    CheckBoot "check-boot",
    CheckDocker "check-docker",
    CheckImage "check-image",
    CheckDockerNetworks "check-docker-networks",
    CheckMemory "check-memory",
    CheckWatches "check-watches",
    CheckAddresses "check-addresses",
    CheckHttpPort "check-http-port",
    CheckProxies "check-proxies",
    CheckUdpPorts "check-udp-ports",
    CheckReservedPorts "check-reserved-ports",
    CheckDatabase "check-database",
    CheckBlockLists "check-block-lists",
    CheckPages "check-pages",
    CheckTime "check-time",
    CreatedAtFirstStart "created-at-first-start" { path: String },
    RightsRoot "rights-root",
    RightsWithoutCapability "rights-without-capability",
    RightsCapability "rights-capability",
    RightsMissing "rights-missing",
    FixCapability "fix-capability",
    FolderUnreadable "folder-unreadable" { path: String, reason: String },
    FolderIsFile "folder-is-file" { path: String },
    FoldersClosed "folders-closed" { path: String },
    FolderOpen "folder-open" { path: String, mode: String },
    FixRoot "fix-root",
    ClockBehind "clock-behind",
    ClockPlausible "clock-plausible",
    RootAbsent "root-absent",
    DiskUnread "disk-unread" { reason: String },
    DiskFree "disk-free" { mebibytes: u64, path: String },
    DiskFull "disk-full" { mebibytes: u64, path: String },
    DiskReadOnly "disk-read-only" { path: String },
    FixDiskFull "fix-disk-full" { path: String },
    FixDiskReadOnly "fix-disk-read-only" { path: String },
    WireguardChosen "wireguard-chosen" { implementation: String, reason: Box<Message> },
    FixWireguard "fix-wireguard",
    TunExists "tun-exists",
    TunClosed "tun-closed" { reason: String },
    NftInForce "nft-in-force" { tenants: u64 },
    NftReady "nft-ready",
    FixConfiguration "fix-configuration",
    FixNft "fix-nft",
    ForwardingIsOn "forwarding-is-on",
    ForwardingIsOff "forwarding-is-off",
    ConnectionsEnough "connections-enough" { entries: u64, max: u64 },
    ConnectionsFew "connections-few" { max: u64, wanted: u64 },
    ConnectionsLong "connections-long" { settings: u64 },
    BootTableFirst "boot-table-first",
    BootTableLate "boot-table-late",
    FixDocker "fix-docker",
    ImagePresent "image-present" { image: String, filters: u64 },
    ImageAbsent "image-absent" { image: String },
    FixImage "fix-image" { image: String },
    MemoryUnreadable "memory-unreadable" { available: String, total: String, reason: Box<Message> },
    MemoryTenants "memory-tenants" { available: String, total: String, reserve: String, each: Box<Message>, fits: Box<Message> },
    MemoryEachEstimated "memory-each-estimated" { each: String },
    MemoryEachMeasured "memory-each-measured" { each: String, tenants: u64 },
    MemoryFitsNone "memory-fits-none" { running: u64 },
    MemoryFitsAll "memory-fits-all",
    MemoryFitsMore "memory-fits-more" { more: u64, running: u64 },
    FixMemory "fix-memory",
    FixMemoryUnread "fix-memory-unread",
    FixMemoryUnmeasured "fix-memory-unmeasured",
    WatchesUnlimited "watches-unlimited",
    WatchesEnough "watches-enough" { limit: u64, filters: u64 },
    WatchesFew "watches-few" { limit: u64, filters: u64, tenants: u64 },
    AddressesFree "addresses-free" { tunnels: String, containers: String },
    AddressesClash "addresses-clash" { range: String, interface: String, ours: String },
    FixAddresses "fix-addresses",
    HttpPortFree "http-port-free" { address: String },
    HttpPortOurs "http-port-ours" { address: String },
    HttpPortTaken "http-port-taken" { address: String },
    HttpPortRefused "http-port-refused" { address: String, reason: String },
    FixHttpPortTaken "fix-http-port-taken" { port: u64 },
    FixHttpPort "fix-http-port",
    ProxiesNone "proxies-none",
    ProxiesTrusted "proxies-trusted" { proxies: String },
    FixProxies "fix-proxies",
    UdpPortsFree "udp-ports-free",
    UdpPortsTaken "udp-ports-taken" { count: u64, first: u64 },
    FixUdpPorts "fix-udp-ports" { port: u64 },
    PortsReserved "ports-reserved",
    PortsUnreserved "ports-unreserved",
    SealKeyAbsent "seal-key-absent" { path: String },
    FixSealKeyAbsent "fix-seal-key-absent",
    DatabaseAnswers "database-answers" { kind: String, tenants: u64, devices: u64, sessions: u64, entries: u64 },
    DatabaseSlow "database-slow" { seconds: u64 },
    FixDatabase "fix-database",
    ListsFetched "lists-fetched" { lists: u64, rules: u64 },
    ListsOld "lists-old" { lists: String },
    FixLists "fix-lists",
    FixSeeLog "fix-see-log",
    PagesPresent "pages-present" { path: String },
    PagesAbsent "pages-absent" { path: String },
    FixPages "fix-pages",
    ProxyUntrusted "proxy-untrusted",
    SchemeWithoutTls "scheme-without-tls" { base: String },
    SchemeBehindTls "scheme-behind-tls",
    CheckScheme "check-scheme",
    SchemeSuits "scheme-suits" { scheme: String },
    FixScheme "fix-scheme",
}

#[cfg(test)]
mod tests;
