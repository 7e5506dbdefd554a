//! The one error type of the project.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What kind of mistake it was; the Python boundary maps each to one exception type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// PyTorch's everyday `RuntimeError`: shapes, dtypes, autograd state.
    Runtime,
    Value,
    Type,
    Index,
    NotImplemented,
    /// An allocation failed.
    Memory,
    /// A factorization did not exist (`torch.linalg.LinAlgError`).
    LinAlg,
    /// A user interrupt or an exception of user code that travels through the core.
    Foreign,
    /// A mistake of ours: please report.
    Internal,
}

/// An error names the operation, what was given and what to do.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    payload: Option<Arc<dyn Any + Send + Sync>>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! constructors {
    ($($name:ident $kind:ident),* $(,)?) => {
        $(#[cold] pub fn $name(message: impl Into<String>) -> Self { Self::new(ErrorKind::$kind, message) })*
    };
}

impl Error {
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), payload: None }))
    }

    constructors! {
        runtime Runtime, value Value, type_ Type, index Index, not_implemented NotImplemented,
        memory Memory, linalg LinAlg, internal Internal,
    }

    /// Wraps an exception of the host language so that it comes out again unchanged.
    #[cold]
    pub fn foreign(message: impl Into<String>, payload: Arc<dyn Any + Send + Sync>) -> Self {
        Error(Box::new(Inner { kind: ErrorKind::Foreign, message: message.into(), payload: Some(payload) }))
    }

    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn payload(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.0.payload.as_ref()
    }

    /// Prefixes the message, keeping kind and payload.
    pub fn context(mut self, prefix: &str) -> Self {
        self.0.message = format!("{prefix}: {}", self.0.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({:?})", self.0.kind, self.0.message)
    }
}

impl std::error::Error for Error {}

/// `fail!(runtime, "op(): …")`: returns early with a formatted error.
#[macro_export]
macro_rules! fail {
    ($kind:ident, $($arg:tt)*) => { return Err($crate::Error::$kind(format!($($arg)*))) };
}
