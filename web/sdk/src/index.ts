export { Backoff } from "./backoff";
export { Emitter } from "./emitter";
export { MeshError, type DeviceProblem, type MeshErrorCode } from "./errors";
export type { ErrorCode } from "./generated/ErrorCode";
export type { MemberJson as Member } from "./generated/MemberJson";
export type { SlotRole } from "./generated/SlotRole";
export type { TrackKindJson as TrackKind } from "./generated/TrackKindJson";
export { LevelMeter, loudness } from "./level";
export { parseMeetingLink, signalUrlOf, type MeetingLink } from "./link";
export { Meeting, Mesh } from "./meeting";
export { SLOTS_DEFAULT, SLOTS_MAX, type JoinOptions, type MediaOptions, type SlotCounts } from "./options";
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
export type { Floor, Layout, MeetingEvents, MeetingParts, MeetingState, Reconnection } from "./types";
