//! Tables, chains and rules as data, for writing them and for comparing them with
//! what `nft` lists.

use std::borrow::Cow;

/// The name of our tables with the filters: one of family `inet`, one of family
/// `bridge`.
pub const TABLE: &str = "maliknode";

/// The name of our table with the limits, of family `inet`.
pub const LIMITS_TABLE: &str = "maliknode_limits";

/// Our tables: the family and the name of each.
pub const TABLES: [(&str, &str); 3] = [("inet", TABLE), ("inet", LIMITS_TABLE), ("bridge", TABLE)];

/// The place in the kernel where a base chain is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    pub kind: &'static str,
    pub hook: &'static str,
    pub priority: i64,
}

/// A rule, with the comment that identifies it when the table is read back.
#[derive(Clone, Debug)]
pub struct Rule {
    pub text: String,
    pub comment: &'static str,
}

/// A chain. One without a hook is only reached from other chains.
#[derive(Clone, Debug)]
pub struct Chain {
    pub name: Cow<'static, str>,
    pub hook: Option<Hook>,
    pub rules: Vec<Rule>,
}

/// Creates a rule with its comment.
pub(crate) fn rule(text: impl Into<String>, comment: &'static str) -> Rule {
    Rule {
        text: text.into(),
        comment,
    }
}

/// Creates a base chain, which the kernel calls at a hook.
pub(crate) fn base(
    name: impl Into<Cow<'static, str>>,
    kind: &'static str,
    hook: &'static str,
    priority: i64,
    rules: Vec<Rule>,
) -> Chain {
    Chain {
        name: name.into(),
        hook: Some(Hook {
            kind,
            hook,
            priority,
        }),
        rules,
    }
}

/// Creates a chain that other chains call.
pub(crate) fn chain(name: impl Into<Cow<'static, str>>, rules: Vec<Rule>) -> Chain {
    Chain {
        name: name.into(),
        hook: None,
        rules,
    }
}
