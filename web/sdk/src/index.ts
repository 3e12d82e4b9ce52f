export { Backoff } from "./backoff";
export { CHAT_CHARS_MAX } from "./chat";
export { Emitter } from "./emitter";
export { MeshError, type DeviceProblem, type MeshErrorCode } from "./errors";
export type { ErrorCode } from "./generated/ErrorCode";
export type { KnockerJson as Knocker } from "./generated/KnockerJson";
export type { MemberJson as Member } from "./generated/MemberJson";
export type { MemberRoleJson as MemberRole } from "./generated/MemberRoleJson";
export type { SlotRole } from "./generated/SlotRole";
export type { TrackKindJson as TrackKind } from "./generated/TrackKindJson";
export { grantsOf, type Grants } from "./grants";
export { HostActions } from "./host";
export { LevelMeter, loudness } from "./level";
export { parseMeetingLink, signalUrlOf, type MeetingLink } from "./link";
export { Meeting, Mesh } from "./meeting";
export { SLOTS_DEFAULT, SLOTS_MAX, type JoinOptions, type MediaOptions, type SlotCounts } from "./options";
export type { PageQuery } from "./pages";
export {
  Preview,
  type PreviewDevices,
  type PreviewEvents,
  type PreviewOptions,
  type PreviewSource,
  type SourceKind,
  type SourceState,
} from "./preview";
export type { Devices, ScreenHint } from "./publisher";
export type { Qualities, Quality } from "./quality";
export type { Slot } from "./slots";
export type { MeetingStats, SendStats, SlotStats } from "./stats";
export type {
  ChatMessage,
  Floor,
  Knocking,
  Layout,
  MeetingEvents,
  MeetingParts,
  MeetingSettings,
  MeetingState,
  Reconnection,
  RosterPage,
} from "./types";
