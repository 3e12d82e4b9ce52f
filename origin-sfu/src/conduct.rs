//! How a meeting is conducted: its settings, who was sent out, who waits at the door, and which roles were given.

use relay_proto::ParticipantId;
use relay_proto::control::{Body, Member};
use relay_proto::limits::KNOCKERS_TOLD_MAX;
use relay_proto::roles::{Barrier, Knocker, MemberRole, Settings};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Those who wait to be let in: as many as a meeting has places. 1,000 x 100 bytes.
const KNOCKERS_MAX: usize = 1_000;
/// People who were sent out for good; the one blocked first is forgotten first. 1,000 x 8 bytes.
const BLOCKED_MAX: usize = 1_000;
/// People whose given role is remembered when they come back; 4,000 x 9 bytes.
const ROLES_MAX: usize = 4_000;
/// People who may pass a closed door once: those let in, and those whose edge was lost. 4,000 x 4 bytes.
const ADMITTED_MAX: usize = 4_000;
/// Hosts are told of those who wait at most this often.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// One meeting's conduct.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    pub(crate) settings: Settings,
    blocked: VecDeque<u64>,
    /// Longest waiting first.
    knocking: VecDeque<Knocker>,
    admitted: BTreeSet<ParticipantId>,
    roles: BTreeMap<u64, MemberRole>,
    /// When hosts are told of those who wait.
    pub(crate) tell_at: Option<Instant>,
}

impl Conduct {
    /// What keeps somebody who is not in the roster from entering.
    pub(crate) fn barrier(&mut self, member: &Member) -> Option<Barrier> {
        if self.is_blocked(member.identity) {
            return Some(Barrier::Blocked);
        }
        if member.owner || self.admitted.remove(&member.id) {
            return None;
        }
        if self.settings.locked {
            return Some(Barrier::Locked);
        }
        self.settings.waiting_room.then_some(Barrier::Waits)
    }

    /// The role that somebody who enters had when they were here before.
    pub(crate) fn role_before(&self, identity: u64) -> Option<MemberRole> {
        self.roles.get(&identity).copied()
    }

    /// Remembers a role that was given.
    pub(crate) fn gave(&mut self, identity: u64, role: MemberRole) {
        if identity != 0 && (self.roles.len() < ROLES_MAX || self.roles.contains_key(&identity)) {
            self.roles.insert(identity, role);
        }
    }

    /// Somebody may enter once, whatever the door says.
    pub(crate) fn admit(&mut self, id: ParticipantId) {
        if self.admitted.len() < ADMITTED_MAX {
            self.admitted.insert(id);
        }
    }

    /// Somebody may not come back.
    pub(crate) fn block(&mut self, identity: u64) {
        if identity == 0 || self.is_blocked(identity) {
            return;
        }
        if self.blocked.len() >= BLOCKED_MAX {
            self.blocked.pop_front();
        }
        self.blocked.push_back(identity);
    }

    fn is_blocked(&self, identity: u64) -> bool {
        identity != 0 && self.blocked.contains(&identity)
    }

    /// Somebody waits at the door; `Err`: they need not.
    pub(crate) fn knock(&mut self, now: Instant, knocker: Knocker) -> Result<(), Barrier> {
        if self.is_blocked(knocker.identity) {
            return Err(Barrier::Blocked);
        }
        if self.settings.locked {
            return Err(Barrier::Locked);
        }
        if self.knocks(knocker.id) {
            return Ok(());
        }
        if self.knocking.len() >= KNOCKERS_MAX {
            return Err(Barrier::Full);
        }
        self.knocking.push_back(knocker);
        self.changed(now);
        Ok(())
    }

    /// Whether somebody waits.
    pub(crate) fn knocks(&self, id: ParticipantId) -> bool {
        self.knocking.iter().any(|k| k.id == id)
    }

    /// Somebody waits no more.
    pub(crate) fn forget(&mut self, now: Instant, waits: impl Fn(ParticipantId) -> bool) {
        let before = self.knocking.len();
        self.knocking.retain(|k| !waits(k.id));
        if self.knocking.len() != before {
            self.changed(now);
        }
    }

