import type { Backoff } from "./backoff";
import type { MeshError } from "./errors";
import type { MemberJson } from "./generated/MemberJson";
import type { TrackKindJson } from "./generated/TrackKindJson";
import type { Peer, PeerOptions } from "./peer";
import type { Devices } from "./publisher";
import type { OpenSocket } from "./signalling";
import type { Slot } from "./slots";

/** How the connection is. `ended` is final. */
export type MeetingState = "connecting" | "connected" | "reconnecting" | "ended";

/** Who has the floor. */
export interface Floor {
  /** Holder of the main picture. */
  readonly main: number | undefined;
  /** Most recent speakers, newest first. */
  readonly recent: readonly number[];
}

/** What to show. What is left out is the server's choice. */
export interface Layout {
  /** Keep this participant in the main picture. */
  readonly pin?: number | undefined;
  /** How many strip pictures to fill. */
  readonly strip?: number | undefined;
  /** Most to receive, bit/s. */
  readonly maxBitrateBps?: number | undefined;
}

/** The events of a {@link Meeting} and what they carry. */
export interface MeetingEvents {
  roster: readonly MemberJson[];
  floor: Floor;
  slots: readonly Slot[];
  /** Ids of those who speak just now, oneself included. */
  speaking: readonly number[];
  muted: { readonly kind: TrackKindJson; readonly muted: boolean };
  state: MeetingState;
  error: MeshError;
  ended: { readonly reason: string };
}

/** What tests replace: the edge of WebRTC, sockets and devices. */
export interface MeetingParts {
  readonly newPeer?: ((options: PeerOptions) => Peer) | undefined;
  readonly openSocket?: OpenSocket | undefined;
  readonly devices?: Devices | undefined;
  readonly newStream?: (() => MediaStream) | undefined;
  readonly backoff?: Backoff | undefined;
}
