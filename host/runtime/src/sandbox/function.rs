//! One function ready for its calls: what they are judged by, and its grants, made ready of just that.
//!
//! It knows no component and no call.

use std::sync::Arc;

use crate::capability::{PrepareError, PreparedGrants, SharedServices};
use crate::gate::FunctionPolicy;

/// A function's policy and its grants, made ready: they cannot be of two functions, nor from before and
/// after a reload.
pub struct PreparedFunction {
    policy: Arc<FunctionPolicy>,
    grants: Arc<PreparedGrants>,
}

impl PreparedFunction {
    /// Makes ready what this policy grants. Where there are buckets this opens their file, and blocks.
    ///
    /// # Errors
    ///
    /// What cannot be used.
    pub fn new(policy: FunctionPolicy, services: &SharedServices) -> Result<Self, PrepareError> {
        let name = policy.id().to_string();
        let grants = PreparedGrants::new(&name, &policy.spec().grants, services)?;
        Ok(Self {
            policy: Arc::new(policy),
            grants: Arc::new(grants),
        })
    }

    /// What its calls are judged by.
    #[must_use]
    pub const fn policy(&self) -> &Arc<FunctionPolicy> {
        &self.policy
    }

    /// Its grants, made ready.
    #[must_use]
    pub const fn grants(&self) -> &Arc<PreparedGrants> {
        &self.grants
    }
}