    /// Takes one of those who wait, or all.
    pub(crate) fn open_door(
        &mut self,
        now: Instant,
        target: Option<ParticipantId>,
    ) -> Vec<ParticipantId> {
        let ids: Vec<ParticipantId> = self
            .knocking
            .iter()
            .map(|k| k.id)
            .filter(|id| target.is_none_or(|target| target == *id))
            .collect();
        ids.iter().for_each(|id| self.admit(*id));
        self.forget(now, |id| ids.contains(&id));
        ids
    }

    fn changed(&mut self, now: Instant) {
        self.tell_at.get_or_insert(now + TELL_EVERY);
    }

    /// What hosts are told of those who wait.
    pub(crate) fn knocking(&self) -> Body {
        Body::Knocking {
            people: self.knocking.iter().take(KNOCKERS_TOLD_MAX).cloned().collect(),
            total: self.knocking.len() as u32,
        }
    }

    /// Whether it is time to tell them; then it is not any more.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.tell_at.is_some_and(|at| at <= now);
        if due {
            self.tell_at = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_proto::NodeId;

    fn member(id: u32, identity: u64, owner: bool) -> Member {
        Member {
            id: ParticipantId(id),
            name: String::new(),
            edge: NodeId(1),
            mic_muted: false,
            camera_off: false,
            role: MemberRole::Panelist,
            owner,
            identity,
            hand: 0,
        }
    }

    fn knocker(id: u32) -> Knocker {
        Knocker { id: ParticipantId(id), name: String::new(), identity: u64::from(id) }
    }

    #[test]
    fn a_closed_door_opens_once_for_those_who_were_admitted_and_always_for_owners() {
        let mut conduct = Conduct::default();
        assert_eq!(conduct.barrier(&member(1, 1, false)), None);
        conduct.settings.locked = true;
        assert_eq!(conduct.barrier(&member(1, 1, false)), Some(Barrier::Locked));
        assert_eq!(conduct.barrier(&member(1, 1, true)), None);
        conduct.admit(ParticipantId(1));
        assert_eq!(conduct.barrier(&member(1, 1, false)), None);
        assert_eq!(conduct.barrier(&member(1, 1, false)), Some(Barrier::Locked));
        conduct.settings = Settings { waiting_room: true, ..Settings::default() };
        assert_eq!(conduct.barrier(&member(1, 1, false)), Some(Barrier::Waits));
        conduct.block(1);
        assert_eq!(conduct.barrier(&member(1, 1, true)), Some(Barrier::Blocked));
        assert_eq!(conduct.barrier(&member(1, 0, true)), None, "nobody in particular");
    }

    #[test]
    fn those_who_wait_are_told_in_their_order_and_bounded() {
        let now = Instant::now();
        let mut conduct = Conduct::default();
        for id in 0..KNOCKERS_MAX as u32 {
            assert_eq!(conduct.knock(now, knocker(id)), Ok(()));
        }
        assert_eq!(conduct.knock(now, knocker(3)), Ok(()), "said again after attaching");
        assert_eq!(conduct.knock(now, knocker(5_000)), Err(Barrier::Full));
        let Body::Knocking { people, total } = conduct.knocking() else { panic!() };
        assert_eq!((people.len(), total), (KNOCKERS_TOLD_MAX, KNOCKERS_MAX as u32));
        assert_eq!(people[0].id, ParticipantId(0));
        assert!(!conduct.is_due(now) && conduct.is_due(now + TELL_EVERY));
        assert!(!conduct.is_due(now + TELL_EVERY), "told");
        assert_eq!(conduct.open_door(now, Some(ParticipantId(7))), [ParticipantId(7)]);
        assert_eq!(conduct.open_door(now, None).len(), KNOCKERS_MAX - 1);
        assert!(!conduct.knocks(ParticipantId(1)));
    }

    #[test]
    fn who_is_blocked_or_meets_a_lock_need_not_wait() {
        let now = Instant::now();
        let mut conduct = Conduct::default();
        conduct.block(4);
        assert_eq!(conduct.knock(now, knocker(4)), Err(Barrier::Blocked));
        conduct.settings.locked = true;
        assert_eq!(conduct.knock(now, knocker(5)), Err(Barrier::Locked));
        for identity in 10..10 + BLOCKED_MAX as u64 {
            conduct.block(identity);
        }
        assert!(!conduct.is_blocked(4) && conduct.is_blocked(10), "the first is forgotten first");
    }
}
