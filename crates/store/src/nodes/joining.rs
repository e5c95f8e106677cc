//! How a machine becomes a node: with a join token that works once, in the transaction
//! that makes the node's row. And how its certificate is renewed.
//!
//! An answer may be lost on its way to the worker. So a machine may use its token again
//! with the same key, and a certificate that was renewed is accepted until the new one
//! was used once. After that the former is a copied disk's, and is refused.

use super::registry::{lock, stored_version, write_change, write_entry};
use crate::{
    Result, Store, StoreError, TokenHash,
    audit::Actor,
    db::{Tx, execute, fetch_optional},
};
use domain::{NodeHost, NodeId, NodeName, Secret, Timestamp};

/// The number of ids that are tried while other machines join at the same time.
const MAX_ATTEMPTS: u32 = 100;

/// A join token to store.
#[derive(Clone, Debug)]
pub struct NewJoinToken<'a> {
    /// Its public part.
    pub id: &'a str,
    pub secret: &'a Secret,
    /// The worker that may join again with it, with a new key; `None` for a new one.
    pub node: Option<NodeId>,
    /// Whether that may be the local node, which is a worker from then on.
    pub may_be_local: bool,
    pub actor: Actor<'a>,
    pub now: Timestamp,
    pub expires: Timestamp,
}

/// A machine that joins.
#[derive(Clone, Debug)]
pub struct JoiningNode {
    /// The public part of its token.
    pub token: String,
    pub secret: Secret,
    pub name: NodeName,
    pub host: NodeHost,
    /// The version of its program.
    pub version: String,
    pub now: Timestamp,
}

/// What is stored of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// The serial number, in hexadecimal digits.
    pub serial: String,
    /// The key that it certifies: base64 of the SubjectPublicKeyInfo.
    pub public_key: String,
    pub expires: Timestamp,
}

/// A token as it is found.
#[derive(sqlx::FromRow)]
struct TokenRow {
    expires_at: i64,
    used_at: Option<i64>,
    node_id: Option<i64>,
    created_by: String,
}

impl Store {
    /// Stores a join token's hash.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the node that may join again does not exist,
    /// and [`StoreError::NodeIsLocal`] for the local one, unless it may join.
    pub async fn create_join_token(&self, new: NewJoinToken<'_>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let object = match new.node {
            Some(node) => {
                let found = lock(&mut tx, node).await?;
                if !found.is_worker() && !new.may_be_local {
                    return Err(StoreError::NodeIsLocal);
                }
                found.name
            }
            None => String::new(),
        };
        let sql = "INSERT INTO node_tokens (id, secret_hash, expires_at, node_id, created_by) \
                   VALUES ($1, $2, $3, $4, $5)";
        execute!(
            tx.connection(),
            sql,
            new.id,
            TokenHash::of(new.secret).as_str(),
            new.expires.0,
            new.node.map(|n| n.0),
            new.actor.name
        )?;
        let detail = format!("token {}", new.id);
        write_entry(&mut tx, new.now, new.actor, "node.token", &object, detail).await?;
        tx.commit().await
    }

    /// Uses a join token: makes the node's row, or that of the worker that joins again,
    /// with the certificate that `issue` makes for its id. All or nothing: if `issue`
    /// fails, the token can be used again.
    ///
    /// # Errors
    /// Returns [`StoreError::JoinTokenUnknown`], [`StoreError::JoinTokenUsed`],
    /// [`StoreError::JoinTokenExpired`], [`StoreError::NodeNameTaken`], and what `issue`
    /// returns.
    pub async fn join_node<T, E: From<StoreError>>(
        &self,
        joining: JoiningNode,
        issue: impl FnOnce(NodeId) -> std::result::Result<(CertificateRecord, T), E> + Send,
    ) -> std::result::Result<(NodeId, T), E> {
        let mut tx = self.db.begin().await?;
        let token = claim(&mut tx, &joining).await?;
        let is_retry = token.used_at.is_some();
        let node = match token.node_id {
            Some(node) => NodeId(node),
            None if is_retry => return Err(StoreError::JoinTokenUsed.into()),
            None => insert(&mut tx, &joining).await?,
        };
        // A machine that joins again may have another host.
        let sql = "SELECT host FROM nodes WHERE id = $1";
        let former = match token.node_id {
            Some(_) => fetch_optional!(tx.connection(), (Option<String>,), sql, node.0)?,
            None => None,
        };
        let former = former.and_then(|(host,)| host).unwrap_or_default();
        let (certificate, value) = issue(node)?;
        if is_retry {
            let same = check_same_key(&mut tx, node, &certificate).await;
            same.map_err(|_| StoreError::JoinTokenUsed)?;
        }
        let sql = "UPDATE nodes SET host = $2, state = CASE state WHEN 'revoked' THEN 'open' \
                     ELSE state END, \
                   certificate_serial = $3, previous_serial = NULL, certificate_expires = $4, \
                   public_key = $5, joined_at = $6, version = $7, last_heard = NULL \
                   WHERE id = $1 AND state <> 'removed' RETURNING name";
        let name: Option<(String,)> = fetch_optional!(
            tx.connection(),
            _,
            sql,
            node.0,
            joining.host.as_str(),
            certificate.serial.as_str(),
            certificate.expires.0,
            certificate.public_key.as_str(),
            joining.now.0,
            stored_version(&joining.version)
        )?;
        let (name,) = name.ok_or(StoreError::JoinTokenUnknown)?;
        let sql = "UPDATE node_tokens SET used_at = $2, node_id = $3 WHERE id = $1";
        let token_id = joining.token.as_str();
        execute!(tx.connection(), sql, token_id, joining.now.0, node.0)?;
        let actor = Actor::from(token.created_by.as_str());
        let change = (former, joining.host.to_string());
        let detail = format!("node {node}, token {token_id}");
        let (tx_now, action) = (joining.now, "node.join");
        write_change(&mut tx, tx_now, actor, action, &name, change, detail).await?;
        tx.commit().await?;
        Ok((node, value))
    }

    /// Stores a worker's new certificate. Until it is used, the one before is accepted.
    ///
    /// # Errors
    /// Returns [`StoreError::NodeKeyOther`] if it certifies another key than the one that
    /// the worker joined with, [`StoreError::NodeIsRevoked`] and
    /// [`StoreError::NotFound`].
    pub async fn renew_certificate(
        &self,
        node: NodeId,
        certificate: &CertificateRecord,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let found = lock(&mut tx, node).await?;
        if found.standing == domain::NodeStanding::Revoked {
            return Err(StoreError::NodeIsRevoked);
        }
        check_same_key(&mut tx, node, certificate).await?;
        let sql = "UPDATE nodes SET previous_serial = COALESCE(previous_serial, certificate_serial), \
                   certificate_serial = $2, certificate_expires = $3 WHERE id = $1";
        let (serial, expires) = (certificate.serial.as_str(), certificate.expires.0);
        execute!(tx.connection(), sql, node.0, serial, expires)?;
        let actor = format!("node:{}", found.name);
        let detail = format!("serial {serial}");
        let actor = Actor::from(actor.as_str());
        write_entry(&mut tx, now, actor, "node.renew", &found.name, detail).await?;
        tx.commit().await
    }

    /// Returns whether a certificate with this serial number may speak for the node: the
    /// newest one, or the one before until the newest was used.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn admits_certificate(&self, node: NodeId, serial: &str) -> Result<bool> {
        let sql = "SELECT certificate_serial, previous_serial FROM nodes \
                   WHERE id = $1 AND state IN ('open', 'closed')";
        let row: Option<(Option<String>, Option<String>)> =
            fetch_optional!(self.db.reader(), _, sql, node.0)?;
        let Some((newest, previous)) = row else {
            return Ok(false);
        };
        if newest.as_deref() != Some(serial) {
            return Ok(previous.as_deref() == Some(serial));
        }
        if previous.is_some() {
            let sql = "UPDATE nodes SET previous_serial = NULL \
                       WHERE id = $1 AND certificate_serial = $2";
            execute!(self.db.writer(), sql, node.0, serial)?;
        }
        Ok(true)
    }

    /// Removes the join tokens that expired before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_join_tokens(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM node_tokens WHERE expires_at < $1";
        execute!(self.db.writer(), sql, until.0)
    }
}

