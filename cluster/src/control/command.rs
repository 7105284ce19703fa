//! What the control plane's log holds: one change to the state each.

use super::{Member, Settings, Version};
use crate::id::NodeId;
use crate::placement::{self, PlanError, Table, plan};
use crate::wire::{self, WireError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU8;

/// The first byte of an encoded command. Commands are added at the end of the enum and never taken out.
const VERSION: u8 = 1;

/// One change to the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Makes a cluster of exactly these members. Each founder may propose it; the first to be applied counts.
    Found {
        /// The founding list.
        members: BTreeMap<NodeId, Member>,
        /// What holds from the start.
        settings: Settings,
        /// The first table, of epoch 1.
        table: Table,
    },
    /// What a member says of itself at its start. It does not make anybody a member.
    UpdateMember {
        /// Who.
        node: NodeId,
        /// Its addresses, zone and versions from now on.
        member: Member,
    },
    /// Changes a setting. It moves nothing: a table does.
    SetSetting(Setting),
    /// Replaces the table, if its epoch is the next one.
    SetTable(Table),
    /// Replaces the goal, if its epoch is the next one of a goal. It moves nothing either: tables follow, step by step.
    SetGoal(Table),
    /// Makes a node a member, who owns nothing yet.
    Admit {
        /// Who. An id that was removed never comes back.
        node: NodeId,
        /// Where it is reached, its zone and versions.
        member: Member,
    },
    /// Has a member give all its homes to others, or stops that.
    Drain {
        /// Who.
        node: NodeId,
        /// Whether it is to go.
        leaves: bool,
    },
    /// Takes a member out, at once and for ever: a dead one, or one that has been drained.
    Remove {
        /// Who.
        node: NodeId,
    },
    /// Takes a member out and another in, in one step, so that what one owned goes to the other.
    Replace {
        /// Who goes, for ever.
        old: NodeId,
        /// Who comes.
        node: NodeId,
        /// Where it is reached, its zone and versions.
        member: Member,
    },
    /// Lets no further home set out on its way to the goal, or lets them again.
    Pause(bool),
    /// Makes this the active version: the next one, and never one before.
    Activate(Version),
}

/// A setting and its new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// See [`Settings::replication_factor`].
    ReplicationFactor(NonZeroU8),
}

impl Command {
    /// The founding of a cluster of `members`, with the first table planned.
    ///
    /// # Errors
    ///
    /// [`PlanError`] if there is no plan for them.
    pub fn found(members: BTreeMap<NodeId, Member>, settings: Settings) -> Result<Self, PlanError> {
        let zone = |(id, member): (&NodeId, &Member)| placement::Member { id: *id, zone: member.zone.clone() };
        let nodes: Vec<_> = members.iter().map(zone).collect();
        Ok(Self::Found { table: plan(None, &nodes, settings.replication_factor)?, members, settings })
    }

    /// Its bytes: a version, then postcard.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(VERSION, self)
    }

    /// The inverse of [`Command::encode`].
    ///
    /// # Errors
    ///
    /// [`WireError`] for bytes that `encode` of this release cannot have made.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        wire::decode(VERSION, bytes)
    }
}
