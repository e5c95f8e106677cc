//! Tables, chains and rules as data, for writing them and for comparing them with
//! what `nft` lists.

/// The name of our tables: one of family `inet`, one of family `bridge`.
pub const TABLE: &str = "maliknode";

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
    pub name: &'static str,
    pub hook: Option<Hook>,
    pub rules: Vec<Rule>,
}
