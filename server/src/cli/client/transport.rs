//! The three ways to the API: the socket of the server on this machine, a server anywhere, and
//! the same router in this process where no server runs.

use super::{
    answer::Answer, failure::CallError, local::Database, remote::Server, request::Request,
    stream::Body,
};

/// A way to the API.
pub(super) enum Transport {
    /// A server that runs, by its socket or its address.
    Server(Server),
    /// The database of this machine, because no server runs.
    Database(Box<Database>),
}

impl Transport {
    /// Returns the other side, as the person calls it.
    pub fn name(&self) -> String {
        match self {
            Self::Server(server) => server.name.clone(),
            Self::Database(_) => "the database".to_owned(),
        }
    }

    /// Sends a request whose answer is read as it comes.
    ///
    /// # Errors
    /// It does not arrive.
    pub async fn begin(&self, request: Request) -> Result<Body, CallError> {
        Ok(match self {
            Self::Server(server) => Body::Server(server.begin(request).await?),
            Self::Database(database) => Body::Database(database.begin(request).await?),
        })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// It does not arrive, or the API refuses.
    pub async fn send(&self, request: Request) -> Result<Answer, CallError> {
        let (status, headers, body) = match self {
            Self::Server(server) => server.send(request).await?,
            Self::Database(database) => database.send(request).await?,
        };
        Answer::read(self.name(), status, headers, body)
    }
}
