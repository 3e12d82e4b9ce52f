//! Which requests were done already, and what was answered.

use super::{Reply, RequestId};
use crate::limits::REQUESTS_KEPT;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The last requests and their answers, oldest forgotten first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Requests {
    answers: BTreeMap<RequestId, Reply>,
    order: VecDeque<RequestId>,
}

impl Requests {
    /// What was answered to `id`.
    pub(super) fn answer(&self, id: RequestId) -> Option<&Reply> {
        self.answers.get(&id)
    }

    /// Remember what was answered to `id`.
    pub(super) fn remember(&mut self, id: RequestId, reply: Reply) {
        if self.answers.insert(id, reply).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > REQUESTS_KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }
}