/// Locks the token of a machine that joins and returns it, used or not. Of two that use
/// it at once, the second finds it used.
async fn claim(tx: &mut Tx, joining: &JoiningNode) -> Result<TokenRow> {
    let sql = "UPDATE node_tokens SET expires_at = expires_at WHERE id = $1 AND secret_hash = $2 \
               RETURNING expires_at, used_at, node_id, created_by";
    let hash = TokenHash::of(&joining.secret);
    let token = joining.token.as_str();
    let row = fetch_optional!(tx.connection(), TokenRow, sql, token, hash.as_str())?;
    let row = row.ok_or(StoreError::JoinTokenUnknown)?;
    if row.expires_at > joining.now.0 {
        return Ok(row);
    }
    Err(match row.used_at {
        Some(_) => StoreError::JoinTokenUsed,
        None => StoreError::JoinTokenExpired,
    })
}

/// Inserts a node's row under the next id.
async fn insert(tx: &mut Tx, joining: &JoiningNode) -> Result<NodeId> {
    // Machines that join at once get the same number; the database lets one have it.
    let sql = "INSERT INTO nodes (id, name) SELECT MAX(id) + 1, $1 FROM nodes WHERE true \
               ON CONFLICT DO NOTHING RETURNING id";
    let name = joining.name.as_str();
    for _ in 0..MAX_ATTEMPTS {
        if let Some((id,)) = fetch_optional!(tx.connection(), (i64,), sql, name)? {
            return Ok(NodeId(id));
        }
        let sql = "SELECT id FROM nodes WHERE name = $1";
        if fetch_optional!(tx.connection(), (i64,), sql, name)?.is_some() {
            let name = name.to_owned();
            return Err(StoreError::NodeNameTaken { name });
        }
    }
    Err(StoreError::TimedOut)
}

/// Checks that a certificate is of the key that the node joined with.
async fn check_same_key(tx: &mut Tx, node: NodeId, certificate: &CertificateRecord) -> Result<()> {
    let sql = "SELECT public_key FROM nodes WHERE id = $1";
    let row = fetch_optional!(tx.connection(), (Option<String>,), sql, node.0)?;
    match row.and_then(|(key,)| key) {
        Some(key) if key == certificate.public_key => Ok(()),
        _ => Err(StoreError::NodeKeyOther),
    }
}
