//! Keeps the second factor of operators who are owners.

use crate::{
    Result, StoreError, TicketHolder,
    db::{Tx, fetch_optional},
    operators,
};
use domain::OperatorRole;

/// Returns whether the holder is an owner, and lets changes of operators queue if it is an
/// operator.
pub(super) async fn is_owner(tx: &mut Tx, holder: TicketHolder) -> Result<bool> {
    let TicketHolder::Operator(id) = holder else {
        return Ok(false);
    };
    operators::lock(tx).await?;
    let sql = "SELECT role FROM operators WHERE id = $1";
    let row = fetch_optional!(tx.connection(), (String,), sql, id.0)?;
    Ok(row.is_some_and(|(role,)| role == OperatorRole::Owner.as_str()))
}

/// Refuses a change after which an owner has no second factor.
///
/// # Errors
/// Returns [`StoreError::LastFactor`] if an owner has no second factor left.
pub(super) async fn keep_a_factor(tx: &mut Tx, holder: TicketHolder, is_owner: bool) -> Result<()> {
    if !is_owner {
        return Ok(());
    }
    let (user, operator) = holder.columns();
    let sql = "SELECT COUNT(*) FROM factors \
               WHERE (user_id = $1 OR operator_id = $2) AND confirmed_at IS NOT NULL";
    let left = fetch_optional!(tx.connection(), (i64,), sql, user, operator)?;
    match left {
        Some((n,)) if n > 0 => Ok(()),
        _ => Err(StoreError::LastFactor),
    }
}
